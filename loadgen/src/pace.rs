//! When: each user starts a request at its own fixed times, so that all together keep a rate.

use std::time::Duration;

/// The start times of one user.
#[derive(Clone, Debug)]
pub struct Pace {
    interval_ns: u64,
    next_ns: u64,
}

impl Pace {
    /// User `number` of `users`, who together start `per_second` requests; 0 is as fast as replies come.
    pub fn new(per_second: u32, users: u32, number: u32) -> Pace {
        if per_second == 0 {
            return Pace {
                interval_ns: 0,
                next_ns: 0,
            };
        }
        let interval_ns = u64::from(users) * 1_000_000_000 / u64::from(per_second);
        // Spread over one interval, or all would start at once and then wait together.
        let next_ns = interval_ns * u64::from(number) / u64::from(users.max(1));
        Pace {
            interval_ns,
            next_ns,
        }
    }

    /// How long to wait before the next start, and moves on. A user that is late catches up at most one
    /// second's worth; more would be a burst that nobody planned.
    pub fn wait(&mut self, since_start_ns: u64) -> Duration {
        if self.interval_ns == 0 {
            return Duration::ZERO;
        }
        let wait_ns = self.next_ns.saturating_sub(since_start_ns);
        let earliest_ns = since_start_ns.saturating_sub(1_000_000_000);
        self.next_ns = self.next_ns.max(earliest_ns) + self.interval_ns;
        Duration::from_nanos(wait_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, pace: (u32, u32, u32), clock_ms: &[u64], waits_ms: &[u64]) {
        let mut pace = Pace::new(pace.0, pace.1, pace.2);
        let waits: Vec<u64> = clock_ms
            .iter()
            .map(|ms| pace.wait(ms * 1_000_000).as_millis() as u64)
            .collect();
        assert_eq!(waits, waits_ms, "{rule}");
    }

    #[test]
    fn every_rule_of_pacing_has_its_waits() {
        check(
            "one user, 100 a second",
            (100, 1, 0),
            &[0, 0, 10],
            &[0, 10, 10],
        );
        check(
            "the second of two starts half an interval later",
            (100, 2, 1),
            &[0, 10],
            &[10, 20],
        );
        check("0 is as fast as can be", (0, 4, 3), &[0, 5, 5], &[0, 0, 0]);
        check(
            "one that is late catches up",
            (100, 1, 0),
            &[0, 35, 35, 35, 35],
            &[0, 0, 0, 0, 5],
        );
        check(
            "by a second and no more",
            (1, 1, 0),
            &[0, 10_000, 10_000, 10_000],
            &[0, 0, 0, 1_000],
        );
    }
}
