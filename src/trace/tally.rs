//! Chunks on their way, and where their spans end up.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::worker::{Dropped, Ledger};

/// Finished chunks one behind the other; a chunk is the spans of one trace that finished together.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    pub(super) bytes: Vec<u8>,
    /// End of each chunk in `bytes`, and its spans.
    pub(super) ends: Vec<(usize, u32)>,
}

impl Chunks {
    /// Appends one chunk, given in parts.
    pub(super) fn push(&mut self, parts: &[&[u8]], spans: u32) {
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.ends.push((self.bytes.len(), spans));
    }

    /// Each chunk and its spans.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], u32)> {
        let mut start = 0;
        self.ends.iter().map(move |(end, spans)| {
            let chunk = &self.bytes[start..*end];
            start = *end;
            (chunk, *spans)
        })
    }

    pub(super) fn spans(&self) -> u64 {
        self.ends.iter().map(|(_, spans)| u64::from(*spans)).sum()
    }

    /// Empties it; keeps its memory unless that is more than so many bytes.
    pub(super) fn clear(&mut self, bytes_max: usize) {
        if self.bytes.capacity() > bytes_max {
            *self = Chunks::default();
        }
        self.bytes.clear();
        self.ends.clear();
    }

    /// Two halves of one that was too large.
    pub(super) fn halves(mut self) -> (Chunks, Chunks) {
        let half = self.ends.len() / 2;
        let at = self.ends[half - 1].0;
        let rest = Chunks {
            bytes: self.bytes.split_off(at),
            ends: self
                .ends
                .split_off(half)
                .iter()
                .map(|(end, n)| (end - at, *n))
                .collect(),
        };
        (self, rest)
    }
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
    queue_full: AtomicU64,
    stopped: AtomicU64,
    too_large: AtomicU64,
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

impl Callers {
    pub(super) fn refused(&self, dropped: Dropped, spans: u32) {
        let counter = match dropped {
            Dropped::Full => &self.queue_full,
            Dropped::Stopped => &self.stopped,
        };
        counter.fetch_add(spans.into(), Ordering::Relaxed);
    }

    /// A trace that no payload holds.
    pub(super) fn too_large(&self, spans: u32) {
        self.too_large.fetch_add(spans.into(), Ordering::Relaxed);
    }
}

impl Tally {
    pub(super) fn offered(&self, spans: u32) {
        self.callers
            .offered
            .fetch_add(spans.into(), Ordering::Relaxed);
    }

    pub(super) fn settle(&self, end: &AtomicU64, spans: u64) {
        end.fetch_add(spans, Ordering::Relaxed);
        self.thread.held.fetch_sub(spans, Ordering::Relaxed);
    }

    pub(super) fn ledger(&self, spans_over_limit: u64) -> Ledger {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (held, taken) = (read(&self.thread.held), read(&self.thread.taken));
        let callers = &self.callers;
        let (full, stopped) = (read(&callers.queue_full), read(&callers.stopped));
        let too_large = read(&callers.too_large);
        let refused = full + stopped + too_large;
        let sent = read(&self.thread.sent);
        let dropped = vec![
            ("queue_full", full),
            ("stopped", stopped),
            ("buffer_full", read(&self.thread.buffer_full)),
            ("rejected", read(&self.thread.rejected)),
            ("too_large", read(&self.thread.too_large) + too_large),
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
