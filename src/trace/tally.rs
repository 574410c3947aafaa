//! Chunks on their way, and where their spans end up.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::worker::Ledger;

/// The spans of one trace that finished together, encoded.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    pub(super) spans: u32,
}

/// Where the spans are. Counted in spans, not chunks: that is what a user lost or kept.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) offered: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) held: AtomicU64,
    pub(super) taken: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) buffer_full: AtomicU64,
    pub(super) rejected: AtomicU64,
    pub(super) too_large: AtomicU64,
    pub(super) not_sent: AtomicU64,
}

impl Tally {
    pub(super) fn offered(&self, spans: u32) {
        self.offered.fetch_add(spans.into(), Ordering::Relaxed);
    }

    pub(super) fn refused(&self, spans: u32) {
        self.refused.fetch_add(spans.into(), Ordering::Relaxed);
    }

    pub(super) fn settle(&self, end: &AtomicU64, spans: u64) {
        end.fetch_add(spans, Ordering::Relaxed);
        self.held.fetch_sub(spans, Ordering::Relaxed);
    }

    pub(super) fn ledger(&self, spans_over_limit: u64) -> Ledger {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (held, taken, refused) = (read(&self.held), read(&self.taken), read(&self.refused));
        let sent = read(&self.sent);
        let dropped = vec![
            ("queue_full", refused),
            ("buffer_full", read(&self.buffer_full)),
            ("rejected", read(&self.rejected)),
            ("too_large", read(&self.too_large)),
            ("not_sent", read(&self.not_sent)),
            ("trace_too_long", spans_over_limit),
        ];
        let offered = read(&self.offered);
        let queued = offered.saturating_sub(taken + refused);
        let offered = offered + spans_over_limit;
        Ledger {
            unit: "spans",
            offered,
            sent,
            dropped,
            pending: queued + held,
        }
    }
}
