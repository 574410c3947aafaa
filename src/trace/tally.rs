//! Where the spans end up. Counted in spans, not chunks: that is what a user lost or kept.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::worker::{Dropped, Ledger};

/// What a chunk is worth when not all can be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Its sampling drops it; the Agent only counts it.
    #[default]
    Dropped,
    Kept,
    /// It has a span with an error.
    Error,
}

impl Class {
    pub(super) const ALL: [Class; 3] = [Class::Dropped, Class::Kept, Class::Error];

    /// Bytes of the queue that it may fill: the rest is for what is worth more.
    pub(super) fn share_of(self, queue_bytes_max: usize) -> usize {
        match self {
            Class::Dropped => queue_bytes_max / 2,
            Class::Kept => queue_bytes_max / 8 * 7,
            Class::Error => queue_bytes_max,
        }
    }
}

/// All counters of one tracer.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) callers: Callers,
    pub(super) thread: Thread,
}

/// Counted by those who make spans. Apart from the rest, or each count would cost the other side one.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Callers {
    entries_began: AtomicU64,
    entries_ended: AtomicU64,
    offered: AtomicU64,
    queue_full: AtomicU64,
    stopped: AtomicU64,
    too_large: AtomicU64,
    trace_too_long: AtomicU64,
    abandoned: AtomicU64,
    lost: AtomicU64,
}

/// Counted by the exporter's thread.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Thread {
    pub(super) held: AtomicU64,
    pub(super) taken: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) ends: [AtomicU64; ENDS.len()],
    pub(super) sends: Sends,
}

/// Ways for a span to end in the exporter without having been delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was the oldest of the least worth when the buffer was full.
    BufferFull,
    /// The Agent would not have it.
    Rejected,
    /// No payload holds it, or the Agent takes none so long.
    TooLarge,
    /// Handed over twice, and never answered.
    Unanswered,
    /// Still there when the exporter stopped.
    NotSent,
}

const ENDS: [(&str, End); 5] = [
    ("buffer_full", End::BufferFull),
    ("rejected", End::Rejected),
    ("too_large", End::TooLarge),
    ("unanswered", End::Unanswered),
    ("not_sent", End::NotSent),
];

/// Payloads, for the tracer's health metrics.
#[derive(Debug, Default)]
pub(super) struct Sends {
    pub(super) payloads: AtomicU64,
    pub(super) payload_bytes: AtomicU64,
    pub(super) payload_chunks: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) splits: AtomicU64,
    pub(super) failed: AtomicU64,
    /// Answers by status: 2xx, 3xx, 4xx, 5xx.
    pub(super) answers: [AtomicU64; 4],
}

/// What a tracer did, in numbers that only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceCounts {
    /// Spans that began. Children are counted when they end.
    pub spans_started: u64,
    /// Spans that ended.
    pub spans_finished: u64,
    /// Traces that ended unasked, because nobody ended them for ten minutes or too many were inside
    /// one another.
    pub traces_abandoned: u64,
    /// Payloads that the Agent has taken.
    pub payloads: u64,
    /// Their bytes.
    pub payload_bytes: u64,
    /// Chunks in them.
    pub payload_chunks: u64,
    /// Payloads that were sent again, or kept for that.
    pub retries: u64,
    /// Payloads that were cut in two, because the Agent found them too long.
    pub splits: u64,
    /// Exchanges without an answer.
    pub failed: u64,
    /// Answers with status 200 to 299, 300 to 399, 400 to 499 and the rest.
    pub answers: [u64; 4],
}

impl Callers {
    /// An entry span began.
    pub(super) fn began(&self) {
        self.entries_began.fetch_add(1, Ordering::Relaxed);
    }

    /// An entry span ended.
    pub(super) fn ended(&self) {
        self.entries_ended.fetch_add(1, Ordering::Relaxed);
    }

    /// A chunk is complete.
    pub(super) fn finished(&self, spans: u32) {
        self.offered.fetch_add(spans.into(), Ordering::Relaxed);
    }

    pub(super) fn refused(&self, dropped: Dropped, spans: u32) {
        let counter = match dropped {
            Dropped::Full => &self.queue_full,
            Dropped::Stopped => &self.stopped,
        };
        counter.fetch_add(spans.into(), Ordering::Relaxed);
    }

    /// A chunk that no payload holds.
    pub(super) fn too_large(&self, spans: u32) {
        self.too_large.fetch_add(spans.into(), Ordering::Relaxed);
    }

    /// A span of a trace that has too many.
    pub(super) fn trace_too_long(&self) {
        self.trace_too_long.fetch_add(1, Ordering::Relaxed);
    }

    /// Spans whose thread ended before they did.
    pub(super) fn lost(&self, spans: u32) {
        self.lost.fetch_add(spans.into(), Ordering::Relaxed);
    }

    pub(super) fn abandoned(&self) {
        self.abandoned.fetch_add(1, Ordering::Relaxed);
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Tally {
    /// Spans that the exporter took in.
    pub(super) fn took(&self, spans: u64) {
        self.thread.taken.fetch_add(spans, Ordering::Relaxed);
        self.thread.held.fetch_add(spans, Ordering::Relaxed);
    }

    pub(super) fn delivered(&self, spans: u64) {
        self.thread.sent.fetch_add(spans, Ordering::Relaxed);
        self.thread.held.fetch_sub(spans, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, end: End, spans: u64) {
        let known = ENDS.iter().zip(&self.thread.ends);
        for ((_, known), counter) in known {
            if *known == end {
                counter.fetch_add(spans, Ordering::Relaxed);
            }
        }
        self.thread.held.fetch_sub(spans, Ordering::Relaxed);
    }

    pub(super) fn ledger(&self) -> Ledger {
        let (held, taken) = (read(&self.thread.held), read(&self.thread.taken));
        let callers = &self.callers;
        let (full, stopped) = (read(&callers.queue_full), read(&callers.stopped));
        let (too_large, too_long) = (read(&callers.too_large), read(&callers.trace_too_long));
        let lost = read(&callers.lost);
        let refused = full + stopped + too_large + lost;
        let sent = read(&self.thread.sent);
        let mut dropped = vec![("queue_full", full), ("stopped", stopped)];
        for ((reason, end), counter) in ENDS.iter().zip(&self.thread.ends) {
            let early = if *end == End::TooLarge { too_large } else { 0 };
            dropped.push((reason, read(counter) + early));
        }
        dropped.push(("trace_too_long", too_long));
        dropped.push(("thread_ended", lost));
        let offered = read(&self.callers.offered);
        let queued = offered.saturating_sub(taken + refused);
        Ledger {
            unit: "spans",
            offered: offered + too_long,
            sent,
            dropped,
            pending: queued + held,
        }
    }

    pub(super) fn counts(&self) -> TraceCounts {
        let sends = &self.thread.sends;
        let callers = &self.callers;
        let ended = read(&callers.entries_ended);
        let finished = read(&callers.offered) + read(&callers.trace_too_long);
        let running = read(&callers.entries_began).saturating_sub(ended);
        TraceCounts {
            spans_started: finished + running,
            spans_finished: finished,
            traces_abandoned: read(&self.callers.abandoned),
            payloads: read(&sends.payloads),
            payload_bytes: read(&sends.payload_bytes),
            payload_chunks: read(&sends.payload_chunks),
            retries: read(&sends.retries),
            splits: read(&sends.splits),
            failed: read(&sends.failed),
            answers: std::array::from_fn(|at| read(&sends.answers[at])),
        }
    }
}
