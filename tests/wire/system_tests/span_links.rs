//! Links from one span to another: the cases of DataDog/system-tests, `tests/parametric/test_span_links.py`.
//!
//! Left out: `test_span_started_with_link_v05`, since v0.5 is not sent.
//!
//! `test_span_link_propagated_sampling_decisions` asks that the decision behind a link decide the span that
//! has it. The manifests of several tracers list that as missing, "links do not influence the sampling decision
//! of spans"; the test here holds that: the link tells the other's decision, and the span keeps its own.

use serde_json::{Value, json};
use testapi::trace::{self, Entry, EntryOptions, Priority, SpanContext, SpanLink};

use crate::wire::rig::{Rig, caller_of};

const FLAGS_KNOWN: u64 = 1 << 31;

fn enter(rig: &Rig, name: &'static str) -> Entry {
    rig.tracer.enter(EntryOptions {
        name: name.into(),
        ..EntryOptions::default()
    })
}

/// A link to where this context came from, with the flag that its decision is.
fn link_to(context: &SpanContext, attributes: &[(&str, &str)]) -> SpanLink {
    SpanLink {
        trace_id: context.trace_id,
        span_id: context.span_id,
        attributes: attributes
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect(),
        state: context.state.clone(),
        flags: context.priority.map(|priority| u32::from(priority.keeps())),
    }
}

/// Every span sent since the start, as its payload has it.
#[track_caller]
fn sent(rig: &Rig) -> Vec<Value> {
    rig.chunks();
    let seen = rig.agent.seen();
    let payloads = seen
        .payloads()
        .filter(|request| request.head.contains("/v0.4/traces"));
    let chunks = payloads.flat_map(|request| {
        let chunks: Vec<Vec<Value>> = rmp_serde::from_slice(&request.body).unwrap();
        chunks
    });
    chunks.flatten().collect()
}

#[track_caller]
fn span<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    spans
        .iter()
        .find(|span| span["name"] == name)
        .unwrap_or_else(|| panic!("{name}: {spans:#?}"))
}

fn high_of(span: &Value) -> u64 {
    u64::from_str_radix(span["meta"]["_dd.p.tid"].as_str().unwrap(), 16).unwrap()
}

#[test]
fn test_span_started_with_link_v04() {
    let rig = Rig::of(&[]);
    let first = enter(&rig, "order");
    let context = trace::active().unwrap();
    first.finish();
    let mut second = enter(&rig, "invoice");
    second.add_link(link_to(
        &context,
        &[("why", "billed"), ("items.0", "pen"), ("items.1", "ink")],
    ));
    second.finish();
    let spans = sent(&rig);
    let (first, second) = (span(&spans, "order"), span(&spans, "invoice"));
    assert_ne!(first["trace_id"], second["trace_id"]);
    let link = json!({
        "trace_id": first["trace_id"],
        "trace_id_high": high_of(first),
        "span_id": first["span_id"],
        "attributes": {"why": "billed", "items.0": "pen", "items.1": "ink"},
        "flags": 1 | FLAGS_KNOWN,
    });
    assert_eq!(second["span_links"], json!([link]));
    assert_eq!(first["span_links"], Value::Null, "no links, no field");
}

#[test]
fn test_span_link_from_distributed_datadog_headers() {
    let rig = Rig::of(&[]);
    let mut entry = enter(&rig, "invoice");
    let headers = [
        ("x-datadog-trace-id", "5550001"),
        ("x-datadog-parent-id", "5550002"),
        ("x-datadog-sampling-priority", "2"),
        ("x-datadog-origin", "rum"),
        ("x-datadog-tags", "_dd.p.dm=-4,_dd.p.tid=0000000000000abc"),
    ];
    let caller = caller_of(&rig.tracer, &headers).parent.unwrap();
    entry.add_link(link_to(&caller, &[("why", "queued")]));
    entry.finish();
    let spans = sent(&rig);
    let span = span(&spans, "invoice");
    assert_eq!(span.get("parent_id"), None, "a link is no parent");
    assert_ne!(span["trace_id"], 5_550_001);
    assert_eq!(span["meta"].get("_dd.origin"), None);
    let link = &span["span_links"][0];
    assert_eq!(span["span_links"].as_array().unwrap().len(), 1);
    let ids = ["trace_id", "trace_id_high", "span_id"].map(|key| link[key].as_u64().unwrap());
    assert_eq!(ids, [5_550_001, 0xabc, 5_550_002]);
    assert_eq!(link["flags"], 1 | FLAGS_KNOWN);
    assert_eq!(link["attributes"], json!({"why": "queued"}));
}

#[test]
fn test_span_link_from_distributed_w3c_headers() {
    let rig = Rig::of(&[]);
    let mut entry = enter(&rig, "invoice");
    let headers = [
        (
            "traceparent",
            "00-0123456789abcdeffedcba9876543210-0011223344556677-01",
        ),
        ("tracestate", "acme=7,dd=t.dm:-4;s:2,zeta=last"),
    ];
    let caller = caller_of(&rig.tracer, &headers).parent.unwrap();
    entry.add_link(link_to(&caller, &[]));
    entry.finish();
    let spans = sent(&rig);
    let span = span(&spans, "invoice");
    assert_eq!(span.get("parent_id"), None);
    let link = &span["span_links"][0];
    assert_eq!(span["span_links"].as_array().unwrap().len(), 1);
    let ids = ["trace_id", "trace_id_high", "span_id"].map(|key| link[key].as_u64().unwrap());
    assert_eq!(
        ids,
        [
            0xfedc_ba98_7654_3210,
            0x0123_4567_89ab_cdef,
            0x0011_2233_4455_6677
        ]
    );
    let members: Vec<&str> = link["tracestate"].as_str().unwrap().split(',').collect();
    assert!(
        members.contains(&"acme=7") && members.contains(&"zeta=last"),
        "{members:?}"
    );
    assert_eq!(link["flags"], 1 | FLAGS_KNOWN);
    assert_eq!(link.get("attributes"), None);
}

#[test]
fn test_span_with_attached_links() {
    let rig = Rig::of(&[]);
    let root = enter(&rig, "order");
    let first = trace::active().unwrap();
    let child = trace::span("reserve");
    let second = trace::active().unwrap();
    child.finish();
    root.finish();
    let mut third = enter(&rig, "invoice");
    third.add_link(link_to(&first, &[]));
    third.add_link(link_to(
        &second,
        &[("flags.0", "true"), ("flags.1", "false"), ("counts.0", "3")],
    ));
    third.finish();
    let spans = sent(&rig);
    let (root, child) = (span(&spans, "order"), span(&spans, "reserve"));
    let third = span(&spans, "invoice");
    assert_eq!(child["parent_id"], root["span_id"]);
    assert_eq!(third.get("parent_id"), None);
    let high = high_of(root);
    let flags = 1 | FLAGS_KNOWN;
    let ids = (&root["trace_id"], &root["span_id"], &child["span_id"]);
    assert_eq!(
        third["span_links"],
        json!([
            {"trace_id": ids.0, "trace_id_high": high, "span_id": ids.1, "flags": flags},
            {
                "trace_id": ids.0,
                "trace_id_high": high,
                "span_id": ids.2,
                "flags": flags,
                "attributes": {"flags.0": "true", "flags.1": "false", "counts.0": "3"},
            },
        ])
    );
}

#[test]
fn test_span_link_propagated_sampling_decisions() {
    let rig = Rig::of(&[]);
    let kept = [
        ("x-datadog-trace-id", "888"),
        ("x-datadog-parent-id", "999"),
        ("x-datadog-sampling-priority", "2"),
        ("x-datadog-tags", "_dd.p.dm=-4"),
    ];
    let dropped = [
        (
            "traceparent",
            "00-000000000000000000000000000003e8-00000000000003e9-00",
        ),
        ("tracestate", "acme=7,dd=s:-1"),
    ];
    for (name, headers, flags) in [
        ("to a kept one", &kept[..], 1),
        ("to a dropped one", &dropped, 0),
    ] {
        let caller = caller_of(&rig.tracer, headers).parent.unwrap();
        assert_eq!(caller.priority.is_some_and(Priority::keeps), flags == 1);
        let mut entry = enter(&rig, name);
        entry.add_link(link_to(&caller, &[]));
        entry.finish();
        let spans = sent(&rig);
        let span = span(&spans, name);
        assert_eq!(
            span["span_links"][0]["flags"],
            flags | FLAGS_KNOWN,
            "{name}"
        );
        assert_eq!(
            span["metrics"]["_sampling_priority_v1"], 1.0,
            "{name}: its own decision"
        );
    }
}
