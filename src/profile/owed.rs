//! Samples of a profile that is under way: somebody has to say what became of them.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::counts::Counts;

/// Counted as failed unless it is settled, so a panic on the way loses no sample unseen.
#[derive(Debug)]
pub(super) struct Owed {
    counts: Arc<Counts>,
    samples: u64,
}

impl Owed {
    pub(super) fn new(counts: &Arc<Counts>, samples: u64) -> Owed {
        let counts = counts.clone();
        Owed { counts, samples }
    }

    pub(super) fn settle(mut self, counter: impl FnOnce(&Counts) -> &AtomicU64) {
        Counts::add(counter(&self.counts), self.samples);
        self.samples = 0;
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        Counts::add(&self.counts.failed, self.samples);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_settled_has_failed() {
        let counts = Arc::new(Counts::default());
        Owed::new(&counts, 3).settle(|counts| &counts.sent);
        Owed::new(&counts, 4).settle(|counts| &counts.refused);
        drop(Owed::new(&counts, 5));
        let ledger = counts.ledger();
        let of = |reason| ledger.dropped.iter().find(|(name, _)| *name == reason);
        assert_eq!(ledger.sent, 3);
        assert_eq!(
            (of("refused"), of("failed")),
            (Some(&("refused", 4)), Some(&("failed", 5)))
        );
    }
}
