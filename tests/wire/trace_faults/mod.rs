//! What an Agent, a network, a clock, a caller and a signal may do to the tracer: a test for each row, whose
//! name begins with `row_` and its number.
//!
//! While a fault lasts no request waits for it, and afterwards the ledger balances and names the reason of
//! every loss.
//!
//! | row | the fault | in | further tests |
//! |---|---|---|---|
//! | 1 | no Agent at the start | `absent`, `program` | `app::agentless` |
//! | 2 | the Agent dies and returns | `absent` | |
//! | 3 | it accepts and never answers | `silent` | |
//! | 4 | it answers a byte at a time, or without end | `silent` | |
//! | 5 | 429, 503, `Retry-After` | `answers` | `trace::answer` |
//! | 6 | 413 | `answers` | `wire::traces` |
//! | 7 | other statuses, interim answers | `answers` | `trace::answer` |
//! | 8 | an answer that breaks off | `framing` | |
//! | 9 | every framing of HTTP/1.1 | `framing` | `http::message` |
//! | 10 | an answer's body is nonsense | `answers` | `trace::sampling` |
//! | 11 | a kept connection is stale | `framing` | |
//! | 12 | a trace or a tag without end | `load` | |
//! | 13 | more than the Agent takes | `load` | |
//! | 14 | panics | `inside`, `program` | `app::errors`, `worker` |
//! | 15 | a span never ended, ended twice, ended elsewhere | `inside` | |
//! | 16 | the wall clock jumps | `inside` | |
//! | 18 | the end, with unsent spans | `absent`, `program` | `app::agentless` |
//! | 19 | signals during every call | `program` | |
//! | 20 | a Unix socket that is none, or another | `absent` | |
//! | 21 | a name with several addresses | `absent` | |
//! | 22 | hostile headers | `hostile`, `program` | `wire::system_tests` |
//! | 23 | texts that are none, numbers that are none | `hostile`, `program` | `trace::encode` |
//! | 24 | ids: zero, twice | `hostile` | `trace::ids` |
//! | 25 | stdout and stderr take nothing | `program` | `log::file` |
//! | 26 | an Agent that starts anew tells rate 1 | `answers` | `trace::sampling` |
//! | 27 | two tracers | `inside` | |
//!
//! Row 17, a fork, does not occur: no program here forks.

mod absent;
mod answers;
mod framing;
mod hostile;
mod inside;
mod load;
mod program;
mod silent;

use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use testapi::agent::decode::{Span, traces_v04};
use testapi::clock::Clock;
use testapi::identity::Identity;
use testapi::trace::{self, EntryOptions, Options, Tracer};
use testapi::worker::{AskError, Guard};

use crate::support::{Act, Actor, DEADLINE, Gate, Received};

/// A deadline that is over soon.
const SOON: Duration = Duration::from_millis(400);

/// A tracer that sends only what it is asked to, and waits long for answers.
fn patient(agent: &str) -> Options {
    Options {
        agent: agent.parse().unwrap(),
        flush_interval: Duration::from_secs(3_600),
        timeout: DEADLINE,
        ..Options::default()
    }
}

fn start(options: Options) -> (Tracer, Guard) {
    start_with(options, Clock::system())
}

fn start_with(options: Options, clock: Clock) -> (Tracer, Guard) {
    let identity = Identity {
        service: "shop".to_string(),
        env: "dev".to_string(),
        ..Identity::default()
    };
    trace::start(options, &identity, clock).unwrap()
}

/// A trace of one span.
fn request(tracer: &Tracer, resource: &str) {
    let options = EntryOptions {
        name: "http.request".into(),
        resource,
        ..EntryOptions::default()
    };
    tracer.enter(options).finish();
}

/// A flush that fails; why.
#[track_caller]
fn failure(tracer: &Tracer) -> String {
    match tracer.flush(DEADLINE) {
        Err(AskError::Flush(error)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_books(rule: &str, tracer: &Tracer, (sent, pending): (u64, u64), lost: &[(&str, u64)]) {
    let ledger = tracer.ledger();
    assert!(ledger.balances(), "{rule}: {ledger:?}");
    assert_eq!(
        (ledger.sent, ledger.pending),
        (sent, pending),
        "{rule}: {ledger:?}"
    );
    let dropped = ledger.dropped.into_iter().filter(|(_, count)| *count > 0);
    assert_eq!(dropped.collect::<Vec<_>>(), lost, "{rule}");
}

/// Requests that are served while a fault lasts.
const MANY: u64 = 1_000;

/// While the Agent holds a payload at a gate, a thousand requests are served; then it does what it does.
#[track_caller]
fn served_meanwhile(tracer: &Tracer, agent: &Actor, act: Act) -> Result<(), AskError> {
    let gate = Gate::default();
    agent.play(Act::Behind(gate.clone(), Box::new(act)));
    let before = agent.payloads().len();
    request(tracer, "held");
    thread::scope(|scope| {
        let flush = scope.spawn(|| tracer.flush(DEADLINE));
        agent.wait_for("the payload", |seen| {
            (seen.payloads().count() > before).then_some(())
        });
        for _ in 0..MANY {
            request(tracer, "meanwhile");
        }
        assert_eq!(tracer.ledger().offered, MANY + 1);
        assert!(!flush.is_finished(), "the agent has not answered yet");
        gate.open();
        flush.join().unwrap()
    })
}

fn chunks(payload: &Received) -> Vec<Vec<Span>> {
    traces_v04(&payload.body).unwrap()
}

/// Of the first spans, in the order sent.
fn resources(agent: &Actor) -> Vec<String> {
    let payloads = agent.payloads();
    let chunks = payloads.iter().flat_map(|scene| chunks(&scene.request));
    chunks.map(|chunk| chunk[0].resource.clone()).collect()
}

/// An address that is free. One of the test's own, so that no other socket is given its port meanwhile.
fn nobody(host: &str) -> SocketAddr {
    TcpListener::bind((host, 0)).unwrap().local_addr().unwrap()
}
