//! Many threads, every type, flushes in between and an Agent that goes away and comes back: what it adds
//! up is what was offered.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read};
use std::net::{Shutdown, SocketAddr, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use testapi::agent::decode::{Kind, Message, Values, datagram};
use testapi::clock::Clock;
use testapi::dogstatsd::{self, Address, Client, Error, Options};
use testapi::identity::Identity;

use crate::support::{DEADLINE, Folder};

const THREADS: usize = 8;
const OPERATIONS: usize = 100_000;
const RESTARTS: usize = 3;
/// Operations that happen while the Agent is away.
const AWAY: usize = 20_000;
const MEMBERS: usize = 1_000;

/// What the controlling thread and the Agent tell each other.
#[derive(Default)]
struct Signals {
    leave: AtomicBool,
    away: AtomicBool,
    end: AtomicBool,
    /// Operations done so far.
    done: AtomicUsize,
}

impl Signals {
    fn wait(&self, until: impl Fn() -> bool) {
        while !until() {
            thread::yield_now();
        }
    }

    /// Sends the Agent away and calls it back, in the middle of the work.
    fn restart_now_and_then(&self) {
        let all = THREADS * OPERATIONS;
        for round in 1..=RESTARTS {
            self.wait(|| self.done.load(SeqCst) > round * all / (RESTARTS + 1));
            self.leave.store(true, SeqCst);
            self.wait(|| self.away.load(SeqCst));
            let now = self.done.load(SeqCst);
            self.wait(|| self.done.load(SeqCst) > (now + AWAY).min(all - 1));
            self.leave.store(false, SeqCst);
        }
    }

    /// The Agent's life: bound, then away, until the end. Before it goes it reads what has reached it; what
    /// comes from then on, its sockets refuse.
    fn live(&self, mut bound: impl FnMut(&dyn Fn() -> bool) -> Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while !self.end.load(SeqCst) {
            self.away.store(false, SeqCst);
            all.extend(bound(&|| self.leave.load(SeqCst) || self.end.load(SeqCst)));
            self.away.store(true, SeqCst);
            self.wait(|| !self.leave.load(SeqCst) || self.end.load(SeqCst));
        }
        all
    }
}

const LOOK: Option<Duration> = Some(Duration::from_millis(2));

fn nothing_more(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn udp_agent(place: SocketAddr, signals: &Signals) -> Vec<Vec<u8>> {
    signals.live(|is_over| {
        let socket = UdpSocket::bind(place).unwrap();
        socket.set_read_timeout(LOOK).unwrap();
        let (mut all, mut buffer) = (Vec::new(), vec![0; 65_536]);
        let mut leaving = false;
        loop {
            match socket.recv(&mut buffer) {
                Ok(length) => all.push(buffer[..length].to_vec()),
                Err(error) if leaving => {
                    assert!(nothing_more(error.kind()), "{error}");
                    return all;
                }
                Err(_) if is_over() => {
                    // From here on it takes datagrams of nobody else.
                    socket.connect("127.0.0.1:1").unwrap();
                    leaving = true;
                }
                Err(_) => {}
            }
        }
    })
}

fn datagram_agent(path: &Path, signals: &Signals) -> Vec<Vec<u8>> {
    signals.live(|is_over| {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(LOOK).unwrap();
        let (mut all, mut buffer) = (Vec::new(), vec![0; 65_536]);
        loop {
            match socket.recv(&mut buffer) {
                Ok(0) => break,
                Ok(length) => all.push(buffer[..length].to_vec()),
                Err(_) if is_over() => socket.shutdown(Shutdown::Read).unwrap(),
                Err(_) => {}
            }
        }
        std::fs::remove_file(path).unwrap();
        all
    })
}

fn stream_agent(path: &Path, signals: &Signals) -> Vec<Vec<u8>> {
    signals.live(|is_over| {
        let listener = UnixListener::bind(path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut streams: Vec<(UnixStream, Vec<u8>)> = Vec::new();
        let mut over = false;
        loop {
            if !over && is_over() {
                std::fs::remove_file(path).unwrap();
                over = true;
            }
            let mut came = false;
            while let Ok((stream, _)) = listener.accept() {
                stream.set_read_timeout(LOOK).unwrap();
                streams.push((stream, Vec::new()));
                came = true;
            }
            for (stream, bytes) in &mut streams {
                if over {
                    let _ = stream.shutdown(Shutdown::Read);
                    let _ = stream.read_to_end(bytes);
                } else {
                    let mut buffer = [0; 65_536];
                    if let Ok(length) = stream.read(&mut buffer) {
                        bytes.extend_from_slice(&buffer[..length]);
                    }
                }
            }
            if over && !came {
                return streams
                    .iter()
                    .flat_map(|(_, bytes)| frames(bytes))
                    .collect();
            }
        }
    })
}

/// Whole frames; what a connection was cut in is sent again on the next.
fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let Some(frame) = rest.get(..u32::from_le_bytes(*length) as usize) else {
            break;
        };
        all.push(frame.to_vec());
        bytes = &rest[frame.len()..];
    }
    all
}

/// Calls until the queue has room; counts the times it had none.
fn until_taken(refused: &AtomicU64, call: impl Fn() -> Result<(), Error>) {
    while let Err(error) = call() {
        assert!(matches!(error, Error::Dropped(_)), "{error}");
        refused.fetch_add(1, SeqCst);
        thread::yield_now();
    }
}

/// One thread's work: eight sorts of calls in turn.
fn work(client: &Client, thread: usize, signals: &Signals, refused: &AtomicU64) {
    let count = client.count_handle("handle.count", &[]).unwrap();
    let timing = client.timing_handle("handle.timing", &[]).unwrap();
    let own = thread.to_string();
    let tags = [("thread", own.as_str())];
    for n in 0..OPERATIONS {
        let member = format!("m{}", (n / 8 + thread * 7) % MEMBERS);
        until_taken(refused, || match n % 8 {
            0 => {
                count.add(2);
                Ok(())
            }
            1 => {
                timing.record(Duration::from_micros(n as u64));
                Ok(())
            }
            2 => client.count("count", 3, &tags),
            3 => client.gauge("gauge", n as f64, &tags),
            4 => client.set("set", &member, &[]),
            5 => client.histogram("histogram", 1.0, &tags),
            6 => client.distribution("distribution", 1.0, &[]),
            _ => client.timing("timing", Duration::from_millis(5), &tags),
        });
        signals.done.fetch_add(1, SeqCst);
        if n % 25_000 == 24_999 {
            // An Agent that is away makes this an error, and nothing is lost by it.
            let _ = client.flush(DEADLINE);
        }
    }
}

/// What the Agent makes of all payloads.
#[derive(Default)]
struct Sums {
    numbers: BTreeMap<String, f64>,
    /// Samples that values stand for.
    weights: BTreeMap<String, u64>,
    members: BTreeSet<String>,
    gauges: BTreeMap<String, f64>,
}

impl Sums {
    fn of(payloads: &[Vec<u8>]) -> Sums {
        let mut sums = Sums::default();
        for message in payloads.iter().flat_map(|payload| datagram(payload)) {
            let Message::Metric(metric) = message.unwrap() else {
                panic!("only metrics were sent");
            };
            let name = metric.name.to_string();
            match &metric.values {
                Values::Member(member) => drop(sums.members.insert(member.to_string())),
                Values::Numbers(values) if metric.kind == Kind::Gauge => {
                    let series = metric.tags.join(",");
                    sums.gauges.insert(series, *values.last().unwrap());
                }
                Values::Numbers(values) => {
                    *sums.numbers.entry(name.clone()).or_default() += values.iter().sum::<f64>();
                    let weight = (values.len() as f64 / metric.rate).round() as u64;
                    *sums.weights.entry(name).or_default() += weight;
                }
            }
        }
        sums
    }
}

#[track_caller]
fn check(rule: &str, address: Address, agent: impl FnOnce(&Signals) -> Vec<Vec<u8>> + Send) {
    let options = Options {
        address,
        backlog_bytes_max: 64 << 20,
        ..Options::default()
    };
    let (client, guard) = dogstatsd::start(options, &Identity::default(), Clock::system()).unwrap();
    let (signals, refused) = (Signals::default(), AtomicU64::new(0));
    let payloads = thread::scope(|scope| {
        let agent = scope.spawn(|| agent(&signals));
        scope.spawn(|| signals.restart_now_and_then());
        let workers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (client, signals, refused) = (&client, &signals, &refused);
                scope.spawn(move || work(client, thread, signals, refused))
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
        while client.flush(DEADLINE).is_err() {}
        assert!(guard.stop(DEADLINE).flushed, "{rule}");
        signals.end.store(true, SeqCst);
        agent.join().unwrap()
    });
    let ledger = client.ledger();
    let (all, refused) = ((THREADS * OPERATIONS) as u64, refused.into_inner());
    assert_eq!(
        (ledger.sent, ledger.pending),
        (all, 0),
        "{rule}: {ledger:?}"
    );
    assert_eq!(ledger.dropped_total(), refused, "{rule}: {ledger:?}");
    assert_eq!(ledger.offered, all + refused, "{rule}: {ledger:?}");
    let each = all / 8;
    let sums = Sums::of(&payloads);
    assert_eq!(sums.numbers["handle.count"], (2 * each) as f64, "{rule}");
    assert_eq!(sums.numbers["count"], (3 * each) as f64, "{rule}");
    for name in ["handle.timing", "histogram", "distribution", "timing"] {
        assert_eq!(sums.weights[name], each, "{rule}: {name}");
    }
    assert_eq!(sums.members.len(), MEMBERS, "{rule}");
    let last = (OPERATIONS - 8 + 3) as f64;
    assert_eq!(sums.gauges.len(), THREADS, "{rule}");
    assert!(
        sums.gauges.values().all(|value| *value == last),
        "{rule}: {:?}",
        sums.gauges
    );
}

fn place(folder: &Folder) -> PathBuf {
    folder.file("dsd")
}

#[test]
fn nothing_is_lost_over_udp() {
    let free = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let address = Address::Udp("127.0.0.1".into(), free.port());
    check("UDP", address, |signals| udp_agent(free, signals));
}

#[test]
fn nothing_is_lost_over_unix_datagrams() {
    let folder = Folder::new();
    let path = place(&folder);
    let address = Address::UnixDatagram(path.clone());
    check("datagrams", address, |signals| {
        datagram_agent(&path, signals)
    });
}

#[test]
fn nothing_is_lost_over_a_unix_stream() {
    let folder = Folder::new();
    let path = place(&folder);
    let address = Address::UnixStream(path.clone());
    check("stream", address, |signals| stream_agent(&path, signals));
}
