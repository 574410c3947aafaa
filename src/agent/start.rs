//! Starts and stops an agent.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::api;
use super::asking::{Agent, Inner, nanos};
use super::listener::{self, Listener};
use super::options::{Addresses, Options, StartError};
use super::queue::{self, Queue};
use super::receiver::Receiver;
use super::scrape::Scrape;
use super::store::{Store, StoreJob};
use super::tail::Tail;
use crate::clock::Clock;
use crate::server::{self, Reply, Request};
use crate::worker::{self, Handle, Limits};

/// Owns an agent's threads. Dropping it stops them.
#[must_use = "dropping the guard stops the agent at once"]
pub struct Guard {
    // Dropped in this order: first nothing more comes in, then what came is stored.
    receiver: Option<server::Guard>,
    listeners: Vec<Listener>,
    tail: Option<worker::Guard>,
    scrape: Option<worker::Guard>,
    store: Option<worker::Guard>,
    page: Option<server::Guard>,
    addresses: Addresses,
    clock: Clock,
}

/// How an agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Arrivals that never reached the store.
    pub left: u64,
    /// Whether every thread ended within the deadline.
    pub joined: bool,
}

/// Binds everything, starts every thread.
///
/// # Errors
/// [`StartError`], which names the option and the address.
pub fn start(options: Options, clock: Clock) -> Result<(Agent, Guard), StartError> {
    let store = Arc::new(Store::new(&options.bounds, &options.openmetrics_namespace));
    let lines_waiting_bytes = Arc::new(AtomicU64::new(0));
    let job = StoreJob {
        store: store.clone(),
        clock: clock.clone(),
        lines_waiting_bytes: lines_waiting_bytes.clone(),
    };
    let limits = Limits {
        queue_items_max: 32_768,
        queue_bytes_max: queue::BYTES_MAX,
        ..Limits::default()
    };
    let (arrivals, store_guard) =
        worker::start("agent-store", limits, clock.clone(), job).map_err(StartError::Thread)?;
    let queue = Queue {
        handle: arrivals,
        store,
        clock,
        lines_waiting_bytes,
    };
    let parts = Parts::start(&options, &queue)?;
    finish(options, queue, store_guard, parts)
}

/// All that brings something in, save the receiver.
#[derive(Default)]
struct Parts {
    listeners: Vec<Listener>,
    dogstatsd: Option<std::net::SocketAddr>,
    tail: Option<(Handle<Infallible>, worker::Guard)>,
    tail_behind: Arc<AtomicBool>,
    scrape: Option<(Handle<Infallible>, worker::Guard)>,
}

impl Parts {
    fn start(options: &Options, queue: &Queue) -> Result<Parts, StartError> {
        let mut parts = Parts::default();
        if let Some(bind) = &options.dogstatsd_bind {
            let (listener, address) = listener::udp(bind, queue.clone())
                .map_err(|error| StartError::Listen("dogstatsd_bind", bind.clone(), error))?;
            parts.listeners.push(listener);
            parts.dogstatsd = Some(address);
        }
        if let Some(path) = &options.dogstatsd_socket {
            let listener = listener::unix(path, queue.clone()).map_err(|error| {
                StartError::Listen("dogstatsd_socket", path.display().to_string(), error)
            })?;
            parts.listeners.push(listener);
        }
        if !options.tail.is_empty() {
            let tail = Tail::new(
                options.tail.clone(),
                queue.clone(),
                parts.tail_behind.clone(),
            );
            parts.tail = Some(ticking(
                "agent-tail",
                Duration::from_millis(200),
                queue,
                tail,
            )?);
        }
        if !options.scrape.is_empty() {
            let scrape = Scrape::new(&options.scrape, queue.clone(), &queue.clock)?;
            parts.scrape = Some(ticking(
                "agent-scrape",
                options.scrape_interval,
                queue,
                scrape,
            )?);
        }
        Ok(parts)
    }
}

fn ticking<J: worker::Job<Item = Infallible>>(
    name: &'static str,
    flush_interval: Duration,
    queue: &Queue,
    job: J,
) -> Result<(Handle<Infallible>, worker::Guard), StartError> {
    let limits = Limits {
        queue_items_max: 1,
        flush_interval,
        ..Limits::default()
    };
    worker::start(name, limits, queue.clock.clone(), job).map_err(StartError::Thread)
}

fn finish(
    options: Options,
    queue: Queue,
    store_guard: worker::Guard,
    parts: Parts,
) -> Result<(Agent, Guard), StartError> {
    let addresses = Arc::new(OnceLock::new());
    let receiver = Receiver {
        queue: queue.clone(),
        addresses: addresses.clone(),
        default_env: options.default_env.clone(),
        decoding: Mutex::default(),
    };
    let receiver = server::start(
        &server::Options {
            name: "agent-http",
            bind: options.receiver_bind.clone(),
            workers: options.workers,
        },
        Arc::new(receiver),
    )
    .map_err(|error| StartError::Server("receiver_bind", error))?;
    let (tail, tail_guard) = parts.tail.unzip();
    let (scrape, scrape_guard) = parts.scrape.unzip();
    let inner = Inner {
        started_unix_us: queue.now_unix_us(),
        store: queue.store,
        clock: queue.clock.clone(),
        arrivals: queue.handle,
        pings: parts.listeners.iter().map(Listener::ping).collect(),
        tail,
        tail_behind: parts.tail_behind,
        scrape,
        addresses: addresses.clone(),
        files: options
            .tail
            .iter()
            .map(|t| t.path.display().to_string())
            .collect(),
        scrapes: options.scrape.clone(),
        openmetrics_namespace: options.openmetrics_namespace.clone(),
    };
    let agent = Agent {
        inner: Arc::new(inner),
    };
    let page = start_page(&agent, &options)?;
    let bound = Addresses {
        receiver: receiver.address(),
        dogstatsd: parts.dogstatsd,
        dogstatsd_socket: options.dogstatsd_socket,
        page: page.address(),
    };
    let bound = addresses.get_or_init(|| bound).clone();
    let guard = Guard {
        receiver: Some(receiver),
        listeners: parts.listeners,
        tail: tail_guard,
        scrape: scrape_guard,
        store: Some(store_guard),
        page: Some(page),
        addresses: bound,
        clock: queue.clock,
    };
    Ok((agent, guard))
}

fn start_page(agent: &Agent, options: &Options) -> Result<server::Guard, StartError> {
    let (agent, hosts) = (agent.clone(), options.hosts.clone());
    let serve = move |request: &mut Request| -> Reply { api::serve(&agent, &hosts, request) };
    let page = server::Options {
        name: "agent-page",
        bind: options.page_bind.clone(),
        workers: 2,
    };
    server::start(&page, Arc::new(serve)).map_err(|error| StartError::Server("page_bind", error))
}

impl Guard {
    /// The addresses that are really bound.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Stops what brings something in, then stores what came, then ends the page.
    pub fn stop(mut self, deadline: Duration) -> Stopped {
        let end_ns = self.clock.mono_ns().saturating_add(nanos(deadline));
        let left = |clock: &Clock| Duration::from_nanos(end_ns.saturating_sub(clock.mono_ns()));
        let mut stopped = Stopped {
            left: 0,
            joined: true,
        };
        if let Some(receiver) = self.receiver.take() {
            stopped.joined &= receiver.stop(left(&self.clock)).joined;
        }
        self.listeners.iter_mut().for_each(Listener::stop);
        let workers = [self.tail.take(), self.scrape.take(), self.store.take()];
        for worker in workers.into_iter().flatten() {
            let end = worker.stop(left(&self.clock));
            stopped.left += end.left;
            stopped.joined &= end.joined;
        }
        if let Some(page) = self.page.take() {
            stopped.joined &= page.stop(left(&self.clock)).joined;
        }
        stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::options::TailOptions;
    use crate::agent::page::Views;
    use crate::agent::store::{Arrival, Cargo, Scraped};
    use crate::agent::view::Query;
    use crate::worker::{AskError, Job};
    use serde_json::{Value, json};
    use std::fs::{self, File, OpenOptions};
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream, UdpSocket};
    use std::os::unix::net::UnixDatagram;
    use std::path::PathBuf;

    const DEADLINE: Duration = Duration::from_secs(20);
    const V04: &[u8] = include_bytes!("../../tests/corpus/traces_v04.bin");
    const V05: &[u8] = include_bytes!("../../tests/corpus/traces_v05.bin");
    const LINES: &str = include_str!("../../tests/corpus/log_lines.jsonl");
    const DATAGRAMS: &[u8] = include_bytes!("../../tests/corpus/dogstatsd.txt");

    fn local() -> Options {
        let any = || "127.0.0.1:0".to_string();
        Options {
            receiver_bind: any(),
            dogstatsd_bind: Some(any()),
            page_bind: any(),
            workers: 2,
            ..Options::default()
        }
    }

    /// A path of its own for each test.
    fn path(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("agent-{}-{name}", std::process::id()));
        let _ = fs::remove_file(&path);
        path
    }

    /// One request on one connection: status, head, body.
    fn ask(to: SocketAddr, head: &str, body: &[u8]) -> (u16, String, String) {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let host = if head.contains("Host:") {
            ""
        } else {
            "Host: localhost\r\n"
        };
        let length = body.len();
        let head = format!("{head}{host}Connection: close\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (
            head[9..12].parse().unwrap(),
            head.to_string(),
            body.to_string(),
        )
    }

    fn shown(agent: &Agent, path: &str) -> Value {
        let head = format!("GET {path} HTTP/1.1\r\n");
        serde_json::from_str(&ask(agent.addresses().unwrap().page, &head, b"").2).unwrap()
    }

    const MSGPACK: &str = "Content-Type: application/msgpack\r\n";

    /// An agent that was sent the whole corpus, by every door.
    fn filled(log: &std::path::Path) -> (Agent, Guard) {
        let tail = vec![TailOptions {
            path: log.to_path_buf(),
            from_start: false,
        }];
        let (agent, guard) = start(Options { tail, ..local() }, Clock::system()).unwrap();
        let to = guard.addresses().clone();
        let tracer = "Datadog-Meta-Lang: python\r\nDatadog-Meta-Tracer-Version: 4.16.0\r\n";
        let head =
            format!("POST /v0.4/traces HTTP/1.1\r\n{MSGPACK}{tracer}X-Datadog-Trace-Count: 2\r\n");
        let (status, _, body) = ask(to.receiver, &head, V04);
        assert_eq!(
            (status, &*body),
            (200, "{\"rate_by_service\":{\"service:,env:\":1}}\n")
        );
        let head = format!("PUT /v0.5/traces HTTP/1.1\r\n{MSGPACK}");
        assert_eq!(ask(to.receiver, &head, V05).0, 200);
        UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .send_to(DATAGRAMS, to.dogstatsd.unwrap())
            .unwrap();
        fs::write(log, LINES).unwrap();
        agent.tail_now(DEADLINE).unwrap();
        agent.settle(DEADLINE).unwrap();
        (agent, guard)
    }

    #[test]
    fn what_comes_in_at_every_door_is_counted() {
        let log = path("counted.log");
        let (agent, guard) = filled(&log);
        let overview = agent.overview();
        let points: Vec<u64> = overview.pipelines.iter().map(|p| p.points).collect();
        assert_eq!(points, [46, 14, 0, 4, 0]);
        let services: Vec<(&str, u64)> = overview
            .services
            .iter()
            .map(|s| (&*s.name, s.requests))
            .collect();
        assert_eq!(services, [("flask", 2), ("testapi", 2)]);
        assert_eq!(overview.services[1].language, "python");
        assert_eq!(agent.counts().server_spans_sum(), 4);
        assert_eq!(overview.rail.traces, 4);
        let rows = agent.payloads(&Query {
            q: "pipeline:traces".into(),
            ..Query::default()
        });
        let from: Vec<(&str, &str)> = rows.iter().map(|row| (&*row.what, &*row.from)).collect();
        assert_eq!(from[1], ("POST /v0.4/traces", "python 4.16.0"));
        assert_eq!((rows[1].points, &*rows[1].error), (23, ""));
        drop(guard);
        let _ = fs::remove_file(log);
    }

    #[test]
    fn the_api_shows_what_came_in() {
        let log = path("shown.log");
        let (agent, guard) = filled(&log);
        let id = agent.traces(&Query::default()).rows[0].trace_id.clone();
        let trace = shown(&agent, &format!("/api/traces/{id}"));
        assert_eq!(
            trace["spans"].as_array().unwrap().len() as u64,
            trace["row"]["spans"]
        );
        assert_eq!(
            shown(&agent, "/api/logs?q=status:error&limit=2")["matching"],
            4
        );
        assert_eq!(shown(&agent, "/api/overview")["rail"]["logs"], 4);
        assert_eq!(shown(&agent, "/api/counts")["server_spans"]["flask"], 2);
        assert_eq!(
            shown(&agent, "/api/errors")[0]["error_type"],
            "ZeroDivisionError"
        );
        assert_eq!(
            shown(&agent, "/api/metrics")["rows"]
                .as_array()
                .unwrap()
                .len(),
            12
        );
        assert_eq!(shown(&agent, "/api/traces?q=nowhere")["matching"], 0);
        assert_eq!(
            guard.stop(DEADLINE),
            Stopped {
                left: 0,
                joined: true
            }
        );
        let _ = fs::remove_file(log);
    }

    #[test]
    fn an_opened_trace_has_its_log_lines() {
        let (agent, guard) = start(local(), Clock::system()).unwrap();
        let spans = json!([[{"trace_id": 255, "span_id": 1}]]).to_string();
        let head = "POST /v0.4/traces HTTP/1.1\r\nContent-Type: application/json\r\n";
        assert_eq!(
            ask(guard.addresses().receiver, head, spans.as_bytes()).0,
            200
        );
        let line = r#"{"message":"hello","dd.trace_id":"000000000000000000000000000000ff"}"#;
        let cargo = Cargo::Lines {
            path: "x".into(),
            bytes: format!("{line}\nother\n").into_bytes(),
            cut: 0,
        };
        let mut job = StoreJob {
            store: agent.inner.store.clone(),
            clock: Clock::system(),
            lines_waiting_bytes: Arc::new(AtomicU64::new(1_000)),
        };
        job.take(Arrival {
            time_unix_us: 1,
            cargo,
        });
        agent.settle(DEADLINE).unwrap();
        let messages: Vec<String> = agent
            .trace(255)
            .unwrap()
            .logs
            .into_iter()
            .map(|row| row.message)
            .collect();
        assert_eq!(messages, ["hello"]);
        assert_eq!(agent.trace(256), None);
        drop(guard);
    }

    #[test]
    fn info_lists_what_is_decoded_and_its_hash_stays() {
        let (_agent, guard) = start(local(), Clock::system()).unwrap();
        let to = guard.addresses().clone();
        let (status, head, body) = ask(to.receiver, "GET /info HTTP/1.1\r\n", b"");
        let info: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, 200);
        assert_eq!(
            info["endpoints"],
            json!([
                "/v0.3/traces",
                "/v0.4/traces",
                "/v0.5/traces",
                "/profiling/v1/input"
            ])
        );
        assert_eq!(info["config"]["statsd_port"], to.dogstatsd.unwrap().port());
        assert_eq!(info["config"]["receiver_port"], to.receiver.port());
        let state = |head: &str| {
            let line = head
                .lines()
                .find(|line| line.starts_with("Datadog-Agent-State: "));
            line.unwrap().to_string()
        };
        let traces = ask(
            to.receiver,
            &format!("POST /v0.4/traces HTTP/1.1\r\n{MSGPACK}"),
            &[0x90],
        );
        assert_eq!(state(&head), state(&traces.1));
        drop(guard);
    }

    #[test]
    fn the_api_is_for_this_machine_alone() {
        let (_agent, guard) = start(local(), Clock::system()).unwrap();
        let to = guard.addresses().page;
        let (status, head, _) = ask(to, "GET /api/overview HTTP/1.1\r\n", b"");
        assert_eq!(status, 200);
        for header in [
            "X-Content-Type-Options: nosniff",
            "Cache-Control: no-store",
            "Content-Security-Policy: default-src 'none';",
        ] {
            assert!(head.contains(header), "{header}");
        }
        assert!(!head.contains("Access-Control"));
        let evil = ask(
            to,
            "GET /api/overview HTTP/1.1\r\nHost: evil.example\r\n",
            b"",
        );
        assert_eq!(evil.0, 421);
        assert!(evil.2.contains("evil.example"));
        assert_eq!(ask(to, "GET /api/nothing HTTP/1.1\r\n", b"").0, 404);
        assert_eq!(ask(to, "GET /api/traces/7 HTTP/1.1\r\n", b"").0, 404);
        assert_eq!(ask(to, "GET / HTTP/1.1\r\n", b"").0, 200);
        drop(guard);
    }

    #[test]
    fn a_file_is_followed_through_rename_truncation_and_deletion() {
        let log = path("rotated.log");
        let old = path("rotated.log.1");
        fs::write(&log, "before\n").unwrap();
        let tail = vec![TailOptions {
            path: log.clone(),
            from_start: false,
        }];
        let (agent, guard) = start(Options { tail, ..local() }, Clock::system()).unwrap();
        let append = |text: &str| {
            let mut file = OpenOptions::new()
                .append(true)
                .create(true)
                .open(&log)
                .unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        #[track_caller]
        fn check(agent: &Agent, rule: &str, expected: &[&str]) {
            agent.tail_now(DEADLINE).unwrap();
            let rows = agent.logs(&Query::default()).rows;
            let messages: Vec<&str> = rows.iter().map(|row| &*row.message).collect();
            assert_eq!(messages, expected, "{rule}");
        }
        check(&agent, "what was there is passed over", &[]);
        append("one\ntw");
        check(&agent, "a line without its end waits", &["one"]);
        append("o\n");
        check(&agent, "and comes whole", &["one", "two"]);
        fs::rename(&log, &old).unwrap();
        append("three\n");
        check(
            &agent,
            "a new file is read from its beginning",
            &["one", "two", "three"],
        );
        File::options()
            .write(true)
            .truncate(true)
            .open(&log)
            .unwrap();
        append("4\n");
        check(
            &agent,
            "so is a truncated one",
            &["one", "two", "three", "4"],
        );
        fs::remove_file(&log).unwrap();
        check(
            &agent,
            "a deleted file is no error",
            &["one", "two", "three", "4"],
        );
        append("five\n");
        check(
            &agent,
            "nor is its return",
            &["one", "two", "three", "4", "five"],
        );
        drop(guard);
        let _ = (fs::remove_file(log), fs::remove_file(old));
    }

    #[test]
    fn a_unix_socket_is_listened_to_and_a_stale_one_replaced() {
        let socket = path("dsd.socket");
        drop(UnixDatagram::bind(&socket).unwrap());
        let options = Options {
            dogstatsd_bind: None,
            dogstatsd_socket: Some(socket.clone()),
            ..local()
        };
        let (agent, guard) = start(options, Clock::system()).unwrap();
        let client = UnixDatagram::unbound().unwrap();
        client.send_to(b"a:1|c\nb:x|g\n", &socket).unwrap();
        agent.settle(DEADLINE).unwrap();
        let row = &agent.payloads(&Query::default())[0];
        assert_eq!(
            (&*row.what, &*row.from, row.points),
            ("unixgram", "unix socket", 1)
        );
        assert_eq!(row.error, "value `x` is not a number in `b:x|g`");
        assert_eq!(agent.overview().pipelines[1].decode_errors, 1);
        drop(guard);
        assert!(!socket.exists());
    }

    #[test]
    fn what_the_agent_would_cut_is_taken_and_told() {
        let (agent, guard) = start(local(), Clock::system()).unwrap();
        #[track_caller]
        fn check(agent: &Agent, rule: &str, line: String, expected: (u64, &str)) {
            let cargo = Cargo::Datagram {
                bytes: line.into_bytes(),
                from: None,
            };
            let time_unix_us = 1;
            agent.inner.store.apply(Arrival {
                time_unix_us,
                cargo,
            });
            let row = &agent.payloads(&Query::default())[0];
            assert_eq!((row.points, &*row.error), expected, "{rule}");
        }
        let lines = |bytes: usize| "a:1|c\n".repeat(bytes / 6) + &"\n".repeat(bytes % 6);
        check(&agent, "at the limit", lines(8_192), (1_365, ""));
        let told = "8193 bytes: the Agent cuts a datagram at 8192 (dogstatsd_buffer_size)";
        check(&agent, "one over", lines(8_193), (1_365, told));
        let told = "a line's texts take 9008 bytes: over 8192 it is counted, not kept";
        let long = format!("a:1|c|#{}", "t".repeat(9_000));
        check(&agent, "a long line", long, (1, told));
        assert_eq!(agent.counts().dogstatsd_sum("a"), 2_731.0);
        let shown = |characters| "\u{fffd}".repeat(characters);
        let told = format!("value `{}` is not a number in `a:{}", shown(120), shown(36));
        let hostile = format!("a:{}|c", "\u{1}".repeat(9_000));
        check(&agent, "a finding is cut", hostile, (0, &told));
        let pipeline = &agent.overview().pipelines[1];
        assert_eq!((pipeline.decode_errors, pipeline.evicted), (1, 1));
        drop(guard);
    }

    #[test]
    fn what_was_sent_before_the_stop_is_stored() {
        let (agent, guard) = start(local(), Clock::system()).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..100 {
            client
                .send_to(
                    b"testapi.request_count:1|c",
                    guard.addresses().dogstatsd.unwrap(),
                )
                .unwrap();
        }
        assert_eq!(
            guard.stop(DEADLINE),
            Stopped {
                left: 0,
                joined: true
            }
        );
        assert_eq!(agent.counts().dogstatsd_sum("testapi.request_count"), 100.0);
        assert_eq!(agent.settle(DEADLINE), Err(AskError::Stopped));
    }

    #[test]
    fn a_failed_scrape_is_told_and_counted() {
        // Bound and never accepted: the port stays ours, and the wait for an answer ends by itself.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = silent.local_addr().unwrap();
        let options = Options {
            scrape: vec![format!("http://{closed}/metrics")],
            scrape_interval: Duration::from_secs(3_600),
            ..local()
        };
        let (agent, guard) = start(options, Clock::system()).unwrap();
        let told = agent.scrape_now(DEADLINE).unwrap_err().to_string();
        assert!(told.contains(&closed.to_string()), "{told}");
        let pipeline = &agent.overview().pipelines[2];
        assert_eq!((pipeline.payloads, pipeline.decode_errors), (1, 1));
        drop(guard);
    }

    #[test]
    fn a_scraped_page_may_be_larger_than_a_mebibyte() {
        let page = "n 1\n".repeat(300_000);
        let length = page.len() as u64;
        let serve = move |_: &mut Request| -> Reply { Reply::text(200, page.clone()) };
        let options = server::Options {
            name: "t-scrape",
            bind: "127.0.0.1:0".to_string(),
            workers: 1,
        };
        let pages = server::start(&options, Arc::new(serve)).unwrap();
        let options = Options {
            scrape: vec![format!("http://{}/metrics", pages.address())],
            scrape_interval: Duration::from_secs(3_600),
            ..local()
        };
        let (agent, guard) = start(options, Clock::system()).unwrap();
        assert_eq!(agent.scrape_now(DEADLINE), Ok(()));
        let pipeline = &agent.overview().pipelines[2];
        assert_eq!((pipeline.bytes, pipeline.decode_errors), (length, 0));
        drop(guard);
        drop(pages);
    }

    #[test]
    fn a_scraped_page_is_summed_and_a_bad_one_named() {
        let (agent, guard) = start(local(), Clock::system()).unwrap();
        let apply = |page: &str| {
            let page = Ok(Scraped {
                bytes: page.as_bytes().to_vec(),
                content_type: String::new(),
                duration_ns: 0,
            });
            let cargo = Cargo::Scrape {
                url: "http://a/metrics".into(),
                status: 200,
                page,
            };
            agent.inner.store.apply(Arrival {
                time_unix_us: 1,
                cargo,
            });
        };
        apply("request_count_total{a=\"b\"} 3\nrequest_count_total{a=\"c\"} 4\n");
        assert_eq!(agent.counts().prometheus_sum("request_count_total"), 7.0);
        apply("request_count_total 9");
        let pipeline = &agent.overview().pipelines[2];
        assert_eq!((pipeline.points, pipeline.decode_errors), (2, 1));
        assert_eq!(
            pipeline.last_error.as_deref(),
            Some("line 1: no newline at the end")
        );
        assert_eq!(agent.counts().prometheus_sum("request_count_total"), 7.0);
        drop(guard);
    }

    #[test]
    fn a_taken_port_is_named_with_its_option() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let told = |options| {
            let error = start(options, Clock::system()).err().unwrap();
            (error.to_string(), error.option())
        };
        let (text, option) = told(Options {
            dogstatsd_bind: Some(address.clone()),
            ..local()
        });
        assert!(
            text.starts_with(&format!("cannot bind {address}: ")),
            "{text}"
        );
        assert_eq!(option, Some("dogstatsd_bind"));
        let (text, option) = told(Options {
            page_bind: "nowhere:x".into(),
            ..local()
        });
        assert!(text.contains("nowhere:x"), "{text}");
        assert_eq!(option, Some("page_bind"));
        let (text, option) = told(Options {
            scrape: vec!["ftp://x".into()],
            ..local()
        });
        assert_eq!(
            (text.as_str(), option),
            (
                "cannot scrape ftp://x: expected http://host:port/path",
                Some("scrape")
            )
        );
    }
}
