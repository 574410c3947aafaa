//! Stacks put together as a tree, and as a table of functions.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;

use crate::agent::decode::{Location, Profile};
use crate::agent::view::{FlameNode, FunctionRow};

/// Frames on top of one another; of a deeper stack the outermost are drawn.
const DEPTH_MAX: usize = 512;
/// Frames of the whole tree; what is over is left out and counted.
const NODES_MAX: usize = 200_000;
/// Frames drawn one after another, of all stacks together; the next stacks are only counted. What the store holds
/// comes to half as many unless functions are inlined into one another many times.
const STEPS_MAX: u64 = 16 << 20;
const FUNCTIONS_MAX: usize = 200;
/// Bytes of names and files in a drawn tree; of those over it the beginnings are shown.
const DRAWN_TEXT_BYTES_MAX: usize = 16 << 20;
const SHORT_TEXT_BYTES: usize = 64;
/// A callee is drawn from this part of the whole on: 0.1 %.
const DRAWN_PART: i128 = 1_000;

/// What is shown, and what it is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Shown,
    Base,
}

#[derive(Debug, Default)]
struct Node {
    parent: u32,
    function: u32,
    total: [i64; 2],
    own: i64,
    left_out: u64,
}

#[derive(Clone, Debug, Default)]
struct Sums {
    own: [i64; 2],
    total: [i64; 2],
    /// The last stack that it stood in.
    stack: u64,
}

/// Places of name and file in [`Tree::texts`].
type Named = (u32, u32);

/// The tree, growing. Node 0 is its root.
#[derive(Debug)]
pub(super) struct Tree<'p> {
    texts: Vec<Cow<'p, str>>,
    text_places: HashMap<Cow<'p, str>, u32>,
    names: Vec<Named>,
    functions: HashMap<Named, u32>,
    sums: Vec<Sums>,
    nodes: Vec<Node>,
    /// By caller and function.
    children: HashMap<(u32, u32), u32>,
    /// How often each line of a node was seen.
    lines: HashMap<(u32, i64), u64>,
    stacks: u64,
    steps: u64,
}

/// Functions of one profile as the tree numbers them.
#[derive(Debug)]
pub(super) struct Numbered<'p> {
    profile: &'p Profile,
    functions: Vec<u32>,
    /// Places in the tree by those in the profile: a text that a million functions name is read once.
    texts: HashMap<u32, u32>,
    /// Of locations without lines.
    bare: HashMap<u32, u32>,
}

impl<'p> Tree<'p> {
    pub(super) fn new() -> Tree<'p> {
        Tree {
            texts: Vec::new(),
            text_places: HashMap::new(),
            names: Vec::new(),
            functions: HashMap::new(),
            sums: Vec::new(),
            nodes: vec![Node::default()],
            children: HashMap::new(),
            lines: HashMap::new(),
            stacks: 0,
            steps: 0,
        }
    }

    pub(super) fn number(&mut self, profile: &'p Profile) -> Numbered<'p> {
        let mut numbered = Numbered {
            functions: Vec::with_capacity(profile.functions.len()),
            texts: HashMap::new(),
            bare: HashMap::new(),
            profile,
        };
        for function in &profile.functions {
            let names = [function.name, function.system_name, function.file];
            let mut names = names.into_iter();
            let name = match names.find(|at| !profile.text(*at).is_empty()) {
                Some(at) => self.known(&mut numbered, at),
                None => self.text("?".into()),
            };
            let file = self.known(&mut numbered, function.file);
            numbered.functions.push(self.function((name, file)));
        }
        numbered
    }

    /// Place of a profile's text.
    fn known(&mut self, numbered: &mut Numbered<'p>, at: u32) -> u32 {
        let profile = numbered.profile;
        let place = numbered.texts.entry(at);
        *place.or_insert_with(|| self.text(profile.text(at).into()))
    }

    fn text(&mut self, text: Cow<'p, str>) -> u32 {
        let next = self.texts.len() as u32;
        *self.text_places.entry(text).or_insert_with_key(|text| {
            self.texts.push(text.clone());
            next
        })
    }

    fn function(&mut self, named: Named) -> u32 {
        let next = self.names.len() as u32;
        *self.functions.entry(named).or_insert_with(|| {
            self.names.push(named);
            self.sums.push(Sums::default());
            next
        })
    }

    /// Of a place that has no lines: its address, within its binary where that is known.
    fn bare(&mut self, numbered: &mut Numbered<'p>, location: &Location) -> u32 {
        let mappings = &numbered.profile.mappings;
        let mapping = location.mapping.and_then(|at| mappings.get(at as usize));
        let file = self.known(numbered, mapping.map_or(0, |mapping| mapping.file));
        let name = match location.address {
            0 if self.texts[file as usize].is_empty() => self.text("?".into()),
            0 => file,
            address => self.text(format!("{address:#x}").into()),
        };
        self.function((name, file))
    }

    /// Adds one stack, the innermost place first.
    pub(super) fn add(
        &mut self,
        numbered: &mut Numbered<'p>,
        stack: &[u32],
        (side, value): (Side, i64),
    ) {
        self.stacks += 1;
        let profile = numbered.profile;
        let mut at = Walk {
            node: (self.steps < STEPS_MAX).then_some(0),
            last: 0,
            depth: 0,
            function: None,
        };
        add(&mut self.nodes[0].total, side, value);
        self.nodes[0].left_out += u64::from(at.node.is_none());
        for place in stack.iter().rev() {
            let location = &profile.locations[*place as usize];
            let lines = profile.lines_of(location);
            if lines.is_empty() {
                let known = numbered.bare.get(place).copied();
                let function = known.unwrap_or_else(|| self.bare(numbered, location));
                numbered.bare.insert(*place, function);
                self.step(&mut at, (function, 0), (side, value));
            }
            for line in lines.iter().rev() {
                let function = numbered.functions[line.function as usize];
                self.step(&mut at, (function, line.line), (side, value));
            }
        }
        if side == Side::Shown {
            let own = &mut self.nodes[at.last as usize].own;
            *own = own.saturating_add(value);
        }
        if let Some(function) = at.function {
            add(&mut self.sums[function as usize].own, side, value);
        }
    }

    fn step(&mut self, at: &mut Walk, (function, line): (u32, i64), (side, value): (Side, i64)) {
        at.function = Some(function);
        let sums = &mut self.sums[function as usize];
        if sums.stack != self.stacks {
            sums.stack = self.stacks;
            add(&mut sums.total, side, value);
        }
        let Some(caller) = at.node else {
            return;
        };
        at.depth += 1;
        self.steps += 1;
        at.node = match at.depth <= DEPTH_MAX {
            true => self.child(caller, function),
            false => None,
        };
        let Some(node) = at.node else {
            self.nodes[caller as usize].left_out += 1;
            return;
        };
        at.last = node;
        add(&mut self.nodes[node as usize].total, side, value);
        *self.lines.entry((node, line)).or_default() += 1;
    }

    fn child(&mut self, parent: u32, function: u32) -> Option<u32> {
        let next = self.nodes.len();
        let known = self.children.get(&(parent, function)).copied();
        if known.is_some() || next >= NODES_MAX {
            return known;
        }
        self.children.insert((parent, function), next as u32);
        self.nodes.push(Node {
            parent,
            function,
            ..Node::default()
        });
        Some(next as u32)
    }

    /// The tree as it is drawn. A child is always behind its parent, so that no recursion is needed.
    pub(super) fn root(&self) -> FlameNode {
        let mut lines: HashMap<u32, (u64, i64)> = HashMap::new();
        for ((node, line), times) in &self.lines {
            let most = lines.entry(*node).or_default();
            *most = (*most).max((*times, *line));
        }
        let whole = self.nodes[0].total;
        let mut children: Vec<Vec<FlameNode>> = Vec::new();
        children.resize_with(self.nodes.len(), Vec::new);
        let mut text_bytes = 0;
        let mut left_out: Vec<u64> = self.nodes.iter().map(|node| node.left_out).collect();
        for at in (1..self.nodes.len()).rev() {
            let node = &self.nodes[at];
            let (mut callees, parent) = (std::mem::take(&mut children[at]), node.parent as usize);
            if !is_drawn(node.total, whole) {
                left_out[parent] += 1;
                continue;
            }
            sort(&mut callees);
            let (name, file) = self.names[node.function as usize];
            let mut shown = |at: u32| {
                let text = &*self.texts[at as usize];
                let kept = match text_bytes < DRAWN_TEXT_BYTES_MAX {
                    true => text,
                    false => &text[..text.floor_char_boundary(SHORT_TEXT_BYTES)],
                };
                text_bytes += kept.len();
                kept.to_string()
            };
            children[parent].push(FlameNode {
                name: shown(name),
                file: shown(file),
                line: lines.get(&(at as u32)).map_or(0, |(_, line)| *line),
                total: node.total[0],
                own: node.own,
                base_total: node.total[1],
                children: callees,
                left_out: left_out[at],
            });
        }
        let mut callees = std::mem::take(&mut children[0]);
        sort(&mut callees);
        FlameNode {
            name: "all".to_string(),
            total: whole[0],
            own: self.nodes[0].own,
            base_total: whole[1],
            children: callees,
            left_out: left_out[0],
            ..FlameNode::default()
        }
    }

    /// Largest first, and how many are not listed.
    pub(super) fn table(&self) -> (Vec<FunctionRow>, u64) {
        let text = |at: u32| &*self.texts[at as usize];
        let named = self.names.iter().zip(&self.sums);
        let mut seen: Vec<_> = named.filter(|(_, sums)| sums.stack > 0).collect();
        seen.sort_by_key(|((name, _), sums)| {
            (
                Reverse(larger(sums.own)),
                Reverse(larger(sums.total)),
                text(*name),
            )
        });
        let left = seen.len().saturating_sub(FUNCTIONS_MAX) as u64;
        let row = |((name, file), sums): (&Named, &Sums)| FunctionRow {
            name: text(*name).to_string(),
            file: text(*file).to_string(),
            own: sums.own[0],
            total: sums.total[0],
            base_own: sums.own[1],
            base_total: sums.total[1],
        };
        let listed = seen.into_iter().take(FUNCTIONS_MAX);
        (listed.map(row).collect(), left)
    }
}

/// Where a stack is in the tree.
#[derive(Debug)]
struct Walk {
    /// None once the rest is not drawn.
    node: Option<u32>,
    /// The last one drawn.
    last: u32,
    depth: usize,
    function: Option<u32>,
}

fn add(sums: &mut [i64; 2], side: Side, value: i64) {
    let sum = &mut sums[side as usize];
    *sum = sum.saturating_add(value);
}

fn is_drawn(total: [i64; 2], whole: [i64; 2]) -> bool {
    let magnitude = |value: i64| i128::from(value).abs();
    let mut sides = total.into_iter().zip(whole);
    sides.any(|(total, whole)| total != 0 && magnitude(total) * DRAWN_PART >= magnitude(whole))
}

fn larger(sums: [i64; 2]) -> u64 {
    sums[0].unsigned_abs().max(sums[1].unsigned_abs())
}

fn sort(nodes: &mut [FlameNode]) {
    let size = |node: &FlameNode| larger([node.total, node.base_total]);
    nodes.sort_by(|a, b| size(b).cmp(&size(a)).then_with(|| a.name.cmp(&b.name)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::decode::made::{Made, made};
    use crate::agent::decode::pprof;

    /// Two stacks of two frames each, once so many frames were drawn: total of the root and of its callee, what was
    /// left out below the root, and total of the function.
    #[track_caller]
    fn check(rule: &str, drawn: u64, expected: (i64, i64, u64, i64)) {
        let sample = Made {
            stack: &["main:1", "work:2"],
            values: &[5],
            labels: &[],
        };
        let profile = pprof(&made(&[("cpu-time", "nanoseconds")], &[sample, sample])).unwrap();
        let mut tree = Tree::new();
        tree.steps = drawn;
        let mut numbered = tree.number(&profile);
        for sample in profile.samples() {
            tree.add(&mut numbered, sample.stack, (Side::Shown, 5));
        }
        let root = tree.root();
        let callee = root.children.first().map_or(0, |node| node.total);
        let function = tree.table().0[0].total;
        let found = (root.total, callee, root.left_out, function);
        assert_eq!(found, expected, "{rule}");
    }

    #[test]
    fn so_many_frames_are_drawn_and_all_are_counted() {
        check("none before", 0, (10, 10, 0, 10));
        check("room for both", STEPS_MAX - 3, (10, 10, 0, 10));
        check("room for one", STEPS_MAX - 2, (10, 5, 1, 10));
        check("room for none", STEPS_MAX, (10, 0, 2, 10));
    }
}
