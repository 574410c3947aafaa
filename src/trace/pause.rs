//! When to try again.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Doubles from 100 ms to five seconds, with full jitter, so that many processes do not come back to an
/// Agent at once.
#[derive(Debug, Default)]
pub(super) struct Pause {
    length: Duration,
    until_ns: u64,
}

impl Pause {
    pub(super) fn is_over(&self, now_ns: u64) -> bool {
        now_ns >= self.until_ns
    }

    /// One more failure; `at_least` where the Agent said how long.
    pub(super) fn lengthen(&mut self, now_ns: u64, at_least: Option<Duration>) {
        self.length = (self.length * 2).clamp(SHORTEST, LONGEST);
        let jittered = self.length.mul_f64(fastrand::f64());
        let wait = jittered.max(at_least.unwrap_or_default());
        let ns = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        self.until_ns = now_ns.saturating_add(ns);
    }

    pub(super) fn end(&mut self) {
        *self = Pause::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_end_with_a_success() {
        let mut pause = Pause::default();
        assert!(pause.is_over(0));
        for longest_ms in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            pause.lengthen(1_000, None);
            assert!(
                pause.until_ns <= 1_000 + longest_ms * 1_000_000,
                "{longest_ms}"
            );
            assert!(
                pause.is_over(pause.until_ns) && (pause.until_ns == 1_000 || !pause.is_over(999))
            );
        }
        pause.lengthen(0, Some(Duration::from_secs(30)));
        assert!(!pause.is_over(29_999_999_999) && pause.is_over(30_000_000_000));
        pause.end();
        assert!(pause.is_over(0));
        pause.lengthen(0, None);
        assert!(pause.until_ns <= 100_000_000, "from the start again");
    }
}
