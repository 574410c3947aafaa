//! What each kind of request feeds: handles of every exporter, looked up once.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use super::Services;
use crate::dogstatsd::{CountHandle, TimingHandle};
use crate::prometheus::{Counter, Exemplar, Histogram};

/// The series of all kinds of requests.
#[derive(Debug)]
pub(super) struct RequestSeries {
    /// A list for each route, and one for requests without.
    by_route: Vec<RwLock<Vec<Series>>>,
}

/// Method, route and status: all three from small fixed sets.
type Key = (&'static str, &'static str, u16);

#[derive(Debug)]
struct Series {
    key: Key,
    requests: Option<CountHandle>,
    duration: Option<TimingHandle>,
    count: Counter,
    latency: Histogram,
}

impl RequestSeries {
    pub(super) fn for_routes(count: usize) -> RequestSeries {
        RequestSeries {
            by_route: (0..=count).map(|_| RwLock::default()).collect(),
        }
    }

    /// Counts and times a request; `at` is which route it took.
    pub(super) fn record(
        &self,
        services: &Services,
        (at, key): (Option<usize>, Key),
        took: (u64, &Exemplar),
    ) {
        let list = &self.by_route[at.unwrap_or(self.by_route.len() - 1)];
        let known = list.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = known.iter().find(|series| series.key == key) {
            return series.record(took);
        }
        drop(known);
        // Made before the lock is taken: the same words give the same series, should another be first.
        let fresh = Series::new(services, key);
        fresh.record(took);
        let mut all = list.write().unwrap_or_else(PoisonError::into_inner);
        if all.iter().all(|series| series.key != key) {
            all.push(fresh);
        }
    }
}

impl Series {
    fn new(services: &Services, key: Key) -> Series {
        let (method, route, status) = key;
        let code = status.to_string();
        let tags = [
            ("method", method),
            ("route", route),
            ("status", code.as_str()),
        ];
        let (statsd, families) = (&services.statsd, &services.families);
        Series {
            key,
            requests: statsd.count_handle("testapi.request_count", &tags).ok(),
            duration: statsd
                .timing_handle("testapi.request.duration", &tags[..2])
                .ok(),
            count: families.count.with(&[method, route, &code]).clone(),
            latency: families.latency.with(&[method, route]).clone(),
        }
    }

    fn record(&self, (took_ns, exemplar): (u64, &Exemplar)) {
        if let Some(requests) = &self.requests {
            requests.add(1);
        }
        if let Some(duration) = &self.duration {
            duration.record(Duration::from_nanos(took_ns));
        }
        self.count.inc();
        self.latency.observe_with(took_ns as f64 / 1e9, exemplar);
    }
}
