//! Wall and monotonic time as a value, so that tests move it by hand.
//!
//! Invariant: durations come from the monotonic side alone, so a wall clock that jumps never makes
//! a span negative or a flush late.
//!
//! ```
//! use testapi::clock::Clock;
//!
//! let (clock, hand) = Clock::manual(1_700_000_000_000_000_000);
//! hand.advance_ns(1_500);
//! assert_eq!((clock.unix_ns(), clock.mono_ns()), (1_700_000_000_000_001_500, 1_500));
//! ```

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Tells the time. Cloning is cheap and every clone tells the same time.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    manual: Option<Arc<Manual>>,
}

/// Moves a manual clock.
#[derive(Clone, Debug)]
pub struct Hand(Arc<Manual>);

#[derive(Debug, Default)]
struct Manual {
    unix_ns: AtomicU64,
    mono_ns: AtomicU64,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Clock {
        Clock { manual: None }
    }

    /// A clock that stands at `unix_ns` until its hand moves it.
    pub fn manual(unix_ns: u64) -> (Clock, Hand) {
        let manual = Arc::new(Manual {
            unix_ns: unix_ns.into(),
            mono_ns: 0.into(),
        });
        (
            Clock {
                manual: Some(manual.clone()),
            },
            Hand(manual),
        )
    }

    /// Nanoseconds since 1970-01-01 UTC. May jump when the machine's clock is set.
    pub fn unix_ns(&self) -> u64 {
        match &self.manual {
            Some(manual) => manual.unix_ns.load(Ordering::Relaxed),
            None => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| {
                    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
                }),
        }
    }

    /// Nanoseconds since some fixed point of this process. Never goes back.
    pub fn mono_ns(&self) -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        match &self.manual {
            Some(manual) => manual.mono_ns.load(Ordering::Relaxed),
            None => {
                let since = START.get_or_init(Instant::now).elapsed();
                u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
            }
        }
    }
}

impl Hand {
    /// Moves both sides forward.
    pub fn advance_ns(&self, ns: u64) {
        self.0.unix_ns.fetch_add(ns, Ordering::Relaxed);
        self.0.mono_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// Sets the wall side alone, as an operator or NTP would; the monotonic side stays.
    pub fn set_unix_ns(&self, unix_ns: u64) {
        self.0.unix_ns.store(unix_ns, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_may_jump_back_and_the_monotonic_side_does_not_follow() {
        let (clock, hand) = Clock::manual(1_000);
        hand.advance_ns(500);
        hand.set_unix_ns(10);
        assert_eq!((clock.unix_ns(), clock.mono_ns()), (10, 500));
    }

    #[test]
    fn the_system_clock_is_after_2020_and_never_goes_back() {
        let clock = Clock::system();
        assert!(clock.unix_ns() > 1_577_836_800_000_000_000);
        let readings: Vec<u64> = (0..100).map(|_| clock.mono_ns()).collect();
        assert!(readings.is_sorted());
    }
}
