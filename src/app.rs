//! Start, wire, stop: the only file that names every room.
//!
//! Stop order: the server first, so that every request that got its reply has offered its telemetry; then
//! traces, DogStatsD and the log, each flushing once more. A local agent in the same process ends last and
//! sees that final flush.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::api::{Api, Bulkhead, ExporterState, RequestFamilies, Services, install_panic_hook};
use crate::clock::Clock;
use crate::gunicorn::{self, Backlog, Workers};
use crate::http::Target;
use crate::log::{Level, Record};
use crate::prometheus::{Registry, process};
use crate::worker::{Guard, Ledger, Stopped};
use crate::{dogstatsd, log, server, trace};

pub use crate::agent::{
    Addresses as AgentAddresses, Agent, Bounds as AgentBounds, Counts as AgentCounts,
    Guard as AgentGuard, Options as AgentOptions, StartError as AgentStartError, TailOptions,
    start as start_agent,
};
pub use crate::api::ROUTES;
pub use crate::config::{Settings, parse as parse_settings};

/// The API and its exporters, running.
#[must_use = "dropping the app stops it at once"]
pub struct App {
    server: server::Guard,
    services: Arc<Services>,
    /// In stop order.
    workers: Vec<Guard>,
    agent: Target,
    reachable: Option<bool>,
    /// Written to the log already, and not yet told.
    untold: Option<String>,
}

/// Why the API did not start; each names the setting to change.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// TESTAPI_BIND or `--bind`.
    Server(server::StartError),
    /// TESTAPI_LOG_FILE.
    Log(log::Error),
    /// The system refused a thread.
    Thread(std::io::Error),
    /// TESTAPI_DOGSTATSD_TAGS and DD_TAGS together.
    Gunicorn(gunicorn::Error),
    /// Two metrics of one name: a mistake in this program.
    Registry(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Server(error) => write!(f, "{error} (change it with --bind or TESTAPI_BIND)"),
            Error::Log(error) => write!(f, "{error} (TESTAPI_LOG_FILE)"),
            Error::Thread(error) => write!(f, "cannot start a thread: {error}"),
            Error::Gunicorn(error) => write!(f, "{error} (TESTAPI_DOGSTATSD_TAGS, DD_TAGS)"),
            Error::Registry(error) => f.write_str(error),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Server(error) => Some(error),
            Error::Log(error) => Some(error),
            Error::Thread(error) => Some(error),
            Error::Gunicorn(error) => Some(error),
            Error::Registry(_) => None,
        }
    }
}

/// What was left behind.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Whether every request in flight was answered in time.
    pub served: bool,
    /// Requests counted, timed, traced and logged since the start.
    pub observed: u64,
    /// Each exporter's thread and how it ended.
    pub workers: Vec<(&'static str, Stopped)>,
    /// Each exporter's ledger after that.
    pub ledgers: Vec<(&'static str, Ledger)>,
}

/// Starts every exporter and no server: what handlers work with, and the guards in stop order.
///
/// # Errors
/// [`Error`], which names the setting to change.
pub fn start_exporters(settings: &Settings, clock: Clock) -> Result<(Services, Vec<Guard>), Error> {
    let identity = settings.identity();
    let registry = Registry::new();
    let metrics_guard = process::start(&registry, clock.clone()).map_err(Error::Thread)?;
    let families = RequestFamilies::register(&registry)
        .and_then(|families| {
            let (version, env) = (identity.version.as_str(), identity.env.as_str());
            let pairs = [("version", version), ("env", env)];
            registry.info("testapi_build", "What is running.", &pairs)?;
            Ok(families)
        })
        .map_err(|error| Error::Registry(error.to_string()))?;
    let (logger, log_guard) =
        log::start(settings.log(), &identity, clock.clone()).map_err(Error::Log)?;
    let statsd_options = settings.dogstatsd();
    let statsd_enabled = statsd_options.enabled;
    let (statsd, statsd_guard) =
        dogstatsd::start(statsd_options, &identity, clock.clone()).map_err(Error::Thread)?;
    let gunicorn = settings.gunicorn();
    let gunicorn = gunicorn.map(|options| gunicorn::start(options, &identity, clock.clone()));
    let gunicorn = gunicorn.transpose().map_err(|error| match error {
        gunicorn::Error::Thread(error) => Error::Thread(error),
        error => Error::Gunicorn(error),
    })?;
    let (gunicorn, gunicorn_guard) = gunicorn.unzip();
    let trace_options = settings.trace();
    let (tracer, trace_guard) =
        trace::start(trace_options, &identity, clock.clone()).map_err(Error::Thread)?;
    let services = Services {
        started_ns: clock.mono_ns(),
        clock,
        tracer,
        statsd,
        statsd_enabled,
        gunicorn,
        logger,
        registry,
        families,
        logs_injection: settings.logs_injection,
        own_address: OnceLock::new(),
        server: OnceLock::new(),
        self_calls: Bulkhead::for_pool(settings.workers),
        observed: AtomicU64::new(0),
    };
    let mut workers = vec![metrics_guard, trace_guard, statsd_guard];
    workers.extend(gunicorn_guard);
    workers.push(log_guard);
    Ok((services, workers))
}

/// Time for the exporters to end, all together.
const EXPORTERS_STOP: Duration = Duration::from_secs(2);

impl App {
    /// Starts everything. The API listens when this returns.
    ///
    /// # Errors
    /// [`Error`], which names the setting to change.
    pub fn start(settings: &Settings, clock: Clock) -> Result<App, Error> {
        install_panic_hook();
        let (services, workers) = start_exporters(settings, clock)?;
        let services = Arc::new(services);
        let api = Arc::new(Api::new(services.clone()));
        let agent = settings.trace().agent;
        let server = server::start(&settings.server(), api).map_err(Error::Server)?;
        let near = server.near_address();
        let near = Target::Tcp(near.ip().to_string(), near.port());
        let _ = services.own_address.set(near);
        let _ = services.server.set(server.watch());
        let mut app = App {
            server,
            services,
            workers,
            agent,
            reachable: None,
            untold: None,
        };
        app.say(
            Level::Info,
            &format!("listening on http://{}", app.address()),
        );
        app.watch_server().map_err(Error::Thread)?;
        Ok(app)
    }

    /// Where the server's own metrics are sent: has its pool and its accept queue looked at.
    fn watch_server(&mut self) -> std::io::Result<()> {
        let Some(metrics) = &self.services.gunicorn else {
            return Ok(());
        };
        let backlog = metrics
            .wants_backlog()
            .then(|| Backlog::of(self.server.address()));
        let (backlog, lacking) = match backlog.transpose() {
            Ok(backlog) => (backlog, None),
            Err(error) => (None, Some(error)),
        };
        let server = self.server.watch();
        let workers = move || {
            let server::Workers { idle, working } = server.workers();
            Workers { idle, working }
        };
        // In front: it offers to the client that ends after it.
        self.workers.insert(0, metrics.watch(workers, backlog)?);
        if let Some(error) = lacking {
            let text = format!("gunicorn.backlog is left out: {error}");
            self.say(Level::Warn, &text);
            self.untold = Some(text);
        }
        Ok(())
    }

    /// Where the API listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Counters of the API's server.
    pub fn server_stats(&self) -> server::Stats {
        self.server.stats()
    }

    /// Requests counted, timed, traced and logged since the start: the measure of every pipeline.
    pub fn requests_observed(&self) -> u64 {
        self.services.observed.load(Ordering::Relaxed)
    }

    /// Requests that are being served now.
    pub fn requests_in_flight(&self) -> u64 {
        self.services.families.in_flight.value().max(0.0) as u64
    }

    /// How every exporter stands.
    pub fn states(&self) -> Vec<ExporterState> {
        self.services.states()
    }

    /// Sends all that is held now; false where something could not be sent.
    pub fn flush(&self, deadline: Duration) -> bool {
        let services = &self.services;
        let traces = services.tracer.flush(deadline).is_ok();
        let metrics = services.statsd.flush(deadline).is_ok();
        let gunicorn = services.gunicorn.as_ref();
        let server = gunicorn.is_none_or(|metrics| metrics.flush(deadline).is_ok());
        services.logger.flush(deadline).is_ok() && traces && metrics && server
    }

    /// What a user should be told now, at most once a change: that no Agent answers, that one does
    /// again, or that a metric cannot be had. Call it every second or so. It is written to the log too.
    pub fn notice(&mut self) -> Option<String> {
        if let Some(text) = self.untold.take() {
            return Some(text);
        }
        if !self.services.tracer.is_enabled() {
            return None;
        }
        let stats = self.services.tracer.stats();
        let reachable = match (stats.flushed, &stats.last_error) {
            (_, Some(_)) => false,
            (0, None) => return None,
            (_, None) => true,
        };
        if self.reachable.replace(reachable) == Some(reachable) {
            return None;
        }
        let text = match stats.last_error {
            Some(error) => format!(
                "agent unreachable: {error}; requests are served all the same, telemetry is kept \
                 within its bounds and sent when an agent appears (DD_AGENT_HOST, DD_TRACE_AGENT_URL)"
            ),
            None => format!("agent reachable: {}", self.agent),
        };
        let level = if reachable { Level::Info } else { Level::Warn };
        self.say(level, &text);
        Some(text)
    }

    fn say(&self, level: Level, message: &str) {
        let record = Record {
            logger: "testapi",
            thread: "main",
            ..Record::new(level, message)
        };
        self.services.log(&record);
    }

    /// Stops in order: server, then exporters. `deadline` is for the requests in flight.
    pub fn stop(self, deadline: Duration) -> Report {
        let App {
            server,
            services,
            workers,
            ..
        } = self;
        let served = server.stop(deadline).joined;
        let clock = &services.clock;
        let ns = u64::try_from(EXPORTERS_STOP.as_nanos()).unwrap_or(u64::MAX);
        let end_ns = clock.mono_ns().saturating_add(ns);
        let workers = workers
            .into_iter()
            .map(|guard| {
                let left = Duration::from_nanos(end_ns.saturating_sub(clock.mono_ns()));
                (
                    guard.name(),
                    guard.stop(left.max(Duration::from_millis(50))),
                )
            })
            .collect();
        let ledgers = services
            .states()
            .into_iter()
            .map(|s| (s.name, s.ledger))
            .collect();
        let observed = services.observed.load(Ordering::Relaxed);
        Report {
            served,
            observed,
            workers,
            ledgers,
        }
    }
}

impl Report {
    /// Whether all telemetry of all requests left the process.
    pub fn is_clean(&self) -> bool {
        let ended = self
            .workers
            .iter()
            .all(|(_, stopped)| stopped.left == 0 && stopped.joined);
        self.served && ended && self.ledgers.iter().all(|(_, ledger)| lost(ledger) == 0)
    }
}

/// Refused input and samples that were not drawn are no losses.
fn lost(ledger: &Ledger) -> u64 {
    let no_loss = ["invalid", "sampled", "disabled"];
    let dropped = ledger
        .dropped
        .iter()
        .filter(|(reason, _)| !no_loss.contains(reason));
    dropped.map(|(_, count)| count).sum::<u64>() + ledger.pending
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return write!(f, "stopped: everything was sent");
        }
        let mut parts = Vec::new();
        if !self.served {
            parts.push("some requests were still running".to_string());
        }
        for (name, ledger) in self.ledgers.iter().filter(|(_, ledger)| lost(ledger) > 0) {
            let mut part = format!("{name}: {} {} sent", ledger.sent, ledger.unit);
            for (reason, count) in ledger.dropped.iter().filter(|(_, count)| *count > 0) {
                part.push_str(&format!(", {count} {}", reason.replace('_', " ")));
            }
            if ledger.pending > 0 {
                part.push_str(&format!(", {} left", ledger.pending));
            }
            parts.push(part);
        }
        write!(f, "stopped, but {}", parts.join("; "))?;
        Ok(())
    }
}
