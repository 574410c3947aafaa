//! How often the telemetry of a request allocates on the request's own thread: a number that does not depend
//! on the machine's mood, pinned here. Fails where it is exceeded.

use std::fs;
use std::hint::black_box;
use std::io::{self, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use testapi::api::Api;
use testapi::app::{parse_settings, start_exporters};
use testapi::clock::Clock;
use testapi::identity::Identity;
use testapi::log::{self, Level, Record, Value};
use testapi::prometheus::{Format, HistogramSpec, Registry, exponential_bounds};
use testapi::server::{Request, Serve};
use testapi::trace::{self, EntryOptions, Options};

mod answering;
mod counting;

const ROUNDS: usize = 2_000;
/// Of the rounds before, in which buffers grow to their size, nothing is asked.
const WARM_UP: usize = 200;

fn main() -> ExitCode {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let agent = listener.local_addr().expect("it is bound");
    thread::Builder::new()
        .spawn(move || answering::answer_all(&listener, |_| {}))
        .expect("the system gives a thread");
    let agent = format!("http://{agent}");
    let [server, child] = spans(&agent);
    let [look_up, page] = metrics();
    let holds = [
        pinned("a look-up of three labels and a count", look_up, 0),
        pinned("a page of metrics in either format", page, 0),
        pinned("a log line with 4 fields", log_line(), 0),
        pinned("a child span with 4 tags, at most", child, 0),
        pinned("a server span with 12 tags", server, 0),
        pinned(
            "a request, its handler and all its telemetry",
            request(&agent),
            9,
        ),
    ];
    ExitCode::from(u8::from(holds.contains(&false)))
}

fn pinned(what: &str, seen: u64, most: u64) -> bool {
    let _ = writeln!(io::stdout(), "{what}: {seen} allocations ({most} at most)");
    seen <= most
}

fn allocations_of(work: impl FnOnce()) -> u64 {
    let before = counting::allocations();
    work();
    counting::allocations() - before
}

/// Now and then a buffer that all share grows on the thread that happens to be there: not the rule.
fn median(mut counts: Vec<u64>) -> u64 {
    counts.sort_unstable();
    counts[counts.len() / 2]
}

/// The median of a server span, and the most of any child, once the Agent has told its rates.
fn spans(agent: &str) -> [u64; 2] {
    const KEYS: [&str; 12] = [
        "span.kind",
        "component",
        "http.method",
        "http.url",
        "http.route",
        "http.useragent",
        "http.version",
        "http.client_ip",
        "network.client.ip",
        "http.host",
        "team",
        "http.status_code",
    ];
    let agent = agent.parse().expect("an address");
    let options = Options {
        agent,
        ..Options::default()
    };
    let (tracer, guard) = trace::start(options, &Identity::of_process("bench"), Clock::system())
        .expect("the system gives a thread");
    let (mut servers, mut child_most) = (Vec::new(), 0);
    for round in 0..WARM_UP + ROUNDS {
        if round < WARM_UP {
            let _ = tracer.flush(Duration::from_secs(5));
        }
        let mut children = 0;
        let whole = allocations_of(|| {
            let mut entry = tracer.enter(EntryOptions {
                name: "http.request".into(),
                resource: "GET /cart/{id}",
                kind: "web",
                ..EntryOptions::default()
            });
            KEYS.iter()
                .for_each(|key| entry.set_meta(key, "a value of some length"));
            for _ in 0..20 {
                let this = allocations_of(|| {
                    let mut child = trace::span("select");
                    KEYS[..3]
                        .iter()
                        .for_each(|key| child.set_meta(key, "a value of some length"));
                    child.set_metric("db.rows", 3.0);
                });
                children += this;
                child_most = child_most.max(if round < WARM_UP { 0 } else { this });
            }
            entry.finish();
        });
        if round >= WARM_UP {
            servers.push(whole - children);
        }
    }
    guard.stop(Duration::from_secs(5));
    [median(servers), child_most]
}

/// The most of any look-up, and of any page after the first.
fn metrics() -> [u64; 2] {
    let registry = Registry::new();
    let bounds = exponential_bounds(0.001, 2.0, 11).expect("good bounds");
    let spec = HistogramSpec {
        labels: &["method", "route"],
        bounds: &bounds,
    };
    let labels = &["method", "route", "status"];
    let served = registry.counter("served", "Requests served.", labels);
    let served = served.expect("a good name");
    let took = registry.histogram("took_seconds", "Time to serve.", spec);
    let took = took.expect("a good name");
    let routes: Vec<String> = (0..100).map(|n| format!("/cart/{n}/items")).collect();
    let (mut look_up_most, mut page_most) = (0, 0);
    let mut page = Vec::new();
    for round in 0..WARM_UP {
        for (n, route) in routes.iter().enumerate() {
            let this = allocations_of(|| served.with(&["GET", route, "200"]).inc());
            look_up_most = look_up_most.max(if round == 0 { 0 } else { this });
            took.with(&["GET", route]).observe(n as f64 / 77.0);
        }
        for format in [Format::Text, Format::OpenMetrics] {
            page.clear();
            let this = allocations_of(|| registry.render(format, &mut page));
            page_most = page_most.max(if round == 0 { 0 } else { this });
        }
    }
    [look_up_most, page_most]
}

/// The median of a line to a file, from the call to its return.
fn log_line() -> u64 {
    let file = std::env::temp_dir().join(format!("testapi-line-{}.json", std::process::id()));
    let options = log::Options {
        file: Some(file.clone()),
        stdout: false,
        ..log::Options::default()
    };
    let (logger, guard) = log::start(options, &Identity::of_process("bench"), Clock::system())
        .expect("a file and a thread");
    let mut counts = Vec::new();
    for round in 0..WARM_UP + ROUNDS {
        let fields = [
            ("http.method", Value::Str("GET")),
            ("http.route", Value::Str("/cart/{id}/items")),
            ("http.status_code", Value::U64(200)),
            ("duration", Value::U64(round as u64 * 977)),
        ];
        let record = Record {
            trace_id: 0x6745_2301_0000_0000_0000_0000_0000_00ff,
            span_id: 9,
            fields: &fields,
            ..Record::new(Level::Info, "GET /cart/7/items 200")
        };
        counts.push(allocations_of(|| logger.log(&record)));
    }
    guard.stop(Duration::from_secs(5));
    let _ = fs::remove_file(&file);
    median(counts.split_off(WARM_UP))
}

/// The median of `GET /logging/debug` with every exporter on, from the request's head to its reply.
fn request(agent: &str) -> u64 {
    let datagrams = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
    let statsd = format!("udp://{}", datagrams.local_addr().expect("it is bound"));
    let file =
        std::env::temp_dir().join(format!("testapi-allocations-{}.json", std::process::id()));
    let pairs = [
        ("DD_TRACE_AGENT_URL", agent),
        ("DD_DOGSTATSD_URL", &statsd),
        ("DD_ENV", "bench"),
        (
            "TESTAPI_LOG_FILE",
            file.to_str().expect("a path in letters"),
        ),
        ("TESTAPI_LOG_STDOUT", "false"),
    ];
    let (settings, problems) = parse_settings(pairs, &|path| path.exists());
    assert!(problems.is_empty(), "{problems:?}");
    let (services, guards) = start_exporters(&settings, Clock::system()).expect("exporters start");
    let services = Arc::new(services);
    let api = Api::new(services.clone());
    let headers = [("Host", "127.0.0.1:5000"), ("User-Agent", "allocations")];
    let mut request = Request::made("GET", "/logging/debug", &headers, b"");
    let mut counts = Vec::new();
    for round in 0..WARM_UP + ROUNDS {
        if round < WARM_UP {
            let _ = services.tracer.flush(Duration::from_secs(5));
        }
        counts.push(allocations_of(|| {
            black_box(api.serve(&mut request));
        }));
    }
    drop(guards);
    let _ = fs::remove_file(&file);
    median(counts.split_off(WARM_UP))
}
