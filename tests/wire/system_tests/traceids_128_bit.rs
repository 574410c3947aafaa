//! Trace ids of 128 bits: the cases of DataDog/system-tests, `tests/parametric/test_128_bit_traceids.py`,
//! whose name is no name of a module here.

use testapi::trace::{self, EntryOptions};

use super::hop::Hop;
use crate::wire::rig::{Rig, START};

const SPAN: &str = "00000000b7e15163";
const LOW: u64 = 0xfeed_beef_8bad_f00d;
const WIDE: &str = "66f2a0b100000000feedbeef8badf00d";
const NARROW: &str = "feedbeef8badf00d";
const TID: &str = "66f2a0b100000000";

/// A hop with this style, making ids of 128 bits or of 64.
#[track_caller]
fn hop(style: &str, is_wide: Option<&str>, lines: &[(&str, &str)]) -> Hop {
    let mut env = vec![("DD_TRACE_PROPAGATION_STYLE", style)];
    env.extend(is_wide.map(|is| ("DD_TRACE_128_BIT_TRACEID_GENERATION_ENABLED", is)));
    Hop::of(&env, lines)
}

/// The trace id that goes out, where it stands in hex.
#[track_caller]
fn hex_id(hop: &Hop) -> &str {
    let name = hop.names()[0];
    let value = hop.header(name).unwrap();
    match name {
        "traceparent" => hop.parent().trace,
        "b3" => value.split('-').next().unwrap(),
        _ => value,
    }
}

/// That the span and the header have a 64-bit id.
#[track_caller]
fn is_narrow(hop: &Hop) {
    let id = hex_id(hop);
    let low = if id.len() == 32 {
        id.strip_prefix(&"0".repeat(16)).unwrap()
    } else {
        id
    };
    assert_eq!(low, format!("{:016x}", hop.span.trace_id));
    assert_eq!(hop.span.tag("_dd.p.tid"), "");
}

/// That the span and the header have one 128-bit id.
#[track_caller]
fn is_wide(hop: &Hop) {
    let (tid, low) = (hop.span.tag("_dd.p.tid"), hop.span.trace_id);
    assert_eq!(hex_id(hop), format!("{tid}{low:016x}"));
    assert_ne!(tid, "0".repeat(16));
}

/// The upper half of an id that is made now: seconds since 1970, and 32 zero bits.
fn tid_of_now() -> String {
    format!("{:08x}00000000", START / 1_000_000_000)
}

/// A caller by Datadog's headers, with these tags.
fn by_datadog(tags: &'static str) -> [(&'static str, &'static str); 3] {
    let tags = ("x-datadog-tags", tags);
    [
        ("x-datadog-trace-id", "18369548391164014605"),
        ("x-datadog-parent-id", "3084996963"),
        tags,
    ]
}

#[track_caller]
fn tells_no_tid(hop: &Hop) {
    assert_eq!(hop.span.tag("_dd.p.tid"), "");
    assert!(
        !hop.tags().iter().any(|tag| tag.starts_with("_dd.p.tid")),
        "{:?}",
        hop.tags()
    );
}

#[test]
fn test_datadog_128_bit_propagation() {
    let hop = hop(
        "Datadog",
        Some("false"),
        &by_datadog("_dd.p.tid=66f2a0b100000000"),
    );
    hop.tells_its_span();
    assert_eq!((hop.span.trace_id, hop.span.tag("_dd.p.tid")), (LOW, TID));
    assert!(hop.tags().contains(&"_dd.p.tid=66f2a0b100000000"));
}

#[track_caller]
fn discards(tid: &'static str) {
    let hop = hop("Datadog", Some("false"), &by_datadog(tid));
    hop.tells_its_span();
    assert_eq!(hop.span.trace_id, LOW);
    tells_no_tid(&hop);
}

#[test]
fn test_datadog_128_bit_propagation_tid_long() {
    discards("_dd.p.tid=66f2a0b1000000000");
}

#[test]
fn test_datadog_128_bit_propagation_tid_short() {
    discards("_dd.p.tid=66f2a0b10000000");
}

#[test]
fn test_datadog_128_bit_propagation_tid_chars() {
    discards("_dd.p.tid=66f2a0b10000000Z");
}

#[test]
fn test_datadog_128_bit_propagation_and_generation() {
    let hop = hop("Datadog", Some("true"), &by_datadog("")[..2]);
    hop.tells_its_span();
    assert_eq!(hop.span.trace_id, LOW);
    tells_no_tid(&hop);
}

#[test]
fn test_datadog_128_bit_generation_disabled() {
    let hop = hop("Datadog", Some("false"), &[]);
    hop.tells_its_span();
    tells_no_tid(&hop);
}

#[track_caller]
fn makes_wide_ids(hop: &Hop) {
    hop.tells_its_span();
    assert_eq!(hop.span.tag("_dd.p.tid"), tid_of_now());
    let tag = format!("_dd.p.tid={}", tid_of_now());
    assert!(hop.tags().contains(&&*tag), "{:?}", hop.tags());
}

#[test]
fn test_datadog_128_bit_generation_enabled() {
    makes_wide_ids(&hop("Datadog", Some("true"), &[]));
}

#[test]
fn test_datadog_128_bit_generation_enabled_by_default() {
    makes_wide_ids(&hop("Datadog", None, &[]));
}

const B3: &str = "B3 single header";

#[test]
fn test_b3single_128_bit_propagation() {
    let hop = hop(B3, Some("false"), &[("b3", &format!("{WIDE}-{SPAN}-1"))]);
    is_wide(&hop);
    assert_eq!((hop.span.trace_id, hop.span.tag("_dd.p.tid")), (LOW, TID));
}

#[test]
fn test_b3single_128_bit_propagation_and_generation() {
    let hop = hop(B3, Some("true"), &[("b3", &format!("{NARROW}-{SPAN}-1"))]);
    is_narrow(&hop);
    assert_eq!(hop.span.trace_id, LOW);
}

#[test]
fn test_b3single_128_bit_generation_disabled() {
    is_narrow(&hop(B3, Some("false"), &[]));
}

#[test]
fn test_b3single_128_bit_generation_enabled() {
    let hop = hop(B3, Some("true"), &[]);
    is_wide(&hop);
    assert_eq!(hop.span.tag("_dd.p.tid"), tid_of_now());
}

#[test]
fn test_b3multi_128_bit_propagation() {
    let lines = [("x-b3-traceid", WIDE), ("x-b3-spanid", SPAN)];
    let hop = hop("b3multi", Some("false"), &lines);
    is_wide(&hop);
    assert_eq!((hop.span.trace_id, hop.span.tag("_dd.p.tid")), (LOW, TID));
}

#[test]
fn test_b3multi_128_bit_propagation_and_generation() {
    let lines = [("x-b3-traceid", NARROW), ("x-b3-spanid", SPAN)];
    let hop = hop("b3multi", Some("true"), &lines);
    is_narrow(&hop);
    assert_eq!(hop.span.trace_id, LOW);
}

#[test]
fn test_b3multi_128_bit_generation_disabled() {
    is_narrow(&hop("b3multi", Some("false"), &[]));
}

#[test]
fn test_b3multi_128_bit_generation_enabled() {
    let hop = hop("b3multi", Some("true"), &[]);
    is_wide(&hop);
    assert_eq!(hop.span.tag("_dd.p.tid"), tid_of_now());
}

const PARENT: (&str, &str) = (
    "traceparent",
    "00-66f2a0b100000000feedbeef8badf00d-00000000b7e15163-01",
);

/// A caller by W3C's headers, whose state says this of the upper half, or nothing.
#[track_caller]
fn by_w3c(state: &str) -> Hop {
    let hop = hop(
        "tracecontext",
        Some("false"),
        &[PARENT, ("tracestate", state)],
    );
    is_wide(&hop);
    assert_eq!((hop.span.trace_id, hop.span.tag("_dd.p.tid")), (LOW, TID));
    assert_eq!(hop.span.tag("_dd.propagation_error"), "");
    hop
}

#[test]
fn test_w3c_128_bit_propagation() {
    by_w3c("");
}

#[test]
fn test_w3c_128_bit_propagation_tid_consistent() {
    by_w3c("dd=t.tid:66f2a0b100000000");
}

/// The upper half of every span of a trace with a child, as sent.
#[track_caller]
fn tids(env: &[(&str, &str)]) -> Vec<String> {
    let rig = Rig::of(env);
    let entry = rig.tracer.enter(EntryOptions {
        name: "parcel.forward".into(),
        ..EntryOptions::default()
    });
    trace::span("parcel.weigh").finish();
    entry.finish();
    let chunks = rig.chunks();
    assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), [2]);
    chunks[0]
        .iter()
        .map(|span| span.tag("_dd.p.tid").to_string())
        .collect()
}

#[test]
fn test_w3c_128_bit_propagation_tid_in_chunk_root() {
    let env = [
        ("DD_TRACE_PROPAGATION_STYLE", "tracecontext"),
        ("DD_TRACE_128_BIT_TRACEID_GENERATION_ENABLED", "true"),
    ];
    assert_eq!(tids(&env)[0], tid_of_now());
}

#[test]
fn test_w3c_128_bit_propagation_tid_in_trace_chunk() {
    assert!(tids(&[]).contains(&tid_of_now()));
}

#[test]
fn test_w3c_128_bit_propagation_tid_inconsistent() {
    let hop = by_w3c("dd=t.tid:66f2a0b10000ffff");
    assert!(
        !hop.dd().iter().any(|field| field.starts_with("t.tid")),
        "{:?}",
        hop.dd()
    );
}

#[test]
fn test_w3c_128_bit_propagation_tid_malformed() {
    by_w3c("dd=t.tid:ZZZZ");
}

#[test]
fn test_w3c_128_bit_propagation_and_generation() {
    let parent = format!("00-{}{NARROW}-{SPAN}-01", "0".repeat(16));
    let hop = hop("tracecontext", Some("true"), &[("traceparent", &parent)]);
    is_narrow(&hop);
    assert_eq!(hop.span.trace_id, LOW);
}

#[test]
fn test_w3c_128_bit_generation_disabled() {
    is_narrow(&hop("tracecontext", Some("false"), &[]));
}

#[test]
fn test_w3c_128_bit_generation_enabled() {
    let hop = hop("tracecontext", Some("true"), &[]);
    is_wide(&hop);
    assert_eq!(hop.span.tag("_dd.p.tid"), tid_of_now());
}
