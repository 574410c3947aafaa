//! Starts, asks and stops an agent.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Serialize;

use super::api;
use super::listener::{self, Listener, Ping};
use super::options::{Addresses, Options, StartError};
use super::page::{Settings, Views};
use super::queue::Queue;
use super::receiver::Receiver;
use super::scrape::Scrape;
use super::store::{Arrival, Store, StoreJob};
use super::tail::Tail;
use super::view::{Count, ErrorGroup, Logs, Metrics, Overview, PayloadRow, Query, Trace, Traces};
use crate::clock::Clock;
use crate::server::{self, Reply, Request};
use crate::worker::{self, AskError, Handle, Limits};

/// Asks an agent what it received. Cheap to clone; does not keep it running.
#[derive(Clone)]
pub struct Agent {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<Store>,
    clock: Clock,
    started_unix_us: u64,
    arrivals: Handle<Arrival>,
    pings: Vec<Arc<Ping>>,
    tail: Option<Handle<Infallible>>,
    tail_behind: Arc<AtomicBool>,
    scrape: Option<Handle<Infallible>>,
    addresses: Arc<OnceLock<Addresses>>,
    files: Vec<String>,
    scrapes: Vec<String>,
}

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

/// Requests as each pipeline counted them since the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Counts {
    /// Spans of type `web` with `span.kind` `server`, by service.
    pub server_spans: BTreeMap<String, u64>,
    /// JSON lines of the logger `testapi.access` that have an `http.status_code`.
    pub access_log_lines: u64,
    /// Sums of DogStatsD counts, sample rates undone, by name.
    pub dogstatsd: BTreeMap<String, f64>,
    /// Sums over all label sets as of the last scrapes, by name.
    pub prometheus: BTreeMap<String, f64>,
}

impl Counts {
    /// All server spans.
    pub fn server_spans_sum(&self) -> u64 {
        self.server_spans.values().sum()
    }

    /// Sum of a DogStatsD count, `testapi.requests`.
    pub fn dogstatsd_sum(&self, name: &str) -> f64 {
        self.dogstatsd.get(name).copied().unwrap_or(0.0)
    }

    /// Sum of a Prometheus counter, `request_count_total`.
    pub fn prometheus_sum(&self, name: &str) -> f64 {
        self.prometheus.get(name).copied().unwrap_or(0.0)
    }

    fn rows(&self) -> Vec<Count> {
        let first = self.server_spans_sum();
        let others = [
            (
                "request_count on /metrics",
                self.prometheus_sum("request_count_total").round() as u64,
            ),
            (
                "testapi.requests (DogStatsD)",
                self.dogstatsd_sum("testapi.requests").round() as u64,
            ),
            ("access log lines", self.access_log_lines),
        ];
        let row = |counted_at: &str, count, difference| Count {
            counted_at: counted_at.to_string(),
            count,
            difference,
        };
        let difference = |count: u64| Some(count as i64 - first as i64);
        std::iter::once(row("server spans received", first, None))
            .chain(others.map(|(at, count)| row(at, count, difference(count))))
            .collect()
    }
}

/// Binds everything, starts every thread.
///
/// # Errors
/// [`StartError`], which names the option and the address.
pub fn start(options: Options, clock: Clock) -> Result<(Agent, Guard), StartError> {
    let store = Arc::new(Store::new(&options.bounds));
    let lines_waiting_bytes = Arc::new(AtomicU64::new(0));
    let job = StoreJob {
        store: store.clone(),
        clock: clock.clone(),
        lines_waiting_bytes: lines_waiting_bytes.clone(),
    };
    let limits = Limits {
        queue_items_max: 65_536,
        queue_bytes_max: 64 << 20,
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

impl Agent {
    /// The addresses that are really bound.
    pub fn addresses(&self) -> Option<&Addresses> {
        self.inner.addresses.get()
    }

    /// Waits until all that was sent to the sockets and answered by the receiver is in the store.
    ///
    /// # Errors
    /// [`AskError`] when that takes longer than the deadline or the agent has been stopped.
    pub fn settle(&self, deadline: Duration) -> Result<(), AskError> {
        let until = Until::new(&self.inner.clock, deadline);
        for ping in &self.inner.pings {
            if !ping.wait(until.left()) {
                return Err(AskError::Deadline);
            }
        }
        self.inner.arrivals.flush(until.left())
    }

    /// Reads the followed files to their ends, and waits until that is in the store.
    ///
    /// # Errors
    /// [`AskError`], also where a file cannot be read.
    pub fn tail_now(&self, deadline: Duration) -> Result<(), AskError> {
        let until = Until::new(&self.inner.clock, deadline);
        let Some(tail) = &self.inner.tail else {
            return Ok(());
        };
        loop {
            tail.flush(until.left())?;
            self.inner.arrivals.flush(until.left())?;
            if !self.inner.tail_behind.load(Ordering::Acquire) {
                return Ok(());
            }
        }
    }

    /// Scrapes all pages, and waits until that is in the store.
    ///
    /// # Errors
    /// [`AskError`], also where a page cannot be had.
    pub fn scrape_now(&self, deadline: Duration) -> Result<(), AskError> {
        let until = Until::new(&self.inner.clock, deadline);
        let Some(scrape) = &self.inner.scrape else {
            return Ok(());
        };
        let scraped = scrape.flush(until.left());
        self.inner.arrivals.flush(until.left())?;
        scraped
    }

    /// Requests as each pipeline counted them since the start.
    pub fn counts(&self) -> Counts {
        let store = &self.inner.store;
        let [dogstatsd, prometheus] = store.metric_sums();
        Counts {
            server_spans: store.server_spans(),
            access_log_lines: store.access_lines(),
            dogstatsd,
            prometheus,
        }
    }

    fn now_unix_us(&self) -> u64 {
        self.inner.clock.unix_ns() / 1_000
    }
}

impl Views for Agent {
    fn overview(&self) -> Overview {
        let (store, now_unix_us) = (&self.inner.store, self.now_unix_us());
        let mut errors = store.list_errors();
        errors.truncate(5);
        Overview {
            now_unix_us,
            started_unix_us: self.inner.started_unix_us,
            pipelines: store.pipelines(now_unix_us),
            services: store.services(now_unix_us),
            errors,
            reconcile: self.counts().rows(),
            rail: store.rail(),
        }
    }

    fn traces(&self, query: &Query) -> Traces {
        self.inner.store.list_traces(query)
    }

    fn trace(&self, id: u64) -> Option<Trace> {
        self.inner.store.trace(id)
    }

    fn metrics(&self) -> Metrics {
        self.inner.store.metrics(self.now_unix_us())
    }

    fn logs(&self, query: &Query) -> Logs {
        self.inner.store.list_logs(query)
    }

    fn errors(&self) -> Vec<ErrorGroup> {
        self.inner.store.list_errors()
    }

    fn payloads(&self, query: &Query) -> Vec<PayloadRow> {
        self.inner.store.list_payloads(query)
    }

    fn settings(&self) -> Settings {
        let addresses = self.inner.addresses.get();
        let udp = addresses.and_then(|a| a.dogstatsd).map(|a| a.to_string());
        let unix = addresses.and_then(|a| a.dogstatsd_socket.as_ref());
        let unix = unix.map(|path| format!("unix://{}", path.display()));
        let dogstatsd: Vec<String> = udp.into_iter().chain(unix).collect();
        Settings {
            receiver: addresses
                .map(|a| a.receiver.to_string())
                .unwrap_or_default(),
            dogstatsd: dogstatsd.join(", "),
            page: addresses.map(|a| a.page.to_string()).unwrap_or_default(),
            files: self.inner.files.clone(),
            scrapes: self.inner.scrapes.clone(),
            started_unix_us: self.inner.started_unix_us,
        }
    }
}

/// One deadline over several waits.
struct Until<'c> {
    clock: &'c Clock,
    end_ns: u64,
}

impl Until<'_> {
    fn new(clock: &Clock, deadline: Duration) -> Until<'_> {
        Until {
            clock,
            end_ns: clock.mono_ns().saturating_add(nanos(deadline)),
        }
    }

    fn left(&self) -> Duration {
        Duration::from_nanos(self.end_ns.saturating_sub(self.clock.mono_ns()))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
