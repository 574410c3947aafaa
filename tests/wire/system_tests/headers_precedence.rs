//! Which of several contexts is taken: the cases of DataDog/system-tests,
//! `tests/parametric/test_headers_precedence.py`.
//!
//! Left out, as they are about what older tracers read and write unless told otherwise:
//! `test_headers_precedence_propagationstyle_legacy` (Datadog's headers alone) and
//! `test_headers_precedence_propagationstyle_default_tracecontext_datadog` (W3C's before Datadog's).

use super::hop::Hop;

type Lines = [(&'static str, &'static str)];

const PARENT: (&str, &str) = (
    "traceparent",
    "00-2f8e61b94c7d0a35e1f20394a5b6c7d8-deadfa11cafe0001-01",
);
const STATE: (&str, &str) = ("tracestate", "acme=1");
const W3C_TRACE: &str = "2f8e61b94c7d0a35e1f20394a5b6c7d8";
const W3C_SPAN: u64 = 0xdead_fa11_cafe_0001;
const DATADOG: [(&str, &str); 3] = [
    ("x-datadog-trace-id", "31415926"),
    ("x-datadog-parent-id", "27182818"),
    ("x-datadog-sampling-priority", "-2"),
];
const DATADOG_IDS: (u64, u64) = (31_415_926, 27_182_818);

/// The six requests that each choice of styles is asked with.
fn requests() -> [Vec<(&'static str, &'static str)>; 6] {
    let bad = (
        "traceparent",
        "00-2f8e61b94c7d0a35e1f20394a5b6c7d8-0000000000000000-01",
    );
    [
        vec![],
        vec![PARENT],
        vec![PARENT, STATE],
        [&[PARENT, STATE], &DATADOG[..]].concat(),
        DATADOG.to_vec(),
        [&[bad, STATE], &DATADOG[..]].concat(),
    ]
}

/// Whose context each of the six requests is to be served in.
#[derive(Clone, Copy, Debug)]
enum Caller {
    Nobody,
    W3c,
    Datadog,
}

#[track_caller]
fn check(hop: &Hop, caller: Caller) {
    let span = &hop.span;
    match caller {
        Caller::Nobody => assert_eq!(span.parent_id, 0),
        Caller::W3c => assert_eq!((span.trace_id, span.parent_id), (w3c_low(), W3C_SPAN)),
        Caller::Datadog => {
            assert_eq!((span.trace_id, span.parent_id), DATADOG_IDS);
            assert_eq!(hop.priority(), -2.0);
        }
    }
}

fn w3c_low() -> u64 {
    u64::from_str_radix(&W3C_TRACE[16..], 16).unwrap()
}

/// A hop a request, with these styles in both directions.
#[track_caller]
fn hops(styles: Option<&str>, callers: [Caller; 6]) -> Vec<Hop> {
    let env = styles.map(|styles| {
        let names = [
            "DD_TRACE_PROPAGATION_STYLE_EXTRACT",
            "DD_TRACE_PROPAGATION_STYLE_INJECT",
        ];
        names.map(|name| (name, styles))
    });
    let env = env.iter().flatten().copied().collect::<Vec<_>>();
    let hops: Vec<Hop> = requests()
        .iter()
        .map(|lines| Hop::of(&env, lines))
        .collect();
    hops.iter()
        .zip(callers)
        .for_each(|(hop, caller)| check(hop, caller));
    hops
}

#[test]
fn test_headers_precedence_propagationstyle_datadog() {
    use Caller::{Datadog, Nobody};
    for hop in hops(
        Some("Datadog"),
        [Nobody, Nobody, Nobody, Datadog, Datadog, Datadog],
    ) {
        hop.tells_its_span();
        assert!(hop.header("x-datadog-sampling-priority").is_some());
        assert_eq!(
            (hop.header("traceparent"), hop.header("tracestate")),
            (None, None)
        );
    }
}

#[test]
fn test_headers_precedence_propagationstyle_tracecontext() {
    use Caller::{Nobody, W3c};
    let hops = hops(
        Some("tracecontext"),
        [Nobody, W3c, W3c, W3c, Nobody, Nobody],
    );
    for (at, hop) in hops.iter().enumerate() {
        assert_eq!(hop.names(), ["traceparent", "tracestate"]);
        assert_eq!(hop.parent().trace == W3C_TRACE, (1..=3).contains(&at));
        let others = if [2, 3].contains(&at) {
            &["acme=1"][..]
        } else {
            &[]
        };
        assert_eq!(hop.state()[1..], *others, "{at}");
    }
}

/// Both kinds of headers go out and agree; `acme` goes on in these of the six.
#[track_caller]
fn tells_both(hops: &[Hop], with_state: &[usize]) {
    for (at, hop) in hops.iter().enumerate() {
        hop.tells_its_span_twice();
        assert!(hop.header("x-datadog-sampling-priority").is_some());
        let others = if with_state.contains(&at) {
            &["acme=1"][..]
        } else {
            &[]
        };
        assert_eq!(hop.state()[1..], *others, "{at}");
    }
}

#[test]
fn test_headers_precedence_propagationstyle_tracecontext_datadog() {
    use Caller::{Datadog, Nobody, W3c};
    let callers = [Nobody, W3c, W3c, W3c, Datadog, Datadog];
    let hops = hops(Some("tracecontext,Datadog"), callers);
    tells_both(&hops, &[2, 3]);
    assert_eq!(hops[3].priority(), 1.0);
}

#[track_caller]
fn datadog_before_w3c(styles: Option<&str>) {
    use Caller::{Datadog, Nobody, W3c};
    let callers = [Nobody, W3c, W3c, Datadog, Datadog, Datadog];
    tells_both(&hops(styles, callers), &[2]);
}

#[test]
fn test_headers_precedence_propagationstyle_default_datadog_tracecontext() {
    datadog_before_w3c(None);
}

#[test]
fn test_headers_precedence_propagationstyle_datadog_tracecontext() {
    datadog_before_w3c(Some("Datadog,tracecontext"));
}

/// How two contexts of one request relate.
struct Pair {
    rule: &'static str,
    /// Lower half of the trace id in `traceparent`; the upper one is that of Datadog's.
    w3c: u64,
    state: &'static str,
    datadog: (&'static str, &'static str),
}

const HIGH: &str = "5151515151515151";
const PAIRS: [Pair; 5] = [
    Pair {
        rule: "all agree",
        w3c: 0x101,
        state: "dd=s:2;t.tid:5151515151515151,acme=1",
        datadog: ("257", "81726354"),
    },
    Pair {
        rule: "the decisions differ",
        w3c: 0x102,
        state: "dd=s:1;t.tid:5151515151515151,acme=1",
        datadog: ("258", "81726354"),
    },
    Pair {
        rule: "W3C has no decision",
        w3c: 0x103,
        state: "acme=1",
        datadog: ("259", "81726354"),
    },
    Pair {
        rule: "the spans differ",
        w3c: 0x104,
        state: "dd=s:2;t.tid:5151515151515151,acme=1",
        datadog: ("260", "6000"),
    },
    Pair {
        rule: "the traces differ",
        w3c: 0x105,
        state: "acme=1",
        datadog: ("3333", "81726354"),
    },
];

#[track_caller]
fn hop(env: &Lines, pair: &Pair) -> Hop {
    let parent = format!("00-{HIGH}{:016x}-0000000004df0b92-01", pair.w3c);
    let tags = format!("_dd.p.tid={HIGH}");
    let lines = [
        ("traceparent", &*parent),
        ("tracestate", pair.state),
        ("x-datadog-trace-id", pair.datadog.0),
        ("x-datadog-parent-id", pair.datadog.1),
        ("x-datadog-sampling-priority", "2"),
        ("x-datadog-tags", &tags),
    ];
    Hop::of(env, &lines)
}

/// Whatever comes first: the others' members of `tracestate` go on where they are of the trace, unless nobody
/// looked at them.
#[track_caller]
fn check_pairs(styles: &'static str, extract_first: Option<&'static str>) {
    let mut env = vec![
        ("DD_TRACE_PROPAGATION_STYLE_EXTRACT", styles),
        ("DD_TRACE_PROPAGATION_STYLE_INJECT", styles),
    ];
    env.extend(extract_first.map(|is| ("DD_TRACE_PROPAGATION_EXTRACT_FIRST", is)));
    let w3c_first = styles.starts_with("tracecontext");
    for pair in &PAIRS {
        let hop = hop(&env, pair);
        let is_one = pair.rule != "the traces differ";
        let low = if w3c_first || is_one { pair.w3c } else { 3_333 };
        assert_eq!(
            hop.parent().trace,
            format!("{HIGH}{low:016x}"),
            "{}",
            pair.rule
        );
        let looked = w3c_first || (is_one && extract_first != Some("true"));
        let others = if looked { &["acme=1"][..] } else { &[] };
        assert_eq!(hop.state()[1..], *others, "{}", pair.rule);
        let by_w3c = if pair.state.contains("s:2") {
            "s:2"
        } else {
            "s:1"
        };
        assert_eq!(
            hop.dd()[0],
            if w3c_first { by_w3c } else { "s:2" },
            "{}",
            pair.rule
        );
    }
}

const W3C_LAST: &str = "Datadog,b3multi,tracecontext";
const W3C_FIRST: &str = "tracecontext,Datadog,b3multi";

#[test]
fn test_headers_precedence_propagationstyle_tracecontext_last_extract_first_false_correctly_propagates_tracestate()
 {
    check_pairs(W3C_LAST, None);
    check_pairs(W3C_LAST, Some("false"));
}

#[test]
fn test_headers_precedence_propagationstyle_tracecontext_last_extract_first_true_correctly_propagates_tracestate()
 {
    check_pairs(W3C_LAST, Some("true"));
}

#[test]
fn test_headers_precedence_propagationstyle_tracecontext_first_extract_first_false_correctly_propagates_tracestate()
 {
    check_pairs(W3C_FIRST, None);
    check_pairs(W3C_FIRST, Some("false"));
}

#[test]
fn test_headers_precedence_propagationstyle_tracecontext_first_extract_first_true_correctly_propagates_tracestate()
 {
    check_pairs(W3C_FIRST, Some("true"));
}
