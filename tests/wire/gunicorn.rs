//! The server's own metrics, exactly as they leave, and the agent's reading of them.
//!
//! Source of the lines: gunicorn's `instrument/statsd.py`, and `gunicorn/metadata.csv` of Datadog's
//! integrations-core.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use testapi::agent::decode::{Message, Values, datagram};
use testapi::clock::Clock;
use testapi::gunicorn::{self, Backlog, Error, Metrics, Options, Severity, Workers};
use testapi::identity::Identity;
use testapi::worker::Guard;

use crate::support::{DEADLINE, Folder};

/// The metrics, and the socket they are sent to.
struct Pair {
    metrics: Metrics,
    agent: UdpSocket,
    _guard: Guard,
}

impl Pair {
    fn new(prefix: &str, tags: &str, identity: &Identity) -> Pair {
        let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
        agent.set_read_timeout(Some(DEADLINE)).unwrap();
        let address = agent.local_addr().unwrap().to_string();
        let options = options(prefix, tags, &address);
        let (metrics, guard) = gunicorn::start(options, identity, Clock::system()).unwrap();
        Pair {
            metrics,
            agent,
            _guard: guard,
        }
    }

    /// Lines of the one datagram that a flush sends, sorted, each of which the agent can read.
    #[track_caller]
    fn flushed(&self) -> Vec<String> {
        self.metrics.flush(DEADLINE).unwrap();
        let mut buffer = vec![0; 1 << 16];
        let bytes = self.agent.recv(&mut buffer).unwrap();
        lines_of(&buffer[..bytes])
    }
}

fn options(prefix: &str, tags: &str, address: &str) -> Options {
    let mut options = Options {
        prefix: prefix.parse().unwrap(),
        tags: tags.parse().unwrap(),
        ..Options::default()
    };
    options.statsd.address = address.parse().unwrap();
    // Only what is asked for is sent: a window that ends would split what belongs together.
    options.statsd.flush_interval = Duration::from_secs(3_600);
    options
}

#[track_caller]
fn lines_of(bytes: &[u8]) -> Vec<String> {
    for message in datagram(bytes) {
        assert!(matches!(message, Ok(Message::Metric(_))), "{message:?}");
    }
    let text = str::from_utf8(bytes).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    lines.sort_unstable();
    lines
}

fn api() -> Identity {
    Identity {
        service: "api".into(),
        ..Identity::default()
    }
}

#[test]
fn every_metric_has_its_line() {
    let pair = Pair::new("", "team:a", &api());
    for (status, took_us) in [(200, 1_500), (200, 250), (404, 2_000), (500, 10)] {
        pair.metrics.request(status, Duration::from_micros(took_us));
    }
    pair.metrics.answered(400);
    for (severity, times) in [
        (Severity::Critical, 1),
        (Severity::Error, 2),
        (Severity::Warning, 3),
        (Severity::Exception, 4),
    ] {
        (0..times).for_each(|_| pair.metrics.logged(severity));
    }
    let workers = || Workers {
        idle: 3,
        working: 1,
    };
    let _looks = pair.metrics.watch(workers, None).unwrap();
    assert_eq!(
        pair.flushed(),
        [
            "gunicorn.log.critical:1|c|#service:api,team:a",
            "gunicorn.log.error:2|c|#service:api,team:a",
            "gunicorn.log.exception:4|c|#service:api,team:a",
            "gunicorn.log.warning:3|c|#service:api,team:a",
            "gunicorn.request.duration:1.5:0.25:2:0.01|ms|#service:api,team:a",
            "gunicorn.request.status.200:2|c|#service:api,team:a",
            "gunicorn.request.status.400:1|c|#service:api,team:a",
            "gunicorn.request.status.404:1|c|#service:api,team:a",
            "gunicorn.request.status.500:1|c|#service:api,team:a",
            "gunicorn.requests:5|c|#service:api,team:a",
            "gunicorn.workers:1|g|#service:api,state:working,team:a",
            "gunicorn.workers:3|g|#service:api,state:idle,team:a",
        ]
    );
    let ledger = pair.metrics.ledger();
    assert!(
        ledger.balances() && ledger.dropped_total() == 0,
        "{ledger:?}"
    );
}

#[test]
fn a_prefix_stands_before_each_name() {
    for (prefix, before) in [
        ("", ""),
        ("s", "s."),
        ("shop", "shop."),
        ("shop..", "shop."),
    ] {
        let pair = Pair::new(prefix, "", &Identity::default());
        pair.metrics.answered(204);
        let _looks = pair.metrics.watch(idle(2), None).unwrap();
        let names = [
            "gunicorn.request.status.204:1|c",
            "gunicorn.requests:1|c",
            "gunicorn.workers:0|g|#state:working",
            "gunicorn.workers:2|g|#state:idle",
        ];
        let expected = names.map(|line| format!("{before}{line}"));
        assert_eq!(pair.flushed(), expected, "{prefix:?}");
    }
}

fn idle(idle: usize) -> impl Fn() -> Workers + Send + 'static {
    move || Workers { idle, working: 0 }
}

#[test]
fn what_is_no_status_left_as_a_500() {
    let pair = Pair::new("", "", &Identity::default());
    for status in [0, 99, 100, 599, 600, u16::MAX] {
        pair.metrics.answered(status);
    }
    assert_eq!(
        pair.flushed(),
        [
            "gunicorn.request.status.100:1|c",
            "gunicorn.request.status.500:4|c",
            "gunicorn.request.status.599:1|c",
            "gunicorn.requests:6|c",
        ]
    );
}

#[test]
fn the_workers_are_told_in_every_window_whether_or_not_they_changed() {
    let pair = Pair::new("", "", &Identity::default());
    let busy = Arc::new(AtomicUsize::new(0));
    let read = busy.clone();
    let workers = move || {
        let working = read.load(Ordering::SeqCst);
        let idle = 4 - working;
        Workers { idle, working }
    };
    let looks = pair.metrics.watch(workers, None).unwrap();
    for (rule, working) in [("first", 0), ("the same", 0), ("changed", 3), ("again", 3)] {
        busy.store(working, Ordering::SeqCst);
        let mut expected = [
            format!("gunicorn.workers:{working}|g|#state:working"),
            format!("gunicorn.workers:{}|g|#state:idle", 4 - working),
        ];
        expected.sort_unstable();
        assert_eq!(pair.flushed(), expected, "{rule}");
    }
    assert!(looks.stop(DEADLINE).joined);
    pair.metrics.answered(200);
    let after = pair.flushed();
    assert!(
        after.iter().all(|line| !line.contains("workers")),
        "{after:?}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn the_backlog_is_what_waits_to_be_accepted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let waiting = [(); 2].map(|()| TcpStream::connect(address).unwrap());
    let backlog = Backlog::of(address).unwrap();
    while backlog.waiting().unwrap() < 2 {
        std::thread::yield_now();
    }
    let pair = Pair::new("s", "team:a", &Identity::default());
    let _looks = pair.metrics.watch(idle(1), Some(backlog)).unwrap();
    pair.metrics.flush(DEADLINE).unwrap();
    let mut buffer = vec![0; 1 << 16];
    let bytes = pair.agent.recv(&mut buffer).unwrap();
    let lines = lines_of(&buffer[..bytes]);
    // One value a look, of which a slow machine may have made a third by now.
    let line = lines.iter().find(|line| line.contains("backlog")).unwrap();
    assert!(line.starts_with("s.gunicorn.backlog:2:2"), "{line}");
    assert!(line.ends_with("|h|#team:a"), "{line}");
    let values = datagram(&buffer[..bytes]).find_map(|message| match message {
        Ok(Message::Metric(metric)) if metric.name == "s.gunicorn.backlog" => Some(metric.values),
        _ => None,
    });
    let Some(Values::Numbers(values)) = values else {
        panic!("{values:?}");
    };
    assert!(values.iter().all(|value| *value == 2.0), "{values:?}");
    drop(waiting);
}

#[test]
fn a_backlog_that_cannot_be_told_any_more_is_an_error_that_can_be_seen() {
    // An address of this test's own: nobody else gets its port when it is free again.
    let listener = TcpListener::bind("127.0.0.8:0").unwrap();
    let address = listener.local_addr().unwrap();
    let backlog = Backlog::of(address).unwrap();
    let pair = Pair::new("", "", &Identity::default());
    let _looks = pair.metrics.watch(idle(1), Some(backlog)).unwrap();
    drop(listener);
    assert!(pair.metrics.flush(DEADLINE).is_err());
    let error = pair.metrics.stats().last_error.unwrap();
    assert!(error.contains("has no row that listens on"), "{error}");
}

#[test]
fn a_unix_socket_takes_them_too() {
    let folder = Folder::new();
    let path = folder.file("dsd.socket");
    let agent = UnixDatagram::bind(&path).unwrap();
    agent.set_read_timeout(Some(DEADLINE)).unwrap();
    let options = options("", "", &format!("unix://{}", path.display()));
    let identity = Identity::default();
    let (metrics, _guard) = gunicorn::start(options, &identity, Clock::system()).unwrap();
    metrics.answered(200);
    metrics.flush(DEADLINE).unwrap();
    let mut buffer = vec![0; 1 << 16];
    let bytes = agent.recv(&mut buffer).unwrap();
    let lines = lines_of(&buffer[..bytes]);
    assert_eq!(
        lines,
        ["gunicorn.request.status.200:1|c", "gunicorn.requests:1|c"]
    );
}

#[test]
fn an_agent_that_is_not_there_is_told_with_the_setting() {
    let folder = Folder::new();
    let path = folder.file("nobody.socket");
    let options = options("", "", &format!("unix://{}", path.display()));
    let identity = Identity::default();
    let (metrics, _guard) = gunicorn::start(options, &identity, Clock::system()).unwrap();
    metrics.answered(200);
    assert!(metrics.flush(DEADLINE).is_err());
    let error = metrics.stats().last_error.unwrap();
    assert!(error.contains("(TESTAPI_STATSD_HOST)"), "{error}");
}

#[test]
fn tags_that_fill_a_datagram_are_refused_at_the_start() {
    let tags = format!("a:{}", "x".repeat(1_432));
    let options = options("", &tags, "127.0.0.1:1");
    let started = gunicorn::start(options, &Identity::default(), Clock::system());
    let Err(error @ Error::Line(_)) = started else {
        panic!("{started:?}", started = started.map(|_| ()));
    };
    let text = error.to_string();
    assert!(text.contains("datagram_bytes_max = 1432"), "{text}");
}
