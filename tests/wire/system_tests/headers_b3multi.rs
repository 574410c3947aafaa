//! B3 in several headers: the cases of DataDog/system-tests, `tests/parametric/test_headers_b3multi.py`.

use super::hop::Hop;

type Env = &'static [(&'static str, &'static str)];

const MULTI: Env = &[
    ("DD_TRACE_PROPAGATION_STYLE_EXTRACT", "b3multi"),
    ("DD_TRACE_PROPAGATION_STYLE_INJECT", "b3multi"),
];

const CALLER: &[(&str, &str)] = &[
    ("x-b3-traceid", "0000000000000000000000003b9aca07"),
    ("x-b3-spanid", "00000000ee6b2807"),
    ("x-b3-sampled", "1"),
];
const NOBODY: &[(&str, &str)] = &[
    ("x-b3-traceid", "0"),
    ("x-b3-spanid", "0"),
    ("x-b3-sampled", "1"),
];

/// That `x-b3-*` is all that goes out, and tells the span.
#[track_caller]
fn tells_its_span(hop: &Hop) {
    assert_eq!(hop.names(), ["x-b3-traceid", "x-b3-spanid", "x-b3-sampled"]);
    let [trace, span, sampled] = [0, 1, 2].map(|at| hop.header(hop.names()[at]).unwrap());
    assert!(matches!((trace.len(), span.len()), (16 | 32, 16)));
    let id = |text: &str| u64::from_str_radix(text, 16).unwrap();
    let low = &trace[trace.len() - 16..];
    assert_eq!((id(low), id(span)), (hop.span.trace_id, hop.span.span_id));
    assert_eq!(sampled == "1", hop.priority() > 0.0);
    assert_eq!(hop.span.tag("_dd.origin"), "");
}

#[track_caller]
fn propagates_valid(env: Env) {
    let hop = Hop::of(env, CALLER);
    tells_its_span(&hop);
    assert_eq!(hop.span.parent_id, 4_000_000_007);
    assert_eq!(hop.header("x-b3-traceid"), Some("000000003b9aca07"));
    assert_eq!(hop.header("x-b3-sampled"), Some("1"));
}

#[test]
fn test_headers_b3multi_extract_valid() {
    let hop = Hop::of(MULTI, CALLER);
    assert_eq!(
        (hop.span.trace_id, hop.span.parent_id),
        (1_000_000_007, 4_000_000_007)
    );
    assert_eq!((hop.priority(), hop.span.tag("_dd.origin")), (1.0, ""));
}

#[test]
fn test_headers_b3multi_extract_invalid() {
    let Hop { span, .. } = Hop::of(MULTI, NOBODY);
    assert_ne!(span.trace_id, 0);
    assert_eq!((span.parent_id, span.tag("_dd.origin")), (0, ""));
}

#[test]
fn test_headers_b3multi_inject_valid() {
    tells_its_span(&Hop::of(MULTI, &[]));
}

#[test]
fn test_headers_b3multi_propagate_valid() {
    propagates_valid(MULTI);
}

#[test]
fn test_headers_b3multi_propagate_invalid() {
    tells_its_span(&Hop::of(MULTI, NOBODY));
}

#[test]
fn test_headers_b3multi_single_key_propagate_valid() {
    propagates_valid(&[("DD_TRACE_PROPAGATION_STYLE", "b3multi")]);
}

#[test]
fn test_headers_b3multi_case_insensitive_propagate_valid() {
    propagates_valid(&[
        ("DD_TRACE_PROPAGATION_STYLE_EXTRACT", "B3MULTI"),
        ("DD_TRACE_PROPAGATION_STYLE_INJECT", "b3multi"),
    ]);
    propagates_valid(&[("DD_TRACE_PROPAGATION_STYLE", "B3multi")]);
}
