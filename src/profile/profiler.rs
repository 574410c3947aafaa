//! The caller's side of a running profiler.

use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::counts::Counts;
use super::figures::Figures;
use super::period::Period;
use super::registry::Registry;
use super::told::Told;
use crate::threads::Watcher;
use crate::worker::{AskError, Handle, Ledger, Stats};

/// A running profiler. Cheap to clone.
#[derive(Clone)]
pub struct Profiler(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) registry: Arc<Registry>,
    pub(super) counts: Arc<Counts>,
    pub(super) figures: Arc<Figures>,
    pub(super) told: Arc<Told>,
    pub(super) sampler: Handle<Infallible>,
    pub(super) uploads: Handle<Box<Period>>,
    pub(super) hotspots: bool,
    pub(super) endpoints: bool,
}

/// What the profiler did so far, and what it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProfileCounts {
    /// Threads that are watched now.
    pub threads: u64,
    /// Threads that could not be watched.
    pub threads_refused: u64,
    /// Signals that a thread was interrupted by, and the time they took of it.
    pub looks: u64,
    /// See `looks`.
    pub looks_ns: u64,
}

impl Profiler {
    /// Watches the calling thread until what it gives is dropped there. Threads of the workers and of the server say so
    /// themselves, and one that opens a span is watched from then on; others are looked at only while they use
    /// CPU time.
    pub fn watch_this_thread(&self) -> Box<dyn Any> {
        self.0.registry.born()
    }

    /// Tells which span is active on the calling thread from now on, and with which span its trace came into
    /// this process; zeros for none.
    pub fn set_active(&self, span_id: u64, local_root_id: u64) {
        let is_tied = self.0.hotspots || self.0.endpoints;
        if is_tied && let Some(slot) = self.0.registry.own() {
            slot.set_span(span_id, local_root_id);
        }
    }

    /// Tells that such a span ended on the calling thread, and what it was asked for: a route, not a path,
    /// for anybody could make that up.
    pub fn count_endpoint(&self, local_root_id: u64, endpoint: &str) {
        if !self.0.endpoints {
            return;
        }
        if let Some(slot) = self.0.registry.own() {
            slot.count_endpoint(local_root_id, endpoint);
        }
    }

    /// Where every sample went.
    pub fn ledger(&self) -> Ledger {
        self.0.counts.ledger()
    }

    /// Counters of the thread that uploads; their error is that of the last upload.
    pub fn stats(&self) -> Stats {
        Stats {
            last_error: self.0.told.last_error(),
            ..self.0.uploads.stats()
        }
    }

    /// What a person should hear of, the oldest first, each once: what the Agent refused and why.
    pub fn notice(&self) -> Option<String> {
        self.0.told.pop_notice()
    }

    /// What sampling did and what it took.
    pub fn counts(&self) -> ProfileCounts {
        let (looks, looks_ns) = self.0.figures.looks();
        ProfileCounts {
            threads: self.0.figures.threads.load(Ordering::Relaxed),
            threads_refused: self.0.registry.refused(),
            looks,
            looks_ns,
        }
    }

    /// Uploads what was sampled so far, and waits for the Agent's answer.
    ///
    /// # Errors
    /// As [`Handle::flush`](crate::worker::Handle::flush).
    pub fn flush(&self, deadline: Duration) -> Result<(), AskError> {
        self.0.sampler.flush(deadline)?;
        self.0.uploads.flush(deadline)
    }
}

impl fmt::Debug for Profiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Profiler").field(&self.counts()).finish()
    }
}
