//! So many in a second, and no more.

use std::sync::{Mutex, PoisonError};

const SECOND_NS: u64 = 1_000_000_000;

/// A bucket of tokens that fills evenly and holds those of one second; full at the start.
#[derive(Debug)]
pub(super) struct Limiter {
    per_second: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// In parts of a token: one is a nanosecond's worth at one a second.
    parts: f64,
    filled_ns: u64,
    /// The second that is counted, and what was counted in it and in the one before.
    second: u64,
    now: Seen,
    before: Seen,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    asked: u64,
    allowed: u64,
}

impl Limiter {
    /// 0 allows none, less than 0 all (dd-trace-py, `ddtrace/internal/rate_limiter.py`).
    pub(super) fn new(per_second: f64) -> Limiter {
        let state = State {
            parts: burst_parts(per_second),
            filled_ns: 0,
            second: 0,
            now: Seen::default(),
            before: Seen::default(),
        };
        Limiter {
            per_second,
            state: state.into(),
        }
    }

    /// Whether one more is allowed, and the share that was, this one included, over this second and the
    /// one before (dd-trace-go, `internal/samplingrules/samplingrules.go`).
    pub(super) fn ask(&self, now_ns: u64) -> (bool, f64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.turn(now_ns / SECOND_NS);
        let allowed = self.per_second < 0.0 || state.take(self.per_second, now_ns);
        state.now.asked += 1;
        state.now.allowed += u64::from(allowed);
        let State { now, before, .. } = &*state;
        let share = (before.allowed + now.allowed) as f64 / (before.asked + now.asked) as f64;
        (allowed, share)
    }
}

impl State {
    fn turn(&mut self, second: u64) {
        // Threads read the clock before they come here, so one may be late by a little.
        if second <= self.second {
            return;
        }
        let is_next = second == self.second + 1;
        self.before = if is_next { self.now } else { Seen::default() };
        self.now = Seen::default();
        self.second = second;
    }

    fn take(&mut self, per_second: f64, now_ns: u64) -> bool {
        let passed_ns = now_ns.saturating_sub(self.filled_ns);
        self.filled_ns += passed_ns;
        let filled = self.parts + passed_ns as f64 * per_second;
        self.parts = filled.min(burst_parts(per_second));
        let has_one = self.parts >= SECOND_NS as f64;
        if has_one {
            self.parts -= SECOND_NS as f64;
        }
        has_one
    }
}

/// A limit under one a second still allows one at once.
fn burst_parts(per_second: f64) -> f64 {
    per_second.ceil() * SECOND_NS as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks at these milliseconds; `+` is allowed.
    #[track_caller]
    fn check(rule: &str, per_second: f64, at_ms: &[u64], allowed: &str) {
        let limiter = Limiter::new(per_second);
        let seen = at_ms.iter().map(|ms| {
            if limiter.ask(ms * 1_000_000).0 {
                '+'
            } else {
                '-'
            }
        });
        assert_eq!(seen.collect::<String>(), allowed, "{rule}");
    }

    #[test]
    fn a_second_holds_so_many() {
        check("one", 1.0, &[0, 0, 999, 1_000, 1_001, 2_000], "+--+-+");
        check("a burst of all", 3.0, &[0, 0, 0, 0], "+++-");
        check(
            "filled evenly",
            2.0,
            &[0, 0, 499, 500, 500, 1_000, 1_000],
            "++-+-+-",
        );
        check(
            "never more than a second's",
            2.0,
            &[0, 0, 9_000, 9_000, 9_000],
            "++++-",
        );
        check(
            "less than one a second",
            0.5,
            &[0, 1_999, 2_000, 3_999, 4_000],
            "+-+-+",
        );
        check("more than two, less than three", 2.5, &[0, 0, 0, 0], "+++-");
        check("none", 0.0, &[0, 1_000, 60_000], "---");
        check("no limit", -1.0, &[0, 0, 0], "+++");
        check(
            "a late thread takes nothing away",
            1.0,
            &[1_000, 500, 1_500, 2_000],
            "+--+",
        );
        check("a limit that is no number", f64::NAN, &[0, 5_000], "--");
        check("a limit without end", f64::INFINITY, &[0, 0, 1], "+++");
    }

    #[test]
    fn a_hundred_a_second_at_any_pace_is_a_hundred_a_second() {
        for pace_ns in [10_000_000, 1_000_000, 333_333, 9_999_999] {
            let limiter = Limiter::new(100.0);
            let asked = 10 * SECOND_NS / pace_ns;
            let allowed = (0..asked).filter(|n| limiter.ask(n * pace_ns).0).count() as u64;
            let most = asked.min(100 + 1_000);
            assert!(
                (most - 1..=most).contains(&allowed),
                "{allowed} at {pace_ns}"
            );
        }
    }

    #[test]
    fn the_share_is_that_of_this_second_and_the_one_before() {
        let limiter = Limiter::new(2.0);
        for (at_ms, share) in [
            (0, 1.0),
            (0, 1.0),
            (0, 2.0 / 3.0),
            (100, 2.0 / 4.0),
            // Counted with the second before.
            (1_100, 3.0 / 5.0),
            (1_100, 4.0 / 6.0),
            // Only with the one before, of two.
            (2_999, 3.0 / 3.0),
            // A second without any is forgotten.
            (4_000, 1.0),
        ] {
            assert_eq!(limiter.ask(at_ms * 1_000_000).1, share, "at {at_ms}");
        }
        assert_eq!(Limiter::new(0.0).ask(0), (false, 0.0));
        assert_eq!(Limiter::new(-1.0).ask(0), (true, 1.0));
    }

    #[test]
    fn threads_share_the_bucket() {
        let limiter = Limiter::new(100.0);
        let allowed = std::thread::scope(|scope| {
            let ask = || (0..1_000).filter(|_| limiter.ask(7).0).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum::<usize>()
        });
        assert_eq!(allowed, 100);
    }
}
