//! Rows 8, 9 and 11: answers as bytes, whole and torn, and connections that are kept.

use testapi::trace::Tracer;
use testapi::worker::Guard;

use super::{
    MANY, check_books, chunks, failure, patient, request, resources, served_meanwhile, start,
};
use crate::support::{Act, Actor, DEADLINE, Scene};

fn rig() -> (Actor, Tracer, Guard) {
    let agent = Actor::start();
    let (tracer, guard) = start(patient(&agent.url()));
    (agent, tracer, guard)
}

/// Answers that break off, each in a way of its own.
fn broken() -> [(&'static str, Act); 8] {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"rate_";
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{\"rate_";
    [
        ("closed without a word", Act::Leave(Vec::new())),
        (
            "cut in the head",
            Act::Leave("HTTP/1.1 200 OK\r\nConte".into()),
        ),
        ("cut in the body", Act::Leave(cut.into())),
        ("cut in a chunk", Act::Leave(chunked.into())),
        (
            "a length that is none",
            Act::say("HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\n{}"),
        ),
        (
            "two lengths",
            Act::say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
        ),
        ("reset without a word", Act::Reset(Vec::new())),
        ("reset after the head", Act::Reset(head.into())),
    ]
}

/// Whether it arrived is unknown: it goes once more and no oftener, on another connection.
#[test]
fn row_08_an_answer_that_breaks_off_sends_a_payload_once_more() {
    for (rule, act) in broken() {
        let (agent, tracer, _guard) = rig();
        agent.play(act);
        request(&tracer, rule);
        // On a connection that was kept, the client itself may have tried another at once.
        let _ = tracer.flush(DEADLINE);
        tracer.flush(DEADLINE).unwrap();
        check_books(rule, &tracer, (1, 0), &[]);
        let payloads = agent.payloads();
        let by: Vec<usize> = payloads.iter().map(|scene| scene.connection).collect();
        assert_eq!(by.len(), 2, "{rule}");
        assert_ne!(by[0], by[1], "{rule}: on another connection");
        assert_eq!(chunks(&payloads[1].request)[0][0].resource, rule);
    }
}

/// The Agent may have counted it twice by then; a third time is one too many.
#[test]
fn row_08_a_payload_whose_answers_all_break_off_is_handed_over_twice_and_no_oftener() {
    for (rule, act) in broken() {
        let (agent, tracer, _guard) = rig();
        (0..4).for_each(|_| agent.play(act.clone()));
        request(&tracer, rule);
        failure(&tracer);
        let _ = tracer.flush(DEADLINE);
        check_books(rule, &tracer, (0, 0), &[("unanswered", 1)]);
        assert_eq!(agent.payloads().len(), 2, "{rule}");
    }
}

#[test]
fn row_08_no_request_waits_for_an_answer_that_breaks_off() {
    for (rule, act) in broken() {
        let (agent, tracer, _guard) = rig();
        let _ = served_meanwhile(&tracer, &agent, act);
        tracer.flush(DEADLINE).unwrap();
        check_books(rule, &tracer, (MANY + 1, 0), &[]);
    }
}

const VERSION: &str = "Datadog-Rates-Payload-Version";
const RATES: &str = "{\"rate_by_service\":{\"service:,env:\":0.5}}";

/// Reads the answer's headers and body; returns whether the next payload came by the same connection.
#[track_caller]
fn check_read(rule: &str, act: Act) -> bool {
    let (agent, tracer, _guard) = rig();
    agent.play(act);
    request(&tracer, rule);
    tracer.flush(DEADLINE).unwrap();
    request(&tracer, rule);
    tracer.flush(DEADLINE).unwrap();
    let payloads = agent.payloads();
    let [first, next] = &payloads[..] else {
        panic!("{rule}: {} payloads", payloads.len());
    };
    assert_eq!(next.request.header(VERSION), Some("v7"), "{rule}: headers");
    let rate = chunks(&next.request)[0][0].metric("_dd.agent_psr");
    assert_eq!(rate, Some(0.5), "{rule}: body");
    check_books(rule, &tracer, (2, 0), &[]);
    first.connection == next.connection
}

#[test]
fn row_09_every_framing_of_an_answer_is_read_right() {
    let length = RATES.len();
    let told = format!("{VERSION}: v7\r\nContent-Length: {length}\r\n");
    let (front, back) = RATES.split_at(20);
    let chunked = format!("14\r\n{front}\r\n{:X};x=y\r\n{back}\r\n0\r\n", back.len());
    let head = format!("HTTP/1.1 200 OK\r\n{VERSION}: v7\r\nTransfer-Encoding: chunked\r\n\r\n");
    let lower = told.to_ascii_lowercase().replace('\r', "");
    for (rule, bytes, is_kept) in [
        (
            "a length",
            format!("HTTP/1.1 200 OK\r\n{told}\r\n{RATES}"),
            true,
        ),
        (
            "lower case, bare line feeds",
            format!("HTTP/1.1 200 OK\n{lower}\n{RATES}"),
            true,
        ),
        ("chunks", format!("{head}{chunked}\r\n"), true),
        (
            "trailers",
            format!("{head}{chunked}X-Sum: 1\r\nX-More: 2\r\n\r\n"),
            true,
        ),
        (
            "no reason",
            format!("HTTP/1.1 200\r\n{told}\r\n{RATES}"),
            true,
        ),
        (
            "a close is told",
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{told}\r\n{RATES}"),
            false,
        ),
        (
            "1.0",
            format!("HTTP/1.0 200 OK\r\n{told}\r\n{RATES}"),
            false,
        ),
    ] {
        assert_eq!(check_read(rule, Act::say(bytes.clone())), is_kept, "{rule}");
        assert_eq!(
            check_read(rule, Act::Drip(bytes.into())),
            is_kept,
            "{rule}, byte by byte"
        );
    }
    // What follows would be taken for the next answer.
    let more = Act::say(format!("HTTP/1.1 200 OK\r\n{told}\r\n{RATES}HTTP"));
    assert!(!check_read("more than was told", more));
    let until_close = format!("HTTP/1.1 200 OK\r\n{VERSION}: v7\r\n\r\n{RATES}");
    assert!(!check_read("until the end", Act::Leave(until_close.into())));
}

/// Whether such an Agent took the payload is unknown.
#[test]
fn row_09_an_answer_over_the_limits_of_a_head_is_none() {
    let many = "X-Header: 1\r\n".repeat(65);
    let long = format!("X-Header: {}\r\n", "x".repeat(16 << 10));
    for (rule, headers) in [("65 headers", many), ("16 KiB", long)] {
        let (agent, tracer, _guard) = rig();
        agent.play(Act::say(format!(
            "HTTP/1.1 200 OK\r\n{headers}Content-Length: 0\r\n\r\n"
        )));
        request(&tracer, rule);
        failure(&tracer);
        check_books(rule, &tracer, (0, 1), &[]);
        tracer.flush(DEADLINE).unwrap();
        check_books(rule, &tracer, (1, 0), &[]);
    }
}

/// The Agent closes after each answer without a word of it, and so each connection that was kept is stale.
#[test]
fn row_11_a_stale_connection_is_replaced_at_once() {
    let (agent, tracer, _guard) = rig();
    let leave = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{RATES}",
        RATES.len()
    );
    for number in 0..10 {
        agent.play(Act::Leave(leave.clone().into()));
        request(&tracer, &number.to_string());
        tracer.flush(DEADLINE).unwrap();
        agent.wait_for("the end", |seen| (seen.ended > number).then_some(()));
    }
    let numbers: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    assert_eq!(resources(&agent), numbers, "each once");
    let by = agent
        .payloads()
        .into_iter()
        .map(|scene: Scene| scene.connection);
    assert_eq!(by.collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    assert_eq!((tracer.counts().failed, tracer.counts().retries), (0, 0));
    check_books("all", &tracer, (10, 0), &[]);
}
