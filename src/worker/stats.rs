//! Counters, as they are read and as they are kept.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counters of one worker, the same for every room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Items that were offered.
    pub offered: u64,
    /// Items that the job took.
    pub taken: u64,
    /// Items refused because the queue was at a bound.
    pub dropped_full: u64,
    /// Items refused after the stop.
    pub dropped_stopped: u64,
    /// Items still queued.
    pub pending: u64,
    /// Flushes that succeeded.
    pub flushed: u64,
    /// Flushes that failed.
    pub flush_failed: u64,
    /// Panics caught in the job.
    pub panics: u64,
    /// What the last flush said, if it failed. Cleared by the next that succeeds.
    pub last_error: Option<String>,
}

/// Where every item of an exporter went, in the exporter's own unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// What the unit is: `spans`, `samples`, `lines`.
    pub unit: &'static str,
    /// Handed in.
    pub offered: u64,
    /// Handed to the socket or the file.
    pub sent: u64,
    /// Given up, by reason.
    pub dropped: Vec<(&'static str, u64)>,
    /// Still held.
    pub pending: u64,
}

impl Ledger {
    /// Whether every item is accounted for. True at rest; a reading in flight may be off by what moves.
    pub fn balances(&self) -> bool {
        self.offered == self.sent + self.dropped_total() + self.pending
    }

    /// All drops together.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().map(|(_, count)| count).sum()
    }
}

/// What the handles, the guard and the thread share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) callers: Apart<Callers>,
    pub(super) thread: Apart<Thread>,
    pub(super) queue_bytes: Apart<AtomicUsize>,
    pub(super) queue_bytes_max: usize,
    pub(super) stopped: AtomicBool,
    pub(super) last_flush_ok: AtomicBool,
    pub(super) last_error: Mutex<Option<String>>,
}

/// On cache lines of its own: what callers count and what the thread counts would else be carried to and
/// fro between two cores with every item. Processors fetch lines in pairs, hence twice 64 bytes.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Apart<T>(pub(super) T);

/// Counted by callers.
#[derive(Default)]
pub(super) struct Callers {
    pub(super) offered: AtomicU64,
    pub(super) dropped_full: AtomicU64,
    pub(super) dropped_stopped: AtomicU64,
}

/// Counted by the thread.
#[derive(Default)]
pub(super) struct Thread {
    pub(super) taken: AtomicU64,
    pub(super) flushed: AtomicU64,
    pub(super) flush_failed: AtomicU64,
    pub(super) panics: AtomicU64,
}

impl Shared {
    pub(super) fn new(queue_bytes_max: usize) -> Shared {
        Shared {
            queue_bytes_max,
            last_flush_ok: AtomicBool::new(true),
            ..Shared::default()
        }
    }

    pub(super) fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // Outcomes before offers: a reading in flight then shows too many pending, never too few.
        let taken = read(&self.thread.0.taken);
        let dropped_full = read(&self.callers.0.dropped_full);
        let dropped_stopped = read(&self.callers.0.dropped_stopped);
        let offered = read(&self.callers.0.offered);
        Stats {
            offered,
            taken,
            dropped_full,
            dropped_stopped,
            pending: offered.saturating_sub(taken + dropped_full + dropped_stopped),
            flushed: read(&self.thread.0.flushed),
            flush_failed: read(&self.thread.0.flush_failed),
            panics: read(&self.thread.0.panics),
            last_error: self
                .last_error
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }
}
