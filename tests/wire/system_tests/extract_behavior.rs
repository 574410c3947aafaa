//! What becomes of a caller's context: the cases of DataDog/system-tests,
//! `tests/parametric/test_extract_behavior.py`.
//!
//! Its classes have tests of one name; ours end with the class.

use serde_json::{Value, json};

use super::hop::Hop;
use crate::wire::rig::Rig;

type Lines = [(&'static str, &'static str)];

const TID: &str = "_dd.p.tid=70f1a5c300000000";
const TRACE: u64 = 4_242;
const HIGH: u64 = 0x70f1_a5c3_0000_0000;
const OTHER_TRACE: u64 = 0x1c2d_3e4f_5061_7283;
const OTHER_HIGH: u64 = 0x7777_0000_1111_0000;
const FLAGS_SAMPLED: u64 = (1 << 31) | 1;

const DATADOG: [(&str, &str); 4] = [
    ("x-datadog-trace-id", "4242"),
    ("x-datadog-parent-id", "17"),
    ("x-datadog-sampling-priority", "2"),
    ("x-datadog-tags", "_dd.p.tid=70f1a5c300000000,_dd.p.dm=-4"),
];
const ONE_CONTEXT: &[(&str, &str)] = &[
    (
        "traceparent",
        "00-70f1a5c3000000000000000000001092-0000000000000011-01",
    ),
    ("tracestate", "dd=s:2;t.dm:-4,acme=1"),
    ("baggage", "crate=fragile"),
];
const TWO_CONTEXTS: &[(&str, &str)] = &[(
    "traceparent",
    "00-77770000111100001c2d3e4f50617283-0123456789abcdef-01",
)];
const TWO_SPANS: &[(&str, &str)] = &[(
    "traceparent",
    "00-70f1a5c3000000000000000000001092-0123456789abcdef-01",
)];

const STYLES: (&str, &str) = (
    "DD_TRACE_PROPAGATION_STYLE_EXTRACT",
    "datadog,tracecontext,b3multi,baggage",
);
const DEFAULT: &Lines = &[];
const RESTART: &Lines = &[STYLES, ("DD_TRACE_PROPAGATION_BEHAVIOR_EXTRACT", "restart")];
const IGNORE: &Lines = &[STYLES, ("DD_TRACE_PROPAGATION_BEHAVIOR_EXTRACT", "ignore")];
const RESTART_FIRST: &Lines = &[
    STYLES,
    ("DD_TRACE_PROPAGATION_BEHAVIOR_EXTRACT", "restart"),
    ("DD_TRACE_PROPAGATION_EXTRACT_FIRST", "true"),
];

/// A hop with Datadog's headers and these; with the links of its span, as the payload has them.
#[track_caller]
fn hop(env: &Lines, more: &Lines) -> (Hop, Vec<Value>) {
    let rig = Rig::of(env);
    let hop = Hop::over(&rig, &[&DATADOG, more].concat());
    let seen = rig.agent.seen();
    let payload = seen.payloads().last().unwrap();
    let mut chunks: Vec<Vec<Value>> = rmp_serde::from_slice(&payload.body).unwrap();
    let links = chunks[0][0]["span_links"].take();
    let links = links.as_array().cloned().unwrap_or_default();
    (hop, links)
}

#[track_caller]
fn goes_on(hop: &Hop) {
    assert_eq!(hop.span.trace_id, TRACE);
    assert_ne!(hop.span.parent_id, 0);
    assert_eq!(hop.number("x-datadog-trace-id"), TRACE);
    assert!(hop.tags().contains(&TID), "{:?}", hop.tags());
}

#[track_caller]
fn begins_anew(hop: &Hop) {
    assert!(![TRACE, OTHER_TRACE].contains(&hop.span.trace_id));
    assert_eq!(hop.span.parent_id, 0);
    assert_eq!(hop.number("x-datadog-trace-id"), hop.span.trace_id);
    assert!(!hop.tags().contains(&TID), "{:?}", hop.tags());
}

/// The link of a trace that was begun anew, to the span that would have been its parent.
#[track_caller]
fn links_back(links: &[Value], span_id: u64) {
    let [link] = links else {
        panic!("one link: {links:?}");
    };
    let expected = json!({"reason": "propagation_behavior_extract", "context_headers": "datadog"});
    assert_eq!(link["attributes"], expected);
    let ids = ["trace_id", "trace_id_high", "span_id", "flags"].map(|key| link[key].as_u64());
    assert_eq!(ids, [TRACE, HIGH, span_id, FLAGS_SAMPLED].map(Some));
}

#[track_caller]
fn baggage(env: &Lines) -> Option<String> {
    let (hop, _) = hop(env, ONE_CONTEXT);
    hop.header("baggage").map(str::to_string)
}

#[test]
fn test_single_tracecontext_default() {
    let (hop, links) = hop(DEFAULT, ONE_CONTEXT);
    goes_on(&hop);
    assert_eq!(links, Vec::<Value>::new());
}

#[test]
fn test_baggage_default() {
    assert_eq!(baggage(DEFAULT).as_deref(), Some("crate=fragile"));
}

#[test]
fn test_multiple_tracecontexts_default() {
    let (hop, links) = hop(DEFAULT, TWO_CONTEXTS);
    goes_on(&hop);
    let expected = json!([{
        "trace_id": OTHER_TRACE,
        "trace_id_high": OTHER_HIGH,
        "span_id": 0x0123_4567_89ab_cdef_u64,
        "attributes": {"reason": "terminated_context", "context_headers": "tracecontext"},
        "flags": FLAGS_SAMPLED,
    }]);
    assert_eq!(json!(links), expected);
}

#[test]
fn test_single_tracecontext_restart() {
    let (hop, links) = hop(RESTART, ONE_CONTEXT);
    begins_anew(&hop);
    links_back(&links, 17);
    assert_eq!(links[0]["tracestate"], "dd=s:2;t.dm:-4,acme=1");
}

#[test]
fn test_multiple_tracecontexts_restart() {
    let (hop, links) = hop(RESTART, TWO_CONTEXTS);
    begins_anew(&hop);
    links_back(&links, 17);
}

#[test]
fn test_multiple_tracecontexts_with_overrides() {
    let (hop, links) = hop(RESTART, TWO_SPANS);
    begins_anew(&hop);
    links_back(&links, 0x0123_4567_89ab_cdef);
}

#[test]
fn test_baggage_restart() {
    assert_eq!(baggage(RESTART).as_deref(), Some("crate=fragile"));
}

#[test]
fn test_single_tracecontext_ignore() {
    let (hop, links) = hop(IGNORE, ONE_CONTEXT);
    begins_anew(&hop);
    assert_eq!(links, Vec::<Value>::new());
}

#[test]
fn test_multiple_tracecontexts_ignore() {
    let (hop, links) = hop(IGNORE, TWO_CONTEXTS);
    begins_anew(&hop);
    assert_eq!(links, Vec::<Value>::new());
}

#[test]
fn test_baggage_ignore() {
    assert_eq!(baggage(IGNORE), None);
}

#[test]
fn test_single_tracecontext_restart_with_extract_first() {
    let (hop, links) = hop(RESTART_FIRST, ONE_CONTEXT);
    begins_anew(&hop);
    links_back(&links, 17);
}

#[test]
fn test_multiple_tracecontexts_restart_with_extract_first() {
    let (hop, links) = hop(RESTART_FIRST, TWO_CONTEXTS);
    begins_anew(&hop);
    links_back(&links, 17);
}

#[test]
fn test_baggage_restart_with_extract_first() {
    assert_eq!(baggage(RESTART_FIRST).as_deref(), Some("crate=fragile"));
}
