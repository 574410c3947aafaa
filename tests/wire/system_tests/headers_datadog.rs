//! Datadog's own headers: the cases of DataDog/system-tests, `tests/parametric/test_headers_datadog.py`.

#![expect(non_snake_case, reason = "named as theirs")]

use super::hop::Hop;

const CALLER: &[(&str, &str)] = &[
    ("x-datadog-trace-id", "5550123456789"),
    ("x-datadog-parent-id", "7770123456789"),
    ("x-datadog-sampling-priority", "2"),
    ("x-datadog-origin", "synthetics;=web,z"),
    ("x-datadog-tags", "_dd.p.dm=-4"),
];

/// Ids that are none.
const NOBODY: &[(&str, &str)] = &[
    ("x-datadog-trace-id", "0"),
    ("x-datadog-parent-id", "0"),
    ("x-datadog-sampling-priority", "2"),
    ("x-datadog-origin", "synthetics"),
    ("x-datadog-tags", "_dd.p.dm=-4"),
];

#[test]
fn test_distributed_headers_extract_datadog_D001() {
    let Hop { span, .. } = Hop::of(&[], CALLER);
    assert_eq!(
        (span.trace_id, span.parent_id),
        (5_550_123_456_789, 7_770_123_456_789)
    );
    assert_eq!(span.tag("_dd.origin"), "synthetics;=web,z");
    assert_eq!(span.tag("_dd.p.dm"), "-4");
    assert_eq!(span.metric("_sampling_priority_v1"), Some(2.0));
}

#[test]
fn test_distributed_headers_extract_datadog_invalid_D002() {
    let Hop { span, .. } = Hop::of(&[], NOBODY);
    assert_ne!(span.trace_id, 0);
    assert_eq!(span.parent_id, 0);
    assert_eq!((span.tag("_dd.origin"), span.tag("_dd.p.dm")), ("", "-0"));
    assert_eq!(span.metric("_sampling_priority_v1"), Some(1.0));
}

#[test]
fn test_distributed_headers_inject_datadog_D003() {
    let hop = Hop::of(&[], &[]);
    hop.tells_its_span();
    assert_eq!(
        hop.number("x-datadog-sampling-priority") as f64,
        hop.priority()
    );
}

#[test]
fn test_distributed_headers_propagate_datadog_D004() {
    let hop = Hop::of(&[], CALLER);
    hop.tells_its_span();
    assert_eq!(hop.header("x-datadog-trace-id"), Some("5550123456789"));
    assert_ne!(hop.header("x-datadog-parent-id"), Some("7770123456789"));
    assert_eq!(hop.header("x-datadog-sampling-priority"), Some("2"));
    assert_eq!(hop.header("x-datadog-origin"), Some("synthetics;=web,z"));
    assert_eq!(hop.tags(), ["_dd.p.dm=-4"]);
}

#[test]
fn test_distributed_headers_extractandinject_datadog_invalid_D005() {
    let hop = Hop::of(&[], NOBODY);
    hop.tells_its_span();
    assert_eq!(hop.header("x-datadog-sampling-priority"), Some("1"));
    assert_eq!(hop.header("x-datadog-origin"), None);
    assert!(!hop.tags().contains(&"_dd.p.dm=-4"), "{:?}", hop.tags());
}
