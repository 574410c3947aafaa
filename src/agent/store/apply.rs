//! The store as a whole, and the worker's job that fills it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bounds::Bounds;
use super::contexts::{Limits, size_finding};
use super::errors::Errors;
use super::lines::Received;
use super::logs::Logs;
use super::metrics::Metrics;
use super::payloads::{Brought, Payloads, Way};
use super::traces::{Came, Traces, open};
use crate::agent::decode::{Chunks, datagram_lines, exposition, lossy};
use crate::agent::view::{self, PayloadRow, Query, Which};
use crate::clock::Clock;
use crate::worker::{Fill, FlushError, Job, Why};

/// A finding may quote what a peer sent.
const FINDING_BYTES_MAX: usize = 500;

/// Something that arrived.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) time_unix_us: u64,
    pub(crate) cargo: Cargo,
}

/// What it is.
#[derive(Debug)]
pub(crate) enum Cargo {
    /// A trace payload that was checked and answered; its row lacks points and findings.
    Traces {
        chunks: Chunks,
        language: String,
        row: Box<PayloadRow>,
    },
    /// A DogStatsD datagram. `None` came over a Unix socket.
    Datagram {
        bytes: Vec<u8>,
        from: Option<SocketAddr>,
    },
    /// Whole log lines; `cut` of them were longer than the bound.
    Lines {
        path: Arc<str>,
        bytes: Vec<u8>,
        cut: u64,
    },
    /// A scraped page, or why there is none.
    Scrape {
        url: Arc<str>,
        status: u16,
        page: Result<Vec<u8>, String>,
    },
    /// A payload that was refused.
    Refused {
        way: Option<Way>,
        row: Box<PayloadRow>,
    },
}

impl Cargo {
    /// Pipeline and points, for what has to be dropped before it is decoded.
    pub(crate) fn points(&self) -> (Option<Way>, u64) {
        let lines =
            |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count().max(1) as u64;
        match self {
            Cargo::Traces { chunks, .. } => (Some(Way::Traces), chunks.spans),
            Cargo::Datagram { bytes, .. } => (Some(Way::Dogstatsd), lines(bytes)),
            Cargo::Lines { bytes, .. } => (Some(Way::Logs), lines(bytes)),
            Cargo::Scrape { .. } => (Some(Way::Prometheus), 1),
            Cargo::Refused { way, .. } => (*way, 0),
        }
    }

    /// Room that it takes, not only what it uses of it.
    fn bytes(&self) -> usize {
        match self {
            Cargo::Traces { chunks, .. } => {
                let ranges = chunks.ranges.capacity() * size_of::<std::ops::Range<usize>>();
                chunks.bytes.capacity() + ranges + 512
            }
            Cargo::Datagram { bytes, .. } | Cargo::Lines { bytes, .. } => bytes.capacity(),
            Cargo::Scrape { page, .. } => page.as_ref().map_or(0, Vec::capacity),
            Cargo::Refused { .. } => 512,
        }
    }
}

/// All that was received.
#[derive(Debug)]
pub(crate) struct Store {
    traces: Mutex<Traces>,
    metrics: Mutex<Metrics>,
    logs: Mutex<Logs>,
    errors: Mutex<Errors>,
    payloads: Mutex<Payloads>,
    /// Points that the full queue turned away, by pipeline.
    dropped: [AtomicU64; 4],
}

/// Fills the store; runs on the `agent-store` thread.
pub(crate) struct StoreJob {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Clock,
    pub(crate) lines_waiting_bytes: Arc<AtomicU64>,
}

impl Job for StoreJob {
    type Item = Arrival;

    fn take(&mut self, arrival: Arrival) -> Fill {
        if let Cargo::Lines { bytes, .. } = &arrival.cargo {
            self.lines_waiting_bytes
                .fetch_sub(bytes.len() as u64, Ordering::Relaxed);
        }
        self.store.apply(arrival);
        Fill::Room
    }

    fn flush(&mut self, _why: Why) -> Result<(), FlushError> {
        locked(&self.store.metrics)
            .contexts
            .tick(self.clock.unix_ns() / 1_000);
        Ok(())
    }

    fn weigh(arrival: &Arrival) -> usize {
        arrival.cargo.bytes() + size_of::<Arrival>()
    }
}

impl Store {
    pub(crate) fn new(bounds: &Bounds) -> Store {
        let limits = Limits {
            contexts_max: bounds.metric_contexts_max,
            bytes_max: bounds.metrics_bytes_max,
            members_max: bounds.set_members_max,
            values_max: bounds.bucket_values_max,
        };
        Store {
            traces: Mutex::new(Traces::new(bounds.traces_bytes_max)),
            metrics: Mutex::new(Metrics::new(limits)),
            logs: Mutex::new(Logs::new(bounds.logs_bytes_max)),
            errors: Mutex::new(Errors::new(bounds.error_groups_max)),
            payloads: Mutex::new(Payloads::new(bounds.payload_rows_max)),
            dropped: Default::default(),
        }
    }

    /// Counts what the queue turned away.
    pub(crate) fn note_dropped(&self, way: Way, points: u64) {
        self.dropped[way as usize].fetch_add(points, Ordering::Relaxed);
    }

    pub(crate) fn apply(&self, arrival: Arrival) {
        let time_unix_us = arrival.time_unix_us;
        let mut row = PayloadRow {
            time_unix_us,
            ..PayloadRow::default()
        };
        let mut errors = 0;
        let way = match arrival.cargo {
            Cargo::Traces {
                chunks,
                language,
                row: given,
            } => {
                row = *given;
                self.traces(&chunks, &language, &mut row);
                Some(Way::Traces)
            }
            Cargo::Datagram { bytes, from } => {
                row.from = from.map_or_else(|| "unix socket".to_string(), |from| from.to_string());
                row.what = if from.is_some() { "udp" } else { "unixgram" }.to_string();
                return self.datagram(&bytes, row);
            }
            Cargo::Lines { path, bytes, cut } => {
                row.what = path.to_string();
                row.points = self.lines(&bytes, time_unix_us);
                row.bytes = bytes.len() as u64;
                if cut > 0 {
                    row.error = format!("{cut} lines over 1 MiB were cut");
                }
                Some(Way::Logs)
            }
            Cargo::Scrape { url, status, page } => {
                (row.what, row.status) = (format!("GET {url}"), status);
                self.scrape(&url, page, &mut row);
                errors = u64::from(!row.error.is_empty());
                Some(Way::Prometheus)
            }
            Cargo::Refused { way, row: given } => {
                row = *given;
                errors = 1;
                way
            }
        };
        self.note(way, row, errors);
    }

    fn traces(&self, chunks: &Chunks, language: &str, row: &mut PayloadRow) {
        let came = Came {
            time_unix_us: row.time_unix_us,
            language,
        };
        let mut traces = locked(&self.traces);
        let mut errors = locked(&self.errors);
        for chunk in chunks.iter() {
            let outcome = traces.take(chunk, came, &mut errors);
            let finding = outcome.map(|found| found.map(str::to_string));
            if let Some(text) = finding.unwrap_or_else(|error| Some(error.to_string()))
                && row.error.is_empty()
            {
                row.error = text;
            }
        }
        row.points = chunks.spans;
    }

    fn datagram(&self, bytes: &[u8], mut row: PayloadRow) {
        let (mut bad_lines, mut too_long_bytes) = (0, None);
        let mut metrics = locked(&self.metrics);
        let time_unix_us = row.time_unix_us;
        for read in datagram_lines(bytes) {
            match read {
                Ok((line, message)) => {
                    let taken = metrics.take(&message, Received { line, time_unix_us });
                    row.points += taken.samples;
                    too_long_bytes = taken.too_long_bytes.or(too_long_bytes);
                }
                Err(error) => {
                    bad_lines += 1;
                    row.error = error.to_string();
                }
            }
        }
        drop(metrics);
        row.bytes = bytes.len() as u64;
        if row.error.is_empty() {
            row.error = size_finding(bytes.len(), too_long_bytes).unwrap_or_default();
        }
        self.note(Some(Way::Dogstatsd), row, bad_lines);
    }

    fn lines(&self, bytes: &[u8], time_unix_us: u64) -> u64 {
        let mut logs = locked(&self.logs);
        let mut errors = locked(&self.errors);
        let lines = bytes.split(|byte| *byte == b'\n');
        let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let mut count = 0;
        for line in lines.filter(|line| !line.is_empty()) {
            logs.take(&lossy(line), time_unix_us, &mut errors);
            count += 1;
        }
        count
    }

    fn scrape(&self, url: &str, page: Result<Vec<u8>, String>, row: &mut PayloadRow) {
        let read = page.and_then(|page| {
            row.bytes = page.len() as u64;
            String::from_utf8(page).map_err(|_| "the page is not UTF-8".to_string())
        });
        let decoded = read.and_then(|text| {
            let scrape = exposition(&text).map_err(|error| error.to_string())?;
            row.points = scrape.samples.len() as u64;
            locked(&self.metrics)
                .series
                .take(url, &scrape, row.time_unix_us);
            Ok(())
        });
        row.error = decoded.err().unwrap_or_default();
    }

    fn note(&self, way: Option<Way>, mut row: PayloadRow, errors: u64) {
        row.pipeline = way.map_or("http", Way::name);
        if row.error.len() > FINDING_BYTES_MAX {
            row.error = row.error[..row.error.floor_char_boundary(FINDING_BYTES_MAX)].to_string();
        }
        let mut payloads = locked(&self.payloads);
        if let Some(way) = way {
            let brought = Brought {
                time_unix_us: row.time_unix_us,
                points: row.points,
                bytes: row.bytes,
                errors,
                last_error: (errors > 0).then(|| row.error.clone()),
            };
            payloads.count(way, brought);
        }
        payloads.keep(row);
    }
}

/// What readers ask.
impl Store {
    pub(crate) fn list_traces(&self, query: &Query) -> view::Traces {
        locked(&self.traces).list(query)
    }

    pub(crate) fn trace(&self, id: u64) -> Option<view::Trace> {
        let (row, chunks) = locked(&self.traces).chunks(id)?;
        let mut trace = open(row, &chunks);
        let held = locked(&self.logs).held();
        trace.logs = held.of_trace(id);
        Some(trace)
    }

    pub(crate) fn metrics(&self, now_unix_us: u64) -> view::Metrics {
        locked(&self.metrics).view(now_unix_us)
    }

    pub(crate) fn explain(&self, now_unix_us: u64, which: &Which) -> view::Metrics {
        locked(&self.metrics).explain(now_unix_us, which)
    }

    pub(crate) fn list_logs(&self, query: &Query) -> view::Logs {
        let held = locked(&self.logs).held();
        held.list(query)
    }

    pub(crate) fn list_errors(&self) -> Vec<view::ErrorGroup> {
        locked(&self.errors).list()
    }

    pub(crate) fn list_payloads(&self, query: &Query) -> Vec<PayloadRow> {
        locked(&self.payloads).list(query)
    }

    pub(crate) fn services(&self, now_unix_us: u64) -> Vec<view::Service> {
        locked(&self.traces).services(now_unix_us)
    }

    pub(crate) fn server_spans(&self) -> BTreeMap<String, u64> {
        locked(&self.traces).server_spans().into_iter().collect()
    }

    pub(crate) fn access_lines(&self) -> u64 {
        locked(&self.logs).access_lines()
    }

    /// Sums by name: DogStatsD counts since the start, Prometheus samples of the last scrapes.
    pub(crate) fn metric_sums(&self) -> [BTreeMap<String, f64>; 2] {
        let metrics = locked(&self.metrics);
        let mut sums = [BTreeMap::new(), BTreeMap::new()];
        for (name, sum) in metrics.contexts.sums() {
            sums[0].insert(name.to_string(), sum);
        }
        for (name, sum) in metrics.series.sums() {
            *sums[1].entry(name.to_string()).or_insert(0.0) += sum;
        }
        sums
    }

    pub(crate) fn rail(&self) -> view::Rail {
        view::Rail {
            traces: locked(&self.traces).held(),
            metrics: locked(&self.metrics).count(),
            logs: locked(&self.logs).count(),
            errors: locked(&self.errors).issues(),
            payload_findings: locked(&self.payloads).findings(),
        }
    }

    pub(crate) fn pipelines(&self, now_unix_us: u64) -> Vec<view::Pipeline> {
        let (samples, series) = locked(&self.metrics).evicted();
        let held_back = |way| match way {
            Way::Traces => locked(&self.traces).evicted_spans(),
            Way::Dogstatsd => samples,
            Way::Prometheus => series,
            Way::Logs => locked(&self.logs).evicted(),
        };
        Way::ALL
            .map(|way| {
                let dropped = self.dropped[way as usize].load(Ordering::Relaxed);
                let evicted = held_back(way) + dropped;
                locked(&self.payloads).pipeline(way, evicted, now_unix_us)
            })
            .to_vec()
    }
}

/// A panic under the lock was caught by the worker; what it left is still the best there is.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
