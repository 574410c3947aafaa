//! The whole loop in one command: the API, a local agent with its page, and users; at the end, every
//! pipeline's count of the same requests side by side.

mod progress;
mod table;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;
use loadgen::user::{self, Users};
use testapi::app::{
    Agent, AgentAddresses, AgentBounds, AgentGuard, AgentOptions, App, ROUTES, Settings,
    TailOptions, parse_settings, start_agent,
};
use testapi::clock::Clock;
use testapi::http::Target;
use testapi::process;
use testapi::worker::AskError;

use crate::progress::Progress;
use crate::table::Table;

/// The testapi demo: API, local agent and load in one process, no account needed.
///
/// Open the page it prints. Ctrl-C, or the end of --run-time, stops it and compares what each pipeline
/// counted; the exit code is 0 only when all agree.
#[derive(Debug, Parser)]
#[command(name = "demo", version)]
struct Cli {
    /// Users who send requests
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    users: u32,
    /// Requests a second of all users together; 0 is as fast as replies come
    #[arg(long, value_name = "N", default_value_t = 1_500)]
    rps: u32,
    /// Stop after this time: 20s, 5m, 1h, or 1h30m [default: until Ctrl-C]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    run_time: Option<Duration>,
    /// Where the API listens [default: TESTAPI_BIND or 127.0.0.1:5000]
    #[arg(long, value_name = "ADDRESS:PORT")]
    bind: Option<String>,
    /// Where the local agent receives traces
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8126")]
    receiver_bind: String,
    /// Where the local agent receives DogStatsD
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8125")]
    dogstatsd_bind: String,
    /// Where the local agent's page is
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8127")]
    page_bind: String,
}

/// How often signals, the clock and the progress line are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// Time for requests in flight and for each wait at the end.
const STOP_WAIT: Duration = Duration::from_secs(10);
/// Scrapes at the end while visitors keep coming.
const SCRAPES_MAX: u32 = 20;
/// The log file is put aside at this size; the agent follows.
const LOG_FILE_BYTES_MAX: u64 = 64 << 20;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let stop = match process::stop_signal() {
        Ok(stop) => stop,
        Err(error) => return fail(&format!("cannot watch signals: {error}")),
    };
    let log = LogFile::new();
    match Demo::start(&cli, &log.path) {
        Ok(demo) => demo.run(&cli, &stop, &log),
        Err(why) => fail(&why),
    }
}

/// Everything that runs, in stop order.
struct Demo {
    users: Users,
    app: App,
    agent: Agent,
    agent_guard: AgentGuard,
    clock: Clock,
}

impl Demo {
    fn start(cli: &Cli, log: &Path) -> Result<Demo, String> {
        let clock = Clock::system();
        let settings = settings(cli);
        let options = agent_options(cli, &settings.bind, log);
        let (agent, agent_guard) =
            start_agent(options, clock.clone()).map_err(|error| match error.option() {
                Some(option) => format!("{error}; change it with --{}", option.replace('_', "-")),
                None => error.to_string(),
            })?;
        let settings = towards(settings, agent_guard.addresses(), log)?;
        let app = App::start(&settings, clock.clone()).map_err(|error| error.to_string())?;
        let address = app.address();
        let users = user::Options {
            target: Target::Tcp(address.ip().to_string(), address.port()),
            users: cli.users,
            per_second: cli.rps,
            is_observed,
        };
        let users = user::start(&users, &clock).map_err(|e| format!("cannot start a user: {e}"))?;
        Ok(Demo {
            users,
            app,
            agent,
            agent_guard,
            clock,
        })
    }

    fn run(mut self, cli: &Cli, stop: &AtomicBool, log: &LogFile) -> ExitCode {
        let addresses = self.agent_guard.addresses();
        say(&format!("API        http://{}", self.app.address()));
        say(&format!("agent page http://{}", addresses.page));
        say(&format!(
            "receiver   http://{}  (DD_TRACE_AGENT_URL for your own services)",
            addresses.receiver
        ));
        let started_ns = self.clock.mono_ns();
        let mut progress = Progress::default();
        while !stop.load(Ordering::Acquire) {
            std::thread::park_timeout(LOOK_INTERVAL);
            let ran = Duration::from_nanos(self.clock.mono_ns().saturating_sub(started_ns));
            if cli.run_time.is_some_and(|limit| ran >= limit) {
                break;
            }
            if progress.show(ran, || self.users.stats().seen()) {
                log.keep_short(&self.agent);
                if let Some(notice) = self.app.notice() {
                    say(&format!("\r{notice}"));
                }
            }
        }
        progress.end();
        self.reconcile()
    }

    /// Users first, then one last scrape of a quiet API, then the API with its last flush, then the agent.
    fn reconcile(self) -> ExitCode {
        let Demo {
            users,
            app,
            agent,
            agent_guard,
            clock: _,
        } = self;
        let seen = users.stop().seen();
        let scraped = scrape_at_rest(&app, &agent);
        let report = app.stop(STOP_WAIT);
        let read = agent
            .tail_now(STOP_WAIT)
            .and_then(|()| agent.settle(STOP_WAIT));
        let counts = agent.counts();
        let table = Table::new(&seen, report.observed, &counts);
        let _ = write!(std::io::stdout(), "{}", table.text());
        for (text, count) in &seen.failure_texts {
            say(&format!("no reply, {count} times: {text}"));
        }
        for error in [scraped.err(), read.err()].into_iter().flatten() {
            say(&format!("the agent could not take everything in: {error}"));
        }
        if !report.is_clean() {
            say(&report.to_string());
        }
        let stopped = agent_guard.stop(STOP_WAIT);
        let good = table.agrees() && seen.failures == 0 && report.is_clean() && stopped.joined;
        if good {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(1)
        }
    }
}

/// A visitor's request may still be open; what it adds is on `/metrics` only once it has its reply.
fn scrape_at_rest(app: &App, agent: &Agent) -> Result<(), AskError> {
    for _ in 0..SCRAPES_MAX {
        while app.requests_in_flight() > 0 {
            std::thread::park_timeout(LOOK_INTERVAL);
        }
        let before = app.requests_observed();
        agent.scrape_now(STOP_WAIT)?;
        if app.requests_in_flight() == 0 && app.requests_observed() == before {
            return Ok(());
        }
    }
    Ok(())
}

fn agent_options(cli: &Cli, bind: &str, log: &Path) -> AgentOptions {
    let near = match bind.rsplit_once(':') {
        Some(("0.0.0.0", port)) => format!("127.0.0.1:{port}"),
        Some(("[::]", port)) => format!("[::1]:{port}"),
        _ => bind.to_string(),
    };
    AgentOptions {
        receiver_bind: cli.receiver_bind.clone(),
        dogstatsd_bind: Some(cli.dogstatsd_bind.clone()),
        page_bind: cli.page_bind.clone(),
        tail: vec![TailOptions {
            path: log.to_path_buf(),
            from_start: true,
        }],
        scrape: vec![format!("http://{near}/metrics")],
        bounds: AgentBounds {
            // Longer than from one profile to the next, so that a trace finds its samples.
            traces_bytes_max: 48 << 20,
            logs_bytes_max: 8 << 20,
            ..AgentBounds::default()
        },
        ..AgentOptions::default()
    }
}

/// Names of the environment that the demo heeds. Where things go, and that they go, is what it is about.
const HEEDED: [&str; 11] = [
    "DD_SERVICE",
    "DD_ENV",
    "DD_VERSION",
    "DD_TAGS",
    "TESTAPI_BIND",
    "TESTAPI_WORKERS",
    "DD_PROFILING_ENABLED",
    "DD_PROFILING_UPLOAD_INTERVAL",
    "DD_PROFILING_OUTPUT_DIR",
    "TESTAPI_PROFILING_CPU_HZ",
    "TESTAPI_PROFILING_WALL_HZ",
];

fn settings(cli: &Cli) -> Settings {
    let (pairs, unreadable) = process::environment();
    for name in unreadable
        .iter()
        .filter(|name| HEEDED.contains(&name.as_str()))
    {
        say(&format!("{name}: its value is not UTF-8, and is not read"));
    }
    let pairs = pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let heeded = pairs.filter(|(name, _)| HEEDED.contains(name));
    let (mut settings, problems) = parse_settings(heeded, &|_| false);
    for problem in problems {
        say(&problem.to_string());
    }
    if let Some(bind) = &cli.bind {
        settings.bind.clone_from(bind);
    }
    settings
}

/// The same settings, with everything sent to this agent and written to this log.
fn towards(mut settings: Settings, agent: &AgentAddresses, log: &Path) -> Result<Settings, String> {
    let receiver = Target::Tcp(agent.receiver.ip().to_string(), agent.receiver.port());
    let dogstatsd = agent
        .dogstatsd
        .ok_or("the agent has no DogStatsD address")?;
    let dogstatsd = format!("udp://{dogstatsd}")
        .parse()
        .map_err(|e| format!("{e}"))?;
    // The demo puts its log aside itself, when the agent has read it.
    let taken = settings.say("TESTAPI_LOG_FILE_BYTES_MAX", "0");
    taken.map_err(|takes| format!("TESTAPI_LOG_FILE_BYTES_MAX takes {takes}"))?;
    Ok(settings
        .with_agent(receiver, dogstatsd)
        .with_log(Some(log.into()), false)
        .with_profiling())
}

fn is_observed(route: &str) -> bool {
    ROUTES
        .iter()
        .any(|known| known.pattern == route && known.observed)
}

/// The log that the agent follows; gone when the demo ends.
struct LogFile {
    path: PathBuf,
}

impl LogFile {
    fn new() -> LogFile {
        let name = format!("testapi-demo-{}.json", std::process::id());
        LogFile {
            path: std::env::temp_dir().join(name),
        }
    }

    fn aside(&self) -> PathBuf {
        self.path.with_extension("json.1")
    }

    /// A demo that runs for days shall not fill the disk.
    fn keep_short(&self, agent: &Agent) {
        let length = std::fs::metadata(&self.path).map_or(0, |file| file.len());
        if length > LOG_FILE_BYTES_MAX && agent.tail_now(STOP_WAIT).is_ok() {
            let _ = std::fs::rename(&self.path, self.aside());
        }
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_file(self.aside());
    }
}

/// `20`, `20s`, `5m`, `1h30m`; Locust's form.
fn parse_time(text: &str) -> Result<Duration, String> {
    let mut seconds = 0_u64;
    let mut digits = String::new();
    let refuse = || format!("{text:?} is no time: takes 20, 20s, 5m, 1h or 1h30m");
    for letter in text
        .chars()
        .chain((!text.ends_with(['s', 'm', 'h'])).then_some('s'))
    {
        let unit = match letter {
            '0'..='9' => {
                digits.push(letter);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            _ => return Err(refuse()),
        };
        let number: u64 = digits.parse().map_err(|_| refuse())?;
        let added = number
            .checked_mul(unit)
            .and_then(|part| seconds.checked_add(part));
        seconds = added.ok_or_else(refuse)?;
        digits.clear();
    }
    if seconds == 0 {
        Err(refuse())
    } else {
        Ok(Duration::from_secs(seconds))
    }
}

fn fail(why: &str) -> ExitCode {
    say(&format!("demo: {why}"));
    ExitCode::from(2)
}

fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use loadgen::plan::TASKS;

    #[test]
    fn the_plan_reaches_every_route_of_the_api_and_no_other() {
        for route in ROUTES {
            assert!(
                TASKS.iter().any(|task| task.route == route.pattern),
                "{}",
                route.pattern
            );
        }
        for task in TASKS {
            assert!(
                ROUTES.iter().any(|route| route.pattern == task.route),
                "{}",
                task.route
            );
        }
    }

    #[test]
    fn times_are_read_as_locust_reads_them() {
        for (text, seconds) in [
            ("20", 20),
            ("20s", 20),
            ("5m", 300),
            ("1h30m", 5_400),
            ("1m30", 90),
        ] {
            assert_eq!(parse_time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "s", "20x", "-1", "0", "1.5s", "99999999999999999999s"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
