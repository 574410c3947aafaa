//! Keep or drop, as the Agent's rates ask.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use serde_json::Value;

use super::Priority;

/// Rates held at most; a reply with more is cut there.
const RATES_MAX: usize = 10_000;
/// Knuth's multiplier, the same in every tracer and the Agent, so that all decide alike on one id.
const KNUTH: u64 = 1_111_111_111_111_111_111;

/// The rate of all that has none of its own.
const DEFAULT_KEY: &str = "service:,env:";

/// A decision and where it came from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Decision {
    pub(super) priority: Priority,
    /// `_dd.p.dm`: `-0` before the Agent has told any rate, `-1` by its rate.
    pub(super) mechanism: &'static str,
    pub(super) rate: f64,
}

/// The Agent's `rate_by_service`, and what it means for one trace.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    rates: RwLock<Option<HashMap<String, f64>>>,
}

impl Sampler {
    pub(super) fn decide(&self, trace_id: u128, service: &str, env: &str) -> Decision {
        let rates = self.rates.read().unwrap_or_else(PoisonError::into_inner);
        let Some(rates) = &*rates else {
            return Decision {
                priority: Priority::AUTO_KEEP,
                mechanism: "-0",
                rate: 1.0,
            };
        };
        let own = match rates.len() {
            // The Agent's usual answer while it is calm is the default alone; spares the key.
            1 if rates.contains_key(DEFAULT_KEY) => None,
            _ => rates.get(&format!("service:{service},env:{env}")),
        };
        let rate = own
            .or_else(|| rates.get(DEFAULT_KEY))
            .copied()
            .unwrap_or(1.0);
        let priority = if keeps(trace_id, rate) {
            Priority::AUTO_KEEP
        } else {
            Priority::AUTO_REJECT
        };
        Decision {
            priority,
            mechanism: "-1",
            rate,
        }
    }

    /// Takes the rates of an answer; `{}` and what is no rate leave the old ones in force.
    pub(super) fn learn(&self, body: &[u8]) {
        let Ok(Value::Object(mut answer)) = serde_json::from_slice(body) else {
            return;
        };
        let Some(Value::Object(told)) = answer.remove("rate_by_service") else {
            return;
        };
        let rates: HashMap<String, f64> = told
            .into_iter()
            .filter_map(|(key, rate)| Some((key, rate.as_f64()?)))
            .filter(|(_, rate)| (0.0..=1.0).contains(rate))
            .take(RATES_MAX)
            .collect();
        *self.rates.write().unwrap_or_else(PoisonError::into_inner) = Some(rates);
    }
}

fn keeps(trace_id: u128, rate: f64) -> bool {
    // A cast from float saturates, so a rate of 1 is the whole range.
    let threshold = (rate * u64::MAX as f64) as u64;
    rate > 0.0 && (trace_id as u64).wrapping_mul(KNUTH) <= threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decision_for_one_id_is_the_same_everywhere() {
        // id * 1111111111111111111 mod 2^64 <= rate * (2^64 - 1), worked out by hand.
        for (id, rate, kept) in [
            (1_u128, 0.5, true),
            (9_223_372_036_854_775_807, 0.5, true),
            (9_223_372_036_854_775_808, 0.5, true),
            (9_223_372_036_854_775_809, 0.5, false),
            (1, 1.0, true),
            (1, 0.0, false),
            (u128::MAX, 1.0, true),
            (10, 0.001, false),
        ] {
            assert_eq!(keeps(id, rate), kept, "{id} at {rate}");
        }
    }

    #[test]
    fn rates_are_read_and_nonsense_leaves_the_old_ones() {
        let sampler = Sampler::default();
        assert_eq!(sampler.decide(7, "a", "dev").mechanism, "-0");
        sampler.learn(br#"{"rate_by_service":{"service:a,env:dev":0.0,"service:,env:":1.0,"service:b,env:":"x","service:c,env:":7}}"#);
        let rate = |service| {
            let decision = sampler.decide(7, service, "dev");
            (decision.rate, decision.priority.0, decision.mechanism)
        };
        assert_eq!(rate("a"), (0.0, 0, "-1"));
        assert_eq!(rate("other"), (1.0, 1, "-1"));
        for nonsense in [
            &b"{}"[..],
            b"",
            b"OK\n",
            b"[1]",
            br#"{"rate_by_service":[]}"#,
            b"\xff",
        ] {
            sampler.learn(nonsense);
            assert_eq!(rate("a"), (0.0, 0, "-1"), "{nonsense:?}");
        }
    }

    #[test]
    fn about_the_asked_share_is_kept() {
        let mut random = fastrand::Rng::with_seed(7);
        let kept = (0..100_000).filter(|_| keeps(random.u128(..), 0.3)).count();
        assert!((29_000..31_000).contains(&kept), "{kept}");
    }
}
