//! Spans that leave before their trace ends: the cases of DataDog/system-tests,
//! `tests/parametric/test_partial_flushing.py`.

use testapi::agent::decode::Span;
use testapi::trace::{self, EntryOptions};

use crate::wire::rig::Rig;

/// A trace with these children, one after the other: what has left before its end, and what leaves then.
#[track_caller]
fn flushed(env: &[(&str, &str)], children: &[&'static str]) -> [Vec<Vec<Span>>; 2] {
    let rig = Rig::of(env);
    let entry = rig.tracer.enter(EntryOptions {
        name: "import".into(),
        ..EntryOptions::default()
    });
    children.iter().for_each(|name| trace::span(*name).finish());
    let early = rig.chunks();
    entry.finish();
    [early, rig.chunks()]
}

fn names(chunk: &[Span]) -> Vec<&str> {
    chunk.iter().map(|span| span.name.as_str()).collect()
}

#[track_caller]
fn leaves_early(env: &[(&str, &str)]) {
    let [early, late] = flushed(env, &["row"]);
    assert_eq!((early.len(), late.len()), (1, 1), "{env:?}");
    assert_eq!(
        (names(&early[0]), names(&late[0])),
        (vec!["row"], vec!["import"])
    );
    let (child, root) = (&early[0][0], &late[0][0]);
    assert_eq!(
        (child.trace_id, child.parent_id),
        (root.trace_id, root.span_id)
    );
    assert_eq!(child.metric("_sampling_priority_v1"), Some(1.0));
    for key in ["_dd.p.tid", "_dd.p.dm"] {
        assert!(!child.tag(key).is_empty(), "{key}");
        assert_eq!(child.tag(key), root.tag(key), "{key}");
    }
}

#[track_caller]
fn leaves_whole(env: &[(&str, &str)]) {
    let [early, late] = flushed(env, &["row"]);
    assert_eq!(early, Vec::<Vec<Span>>::new(), "{env:?}");
    assert_eq!(
        late.iter().map(|chunk| names(chunk)).collect::<Vec<_>>(),
        [["import", "row"]]
    );
}

const EACH_SPAN: (&str, &str) = ("DD_TRACE_PARTIAL_FLUSH_MIN_SPANS", "1");

#[test]
fn test_partial_flushing_one_span() {
    leaves_early(&[EACH_SPAN, ("DD_TRACE_PARTIAL_FLUSH_ENABLED", "true")]);
}

#[test]
fn test_partial_flushing_one_span_default() {
    leaves_early(&[EACH_SPAN]);
}

#[test]
fn test_partial_flushing_propagation_tags() {
    let env = [
        ("DD_TRACE_128_BIT_TRACEID_GENERATION_ENABLED", "true"),
        ("DD_TRACE_PARTIAL_FLUSH_ENABLED", "true"),
        ("DD_TRACE_PARTIAL_FLUSH_MIN_SPANS", "3"),
        ("DD_TRACE_SAMPLE_RATE", "1"),
    ];
    let [early, late] = flushed(&env, &["row 1", "row 2", "row 3", "row 4"]);
    assert_eq!((early.len(), late.len()), (1, 1));
    let mut rows = names(&early[0]);
    rows.sort_unstable();
    assert_eq!(rows, ["row 1", "row 2", "row 3"]);
    assert_eq!(
        names(&late[0]),
        ["import", "row 4"],
        "the root is first where it is there"
    );
    for chunk in [&early[0], &late[0]] {
        assert_eq!(chunk[0].metric("_sampling_priority_v1"), Some(2.0));
        assert_eq!(chunk[0].tag("_dd.p.tid").len(), 16);
        assert_eq!(chunk[0].tag("_dd.p.dm"), "-3");
        for later in &chunk[1..] {
            assert_eq!(
                (later.tag("_dd.p.dm"), later.tag("_dd.p.tid")),
                ("", ""),
                "{}",
                later.name
            );
        }
    }
}

#[test]
fn test_partial_flushing_under_limit_one_payload() {
    let five = ("DD_TRACE_PARTIAL_FLUSH_MIN_SPANS", "5");
    leaves_whole(&[five, ("DD_TRACE_PARTIAL_FLUSH_ENABLED", "true")]);
}

#[test]
fn test_partial_flushing_disabled() {
    leaves_whole(&[EACH_SPAN, ("DD_TRACE_PARTIAL_FLUSH_ENABLED", "false")]);
}
