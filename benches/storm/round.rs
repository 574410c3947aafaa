//! One round: an agent, the API with all its exporters, users; then the counts of the same requests.

use std::net::TcpListener;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use testapi::agent::page::Views;
use testapi::app::{
    Agent, AgentAddresses, AgentOptions, App, Report, Settings, TailOptions, parse_settings,
    start_agent, start_exporters,
};
use testapi::clock::Clock;
use testapi::http::{Call, Client, Limits, Target};
use testapi::worker::Ledger;

use crate::spans;
use crate::tally::Tally;
use crate::users::Users;

/// For each wait at the end.
const STOP_WAIT: Duration = Duration::from_secs(30);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Names that are this round's own.
struct Place {
    bind: String,
    log: PathBuf,
    socket: PathBuf,
}

impl Place {
    fn new(number: u64) -> Result<Place, String> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let file = |ending: &str| {
            let name = format!("testapi-storm-{}-{number}.{ending}", std::process::id());
            std::env::temp_dir().join(name)
        };
        Ok(Place {
            bind: free.map_err(|error| error.to_string())?.to_string(),
            log: file("json"),
            socket: file("sock"),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for path in [&self.log, &self.socket] {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Runs a round; counts that differ and samples that are lost are told to the tally.
pub(crate) fn run(number: u64, time: Duration, tally: &Tally) -> Result<(), String> {
    let place = Place::new(number)?;
    let any = || "127.0.0.1:0".to_string();
    let options = AgentOptions {
        receiver_bind: any(),
        dogstatsd_bind: Some(any()),
        dogstatsd_socket: Some(place.socket.clone()),
        page_bind: any(),
        tail: vec![TailOptions {
            path: place.log.clone(),
            from_start: true,
        }],
        scrape: vec![format!("http://{}/metrics", place.bind)],
        scrape_interval: Duration::from_secs(3_600),
        ..AgentOptions::default()
    };
    let clock = Clock::system();
    let (agent, guard) = start_agent(options, clock.clone()).map_err(|e| e.to_string())?;
    let settings = settings(&place, guard.addresses())?;
    serve(&settings, (&agent, time.mul_f64(0.8)), tally)?;
    let (services, guards) =
        start_exporters(&settings, clock).map_err(|error| error.to_string())?;
    if services.profiler.is_none() {
        return Err("nothing is profiled the second time".to_string());
    }
    spans::open(&services, time.mul_f64(0.2), tally);
    for guard in guards {
        let name = guard.name();
        if !guard.stop(STOP_WAIT).joined {
            tally.fail(format!("{name} did not end"));
        }
    }
    for state in services.states() {
        account(&format!("{}, threads", state.name), &state.ledger, tally);
    }
    take_in(&agent, tally)?;
    if !guard.stop(STOP_WAIT).joined {
        tally.fail("the agent did not end".to_string());
    }
    tally.add("rounds", 1);
    Ok(())
}

fn settings(place: &Place, agent: &AgentAddresses) -> Result<Settings, String> {
    let udp = agent
        .dogstatsd
        .ok_or("the agent has no DogStatsD address")?;
    let log = place.log.to_str().unwrap_or_default();
    let pairs = [
        ("TESTAPI_BIND", place.bind.clone()),
        ("TESTAPI_WORKERS", "8".to_string()),
        ("DD_TRACE_AGENT_URL", format!("http://{}", agent.receiver)),
        (
            "DD_DOGSTATSD_URL",
            format!("unix://{}", place.socket.display()),
        ),
        ("TESTAPI_STATSD_HOST", udp.to_string()),
        ("TESTAPI_ENABLE_BACKLOG_METRIC", "true".to_string()),
        ("TESTAPI_LOG_FILE", log.to_string()),
        ("TESTAPI_LOG_FILE_BYTES_MAX", "0".to_string()),
        ("TESTAPI_LOG_STDOUT", "false".to_string()),
        ("DD_PROFILING_ENABLED", "true".to_string()),
        ("DD_PROFILING_UPLOAD_INTERVAL", "1".to_string()),
        ("TESTAPI_PROFILING_CPU_HZ", "1000".to_string()),
        ("TESTAPI_PROFILING_WALL_HZ", "100".to_string()),
    ];
    let pairs = pairs.iter().map(|(name, value)| (*name, value.as_str()));
    let (settings, problems) = parse_settings(pairs, &|path| path.exists());
    match problems.first() {
        None => Ok(settings),
        Some(problem) => Err(problem.to_string()),
    }
}

fn serve(
    settings: &Settings,
    (agent, time): (&Agent, Duration),
    tally: &Tally,
) -> Result<(), String> {
    let mut app = App::start(settings, Clock::system()).map_err(|error| error.to_string())?;
    let users = Users::start(app.address()).map_err(|error| error.to_string())?;
    let started = Instant::now();
    while started.elapsed() < time {
        thread::park_timeout(LOOK_INTERVAL);
        while app.notice().is_some() {}
    }
    let seen = users.stop();
    for failure in seen.failures {
        tally.fail(format!("no reply: {failure}"));
    }
    while app.requests_in_flight() > 0 {
        thread::park_timeout(LOOK_INTERVAL);
    }
    agent
        .scrape_now(STOP_WAIT)
        .map_err(|error| error.to_string())?;
    looks(&app, tally);
    let before = agent.counts();
    let report = app.stop(STOP_WAIT);
    take_in(agent, tally)?;
    let counts = agent.counts();
    tally.add("replies", seen.replies);
    // The page of the API's own state was asked for once more, behind the scrape.
    let observed = report.observed;
    tally.same("requests counted by the API", (seen.observed + 1, observed));
    let whole = |sum: f64| sum.round() as u64;
    let on_page = whole(before.prometheus_sum("request_count_total"));
    tally.same("requests on /metrics", (observed - 1, on_page));
    tally.same("server spans", (observed, counts.server_spans_sum()));
    let dogstatsd = whole(counts.dogstatsd_sum("testapi.request_count"));
    tally.same("requests by DogStatsD", (observed, dogstatsd));
    tally.same(
        "lines of the access log",
        (observed, counts.access_log_lines),
    );
    judge(&report, tally);
    Ok(())
}

/// Waits until the agent has all that was sent, and has it looked over.
fn take_in(agent: &Agent, tally: &Tally) -> Result<(), String> {
    let read = agent.tail_now(STOP_WAIT);
    let read = read.and_then(|()| agent.settle(STOP_WAIT));
    read.map_err(|error| format!("the agent could not take all in: {error}"))?;
    for pipeline in agent.overview().pipelines {
        if pipeline.decode_errors > 0 {
            let why = pipeline.last_error.unwrap_or_default();
            tally.fail(format!("{} could not be decoded: {why}", pipeline.name));
        }
    }
    let profiles = agent.profiles();
    for finding in profiles.rows.iter().flat_map(|row| &row.findings) {
        tally.fail(format!("a profile: {finding}"));
    }
    if profiles.rows.is_empty() {
        tally.fail("no profile came".to_string());
    }
    tally.add("profiles looked over", profiles.rows.len() as u64);
    Ok(())
}

/// What a look took, as the API says itself.
fn looks(app: &App, tally: &Tally) {
    let address = app.address();
    let target = Target::Tcp(address.ip().to_string(), address.port());
    let mut client = Client::with_limits(target, Clock::system(), Limits::default());
    let call = Call {
        method: "GET",
        path: "/health",
        headers: &[],
        body: &[],
    };
    let health = client.exchange(&call, STOP_WAIT).map_err(|e| e.to_string());
    let health = health.and_then(|reply| {
        serde_json::from_slice::<Value>(&reply.body).map_err(|error| error.to_string())
    });
    match health {
        Ok(health) => {
            for name in ["looks", "looks_ns", "threads_refused"] {
                let value = health["profiler"][name].as_u64();
                tally.add(&format!("profiler: {name}"), value.unwrap_or(0));
            }
        }
        Err(why) => tally.fail(format!("/health: {why}")),
    }
}

fn judge(report: &Report, tally: &Tally) {
    if !report.served {
        tally.fail("requests were still running".to_string());
    }
    for (name, stopped) in &report.workers {
        if !stopped.joined || stopped.left > 0 {
            tally.fail(format!("{name}: {stopped:?}"));
        }
    }
    for (name, ledger) in &report.ledgers {
        account(name, ledger, tally);
        // What the counts above are held against.
        let is_whole = ["traces", "dogstatsd", "logs"].contains(name);
        if is_whole && ledger.dropped_total() > 0 {
            tally.fail(format!("{name}: {ledger:?}"));
        }
    }
}

fn account(name: &str, ledger: &Ledger, tally: &Tally) {
    if !ledger.balances() || ledger.pending > 0 {
        tally.fail(format!("{name} does not balance: {ledger:?}"));
    }
    tally.add(&format!("{name}: {} offered", ledger.unit), ledger.offered);
    tally.add(&format!("{name}: sent"), ledger.sent);
    for (reason, count) in ledger.dropped.iter().filter(|(_, count)| *count > 0) {
        tally.add(&format!("{name}: {reason}"), *count);
    }
}
