//! What users saw, in a fixed amount of memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::plan::DOWNSTREAM;

/// Longest latency that is told apart, in microseconds: a minute.
const LATENCY_US_MAX: u64 = 60_000_000;
/// Different failures that are kept with their text.
const FAILURES_MAX: usize = 20;

/// Shared by all users.
#[derive(Debug)]
pub struct Stats(Mutex<Seen>);

/// Figures of a run.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Requests that got a reply, whatever its status.
    pub replies: u64,
    /// Replies of 500 and above.
    pub server_errors: u64,
    /// Requests that got no reply.
    pub failures: u64,
    /// Replies of routes that the API observes.
    pub observed: u64,
    /// Replies of the route that makes the API call itself, where that call was made.
    pub downstream: u64,
    /// What went wrong, and how often.
    pub failure_texts: BTreeMap<String, u64>,
    latency_us: Histogram<u64>,
}

impl Default for Stats {
    fn default() -> Stats {
        let latency_us = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3)
            .expect("1 to a minute at 3 digits is within what a histogram takes");
        let failure_texts = BTreeMap::new();
        Stats(Mutex::new(Seen {
            replies: 0,
            server_errors: 0,
            failures: 0,
            observed: 0,
            downstream: 0,
            failure_texts,
            latency_us,
        }))
    }
}

impl Stats {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reply came. `observed`: the API counts requests of this route.
    pub fn reply(&self, route: &str, (status, took): (u16, Duration), observed: bool) {
        let mut seen = self.lock();
        seen.replies += 1;
        seen.observed += u64::from(observed);
        seen.server_errors += u64::from(status >= 500);
        seen.downstream += u64::from(route == DOWNSTREAM && status == 200);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        seen.latency_us.saturating_record(us.max(1));
    }

    /// No reply came.
    pub fn failure(&self, why: String) {
        let mut seen = self.lock();
        seen.failures += 1;
        if seen.failure_texts.len() < FAILURES_MAX || seen.failure_texts.contains_key(&why) {
            *seen.failure_texts.entry(why).or_default() += 1;
        }
    }

    /// The figures as they stand.
    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }
}

impl Seen {
    /// A percentile of the latencies, in microseconds.
    pub fn percentile_us(&self, percent: f64) -> u64 {
        self.latency_us.value_at_percentile(percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_failures_and_latencies_add_up() {
        let stats = Stats::default();
        for ms in 1..=100 {
            stats.reply("/a", (200, Duration::from_millis(ms)), true);
        }
        stats.reply(DOWNSTREAM, (200, Duration::from_secs(600)), true);
        stats.reply(DOWNSTREAM, (502, Duration::ZERO), true);
        stats.reply("/metrics", (200, Duration::ZERO), false);
        for n in 0..50 {
            stats.failure(format!("broken {n}"));
        }
        let seen = stats.seen();
        assert_eq!(
            (seen.replies, seen.observed, seen.server_errors),
            (103, 102, 1)
        );
        assert_eq!(
            (seen.downstream, seen.failures, seen.failure_texts.len()),
            (1, 50, FAILURES_MAX)
        );
        assert!((48_000..=52_000).contains(&seen.percentile_us(50.0)));
    }
}
