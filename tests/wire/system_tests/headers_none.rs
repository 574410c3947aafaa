//! No headers at all: the cases of DataDog/system-tests, `tests/parametric/test_headers_none.py`.

use super::hop::Hop;

const NONE: &[(&str, &str)] = &[
    ("DD_TRACE_PROPAGATION_STYLE_EXTRACT", "none"),
    ("DD_TRACE_PROPAGATION_STYLE_INJECT", "none"),
];
const NONE_AND_DATADOG: &[(&str, &str)] = &[
    ("DD_TRACE_PROPAGATION_STYLE_EXTRACT", "none,Datadog"),
    ("DD_TRACE_PROPAGATION_STYLE_INJECT", "none,Datadog"),
];
const CALLER: &[(&str, &str)] = &[
    ("x-datadog-trace-id", "20202020"),
    ("x-datadog-parent-id", "30303030"),
    ("x-datadog-sampling-priority", "2"),
    ("x-datadog-origin", "synthetics"),
    ("x-datadog-tags", "_dd.p.dm=-4"),
];

#[track_caller]
fn knows_no_caller(hop: &Hop) {
    let span = &hop.span;
    assert_ne!(span.trace_id, 20_202_020);
    assert_eq!(span.parent_id, 0);
    assert_eq!((span.tag("_dd.origin"), span.tag("_dd.p.dm")), ("", "-0"));
    assert_eq!(hop.priority(), 1.0);
}

#[test]
fn test_headers_none_extract() {
    knows_no_caller(&Hop::of(NONE, CALLER));
}

#[test]
fn test_headers_none_extract_with_other_propagators() {
    let hop = Hop::of(NONE_AND_DATADOG, CALLER);
    let span = &hop.span;
    assert_eq!((span.trace_id, span.parent_id), (20_202_020, 30_303_030));
    assert_eq!(
        (span.tag("_dd.origin"), span.tag("_dd.p.dm")),
        ("synthetics", "-4")
    );
    assert_eq!(hop.priority(), 2.0);
}

#[test]
fn test_headers_none_inject() {
    assert_eq!(Hop::of(NONE, &[]).names(), Vec::<&str>::new());
}

#[test]
fn test_headers_none_inject_with_other_propagators() {
    let hop = Hop::of(NONE_AND_DATADOG, &[]);
    hop.tells_its_span();
    assert_eq!(
        hop.number("x-datadog-sampling-priority") as f64,
        hop.priority()
    );
    let foreign = |name: &&str| !name.starts_with("x-datadog-");
    assert!(!hop.names().iter().any(foreign), "{:?}", hop.names());
}

#[test]
fn test_headers_none_propagate() {
    let hop = Hop::of(NONE, CALLER);
    knows_no_caller(&hop);
    assert_eq!(hop.names(), Vec::<&str>::new());
}

#[test]
fn test_headers_none_single_key_propagate() {
    let hop = Hop::of(&[("DD_TRACE_PROPAGATION_STYLE", "none")], CALLER);
    knows_no_caller(&hop);
    assert_eq!(hop.names(), Vec::<&str>::new());
}
