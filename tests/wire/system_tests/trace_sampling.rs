//! Rules and rates for whole traces: the cases of DataDog/system-tests, `tests/parametric/test_trace_sampling.py`.
//!
//! Where two of its classes have a test of one name, ours end with a word of the class.

use testapi::agent::decode::Span;
use testapi::trace::{self, EntryOptions};

use crate::wire::rig::{Rig, caller_of};

/// The one span of a trace: service, operation, resource and tags.
struct Order<'a> {
    service: &'a str,
    name: &'static str,
    resource: &'a str,
    texts: &'a [(&'a str, &'a str)],
    numbers: &'a [(&'a str, f64)],
}

const ORDER: Order<'static> = Order {
    service: "orders",
    name: "order.create",
    resource: "/orders",
    texts: &[],
    numbers: &[],
};

/// The span as it is sent under this rate and these rules.
#[track_caller]
fn sent(rate: &str, rules: &str, order: &Order<'_>) -> Span {
    let rig = Rig::of(&[
        ("DD_TRACE_SAMPLE_RATE", rate),
        ("DD_TRACE_SAMPLING_RULES", rules),
    ]);
    let options = EntryOptions {
        name: order.name.into(),
        resource: order.resource,
        ..EntryOptions::default()
    };
    let mut entry = rig.tracer.enter(options);
    entry.set_service(order.service);
    order
        .texts
        .iter()
        .for_each(|(key, value)| entry.set_meta(key, value));
    order
        .numbers
        .iter()
        .for_each(|(key, value)| entry.set_metric(key, *value));
    entry.finish();
    only(rig.chunks())
}

#[track_caller]
fn only(mut chunks: Vec<Vec<Span>>) -> Span {
    assert_eq!(
        chunks.iter().map(Vec::len).collect::<Vec<_>>(),
        [1],
        "{chunks:?}"
    );
    chunks.remove(0).remove(0)
}

#[track_caller]
fn is_kept(span: &Span, rule: &str) {
    assert_eq!(span.metric("_sampling_priority_v1"), Some(2.0), "{rule}");
    assert_eq!(span.metric("_dd.rule_psr"), Some(1.0), "{rule}");
}

#[track_caller]
fn is_dropped(span: &Span, rule: &str) {
    assert_eq!(span.metric("_sampling_priority_v1"), Some(-1.0), "{rule}");
    assert_eq!(span.metric("_dd.rule_psr"), Some(0.0), "{rule}");
}

/// The rate drops all; only the rule that is meant to fit keeps.
#[track_caller]
fn each_keeps(order: &Order<'_>, rules: &[&str]) {
    for rules in rules {
        is_kept(&sent("0", rules, order), rules);
    }
}

/// The rate keeps all; only the rule that is meant to fit drops.
#[track_caller]
fn each_drops(order: &Order<'_>, rules: &[&str]) {
    for rules in rules {
        is_dropped(&sent("1", rules, order), rules);
    }
}

#[test]
fn test_trace_sampled_by_trace_sampling_rule_exact_match_basic() {
    each_keeps(
        &ORDER,
        &[
            r#"[{"service":"order","sample_rate":0},{"service":"orders","sample_rate":1}]"#,
            r#"[{"name":"order.creates","sample_rate":0},{"name":"order.create","sample_rate":1}]"#,
            r#"[{"service":"carts","name":"order.create","sample_rate":0},
                {"service":"orders","name":"order.cancel","sample_rate":0},
                {"service":"orders","name":"order.create","sample_rate":1}]"#,
        ],
    );
}

#[test]
fn test_trace_dropped_by_trace_sampling_rule_basic() {
    each_drops(
        &ORDER,
        &[r#"[{"service":"orders","name":"order.create","sample_rate":0}]"#],
    );
}

#[test]
fn test_trace_kept_in_spite_trace_sampling_rule() {
    let rules = r#"[{"service":"orders","resource":"noise","sample_rate":0},{"sample_rate":1}]"#;
    let by_tag = Order {
        resource: "noise",
        texts: &[("manual.keep", "1")],
        ..ORDER
    };
    let span = sent("1", rules, &by_tag);
    assert_eq!(span.metric("_sampling_priority_v1"), Some(2.0));
    assert_eq!(span.tag("manual.keep"), "", "the wish is no tag");
    let rig = Rig::of(&[
        ("DD_TRACE_SAMPLE_RATE", "1"),
        ("DD_TRACE_SAMPLING_RULES", rules),
    ]);
    let mut entry = rig.tracer.enter(EntryOptions {
        name: "order.create".into(),
        ..EntryOptions::default()
    });
    entry.set_service("orders");
    entry.keep_trace();
    entry.set_resource("noise");
    entry.finish();
    assert_eq!(
        only(rig.chunks()).metric("_sampling_priority_v1"),
        Some(2.0),
        "by the call"
    );
}

#[test]
fn test_trace_sampled_by_trace_sampling_rule_glob_match() {
    each_keeps(
        &ORDER,
        &[
            r#"[{"service":"orders.old*","sample_rate":0},{"service":"ord*","sample_rate":1}]"#,
            r#"[{"name":"order.cancel*","sample_rate":0},{"name":"*.create","sample_rate":1}]"#,
            r#"[{"service":"?rders.old","name":"order.*","sample_rate":0},
                {"service":"?rders","name":"order.c*.old","sample_rate":0},
                {"service":"?rders","name":"order.c*","sample_rate":1}]"#,
        ],
    );
}

#[test]
fn test_field_case_insensitivity() {
    let order = Order {
        texts: &[("tier", "gold")],
        ..ORDER
    };
    each_keeps(
        &order,
        &[
            r#"[{"name":"ORDER.Create","sample_rate":1}]"#,
            r#"[{"service":"oRDERs","sample_rate":1}]"#,
            r#"[{"resource":"/Orders","sample_rate":1}]"#,
            r#"[{"tags":{"tier":"GOLD"},"sample_rate":1}]"#,
        ],
    );
}

#[test]
fn test_trace_dropped_by_trace_sampling_rule_globs() {
    each_drops(
        &ORDER,
        &[r#"[{"service":"o?d?rs","name":"*create","sample_rate":0}]"#],
    );
}

#[test]
fn test_trace_sampled_by_trace_sampling_rule_insensitive_glob_match() {
    each_keeps(
        &ORDER,
        &[
            r#"[{"service":"ORDERS.old*","sample_rate":0},{"service":"ORD*","sample_rate":1}]"#,
            r#"[{"name":"ORDER.cancel*","sample_rate":0},{"name":"Order.*","sample_rate":1}]"#,
            r#"[{"service":"Orders?","name":"ORDER.c*","sample_rate":0},
                {"service":"Orders","name":"order.C*.old","sample_rate":0},
                {"service":"O?ders","name":"order.C*","sample_rate":1}]"#,
        ],
    );
}

#[test]
fn test_trace_sampled_by_trace_sampling_rule_exact_match_resource() {
    each_keeps(
        &ORDER,
        &[
            r#"[{"resource":"/orders/all","sample_rate":0},{"resource":"/?rders","sample_rate":1}]"#,
            r#"[{"name":"order.cancel","resource":"/orders","sample_rate":0},
                {"name":"order.create","resource":"/carts","sample_rate":0},
                {"name":"order.create","resource":"/o*","sample_rate":1}]"#,
            r#"[{"service":"carts","resource":"/orders","sample_rate":0},
                {"service":"orders","resource":"/carts","sample_rate":0},
                {"service":"orders","resource":"/orders","sample_rate":1}]"#,
            r#"[{"service":"carts","name":"order.create","resource":"/orders","sample_rate":0},
                {"service":"orders","name":"order.cancel","resource":"/orders","sample_rate":0},
                {"service":"orders","name":"order.create","resource":"/carts","sample_rate":0},
                {"service":"orders","name":"order.create","resource":"/ord?rs","sample_rate":1}]"#,
        ],
    );
}

#[test]
fn test_trace_dropped_by_trace_sampling_rule_resource() {
    each_drops(
        &ORDER,
        &[
            r#"[{"resource":"/carts","sample_rate":1},{"resource":"/o?ders","sample_rate":0}]"#,
            r#"[{"service":"orders","name":"order.create","resource":"/*","sample_rate":0}]"#,
        ],
    );
}

const TAGGED: Order<'static> = Order {
    texts: &[("tier", "gold"), ("country", "fr")],
    ..ORDER
};

#[test]
fn test_trace_sampled_by_trace_sampling_rule_tags_tags() {
    each_keeps(
        &TAGGED,
        &[
            r#"[{"tags":{"tier":"silver"},"sample_rate":0},{"tags":{"tier":"gold"},"sample_rate":1}]"#,
            r#"[{"tags":{"tier":"silver"},"sample_rate":0},
                {"tags":{"country":"de"},"sample_rate":0},
                {"tags":{"tier":"silver","country":"fr"},"sample_rate":0},
                {"tags":{"tier":"gold","country":"de"},"sample_rate":0},
                {"tags":{"tier":"gold","country":"fr"},"sample_rate":1}]"#,
            r#"[{"tags":{"tier":"g?d*"},"sample_rate":0},{"tags":{"tier":"gol?"},"sample_rate":1}]"#,
            r#"[{"service":"ord?rs.old","sample_rate":0},
                {"name":"order.cancel","sample_rate":0},
                {"resource":"/or*.old","sample_rate":0},
                {"tags":{"tier":"g?ld","country":"f*.old"},"sample_rate":0},
                {"service":"ord?rs","name":"order.create","resource":"/or*",
                 "tags":{"tier":"g?ld","country":"f*"},"sample_rate":1}]"#,
        ],
    );
}

#[test]
fn test_trace_dropped_by_trace_sampling_rule_tags() {
    each_drops(
        &TAGGED,
        &[r#"[{"tags":{"tier":"g?ld","country":"de"},"sample_rate":1},
              {"tags":{"tier":"g?ld","country":"f*"},"sample_rate":0}]"#],
    );
}

/// A rule that keeps by one tag, and one that drops all others.
fn by_tag(pattern: &str) -> String {
    let tags = serde_json::json!({ "shape": pattern });
    format!(r#"[{{"tags":{tags},"sample_rate":1}},{{"sample_rate":0}}]"#)
}

#[track_caller]
fn text_fits(text: &str, patterns: &[&str]) {
    for pattern in patterns {
        let order = Order {
            texts: &[("shape", text)],
            ..ORDER
        };
        is_kept(&sent("0", &by_tag(pattern), &order), pattern);
    }
}

#[test]
fn test_globs_same_casing() {
    text_fits("cube", &["cube", "cu*", "c???", "?u*", "????", "*", "**"]);
}

#[test]
fn test_globs_different_casing() {
    text_fits("cube", &["Cube", "CU*", "C???", "?U*"]);
}

#[test]
fn test_no_set_support() {
    text_fits("[xyz]", &["[xyz]"]);
    let one_of_the_set = Order {
        texts: &[("shape", "x")],
        ..ORDER
    };
    is_dropped(&sent("0", &by_tag("[xyz]"), &one_of_the_set), "no set");
}

#[test]
fn test_no_range_support() {
    text_fits("[x-z]", &["[x-z]"]);
    let one_of_the_range = Order {
        texts: &[("shape", "y")],
        ..ORDER
    };
    is_dropped(&sent("0", &by_tag("[x-z]"), &one_of_the_range), "no range");
}

#[test]
fn test_regex_special_chars() {
    text_fits("(a|b)+{2}^$.\\d", &["(a|b)+{2}^$.\\d"]);
}

#[test]
fn test_meta_existence() {
    for text in ["cube", "", "\u{1f4e6}"] {
        text_fits(text, &["*", "**", "***"]);
    }
    is_dropped(&sent("0", &by_tag("*"), &ORDER), "no such tag");
}

#[track_caller]
fn number_under(number: f64, pattern: &str) -> Span {
    sent(
        "0",
        &by_tag(pattern),
        &Order {
            numbers: &[("shape", number)],
            ..ORDER
        },
    )
}

#[test]
fn test_metric_existence() {
    for number in [-7.0, -2.25, 0.0, 3.0, 65_536.0] {
        for pattern in ["*", "**", "***"] {
            is_kept(&number_under(number, pattern), pattern);
        }
    }
}

#[test]
fn test_metric_matching() {
    for pattern in ["37", "3*", "3?", "*"] {
        is_kept(&number_under(37.0, pattern), pattern);
    }
}

#[test]
fn test_metric_mismatch_non_integer() {
    for pattern in ["37", "3*", "3?", "37.5"] {
        is_dropped(&number_under(37.5, pattern), pattern);
    }
}

#[test]
fn test_trace_sampled_by_trace_sampling_rule_tags_w3c() {
    let rules = r#"[{"tags":{"late":"yes"},"sample_rate":0},
                    {"tags":{"soon":"yes"},"sample_rate":1},
                    {"tags":{"first":"y*"},"sample_rate":0}]"#;
    let rig = Rig::of(&[
        ("DD_TRACE_SAMPLE_RATE", "0"),
        ("DD_TRACE_SAMPLING_RULES", rules),
    ]);
    let mut entry = rig.tracer.enter(EntryOptions {
        name: "order.create".into(),
        ..EntryOptions::default()
    });
    entry.set_meta("first", "yes");
    entry.set_meta("soon", "yes");
    let headers = trace::headers();
    entry.set_meta("late", "yes");
    entry.finish();
    let priority = ("x-datadog-sampling-priority", "2".to_string());
    assert!(
        headers.contains(&priority),
        "by what was known when it left: {headers:?}"
    );
    is_kept(&only(rig.chunks()), "what left is not taken back");
}

#[test]
fn test_distributed_headers_synthetics_sampling_decision() {
    let rig = Rig::of(&[("DD_TRACE_SAMPLING_RULES", r#"[{"sample_rate":0}]"#)]);
    let headers = [
        ("x-datadog-trace-id", "4711"),
        ("x-datadog-parent-id", "0"),
        ("x-datadog-sampling-priority", "1"),
        ("x-datadog-origin", "synthetics;=a,b"),
    ];
    let caller = caller_of(&rig.tracer, &headers);
    rig.tracer
        .enter(EntryOptions {
            name: "order.create".into(),
            caller,
            ..EntryOptions::default()
        })
        .finish();
    let span = only(rig.chunks());
    assert_eq!((span.trace_id, span.parent_id), (4_711, 0));
    assert!(
        span.tag("_dd.origin").starts_with("synthetics"),
        "{}",
        span.tag("_dd.origin")
    );
    assert_eq!(span.metric("_sampling_priority_v1"), Some(1.0));
    assert_eq!(span.metric("_dd.rule_psr"), None, "no rule was asked");
}
