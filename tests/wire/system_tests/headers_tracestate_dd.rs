//! Datadog's member of `tracestate`: the cases of DataDog/system-tests,
//! `tests/parametric/test_headers_tracestate_dd.py`.

use super::hop::Hop;

const ENV: &[(&str, &str)] = &[
    ("DD_TRACE_PROPAGATION_STYLE_EXTRACT", "tracecontext,Datadog"),
    ("DD_TRACE_PROPAGATION_STYLE_INJECT", "tracecontext,Datadog"),
];
const SAMPLED: &str = "00-31c0a9e5f7d24b68913e5c07ab64d2f8-6a09e667f3bcc908-01";
const NOT_SAMPLED: &str = "00-31c0a9e5f7d24b68913e5c07ab64d2f8-6a09e667f3bcc908-00";

#[track_caller]
fn by_datadog(more: &[(&str, &str)]) -> Hop {
    let ids = [
        ("x-datadog-trace-id", "8080808080"),
        ("x-datadog-parent-id", "9090909090"),
    ];
    Hop::of(ENV, &[&ids, more].concat())
}

#[track_caller]
fn by_w3c(parent: &str, state: &str) -> Hop {
    let hop = Hop::of(ENV, &[("traceparent", parent), ("tracestate", state)]);
    assert_eq!(hop.parent().trace, &SAMPLED[3..35]);
    hop
}

/// The priority that goes on, in all three places where it stands.
#[track_caller]
fn goes_on(hop: &Hop, priority: i32) {
    let text = priority.to_string();
    assert_eq!(hop.header("x-datadog-sampling-priority"), Some(&*text));
    assert_eq!(hop.parent().flags, if priority > 0 { "01" } else { "00" });
    assert_eq!(hop.dd()[0], format!("s:{priority}"));
    assert_eq!(hop.priority(), f64::from(priority));
}

#[test]
fn test_headers_tracestate_dd_propagate_samplingpriority() {
    for priority in [2, -1] {
        let text = priority.to_string();
        goes_on(
            &by_datadog(&[("x-datadog-sampling-priority", &text)]),
            priority,
        );
    }
    for (parent, state, priority) in [
        (SAMPLED, "", 1),
        (SAMPLED, "acme=1,dd=s:-1", 1),
        (SAMPLED, "acme=1,dd=s:0", 1),
        (SAMPLED, "acme=1,dd=s:2", 2),
        (NOT_SAMPLED, "", 0),
        (NOT_SAMPLED, "acme=1,dd=s:-1", -1),
        (NOT_SAMPLED, "acme=1,dd=s:1", 0),
    ] {
        goes_on(&by_w3c(parent, state), priority);
    }
}

/// The origin that goes on: in Datadog's header, and in `dd`.
#[track_caller]
fn tells_origin(hop: &Hop, header: Option<&str>, dd: Option<&str>) {
    assert_eq!(hop.header("x-datadog-origin"), header);
    let fields = hop.dd();
    let origin = fields.iter().find_map(|field| field.strip_prefix("o:"));
    assert_eq!(origin, dd);
    assert_eq!(hop.span.tag("_dd.origin"), header.unwrap_or_default());
}

#[test]
fn test_headers_tracestate_dd_propagate_origin() {
    for (origin, dd) in [
        ("synthetics-browser", "synthetics-browser"),
        ("lambda3.1", "lambda3.1"),
        ("robot=a;b~c,d e", "robot~a_b_c_d_e"),
    ] {
        tells_origin(
            &by_datadog(&[("x-datadog-origin", origin)]),
            Some(origin),
            Some(dd),
        );
    }
    tells_origin(&by_w3c(SAMPLED, "acme=1,dd=s:2"), None, None);
    for origin in ["synthetics-browser", "lambda3.1"] {
        let hop = by_w3c(SAMPLED, &format!("acme=1,dd=s:2;o:{origin}"));
        tells_origin(&hop, Some(origin), Some(origin));
    }
    let hop = by_w3c(SAMPLED, "dd=s:2;o:a~b");
    tells_origin(&hop, Some("a=b"), Some("a~b"));
}

/// That these tags go on, in `x-datadog-tags` and as the last fields of `dd`.
#[track_caller]
fn tells_tags(hop: &Hop, list: &str, dd: &[&str]) {
    assert_eq!(hop.header("x-datadog-tags"), Some(list));
    let fields = hop.dd();
    let told: Vec<&str> = fields
        .into_iter()
        .filter(|field| field.starts_with("t."))
        .collect();
    assert_eq!(told, dd);
}

#[test]
fn test_headers_tracestate_dd_propagate_propagatedtags() {
    let keep = ("x-datadog-sampling-priority", "1");
    for (list, dd) in [
        ("_dd.p.usr.id=NDQy", &["t.usr.id:NDQy"][..]),
        (
            "_dd.p.dm=-4,_dd.p.usr.id=cGllcw==",
            &["t.dm:-4", "t.usr.id:cGllcw~~"],
        ),
        (
            "_dd.p.dm=-4,_dd.p.usr.id=cGllcw==,_dd.p.ref=http://shop.example",
            &["t.dm:-4", "t.usr.id:cGllcw~~", "t.ref:http://shop.example"],
        ),
    ] {
        tells_tags(&by_datadog(&[("x-datadog-tags", list), keep]), list, dd);
    }
    let hop = by_datadog(&[("x-datadog-tags", "_dd.p.usr.id=NDQy")]);
    assert!(hop.dd().contains(&"t.usr.id:NDQy") && hop.tags().contains(&"_dd.p.usr.id=NDQy"));
    let own = "_dd.p.dm=-0,_dd.p.tid=31c0a9e5f7d24b68";
    tells_tags(&by_w3c(SAMPLED, "acme=1,dd=s:-1"), own, &["t.dm:-0"]);
}

#[track_caller]
fn changes_decision(maker: &str) {
    let tags = "t.usr.id:cGllcw~~;t.ref:http://shop.example";
    let list = "_dd.p.usr.id=cGllcw==,_dd.p.ref=http://shop.example,_dd.p.tid=31c0a9e5f7d24b68";
    let fields = ["t.usr.id:cGllcw~~", "t.ref:http://shop.example"];
    for not_kept in ["0", "-1"] {
        let hop = by_w3c(
            SAMPLED,
            &format!("acme=1,dd=s:{not_kept};t.dm:{maker};{tags}"),
        );
        goes_on(&hop, 1);
        let fields = ["t.dm:-0", fields[0], fields[1]];
        tells_tags(&hop, &format!("_dd.p.dm=-0,{list}"), &fields);
    }
    for kept in ["1", "2"] {
        let hop = by_w3c(
            NOT_SAMPLED,
            &format!("acme=1,dd=s:{kept};t.dm:{maker};{tags}"),
        );
        goes_on(&hop, 0);
        tells_tags(&hop, list, &fields);
    }
}

#[test]
fn test_headers_tracestate_dd_propagate_propagatedtags_change_sampling_same_dm() {
    changes_decision("-0");
}

#[test]
fn test_headers_tracestate_dd_propagate_propagatedtags_change_sampling_reset_dm() {
    changes_decision("-4");
}

fn members(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("vendor{n}=value{n}")).collect()
}

#[test]
fn test_headers_tracestate_dd_keeps_32_or_fewer_list_members() {
    let others = members(31);
    let list = others.join(",");
    for state in [format!("{list},dd=s:2"), format!("dd=s:2,{list}"), list] {
        let hop = by_w3c(SAMPLED, &state);
        assert_eq!(hop.state()[1..], others);
    }
    assert_eq!(by_w3c(SAMPLED, "").state().len(), 1);
}

#[test]
fn test_headers_tracestate_dd_evicts_32_or_greater_list_members() {
    for count in [32, 40] {
        let others = members(count);
        let hop = by_w3c(SAMPLED, &others.join(","));
        assert_eq!(hop.state()[1..], others[..31]);
    }
}
