//! The flame graph: which frames are drawn, where, and as what; an icicle, the root on top.
//!
//! Each frame is a link that makes it as wide as the drawing. The policy of the page forbids inline
//! styles, so places are SVG attributes, and a nested `svg` clips the text to its frame.

use super::amount::{change, percent, worded};
use super::html::{esc, html};
use super::look::{At, Look};
use super::origin::{Origin, clipped, short, short_file};
use crate::agent::view::{Flame, FlameNode};

/// Frames that are drawn.
const FRAMES_MAX: usize = 2_000;
/// Rows below the frame that fills the width.
const ROWS_MAX: usize = 128;
/// Narrower ones are a pixel or two.
const SHARE_MIN: f64 = 0.001_5;
const ROW_PX: usize = 20;
/// Characters of a name in a tooltip.
const NAME_CHARS_MAX: usize = 300;
/// Characters that fit across a drawing of usual width; the frame clips what does not fit after all.
const CHARS_ACROSS: f64 = 160.0;
/// Bold ones, of these.
const BOLD: f64 = 0.88;

/// A frame at its place.
struct Placed<'a> {
    node: &'a FlameNode,
    at: Vec<u32>,
    /// From 0 to 1, of the width.
    x: f64,
    width: f64,
    /// Whether it stands above the frame that fills the width.
    above: bool,
}

/// What is drawn of a tree.
pub(super) struct Drawing<'a> {
    /// From the root to the frame that fills the width, that one left out.
    above: Vec<&'a FlameNode>,
    /// The frame that fills the width.
    pub(super) filled: &'a FlameNode,
    rows: Vec<Vec<Placed<'a>>>,
    /// Frames that are not drawn: too narrow, too deep, too many, or left out before.
    pub(super) left_out: u64,
}

impl<'a> Drawing<'a> {
    /// Follows `at` as far as it leads.
    pub(super) fn of(root: &'a FlameNode, at: &[u32], compared: bool) -> Drawing<'a> {
        let (mut above, mut filled) = (Vec::new(), root);
        for index in at {
            let Some(child) = filled.children.get(*index as usize) else {
                break;
            };
            above.push(filled);
            filled = child;
        }
        let first = Placed {
            node: filled,
            at: at[..above.len()].to_vec(),
            x: 0.0,
            width: 1.0,
            above: false,
        };
        let mut drawing = Drawing {
            above,
            filled,
            rows: vec![vec![first]],
            left_out: 0,
        };
        drawing.fill(compared);
        drawing
    }

    fn fill(&mut self, compared: bool) {
        let whole = weight(self.filled, compared).max(1.0);
        let mut frames = 1;
        loop {
            let (mut row, deep) = (Vec::new(), self.rows.len() > ROWS_MAX);
            for parent in self.rows.last().into_iter().flatten() {
                self.left_out = self.left_out.saturating_add(parent.node.left_out);
                let mut x = parent.x;
                for (index, node) in (0_u32..).zip(&parent.node.children) {
                    // Sums of hostile values may exceed their parent's.
                    let width = (weight(node, compared) / whole).min(parent.x + parent.width - x);
                    if width < SHARE_MIN || deep || frames == FRAMES_MAX {
                        self.left_out = self.left_out.saturating_add(count(node));
                        continue;
                    }
                    frames += 1;
                    let at = [&parent.at[..], &[index]].concat();
                    row.push(Placed {
                        node,
                        at,
                        x,
                        width,
                        above: false,
                    });
                    x += width;
                }
            }
            if row.is_empty() {
                return;
            }
            self.rows.push(row);
        }
    }

    /// Where the frame that fills the width is.
    pub(super) fn at(&self) -> &[u32] {
        self.rows
            .first()
            .and_then(|row| row.first())
            .map_or(&[], |first| &first.at)
    }
}

/// What the width of a frame stands for; in a comparison both, so that what is gone is still seen.
fn weight(node: &FlameNode, compared: bool) -> f64 {
    let base = if compared { node.base_total.max(0) } else { 0 };
    node.total.max(0) as f64 + base as f64
}

/// A frame and all below it, with what was left out there.
fn count(node: &FlameNode) -> u64 {
    let (mut count, mut rest) = (0_u64, vec![node]);
    while let Some(node) = rest.pop() {
        count = count.saturating_add(1).saturating_add(node.left_out);
        rest.extend(&node.children);
    }
    count
}

/// Which frames a search marks.
pub(super) struct Search {
    words: String,
}

impl Search {
    pub(super) fn of(q: &str) -> Option<Search> {
        (!q.is_empty()).then(|| Search {
            words: q.to_lowercase(),
        })
    }

    pub(super) fn finds(&self, name: &str, file: &str) -> bool {
        name.to_lowercase().contains(&self.words) || file.to_lowercase().contains(&self.words)
    }

    /// Frames found, and their sum; of those on one stack only the outermost counts.
    pub(super) fn sum(&self, root: &FlameNode) -> (u64, i64) {
        let (mut frames, mut sum) = (0, 0_i64);
        let mut rest: Vec<(&FlameNode, bool)> =
            root.children.iter().map(|node| (node, false)).collect();
        while let Some((node, within)) = rest.pop() {
            let found = self.finds(&node.name, &node.file);
            frames += u64::from(found);
            if found && !within {
                sum = sum.saturating_add(node.total);
            }
            rest.extend(node.children.iter().map(|child| (child, within || found)));
        }
        (frames, sum)
    }
}

/// What every frame is drawn with.
struct Brush<'a> {
    flame: &'a Flame,
    search: Option<Search>,
    /// A link to the root, and one that the path to any other frame follows.
    links: [String; 2],
}

/// The drawing as SVG.
pub(super) fn svg(out: &mut String, flame: &Flame, look: &Look, drawing: &Drawing<'_>) {
    let brush = Brush {
        flame,
        search: Search::of(&look.q),
        links: [look.link_to_all(), look.link_before_at()],
    };
    let rows = drawing.above.len() + drawing.rows.len();
    html!(
        out,
        "<svg class=\"icicle\" id=\"icicle\" width=\"100%\" height=\"{}\" role=\"group\" \
         aria-label=\"Flame graph of {}; each frame is a link that fills the width with it\">",
        rows * ROW_PX,
        esc(&flame.value.name)
    );
    for (row, node) in drawing.above.iter().enumerate() {
        let placed = Placed {
            node,
            at: drawing.at()[..row].to_vec(),
            x: 0.0,
            width: 1.0,
            above: true,
        };
        brush.frame(out, &placed, row);
    }
    for (row, placed) in drawing.rows.iter().enumerate() {
        for placed in placed {
            brush.frame(out, placed, drawing.above.len() + row);
        }
    }
    out.push_str("</svg>");
}

impl Brush<'_> {
    fn frame(&self, out: &mut String, placed: &Placed<'_>, row: usize) {
        let node = placed.node;
        let ([to_all, before_at], at) = (&self.links, At(&placed.at));
        let link = if placed.at.is_empty() {
            to_all
        } else {
            before_at
        };
        let class = self.class(placed);
        html!(
            out,
            "<a class=\"f {class}\" data-soft href=\"{link}{at}#flame\" data-key=\"at{at}\">"
        );
        html!(
            out,
            "<svg x=\"{:.3}%\" y=\"{}\" width=\"{:.3}%\" height=\"{}\"><title>",
            placed.x * 100.0,
            row * ROW_PX,
            placed.width * 100.0,
            ROW_PX - 1
        );
        self.tooltip(out, placed);
        out.push_str("</title><rect width=\"100%\" height=\"100%\" rx=\"2\"/>");
        let bold = class.contains("own") || class.contains("hit");
        let across = CHARS_ACROSS * if bold { BOLD } else { 1.0 };
        let room = (placed.width * across) as usize;
        if room > 4 {
            html!(
                out,
                "<text x=\"5\" y=\"14\">{}</text>",
                esc(self.label(node, room, &placed.at))
            );
        }
        out.push_str("</svg></a>");
    }

    fn class(&self, placed: &Placed<'_>) -> String {
        let node = placed.node;
        let colour = match (self.flame.base.is_some(), placed.at.is_empty()) {
            (true, _) => change(node.total, node.base_total).1,
            (_, true) => "root",
            _ => self.origin(node).class(),
        };
        let found = |search: &Search| search.finds(&node.name, &node.file);
        let hit = !placed.at.is_empty() && self.search.as_ref().is_some_and(found);
        let (hit, above) = (
            if hit { " hit" } else { "" },
            if placed.above { " above" } else { "" },
        );
        format!("{colour}{hit}{above}")
    }

    fn origin(&self, node: &FlameNode) -> Origin {
        Origin::of(&node.name, &node.file, &self.flame.row.service)
    }

    /// As much of the name as fits, and the share where that fits too.
    fn label(&self, node: &FlameNode, room: usize, at: &[u32]) -> String {
        let name = if at.is_empty() { "all" } else { &node.name };
        let share = match self.flame.base.is_some() {
            true => change(node.total, node.base_total).0,
            false => {
                let figure = percent(node.total, self.flame.root.total);
                format!("{} {}", figure.digits, figure.unit)
            }
        };
        let chars = name.chars().take(room + 1).count();
        let name = if chars > room {
            short(name)
        } else {
            name.to_string()
        };
        match room.checked_sub(name.chars().count()) {
            Some(left) if left > share.chars().count() => format!("{name}  {share}"),
            _ => clipped(&name, room),
        }
    }

    fn tooltip(&self, out: &mut String, placed: &Placed<'_>) {
        let (node, all) = (placed.node, &self.flame.root);
        if placed.at.is_empty() {
            out.push_str("all samples");
        } else {
            html!(out, "{}\n", esc(clipped(&node.name, NAME_CHARS_MAX)));
            if !node.file.is_empty() {
                html!(out, "{}, ", esc(place(node)));
            }
            out.push_str(self.origin(node).words());
        }
        for (word, value) in [("total", node.total), ("own", node.own)] {
            let (text, share) = (
                worded(value, &self.flame.value.unit),
                percent(value, all.total),
            );
            html!(out, "\n{word} {text}, {} %", share.digits);
        }
        if self.flame.base.is_some() {
            let base = worded(node.base_total, &self.flame.value.unit);
            let (words, _) = change(node.total, node.base_total);
            html!(out, "\nbefore {base}, now {words}");
        }
    }
}

/// `src/server/pool.rs:88`.
pub(super) fn place(node: &FlameNode) -> String {
    let file = clipped(short_file(&node.file), NAME_CHARS_MAX);
    match node.line {
        1.. => format!("{file}:{}", node.line),
        _ => file,
    }
}

/// What each origin has of the sum without callees, by the functions that are listed.
pub(super) fn origins(flame: &Flame) -> [(Origin, i64); 4] {
    let mut sums = Origin::ALL.map(|origin| (origin, 0_i64));
    for row in &flame.functions {
        let origin = Origin::of(&row.name, &row.file, &flame.row.service);
        for (_, sum) in sums.iter_mut().filter(|(of, _)| *of == origin) {
            *sum = sum.saturating_add(row.own.max(0));
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, total: i64, children: Vec<FlameNode>) -> FlameNode {
        FlameNode {
            name: name.to_string(),
            total,
            children,
            ..FlameNode::default()
        }
    }

    fn tree() -> FlameNode {
        let deep = node("b", 40, vec![node("c", 30, vec![node("a", 10, vec![])])]);
        node(
            "",
            100,
            vec![
                node("a", 60, vec![deep, node("d", 20, vec![])]),
                node("e", 40, vec![]),
            ],
        )
    }

    /// Rows from the top: names with the ends of each frame in percent.
    fn shape(drawing: &Drawing<'_>) -> String {
        let above = drawing.above.iter().map(|node| format!("^{}", node.name));
        let rows = drawing.rows.iter().map(|row| {
            let frames = row.iter().map(|placed| {
                let (from, to) = (placed.x * 100.0, (placed.x + placed.width) * 100.0);
                format!("{}{}:{from:.1}-{to:.1}", placed.node.name, At(&placed.at))
            });
            frames.collect::<Vec<_>>().join(" ")
        });
        above.chain(rows).collect::<Vec<_>>().join("|")
    }

    #[track_caller]
    fn check(rule: &str, root: &FlameNode, at: &[u32], (rows, left_out): (&str, u64)) {
        let drawing = Drawing::of(root, at, false);
        assert_eq!(
            (&*shape(&drawing), drawing.left_out),
            (rows, left_out),
            "{rule}"
        );
    }

    #[test]
    fn frames_have_their_places() {
        let root = tree();
        let whole = "::0.0-100.0|a0:0.0-60.0 e1:60.0-100.0|b0.0:0.0-40.0 d0.1:40.0-60.0|c0.0.0:0.0-30.0|a0.0.0.0:0.0-10.0";
        check("nothing", &node("", 0, vec![]), &[], (":0.0-100.0", 0));
        check(
            "one",
            &node("", 7, vec![node("a", 7, vec![])]),
            &[],
            (":0.0-100.0|a0:0.0-100.0", 0),
        );
        check("all", &root, &[], (&whole[1..], 0));
        let zoomed =
            "^|a0:0.0-100.0|b0.0:0.0-66.7 d0.1:66.7-100.0|c0.0.0:0.0-50.0|a0.0.0.0:0.0-16.7";
        check("a frame fills the width", &root, &[0], (zoomed, 0));
        check("a leaf", &root, &[1], ("^|e1:0.0-100.0", 0));
        check(
            "a path is followed as far as it leads",
            &root,
            &[1, 5, 0],
            ("^|e1:0.0-100.0", 0),
        );
        check("a path that leads nowhere", &root, &[9], (&whole[1..], 0));
    }

    #[test]
    fn what_is_not_drawn_is_counted() {
        let mut narrow = node("n", 14, vec![node("x", 7, vec![]), node("y", 7, vec![])]);
        narrow.left_out = 3;
        let mut root = node("", 10_000, vec![node("a", 15, vec![]), narrow]);
        root.left_out = 2;
        check(
            "the limit, limit - 1, and below",
            &root,
            &[],
            (":0.0-100.0|a0:0.0-0.1", 2 + 3 + 3),
        );
        let hostile = node(
            "",
            10,
            vec![
                node("a", i64::MAX, vec![]),
                node("b", i64::MIN, vec![]),
                node("c", 9, vec![]),
            ],
        );
        check(
            "a child over its parent ends with it",
            &hostile,
            &[],
            (":0.0-100.0|a0:0.0-100.0", 2),
        );
    }

    #[track_caller]
    fn check_count(rule: &str, root: &FlameNode, drawn: usize, left_out: u64) {
        let drawing = Drawing::of(root, &[], false);
        let frames: usize = drawing.rows.iter().map(Vec::len).sum();
        assert_eq!((frames, drawing.left_out), (drawn, left_out), "{rule}");
    }

    #[test]
    fn bounds_hold() {
        let fan = |width: i64, leaves: i64| {
            let leaf = |_| node("l", 1, vec![]);
            let branch = |_| node("b", leaves, (0..leaves).map(leaf).collect());
            node("", width * leaves, (0..width).map(branch).collect())
        };
        check_count(
            "10,000 leaves that are too narrow",
            &fan(1, 10_000),
            2,
            10_000,
        );
        let mut wide = fan(500, 1);
        for _ in 0..3 {
            wide = node("", 500, vec![wide]);
        }
        check_count("a wide one", &wide, 504 + 500, 0);
        let mut layers = node("", 600, (0..600).map(|_| node("l", 1, vec![])).collect());
        for child in &mut layers.children {
            child.children = vec![node("m", 1, vec![node("n", 1, vec![node("o", 1, vec![])])])];
        }
        check_count(
            "over the most frames",
            &layers,
            FRAMES_MAX,
            1 + 4 * 600 - 2_000,
        );
        let chain =
            |depth| (0..depth).fold(node("", 1, vec![]), |below, _| node("", 1, vec![below]));
        check_count("the most rows", &chain(ROWS_MAX), ROWS_MAX + 1, 0);
        check_count("limit + 1", &chain(ROWS_MAX + 1), ROWS_MAX + 1, 1);
    }

    #[test]
    fn in_a_comparison_what_is_gone_has_its_width() {
        let mut gone = node("gone", 0, vec![]);
        gone.base_total = 50;
        let mut root = node("", 50, vec![node("new", 50, vec![]), gone]);
        root.base_total = 50;
        let drawing = Drawing::of(&root, &[], true);
        assert_eq!(shape(&drawing), ":0.0-100.0|new0:0.0-50.0 gone1:50.0-100.0");
    }

    #[track_caller]
    fn check_search(rule: &str, q: &str, expected: Option<(u64, i64)>) {
        let sum = Search::of(q).map(|search| search.sum(&tree()));
        assert_eq!(sum, expected, "{rule}");
    }

    #[test]
    fn a_stack_counts_once() {
        check_search("nothing asked", "", None);
        check_search("nothing found", "z", Some((0, 0)));
        check_search("one", "e", Some((1, 40)));
        check_search("in any case", "E", Some((1, 40)));
        check_search("two on one stack", "a", Some((2, 60)));
    }
}
