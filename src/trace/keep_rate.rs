//! The share of spans that lately were not lost: what the Agent scales its counts with, `_dd.tracer_kr`.

use std::collections::VecDeque;

/// Flushes that count as lately, as in dd-trace-py (`ddtrace/internal/writer`).
const WINDOWS: usize = 10;

/// From two totals that only grow.
#[derive(Debug, Default)]
pub(super) struct KeepRate {
    windows: VecDeque<(u64, u64)>,
    last: (u64, u64),
}

impl KeepRate {
    /// One more flush; returns the share.
    pub(super) fn next(&mut self, offered: u64, lost: u64) -> f64 {
        let (before_offered, before_lost) = std::mem::replace(&mut self.last, (offered, lost));
        if self.windows.len() == WINDOWS {
            self.windows.pop_front();
        }
        let more = (
            offered.saturating_sub(before_offered),
            lost.saturating_sub(before_lost),
        );
        self.windows.push_back(more);
        let sum = |of: fn(&(u64, u64)) -> u64| self.windows.iter().map(of).sum::<u64>();
        let (offered, lost) = (sum(|window| window.0), sum(|window| window.1));
        match offered {
            0 => 1.0,
            // What is lost now may have been offered before the first of these windows.
            _ => 1.0 - (lost as f64 / offered as f64).min(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_forgotten_after_ten_flushes() {
        let mut rate = KeepRate::default();
        assert_eq!(rate.next(0, 0), 1.0);
        assert_eq!(rate.next(100, 50), 0.5);
        assert_eq!(rate.next(200, 50), 0.75);
        for _ in 0..8 {
            assert_eq!(rate.next(200, 50), 0.75);
        }
        assert_eq!(rate.next(300, 50), 1.0);
        assert_eq!(rate.next(300, 900), 0.0, "never below nothing");
    }
}
