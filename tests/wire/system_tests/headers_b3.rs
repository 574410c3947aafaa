//! B3 in one header: the cases of DataDog/system-tests, `tests/parametric/test_headers_b3.py`.

use super::hop::Hop;

type Env = &'static [(&'static str, &'static str)];

const OLD_NAME: Env = &[
    ("DD_TRACE_PROPAGATION_STYLE_EXTRACT", "B3 single header"),
    ("DD_TRACE_PROPAGATION_STYLE_INJECT", "B3 single header"),
];
const OLD_NAME_ONCE: Env = &[("DD_TRACE_PROPAGATION_STYLE", "B3 single header")];
const NAME: Env = &[
    ("DD_TRACE_PROPAGATION_STYLE_EXTRACT", "b3"),
    ("DD_TRACE_PROPAGATION_STYLE_INJECT", "b3"),
];
const NAME_ONCE: Env = &[("DD_TRACE_PROPAGATION_STYLE", "b3")];

const CALLER: &[(&str, &str)] = &[("b3", "0000000000000000000000003b9aca07-00000000ee6b2807-1")];
const NOBODY: &[(&str, &str)] = &[("b3", "0-0-1")];

/// That `b3` is all that goes out, and tells the span.
#[track_caller]
fn tells_its_span(hop: &Hop) {
    assert_eq!(hop.names(), ["b3"]);
    let value = hop.header("b3").unwrap();
    let parts: Vec<&str> = value.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    assert!(matches!(*lengths, [16 | 32, 16, 1]), "{value}");
    let id = |text: &str| u64::from_str_radix(text, 16).unwrap();
    let low = &parts[0][parts[0].len() - 16..];
    assert_eq!(
        (id(low), id(parts[1])),
        (hop.span.trace_id, hop.span.span_id)
    );
    assert_eq!(parts[2] == "1", hop.priority() > 0.0);
    assert_eq!(hop.span.tag("_dd.origin"), "");
}

#[track_caller]
fn extracts_valid(env: Env) {
    let hop = Hop::of(env, CALLER);
    assert_eq!(
        (hop.span.trace_id, hop.span.parent_id),
        (1_000_000_007, 4_000_000_007)
    );
    assert_eq!((hop.priority(), hop.span.tag("_dd.origin")), (1.0, ""));
}

#[track_caller]
fn extracts_nothing_invalid(env: Env) {
    let Hop { span, .. } = Hop::of(env, NOBODY);
    assert_ne!(span.trace_id, 0);
    assert_eq!((span.parent_id, span.tag("_dd.origin")), (0, ""));
}

#[track_caller]
fn propagates_valid(env: Env) {
    let hop = Hop::of(env, CALLER);
    tells_its_span(&hop);
    let span = hop.span.span_id;
    assert_eq!(
        hop.header("b3"),
        Some(&*format!("000000003b9aca07-{span:016x}-1"))
    );
}

#[test]
fn test_headers_b3_extract_valid() {
    extracts_valid(OLD_NAME);
}

#[test]
fn test_headers_b3_extract_invalid() {
    extracts_nothing_invalid(OLD_NAME);
}

#[test]
fn test_headers_b3_inject_valid() {
    tells_its_span(&Hop::of(OLD_NAME, &[]));
}

#[test]
fn test_headers_b3_propagate_valid() {
    propagates_valid(OLD_NAME);
}

#[test]
fn test_headers_b3_propagate_invalid() {
    tells_its_span(&Hop::of(OLD_NAME, NOBODY));
}

#[test]
fn test_headers_b3_single_key_propagate_valid() {
    propagates_valid(OLD_NAME_ONCE);
}

#[test]
fn test_headers_b3_migrated_extract_valid() {
    extracts_valid(NAME);
}

#[test]
fn test_headers_b3_migrated_extract_invalid() {
    extracts_nothing_invalid(NAME);
}

#[test]
fn test_headers_b3_migrated_inject_valid() {
    tells_its_span(&Hop::of(NAME, &[]));
}

#[test]
fn test_headers_b3_migrated_propagate_valid() {
    propagates_valid(NAME);
}

#[test]
fn test_headers_b3_migrated_propagate_invalid() {
    tells_its_span(&Hop::of(NAME, NOBODY));
}

#[test]
fn test_headers_b3_migrated_single_key_propagate_valid() {
    propagates_valid(NAME_ONCE);
}
