//! Spans of the public tracer against an Agent that only records: every header, every field.
//!
//! Sources: datadog-agent `pkg/trace/api` for what is read, dd-trace-go `ddtrace/tracer/transport.go`
//! for what is sent.

use std::time::Duration;

use testapi::agent::decode::{Span, traces_v04};
use testapi::clock::{Clock, Hand};
use testapi::identity::Identity;
use testapi::trace::{self, EntryOptions, ErrorTags, Options, Tracer};
use testapi::worker::Guard;

use super::rig::caller_of;
use crate::support::{DEADLINE, FakeAgent, Received};

const START: u64 = 1_795_344_502_616_000_000;
const CONTAINER: &str = "3726184226f5d3147c25fdeab5b60097e378e8a720503a5e19ecfdf29f869860";
const RUNTIME: &str = "0c2f4b34-6b57-4f0e-9a53-3d7d7e7a1a11";

fn shop() -> Identity {
    Identity {
        service: "shop".into(),
        env: "dev".into(),
        version: "1.2".into(),
        hostname: "web1".into(),
        tags: vec![("team".into(), "a".into())],
        container_id: Some(CONTAINER.into()),
        entity_id: Some(format!("ci-{CONTAINER}")),
        external_env: Some("it-false,cn-web,pu-1".into()),
        runtime_id: RUNTIME.into(),
        process_id: 4_242,
    }
}

struct Rig {
    agent: FakeAgent,
    tracer: Tracer,
    hand: Hand,
    _guard: Guard,
}

impl Rig {
    fn new(identity: &Identity) -> Rig {
        let agent = FakeAgent::start();
        let options = Options {
            agent: format!("http://{}", agent.addresses().1).parse().unwrap(),
            // Only what is asked for is sent.
            flush_interval: Duration::from_secs(3_600),
            ..Options::default()
        };
        let (clock, hand) = Clock::manual(START);
        let (tracer, guard) = trace::start(options, identity, clock).unwrap();
        Rig {
            agent,
            tracer,
            hand,
            _guard: guard,
        }
    }

    /// The payload of all that is finished.
    #[track_caller]
    fn payload(&self) -> Received {
        self.tracer.flush(DEADLINE).unwrap();
        let seen = self.agent.seen();
        seen.payloads().last().unwrap().clone()
    }

    #[track_caller]
    fn spans(&self) -> Vec<Vec<Span>> {
        traces_v04(&self.payload().body).unwrap()
    }
}

fn entry(name: &'static str, resource: &'static str) -> EntryOptions<'static> {
    EntryOptions {
        name: name.into(),
        resource,
        kind: "web",
        ..EntryOptions::default()
    }
}

fn meta(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(k, v): &(&str, &str)| (k.to_string(), v.to_string());
    pairs.iter().map(own).collect()
}

fn metrics(pairs: &[(&str, f64)]) -> Vec<(String, f64)> {
    pairs.iter().map(|(k, v)| (k.to_string(), *v)).collect()
}

/// One entry of 5 ms with a child from 1 ms to 3 ms, as spans were opened.
fn one_trace(rig: &Rig) -> (u128, [u64; 2]) {
    let mut entry = rig.tracer.enter(entry("http.request", "GET /cart/{id}"));
    entry.set_meta("http.method", "GET");
    entry.set_meta("http.route", "/cart/{id}");
    entry.set_metric("cart.items", 3.0);
    entry.set_metric("not.a.number", f64::NAN);
    rig.hand.advance_ns(1_000_000);
    let mut child = trace::span("load cart");
    child.set_resource("SELECT ?");
    child.set_meta("cart.owner", "\u{e9}va");
    child.set_meta("cart.owner", "\u{e9}va II");
    let child_id = trace::active().unwrap().span_id;
    rig.hand.advance_ns(2_000_000);
    child.finish();
    rig.hand.advance_ns(2_000_000);
    let (trace_id, entry_id) = entry.ids();
    entry.finish();
    (trace_id, [entry_id, child_id])
}

#[test]
fn a_payload_has_exactly_these_headers() {
    let rig = Rig::new(&shop());
    one_trace(&rig);
    one_trace(&rig);
    let payload = rig.payload();
    let http = rig.agent.addresses().1.to_string();
    let length = payload.body.len().to_string();
    let interpreter = format!("rustc-{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    let entity = format!("ci-{CONTAINER}");
    let mut expected = [
        ("Host", &*http),
        ("Content-Type", "application/msgpack"),
        ("Content-Length", &*length),
        ("X-Datadog-Trace-Count", "2"),
        ("Datadog-Meta-Lang", "rust"),
        ("Datadog-Meta-Lang-Version", env!("CARGO_PKG_RUST_VERSION")),
        ("Datadog-Meta-Lang-Interpreter", &*interpreter),
        ("Datadog-Meta-Tracer-Version", env!("CARGO_PKG_VERSION")),
        ("Datadog-Client-Computed-Top-Level", "yes"),
        ("Datadog-Send-Real-Http-Status", "1"),
        ("Datadog-Rates-Payload-Version", "0"),
        ("Datadog-Container-ID", CONTAINER),
        ("Datadog-Entity-ID", &*entity),
        ("Datadog-External-Env", "it-false,cn-web,pu-1"),
    ];
    expected.sort_unstable();
    let mut lines = payload.head.lines();
    assert_eq!(lines.next(), Some("POST /v0.4/traces HTTP/1.1"));
    let mut headers: Vec<_> = lines.map(|line| line.split_once(": ").unwrap()).collect();
    headers.sort_unstable();
    assert_eq!(headers, expected);
}

#[test]
fn what_is_not_known_has_no_header() {
    let rig = Rig::new(&Identity {
        external_env: Some(String::new()),
        ..Identity::default()
    });
    one_trace(&rig);
    let payload = rig.payload();
    for name in ["Container-ID", "Entity-ID", "External-Env"] {
        assert_eq!(payload.header(&format!("Datadog-{name}")), None, "{name}");
    }
}

#[test]
fn every_field_of_every_span_arrives() {
    let rig = Rig::new(&shop());
    let (trace_id, [entry_id, child_id]) = one_trace(&rig);
    let (high, low) = ((trace_id >> 64) as u64, trace_id as u64);
    assert_eq!(high, (START / 1_000_000_000) << 32, "seconds, then zeros");
    let entry = Span {
        service: "shop".into(),
        name: "http.request".into(),
        resource: "GET /cart/{id}".into(),
        kind: "web".into(),
        trace_id: low,
        span_id: entry_id,
        parent_id: 0,
        start: START as i64,
        duration: 5_000_000,
        error: 0,
        meta: meta(&[
            ("http.method", "GET"),
            ("http.route", "/cart/{id}"),
            ("_dd.p.dm", "-0"),
            ("_dd.p.tid", &format!("{high:016x}")),
            ("env", "dev"),
            ("version", "1.2"),
            ("language", "rust"),
            ("runtime-id", RUNTIME),
            ("team", "a"),
        ]),
        metrics: metrics(&[
            ("_dd.top_level", 1.0),
            ("_dd.measured", 1.0),
            ("cart.items", 3.0),
            ("_dd.agent_psr", 1.0),
            ("_sampling_priority_v1", 1.0),
            ("_dd.tracer_kr", 1.0),
            ("process_id", 4_242.0),
        ]),
    };
    let child = Span {
        service: "shop".into(),
        name: "load cart".into(),
        resource: "SELECT ?".into(),
        trace_id: low,
        span_id: child_id,
        parent_id: entry_id,
        start: START as i64 + 1_000_000,
        duration: 2_000_000,
        meta: meta(&[
            ("cart.owner", "\u{e9}va II"),
            ("env", "dev"),
            ("version", "1.2"),
            ("team", "a"),
        ]),
        ..Span::default()
    };
    assert_eq!(rig.spans(), [[entry, child]]);
}

#[test]
fn a_payload_that_is_cut_or_goes_on_is_an_error() {
    let rig = Rig::new(&shop());
    one_trace(&rig);
    let mut body = rig.payload().body;
    for length in 0..body.len() {
        assert!(traces_v04(&body[..length]).is_err(), "cut at {length}");
    }
    body.push(0xc0);
    assert!(traces_v04(&body).is_err(), "a byte behind the end");
}

#[test]
fn ids_are_what_a_signed_reader_can_hold() {
    let rig = Rig::new(&shop());
    for _ in 0..200 {
        one_trace(&rig);
    }
    let mut ids = Vec::new();
    for span in rig.spans().iter().flatten() {
        assert!((1..1 << 63).contains(&span.span_id), "{}", span.span_id);
        assert_ne!(span.trace_id, 0);
        ids.push(span.span_id);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 400, "no id twice");
}

#[test]
fn an_error_stands_on_the_entry_span_with_its_three_tags() {
    let rig = Rig::new(&shop());
    let mut entry = rig.tracer.enter(entry("http.request", "GET /"));
    entry.set_error(&ErrorTags {
        kind: "shop::CartError",
        message: "no cart: timed out",
        stack: "0: shop::load\n    at src/cart.rs:7:5\n1: shop::serve\n    at src/main.rs:3:1\n",
    });
    entry.finish();
    let chunks = rig.spans();
    let span = &chunks[0][0];
    assert_eq!(span.error, 1);
    assert_eq!(span.tag("error.type"), "shop::CartError");
    assert_eq!(span.tag("error.message"), "no cart: timed out");
    let frames = "0: shop::load\n    at src/cart.rs:7:5\n1: shop::serve\n    at src/main.rs:3:1\n";
    assert_eq!(span.tag("error.stack"), frames);
}

#[test]
fn a_panic_inside_loses_no_span() {
    let rig = Rig::new(&shop());
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _entry = rig.tracer.enter(entry("http.request", "GET /"));
        let _child = trace::span("risky");
        std::panic::resume_unwind(Box::new("no message on stderr"));
    }));
    assert!(caught.is_err());
    let names: Vec<String> = rig.spans()[0].iter().map(|s| s.name.clone()).collect();
    assert_eq!(names, ["http.request", "risky"]);
    assert_eq!(trace::active(), None);
}

#[test]
fn a_caller_in_another_process_is_the_parent() {
    let rig = Rig::new(&shop());
    let headers = [
        ("x-datadog-trace-id", "1311768467463790320"),
        ("x-datadog-parent-id", "1234605616436508552"),
        ("x-datadog-sampling-priority", "2"),
        ("x-datadog-origin", "synthetics"),
        ("x-datadog-tags", "_dd.p.dm=-4,_dd.p.tid=640cfd8d00000000"),
    ];
    let options = EntryOptions {
        caller: caller_of(&rig.tracer, &headers),
        ..entry("http.request", "GET /")
    };
    rig.tracer.enter(options).finish();
    let chunks = rig.spans();
    let span = &chunks[0][0];
    assert_eq!(
        (span.trace_id, span.parent_id),
        (1_311_768_467_463_790_320, 1_234_605_616_436_508_552)
    );
    for (key, value) in [
        ("_dd.p.tid", "640cfd8d00000000"),
        ("_dd.p.dm", "-4"),
        ("_dd.origin", "synthetics"),
    ] {
        assert_eq!(span.tag(key), value, "{key}");
    }
    let priority = ("_sampling_priority_v1".to_string(), 2.0);
    assert!(span.metrics.contains(&priority), "{:?}", span.metrics);
}

#[test]
fn the_agents_rates_are_obeyed_and_their_version_is_told_back() {
    let rig = Rig::new(&shop());
    let version = "Datadog-Rates-Payload-Version";
    rig.agent.answer_next(&format!(
        "200 OK\r\n{version}: v7\r\n\r\n{{\"rate_by_service\":{{\"service:shop,env:dev\":0}}}}"
    ));
    one_trace(&rig);
    assert_eq!(rig.payload().header(version), Some("0"));
    rig.agent.answer_next("200 OK\r\n\r\n{}");
    for round in ["the new rate", "kept on {}"] {
        one_trace(&rig);
        let payload = rig.payload();
        assert_eq!(payload.header(version), Some("v7"), "{round}");
        let chunks = traces_v04(&payload.body).unwrap();
        let span = &chunks[0][0];
        for (key, value) in [("_sampling_priority_v1", 0.0), ("_dd.agent_psr", 0.0)] {
            let pair = (key.to_string(), value);
            assert!(span.metrics.contains(&pair), "{round}: {:?}", span.metrics);
        }
        assert_eq!(
            span.tag("_dd.p.dm"),
            "",
            "only what is kept says who kept it"
        );
    }
}

#[test]
fn a_payload_too_large_is_sent_in_halves() {
    let rig = Rig::new(&shop());
    for _ in 0..3 {
        one_trace(&rig);
    }
    rig.agent.answer_next("413 Payload Too Large\r\n\r\n");
    rig.tracer.flush(DEADLINE).unwrap();
    let seen = rig.agent.seen();
    let counts: Vec<&str> = seen
        .payloads()
        .map(|p| p.header("X-Datadog-Trace-Count").unwrap())
        .collect();
    assert_eq!(counts, ["3", "1", "2"]);
    let ledger = rig.tracer.ledger();
    assert_eq!((ledger.offered, ledger.sent, ledger.pending), (6, 6, 0));
}

#[test]
fn a_tracer_that_is_switched_off_sends_nothing() {
    let agent = FakeAgent::start();
    let options = Options {
        enabled: false,
        agent: format!("http://{}", agent.addresses().1).parse().unwrap(),
        ..Options::default()
    };
    let (tracer, guard) = trace::start(options, &shop(), Clock::system()).unwrap();
    tracer.enter(entry("http.request", "GET /")).finish();
    tracer.flush(DEADLINE).unwrap();
    assert!(guard.stop(DEADLINE).flushed);
    assert_eq!(agent.seen().payloads().count(), 0);
    assert_eq!(tracer.ledger().offered, 0);
}
