//! The profiler inside one process, with its signals and its allocator: a program of its own, for both are the
//! process's.

#![cfg(test)]

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use testapi::agent::decode::{Profile, multipart, pprof};
use testapi::clock::Clock;
use testapi::identity::Identity;
use testapi::profile::{self, CountingAllocator, Error, Options, Profiler};
use testapi::worker::Guard;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::system();

/// A process has one profiler at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn spawned<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    thread::Builder::new().spawn(run).unwrap()
}

const DEADLINE: Duration = Duration::from_secs(30);

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An Agent that takes every profile, and hands it on decoded.
fn agent() -> (String, Receiver<Profile>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel();
    spawned(move || {
        while let Ok((stream, _)) = listener.accept() {
            if sender.send(take(stream)).is_err() {
                return;
            }
        }
    });
    (url, receiver)
}

fn take(mut stream: TcpStream) -> Profile {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        let mut some = [0; 65_536];
        let length = stream.read(&mut some).unwrap();
        assert!(length > 0, "the upload was cut");
        bytes.extend_from_slice(&some[..length]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let length = value(&head, "content-length").parse::<usize>().unwrap();
        if bytes.len() >= end + 4 + length {
            break (head, bytes.split_off(end + 4));
        }
    };
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .unwrap();
    let content_type = value(&head, "content-type");
    let parts = multipart(&content_type, &body).unwrap();
    let part = parts.iter().find(|part| part.filename.ends_with(".pprof"));
    pprof(&body[part.unwrap().range.clone()]).unwrap()
}

fn value(head: &str, name: &str) -> String {
    let line = head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name)
            .then(|| value.trim().to_string())
    });
    line.unwrap_or_else(|| panic!("no {name} in {head}"))
}

fn start(url: &str, change: impl FnOnce(&mut Options)) -> (Profiler, Vec<Guard>) {
    let mut options = Options {
        agent: url.parse().unwrap(),
        upload_interval: Duration::from_secs(3_600),
        first_upload: Duration::from_secs(3_600),
        cpu_hz: 500,
        ..Options::default()
    };
    change(&mut options);
    profile::start(options, &Identity::of_process("t"), Clock::system()).unwrap()
}

fn stop(profiler: &Profiler, guards: Vec<Guard>) {
    for guard in guards {
        assert!(guard.stop(DEADLINE).joined);
    }
    let ledger = profiler.ledger();
    assert!(ledger.balances() && ledger.pending == 0, "{ledger:?}");
}

/// One look at a sample, with its names.
struct Look {
    functions: Vec<String>,
    values: Vec<(String, i64)>,
    labels: Vec<(String, String)>,
}

impl Look {
    fn value(&self, name: &str) -> i64 {
        let found = self.values.iter().find(|(key, _)| key == name);
        found.map_or(0, |(_, value)| *value)
    }

    fn label(&self, name: &str) -> &str {
        let found = self.labels.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    fn is_in(&self, function: &str) -> bool {
        self.functions.iter().any(|name| name.ends_with(function))
    }
}

fn looks(profile: &Profile) -> Vec<Look> {
    let text = |at: u32| profile.text(at).to_string();
    let look = |sample: testapi::agent::decode::ProfileSample<'_>| Look {
        functions: sample
            .stack
            .iter()
            .flat_map(|place| {
                let location = &profile.locations[*place as usize];
                let lines = location.lines_start as usize..location.lines_end as usize;
                let names = profile.lines[lines].iter();
                names.map(|line| text(profile.functions[line.function as usize].name))
            })
            .collect(),
        values: profile
            .sample_types
            .iter()
            .zip(sample.values)
            .map(|(kind, value)| (text(kind.name), *value))
            .collect(),
        labels: sample
            .labels
            .iter()
            .map(|label| match label.number {
                0 => (text(label.key), text(label.text)),
                number => (text(label.key), number.to_string()),
            })
            .collect(),
    };
    profile.samples().map(look).collect()
}

#[inline(never)]
fn burn(time: Duration) -> u64 {
    let start = Instant::now();
    let mut state = 1_u64;
    while start.elapsed() < time {
        for _ in 0..1_000 {
            state = black_box(state).wrapping_mul(3);
        }
    }
    state
}

/// Slowly enough for the sampler to keep up.
#[inline(never)]
fn fill(pieces: usize) -> usize {
    let piece = |at: usize| {
        if at.is_multiple_of(100) {
            burn(Duration::from_millis(1));
        }
        black_box(vec![1_u8; 4_096]).len()
    };
    (0..pieces).map(piece).sum()
}

const BUSY: Duration = Duration::from_millis(100);

#[test]
fn there_is_one_at_a_time_and_then_another() {
    let _alone = alone();
    let (url, profiles) = agent();
    let (first, guards) = start(&url, |_| {});
    let second = profile::start(
        Options::default(),
        &Identity::of_process("t"),
        Clock::system(),
    );
    assert!(matches!(second, Err(Error::Running)));
    // A thread that lives on through the stop and the next start, with a span open all the time.
    let (go, turns) = mpsc::channel::<Profiler>();
    let (done, told) = mpsc::channel();
    let living = thread::Builder::new().name("living".to_string());
    let living = living.spawn(move || {
        for (span, profiler) in (1_u64..).zip(turns) {
            profiler.set_active(span, span);
            burn(BUSY);
            profiler.count_endpoint(span, "GET /living");
            done.send(()).unwrap();
        }
    });
    let living = living.unwrap();
    let spans = |profile: &Profile| {
        let all = looks(profile);
        let of = all
            .into_iter()
            .filter(|look| look.label("thread name") == "living");
        let tied =
            of.filter(|look| look.value("cpu-time") > 0 && !look.label("span id").is_empty());
        let seen = |look: Look| {
            (
                look.label("span id").to_string(),
                look.label("trace endpoint").to_string(),
            )
        };
        tied.map(seen).collect::<std::collections::BTreeSet<_>>()
    };
    let expected = |span: u64| [(span.to_string(), "GET /living".to_string())].into();
    go.send(first.clone()).unwrap();
    told.recv().unwrap();
    first.flush(DEADLINE).unwrap();
    assert_eq!(spans(&profiles.recv().unwrap()), expected(1));
    stop(&first, guards);
    // Between two profilers spans are told to one that is over.
    go.send(first).unwrap();
    told.recv().unwrap();
    let (second, guards) = start(&url, |_| {});
    go.send(second.clone()).unwrap();
    told.recv().unwrap();
    second.flush(DEADLINE).unwrap();
    // The last profile of the first comes before.
    let mut seen =
        std::iter::from_fn(|| profiles.recv_timeout(DEADLINE).ok()).map(|profile| spans(&profile));
    assert_eq!(seen.find(|spans| !spans.is_empty()), Some(expected(3)));
    assert_eq!(second.counts().threads_refused, 0);
    drop(go);
    living.join().unwrap();
    stop(&second, guards);
    assert_eq!(
        second.counts().threads_refused,
        0,
        "nor does the stop refuse any"
    );
}

#[test]
fn allocations_are_sampled_where_they_are_made() {
    let _alone = alone();
    let (url, profiles) = agent();
    let (profiler, guards) = start(&url, |options| options.heap_every_bytes = 512 << 10);
    let filled = {
        let profiler = profiler.clone();
        spawned(move || {
            let _watched = profiler.watch_this_thread();
            profiler.set_active(77, 77);
            let filled = fill(40_000);
            profiler.count_endpoint(77, "GET /fill");
            filled
        })
    };
    assert_eq!(filled.join().unwrap(), 40_000 * 4_096);
    profiler.flush(DEADLINE).unwrap();
    let profile = profiles.recv().unwrap();
    let all = looks(&profile);
    let of: Vec<&Look> = all
        .iter()
        .filter(|look| look.value("alloc-space") > 0 && look.is_in("::fill"))
        .collect();
    let bytes: i64 = of.iter().map(|look| look.value("alloc-space")).sum();
    let count: i64 = of.iter().map(|look| look.value("alloc-samples")).sum();
    let made = 40_000 * 4_096_i64;
    assert!((bytes - made).abs() < made / 20, "{bytes} of {made} bytes");
    assert!((count - 40_000).abs() < 2_000, "{count} of 40000");
    for look in of {
        assert_eq!(
            (look.label("span id"), look.label("trace endpoint")),
            ("77", "GET /fill")
        );
    }
    stop(&profiler, guards);
    // Nobody asks any more.
    assert_eq!(fill(10), 10 * 4_096);
}

#[test]
fn a_thread_that_nobody_reported_is_seen_while_it_works() {
    let _alone = alone();
    let (url, profiles) = agent();
    let (profiler, guards) = start(&url, |_| {});
    let unreported = thread::Builder::new().name("unreported".to_string());
    unreported
        .spawn(|| burn(Duration::from_secs(1)))
        .unwrap()
        .join()
        .unwrap();
    profiler.flush(DEADLINE).unwrap();
    let profile = profiles.recv().unwrap();
    let all = looks(&profile);
    let of = |look: &&Look| look.label("thread name") == "unreported";
    let cpu = |looks: &mut dyn Iterator<Item = &Look>| {
        looks.map(|look| look.value("cpu-time")).sum::<i64>()
    };
    let seen = cpu(&mut all.iter().filter(of));
    let whole = cpu(&mut all
        .iter()
        .filter(of)
        .filter(|look| look.is_in("::burn") && look.functions.len() > 5));
    assert!(whole * 2 > seen && seen > 0, "{whole} of {seen}");
    assert_eq!(
        all.iter()
            .filter(of)
            .map(|look| look.value("wall-time"))
            .sum::<i64>(),
        0
    );
    stop(&profiler, guards);
}

#[test]
fn many_short_lives_use_a_few_places() {
    let _alone = alone();
    let (url, profiles) = agent();
    let (profiler, guards) = start(&url, |_| {});
    for _ in 0..2_000 {
        let profiler = profiler.clone();
        let short = spawned(move || {
            let _watched = profiler.watch_this_thread();
            profiler.set_active(1, 1);
        });
        short.join().unwrap();
    }
    profiler.flush(DEADLINE).unwrap();
    drop(profiles.recv().unwrap());
    assert_eq!(profiler.counts().threads_refused, 0);
    stop(&profiler, guards);
}
