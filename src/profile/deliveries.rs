//! Agents of every kind, each a real socket: every profile is accounted for, whatever they answer.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use flate2::read::GzDecoder;

use super::counts::Counts;
use super::options::Options;
use super::period::Period;
use super::upload::{LIMITS, Uploader, uploader};
use crate::clock::{Clock, Hand};
use crate::http::Target;
use crate::identity::Identity;
use crate::worker::{self, Job, Ledger, Why};

const OK: &str = "200 OK\r\nContent-Length: 0";
const BUSY: &str = "500 No\r\nContent-Length: 0";
const GONE: &str = "404 Not Found\r\nContent-Length: 0";
/// Takes the request and says nothing.
const SILENCE: &str = "";
const HOUR_NS: u64 = 3_600_000_000_000;

/// A request as it came in: the head, the body.
type Request = (String, Vec<u8>);

/// Answers one connection after another, one request each, and closes; the last one stays open until the test ends.
fn agent(answers: Vec<&'static str>) -> (Target, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (requests, seen) = mpsc::channel();
    let serve = move || {
        let mut open = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = requests.send(request(&mut stream));
            if answer == SILENCE {
                open.push(stream);
            } else {
                let _ = stream.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes());
            }
        }
        // Until the client has gone.
        for mut stream in open {
            let _ = stream.read(&mut [0]);
        }
    };
    thread::Builder::new().spawn(serve).unwrap();
    (Target::Tcp("127.0.0.1".to_string(), port), seen)
}

fn request(stream: &mut TcpStream) -> Request {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = header(&head, "Content-Length").unwrap_or("0").parse();
    let mut body = vec![0; length.unwrap()];
    stream.read_exact(&mut body).unwrap();
    (head, body)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    let mut own = fields.filter(|(field, _)| *field == name);
    own.next().map(|(_, value)| value)
}

/// An uploader whose clock stands still until the test moves it.
struct Rig {
    target: Target,
    uploader: Uploader,
    counts: Arc<Counts>,
    hand: Hand,
}

impl Rig {
    fn new(options: &Options) -> Rig {
        let (clock, hand) = Clock::manual(1_700_000_000_000_000_000);
        let counts = Arc::new(Counts::default());
        let uploader = uploader(options, &identity(), clock, counts.clone());
        Rig {
            target: options.agent.clone(),
            uploader,
            counts,
            hand,
        }
    }

    fn to(agent: Target) -> Rig {
        Rig::new(&options(agent))
    }

    fn offer(&mut self, taken: u64) {
        Counts::add(&self.counts.offered, taken);
        let period = Period {
            taken,
            ..Period::default()
        };
        self.uploader.take(Box::new(period));
    }

    /// What the flush says went wrong, without the Agent's address.
    fn flush(&mut self, why: Why) -> String {
        let Err(error) = self.uploader.flush(why) else {
            return String::new();
        };
        let error = error.to_string();
        assert_eq!(self.last_error().as_ref(), Some(&error));
        let address = format!("{}: ", self.target);
        error.strip_prefix(&address).unwrap_or(&error).to_string()
    }

    fn last_error(&self) -> Option<String> {
        self.uploader.told().last_error()
    }

    fn notice(&self) -> Option<String> {
        self.uploader.told().pop_notice()
    }

    /// Sent, unreachable, refused, failed, pending.
    fn books(&self) -> [u64; 5] {
        books(&self.counts.ledger())
    }
}

fn books(ledger: &Ledger) -> [u64; 5] {
    let dropped = |reason: &str| {
        let found = ledger.dropped.iter().find(|(name, _)| *name == reason);
        found.unwrap().1
    };
    assert!(ledger.balances(), "{ledger:?}");
    let lost = ["unreachable", "refused", "failed"].map(dropped);
    [ledger.sent, lost[0], lost[1], lost[2], ledger.pending]
}

fn identity() -> Identity {
    Identity {
        service: "shop".to_string(),
        container_id: Some("c-1".to_string()),
        entity_id: Some("ci-c-1".to_string()),
        external_env: Some(String::new()),
        process_id: 42,
        ..Identity::default()
    }
}

fn options(agent: Target) -> Options {
    Options {
        agent,
        upload_interval: Duration::from_nanos(2 * HOUR_NS),
        ..Options::default()
    }
}

/// The event and the profile of a body.
fn parts(head: &str, body: &[u8]) -> (serde_json::Value, Vec<u8>) {
    let kind = header(head, "Content-Type").unwrap();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let mark = format!("--{boundary}");
    let text = String::from_utf8_lossy(body);
    assert!(text.starts_with(&mark) && text.ends_with(&format!("\r\n{mark}--\r\n")));
    assert_eq!(text.matches(&mark).count(), 3);
    let find = |text: &[u8], from: usize| {
        let mut windows = body[from..].windows(text.len());
        from + windows.position(|window| window == text).unwrap()
    };
    let first = find(b"\r\n\r\n", 0) + 4;
    let second = find(mark.as_bytes(), first);
    let event = serde_json::from_slice(&body[first..second - 2]).unwrap();
    let profile = find(b"\r\n\r\n", second) + 4;
    let end = find(format!("\r\n{mark}--").as_bytes(), profile);
    (event, body[profile..end].to_vec())
}

#[test]
fn a_profile_arrives_in_its_form() {
    let (target, seen) = agent(vec![OK, "202 Accepted\r\nContent-Length: 0"]);
    let mut rig = Rig::to(target);
    rig.uploader = rig
        .uploader
        .with_figures(Box::new(|| vec![("threads_watched", 3)]));
    for seq in 0..2 {
        rig.offer(5);
        assert_eq!(rig.flush(Why::Tick), "");
        let (head, body) = seen.recv().unwrap();
        let lines: Vec<&str> = head.trim_end().lines().collect();
        assert_eq!(lines[0], "POST /profiling/v1/input HTTP/1.1");
        for (name, expected) in [
            ("DD-EVP-ORIGIN", Some(env!("CARGO_PKG_NAME"))),
            ("DD-EVP-ORIGIN-VERSION", Some(env!("CARGO_PKG_VERSION"))),
            ("Connection", Some("close")),
            ("Datadog-Container-ID", Some("c-1")),
            ("Datadog-Entity-ID", Some("ci-c-1")),
            ("Datadog-External-Env", None),
        ] {
            assert_eq!(header(&head, name), expected, "{name}");
        }
        let (event, profile) = parts(&head, &body);
        let tags = event["tags_profiler"].as_str().unwrap();
        assert!(tags.ends_with(&format!(",profile_seq:{seq}")), "{tags}");
        assert_eq!(event["internal"]["threads_watched"], 3);
        assert_eq!(event["internal"]["samples_offered"], 5 * (seq + 1));
        let mut plain = Vec::new();
        GzDecoder::new(&profile[..])
            .read_to_end(&mut plain)
            .unwrap();
        assert!(plain.starts_with(b"\x0a\x04\x08\x01\x10\x02"), "{plain:?}");
        assert_eq!(event["internal"]["pprof_bytes"], plain.len());
    }
    assert_eq!(rig.books(), [10, 0, 0, 0, 0]);
    assert_eq!(rig.notice(), None);
}

#[track_caller]
fn check_refused(rule: &str, answer: &'static str, notice: &str) {
    let (target, _seen) = agent(vec![answer]);
    let mut rig = Rig::to(target.clone());
    rig.offer(5);
    let status = answer.split(' ').next().unwrap();
    assert_eq!(rig.flush(Why::Tick), format!("answered {status}"), "{rule}");
    assert_eq!(rig.books(), [0, 0, 5, 0, 0], "{rule}");
    let expected = format!("the agent at {target} {notice}");
    assert_eq!(rig.notice(), Some(expected), "{rule}");
}

#[test]
fn what_is_refused_is_not_sent_again_and_a_person_hears_why() {
    check_refused(
        "too large",
        "413 Too Large\r\nContent-Length: 4\r\n\r\nno \n",
        "refused a profile with 413: \"no\"",
    );
    check_refused(
        "not understood",
        "400 Bad\r\nContent-Length: 0",
        "refused a profile with 400: \"\"",
    );
    check_refused(
        "elsewhere",
        "302 Found\r\nContent-Length: 0",
        "refused a profile with 302: \"\"",
    );
    check_refused(
        "too many",
        "429 Later\r\nContent-Length: 0",
        "refused a profile with 429: \"\"",
    );
    check_refused(
        "no such endpoint",
        GONE,
        "takes no profiles at /profiling/v1/input: it answered 404; agents do from version 7.20 on",
    );
}

#[test]
fn an_agent_without_the_endpoint_is_named_once_until_it_has_it() {
    let (target, _seen) = agent(vec![GONE, GONE, OK, GONE]);
    let mut rig = Rig::to(target);
    let mut notices = Vec::new();
    for _ in 0..4 {
        rig.offer(1);
        rig.flush(Why::Tick);
        notices.push(rig.notice().is_some());
    }
    assert_eq!(notices, [true, false, false, true]);
    assert_eq!(rig.books(), [1, 0, 3, 0, 0]);
    assert!(rig.last_error().unwrap().ends_with(": answered 404"));
}

#[test]
fn an_agent_in_trouble_is_asked_once_more_after_a_wait() {
    let (target, seen) = agent(vec![BUSY, OK]);
    let mut rig = Rig::to(target);
    rig.offer(5);
    assert_eq!(rig.flush(Why::Tick), "answered 500");
    assert_eq!(rig.books(), [0, 0, 0, 0, 5]);
    rig.hand.advance_ns(HOUR_NS);
    assert_eq!(rig.flush(Why::Tick), "");
    assert_eq!((rig.books(), rig.last_error()), ([5, 0, 0, 0, 0], None));
    let (first, second) = (seen.recv().unwrap(), seen.recv().unwrap());
    assert_eq!(first, second);
    // Nothing is left to send.
    assert_eq!(rig.flush(Why::Asked), "");
}

#[test]
fn two_attempts_are_all() {
    let (target, _seen) = agent(vec![BUSY, BUSY]);
    let mut rig = Rig::to(target);
    rig.offer(5);
    for books in [[0, 0, 0, 0, 5], [0, 5, 0, 0, 0]] {
        assert_eq!(rig.flush(Why::Asked), "answered 500");
        assert_eq!(rig.books(), books);
    }
    assert_eq!(rig.flush(Why::Asked), "");
}

#[test]
fn nobody_there_is_found_out_twice() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut rig = Rig::to(Target::Tcp("127.0.0.1".to_string(), port));
    rig.offer(5);
    for books in [[0, 0, 0, 0, 5], [0, 5, 0, 0, 0]] {
        let error = rig.flush(Why::Asked);
        assert!(error.starts_with("cannot connect"), "{error}");
        assert_eq!(rig.books(), books);
    }
}

#[test]
fn of_two_that_wait_the_newer_stays() {
    let (target, seen) = agent(vec![BUSY, BUSY, OK]);
    let mut rig = Rig::to(target);
    for taken in [3, 4] {
        rig.offer(taken);
        assert_eq!(rig.flush(Why::Tick), "answered 500");
    }
    assert_eq!(rig.books(), [0, 3, 0, 0, 4]);
    assert_eq!(rig.flush(Why::Asked), "");
    assert_eq!(rig.books(), [4, 3, 0, 0, 0]);
    let requests: Vec<Request> = seen.iter().take(3).collect();
    assert_ne!(requests[0], requests[1]);
    assert_eq!(requests[1], requests[2]);
}

#[test]
fn what_waits_gets_its_last_chance_at_the_stop() {
    for (answer, books) in [(OK, [7, 0, 0, 0, 0]), (BUSY, [4, 3, 0, 0, 0])] {
        let (target, _seen) = agent(vec![BUSY, OK, answer]);
        let mut rig = Rig::to(target);
        rig.offer(3);
        assert_eq!(rig.flush(Why::Tick), "answered 500");
        rig.offer(4);
        rig.flush(Why::Stop);
        assert_eq!(rig.books(), books, "{answer}");
    }
}

#[test]
fn what_fails_at_the_stop_is_given_up() {
    let (target, _seen) = agent(vec![BUSY]);
    let mut rig = Rig::to(target);
    rig.offer(5);
    assert_eq!(rig.flush(Why::Stop), "answered 500");
    assert_eq!(rig.books(), [0, 5, 0, 0, 0]);
}

/// By the machine's clock: a manual one would never let a deadline pass.
#[track_caller]
fn check_silence(why: Why, timeout: Duration, expected: [u64; 5]) {
    let (target, _seen) = agent(vec![SILENCE, SILENCE]);
    let options = Options {
        timeout,
        ..options(target)
    };
    let counts = Arc::new(Counts::default());
    let mut uploader = uploader(&options, &identity(), Clock::system(), counts.clone());
    Counts::add(&counts.offered, 5);
    let taken = 5;
    uploader.take(Box::new(Period {
        taken,
        ..Period::default()
    }));
    let error = uploader.flush(why).unwrap_err().to_string();
    let waited = ": deadline passed while waiting for the answer";
    assert!(error.ends_with(waited), "{error}");
    assert_eq!(books(&counts.ledger()), expected);
}

#[test]
fn silence_is_waited_for_no_longer_than_allowed() {
    check_silence(Why::Tick, Duration::from_millis(50), [0, 0, 0, 0, 5]);
    check_silence(Why::Stop, Duration::from_secs(3_600), [0, 5, 0, 0, 0]);
}

#[test]
fn more_periods_than_fit_lose_the_oldest() {
    let (target, _seen) = agent(vec![OK, OK]);
    let mut rig = Rig::to(target);
    for taken in [1, 20, 300] {
        rig.offer(taken);
    }
    assert_eq!(rig.flush(Why::Tick), "");
    assert_eq!(rig.books(), [320, 0, 0, 1, 0]);
}

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_file_is_what_was_sent_and_one_that_cannot_be_written_is_told_of() {
    let name = format!("testapi-profile-{}", std::process::id());
    let folder = Folder(std::env::temp_dir().join(name));
    let (target, seen) = agent(vec![OK, OK]);
    let mut rig = Rig::new(&Options {
        output_dir: Some(folder.0.clone()),
        ..options(target)
    });
    rig.offer(1);
    rig.flush(Why::Tick);
    let (head, body) = seen.recv().unwrap();
    let written = fs::read(folder.0.join("shop-42-0.pprof")).unwrap();
    assert_eq!(written, parts(&head, &body).1);
    assert_eq!(rig.notice(), None);

    fs::create_dir(folder.0.join("shop-42-1.pprof")).unwrap();
    rig.offer(1);
    assert_eq!(rig.flush(Why::Tick), "");
    let (head, body) = seen.recv().unwrap();
    assert_eq!(parts(&head, &body).0["internal"]["output_files_failed"], 1);
    let notice = rig.notice().unwrap();
    let start = format!("cannot write a profile in {}: ", folder.0.display());
    assert!(notice.starts_with(&start), "{notice}");
    assert_eq!(rig.books(), [2, 0, 0, 0, 0]);
}

#[test]
fn on_its_thread_it_answers_a_flush_and_ends_with_a_stop() {
    let (target, _seen) = agent(vec![OK, OK]);
    let counts = Arc::new(Counts::default());
    let uploader = uploader(
        &options(target),
        &identity(),
        Clock::system(),
        counts.clone(),
    );
    let started = worker::start("dd-profile", LIMITS, Clock::system(), uploader);
    let (handle, guard) = started.unwrap();
    let offer = |taken: u64| {
        Counts::add(&counts.offered, taken);
        let period = Period {
            taken,
            ..Period::default()
        };
        handle.offer(Box::new(period)).unwrap();
    };
    offer(3);
    assert_eq!(handle.flush(Duration::from_secs(10)), Ok(()));
    assert_eq!(books(&counts.ledger()), [3, 0, 0, 0, 0]);
    offer(4);
    let stopped = guard.stop(Duration::from_secs(10));
    assert_eq!(
        (stopped.left, stopped.flushed, stopped.joined),
        (0, true, true)
    );
    assert_eq!(books(&counts.ledger()), [7, 0, 0, 0, 0]);
}

#[test]
fn a_stop_ends_an_upload_under_way_and_tries_it_once_more() {
    let (target, seen) = agent(vec![SILENCE, OK]);
    let options = Options {
        timeout: Duration::from_secs(3_600),
        ..options(target)
    };
    let counts = Arc::new(Counts::default());
    let uploader = uploader(&options, &identity(), Clock::system(), counts.clone());
    let end_ns = uploader.end_ns();
    let started = worker::start("dd-profile", LIMITS, Clock::system(), uploader);
    let (handle, guard) = started.unwrap();
    Counts::add(&counts.offered, 5);
    let taken = 5;
    let period = Period {
        taken,
        ..Period::default()
    };
    handle.offer(Box::new(period)).unwrap();
    // Now it waits for the answer.
    seen.recv().unwrap();
    end_ns.store(0, Ordering::Relaxed);
    let stopped = guard.stop(Duration::from_secs(10));
    assert_eq!((stopped.flushed, stopped.joined), (true, true));
    assert_eq!(books(&counts.ledger()), [5, 0, 0, 0, 0]);
}
