//! When a sampler does what.

use std::time::Duration;

use super::Options;

/// More would be felt, and the kernel looks at its timers hardly as often.
const HZ_MAX: u32 = 1_000;
/// A thread that waits in a system call with a time limit begins it anew after each look, in libraries that do not
/// count the time: seldom enough, such limits still hold.
const WALL_HZ_MAX: u32 = 100;

/// When things are due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) cpu_period_ns: u64,
    /// 0 for none.
    pub(super) wall_period_ns: u64,
    pub(super) first_upload_ns: u64,
    pub(super) upload_interval_ns: u64,
    pub(super) hotspots: bool,
}

impl Pace {
    pub(super) fn of(options: &Options) -> Pace {
        let period = |hz: u32| 1_000_000_000_u64.checked_div(u64::from(hz)).unwrap_or(0);
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 2);
        let interval_ns = ns(options.upload_interval).clamp(1, u64::MAX / 2);
        Pace {
            cpu_period_ns: period(options.cpu_hz.clamp(1, HZ_MAX)),
            wall_period_ns: period(options.wall_hz.min(WALL_HZ_MAX)),
            first_upload_ns: ns(options.first_upload).min(interval_ns),
            upload_interval_ns: interval_ns,
            hotspots: options.hotspots,
        }
    }

    /// Time between two looks at the rings: a turn, or five samples of a thread that is never idle.
    pub(super) fn tick(&self) -> Duration {
        let turn_ns = match self.wall_period_ns {
            0 => u64::MAX,
            period => period,
        };
        let ns = turn_ns.min(self.cpu_period_ns * 5);
        Duration::from_nanos(ns.clamp(5_000_000, 50_000_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_become_periods_within_their_bounds() {
        let pace = |cpu_hz, wall_hz| {
            let pace = Pace::of(&Options {
                cpu_hz,
                wall_hz,
                ..Options::default()
            });
            (
                pace.cpu_period_ns,
                pace.wall_period_ns,
                pace.tick().as_micros(),
            )
        };
        for (rule, rates, expected) in [
            ("the usual", (99, 20), (10_101_010, 50_000_000, 50_000)),
            ("no turns", (99, 0), (10_101_010, 0, 50_000)),
            (
                "as fast as it goes",
                (1_000, 100),
                (1_000_000, 10_000_000, 5_000),
            ),
            ("no faster", (5_000, 5_000), (1_000_000, 10_000_000, 5_000)),
            (
                "no samples is one a second",
                (0, 1),
                (1_000_000_000, 1_000_000_000, 50_000),
            ),
            (
                "turns more often than samples",
                (10, 50),
                (100_000_000, 20_000_000, 20_000),
            ),
        ] {
            assert_eq!(pace(rates.0, rates.1), expected, "{rule}");
        }
    }

    #[test]
    fn the_first_upload_is_never_later_than_the_others() {
        let seconds = |first, interval| {
            let pace = Pace::of(&Options {
                first_upload: Duration::from_secs(first),
                upload_interval: Duration::from_secs(interval),
                ..Options::default()
            });
            (
                pace.first_upload_ns / 1_000_000_000,
                pace.upload_interval_ns / 1_000_000_000,
            )
        };
        assert_eq!(seconds(10, 60), (10, 60));
        assert_eq!(seconds(10, 5), (5, 5));
        assert_eq!(seconds(0, 60), (0, 60));
    }
}
