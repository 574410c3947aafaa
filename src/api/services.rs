//! What handlers work with.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::ExporterFamilies;
use crate::clock::Clock;
use crate::dogstatsd;
use crate::gunicorn::{self, Severity};
use crate::http::Target;
use crate::log::{Level, Logger, Record};
use crate::profile::Profiler;
use crate::prometheus::{CounterFamily, Error, Gauge, HistogramFamily, HistogramSpec, Registry};
use crate::server::Watch;
use crate::trace::Tracer;
use crate::worker::{Ledger, Stats};

/// Handles of every exporter. Cheap to clone handles inside; one value is shared by all threads.
#[derive(Debug)]
pub struct Services {
    /// Time.
    pub clock: Clock,
    /// Spans.
    pub tracer: Tracer,
    /// DogStatsD.
    pub statsd: dogstatsd::Client,
    /// Whether DogStatsD is sent at all.
    pub statsd_enabled: bool,
    /// The server's own metrics under gunicorn's names, where they are sent.
    pub gunicorn: Option<gunicorn::Metrics>,
    /// Log lines; [`Services::log`] writes one.
    pub logger: Logger,
    /// Profiles, where they are made.
    pub profiler: Option<Profiler>,
    /// What `/metrics` shows.
    pub registry: Registry,
    /// Families that requests feed.
    pub families: RequestFamilies,
    /// Families that the exporters' ledgers are read into.
    pub exporter_families: ExporterFamilies,
    /// Whether log lines carry the ids of the active span.
    pub logs_injection: bool,
    /// Whether they carry all of a trace id, or its lower half.
    pub wide_log_ids: bool,
    /// Counters of the server in front, once it is bound.
    pub server: OnceLock<Watch>,
    /// Where this API itself is reached, once it is bound.
    pub own_address: OnceLock<Target>,
    /// Calls of this API to itself that may run at one time, and those that do.
    pub self_calls: Bulkhead,
    /// Requests whose telemetry is complete: what every pipeline's own count is held against.
    pub observed: AtomicU64,
    /// When the process started, on the clock's monotonic side.
    pub started_ns: u64,
}

/// Lets so many through at one time. A handler that waits for another request of the same pool holds
/// a thread of it; if all did, none would be left to answer.
#[derive(Debug)]
pub struct Bulkhead {
    running: AtomicUsize,
    running_max: usize,
}

/// One who was let through, until dropped.
#[derive(Debug)]
pub struct Passage<'a>(&'a Bulkhead);

impl Bulkhead {
    /// For a pool of so many threads: half of them may wait for the other half.
    pub fn for_pool(workers: usize) -> Bulkhead {
        Bulkhead {
            running: AtomicUsize::new(0),
            running_max: workers / 2,
        }
    }

    /// `None` while as many as may are inside.
    pub fn enter(&self) -> Option<Passage<'_>> {
        let passage = Passage(self);
        let before = self.running.fetch_add(1, Ordering::AcqRel);
        (before < self.running_max).then_some(passage)
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Prometheus families of the API.
#[derive(Clone, Debug)]
pub struct RequestFamilies {
    /// `request_count_total{method,route,status}`.
    pub count: CounterFamily,
    /// `request_latency_seconds{method,route}`.
    pub latency: HistogramFamily,
    /// `custom_metric_total{count_type}`.
    pub custom: CounterFamily,
    /// `http_requests_in_flight`.
    pub in_flight: Gauge,
}

/// Bounds of the latency buckets, in seconds: fine where a small service lives, coarse above.
const LATENCY_BOUNDS: [f64; 15] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0,
];

impl RequestFamilies {
    /// Registers the families.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn register(registry: &Registry) -> Result<RequestFamilies, Error> {
        // The label is `route`: the Agent's check adds a tag `endpoint` of its own to everything.
        let spec = HistogramSpec {
            labels: &["method", "route"],
            bounds: &LATENCY_BOUNDS,
        };
        Ok(RequestFamilies {
            count: registry.counter(
                "request_count",
                "Requests answered.",
                &["method", "route", "status"],
            )?,
            latency: registry.histogram(
                "request_latency_seconds",
                "Time from a request's head to its reply.",
                spec,
            )?,
            custom: registry.counter(
                "custom_metric",
                "Whatever /prometheus_counter_inc was told to add.",
                &["count_type"],
            )?,
            in_flight: registry
                .gauge("http_requests_in_flight", "Requests being served now.", &[])?
                .with(&[])
                .clone(),
        })
    }
}

/// How one exporter stands.
#[derive(Clone, Debug)]
pub struct ExporterState {
    /// `traces`, `dogstatsd`, `gunicorn`, `logs`, `profiles`.
    pub name: &'static str,
    /// Where every item went.
    pub ledger: Ledger,
    /// Counters of its thread.
    pub stats: Stats,
}

impl ExporterState {
    /// As JSON, for `/health`.
    pub fn to_json(&self) -> Value {
        let Ledger {
            unit,
            offered,
            sent,
            dropped,
            pending,
        } = &self.ledger;
        let dropped: serde_json::Map<String, Value> = dropped
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| (reason.to_string(), json!(count)))
            .collect();
        json!({
            "unit": unit,
            "offered": offered,
            "sent": sent,
            "dropped": dropped,
            "pending": pending,
            "flushed": self.stats.flushed,
            "flush_failed": self.stats.flush_failed,
            "panics": self.stats.panics,
            "error": self.stats.last_error,
        })
    }
}

impl Services {
    /// How every exporter stands, in a fixed order.
    pub fn states(&self) -> Vec<ExporterState> {
        let state = |name, ledger, stats| ExporterState {
            name,
            ledger,
            stats,
        };
        let mut states = vec![
            state("traces", self.tracer.ledger(), self.tracer.stats()),
            state("dogstatsd", self.statsd.ledger(), self.statsd.stats()),
        ];
        if let Some(metrics) = &self.gunicorn {
            states.push(state("gunicorn", metrics.ledger(), metrics.stats()));
        }
        let logs = (self.logger.ledger(), self.logger.stats().worker);
        states.push(state("logs", logs.0, logs.1));
        if let Some(profiler) = &self.profiler {
            states.push(state("profiles", profiler.ledger(), profiler.stats()));
        }
        states
    }

    /// The ids of a span, as far as log lines carry them.
    pub(super) fn log_ids(&self, (trace_id, span_id): (u128, u64)) -> (u128, u64) {
        match (self.logs_injection, self.wide_log_ids) {
            (false, _) => (0, 0),
            (true, true) => (trace_id, span_id),
            (true, false) => (trace_id & u128::from(u64::MAX), span_id),
        }
    }

    /// Writes a record, and counts it as gunicorn counts the lines of its log.
    pub fn log(&self, record: &Record<'_>) {
        self.logger.log(record);
        if let Some(metrics) = &self.gunicorn
            && self.logger.is_on(record.level)
            && let Some(severity) = severity(record)
        {
            metrics.logged(severity);
        }
    }
}

/// What gunicorn would have called it: `None` below a warning, and an exception is no error besides.
fn severity(record: &Record<'_>) -> Option<Severity> {
    let stack = record.error_stack.is_some_and(|stack| !stack.is_empty());
    match record.level {
        Level::Critical => Some(Severity::Critical),
        Level::Error if stack => Some(Severity::Exception),
        Level::Error => Some(Severity::Error),
        Level::Warn => Some(Severity::Warning),
        Level::Info | Level::Debug => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_counted_by_gunicorns_words() {
        for (level, stack, expected) in [
            (Level::Debug, Some("0: f"), None),
            (Level::Info, None, None),
            (Level::Warn, Some("0: f"), Some(Severity::Warning)),
            (Level::Error, None, Some(Severity::Error)),
            (Level::Error, Some(""), Some(Severity::Error)),
            (Level::Error, Some("0: f"), Some(Severity::Exception)),
            (Level::Critical, Some("0: f"), Some(Severity::Critical)),
        ] {
            let record = Record {
                error_stack: stack,
                ..Record::new(level, "x")
            };
            assert_eq!(severity(&record), expected, "{level} {stack:?}");
        }
    }

    #[test]
    fn a_bulkhead_lets_half_the_pool_through_and_again_when_one_leaves() {
        let bulkhead = Bulkhead::for_pool(4);
        let (first, second) = (bulkhead.enter(), bulkhead.enter());
        assert!(first.is_some() && second.is_some() && bulkhead.enter().is_none());
        drop(first);
        assert!(bulkhead.enter().is_some());
        assert!(
            Bulkhead::for_pool(1).enter().is_none(),
            "one thread cannot wait for itself"
        );
    }
}
