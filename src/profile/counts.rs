//! Where every sample went.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::worker::Ledger;

/// Counters that the sampler and the uploader share. The unit is a sample: one look at one thread.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Looks that found a stack or would have.
    pub(super) offered: AtomicU64,
    /// In profiles that an Agent took, or that were written where no Agent is asked.
    pub(super) sent: AtomicU64,
    /// The thread's ring was full. Its CPU time goes to the thread's next sample.
    pub(super) ring_full: AtomicU64,
    /// More different stacks than one upload holds.
    pub(super) crowded: AtomicU64,
    /// In profiles that no Agent could be handed.
    pub(super) unreachable: AtomicU64,
    /// In profiles that the Agent refused.
    pub(super) refused: AtomicU64,
    /// The profile could not be made.
    pub(super) failed: AtomicU64,
}

impl Counts {
    pub(super) fn add(counter: &AtomicU64, more: u64) {
        counter.fetch_add(more, Ordering::Relaxed);
    }

    /// Outcomes are read before offers: what moves meanwhile shows as pending.
    pub(super) fn ledger(&self) -> Ledger {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let sent = read(&self.sent);
        let dropped = vec![
            ("ring_full", read(&self.ring_full)),
            ("crowded", read(&self.crowded)),
            ("unreachable", read(&self.unreachable)),
            ("refused", read(&self.refused)),
            ("failed", read(&self.failed)),
        ];
        let gone: u64 = sent + dropped.iter().map(|(_, count)| count).sum::<u64>();
        let offered = read(&self.offered);
        Ledger {
            unit: "samples",
            offered,
            sent,
            dropped,
            pending: offered.saturating_sub(gone),
        }
    }
}
