//! What one can ask of a running agent.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::counts::Counts;
use super::listener::Ping;
use super::options::Addresses;
use super::page::{Settings, Views};
use super::raw::{mark_held, raw_page};
use super::store::{Arrival, Reader, Store};
use super::view::{
    ErrorGroup, Flame, Logs, Metrics, Overview, PayloadRow, ProfileQuery, Profiles, Query, RawPage,
    Trace, Traces, Which,
};
use crate::clock::Clock;
use crate::worker::{AskError, Handle};

/// Asks an agent what it received. Cheap to clone; does not keep it running.
#[derive(Clone)]
pub struct Agent {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) store: Arc<Store>,
    pub(super) clock: Clock,
    pub(super) started_unix_us: u64,
    pub(super) arrivals: Handle<Arrival>,
    pub(super) pings: Vec<Arc<Ping>>,
    pub(super) tail: Option<Handle<Infallible>>,
    pub(super) tail_behind: Arc<AtomicBool>,
    pub(super) scrape: Option<Handle<Infallible>>,
    pub(super) addresses: Arc<OnceLock<Addresses>>,
    pub(super) files: Vec<String>,
    pub(super) scrapes: Vec<String>,
    pub(super) openmetrics_namespace: String,
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
            ping.wait(&until)?;
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

    /// As [`Views::logs`], the texts whole.
    pub(super) fn whole_logs(&self, query: &Query) -> Logs {
        self.inner.store.list_logs(query, Reader::Api)
    }

    /// As [`Views::trace`], the texts of its log lines whole.
    pub(super) fn whole_trace(&self, id: u64) -> Option<Trace> {
        self.inner.store.trace(id, Reader::Api)
    }

    /// An attachment of an upload of profiles, as it came.
    pub(super) fn attachment(&self, upload: u64, name: &str) -> Option<Vec<u8>> {
        self.inner.store.attachment(upload, name)
    }

    fn now_unix_us(&self) -> u64 {
        self.inner.clock.unix_ns() / 1_000
    }
}

impl Views for Agent {
    fn overview(&self) -> Overview {
        let (store, now_unix_us) = (&self.inner.store, self.now_unix_us());
        let mut errors = store.list_errors();
        errors.retain(|group| group.ignored_because.is_empty());
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
        self.inner.store.trace(id, Reader::Page)
    }

    fn metrics(&self) -> Metrics {
        self.inner.store.metrics(self.now_unix_us())
    }

    fn explain(&self, which: &Which) -> Metrics {
        self.inner.store.explain(self.now_unix_us(), which)
    }

    fn raw_page(&self, url: &str) -> Option<RawPage> {
        let (url, held) = self.inner.store.page(url)?;
        let mut page = raw_page(&url, held);
        mark_held(&mut page, &self.inner.store);
        Some(page)
    }

    fn logs(&self, query: &Query) -> Logs {
        self.inner.store.list_logs(query, Reader::Page)
    }

    fn errors(&self) -> Vec<ErrorGroup> {
        self.inner.store.list_errors()
    }

    fn payloads(&self, query: &Query) -> Vec<PayloadRow> {
        self.inner.store.list_payloads(query)
    }

    fn profiles(&self) -> Profiles {
        self.inner.store.list_profiles()
    }

    fn flame(&self, query: &ProfileQuery) -> Option<Flame> {
        self.inner.store.flame(query)
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
            openmetrics_namespace: self.inner.openmetrics_namespace.clone(),
            started_unix_us: self.inner.started_unix_us,
        }
    }
}

/// One deadline over several waits.
pub(super) struct Until<'c> {
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

    pub(super) fn left(&self) -> Duration {
        Duration::from_nanos(self.end_ns.saturating_sub(self.clock.mono_ns()))
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
