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
    pub(super) callers: Callers,
    pub(super) thread: Thread,
}

/// Counted by those who finish traces. Apart from the rest, or each count would cost the other side one.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Callers {
    offered: AtomicU64,
    refused: AtomicU64,
}

/// Counted by the exporter's thread.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Thread {
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
        self.callers
            .offered
            .fetch_add(spans.into(), Ordering::Relaxed);
    }

    pub(super) fn refused(&self, spans: u32) {
        self.callers
            .refused
            .fetch_add(spans.into(), Ordering::Relaxed);
    }

    pub(super) fn settle(&self, end: &AtomicU64, spans: u64) {
        end.fetch_add(spans, Ordering::Relaxed);
        self.thread.held.fetch_sub(spans, Ordering::Relaxed);
    }

    pub(super) fn ledger(&self, spans_over_limit: u64) -> Ledger {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (held, taken, refused) = (
            read(&self.thread.held),
            read(&self.thread.taken),
            read(&self.callers.refused),
        );
        let sent = read(&self.thread.sent);
        let dropped = vec![
            ("queue_full", refused),
            ("buffer_full", read(&self.thread.buffer_full)),
            ("rejected", read(&self.thread.rejected)),
            ("too_large", read(&self.thread.too_large)),
            ("not_sent", read(&self.thread.not_sent)),
            ("trace_too_long", spans_over_limit),
        ];
        let offered = read(&self.callers.offered);
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
