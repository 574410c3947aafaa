//! A share of all ids, the same share everywhere.

use std::fmt::Write;

/// The multiplier of every tracer and of the Agent, so that all decide alike on one id.
const FACTOR: u64 = 1_111_111_111_111_111_111;

/// Whether this id is in the share that is kept (dd-trace-go, `ddtrace/tracer/sampler.go`).
pub(super) fn keeps(id: u64, rate: f64) -> bool {
    // A cast from float saturates, so a rate of 1 is the whole range.
    let threshold = (rate * u64::MAX as f64) as u64;
    rate > 0.0 && id.wrapping_mul(FACTOR) <= threshold
}

/// Appends a rate as `_dd.p.ksr` has it: at most six decimals, no zeros at the end.
pub(in crate::trace) fn rate_text(rate: f64, out: &mut String) {
    let start = out.len();
    let _ = write!(out, "{rate:.6}");
    let text = &out[start..];
    if text.contains('.') {
        let end = text.trim_end_matches('0').trim_end_matches('.').len();
        out.truncate(start + end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decision_for_one_id_is_the_same_everywhere() {
        // id * 1111111111111111111 mod 2^64 <= rate * (2^64 - 1), worked out by hand.
        for (id, rate, kept) in [
            (1_u64, 0.5, true),
            (9_223_372_036_854_775_807, 0.5, true),
            (9_223_372_036_854_775_808, 0.5, true),
            (9_223_372_036_854_775_809, 0.5, false),
            (1, 1.0, true),
            (1, 0.0, false),
            (0, 0.0, false),
            (u64::MAX, 1.0, true),
            (10, 0.001, false),
            (1, f64::NAN, false),
            (1, -1.0, false),
            (u64::MAX, 7.0, true),
        ] {
            assert_eq!(keeps(id, rate), kept, "{id} at {rate}");
        }
    }

    #[test]
    fn about_the_asked_share_is_kept() {
        for (rate, least, most) in [
            (0.3, 29_000, 31_000),
            (0.001, 50, 170),
            (0.99, 98_800, 99_200),
        ] {
            let mut random = fastrand::Rng::with_seed(7);
            let kept = (0..100_000).filter(|_| keeps(random.u64(..), rate)).count();
            assert!((least..=most).contains(&kept), "{kept} at {rate}");
        }
    }

    #[test]
    fn what_is_kept_at_a_rate_is_kept_at_every_higher_one() {
        let mut random = fastrand::Rng::with_seed(11);
        for _ in 0..10_000 {
            let (id, low, more) = (random.u64(..), random.f64(), random.f64());
            let high = low + (1.0 - low) * more;
            assert!(
                !keeps(id, low) || keeps(id, high),
                "{id} at {low} and {high}"
            );
        }
    }

    #[test]
    fn a_rate_has_six_decimals_at_most() {
        for (rate, text) in [
            (1.0, "1"),
            (0.0, "0"),
            (0.5, "0.5"),
            (0.1 + 0.2, "0.3"),
            (0.000_001, "0.000001"),
            (0.000_000_1, "0"),
            (0.000_000_51, "0.000001"),
            (0.765_432_1, "0.765432"),
            (0.999_999_9, "1"),
            (0.100_000_4, "0.1"),
        ] {
            let mut out = String::from("10");
            rate_text(rate, &mut out);
            assert_eq!(out, format!("10{text}"), "{rate}");
        }
    }
}
