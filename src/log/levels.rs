//! A number for each level: what was dropped, of which severity.

use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicU64, Ordering};

use super::Level;

/// Lines counted by level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByLevel([u64; Level::ALL.len()]);

impl ByLevel {
    /// How many of this level.
    pub fn of(&self, level: Level) -> u64 {
        self.0[level as usize]
    }

    /// All levels together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Level and number, the lowest level first.
    pub fn pairs(&self) -> impl Iterator<Item = (Level, u64)> + use<> {
        Level::ALL.into_iter().zip(self.0)
    }

    pub(super) fn count(&mut self, level: Level, count: u64) {
        self.0[level as usize] += count;
    }
}

impl Add for ByLevel {
    type Output = ByLevel;

    fn add(mut self, other: ByLevel) -> ByLevel {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum += more;
        }
        self
    }
}

impl Sub for ByLevel {
    type Output = ByLevel;

    fn sub(mut self, other: ByLevel) -> ByLevel {
        for (rest, less) in self.0.iter_mut().zip(other.0) {
            *rest = rest.saturating_sub(less);
        }
        self
    }
}

/// The same, counted by several threads.
#[derive(Debug, Default)]
pub(super) struct LevelCounters([AtomicU64; Level::ALL.len()]);

impl LevelCounters {
    pub(super) fn add_one(&self, level: Level) {
        self.0[level as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn store(&self, counts: ByLevel) {
        for (counter, count) in self.0.iter().zip(counts.0) {
            counter.store(count, Ordering::Relaxed);
        }
    }

    pub(super) fn read(&self) -> ByLevel {
        ByLevel(
            self.0
                .each_ref()
                .map(|counter| counter.load(Ordering::Relaxed)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_counted_apart_and_together() {
        let counters = LevelCounters::default();
        counters.add_one(Level::Debug);
        counters.add_one(Level::Critical);
        let (before, mut now) = (counters.read(), counters.read());
        now.count(Level::Debug, 2);
        let more = now - before;
        assert_eq!((more.of(Level::Debug), more.total()), (2, 2));
        assert_eq!((before - now).total(), 0, "never below zero");
        assert_eq!(
            (now + more).pairs().collect::<Vec<_>>(),
            [
                (Level::Debug, 5),
                (Level::Info, 0),
                (Level::Warn, 0),
                (Level::Error, 0),
                (Level::Critical, 1)
            ]
        );
    }
}
