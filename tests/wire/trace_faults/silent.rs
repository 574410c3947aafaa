//! Rows 3 and 4: an Agent that takes a connection, and then its time.

use std::net::TcpListener;

use testapi::trace::{Options, Tracer};
use testapi::worker::Guard;

use super::{MANY, SOON, check_books, failure, patient, request, served_meanwhile, start};
use crate::support::{Act, Actor, DEADLINE};

/// Waits for an answer only so long.
fn hasty(url: &str) -> (Tracer, Guard) {
    start(Options {
        timeout: SOON,
        ..patient(url)
    })
}

/// Nobody accepts; the system does, and holds what is sent. Whether it arrived is unknown: it is sent once
/// more, then given up and counted once.
#[test]
fn row_03_an_agent_that_never_reads_meets_the_deadline_and_a_payload_is_counted_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tracer, _guard) = hasty(&url);
    request(&tracer, "1");
    let late = format!("{url}: deadline passed while waiting for the answer");
    assert_eq!(failure(&tracer), late);
    check_books("once", &tracer, (0, 1), &[]);
    assert_eq!(failure(&tracer), late);
    check_books("twice", &tracer, (0, 0), &[("unanswered", 1)]);
    assert_eq!(tracer.counts().failed, 2, "payloads, not looks at /info");
}

/// More than the system holds for it: the write meets the deadline, and what never arrived whole is not
/// given up, however often.
#[test]
fn row_03_a_write_that_nobody_reads_meets_the_deadline_too() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tracer, _guard) = start(Options {
        timeout: SOON,
        buffer_bytes_max: 64 << 20,
        payload_bytes_max: 24 << 20,
        ..patient(&url)
    });
    let mut entry = tracer.enter(Default::default());
    let text = "x".repeat(25_000);
    for number in 0..800 {
        entry.set_meta(format!("text.{number}"), &text);
    }
    entry.finish();
    for _ in 0..3 {
        let why = failure(&tracer);
        assert_eq!(why, format!("{url}: deadline passed while sending"));
        check_books("held", &tracer, (0, 1), &[]);
    }
}

#[test]
fn row_03_no_request_waits_for_an_agent_that_never_answers() {
    let agent = Actor::start();
    let (tracer, _guard) = start(patient(&agent.url()));
    // What ends it at last is that the Agent goes; the payload goes again, on another connection.
    served_meanwhile(&tracer, &agent, Act::Leave(Vec::new())).unwrap();
    check_books("sent", &tracer, (1, MANY), &[]);
    assert_eq!(agent.payloads().len(), 2);
}

/// Each byte in time, the whole never: one deadline is over all of an exchange.
#[test]
fn row_04_an_answer_that_drips_meets_the_same_deadline() {
    let agent = Actor::start();
    let (tracer, _guard) = hasty(&agent.url());
    tracer.flush(DEADLINE).unwrap();
    let endless = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
    for start in ["HTTP/1.1 200 OK\r\nX-Long: ", endless] {
        agent.play(Act::DripForEver(start.into()));
        request(&tracer, "dripped on");
        let why = failure(&tracer);
        assert!(why.contains("deadline passed while "), "{why}");
        tracer.flush(DEADLINE).unwrap();
    }
    check_books("once more, each", &tracer, (2, 0), &[]);
    assert_eq!(agent.payloads().len(), 4);
}

/// One that comes to its end in time is read to its end.
#[test]
fn row_04_an_answer_that_drips_and_ends_in_time_is_read() {
    let agent = Actor::start();
    let (tracer, _guard) = start(patient(&agent.url()));
    let slow = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    served_meanwhile(&tracer, &agent, Act::Drip(slow.into())).unwrap();
    check_books("read", &tracer, (1, MANY), &[]);
}

/// At most 1 MiB of an answer is read. That it took the payload stands in its first line.
#[test]
fn row_04_a_body_without_end_is_not_read_to_its_end() {
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_string();
    let told = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_string();
    let refused = "HTTP/1.1 400 Bad\r\nContent-Length: 1048577\r\n\r\n".to_string();
    for (rule, answer, is_sent) in [
        ("chunked", chunked + &chunk.repeat(64), true),
        ("told", told, true),
        (
            "until the end",
            "HTTP/1.1 200 OK\r\n\r\n".to_string() + &"x".repeat(4 << 20),
            true,
        ),
        ("refused", refused, false),
    ] {
        let agent = Actor::start();
        let (tracer, _guard) = start(patient(&agent.url()));
        agent.play(Act::say(answer));
        request(&tracer, rule);
        assert_eq!(tracer.flush(DEADLINE).is_ok(), is_sent, "{rule}");
        match is_sent {
            true => check_books(rule, &tracer, (1, 0), &[]),
            false => check_books(rule, &tracer, (0, 0), &[("rejected", 1)]),
        }
        request(&tracer, "the next");
        tracer.flush(DEADLINE).unwrap();
    }
}
