//! What the sockets of a DogStatsD client may do to it, one test a fault: nobody there, gone and back, full,
//! torn. Each ends with a ledger that balances and names the reason of every loss.

use std::io::Read;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use testapi::clock::Clock;
use testapi::dogstatsd::{self, Address, Client, Error, Event, Options, Sample};
use testapi::identity::Identity;
use testapi::worker::{AskError, Dropped, Guard};

use crate::support::{DEADLINE, Folder};

/// A client that flushes only when asked.
fn client(address: Address, options: Options) -> (Client, Guard) {
    let options = Options {
        address,
        flush_interval: Duration::from_secs(3_600),
        telemetry: false,
        ..options
    };
    dogstatsd::start(options, &Identity::default(), Clock::system()).unwrap()
}

fn free_port() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

fn udp(place: SocketAddr) -> Address {
    Address::Udp(place.ip().to_string(), place.port())
}

/// A stretch of text that travels in a datagram of its own.
fn lone(n: usize) -> String {
    format!("{n:03}{}", "x".repeat(60))
}

#[track_caller]
fn check_books(
    rule: &str,
    client: &Client,
    (sent, pending): (u64, u64),
    dropped: &[(&'static str, u64)],
) {
    let ledger = client.ledger();
    assert!(ledger.balances(), "{rule}: {ledger:?}");
    assert_eq!((ledger.sent, ledger.pending), (sent, pending), "{rule}");
    assert_eq!(ledger.dropped, dropped, "{rule}");
}

#[track_caller]
fn refused(rule: &str, client: &Client, address: &str, why: &str) {
    let Err(AskError::Flush(error)) = client.flush(DEADLINE) else {
        panic!("{rule}: flushed");
    };
    let error = error.to_string();
    let start = format!("cannot send to {address} (DD_DOGSTATSD_URL): ");
    assert!(error.starts_with(&start), "{rule}: {error}");
    assert!(error.contains(why), "{rule}: {error}");
    assert_eq!(client.last_error(), Some(error), "{rule}");
}

/// The three sockets an Agent may have.
enum Agent {
    Udp(UdpSocket),
    Datagram(UnixDatagram, PathBuf),
    Stream(UnixListener, Vec<UnixStream>, PathBuf),
}

impl Agent {
    fn bind(address: &Address) -> Agent {
        match address {
            Address::Udp(host, port) => {
                let socket = UdpSocket::bind((&**host, *port)).unwrap();
                socket.set_read_timeout(Some(DEADLINE)).unwrap();
                Agent::Udp(socket)
            }
            Address::UnixStream(path) => {
                let listener = UnixListener::bind(path).unwrap();
                Agent::Stream(listener, Vec::new(), path.clone())
            }
            Address::UnixDatagram(path) | Address::Unix(path) => {
                let socket = UnixDatagram::bind(path).unwrap();
                socket.set_read_timeout(Some(DEADLINE)).unwrap();
                Agent::Datagram(socket, path.clone())
            }
        }
    }

    /// One payload; a stream's comes from its latest connection, or from a new one.
    fn received(&mut self, on_new_connection: bool) -> String {
        let mut bytes = vec![0; 1 << 16];
        let length = match self {
            Agent::Udp(socket) => socket.recv(&mut bytes).unwrap(),
            Agent::Datagram(socket, _) => socket.recv(&mut bytes).unwrap(),
            Agent::Stream(listener, streams, _) => {
                if on_new_connection {
                    let (stream, _) = listener.accept().unwrap();
                    stream.set_read_timeout(Some(DEADLINE)).unwrap();
                    streams.push(stream);
                }
                let stream = streams.last_mut().unwrap();
                let mut head = [0; 4];
                stream.read_exact(&mut head).unwrap();
                let length = u32::from_le_bytes(head) as usize;
                stream.read_exact(&mut bytes[..length]).unwrap();
                length
            }
        };
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Agent::Datagram(_, path) | Agent::Stream(_, _, path) = self {
            std::fs::remove_file(path).unwrap();
        }
    }
}

/// All kinds of addresses, each with how it is shown and what the system says where nobody listens.
fn addresses(folder: &Folder) -> [(Address, String, &'static str); 4] {
    let place = free_port();
    let path = |name: &str| folder.file(name);
    let shown = |scheme: &str, name: &str| format!("{scheme}://{}", path(name).display());
    [
        (udp(place), format!("udp://{place}"), "refused"),
        (
            Address::UnixDatagram(path("d")),
            shown("unixgram", "d"),
            "No such file",
        ),
        (
            Address::UnixStream(path("s")),
            shown("unixstream", "s"),
            "No such file",
        ),
        (Address::Unix(path("u")), shown("unix", "u"), "No such file"),
    ]
}

/// The Agent comes late, goes, and comes again. What waits goes out in order, and the first window after each
/// return is whole: neither a datagram too many nor one too few. A stream that has ended gives EPIPE, and its
/// signal does not end this process.
#[test]
fn an_agent_may_be_absent_at_first_and_restart() {
    let folder = Folder::new();
    for (address, shown, absent) in addresses(&folder) {
        let (client, guard) = client(address.clone(), Options::default());
        let mut sent = 0;
        for round in 0..3 {
            for away in 1..=3_u64 {
                client.count("n", 1, &[("round", "x")]).unwrap();
                refused(&shown, &client, &shown, absent);
                check_books(&shown, &client, (sent, away), &[]);
            }
            let mut agent = Agent::bind(&address);
            client.count("back", round, &[]).unwrap();
            client.flush(DEADLINE).unwrap();
            for first in [true, false, false] {
                assert_eq!(agent.received(first), "n:1|c|#round:x\n", "{shown}");
            }
            assert_eq!(
                agent.received(false),
                format!("back:{round}|c\n"),
                "{shown}"
            );
            sent += 4;
            check_books(&shown, &client, (sent, 0), &[]);
            assert_eq!(client.last_error(), None, "{shown}");
        }
        let stats = client.stats();
        assert_eq!((stats.flushed, stats.flush_failed), (3, 9), "{shown}");
        assert!(guard.stop(DEADLINE).flushed, "{shown}");
    }
}

/// An Agent that restarts between two windows is not even noticed.
#[test]
fn a_restart_that_nobody_saw_costs_nothing() {
    let folder = Folder::new();
    for (address, shown, _) in addresses(&folder) {
        let (client, _guard) = client(address.clone(), Options::default());
        for _ in 0..4 {
            let mut agent = Agent::bind(&address);
            client.count("n", 1, &[]).unwrap();
            client.flush(DEADLINE).unwrap();
            assert_eq!(agent.received(true), "n:1|c\n", "{shown}");
        }
        check_books(&shown, &client, (4, 0), &[]);
        assert_eq!(client.stats().flush_failed, 0, "{shown}");
    }
}

#[test]
fn what_waits_for_an_agent_is_bounded_and_the_newest_stays() {
    let folder = Folder::new();
    for (address, shown, absent) in addresses(&folder) {
        let options = Options {
            datagram_bytes_max: Some(100),
            backlog_bytes_max: 700,
            ..Options::default()
        };
        let (client, _guard) = client(address.clone(), options);
        for n in 0..50 {
            client.set("s", &lone(n), &[]).unwrap();
            refused(&shown, &client, &shown, absent);
        }
        // Lines of 68 bytes: ten of them.
        check_books(&shown, &client, (0, 10), &[("backlog_full", 40)]);
        let mut agent = Agent::bind(&address);
        client.flush(DEADLINE).unwrap();
        for n in 40..50 {
            let line = format!("s:{}|s\n", lone(n));
            assert_eq!(agent.received(n == 40), line, "{shown}");
        }
        check_books(&shown, &client, (10, 0), &[("backlog_full", 40)]);
    }
}

/// An Agent whose socket fills.
fn unread(path: &Path) -> (UnixDatagram, Address) {
    let agent = UnixDatagram::bind(path).unwrap();
    agent.set_nonblocking(true).unwrap();
    (agent, Address::UnixDatagram(path.into()))
}

fn drained(agent: &UnixDatagram) -> Vec<String> {
    let mut bytes = [0; 8_192];
    let next = || {
        agent
            .recv(&mut bytes)
            .ok()
            .map(|length| bytes[..length].to_vec())
    };
    let text = |bytes| String::from_utf8(bytes).unwrap();
    std::iter::from_fn(next).map(text).collect()
}

/// EAGAIN after some eleven datagrams (net.unix.max_dgram_qlen), or after the bytes of its buffer.
const MORE_THAN_A_SOCKET_HOLDS: usize = 60;

fn full_line(n: usize) -> String {
    format!("{n:03}{}", "x".repeat(8_000))
}

#[test]
fn an_agent_that_does_not_read_gets_all_of_it_later_in_order() {
    let folder = Folder::new();
    let (agent, address) = unread(&folder.file("d"));
    let shown = address.to_string();
    let (client, _guard) = client(address, Options::default());
    let titles: Vec<String> = (0..MORE_THAN_A_SOCKET_HOLDS).map(full_line).collect();
    for title in &titles {
        client.event(&Event::new(title, "")).unwrap();
    }
    refused("full", &client, &shown, "temporarily unavailable");
    let (taken, offered) = (client.ledger().sent, titles.len() as u64);
    assert!((1..offered).contains(&taken), "{taken}");
    check_books("held", &client, (taken, offered - taken), &[]);
    let mut all = drained(&agent);
    assert_eq!(all.len() as u64, taken);
    while client.flush(DEADLINE).is_err() {
        all.extend(drained(&agent));
    }
    all.extend(drained(&agent));
    let line = |title: &String| format!("_e{{8003,0}}:{title}|\n");
    let expected: Vec<_> = titles.iter().map(line).collect();
    assert!(all == expected, "each once, in order: {} came", all.len());
    check_books("all sent", &client, (offered, 0), &[]);
}

#[test]
fn an_agent_that_never_reads_costs_no_memory() {
    let folder = Folder::new();
    let (_agent, address) = unread(&folder.file("d"));
    let options = Options {
        backlog_bytes_max: 50_000,
        ..Options::default()
    };
    let (client, guard) = client(address, options);
    let offered = MORE_THAN_A_SOCKET_HOLDS as u64;
    for n in 0..MORE_THAN_A_SOCKET_HOLDS {
        client.event(&Event::new(&full_line(n), "")).unwrap();
        if n % 6 == 5 {
            // The first find room.
            let _ = client.flush(DEADLINE);
        }
    }
    client.flush(DEADLINE).unwrap_err();
    let (sent, held) = (client.ledger().sent, client.ledger().pending);
    assert!((1..=6).contains(&held), "six lines of 8,016 bytes: {held}");
    let lost = offered - sent - held;
    check_books("bounded", &client, (sent, held), &[("backlog_full", lost)]);
    assert!(!guard.stop(DEADLINE).flushed);
    let dropped = [("backlog_full", lost), ("not_sent", held)];
    check_books("stopped", &client, (sent, 0), &dropped);
}

/// What a stream was given until its end.
fn rest(listener: &UnixListener) -> Vec<u8> {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

fn frame(line: &str) -> Vec<u8> {
    let length = u32::try_from(line.len()).unwrap();
    [&length.to_le_bytes(), line.as_bytes()].concat()
}

fn wide(bytes_max: usize) -> Options {
    Options {
        datagram_bytes_max: Some(bytes_max),
        queue_bytes_max: 64 << 20,
        backlog_bytes_max: 64 << 20,
        ..Options::default()
    }
}

#[test]
fn a_frame_that_tears_goes_whole_on_another_connection() {
    let folder = Folder::new();
    let path = folder.file("s");
    let agent = UnixListener::bind(&path).unwrap();
    let (client, guard) = client(Address::UnixStream(path), wide(160_000));
    // More than half of what a connection holds that nobody reads.
    let lines = ["a", "b"].map(|letter| format!("s:{}|s\n", letter.repeat(150_000)));
    for letter in ["a", "b"] {
        client.set("s", &letter.repeat(150_000), &[]).unwrap();
        client.flush(DEADLINE).unwrap();
    }
    check_books("both", &client, (2, 0), &[]);
    let first = rest(&agent);
    let (whole, torn) = first.split_at(frame(&lines[0]).len());
    assert_eq!(whole, frame(&lines[0]));
    assert!(!torn.is_empty(), "a part of the second");
    assert!(frame(&lines[1]).starts_with(torn));
    assert!(guard.stop(DEADLINE).flushed);
    assert_eq!(rest(&agent), frame(&lines[1]), "whole, and once");
}

type Call<'a> = dyn Fn(&Client) -> Result<(), Error> + 'a;

/// Also where so much has gathered that the worker sends before it is asked.
#[test]
fn a_frame_that_tears_twice_is_given_up_and_holds_no_other() {
    let text = "x".repeat(8 << 20);
    let event = |client: &Client| client.event(&Event::new("e", &text));
    let member = |client: &Client| client.set("s", &text, &[]);
    let calls: [&Call<'_>; 2] = [&event, &member];
    for call in calls {
        let folder = Folder::new();
        let path = folder.file("s");
        let agent = UnixListener::bind(&path).unwrap();
        let address = Address::UnixStream(path);
        let shown = address.to_string();
        let (client, guard) = client(address, wide(9 << 20));
        call(&client).unwrap();
        refused("torn", &client, &shown, "took only a part of the frame");
        check_books("torn", &client, (0, 0), &[("not_sent", 1)]);
        client.count("n", 1, &[]).unwrap();
        client.flush(DEADLINE).unwrap();
        assert!(guard.stop(DEADLINE).flushed);
        let torn = [rest(&agent), rest(&agent)];
        assert!(torn.iter().all(|part| part.len() < 8 << 20));
        assert_eq!(rest(&agent), frame("n:1|c\n"));
        check_books("went on", &client, (1, 0), &[("not_sent", 1)]);
    }
}

#[test]
fn a_line_over_the_limit_is_refused_with_both_numbers() {
    let place = free_port();
    let _agent = UdpSocket::bind(place).unwrap();
    let (client, _guard) = client(udp(place), Options::default());
    let error = client.set("s", &"x".repeat(70_000), &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a line of 70005 bytes: at most datagram_bytes_max = 1432"
    );
    client.flush(DEADLINE).unwrap();
    check_books("refused", &client, (0, 0), &[("too_big", 1)]);
}

/// The Agent refuses these or divides by zero; none gets as far as a socket.
#[test]
fn what_is_no_number_is_dropped_by_handles_too() {
    let place = free_port();
    let agent = UdpSocket::bind(place).unwrap();
    agent.set_read_timeout(Some(DEADLINE)).unwrap();
    let (client, _guard) = client(udp(place), Options::default());
    let gauge = client.gauge_handle("g", &[]).unwrap();
    let histogram = client.histogram_handle("h", &[]).unwrap();
    let distribution = client.distribution_handle("d", &[]).unwrap();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        gauge.set(value);
        histogram.record(value);
        distribution.record(value);
        client.gauge("g", value, &[]).unwrap_err();
    }
    for rate in [0.0, -0.0, -1.0, 1.5, f64::NAN, f64::INFINITY] {
        let error = client.offer(&Sample::count("c", 1).rate(rate));
        assert!(matches!(error, Err(Error::Rate(_))), "{rate}");
    }
    gauge.set(1.5);
    client.flush(DEADLINE).unwrap();
    let mut bytes = [0; 1_500];
    let length = agent.recv(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], b"g:1.5|g\n");
    check_books("invalid", &client, (1, 0), &[("invalid", 18)]);
}

/// An hour back, to 1970, far ahead: a window ends all the same, soon and by itself.
#[test]
fn a_wall_clock_that_jumps_holds_no_window_up() {
    const START_NS: u64 = 1_700_000_000_000_000_000;
    let place = free_port();
    let agent = UdpSocket::bind(place).unwrap();
    agent.set_read_timeout(Some(DEADLINE)).unwrap();
    let (clock, hand) = Clock::manual(START_NS);
    let options = Options {
        address: udp(place),
        telemetry: false,
        ..Options::default()
    };
    let (client, _guard) = dogstatsd::start(options, &Identity::default(), clock).unwrap();
    client.flush(DEADLINE).unwrap();
    let jumps = [
        START_NS - 3_600_000_000_000,
        0,
        u64::MAX - 1_000_000_000,
        START_NS,
    ];
    for (n, to) in jumps.into_iter().enumerate() {
        client.count("n", 1, &[]).unwrap();
        hand.set_unix_ns(to);
        hand.advance_ns(100_000_000);
        let mut bytes = [0; 1_500];
        let length = agent.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"n:1|c\n", "to {to}");
        // Once it answers, the datagram is booked and the worker waits for its next tick.
        client.flush(DEADLINE).unwrap();
        check_books("sent", &client, (n as u64 + 1, 0), &[]);
    }
}

/// Nobody there, nobody who reads: the stop ends in its time and says what was left.
#[test]
fn a_stop_while_nobody_takes_ends_and_counts_what_is_left() {
    let folder = Folder::new();
    for (address, shown, _) in addresses(&folder) {
        let (client, guard) = client(address, Options::default());
        let handle = client.count_handle("handle", &[]).unwrap();
        handle.add(1);
        client.gauge("g", 1.0, &[]).unwrap();
        client.event(&Event::new("e", "")).unwrap();
        let stopped = guard.stop(DEADLINE);
        assert!(stopped.joined && !stopped.flushed, "{shown}: {stopped:?}");
        check_books(&shown, &client, (0, 0), &[("not_sent", 3)]);
        handle.add(1);
        let late = client.gauge("g", 1.0, &[]);
        assert_eq!(late, Err(Error::Dropped(Dropped::Stopped)), "{shown}");
        assert_eq!(client.flush(DEADLINE), Err(AskError::Stopped), "{shown}");
        let dropped = [("stopped", 2), ("not_sent", 3)];
        check_books(&shown, &client, (0, 0), &dropped);
    }
    let path = folder.file("full");
    let _agent = UnixListener::bind(&path).unwrap();
    let (client, guard) = client(Address::UnixStream(path), Options::default());
    let text = "x".repeat(8_000);
    for _ in 0..50 {
        client.event(&Event::new("e", &text)).unwrap();
    }
    let stopped = guard.stop(DEADLINE);
    assert!(stopped.joined && !stopped.flushed, "{stopped:?}");
    let sent = client.ledger().sent;
    assert!((1..50).contains(&sent), "{sent}");
    check_books("full", &client, (sent, 0), &[("not_sent", 50 - sent)]);
}
