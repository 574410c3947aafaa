//! Rows 5, 6, 7, 10 and 26: what an Agent's answer asks for.

use std::time::Duration;

use testapi::clock::{Clock, Hand};
use testapi::trace::{EntryOptions, Options, Tracer};
use testapi::worker::Guard;

use super::{
    MANY, check_books, chunks, failure, patient, request, resources, served_meanwhile, start,
    start_with,
};
use crate::support::{Act, Actor, DEADLINE, Until};
use crate::wire::rig::START;

const SECOND: u64 = 1_000_000_000;

/// A tracer on a clock that is moved by hand.
fn by_hand(change: impl FnOnce(Options) -> Options) -> (Actor, Tracer, Hand, Guard) {
    let agent = Actor::start();
    let (clock, hand) = Clock::manual(START);
    let (tracer, guard) = start_with(change(patient(&agent.url())), clock);
    (agent, tracer, hand, guard)
}

/// No tick before the Agent's own time sends; the first after it does. No wait is longer than 30 s.
#[test]
fn row_05_who_is_told_to_come_later_waits_as_long_as_it_is_told_but_for_thirty_seconds_at_most() {
    for (status, retry_after, seconds) in [(429, "7", 7), (503, "3600", 30), (500, "30", 30)] {
        let every_ten_ms = |options| Options {
            flush_interval: Duration::from_millis(10),
            ..options
        };
        let (agent, tracer, hand, _guard) = by_hand(every_ten_ms);
        let start = format!("{status} Later\r\nRetry-After: {retry_after}");
        agent.play(Act::answer(&start, ""));
        request(&tracer, "1");
        let why = failure(&tracer);
        assert!(why.ends_with(&format!("answered {status}")), "{why}");
        request(&tracer, "2");
        for _ in 0..3 {
            let ticks = tracer.stats().flush_failed;
            hand.advance_ns(seconds * SECOND / 3 - 5_000_000);
            let ticked = || (tracer.stats().flush_failed > ticks).then_some(());
            Until::new(DEADLINE).some("a tick", ticked);
            assert_eq!(agent.payloads().len(), 1, "{status}: not yet");
        }
        hand.advance_ns(20_000_000);
        agent.wait_for("the payload again", |seen| {
            (seen.payloads().count() > 1).then_some(())
        });
        tracer.flush(DEADLINE).unwrap();
        check_books("sent", &tracer, (2, 0), &[]);
        let mut sent = resources(&agent);
        sent.sort_unstable();
        assert_eq!(sent, ["1", "1", "2"]);
    }
}

/// The same payload again, as long as it takes: nothing was taken, so nothing is counted twice.
#[test]
fn row_05_an_agent_that_is_busy_for_long_gets_all_of_it_in_the_end() {
    let agent = Actor::start();
    let (tracer, _guard) = start(patient(&agent.url()));
    let busy = Act::answer("429 Too Many Requests", "");
    served_meanwhile(&tracer, &agent, busy.clone()).unwrap_err();
    for _ in 0..5 {
        agent.play(busy.clone());
        failure(&tracer);
    }
    check_books("kept", &tracer, (0, MANY + 1), &[]);
    tracer.flush(DEADLINE).unwrap();
    check_books("sent", &tracer, (MANY + 1, 0), &[]);
}

/// Of four the first alone is too large: it is given up by name, the others arrive.
#[test]
fn row_06_what_is_too_large_is_halved_and_a_single_trace_given_up_by_name() {
    let agent = Actor::start();
    let (tracer, _guard) = start(patient(&agent.url()));
    (1..=4).for_each(|number| request(&tracer, &format!("GET /{number}")));
    for _ in 0..3 {
        agent.play(Act::answer("413 Payload Too Large", "too large"));
    }
    let why = failure(&tracer);
    assert!(why.ends_with("answered 413"), "{why}");
    let counts: Vec<usize> = agent
        .payloads()
        .iter()
        .map(|p| chunks(&p.request).len())
        .collect();
    assert_eq!(counts, [4, 2, 1, 1, 2]);
    let sent = resources(&agent);
    assert_eq!(sent[7..], ["GET /2", "GET /3", "GET /4"]);
    check_books("one", &tracer, (3, 0), &[("too_large", 1)]);
    let notice = tracer.notice().unwrap();
    let bytes = agent.payloads()[2].request.body.len() - 1;
    let expected = format!("{bytes} bytes, of \"shop\", \"GET /1\"");
    assert!(notice.ends_with(&expected), "{notice}");
}

/// What one payload comes to.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Sent,
    Rejected,
    Kept,
}

#[track_caller]
fn check_status(answer: &str, fate: Fate) {
    let agent = Actor::start();
    let (tracer, _guard) = start(patient(&agent.url()));
    agent.play(Act::say(answer));
    request(&tracer, "1");
    assert_eq!(
        tracer.flush(DEADLINE).is_ok(),
        fate == Fate::Sent,
        "{answer}"
    );
    match fate {
        Fate::Sent => check_books(answer, &tracer, (1, 0), &[]),
        Fate::Rejected => check_books(answer, &tracer, (0, 0), &[("rejected", 1)]),
        Fate::Kept => check_books(answer, &tracer, (0, 1), &[]),
    }
    let told = tracer.notice();
    assert_eq!(told.is_some(), fate == Fate::Rejected, "{answer}: {told:?}");
    // And the next payload is none the worse for it.
    request(&tracer, "2");
    tracer.flush(DEADLINE).unwrap();
    let lost = tracer.ledger().dropped_total();
    assert_eq!(
        (tracer.ledger().sent, tracer.ledger().pending),
        (2 - lost, 0),
        "{answer}"
    );
}

#[test]
fn row_07_every_status_has_its_consequence() {
    let elsewhere = Actor::start();
    let moved = format!(
        "HTTP/1.1 301 Moved\r\nLocation: {}/v0.4/traces\r\nContent-Length: 0\r\n\r\n",
        elsewhere.url()
    );
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    check_status(
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nbad",
        Fate::Rejected,
    );
    check_status(
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        Fate::Rejected,
    );
    check_status(
        "HTTP/1.1 415 Unsupported\r\nContent-Length: 0\r\n\r\n",
        Fate::Rejected,
    );
    check_status("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", Fate::Kept);
    check_status(&moved, Fate::Rejected);
    check_status("HTTP/1.1 204 No Content\r\n\r\n", Fate::Sent);
    check_status(&format!("HTTP/1.1 100 Continue\r\n\r\n{ok}"), Fate::Sent);
    check_status(
        &format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{ok}"),
        Fate::Sent,
    );
    elsewhere.wait_for("nothing", |seen| seen.scenes.is_empty().then_some(()));
}

/// Once a rate is known, nonsense changes nothing.
#[test]
fn row_10_a_body_that_makes_no_sense_leaves_the_rates_as_they_were() {
    let (agent, tracer, _hand, _guard) = by_hand(|options| options);
    let long = format!(
        "{{\"rate_by_service\":{{\"{}\":0.1}}}}",
        "k".repeat(10 << 20)
    );
    let bodies = [
        "not JSON",
        "",
        "{}",
        "OK\n",
        "{\"rate_by_service\":{\"service:shop,env:dev\":NaN}}",
        "{\"rate_by_service\":{\"service:shop,env:dev\":-1}}",
        "{\"rate_by_service\":{\"service:shop,env:dev\":2}}",
        "{\"rate_by_service\":{\"service:shop,env:dev\":\"0.1\"}}",
        "{\"rate_by_service\":{\"service:shop,env:dev\":[0.1]}}",
        "{\"rate_by_service\":[[\"service:shop,env:dev\",0.1]]}",
        "{\"unknown\":{\"service:shop,env:dev\":0.1}}",
        &long,
    ];
    let known = "{\"more\":1,\"rate_by_service\":{\"unknown\":0.1,\"service:shop,env:dev\":0.5}}";
    for body in [known].iter().chain(&bodies) {
        agent.play(Act::answer("200 OK", body));
        request(&tracer, "told");
        tracer.flush(DEADLINE).unwrap();
        assert_eq!(rates(&agent, &tracer, &["shop"]), [0.5], "{:.80}", body);
    }
    check_books("all", &tracer, (2 * (1 + bodies.len() as u64), 0), &[]);
}

/// The rates in force for these services, as their next traces say.
fn rates(agent: &Actor, tracer: &Tracer, services: &[&str]) -> Vec<f64> {
    for service in services {
        let mut entry = tracer.enter(EntryOptions::default());
        entry.set_service(service);
        entry.finish();
    }
    agent.play(Act::answer("200 OK", "{}"));
    tracer.flush(DEADLINE).unwrap();
    let payloads = agent.payloads();
    let spans = chunks(&payloads.last().unwrap().request)
        .into_iter()
        .flatten();
    spans
        .map(|span| span.metric("_dd.agent_psr").unwrap())
        .collect()
}

#[test]
fn row_10_of_a_map_without_end_the_first_ten_thousand_rates_are_taken() {
    let (agent, tracer, _hand, _guard) = by_hand(|options| options);
    let pairs = (0..12_000).map(|n| format!("\"service:s{n},env:dev\":0.25"));
    let pairs = pairs.collect::<Vec<_>>().join(",");
    let body = format!("{{\"rate_by_service\":{{{pairs},\"service:,env:\":0.5}}}}");
    agent.play(Act::answer("200 OK", &body));
    request(&tracer, "told");
    tracer.flush(DEADLINE).unwrap();
    let seen = rates(&agent, &tracer, &["s0", "s9999", "s10000", "s11999"]);
    assert_eq!(seen, [0.25, 0.25, 0.5, 0.5]);
}

/// An Agent that has just started tells 1 until it knows better; it is not flooded for that.
#[test]
fn row_26_a_rate_rises_to_twice_itself_a_second_when_the_agent_starts_anew() {
    let (agent, tracer, hand, _guard) = by_hand(|options| options);
    agent.play(Act::answer(
        "200 OK",
        "{\"rate_by_service\":{\"service:,env:\":0.1}}",
    ));
    request(&tracer, "told");
    tracer.flush(DEADLINE).unwrap();
    assert_eq!(rates(&agent, &tracer, &["shop"]), [0.1]);
    let place = agent.address();
    drop(agent);
    let agent = Actor::at(place);
    request(&tracer, "told 1");
    tracer.flush(DEADLINE).unwrap();
    for (seconds, rate) in [
        (0, 0.2),
        (0, 0.2),
        (1, 0.2),
        (0, 0.4),
        (1, 0.4),
        (1, 0.8),
        (1, 1.0),
    ] {
        hand.advance_ns(seconds * SECOND);
        assert_eq!(rates(&agent, &tracer, &["shop"]), [rate], "{seconds}");
    }
}
