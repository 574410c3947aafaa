//! What the callers, the worker and standard output count, and ask of one another.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::held::Lines;
use super::levels::LevelCounters;

/// Shared by the handles and the threads.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// By callers: refused by a full queue, or after the stop.
    pub(super) full: LevelCounters,
    pub(super) stopped: LevelCounters,
    /// By the worker: of what it took.
    pub(super) sent: AtomicU64,
    pub(super) io_error: LevelCounters,
    pub(super) held: AtomicU64,
    /// Lines that the worker itself has added.
    pub(super) own: AtomicU64,
    pub(super) reopened: AtomicU64,
    pub(super) reopen_failed: AtomicU64,
    pub(super) rotated: AtomicU64,
    pub(super) rotate_failed: AtomicU64,
    pub(super) stdout_lost: AtomicU64,
    /// Handed to the thread of standard output, and neither shown nor lost so far.
    pub(super) stdout_waiting: AtomicU64,
    pub(super) stdout_closed: AtomicBool,
    /// Calls for the worker that it has not answered.
    called: AtomicUsize,
    /// Somebody wants the file opened anew.
    pub(super) reopen: AtomicBool,
}

/// One call may be too late for a line, having been answered up to the point where the lines are taken; a
/// second is not.
const CALLS_MAX: usize = 2;

impl Counts {
    /// Whether the worker is to be called: what waits for one that is held up must not grow with every
    /// record.
    pub(super) fn may_call(&self) -> bool {
        let more = |calls: usize| (calls < CALLS_MAX).then_some(calls + 1);
        let (set, fetch) = (Ordering::AcqRel, Ordering::Acquire);
        self.called.fetch_update(set, fetch, more).is_ok()
    }

    /// The worker has come.
    pub(super) fn answer_call(&self) {
        let less = |calls: usize| calls.checked_sub(1);
        // Whoever waits for the answer calls without a count.
        let _ = self
            .called
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
    }

    /// Where the lines of the output that is the measure stand.
    pub(super) fn store(&self, lines: Lines) {
        self.sent.store(lines.sent, Ordering::Relaxed);
        self.io_error.store(lines.dropped);
        self.held.store(lines.held, Ordering::Relaxed);
    }
}

thread_local! {
    static WRITES: Cell<bool> = const { Cell::new(false) };
}

/// Says that this thread writes the log: it must not wait for itself.
pub(super) fn this_thread_writes() {
    WRITES.set(true);
}

pub(super) fn does_this_thread_write() -> bool {
    WRITES.get()
}
