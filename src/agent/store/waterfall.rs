//! Spans of one trace in the order of a waterfall.

use std::collections::HashMap;

use crate::agent::decode::Span;
use crate::agent::view;

/// Puts parents before children and siblings by start. A span whose parent never came stands at
/// depth 0 after the roots; a circle of parents is cut at its earliest span.
pub(crate) fn waterfall(mut spans: Vec<Span>) -> Vec<view::Span> {
    spans.sort_by_key(|span| span.start);
    let tree = Tree::new(&spans);
    let mut order = Vec::with_capacity(spans.len());
    let mut placed = vec![false; spans.len()];
    for top in tree
        .roots
        .iter()
        .chain(&tree.orphans)
        .copied()
        .chain(0..spans.len())
    {
        tree.place(top, &mut placed, &mut order);
    }
    let start = spans.first().map_or(0, |span| span.start);
    let row = |(at, depth): (usize, u32)| {
        let children = tree.children.get(&at).map_or(&[][..], Vec::as_slice);
        let below: u64 = children
            .iter()
            .map(|child| positive(spans[*child].duration))
            .sum();
        let mut row = span_row(&spans[at], start);
        row.depth = depth;
        row.parent_missing = tree.orphans.contains(&at);
        row.self_ns = row.duration_ns.saturating_sub(below);
        row
    };
    order.into_iter().map(row).collect()
}

/// From the first start to the last end.
pub(crate) fn extent_ns(spans: &[view::Span]) -> u64 {
    spans
        .iter()
        .map(|span| span.offset_ns.saturating_add(span.duration_ns))
        .max()
        .unwrap_or(0)
}

struct Tree {
    roots: Vec<usize>,
    orphans: std::collections::BTreeSet<usize>,
    children: HashMap<usize, Vec<usize>>,
}

impl Tree {
    fn new(spans: &[Span]) -> Tree {
        let mut by_id: HashMap<u64, usize> = HashMap::with_capacity(spans.len());
        for (at, span) in spans.iter().enumerate() {
            by_id.entry(span.span_id).or_insert(at);
        }
        let mut tree = Tree {
            roots: Vec::new(),
            orphans: Default::default(),
            children: HashMap::new(),
        };
        for (at, span) in spans.iter().enumerate() {
            match by_id.get(&span.parent_id) {
                _ if span.parent_id == 0 || span.parent_id == span.span_id => tree.roots.push(at),
                Some(parent) => tree.children.entry(*parent).or_default().push(at),
                None => drop(tree.orphans.insert(at)),
            }
        }
        tree
    }

    /// Without recursion: a trace may be one chain of 20,000 spans.
    fn place(&self, top: usize, placed: &mut [bool], order: &mut Vec<(usize, u32)>) {
        let mut waiting = vec![(top, 0)];
        while let Some((at, depth)) = waiting.pop() {
            if std::mem::replace(&mut placed[at], true) {
                continue;
            }
            order.push((at, depth));
            let children = self.children.get(&at).map_or(&[][..], Vec::as_slice);
            waiting.extend(children.iter().rev().map(|child| (*child, depth + 1)));
        }
    }
}

fn span_row(span: &Span, trace_start: i64) -> view::Span {
    let mut meta: Vec<(String, String)> = span
        .meta
        .iter()
        .filter(|(key, _)| key != "error.stack")
        .cloned()
        .collect();
    meta.sort();
    let mut metrics = span.metrics.clone();
    metrics.sort_by(|a, b| a.0.cmp(&b.0));
    let message = match span.tag("error.message") {
        "" => span.tag("error.msg"),
        message => message,
    };
    view::Span {
        span_id: span.span_id.to_string(),
        parent_id: span.parent_id.to_string(),
        service: span.service.clone(),
        name: span.name.clone(),
        resource: span.resource.clone(),
        kind: span.kind.clone(),
        offset_ns: span.start.abs_diff(trace_start),
        duration_ns: positive(span.duration),
        error: span.error != 0,
        meta,
        metrics,
        error_type: span.tag("error.type").to_string(),
        error_message: message.to_string(),
        error_stack: span.tag("error.stack").to_string(),
        ..view::Span::default()
    }
}

/// The Agent turns a negative duration into 0.
pub(crate) fn positive(ns: i64) -> u64 {
    u64::try_from(ns).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Span id, parent id, start, duration.
    type Given = (u64, u64, i64, i64);
    /// Span id, depth, parent missing, self time.
    type Shown<'a> = (&'a str, u32, bool, u64);

    #[track_caller]
    fn check(rule: &str, given: &[Given], expected: &[Shown<'_>]) {
        let span = |(span_id, parent_id, start, duration): &Given| Span {
            span_id: *span_id,
            parent_id: *parent_id,
            start: *start,
            duration: *duration,
            ..Span::default()
        };
        let rows = waterfall(given.iter().map(span).collect());
        let shown: Vec<Shown<'_>> = rows
            .iter()
            .map(|row| (&*row.span_id, row.depth, row.parent_missing, row.self_ns))
            .collect();
        assert_eq!(shown, expected, "{rule}");
    }

    #[test]
    fn spans_stand_in_waterfall_order() {
        check("none", &[], &[]);
        check("one", &[(1, 0, 5, 9)], &[("1", 0, false, 9)]);
        check(
            "children after parents, siblings by start, whatever came first",
            &[(3, 1, 20, 5), (4, 2, 12, 1), (2, 1, 10, 5), (1, 0, 0, 30)],
            &[
                ("1", 0, false, 20),
                ("2", 1, false, 4),
                ("4", 2, false, 1),
                ("3", 1, false, 5),
            ],
        );
        check(
            "an orphan and its child come after the root",
            &[(5, 9, 0, 4), (6, 5, 1, 1), (1, 0, 3, 2)],
            &[("1", 0, false, 2), ("5", 0, true, 3), ("6", 1, false, 1)],
        );
        check(
            "a circle is cut at its earliest span",
            &[(1, 2, 1, 3), (2, 1, 0, 3)],
            &[("2", 0, false, 0), ("1", 1, false, 0)],
        );
        check("its own parent", &[(1, 1, 0, 3)], &[("1", 0, false, 3)]);
        check(
            "longer children than the parent",
            &[(1, 0, 0, 3), (2, 1, 0, 9)],
            &[("1", 0, false, 0), ("2", 1, false, 9)],
        );
        check("negative duration", &[(1, 0, 0, -3)], &[("1", 0, false, 0)]);
        check(
            "one id twice",
            &[(1, 0, 0, 3), (1, 0, 1, 3)],
            &[("1", 0, false, 3), ("1", 0, false, 3)],
        );
        check(
            "start at both ends of time",
            &[(1, 0, i64::MIN, 1), (2, 1, i64::MAX, i64::MAX)],
            &[("1", 0, false, 0), ("2", 1, false, i64::MAX as u64)],
        );
    }

    #[test]
    fn a_chain_of_twenty_thousand_is_no_deep_recursion() {
        let chain = (1..=20_000).map(|id| Span {
            span_id: id,
            parent_id: id - 1,
            start: id as i64,
            ..Span::default()
        });
        assert_eq!(waterfall(chain.collect()).last().unwrap().depth, 19_999);
    }
}
