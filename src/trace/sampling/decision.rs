//! How one trace was decided.

use crate::trace::Priority;

/// A decision, and what the first span of each chunk says about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::trace) struct Decision {
    pub(in crate::trace) priority: Priority,
    /// `_dd.p.dm`: `-0` before the Agent has told any rate, `-1` its rate, `-3` a rule or
    /// DD_TRACE_SAMPLE_RATE, `-11` and `-12` a rule written elsewhere, `-4` a person; empty where the caller
    /// in another process decided (dd-trace-go, `internal/samplernames`).
    pub(in crate::trace) mechanism: &'static str,
    /// `_dd.agent_psr`.
    pub(in crate::trace) agent_rate: Option<f64>,
    /// `_dd.rule_psr`.
    pub(in crate::trace) rule_rate: Option<f64>,
    /// `_dd.limit_psr`, where the limiter was asked.
    pub(in crate::trace) limit_rate: Option<f64>,
}

impl Default for Decision {
    /// Kept, for want of anybody who said otherwise.
    fn default() -> Decision {
        Decision::of(Priority::AUTO_KEEP, "-0")
    }
}

impl Decision {
    /// The caller's decision, which stands.
    pub(in crate::trace) fn inherited(priority: Priority) -> Decision {
        Decision::of(priority, "")
    }

    /// What a person said, whatever was decided before. No rate has a part in it.
    pub(in crate::trace) fn manual(self, keep: bool) -> Decision {
        let priority = if keep {
            Priority::USER_KEEP
        } else {
            Priority::USER_REJECT
        };
        Decision::of(priority, "-4")
    }

    /// `_dd.p.ksr`: the rate of a rule or of the Agent, but not the 1 that holds until the Agent tells any.
    pub(in crate::trace) fn knuth_rate(&self) -> Option<f64> {
        self.rule_rate
            .or(self.agent_rate.filter(|_| self.mechanism == "-1"))
    }

    pub(super) fn of(priority: Priority, mechanism: &'static str) -> Decision {
        Decision {
            priority,
            mechanism,
            agent_rate: None,
            rule_rate: None,
            limit_rate: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_leaves_nothing_of_what_was_decided() {
        let rates = (Some(0.5), Some(0.25), Some(1.0));
        for before in [
            Decision::inherited(Priority::AUTO_REJECT),
            Decision {
                agent_rate: rates.0,
                rule_rate: rates.1,
                limit_rate: rates.2,
                ..Decision::of(Priority::AUTO_KEEP, "-3")
            },
        ] {
            assert_eq!(before.manual(true), Decision::of(Priority::USER_KEEP, "-4"));
            assert_eq!(
                before.manual(false),
                Decision::of(Priority::USER_REJECT, "-4")
            );
        }
    }

    #[test]
    fn only_real_rates_are_told_to_others() {
        let rule = Decision {
            rule_rate: Some(0.5),
            ..Decision::of(Priority::USER_REJECT, "-3")
        };
        let agent = |mechanism| Decision {
            agent_rate: Some(1.0),
            ..Decision::of(Priority::AUTO_KEEP, mechanism)
        };
        assert_eq!(rule.knuth_rate(), Some(0.5));
        assert_eq!(agent("-1").knuth_rate(), Some(1.0));
        assert_eq!(agent("-0").knuth_rate(), None);
        assert_eq!(Decision::inherited(Priority::USER_KEEP).knuth_rate(), None);
        assert_eq!(rule.manual(true).knuth_rate(), None);
    }
}
