//! Spans kept out of dropped traces: the cases of DataDog/system-tests,
//! `tests/parametric/test_span_sampling.py`.
//!
//! Left out: `test_keep_span_with_stats_computation_sss010` and the three of the dropping policy
//! (`..._policy_is_active016`, `017`, `018`). They are about tracers that compute statistics and then drop
//! traces themselves; ours leaves both to the Agent.

use testapi::agent::decode::Span;
use testapi::trace::{self, EntryOptions};

use crate::wire::rig::{Rig, caller_of};

/// All traces are dropped, but for what span rules say.
fn rig(span_rules: &str) -> Rig {
    rig_at("0", span_rules)
}

fn rig_at(rate: &str, span_rules: &str) -> Rig {
    let rules = format!(r#"[{{"sample_rate":{rate}}}]"#);
    Rig::of(&[
        ("DD_TRACE_SAMPLE_RATE", rate),
        ("DD_TRACE_SAMPLING_RULES", &rules),
        ("DD_SPAN_SAMPLING_RULES", span_rules),
    ])
}

/// A trace of one span.
fn trace_of(rig: &Rig, service: &str, name: &'static str) {
    let mut entry = rig.tracer.enter(EntryOptions {
        name: name.into(),
        ..EntryOptions::default()
    });
    entry.set_service(service);
    entry.finish();
}

#[track_caller]
fn firsts(rig: &Rig) -> Vec<Span> {
    rig.chunks()
        .into_iter()
        .map(|mut chunk| chunk.remove(0))
        .collect()
}

/// What a span says of being kept alone: mechanism, rate, limit.
fn alone(span: &Span) -> [Option<f64>; 3] {
    ["mechanism", "rule_rate", "max_per_second"]
        .map(|key| span.metric(&format!("_dd.span_sampling.{key}")))
}

const NOT_ALONE: [Option<f64>; 3] = [None; 3];

fn kept_alone(max_per_second: Option<f64>) -> [Option<f64>; 3] {
    [Some(8.0), Some(1.0), max_per_second]
}

/// A trace of one span, `mail` `mail.send`, under these span rules.
#[track_caller]
fn check(span_rules: &str, expected: [Option<f64>; 3]) {
    let rig = rig(span_rules);
    trace_of(&rig, "mail", "mail.send");
    let spans = firsts(&rig);
    assert_eq!(
        spans.iter().map(alone).collect::<Vec<_>>(),
        [expected],
        "{span_rules}"
    );
    assert_eq!(
        spans[0].metric("_sampling_priority_v1"),
        Some(-1.0),
        "the trace is dropped all the same"
    );
}

#[test]
fn test_single_rule_match_span_sampling_sss001() {
    check(
        r#"[{"service":"mail","name":"mail.send"}]"#,
        kept_alone(None),
    );
}

#[test]
fn test_special_glob_characters_span_sampling_sss002() {
    check(
        r#"[{"service":"ma*","name":"mail.s?nd"}]"#,
        kept_alone(None),
    );
}

#[test]
fn test_single_rule_no_match_span_sampling_sss003() {
    check(r#"[{"service":"post","name":"post.send"}]"#, NOT_ALONE);
}

#[test]
fn test_single_rule_only_service_pattern_match_span_sampling_sss004() {
    check(r#"[{"service":"mail"}]"#, kept_alone(None));
}

#[test]
fn test_single_rule_only_name_pattern_no_match_span_sampling_sss005() {
    check(r#"[{"name":"mail.receive"}]"#, NOT_ALONE);
}

#[test]
fn test_multi_rule_keep_drop_span_sampling_sss006() {
    let rules = r#"[{"service":"mail","name":"mail.send"},{"service":"mail","name":"mail.send","sample_rate":0}]"#;
    check(rules, kept_alone(None));
}

#[test]
fn test_multi_rule_drop_keep_span_sampling_sss007() {
    let rules = r#"[{"service":"mail","name":"mail.send","sample_rate":0},{"service":"mail","name":"mail.send"}]"#;
    check(rules, NOT_ALONE);
}

#[test]
fn test_single_rule_rate_limiter_span_sampling_sss008() {
    let rig = rig(r#"[{"service":"mail","name":"mail.send","max_per_second":3}]"#);
    (0..5).for_each(|_| trace_of(&rig, "mail", "mail.send"));
    let seen: Vec<_> = firsts(&rig).iter().map(alone).collect();
    let kept = kept_alone(Some(3.0));
    assert_eq!(seen, [kept, kept, kept, NOT_ALONE, NOT_ALONE]);
    rig.hand.advance_ns(1_000_000_000);
    trace_of(&rig, "mail", "mail.send");
    assert_eq!(alone(&firsts(&rig)[0]), kept, "a second later");
}

#[test]
fn test_sampling_rate_not_absolute_value_sss009() {
    let rig = rig(r#"[{"service":"mail","name":"mail.send","sample_rate":0.5}]"#);
    (0..400).for_each(|_| trace_of(&rig, "mail", "mail.send"));
    let spans = firsts(&rig);
    let kept = spans
        .iter()
        .filter(|span| alone(span) == [Some(8.0), Some(0.5), None])
        .count();
    let other = spans.iter().filter(|span| alone(span) == NOT_ALONE).count();
    assert_eq!(kept + other, 400);
    // Seven standard deviations of ten to either side.
    assert!((130..=270).contains(&kept), "{kept}");
}

#[test]
fn test_single_rule_always_keep_span_sampling_sss011() {
    let rig = rig_at(
        "1",
        r#"[{"service":"mail","name":"mail.send","sample_rate":1}]"#,
    );
    let mut entry = rig.tracer.enter(EntryOptions {
        name: "mail.send".into(),
        ..EntryOptions::default()
    });
    entry.set_service("mail");
    entry.set_meta("manual.drop", "true");
    entry.finish();
    let spans = firsts(&rig);
    assert_eq!(
        alone(&spans[0]),
        kept_alone(None),
        "dropped by hand, kept by the rule"
    );
    assert_eq!(spans[0].metric("_sampling_priority_v1"), Some(-1.0));
    trace_of(&rig, "mail", "mail.send");
    let spans = firsts(&rig);
    assert_eq!(alone(&spans[0]), NOT_ALONE, "kept with its trace");
    assert_eq!(spans[0].metric("_sampling_priority_v1"), Some(2.0));
}

#[test]
fn test_single_rule_tracer_always_keep_span_sampling_sss012() {
    let rig = rig_at(
        "1",
        r#"[{"service":"mail","name":"mail.send","sample_rate":0}]"#,
    );
    trace_of(&rig, "mail", "mail.send");
    let spans = firsts(&rig);
    assert_eq!(alone(&spans[0]), NOT_ALONE);
    assert_eq!(
        spans[0].metric("_sampling_priority_v1"),
        Some(2.0),
        "a span rule drops nothing"
    );
}

#[test]
fn test_multi_rule_independent_rate_limiters_sss013() {
    let rig = rig(
        r#"[{"service":"mail","name":"mail.send","max_per_second":2},
            {"service":"post","name":"post.send","max_per_second":1}]"#,
    );
    (0..3).for_each(|_| trace_of(&rig, "mail", "mail.send"));
    (0..3).for_each(|_| trace_of(&rig, "post", "post.send"));
    let seen: Vec<_> = firsts(&rig).iter().map(|span| alone(span)[2]).collect();
    assert_eq!(seen, [Some(2.0), Some(2.0), None, Some(1.0), None, None]);
    rig.hand.advance_ns(2_000_000_000);
    trace_of(&rig, "mail", "mail.send");
    assert_eq!(alone(&firsts(&rig)[0]), kept_alone(Some(2.0)));
}

/// A trace of an entry `batch` and a child `item`, dropped; both as sent.
#[track_caller]
fn two_spans(span_rules: &str) -> [Span; 2] {
    let rig = rig(span_rules);
    let mut entry = rig.tracer.enter(EntryOptions {
        name: "batch".into(),
        ..EntryOptions::default()
    });
    entry.set_service("mail");
    trace::span("item").service("mail").finish();
    entry.finish();
    let mut chunks = rig.chunks();
    assert_eq!(chunks.len(), 1);
    chunks
        .remove(0)
        .try_into()
        .unwrap_or_else(|spans| panic!("two spans: {spans:?}"))
}

#[test]
fn test_root_span_selected_by_sss014() {
    let [root, child] = two_spans(r#"[{"service":"mail","name":"batch","max_per_second":40}]"#);
    assert_eq!(root.metric("_sampling_priority_v1"), Some(-1.0));
    assert_eq!(
        (alone(&root), alone(&child)),
        (kept_alone(Some(40.0)), NOT_ALONE)
    );
    assert_eq!(child.tag("_dd.p.dm"), "");
}

#[test]
fn test_child_span_selected_by_sss015() {
    let [root, child] = two_spans(r#"[{"service":"mail","name":"item","max_per_second":40}]"#);
    assert_eq!(root.metric("_sampling_priority_v1"), Some(-1.0));
    assert_eq!(
        (alone(&root), alone(&child)),
        (NOT_ALONE, kept_alone(Some(40.0)))
    );
}

/// Two callers, of whom the first keeps and the second drops, under one rate for trace and span rules.
#[track_caller]
fn after_a_caller(rate: &str) -> Vec<Span> {
    let rules = format!(r#"[{{"name":"mail.send","sample_rate":{rate}}}]"#);
    let rig = Rig::of(&[
        ("DD_TRACE_PROPAGATION_STYLE", "datadog"),
        ("DD_TRACE_SAMPLING_RULES", &rules),
        ("DD_SPAN_SAMPLING_RULES", &rules),
    ]);
    for (trace_id, priority) in [("31415926535", "1"), ("27182818284", "0")] {
        let headers = [
            ("x-datadog-trace-id", trace_id),
            ("x-datadog-parent-id", "1618033988"),
            ("x-datadog-sampling-priority", priority),
            ("x-datadog-origin", "rum"),
        ];
        let caller = caller_of(&rig.tracer, &headers);
        rig.tracer
            .enter(EntryOptions {
                name: "mail.send".into(),
                caller,
                ..EntryOptions::default()
            })
            .finish();
    }
    let spans = firsts(&rig);
    for (span, priority) in spans.iter().zip([1.0, 0.0]) {
        assert_eq!(span.tag("_dd.origin"), "rum");
        assert_eq!(
            span.metric("_sampling_priority_v1"),
            Some(priority),
            "the caller's word stands"
        );
        assert_eq!(span.tag("_dd.p.dm"), "");
        assert_eq!(span.metric("_dd.rule_psr"), None);
    }
    spans
}

#[test]
fn test_single_rule_with_head_and_rule_trace_sampling_keep_019() {
    let spans = after_a_caller("1");
    let seen: Vec<_> = spans.iter().map(alone).collect();
    assert_eq!(seen, [NOT_ALONE, kept_alone(None)]);
}

#[test]
fn test_single_rule_with_head_and_rule_trace_sampling_drop_020() {
    let spans = after_a_caller("0");
    let seen: Vec<_> = spans.iter().map(alone).collect();
    assert_eq!(seen, [NOT_ALONE, NOT_ALONE]);
}
