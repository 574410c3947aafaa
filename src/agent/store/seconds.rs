//! How many in each of the last 60 seconds.

/// A ring of 60 counters, one a second.
#[derive(Clone, Debug)]
pub(crate) struct Seconds {
    counts: [u32; 60],
    last: u64,
}

impl Default for Seconds {
    fn default() -> Seconds {
        Seconds {
            counts: [0; 60],
            last: 0,
        }
    }
}

impl Seconds {
    pub(crate) fn add(&mut self, unix_us: u64, count: u64) {
        self.move_to(unix_us / 1_000_000);
        let slot = &mut self.counts[(self.last % 60) as usize];
        *slot = slot.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// Oldest first; the last is the second that is still running.
    pub(crate) fn view(&self, now_unix_us: u64) -> Vec<u32> {
        let mut ring = self.clone();
        ring.move_to(now_unix_us / 1_000_000);
        (1..=60)
            .map(|ago| ring.counts[((ring.last + ago) % 60) as usize])
            .collect()
    }

    /// Mean over the last ten finished seconds.
    pub(crate) fn rate(&self, now_unix_us: u64) -> f64 {
        self.view(now_unix_us)[49..59]
            .iter()
            .map(|count| f64::from(*count))
            .sum::<f64>()
            / 10.0
    }

    /// A wall clock that went back keeps counting into the newest second.
    fn move_to(&mut self, second: u64) {
        let gone = second.saturating_sub(self.last).min(60);
        for ahead in 1..=gone {
            self.counts[((second - gone + ahead) % 60) as usize] = 0;
        }
        self.last = self.last.max(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_sixty_seconds_and_forgets_the_rest() {
        let mut ring = Seconds::default();
        let at = |second: u64| (1_700_000_000 + second) * 1_000_000;
        ring.add(at(0), 3);
        ring.add(at(5), 4);
        ring.add(at(3), 1);
        let seen = ring.view(at(5));
        assert_eq!((seen[54], seen[59], seen.iter().sum::<u32>()), (3, 5, 8));
        assert_eq!(ring.view(at(64))[0], 5);
        assert_eq!(ring.view(at(65)), [0; 60]);
        assert_eq!((ring.rate(at(6)), ring.rate(at(16))), (0.8, 0.0));
        assert_eq!(Seconds::default().view(u64::MAX), [0; 60]);
    }
}
