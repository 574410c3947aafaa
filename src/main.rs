//! The command line: `testapi` serves the demo API, `testapi agent` is the local agent.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use testapi::app::{
    AgentAddresses, AgentOptions, AgentStartError, App, TailOptions, install_panic_hook,
    start_agent,
};
use testapi::clock::Clock;
use testapi::config::{self, Problem, Settings};
use testapi::log::{Level, Reader, Record, Stderr};
use testapi::process;

#[cfg(feature = "count-allocations")]
#[global_allocator]
static ALLOCATOR: testapi::profile::CountingAllocator =
    testapi::profile::CountingAllocator::system();

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
    /// Namespace under which Datadog's OpenMetrics check would send what is scraped; the page shows these names
    #[arg(long, value_name = "NAMESPACE", default_value = "TESTAPI", value_parser = namespace)]
    openmetrics_namespace: String,
    /// Seconds between two scrapes
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    scrape_interval: u64,
}

/// As it can stand before a metric's name (Datadog docs, "Metrics, Custom naming").
fn namespace(text: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let good = text.is_empty() || text.starts_with(|c: char| c.is_ascii_alphabetic());
    match good && text.chars().all(plain) {
        true => Ok(text.to_string()),
        false => Err("takes a letter, then letters, digits, _ and dots, or nothing"),
    }
}

/// Time that requests in flight are given at the end.
const REQUESTS_STOP: Duration = Duration::from_secs(5);
/// How often signals and notices are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let (pairs, unreadable) = process::environment();
    let pairs = pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let said = config::parse(pairs, &|path| path.exists());
    let stderr = Stderr::new(&said.0.identity(), Clock::system());
    install_panic_hook(stderr.clone());
    for name in unreadable {
        if config::VARS.iter().any(|var| var.name == name) {
            let text = format!("{name}: its value is not UTF-8, and is not read");
            tell(&stderr, Level::Warn, &text);
        }
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return explain(&stderr, &error),
    };
    let stop = match process::stop_signal() {
        Ok(stop) => stop,
        Err(error) => return fail(&stderr, &format!("cannot watch signals: {error}")),
    };
    match cli.command {
        None => serve(&cli.serve, said, (&stderr, &stop)),
        Some(Command::Serve(args)) => serve(&args, said, (&stderr, &stop)),
        Some(Command::Agent(args)) => agent(args, (&stderr, &stop)),
    }
}

fn serve(
    args: &Serve,
    said: (Settings, Vec<Problem>),
    (stderr, stop): (&Stderr, &AtomicBool),
) -> ExitCode {
    let settings = match settings(args, said, stderr) {
        Ok(settings) => settings,
        Err(why) => return fail(stderr, &why),
    };
    // Without a file there is nothing to open anew, and a closed terminal ends the program.
    let hangup = settings.log_file().map(|_| process::hangup_signal());
    let hangup = match hangup.transpose() {
        Ok(hangup) => hangup.unwrap_or_default(),
        Err(error) => return fail(stderr, &format!("cannot watch SIGHUP: {error}")),
    };
    let mut app = match App::start(&settings, Clock::system()) {
        Ok(app) => app,
        Err(error) => return fail(stderr, &error.to_string()),
    };
    // Log lines on stdout are for machines; people read stderr, unless it is collected too.
    let log = settings.log();
    let person = stderr.reader() == Reader::Person;
    let aloud = person || !log.stdout || log.level_min > Level::Info;
    if aloud {
        let text = format!("listening on http://{}", app.address());
        tell(stderr, Level::Info, &text);
    }
    while !stop.load(Ordering::Acquire) {
        std::thread::park_timeout(LOOK_INTERVAL);
        if hangup.swap(false, Ordering::AcqRel) {
            app.reopen_log();
        }
        if let Some(notice) = app.notice()
            && aloud
        {
            stderr.say(&Record {
                logger: notice.logger,
                ..said_by_main(notice.level, &notice.text)
            });
        }
    }
    let report = app.stop(REQUESTS_STOP);
    let level = if report.is_clean() {
        Level::Info
    } else {
        Level::Warn
    };
    tell(stderr, level, &report.to_string());
    if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}

fn settings(
    args: &Serve,
    (mut settings, problems): (Settings, Vec<Problem>),
    stderr: &Stderr,
) -> Result<Settings, String> {
    for problem in problems {
        tell(stderr, Level::Warn, &problem.to_string());
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
    for (name, wanted) in settings.in_vain() {
        let by_flag = said
            .iter()
            .find(|(_, n, value)| *n == name && value.is_some());
        if let Some((flag, ..)) = by_flag {
            return Err(format!("{flag} needs --statsd-host or TESTAPI_STATSD_HOST"));
        }
        let flag = match wanted {
            "TESTAPI_STATSD_HOST" => " or --statsd-host",
            _ => "",
        };
        let text = format!("{name} has no effect without {wanted}{flag}");
        tell(stderr, Level::Warn, &text);
    }
    Ok(settings)
}

fn agent(args: AgentArgs, (stderr, stop): (&Stderr, &AtomicBool)) -> ExitCode {
    let from_start = args.from_start;
    if let Some(folder) = args.tail.iter().find(|path| path.is_dir()) {
        let why = format!(
            "cannot follow {}: it is a folder (--tail)",
            folder.display()
        );
        return fail(stderr, &why);
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
        openmetrics_namespace: args.openmetrics_namespace,
        scrape_interval: Duration::from_secs(args.scrape_interval),
        ..AgentOptions::default()
    };
    let (_agent, guard) = match start_agent(options, Clock::system()) {
        Ok(started) => started,
        Err(error) => return fail(stderr, &with_flag(&error)),
    };
    for text in where_it_is(guard.addresses(), &absent) {
        tell(stderr, Level::Info, &text);
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

fn where_it_is(addresses: &AgentAddresses, absent: &[PathBuf]) -> Vec<String> {
    let mut told = vec![
        format!("page      http://{}", addresses.page),
        format!("traces    DD_TRACE_AGENT_URL=http://{}", addresses.receiver),
    ];
    if let Some(dogstatsd) = addresses.dogstatsd {
        told.push(format!("dogstatsd DD_DOGSTATSD_URL=udp://{dogstatsd}"));
    }
    if let Some(socket) = &addresses.dogstatsd_socket {
        told.push(format!(
            "dogstatsd DD_DOGSTATSD_URL=unix://{}",
            socket.display()
        ));
    }
    told.extend(absent.iter().map(|path| {
        format!(
            "{} is not there yet; it is followed when it appears",
            path.display()
        )
    }));
    told
}

/// Names the flag that changes what was in the way.
fn with_flag(error: &AgentStartError) -> String {
    match error.option() {
        Some(option) => format!("{error}; change it with --{}", option.replace('_', "-")),
        None => error.to_string(),
    }
}

/// What clap has to say: help and version on stdout, mistakes on stderr.
fn explain(stderr: &Stderr, error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || stderr.reader() == Reader::Person {
        // A stream that is closed is no reason to panic.
        let _ = error.print();
    } else {
        let all = error.to_string();
        let first = all.lines().next().unwrap_or_default();
        stderr.say(&Record {
            error_kind: Some("UsageError"),
            error_message: Some(all.trim_end()),
            ..said_by_main(Level::Error, first.strip_prefix("error: ").unwrap_or(first))
        });
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn fail(stderr: &Stderr, why: &str) -> ExitCode {
    stderr.say(&Record {
        error_kind: Some("StartError"),
        error_message: Some(why),
        ..said_by_main(Level::Error, why)
    });
    ExitCode::from(2)
}

fn tell(stderr: &Stderr, level: Level, text: &str) {
    stderr.say(&said_by_main(level, text));
}

fn said_by_main(level: Level, text: &str) -> Record<'_> {
    Record {
        logger: "testapi",
        thread: "main",
        ..Record::new(level, text)
    }
}
