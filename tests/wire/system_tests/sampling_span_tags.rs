//! What spans say about how their trace was decided: the cases of DataDog/system-tests,
//! `tests/parametric/test_sampling_span_tags.py`.
//!
//! Left out: `test_tags_appsec_enabled_sst011`, since there is no AppSec here.
//!
//! Where that file asks for what few public tracers do (their manifests list most of these cases as known
//! bugs), the tests here hold what dd-trace-go and dd-trace-py do, and say so: a dropped
//! trace names no decision maker (sst001, 004, 006), the limiter's rate is told whenever it was asked (sst003,
//! 005) and only then (sst009), a limit of 0 keeps none (sst008), and a limit without rate or rules limits
//! nothing (sst010, against which stands `test_trace_rate_limit_without_trace_sample_rate`).

use testapi::agent::decode::Span;
use testapi::trace::{self, EntryOptions};

use crate::wire::rig::{Rig, caller_of};

const ENTRY: &str = "checkout";

/// What the first span says: decision maker, priority, and the rates of rule, Agent and limiter.
#[derive(Debug, PartialEq)]
struct Said<'a> {
    maker: &'a str,
    priority: f64,
    rule: Option<f64>,
    agent: Option<f64>,
    limit: Option<f64>,
}

/// A trace of an entry and a child; the child may say a word on the whole. Entry and child, as sent.
#[track_caller]
fn sent(env: &[(&str, &str)], child_says: &str) -> [Span; 2] {
    let rig = Rig::of(env);
    let entry = rig.tracer.enter(EntryOptions {
        name: ENTRY.into(),
        ..EntryOptions::default()
    });
    let mut child = trace::span("pay");
    if !child_says.is_empty() {
        child.set_meta(child_says, "1");
    }
    child.finish();
    entry.finish();
    let mut chunks = rig.chunks();
    assert_eq!(chunks.len(), 1);
    chunks
        .remove(0)
        .try_into()
        .unwrap_or_else(|spans| panic!("two spans: {spans:?}"))
}

#[track_caller]
fn check(env: &[(&str, &str)], child_says: &str, said: &Said<'_>) {
    let [first, child] = sent(env, child_says);
    assert_eq!(first.name, ENTRY);
    let seen = Said {
        maker: first.tag("_dd.p.dm"),
        priority: first.metric("_sampling_priority_v1").unwrap(),
        rule: first.metric("_dd.rule_psr"),
        agent: first.metric("_dd.agent_psr"),
        limit: first.metric("_dd.limit_psr"),
    };
    assert_eq!(&seen, said, "{env:?} {child_says}");
    assert_eq!(child.tag("_dd.p.dm"), "", "only the first span says it");
    for key in ["_dd.rule_psr", "_dd.agent_psr", "_dd.limit_psr"] {
        assert_eq!(
            child.metric(key),
            None,
            "{key}: only the first span says it"
        );
    }
}

const RATE_1: (&str, &str) = ("DD_TRACE_SAMPLE_RATE", "1");
const UNSAID: Said<'static> = Said {
    maker: "",
    priority: 0.0,
    rule: None,
    agent: None,
    limit: None,
};

#[test]
fn test_tags_child_dropped_sst001() {
    check(
        &[RATE_1],
        "manual.drop",
        &Said {
            priority: -1.0,
            ..UNSAID
        },
    );
}

#[test]
fn test_tags_child_kept_sst007() {
    check(
        &[RATE_1],
        "manual.keep",
        &Said {
            maker: "-4",
            priority: 2.0,
            ..UNSAID
        },
    );
}

#[test]
fn test_tags_defaults_sst002() {
    check(
        &[],
        "",
        &Said {
            maker: "-0",
            priority: 1.0,
            agent: Some(1.0),
            ..UNSAID
        },
    );
}

#[test]
fn test_tags_defaults_rate_1_sst003() {
    let said = Said {
        maker: "-3",
        priority: 2.0,
        rule: Some(1.0),
        limit: Some(1.0),
        ..UNSAID
    };
    check(&[RATE_1], "", &said);
}

#[test]
fn test_tags_defaults_rate_tiny_sst004() {
    let tiny = ("DD_TRACE_SAMPLE_RATE", "2e-15");
    check(
        &[tiny],
        "",
        &Said {
            priority: -1.0,
            rule: Some(2e-15),
            ..UNSAID
        },
    );
}

#[test]
fn test_tags_defaults_rate_1_and_rule_1_sst005() {
    let rule = ("DD_TRACE_SAMPLING_RULES", r#"[{"sample_rate":1}]"#);
    let said = Said {
        maker: "-3",
        priority: 2.0,
        rule: Some(1.0),
        limit: Some(1.0),
        ..UNSAID
    };
    check(&[RATE_1, rule], "", &said);
}

const RULE_0: (&str, &str) = ("DD_TRACE_SAMPLING_RULES", r#"[{"sample_rate":0}]"#);

#[test]
fn test_tags_defaults_rate_1_and_rule_0_sst006() {
    check(
        &[RATE_1, RULE_0],
        "",
        &Said {
            priority: -1.0,
            rule: Some(0.0),
            ..UNSAID
        },
    );
}

#[test]
fn test_tags_defaults_rate_1_and_rate_limit_0_sst008() {
    let none = ("DD_TRACE_RATE_LIMIT", "0");
    let said = Said {
        priority: -1.0,
        rule: Some(1.0),
        limit: Some(0.0),
        ..UNSAID
    };
    check(&[RATE_1, none], "", &said);
}

#[test]
fn test_tags_defaults_rate_1_and_rate_limit_3_and_rule_0_sst009() {
    let three = ("DD_TRACE_RATE_LIMIT", "3");
    check(
        &[RATE_1, three, RULE_0],
        "",
        &Said {
            priority: -1.0,
            rule: Some(0.0),
            ..UNSAID
        },
    );
}

#[test]
fn test_tags_defaults_rate_1_and_rate_limit_3_sst010() {
    let three = ("DD_TRACE_RATE_LIMIT", "3");
    check(
        &[three],
        "",
        &Said {
            maker: "-0",
            priority: 1.0,
            agent: Some(1.0),
            ..UNSAID
        },
    );
}

/// One span under these rules.
#[track_caller]
fn one_under(rules: &str) -> Span {
    let rig = Rig::of(&[("DD_TRACE_SAMPLING_RULES", rules)]);
    rig.tracer
        .enter(EntryOptions {
            name: ENTRY.into(),
            ..EntryOptions::default()
        })
        .finish();
    rig.chunks().remove(0).remove(0)
}

#[test]
fn test_sampling_knuth_sample_rate_trace_sampling_rule() {
    for (rate, text) in [
        ("1.0", "1"),
        ("0.250", "0.25"),
        ("0.000001", "0.000001"),
        ("0.0000004", "0"),
        ("0.0000006", "0.000001"),
        ("0.1234567", "0.123457"),
    ] {
        let span = one_under(&format!(r#"[{{"sample_rate":{rate}}}]"#));
        assert_eq!(span.tag("_dd.p.ksr"), text, "{rate}");
    }
}

/// A caller's context goes through a trace with a child, and on; the entry span and the headers behind it.
#[track_caller]
fn through(env: &[(&str, &str)], headers: &[(&str, &str)]) -> (Span, Vec<(&'static str, String)>) {
    let rig = Rig::of(env);
    let caller = caller_of(&rig.tracer, headers);
    let entry = rig.tracer.enter(EntryOptions {
        name: ENTRY.into(),
        caller,
        ..EntryOptions::default()
    });
    let headers = trace::headers();
    entry.finish();
    (rig.chunks().remove(0).remove(0), headers)
}

fn value<'a>(headers: &'a [(&'static str, String)], name: &str) -> &'a str {
    let found = headers.iter().find(|(header, _)| *header == name);
    found.map_or("", |(_, value)| value)
}

#[test]
fn test_sampling_extract_knuth_sample_rate_distributed_tracing_datadog() {
    let style = ("DD_TRACE_PROPAGATION_STYLE", "datadog");
    let half = ("DD_TRACE_SAMPLING_RULES", r#"[{"sample_rate":0.5}]"#);
    for env in [&[style][..], &[style, half]] {
        let headers = [
            ("x-datadog-trace-id", "24680"),
            ("x-datadog-parent-id", "13579"),
            ("x-datadog-sampling-priority", "2"),
            ("x-datadog-origin", "rum"),
            ("x-datadog-tags", "_dd.p.dm=-3,_dd.p.ksr=0.750000"),
        ];
        let (span, headers) = through(env, &headers);
        assert_eq!((span.trace_id, span.parent_id), (24_680, 13_579));
        assert_eq!(
            (span.tag("_dd.p.dm"), span.tag("_dd.p.ksr")),
            ("-3", "0.750000")
        );
        assert_eq!(span.metric("_sampling_priority_v1"), Some(2.0));
        let tags = value(&headers, "x-datadog-tags");
        assert!(
            tags.split(',').any(|tag| tag == "_dd.p.ksr=0.750000"),
            "as it came: {tags}"
        );
    }
}

#[test]
fn test_sampling_extract_knuth_sample_rate_distributed_tracing_tracecontext() {
    let headers = [
        (
            "traceparent",
            "00-0000000000000000000000000000002a-0000000000000015-01",
        ),
        ("tracestate", "dd=s:2;o:rum;t.dm:-1;t.ksr:0.25"),
    ];
    let (span, headers) = through(&[("DD_TRACE_PROPAGATION_STYLE", "tracecontext")], &headers);
    assert_eq!((span.trace_id, span.parent_id), (42, 21));
    assert_eq!(
        (span.tag("_dd.p.dm"), span.tag("_dd.p.ksr")),
        ("-1", "0.25")
    );
    assert_eq!(span.metric("_sampling_priority_v1"), Some(2.0));
    let state = value(&headers, "tracestate");
    assert!(state.contains("t.ksr:0.25"), "{state}");
}

#[test]
fn test_sampling_knuth_sample_rate_not_set_for_default() {
    let rig = Rig::of(&[]);
    rig.tracer
        .enter(EntryOptions {
            name: ENTRY.into(),
            ..EntryOptions::default()
        })
        .finish();
    let span = rig.chunks().remove(0).remove(0);
    assert_eq!(span.tag("_dd.p.ksr"), "", "nobody has told a rate yet");
    // The answer to that payload told one.
    rig.tracer
        .enter(EntryOptions {
            name: ENTRY.into(),
            ..EntryOptions::default()
        })
        .finish();
    let span = rig.chunks().remove(0).remove(0);
    assert_eq!((span.tag("_dd.p.dm"), span.tag("_dd.p.ksr")), ("-1", "1"));
}
