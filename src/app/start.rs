//! The API and its exporters, from start to stop.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::news::{News, Notice, say};
use super::ties::Ties;
use super::{Error, Report, health};
use crate::api::{
    Api, Bulkhead, ExporterFamilies, ExporterState, RequestFamilies, Services, install_panic_hook,
};
use crate::clock::Clock;
use crate::config::Settings;
use crate::gunicorn::{self, Backlog, Workers};
use crate::http::Target;
use crate::identity::Identity;
use crate::log::{Level, Stderr};
use crate::profile::{self, Profiler};
use crate::prometheus::{self, Registry, process};
use crate::worker::Guard;
use crate::{dogstatsd, log, server, trace};

/// The API and its exporters, running.
#[must_use = "dropping the app stops it at once"]
pub struct App {
    server: server::Guard,
    services: Arc<Services>,
    /// In stop order.
    workers: Vec<Guard>,
    news: News,
}

/// Starts every exporter and no server: what handlers work with, and the guards in stop order.
///
/// # Errors
/// [`Error`], which names the setting to change.
pub fn start_exporters(settings: &Settings, clock: Clock) -> Result<(Services, Vec<Guard>), Error> {
    start_with(settings, &settings.identity(), clock)
}

fn start_with(
    settings: &Settings,
    identity: &Identity,
    clock: Clock,
) -> Result<(Services, Vec<Guard>), Error> {
    // First of all: threads that begin after it are watched from their birth.
    let (profiler, profile_guards, no_profiles) = start_profiler(settings, identity, &clock);
    let registry = Registry::with(prometheus::Options {
        series_max: settings.series_max,
        clock: clock.clone(),
    });
    let metrics_guard = process::start(&registry, clock.clone()).map_err(Error::Thread)?;
    let (families, exporter_families) = RequestFamilies::register(&registry)
        .and_then(|families| {
            // Not env: the Agent sets a tag of that name itself.
            let pairs = [("version", identity.version.as_str())];
            registry.info("testapi_build", "What is running.", &pairs)?;
            registry.expose_itself()?;
            Ok((families, ExporterFamilies::register(&registry)?))
        })
        .map_err(|error| Error::Registry(error.to_string()))?;
    let (logger, log_guard) =
        log::start(settings.log(), identity, clock.clone()).map_err(Error::Log)?;
    let statsd_options = settings.dogstatsd();
    let statsd_enabled = statsd_options.enabled;
    let (statsd, statsd_guard) =
        dogstatsd::start(statsd_options, identity, clock.clone()).map_err(Error::Thread)?;
    let gunicorn = settings.gunicorn();
    let gunicorn = gunicorn.map(|options| gunicorn::start(options, identity, clock.clone()));
    let gunicorn = gunicorn.transpose().map_err(|error| match error {
        gunicorn::Error::Thread(error) => Error::Thread(error),
        error => Error::Gunicorn(error),
    })?;
    let (gunicorn, gunicorn_guard) = gunicorn.unzip();
    let trace_options = settings.trace();
    let (tracer, trace_guard) =
        trace::start(trace_options, identity, clock.clone()).map_err(Error::Thread)?;
    if let Some(profiler) = &profiler {
        tracer.watch_spans(Arc::new(Ties(profiler.clone())));
    }
    let tells = settings.health_metrics && statsd_enabled && tracer.is_enabled();
    let health = tells.then(|| health::start(tracer.clone(), statsd.clone(), clock.clone()));
    let health_guard = health.transpose().map_err(Error::Thread)?;
    let services = Services {
        started_ns: clock.mono_ns(),
        clock,
        tracer,
        statsd,
        statsd_enabled,
        gunicorn,
        logger,
        profiler,
        registry,
        families,
        exporter_families,
        logs_injection: settings.logs_injection,
        wide_log_ids: settings.wide_log_ids,
        own_address: OnceLock::new(),
        server: OnceLock::new(),
        self_calls: Bulkhead::for_pool(settings.workers),
        observed: AtomicU64::new(0),
    };
    if let Some(why) = no_profiles {
        let text = format!("nothing is profiled: {why}");
        say(&services, "testapi", (Level::Warn, &text));
    }
    let mut workers = profile_guards;
    workers.extend([metrics_guard, trace_guard]);
    // Behind the tracer, whose last numbers it tells, and before the client that sends them.
    workers.extend(health_guard);
    workers.push(statsd_guard);
    workers.extend(gunicorn_guard);
    workers.push(log_guard);
    Ok((services, workers))
}

/// The profiler, where one is wanted, and its guards; or why there is none, for the API serves all the same.
fn start_profiler(
    settings: &Settings,
    identity: &Identity,
    clock: &Clock,
) -> (Option<Profiler>, Vec<Guard>, Option<profile::Error>) {
    match settings
        .profile()
        .map(|options| profile::start(options, identity, clock.clone()))
    {
        Some(Ok((profiler, guards))) => (Some(profiler), guards, None),
        Some(Err(error)) => (None, Vec::new(), Some(error)),
        None => (None, Vec::new(), None),
    }
}

/// Time for the exporters to end, all together.
const EXPORTERS_STOP: Duration = Duration::from_secs(2);

impl App {
    /// Starts everything. The API listens when this returns.
    ///
    /// # Errors
    /// [`Error`], which names the setting to change.
    pub fn start(settings: &Settings, clock: Clock) -> Result<App, Error> {
        let identity = settings.identity();
        install_panic_hook(Stderr::new(&identity, clock.clone()));
        let (services, workers) = start_with(settings, &identity, clock)?;
        let news = News::new(settings, identity);
        if let Err(taken) = log::install(&services.logger) {
            say(&services, "testapi", (Level::Warn, &taken.to_string()));
        }
        let services = Arc::new(services);
        let api = Arc::new(Api::new(services.clone()));
        let server = server::start(&settings.server(), api).map_err(Error::Server)?;
        let near = server.near_address();
        let near = Target::Tcp(near.ip().to_string(), near.port());
        let _ = services.own_address.set(near);
        let _ = services.server.set(server.watch());
        let mut app = App {
            server,
            services,
            workers,
            news,
        };
        let text = format!("listening on http://{}", app.address());
        say(&app.services, "testapi", (Level::Info, &text));
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
            self.news.tell(&self.services, Level::Warn, text);
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
        let profiler = services.profiler.as_ref();
        let profiles = profiler.is_none_or(|profiler| profiler.flush(deadline).is_ok());
        services.logger.flush(deadline).is_ok() && traces && metrics && server && profiles
    }

    /// What a user should be told now, the oldest first and each once: that no Agent answers, that one does
    /// again, that spans were lost, that a metric cannot be had. Call it every second or so. It is written to
    /// the log too.
    pub fn notice(&mut self) -> Option<Notice> {
        self.news.next(&self.services)
    }

    /// Opens the log file anew: for those who have moved it.
    pub fn reopen_log(&self) {
        self.services.logger.reopen();
    }

    /// Stops in order: server, then exporters. `deadline` is for the requests in flight.
    pub fn stop(self, deadline: Duration) -> Report {
        let App {
            server,
            services,
            workers,
            mut news,
        } = self;
        // To the HTTP crate a listener that is shut down is an error, which it would tell of.
        log::uninstall(&services.logger);
        let served = server.stop(deadline).joined;
        news.look(&services);
        news.say_what_holds(&services, &services.tracer.agent());
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
