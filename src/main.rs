//! The command line: `testapi` serves the demo API, `testapi agent` is the local agent.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use testapi::app::{AgentOptions, AgentStartError, App, TailOptions, start_agent};
use testapi::clock::Clock;
use testapi::config::{self, Settings};
use testapi::log::Level;
use testapi::process;

/// Every kind of Datadog telemetry from one small synchronous service.
#[derive(Debug, Parser)]
#[command(version, about, after_help = config::help(), args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the demo API; what happens without a command
    #[command(after_help = config::help())]
    Serve(Serve),
    /// Be a local agent: take what a Datadog Agent takes, and show it on a page
    Agent(AgentArgs),
}

#[derive(Args, Debug)]
struct Serve {
    /// Where the API listens [default: TESTAPI_BIND or 127.0.0.1:5000]
    #[arg(long, value_name = "ADDRESS:PORT")]
    bind: Option<String>,
    /// Threads that serve [default: TESTAPI_WORKERS or 2 x cores, at least 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    workers: Option<u16>,
    /// Send the server's own metrics there, under gunicorn's names [default: TESTAPI_STATSD_HOST or not at all]
    #[arg(long, value_name = "HOST:PORT|unix:///PATH")]
    statsd_host: Option<String>,
    /// What stands before `gunicorn.` in these names [default: TESTAPI_STATSD_PREFIX or nothing]
    #[arg(long, value_name = "PREFIX")]
    statsd_prefix: Option<String>,
    /// Tags added to each of these metrics [default: TESTAPI_DOGSTATSD_TAGS or none]
    #[arg(long, value_name = "K:V,K2:V2")]
    dogstatsd_tags: Option<String>,
    /// Send gunicorn.backlog too: connections that wait to be accepted
    #[arg(long)]
    enable_backlog_metric: bool,
}

impl Serve {
    /// Flag, setting and value of what the command line says about the server's own metrics.
    fn server_metrics(&self) -> [(&'static str, &'static str, Option<&str>); 4] {
        let backlog = self.enable_backlog_metric.then_some("true");
        let (host, prefix) = (self.statsd_host.as_deref(), self.statsd_prefix.as_deref());
        let tags = self.dogstatsd_tags.as_deref();
        [
            ("--statsd-host", "TESTAPI_STATSD_HOST", host),
            ("--statsd-prefix", "TESTAPI_STATSD_PREFIX", prefix),
            ("--dogstatsd-tags", "TESTAPI_DOGSTATSD_TAGS", tags),
            (
                "--enable-backlog-metric",
                "TESTAPI_ENABLE_BACKLOG_METRIC",
                backlog,
            ),
        ]
    }
}

#[derive(Args, Debug)]
struct AgentArgs {
    /// Where traces are received over HTTP
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8126")]
    receiver_bind: String,
    /// Where DogStatsD datagrams are received over UDP
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8125")]
    dogstatsd_bind: String,
    /// A Unix datagram socket for DogStatsD, made by the agent
    #[arg(long, value_name = "PATH")]
    dogstatsd_socket: Option<PathBuf>,
    /// Where the page and the JSON API are
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8127")]
    page_bind: String,
    /// A name, besides localhost, under which the page may be asked for; may be repeated
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// A log file to follow; may be repeated
    #[arg(long, value_name = "PATH")]
    tail: Vec<PathBuf>,
    /// Read followed files from their beginning
    #[arg(long)]
    from_start: bool,
    /// A Prometheus page to scrape, http://host:port/metrics; may be repeated
    #[arg(long, value_name = "URL")]
    scrape: Vec<String>,
    /// Seconds between two scrapes
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    scrape_interval: u64,
}

/// Time that requests in flight are given at the end.
const REQUESTS_STOP: Duration = Duration::from_secs(5);
/// How often signals and notices are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let stop = match process::stop_signal() {
        Ok(stop) => stop,
        Err(error) => return fail(&format!("cannot watch signals: {error}")),
    };
    match cli.command {
        None => serve(&cli.serve, &stop),
        Some(Command::Serve(args)) => serve(&args, &stop),
        Some(Command::Agent(args)) => agent(args, &stop),
    }
}

fn serve(args: &Serve, stop: &AtomicBool) -> ExitCode {
    let settings = match settings(args) {
        Ok(settings) => settings,
        Err(why) => return fail(&why),
    };
    let mut app = match App::start(&settings, Clock::system()) {
        Ok(app) => app,
        Err(error) => return fail(&error.to_string()),
    };
    // Log lines on stdout are for machines; people read stderr, unless it is collected too.
    let log = settings.log();
    let aloud = std::io::stderr().is_terminal() || !log.stdout || log.level_min > Level::Info;
    tell(aloud, &format!("listening on http://{}", app.address()));
    while !stop.load(Ordering::Acquire) {
        std::thread::park_timeout(LOOK_INTERVAL);
        if let Some(notice) = app.notice() {
            tell(aloud, &notice);
        }
    }
    let report = app.stop(REQUESTS_STOP);
    tell(true, &report.to_string());
    if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}

fn settings(args: &Serve) -> Result<Settings, String> {
    let pairs = process::environment();
    let pairs = pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let (mut settings, problems) = config::parse(pairs, &|path| path.exists());
    for problem in problems {
        tell(true, &problem.to_string());
    }
    if let Some(bind) = &args.bind {
        settings.bind.clone_from(bind);
    }
    if let Some(workers) = args.workers {
        settings.workers = workers.into();
    }
    let said = args.server_metrics();
    for (flag, name, value) in said {
        if let Some(value) = value {
            let taken = settings.say(name, value);
            taken.map_err(|takes| format!("{flag} {value:?}: takes {takes}"))?;
        }
    }
    for name in settings.in_vain() {
        let by_flag = said
            .iter()
            .find(|(_, n, value)| *n == name && value.is_some());
        if let Some((flag, ..)) = by_flag {
            return Err(format!("{flag} needs --statsd-host or TESTAPI_STATSD_HOST"));
        }
        tell(
            true,
            &format!("{name} has no effect without TESTAPI_STATSD_HOST or --statsd-host"),
        );
    }
    Ok(settings)
}

fn agent(args: AgentArgs, stop: &AtomicBool) -> ExitCode {
    let from_start = args.from_start;
    if let Some(folder) = args.tail.iter().find(|path| path.is_dir()) {
        return fail(&format!(
            "cannot follow {}: it is a folder (--tail)",
            folder.display()
        ));
    }
    let absent: Vec<PathBuf> = args
        .tail
        .iter()
        .filter(|path| !path.exists())
        .cloned()
        .collect();
    let tail = args
        .tail
        .into_iter()
        .map(|path| TailOptions { path, from_start })
        .collect();
    let options = AgentOptions {
        receiver_bind: args.receiver_bind,
        dogstatsd_bind: Some(args.dogstatsd_bind),
        dogstatsd_socket: args.dogstatsd_socket,
        page_bind: args.page_bind,
        hosts: args.host,
        tail,
        scrape: args.scrape,
        scrape_interval: Duration::from_secs(args.scrape_interval),
        ..AgentOptions::default()
    };
    let (_agent, guard) = match start_agent(options, Clock::system()) {
        Ok(started) => started,
        Err(error) => return fail(&with_flag(&error)),
    };
    let addresses = guard.addresses();
    tell(true, &format!("page      http://{}", addresses.page));
    tell(
        true,
        &format!("traces    DD_TRACE_AGENT_URL=http://{}", addresses.receiver),
    );
    if let Some(dogstatsd) = addresses.dogstatsd {
        tell(
            true,
            &format!("dogstatsd DD_DOGSTATSD_URL=udp://{dogstatsd}"),
        );
    }
    if let Some(socket) = &addresses.dogstatsd_socket {
        tell(
            true,
            &format!("dogstatsd DD_DOGSTATSD_URL=unix://{}", socket.display()),
        );
    }
    for path in absent {
        tell(
            true,
            &format!(
                "{} is not there yet; it is followed when it appears",
                path.display()
            ),
        );
    }
    while !stop.load(Ordering::Acquire) {
        std::thread::park_timeout(LOOK_INTERVAL);
    }
    let stopped = guard.stop(REQUESTS_STOP);
    if stopped.joined && stopped.left == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}

/// Names the flag that changes what was in the way.
fn with_flag(error: &AgentStartError) -> String {
    match error.option() {
        Some(option) => format!("{error}; change it with --{}", option.replace('_', "-")),
        None => error.to_string(),
    }
}

fn fail(why: &str) -> ExitCode {
    tell(true, why);
    ExitCode::from(2)
}

/// One line on stderr. Written, not printed: a closed stderr is no reason to panic.
fn tell(aloud: bool, line: &str) {
    if aloud {
        let _ = writeln!(std::io::stderr(), "testapi: {line}");
    }
}
