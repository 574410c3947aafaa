//! Rows 12 and 13: more than a payload, a buffer or an Agent takes.

use std::thread;

use testapi::agent::decode::Span;
use testapi::config;
use testapi::trace::{self, EntryOptions, ErrorTags, Options, SpanOptions, Tracer};

use super::{check_books, chunks, patient, request, start};
use crate::support::{Act, Actor, DEADLINE, Gate};

const CHILDREN: u64 = 100_000;

/// One entry with so many children, one after the other.
fn long_trace(tracer: &Tracer) {
    let entry = tracer.enter(EntryOptions::default());
    for _ in 0..CHILDREN {
        trace::span("row").finish();
    }
    entry.finish();
}

fn spans(agent: &Actor) -> Vec<Vec<Span>> {
    let payloads = agent.payloads();
    payloads
        .iter()
        .flat_map(|scene| chunks(&scene.request))
        .collect()
}

/// It leaves while it runs, in chunks that share its id, each within the limit.
#[test]
fn row_12_a_trace_of_a_hundred_thousand_spans_arrives_whole_in_parts() {
    let agent = Actor::start();
    let options = Options {
        buffer_bytes_max: 256 << 20,
        ..patient(&agent.url())
    };
    let bytes_max = options.payload_bytes_max;
    let (tracer, _guard) = start(options);
    long_trace(&tracer);
    tracer.flush(DEADLINE).unwrap();
    check_books("whole", &tracer, (CHILDREN + 1, 0), &[]);
    for scene in agent.payloads() {
        assert!(
            scene.request.body.len() <= bytes_max + 5,
            "the head of the list included"
        );
    }
    let parts = spans(&agent);
    let trace_id = parts[0][0].trace_id;
    for part in &parts {
        assert!(part.len() <= 300, "{}", part.len());
        assert!(part.iter().all(|span| span.trace_id == trace_id));
        assert_eq!(part[0].metric("_sampling_priority_v1"), Some(1.0));
    }
    let mut ids: Vec<u64> = parts.iter().flatten().map(|span| span.span_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len() as u64, CHILDREN + 1);
}

/// Where it may not leave in parts, what is over ten thousand is dropped and counted.
#[test]
fn row_12_a_trace_that_is_sent_whole_is_cut_at_ten_thousand_spans() {
    let agent = Actor::start();
    let (tracer, _guard) = start(Options {
        spans: SpanOptions {
            partial_flush_spans: None,
            ..SpanOptions::default()
        },
        ..patient(&agent.url())
    });
    long_trace(&tracer);
    tracer.flush(DEADLINE).unwrap();
    check_books(
        "cut",
        &tracer,
        (10_001, 0),
        &[("trace_too_long", CHILDREN - 10_000)],
    );
    assert_eq!(
        spans(&agent).iter().map(Vec::len).collect::<Vec<_>>(),
        [10_001]
    );
}

/// Cut to what the Agent takes, before a character that would be torn.
#[test]
fn row_12_a_tag_of_fifty_megabytes_is_cut_and_many_long_ones_are_given_up() {
    let agent = Actor::start();
    let (tracer, _guard) = start(patient(&agent.url()));
    let mut entry = tracer.enter(EntryOptions::default());
    entry.set_meta("ascii", "x".repeat(50 << 20));
    entry.set_meta("crab", "\u{1f980}".repeat(12 << 20) + "x");
    entry.set_meta("torn", "x".to_string() + &"\u{1f980}".repeat(12 << 20));
    entry.set_resource(&"r".repeat(50 << 20));
    entry.finish();
    let mut entry = tracer.enter(EntryOptions::default());
    let text = "x".repeat(25_000);
    for number in 0..400 {
        entry.set_meta(format!("text.{number}"), &text);
    }
    entry.finish();
    request(&tracer, "the next");
    tracer.flush(DEADLINE).unwrap();
    check_books("one", &tracer, (2, 0), &[("too_large", 1)]);
    let sent = spans(&agent);
    let span = &sent[0][0];
    assert_eq!(span.tag("ascii"), text);
    assert_eq!(span.tag("crab"), "\u{1f980}".repeat(6_250));
    assert_eq!(
        span.tag("torn"),
        "x".to_string() + &"\u{1f980}".repeat(6_249)
    );
    assert_eq!(span.resource, "r".repeat(5_000));
    assert_eq!(sent[1][0].resource, "the next");
}

const ROUND: [&str; 3] = ["dropped", "kept", "failed"];

/// Ten of each of three sorts, one by one: what sampling drops, what it keeps, errors.
fn offer(tracer: &Tracer, resource: &'static str, count: usize) {
    for _ in 0..count {
        let options = EntryOptions {
            resource,
            ..EntryOptions::default()
        };
        let mut entry = tracer.enter(options);
        if resource == "failed" {
            entry.set_error(&ErrorTags::default());
        }
        entry.finish();
    }
}

/// While the Agent holds a payload, far more is offered than is kept for it.
#[test]
fn row_13_under_overload_errors_are_kept_longest_and_the_loss_is_told() {
    let agent = Actor::start();
    let rules = "[{\"resource\":\"dropped\",\"sample_rate\":0}]";
    let (settings, _) = config::parse([("DD_TRACE_SAMPLING_RULES", rules)], &|_| false);
    let (tracer, _guard) = start(Options {
        buffer_bytes_max: 256 << 10,
        sampling: settings.trace().sampling,
        ..patient(&agent.url())
    });
    let gate = Gate::default();
    agent.play(Act::Behind(
        gate.clone(),
        Box::new(Act::answer("200 OK", "{}")),
    ));
    request(&tracer, "held");
    thread::scope(|scope| {
        let flush = scope.spawn(|| tracer.flush(DEADLINE));
        agent.wait_for("the payload", |seen| seen.payloads().next().map(|_| ()));
        // Ten times what the queue has room for, and errors last of all.
        for _ in 0..200 {
            ROUND
                .iter()
                .for_each(|resource| offer(&tracer, resource, 10));
        }
        offer(&tracer, "dropped", 500);
        offer(&tracer, "kept", 500);
        assert!(!flush.is_finished(), "the agent has not answered yet");
        gate.open();
        flush.join().unwrap().unwrap();
    });
    // What was on its way is sent, and what waited behind it.
    tracer.flush(DEADLINE).unwrap();
    let sent = spans(&agent);
    let [dropped, kept, failed] = ROUND.map(|resource| {
        sent.iter()
            .filter(|chunk| chunk[0].resource == resource)
            .count()
    });
    assert!(
        failed > kept && kept > dropped && dropped > 0,
        "{failed}, {kept}, {dropped}"
    );
    let ledger = tracer.ledger();
    assert_eq!(ledger.offered, 7_001);
    let lost = ledger.offered - 1 - (dropped + kept + failed) as u64;
    check_books(
        "overload",
        &tracer,
        (7_001 - lost, 0),
        &[("queue_full", lost)],
    );
    assert!(lost > 5_000, "ten times too much: {lost}");
    request(&tracer, "after");
    tracer.flush(DEADLINE).unwrap();
    let rate = spans(&agent).pop().unwrap()[0]
        .metric("_dd.tracer_kr")
        .unwrap();
    let expected = 1.0 - lost as f64 / 7_001.0;
    assert!((rate - expected).abs() < 0.01, "{rate}, not {expected}");
    assert!(
        tracer
            .notice()
            .unwrap()
            .ends_with(&format!("{lost} queue_full"))
    );
}

/// The room that is left for errors: full of all else, the queue takes them still.
#[test]
fn row_13_an_error_finds_room_where_nothing_else_does() {
    let agent = Actor::start();
    let (tracer, _guard) = start(Options {
        buffer_bytes_max: 256 << 10,
        ..patient(&agent.url())
    });
    let gate = Gate::default();
    agent.play(Act::Behind(
        gate.clone(),
        Box::new(Act::answer("200 OK", "{}")),
    ));
    request(&tracer, "held");
    thread::scope(|scope| {
        let flush = scope.spawn(|| tracer.flush(DEADLINE));
        agent.wait_for("the payload", |seen| seen.payloads().next().map(|_| ()));
        offer(&tracer, "kept", 2_000);
        let lost = tracer.ledger().dropped_total();
        assert!(lost > 1_000, "{lost}");
        offer(&tracer, "failed", 20);
        assert_eq!(tracer.ledger().dropped_total(), lost);
        gate.open();
        flush.join().unwrap().unwrap();
    });
    tracer.flush(DEADLINE).unwrap();
    let failed = spans(&agent)
        .into_iter()
        .flatten()
        .filter(|span| span.error == 1)
        .count();
    assert_eq!(failed, 20);
}
