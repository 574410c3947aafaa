//! W3C Trace Context: the cases of DataDog/system-tests, `tests/parametric/test_headers_tracecontext.py`.
//!
//! One half of `test_tracestate_w3c_p_extract` and `..._p_extract_and_inject` differs: a last Datadog span
//! that is no number becomes the tag `_dd.parent_id` there. Here it is left out, as nobody can find a span
//! by it.

use super::hop::Hop;
use crate::wire::rig::Rig;

const ENV: &[(&str, &str)] = &[
    ("DD_TRACE_PROPAGATION_STYLE_EXTRACT", "tracecontext"),
    ("DD_TRACE_PROPAGATION_STYLE_INJECT", "tracecontext"),
];
const BOTH: &[(&str, &str)] = &[("DD_TRACE_PROPAGATION_STYLE", "datadog,tracecontext")];

const TRACE: &str = "5f3ac2d18b7e4906a1c8e03d7b52f694";
const SPAN: &str = "c0ffee0123456789";
const PARENT: &str = "00-5f3ac2d18b7e4906a1c8e03d7b52f694-c0ffee0123456789-01";

fn hop(lines: &[(&str, &str)]) -> Hop {
    Hop::of(ENV, lines)
}

#[track_caller]
fn goes_on(hop: &Hop) {
    assert_eq!(hop.parent().trace, TRACE);
    assert_ne!(hop.parent().span, SPAN);
    assert_eq!(hop.span.parent_id, 0xc0ff_ee01_2345_6789);
}

#[track_caller]
fn begins_anew(hop: &Hop) {
    assert_ne!(hop.parent().trace, TRACE);
    assert_eq!(hop.span.parent_id, 0);
}

#[track_caller]
fn is_valid(parents: &[&str]) {
    parents
        .iter()
        .for_each(|parent| goes_on(&hop(&[("traceparent", parent)])));
}

#[track_caller]
fn is_invalid(parents: &[&str]) {
    parents
        .iter()
        .for_each(|parent| begins_anew(&hop(&[("traceparent", parent)])));
}

/// What goes on of these lists, each a header of its own.
#[track_caller]
fn others(states: &[&str]) -> Vec<String> {
    let lines = states.iter().map(|state| ("tracestate", *state));
    let lines: Vec<_> = [("traceparent", PARENT)].into_iter().chain(lines).collect();
    let hop = hop(&lines);
    goes_on(&hop);
    hop.state()[1..]
        .iter()
        .map(|member| member.to_string())
        .collect()
}

#[test]
fn test_both_traceparent_and_tracestate_missing() {
    begins_anew(&hop(&[]));
}

#[test]
fn test_single_key_traceparent_included_tracestate_missing() {
    let env = [("DD_TRACE_PROPAGATION_STYLE", "tracecontext")];
    goes_on(&Hop::of(&env, &[("traceparent", PARENT)]));
}

#[test]
fn test_traceparent_included_tracestate_missing() {
    is_valid(&[PARENT]);
}

#[test]
fn test_traceparent_duplicated() {
    let other = PARENT.replace("5f3a", "5f3b");
    for lines in [[PARENT, &other], [&other, PARENT], [PARENT, PARENT]] {
        let hop = hop(&lines.map(|parent| ("traceparent", parent)));
        begins_anew(&hop);
        assert_ne!(hop.parent().trace, &other[3..35]);
    }
}

#[test]
fn test_traceparent_header_name() {
    for name in ["trace-parent", "trace.parent"] {
        begins_anew(&hop(&[(name, PARENT)]));
    }
}

#[test]
fn test_traceparent_header_name_valid_casing() {
    for name in ["TraceParent", "tRaCepArENt", "TRACEPARENT"] {
        goes_on(&hop(&[(name, PARENT)]));
    }
}

#[test]
fn test_traceparent_version_0x00() {
    is_invalid(&[&format!("{PARENT}."), &format!("{PARENT}-more-to-come")]);
}

#[test]
fn test_traceparent_version_0xcc() {
    let later = format!("cc{}", &PARENT[2..]);
    is_valid(&[&later, &format!("{later}-more-to-come")]);
    is_invalid(&[&format!("{later}.more-to-come")]);
}

#[test]
fn test_traceparent_version_0xff() {
    is_invalid(&[&format!("ff{}", &PARENT[2..])]);
}

#[test]
fn test_traceparent_version_illegal_characters() {
    is_invalid(&[
        &format!(".0{}", &PARENT[2..]),
        &format!("0.{}", &PARENT[2..]),
    ]);
}

#[test]
fn test_traceparent_version_too_long() {
    is_invalid(&[&format!("0{PARENT}"), &format!("00{PARENT}")]);
}

#[test]
fn test_traceparent_version_too_short() {
    is_invalid(&[&PARENT[1..]]);
}

#[test]
fn test_traceparent_trace_id_all_zero() {
    is_invalid(&[&PARENT.replace(TRACE, &"0".repeat(32))]);
}

#[test]
fn test_traceparent_trace_id_illegal_characters() {
    is_invalid(&[
        &PARENT.replace("-5f3a", "-.f3a"),
        &PARENT.replace("f694-", "f69.-"),
    ]);
}

#[test]
fn test_traceparent_trace_id_too_long() {
    is_invalid(&[
        &PARENT.replace(TRACE, &format!("{TRACE}0")),
        &PARENT.replace(TRACE, &format!("0{TRACE}")),
    ]);
}

#[test]
fn test_traceparent_trace_id_too_short() {
    is_invalid(&[&PARENT.replace(TRACE, &TRACE[1..])]);
}

#[test]
fn test_traceparent_parent_id_all_zero() {
    is_invalid(&[&PARENT.replace(SPAN, &"0".repeat(16))]);
}

#[test]
fn test_traceparent_parent_id_illegal_characters() {
    is_invalid(&[
        &PARENT.replace("c0ff", ".0ff"),
        &PARENT.replace("6789-", "678.-"),
    ]);
}

#[test]
fn test_traceparent_parent_id_too_long() {
    is_invalid(&[&PARENT.replace(SPAN, &format!("{SPAN}0"))]);
}

#[test]
fn test_traceparent_parent_id_too_short() {
    is_invalid(&[&PARENT.replace(SPAN, &SPAN[1..])]);
}

#[test]
fn test_traceparent_trace_flags_illegal_characters() {
    is_invalid(&[&PARENT.replace("-01", "-.0"), &PARENT.replace("-01", "-0.")]);
}

#[test]
fn test_traceparent_trace_flags_too_long() {
    is_invalid(&[&PARENT.replace("-01", "-001")]);
}

#[test]
fn test_traceparent_trace_flags_too_short() {
    is_invalid(&[&PARENT.replace("-01", "-1")]);
}

#[test]
fn test_traceparent_ows_handling() {
    for (before, after) in [(" ", ""), ("\t", ""), ("", " "), ("", "\t"), ("\t ", " \t")] {
        is_valid(&[&[before, PARENT, after].concat()]);
    }
}

#[test]
fn test_tracestate_included_traceparent_missing() {
    for state in ["acme=1", "acme=1,zeta=2"] {
        let hop = hop(&[("tracestate", state)]);
        begins_anew(&hop);
        assert_eq!(hop.state().len(), 1, "{state}");
    }
}

#[test]
fn test_tracestate_included_traceparent_included() {
    assert_eq!(others(&["acme=1,zeta=2"]), ["acme=1", "zeta=2"]);
}

#[test]
fn test_tracestate_header_name() {
    for name in ["trace-state", "trace.state"] {
        let hop = hop(&[("traceparent", PARENT), (name, "acme=1")]);
        goes_on(&hop);
        assert_eq!(hop.state().len(), 1);
    }
}

#[test]
fn test_tracestate_header_name_valid_casing() {
    for name in ["TraceState", "tRacEsTaTe", "TRACESTATE"] {
        let hop = hop(&[("traceparent", PARENT), (name, "acme=1")]);
        assert_eq!(hop.state()[1..], ["acme=1"]);
    }
}

#[test]
fn test_tracestate_empty_header() {
    assert_eq!(others(&[""]), Vec::<String>::new());
    assert_eq!(others(&["acme=1", ""]), ["acme=1"]);
    assert_eq!(others(&["", "acme=1"]), ["acme=1"]);
}

#[test]
fn test_tracestate_multiple_headers_different_keys() {
    let all = ["acme=1", "zeta=2", "blau=3", "kongo=4", "omega=5"];
    assert_eq!(others(&["acme=1,zeta=2", "blau=3,kongo=4", "omega=5"]), all);
}

#[test]
fn test_tracestate_duplicated_keys() {
    for states in [&["acme=1,acme=1"][..], &["acme=1", "acme=1"]] {
        assert_eq!(others(states), ["acme=1", "acme=1"]);
    }
    for states in [&["acme=1,acme=2"][..], &["acme=1", "acme=2"]] {
        assert_eq!(others(states), ["acme=1", "acme=2"]);
    }
}

/// Two callers who name a last Datadog span, of which the second one is no number.
#[track_caller]
fn last_spans() -> [Hop; 2] {
    let rig = Rig::of(&[]);
    ["p:00000000feedf00d;t.dm:-4", "t.dm:-4;p:!nobody!"].map(|fields| {
        let state = format!("acme=1,dd=s:2;o:rum;{fields};t.usr.id:bGFyaw~~");
        Hop::over(&rig, &[("traceparent", PARENT), ("tracestate", &state)])
    })
}

#[test]
fn test_tracestate_w3c_p_extract() {
    let [told, malformed] = last_spans();
    assert_eq!(told.span.tag("_dd.parent_id"), "00000000feedf00d");
    assert_eq!(malformed.span.tag("_dd.parent_id"), "");
    assert_eq!(malformed.span.parent_id, 0xc0ff_ee01_2345_6789);
}

#[test]
fn test_tracestate_w3c_p_inject() {
    let hop = Hop::of(&[], &[]);
    let expected = format!("p:{:016x}", hop.span.span_id);
    assert!(hop.dd().contains(&&*expected), "{:?}", hop.dd());
}

#[test]
fn test_tracestate_w3c_p_extract_and_inject() {
    for hop in last_spans() {
        let expected = format!("p:{:016x}", hop.span.span_id);
        let told: Vec<&str> = hop
            .dd()
            .into_iter()
            .filter(|field| field.starts_with("p:"))
            .collect();
        assert_eq!(told, [expected]);
    }
}

/// The caller 21 by Datadog's headers and 1_500_000_000 by W3C's, both of this trace unless they say otherwise.
#[track_caller]
fn two_callers(tid: &str, (datadog, high): (&str, &str), state: &str) -> (u64, String) {
    let parent = format!("00-{high}0000000000000009-0000000059682f00-01");
    let tags = format!("_dd.p.tid={tid}");
    let mut lines = vec![
        ("traceparent", &*parent),
        ("tracestate", state),
        ("x-datadog-trace-id", "9"),
        ("x-datadog-parent-id", datadog),
    ];
    if !tid.is_empty() {
        lines.push(("x-datadog-tags", &tags));
    }
    let Hop { span, .. } = Hop::of(BOTH, &lines);
    assert_eq!((span.trace_id, span.tag("_dd.p.tid")), (9, tid));
    (span.parent_id, span.tag("_dd.parent_id").to_string())
}

#[test]
fn test_tracestate_w3c_p_extract_datadog_w3c() {
    let (high, none) = ("6b00000000000000", "0000000000000000");
    let check = |tid: &str, parent: (&str, &str), state: &str, expected: (u64, &str)| {
        let (parent_id, last) = two_callers(tid, parent, state);
        assert_eq!((parent_id, last.as_str()), expected, "{state}");
    };
    let own = "dd=s:2;p:0000000059682f00,acme=1";
    check(high, ("1500000000", high), own, (1_500_000_000, ""));
    let told = "dd=s:2;p:0000000000000015,acme=1";
    check("6c00000000000000", ("21", high), told, (21, ""));
    check(
        high,
        ("21", high),
        told,
        (1_500_000_000, "0000000000000015"),
    );
    check(
        "",
        ("21", none),
        "dd=s:2,acme=1",
        (1_500_000_000, "0000000000000015"),
    );
    let other = "dd=s:2;p:9000000000000001,acme=1";
    check("", ("21", none), other, (1_500_000_000, "9000000000000001"));
}

#[test]
fn test_tracestate_w3c_p_phase_3_extract_first() {
    let env = [BOTH[0], ("DD_TRACE_PROPAGATION_EXTRACT_FIRST", "true")];
    let lines = [
        (
            "traceparent",
            "00-6b000000000000000000000000000009-0000000059682f00-01",
        ),
        ("tracestate", "dd=s:2;p:9000000000000001,acme=1"),
        ("x-datadog-trace-id", "9"),
        ("x-datadog-parent-id", "21"),
        ("x-datadog-tags", "_dd.p.tid=6b00000000000000"),
    ];
    let Hop { span, .. } = Hop::of(&env, &lines);
    assert_eq!((span.parent_id, span.tag("_dd.parent_id")), (21, ""));
}

#[test]
fn test_tracestate_w3c_context_leak() {
    let rig = Rig::of(BOTH);
    let wide = [
        (
            "traceparent",
            "00-6b000000000000000000000000000009-0000000059682f00-01",
        ),
        ("tracestate", "dd=s:2;p:0000000000000015,acme=1"),
        ("x-datadog-trace-id", "9"),
        ("x-datadog-parent-id", "21"),
        ("x-datadog-tags", "_dd.p.tid=6b00000000000000"),
    ];
    let narrow = [
        (
            "traceparent",
            "00-0000000000000000000000000000000a-0000000059682f00-01",
        ),
        ("tracestate", "dd=s:2,acme=1"),
        ("x-datadog-trace-id", "10"),
        ("x-datadog-parent-id", "21"),
    ];
    assert_eq!(
        Hop::over(&rig, &wide).span.tag("_dd.p.tid"),
        "6b00000000000000"
    );
    assert_eq!(Hop::over(&rig, &narrow).span.tag("_dd.p.tid"), "");
}

#[test]
fn test_tracestate_all_allowed_characters() {
    let letters: String = ('a'..='z').chain('0'..='9').chain("_-*/".chars()).collect();
    let value: String = (' '..='~').filter(|c| ![',', '='].contains(c)).collect();
    for key in [letters.clone(), format!("{letters}@{letters}")] {
        let member = format!("{key}={value}");
        assert_eq!(others(&[&member]), [member]);
    }
}

#[test]
fn test_tracestate_ows_handling() {
    for state in [
        "acme=1 \t , \t zeta=2, \t blau=3",
        "acme=1\t \t,\t \tzeta=2,\t \tblau=3",
    ] {
        assert_eq!(others(&[state]), ["acme=1", "zeta=2", "blau=3"]);
    }
    for state in [" acme=1", "\tacme=1", "acme=1 ", "acme=1\t", "\t acme=1 \t"] {
        assert_eq!(others(&[state]), ["acme=1"]);
    }
}
