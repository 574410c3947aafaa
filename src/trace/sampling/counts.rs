//! What became of traces.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Decision;

/// Traces of this process by how they were decided, and spans kept out of those that were dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SamplingCounts {
    /// Traces kept.
    pub kept: u64,
    /// Traces dropped, for whatever cause.
    pub dropped: u64,
    /// Dropped by the Agent's rate.
    pub dropped_by_agent: u64,
    /// Dropped by the rate of a rule or by DD_TRACE_SAMPLE_RATE.
    pub dropped_by_rule: u64,
    /// Kept by such a rate, and dropped by DD_TRACE_RATE_LIMIT.
    pub dropped_by_limit: u64,
    /// Dropped because somebody said so in the code.
    pub dropped_by_hand: u64,
    /// Dropped by the caller in another process.
    pub dropped_by_caller: u64,
    /// Spans that DD_SPAN_SAMPLING_RULES kept out of dropped traces.
    pub spans_kept: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    kept: AtomicU64,
    by_agent: AtomicU64,
    by_rule: AtomicU64,
    by_limit: AtomicU64,
    by_hand: AtomicU64,
    by_caller: AtomicU64,
    spans_kept: AtomicU64,
}

impl Counts {
    pub(super) fn count(&self, decision: &Decision) {
        let counter = match decision.mechanism {
            _ if decision.priority.keeps() => &self.kept,
            "" => &self.by_caller,
            "-4" => &self.by_hand,
            "-0" | "-1" => &self.by_agent,
            // The limiter is asked only about what the rate keeps.
            _ if decision.limit_rate.is_some() => &self.by_limit,
            _ => &self.by_rule,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_span(&self) {
        self.spans_kept.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> SamplingCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut counts = SamplingCounts {
            kept: read(&self.kept),
            dropped: 0,
            dropped_by_agent: read(&self.by_agent),
            dropped_by_rule: read(&self.by_rule),
            dropped_by_limit: read(&self.by_limit),
            dropped_by_hand: read(&self.by_hand),
            dropped_by_caller: read(&self.by_caller),
            spans_kept: read(&self.spans_kept),
        };
        counts.dropped = counts.dropped_by_agent
            + counts.dropped_by_rule
            + counts.dropped_by_limit
            + counts.dropped_by_hand
            + counts.dropped_by_caller;
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Priority;

    #[test]
    fn every_trace_has_one_end() {
        let counts = Counts::default();
        let caller = |priority| Decision::inherited(Priority(priority));
        let rule = |priority, mechanism, limit_rate| Decision {
            rule_rate: Some(0.5),
            limit_rate,
            ..Decision::of(Priority(priority), mechanism)
        };
        for decision in [
            caller(2),
            caller(0),
            caller(-1),
            caller(-7),
            Decision::of(Priority::AUTO_KEEP, "-0"),
            Decision::of(Priority::AUTO_REJECT, "-1"),
            rule(2, "-3", Some(1.0)),
            rule(-1, "-3", None),
            rule(-1, "-11", None),
            rule(-1, "-12", Some(0.5)),
            caller(2).manual(false),
            rule(-1, "-3", Some(0.0)).manual(true),
        ] {
            counts.count(&decision);
        }
        counts.count_span();
        let expected = SamplingCounts {
            kept: 4,
            dropped: 8,
            dropped_by_agent: 1,
            dropped_by_rule: 2,
            dropped_by_limit: 1,
            dropped_by_hand: 1,
            dropped_by_caller: 3,
            spans_kept: 1,
        };
        assert_eq!(counts.read(), expected);
    }
}
