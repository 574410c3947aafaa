//! What sampling itself costs.

use std::sync::atomic::{AtomicU64, Ordering};

use super::registry::Registry;
use super::slot::Slot;

/// Counters that the sampler writes and others read.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Threads that are watched now.
    pub(super) threads: AtomicU64,
    looks: AtomicU64,
    looks_ns: AtomicU64,
}

impl Figures {
    /// Takes over what the handler counted on one thread.
    pub(super) fn gather(&self, slot: &Slot) {
        let looks = slot.looks.swap(0, Ordering::Relaxed);
        let ns = slot.looks_ns.swap(0, Ordering::Relaxed);
        self.looks.fetch_add(looks, Ordering::Relaxed);
        self.looks_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// As uploads tell them.
    pub(super) fn list(&self, registry: &Registry) -> Vec<(&'static str, u64)> {
        let (looks, looks_ns) = self.looks();
        vec![
            ("threads_watched", self.threads.load(Ordering::Relaxed)),
            ("threads_refused", registry.refused()),
            ("looks", looks),
            ("looks_ns", looks_ns),
        ]
    }

    pub(super) fn looks(&self) -> (u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&self.looks), read(&self.looks_ns))
    }
}
