//! The store as a whole, and the worker's job that fills it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bounds::Bounds;
use super::contexts::{Limits, size_finding};
use super::errors::Errors;
use super::lines::Received;
use super::logs::Logs;
use super::metrics::Metrics;
use super::pages::{Pages, Scraped, Told};
use super::payloads::{Brought, Payloads, Way};
use super::profile::Upload;
use super::profiles::Profiles;
use super::traces::{Came, Traces};
use crate::agent::decode::{Chunks, Format, datagram_lines, exposition_as, lossy};
use crate::agent::view::PayloadRow;
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
        page: Result<Scraped, String>,
    },
    /// An upload of profiles that was decoded and answered; its row lacks what the store finds.
    Profiles {
        upload: Box<Upload>,
        row: Box<PayloadRow>,
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
            Cargo::Profiles { upload, .. } => (Some(Way::Profiles), upload.row.samples),
            Cargo::Refused { way, .. } => (*way, 0),
        }
    }

    /// Room that it takes, not only what it uses of it.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Cargo::Traces { chunks, .. } => {
                let ranges = chunks.ranges.capacity() * size_of::<std::ops::Range<usize>>();
                chunks.bytes.capacity() + ranges + 512
            }
            Cargo::Datagram { bytes, .. } | Cargo::Lines { bytes, .. } => bytes.capacity(),
            Cargo::Scrape { page, .. } => page.as_ref().map_or(0, |page| page.bytes.capacity()),
            Cargo::Profiles { upload, .. } => upload.bytes() + 512,
            Cargo::Refused { .. } => 512,
        }
    }
}

/// All that was received.
#[derive(Debug)]
pub(crate) struct Store {
    pub(super) traces: Mutex<Traces>,
    pub(super) metrics: Mutex<Metrics>,
    pub(super) pages: Mutex<Pages>,
    pub(super) logs: Mutex<Logs>,
    pub(super) profiles: Mutex<Profiles>,
    pub(super) errors: Mutex<Errors>,
    pub(super) payloads: Mutex<Payloads>,
    /// Points that the full queue turned away, by pipeline.
    pub(super) dropped: [AtomicU64; Way::ALL.len()],
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
    /// `namespace`: under which Datadog's check sends what is scraped.
    pub(crate) fn new(bounds: &Bounds, namespace: &str) -> Store {
        let limits = Limits {
            contexts_max: bounds.metric_contexts_max,
            bytes_max: bounds.metrics_bytes_max,
            members_max: bounds.set_members_max,
            values_max: bounds.bucket_values_max,
        };
        Store {
            traces: Mutex::new(Traces::new(bounds.traces_bytes_max)),
            metrics: Mutex::new(Metrics::of(limits, namespace)),
            pages: Mutex::default(),
            logs: Mutex::new(Logs::new(bounds.logs_bytes_max)),
            profiles: Mutex::new(Profiles::new(bounds.profiles_bytes_max)),
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
                errors = u64::from(!self.scrape(&url, page, &mut row));
                Some(Way::Prometheus)
            }
            Cargo::Profiles { upload, row: given } => {
                row = *given;
                self.profiles(*upload, &mut row);
                Some(Way::Profiles)
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

    fn profiles(&self, upload: Upload, row: &mut PayloadRow) {
        row.points = upload.row.samples;
        row.error = upload.row.findings.first().cloned().unwrap_or_default();
        if let Some(over) = locked(&self.profiles).take(upload) {
            row.error = over;
        }
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

    /// Whether the page could be read.
    fn scrape(&self, url: &Arc<str>, page: Result<Scraped, String>, row: &mut PayloadRow) -> bool {
        let time_unix_us = row.time_unix_us;
        let page = match page {
            Ok(page) => page,
            Err(why) => {
                locked(&self.pages).failed(url, time_unix_us, &why);
                row.error = why;
                return false;
            }
        };
        row.bytes = page.bytes.len() as u64;
        let text = lossy(&page.bytes);
        let format = Format::of_content_type(&page.content_type);
        let format = format.unwrap_or_else(|| Format::of_text(&text));
        let read = match std::str::from_utf8(&page.bytes) {
            Ok(text) => exposition_as(text, format).map_err(|error| error.to_string()),
            Err(_) => Err("the page is not UTF-8".to_string()),
        };
        let mut told = Told::default();
        match &read {
            Ok(scrape) => {
                told.samples = scrape.samples.len() as u64;
                told.over = scrape.over;
                locked(&self.metrics).series.take(url, scrape, time_unix_us);
            }
            Err(why) => told.error = why.clone(),
        }
        row.points = told.samples;
        row.error = told.finding();
        told.time_unix_us = time_unix_us;
        told.format = format;
        locked(&self.pages).take(url, &page, (&text, told));
        read.is_ok()
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

/// A panic under the lock was caught by the worker; what it left is still the best there is.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
