//! Rows 1, 2, 18, 20, 21: nobody there, not yet, no longer, or somewhere else.

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use testapi::trace::{AgentState, Options};

use super::{MANY, check_books, chunks, failure, nobody, patient, request, resources, start};
use crate::support::{Act, Actor, DEADLINE, Folder};

/// Requests are served and kept, with the rate of 1; it tries again by itself, not only when asked.
#[test]
fn row_01_no_agent_at_the_start_holds_no_request_and_loses_none() {
    let place = nobody("127.0.0.11");
    let options = Options {
        flush_interval: Duration::from_millis(10),
        ..patient(&format!("http://{place}"))
    };
    let (tracer, _guard) = start(options);
    let why = failure(&tracer);
    assert!(
        why.starts_with(&format!("http://{place}: cannot connect: ")),
        "{why}"
    );
    assert!(matches!(tracer.agent(), AgentState::Unreachable(_)));
    for number in 0..MANY {
        request(&tracer, &number.to_string());
    }
    failure(&tracer);
    check_books("kept", &tracer, (0, MANY), &[]);
    let agent = Actor::at(place);
    let spans = agent.wait_for("all spans, without being asked", |seen| {
        let all = seen.payloads().flat_map(|scene| chunks(&scene.request));
        let all: Vec<_> = all.flatten().collect();
        (all.len() as u64 == MANY).then_some(all)
    });
    for (number, span) in spans.iter().enumerate() {
        assert_eq!(span.resource, number.to_string(), "in order");
        assert_eq!(span.metric("_dd.agent_psr"), Some(1.0));
        assert_eq!(span.metric("_sampling_priority_v1"), Some(1.0));
    }
    tracer.flush(DEADLINE).unwrap();
    check_books("sent", &tracer, (MANY, 0), &[]);
}

/// What came last is kept within the bytes allowed and sent after the return; what had to go is counted
/// by reason, and a person is told.
#[test]
fn row_02_an_agent_that_dies_and_returns_gets_the_newest_and_losses_are_told() {
    let place = nobody("127.0.0.12");
    let options = Options {
        buffer_bytes_max: 128 << 10,
        ..patient(&format!("http://{place}"))
    };
    let (tracer, _guard) = start(options);
    let agent = Actor::at(place);
    request(&tracer, "first");
    tracer.flush(DEADLINE).unwrap();
    drop(agent);
    for number in 0..MANY {
        request(&tracer, &number.to_string());
        if number % 10 == 9 {
            failure(&tracer);
        }
    }
    let held = tracer.ledger().pending;
    assert!((10..MANY).contains(&held), "{held}");
    let lost = MANY - held;
    check_books("held", &tracer, (1, held), &[("buffer_full", lost)]);
    let agent = Actor::at(place);
    tracer.flush(DEADLINE).unwrap();
    let newest: Vec<String> = (lost..MANY).map(|number| number.to_string()).collect();
    assert_eq!(resources(&agent), newest);
    check_books("sent", &tracer, (1 + held, 0), &[("buffer_full", lost)]);
    let notice = tracer.notice().unwrap();
    assert!(
        notice.contains(" spans lost, in all ") && notice.ends_with(" buffer_full"),
        "{notice}"
    );
}

/// `main` returns: the guard goes, and with it what was not sent.
#[test]
fn row_18_a_guard_that_goes_sends_what_is_left() {
    let agent = Actor::start();
    let (tracer, guard) = start(patient(&agent.url()));
    request(&tracer, "last");
    drop(guard);
    assert_eq!(resources(&agent), ["last"]);
    request(&tracer, "too late");
    check_books("stopped", &tracer, (1, 0), &[("stopped", 1)]);
}

/// A stop while nobody answers gives up in its time, and counts.
#[test]
fn row_18_a_stop_while_the_agent_hangs_counts_what_is_left() {
    let agent = Actor::start();
    agent.play(Act::Hang);
    let (tracer, guard) = start(patient(&agent.url()));
    (0..10).for_each(|_| request(&tracer, "unsent"));
    let stopped = guard.stop(DEADLINE);
    assert!(stopped.joined && !stopped.flushed, "{stopped:?}");
    check_books("stopped", &tracer, (0, 0), &[("not_sent", 10)]);
}

/// Each time with the path and what is wrong with it; what is there the next time is taken as it is then.
#[test]
fn row_20_a_unix_socket_that_is_missing_none_closed_or_replaced_is_named_and_found_again() {
    let folder = Folder::new();
    let path = folder.file("apm.socket");
    let url = format!("unix://{}", path.display());
    let (tracer, _guard) = start(patient(&url));
    request(&tracer, "1");
    let refused = |rule: &str, reason: &str| {
        let why = failure(&tracer);
        assert!(
            why.starts_with(&format!("{url}: cannot connect: ")),
            "{rule}: {why}"
        );
        assert!(why.contains(reason), "{rule}: {why}");
    };
    refused("missing", "No such file");
    fs::write(&path, "a file").unwrap();
    refused("not a socket", "refused");
    fs::remove_file(&path).unwrap();
    let first = Actor::unix(&path);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // Whoever is root may all the same.
    let denied = UnixStream::connect(&path).is_err_and(|e| e.kind() == ErrorKind::PermissionDenied);
    if denied {
        refused("no permission", "denied");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }
    tracer.flush(DEADLINE).unwrap();
    assert_eq!(resources(&first), ["1"]);
    drop(first);
    let second = Actor::unix(&path);
    request(&tracer, "2");
    tracer.flush(DEADLINE).unwrap();
    assert_eq!(resources(&second), ["2"]);
    check_books("both", &tracer, (2, 0), &[]);
}

/// The Agent moves from each address of `localhost` to the next and back, on one port: all are tried, each
/// time anew. Those before it are refused, as IPv6 is where only IPv4 listens.
#[test]
fn row_21_every_address_of_a_name_is_tried_and_the_name_is_resolved_anew() {
    let addresses = ("localhost", 0).to_socket_addrs().unwrap();
    let usable = addresses.filter(|address| TcpListener::bind(address).is_ok());
    let mut places: Vec<_> = usable.collect();
    places.extend(places.clone().into_iter().rev());
    let mut agent = Actor::at(places[0]);
    let port = agent.address().port();
    let (tracer, _guard) = start(patient(&format!("http://localhost:{port}")));
    for (number, place) in places.iter().enumerate() {
        request(&tracer, &number.to_string());
        if number > 0 {
            drop(agent);
            let why = failure(&tracer);
            assert!(why.contains("cannot connect"), "{why}");
            agent = Actor::at((place.ip(), port).into());
        }
        tracer.flush(DEADLINE).unwrap();
        assert_eq!(resources(&agent), [number.to_string()], "{place}");
    }
    check_books("all", &tracer, (places.len() as u64, 0), &[]);
}
