//! A person's word over every other: the case of DataDog/system-tests,
//! `tests/parametric/test_sampling_manual.py`, and those of `tests/test_sampling_manual.py`, whose weblog is
//! our own API here.

use testapi::agent::decode::Span;
use testapi::trace::{self, EntryOptions};

use crate::wire::rig::{Rig, caller_of};

/// A trace whose caller decided, and that is then kept or dropped by hand; with the headers that leave it.
#[track_caller]
fn by_hand(caller: &str, keep: bool) -> (Span, Vec<(&'static str, String)>) {
    let rig = Rig::of(&[
        ("DD_TRACE_PROPAGATION_STYLE", "datadog"),
        ("DD_TRACE_SAMPLE_RATE", "0"),
        ("DD_TRACE_SAMPLING_RULES", r#"[{"sample_rate":0}]"#),
    ]);
    let headers = [
        ("x-datadog-trace-id", "9988776655443322110"),
        ("x-datadog-parent-id", "5566"),
        ("x-datadog-sampling-priority", caller),
    ];
    let caller = caller_of(&rig.tracer, &headers);
    let mut entry = rig.tracer.enter(EntryOptions {
        name: "order.create".into(),
        caller,
        ..EntryOptions::default()
    });
    if keep {
        entry.keep_trace();
    } else {
        entry.drop_trace();
    }
    let headers = trace::headers();
    entry.finish();
    let mut chunks = rig.chunks();
    assert_eq!(chunks.len(), 1);
    let span = chunks.remove(0).remove(0);
    assert_eq!(
        (span.trace_id, span.parent_id),
        (9_988_776_655_443_322_110, 5_566)
    );
    (span, headers)
}

#[test]
fn test_sampling_manual_keep() {
    let (span, _) = by_hand("0", true);
    assert_eq!(span.metric("_sampling_priority_v1"), Some(2.0));
    assert_eq!(span.tag("_dd.p.dm"), "-4");
    assert_eq!(
        span.metric("_dd.rule_psr"),
        None,
        "no rate had a part in it"
    );
}

#[test]
fn test_manual_keep_overrides_upstream_drop() {
    let (span, headers) = by_hand("0", true);
    assert_eq!(span.metric("_sampling_priority_v1"), Some(2.0));
    assert!(
        headers.contains(&("x-datadog-sampling-priority", "2".into())),
        "{headers:?}"
    );
}

#[test]
fn test_manual_drop_overrides_upstream_keep() {
    let (span, headers) = by_hand("2", false);
    assert_eq!(span.metric("_sampling_priority_v1"), Some(-1.0));
    assert!(
        headers.contains(&("x-datadog-sampling-priority", "-1".into())),
        "{headers:?}"
    );
}
