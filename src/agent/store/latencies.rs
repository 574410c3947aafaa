//! How long requests took in each of the last 60 seconds, in buckets a fifth apart.

/// Four buckets a doubling, from a microsecond on: 26 doublings reach past a minute.
const BUCKETS: usize = 4 * 26;
const FIRST_DOUBLING: u32 = 10;

/// A ring of 60 small histograms, one a second.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    seconds: Vec<[u16; BUCKETS]>,
    last: u64,
}

impl Default for Latencies {
    fn default() -> Latencies {
        Latencies {
            seconds: vec![[0; BUCKETS]; 60],
            last: 0,
        }
    }
}

impl Latencies {
    pub(crate) fn add(&mut self, unix_us: u64, took_ns: u64) {
        let second = unix_us / 1_000_000;
        let gone = second.saturating_sub(self.last).min(60);
        for ahead in 1..=gone {
            self.seconds[((second - gone + ahead) % 60) as usize] = [0; BUCKETS];
        }
        self.last = self.last.max(second);
        let slot = &mut self.seconds[(self.last % 60) as usize][bucket(took_ns)];
        *slot = slot.saturating_add(1);
    }

    /// The value that `percent` of each second's requests stayed below, in nanoseconds, oldest first; of a
    /// second without requests the value before it.
    pub(crate) fn history(&self, now_unix_us: u64, percent: u32) -> Vec<u64> {
        let now = (now_unix_us / 1_000_000).max(self.last);
        let mut kept = 0;
        (0..60)
            .map(|ago| {
                let second = (now + ago).saturating_sub(59);
                let known = second <= self.last && second + 60 > self.last;
                let counts = known.then(|| &self.seconds[(second % 60) as usize]);
                kept = counts
                    .and_then(|counts| percentile(counts, percent))
                    .unwrap_or(kept);
                kept
            })
            .collect()
    }
}

fn percentile(counts: &[u16; BUCKETS], percent: u32) -> Option<u64> {
    let total: u32 = counts.iter().map(|count| u32::from(*count)).sum();
    let mut left = (total * percent).div_ceil(100);
    for (at, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        left = left.saturating_sub(u32::from(*count));
        if left == 0 {
            return Some(middle_ns(at));
        }
    }
    None
}

fn bucket(took_ns: u64) -> usize {
    let doubling = took_ns.max(1).ilog2();
    if doubling < FIRST_DOUBLING {
        return 0;
    }
    let quarter = (took_ns >> (doubling - 2)) & 3;
    ((doubling - FIRST_DOUBLING) as usize * 4 + quarter as usize).min(BUCKETS - 1)
}

fn middle_ns(bucket: usize) -> u64 {
    let unit = 1_u64 << (bucket as u32 / 4 + FIRST_DOUBLING - 2);
    unit * (4 + bucket as u64 % 4) + unit / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_within_an_eighth_of_what_fell_into_it() {
        for ns in [
            1_024_u64,
            5_000,
            21_000,
            1_000_000,
            999_999_999,
            30_000_000_000,
        ] {
            let middle = middle_ns(bucket(ns));
            assert!(middle.abs_diff(ns) * 8 <= ns + 8, "{ns} became {middle}");
        }
        assert_eq!(
            (bucket(0), bucket(1_023), bucket(u64::MAX)),
            (0, 0, BUCKETS - 1)
        );
    }

    #[test]
    fn it_keeps_sixty_seconds_and_bridges_empty_ones() {
        let at = |second: u64| (1_700_000_000 + second) * 1_000_000;
        let mut ring = Latencies::default();
        for _ in 0..99 {
            ring.add(at(0), 10_000);
        }
        ring.add(at(0), 50_000_000);
        ring.add(at(5), 20_000);
        let (p50, p99) = (ring.history(at(6), 50), ring.history(at(6), 99));
        assert_eq!((p50.len(), p50[52]), (60, 0));
        assert!(
            p50[53] < 12_000 && p50[57] == p50[53] && p50[58] > 16_000,
            "{p50:?}"
        );
        assert!(p99[53] < 12_000, "99 of 100 were fast: {p99:?}");
        assert!(ring.history(at(600), 50).iter().all(|ns| *ns == 0));
        assert_eq!(Latencies::default().history(0, 50), [0; 60]);
    }
}
