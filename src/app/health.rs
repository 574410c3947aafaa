//! What the tracer did, as metrics: `datadog.tracer.*` over DogStatsD, every ten seconds.
//!
//! Names are those of dd-trace-go (`ddtrace/tracer/metrics.go`) where it counts the same.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use crate::clock::Clock;
use crate::dogstatsd::Client;
use crate::trace::{SamplingCounts, TraceCounts, Tracer};
use crate::worker::{self, Fill, FlushError, Guard, Job, Ledger, Limits, Why};

struct Health {
    tracer: Tracer,
    statsd: Client,
    last: Totals,
}

/// Numbers that only grow.
#[derive(Default)]
struct Totals {
    counts: TraceCounts,
    sampling: SamplingCounts,
    ledger: Ledger,
}

/// Starts the thread `dd-health`.
pub(super) fn start(tracer: Tracer, statsd: Client, clock: Clock) -> io::Result<Guard> {
    let limits = Limits {
        queue_items_max: 1,
        flush_interval: Duration::from_secs(10),
        ..Limits::default()
    };
    let health = Health {
        tracer,
        statsd,
        last: Totals::default(),
    };
    let (_, guard) = worker::start("dd-health", limits, clock, health)?;
    Ok(guard)
}

impl Job for Health {
    type Item = Infallible;

    fn take(&mut self, item: Infallible) -> Fill {
        match item {}
    }

    fn flush(&mut self, _why: Why) -> Result<(), FlushError> {
        let mut now = Totals {
            counts: self.tracer.counts(),
            sampling: self.tracer.sampling(),
            ledger: self.tracer.ledger(),
        };
        // Read in the middle of an end, this one may be a little less than before.
        let started = &mut now.counts.spans_started;
        *started = self.last.counts.spans_started.max(*started);
        for (name, tags, more) in growth(&self.last, &now) {
            let name = ["datadog.tracer.", name].concat();
            // What is not taken is counted by the client itself.
            let _ = self.statsd.count(&name, more, &tags);
        }
        self.last = now;
        Ok(())
    }
}

type Growth = (&'static str, Vec<(&'static str, &'static str)>, i64);

/// What grew, by how much.
fn growth(before: &Totals, now: &Totals) -> Vec<Growth> {
    let (old, new) = (&before.counts, &now.counts);
    let plain = [
        ("spans_started", old.spans_started, new.spans_started),
        ("spans_finished", old.spans_finished, new.spans_finished),
        ("spans_sent", before.ledger.sent, now.ledger.sent),
        (
            "traces_abandoned",
            old.traces_abandoned,
            new.traces_abandoned,
        ),
        ("flush_traces", old.payload_chunks, new.payload_chunks),
        ("flush_bytes", old.payload_bytes, new.payload_bytes),
        ("api.requests", old.payloads, new.payloads),
        ("api.retries", old.retries, new.retries),
        ("api.splits", old.splits, new.splits),
        ("api.errors", old.failed, new.failed),
        (
            "spans_kept_alone",
            before.sampling.spans_kept,
            now.sampling.spans_kept,
        ),
    ];
    let mut all: Vec<Growth> = Vec::new();
    let mut add = |name, tag: Option<(&'static str, &'static str)>, old: u64, new: u64| {
        let more = new.saturating_sub(old);
        if more > 0 {
            let more = i64::try_from(more).unwrap_or(i64::MAX);
            all.push((name, tag.into_iter().collect(), more));
        }
    };
    for (name, old, new) in plain {
        add(name, None, old, new);
    }
    for (status, (old, new)) in ["2xx", "3xx", "4xx", "5xx"]
        .iter()
        .zip(old.answers.iter().zip(&new.answers))
    {
        add("api.responses", Some(("status", status)), *old, *new);
    }
    for (reason, count) in &now.ledger.dropped {
        let old = before
            .ledger
            .dropped
            .iter()
            .find(|(known, _)| known == reason);
        add(
            "spans_dropped",
            Some(("reason", reason)),
            old.map_or(0, |(_, count)| *count),
            *count,
        );
    }
    let (old, new) = (&before.sampling, &now.sampling);
    for (reason, old, new) in [
        ("agent_rate", old.dropped_by_agent, new.dropped_by_agent),
        ("rule", old.dropped_by_rule, new.dropped_by_rule),
        ("rate_limit", old.dropped_by_limit, new.dropped_by_limit),
        ("manual", old.dropped_by_hand, new.dropped_by_hand),
        ("caller", old.dropped_by_caller, new.dropped_by_caller),
    ] {
        add("traces_sampled_out", Some(("reason", reason)), old, new);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grew_is_told_and_nothing_else() {
        let before = Totals {
            counts: TraceCounts {
                spans_started: 5,
                payloads: 1,
                ..TraceCounts::default()
            },
            ledger: Ledger {
                dropped: vec![("queue_full", 3)],
                ..Ledger::default()
            },
            ..Totals::default()
        };
        let now = Totals {
            counts: TraceCounts {
                spans_started: 7,
                payloads: 1,
                answers: [4, 0, 0, 1],
                ..TraceCounts::default()
            },
            ledger: Ledger {
                sent: 9,
                dropped: vec![("queue_full", 4), ("rejected", 0)],
                ..Ledger::default()
            },
            sampling: SamplingCounts {
                dropped: 2,
                dropped_by_limit: 2,
                ..SamplingCounts::default()
            },
        };
        let seen = growth(&before, &now);
        let expected: [Growth; 6] = [
            ("spans_started", vec![], 2),
            ("spans_sent", vec![], 9),
            ("api.responses", vec![("status", "2xx")], 4),
            ("api.responses", vec![("status", "5xx")], 1),
            ("spans_dropped", vec![("reason", "queue_full")], 1),
            ("traces_sampled_out", vec![("reason", "rate_limit")], 2),
        ];
        assert_eq!(seen, expected);
        assert_eq!(growth(&now, &now), []);
    }
}
