//! When a window ends: by the wall clock, so that each lies whole in one bucket of the Agent.

use std::time::Duration;

use crate::clock::Clock;

/// The Agent adds up what arrives in ten seconds, counted from 1970 (datadog-agent,
/// `pkg/aggregator/time_sampler.go`).
const BUCKET: Duration = Duration::from_secs(10);

/// A window ends so long before its full time: the way to the Agent and its own queues take some.
const AHEAD: Duration = Duration::from_millis(300);

/// How often to look whether the window has ended.
const TICK: Duration = Duration::from_millis(100);

/// One window after another.
#[derive(Debug)]
pub(super) struct Windows {
    clock: Clock,
    window_ns: u64,
    /// Longer than a bucket, a window fits into none, wherever it ends.
    aligned: bool,
    number: u64,
    began_ns: u64,
}

impl Windows {
    pub(super) fn new(window: Duration, clock: Clock) -> Windows {
        let mut windows = Windows {
            window_ns: nanoseconds(window).max(1),
            aligned: window <= BUCKET,
            number: 0,
            began_ns: clock.mono_ns(),
            clock,
        };
        windows.number = windows.number_now();
        windows
    }

    /// What the worker's interval should be.
    pub(super) fn tick(window: Duration) -> Duration {
        window.min(TICK)
    }

    /// Whether the window has ended; if so, the next begins. A wall clock that stands still or jumps
    /// holds nothing up: after twice the window it is over in any case.
    pub(super) fn has_ended(&mut self) -> bool {
        let (number, now_ns) = (self.number_now(), self.clock.mono_ns());
        let passed_ns = now_ns.saturating_sub(self.began_ns);
        let ended = if self.aligned {
            number != self.number || passed_ns >= self.window_ns.saturating_mul(2)
        } else {
            passed_ns >= self.window_ns
        };
        if ended {
            (self.number, self.began_ns) = (number, now_ns);
        }
        ended
    }

    fn number_now(&self) -> u64 {
        self.clock.unix_ns().saturating_add(nanoseconds(AHEAD)) / self.window_ns
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    /// A multiple of every window here.
    const START_NS: u64 = 1_700_000_000_000 * MS;

    /// Each step moves the clock by so many milliseconds; the marks say where a window ended.
    #[track_caller]
    fn check(rule: &str, window_ms: u64, steps_ms: &[u64], ended: &str) {
        let (clock, hand) = Clock::manual(START_NS);
        let mut windows = Windows::new(Duration::from_millis(window_ms), clock);
        let mark = |step: &u64| {
            hand.advance_ns(step * MS);
            if windows.has_ended() { 'x' } else { '-' }
        };
        let marks: String = steps_ms.iter().map(mark).collect();
        assert_eq!(marks, ended, "{rule}");
    }

    #[test]
    fn windows_end_just_before_their_full_time() {
        check("300 ms ahead", 2_000, &[0, 1_699, 1, 1_999, 1], "--x-x");
        check("one a window", 2_000, &[1_700, 100, 1_800, 100], "x--x");
        check("a late tick", 2_000, &[1_900, 1_799, 1], "x-x");
        check("several missed are one", 2_000, &[9_000, 700], "xx");
        check("a bucket", 10_000, &[9_699, 1, 9_999, 1], "-x-x");
        check("shorter than the lead", 50, &[49, 1, 49, 1], "-x-x");
        check("longer than a bucket", 20_000, &[19_700, 299, 1], "--x");
        check("nothing", 0, &[0, 1], "-x");
    }

    #[test]
    fn a_wall_clock_that_jumps_holds_nothing_up() {
        let (clock, hand) = Clock::manual(START_NS);
        let mut windows = Windows::new(Duration::from_secs(2), clock);
        hand.set_unix_ns(START_NS - 3_600_000 * MS);
        assert!(windows.has_ended(), "back an hour");
        hand.set_unix_ns(START_NS + 3_600_000 * MS);
        assert!(windows.has_ended(), "forth two");
        for _ in 0..3 {
            for (ms, ended) in [(3_999, false), (1, true)] {
                hand.advance_ns(ms * MS);
                hand.set_unix_ns(START_NS + 3_600_000 * MS);
                assert_eq!(windows.has_ended(), ended, "it stands still");
            }
        }
    }
}
