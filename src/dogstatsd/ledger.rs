//! Where every sample went.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a sample never left. The order is that of [`Reason::NAMES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Refused with an [`Error`](super::Error).
    Invalid,
    /// Lost the draw of its sample rate; the others of its kind weigh more.
    Sampled,
    /// No room in the worker's queue.
    QueueFull,
    /// No room for another datagram that waits for an Agent; the oldest went.
    BacklogFull,
    /// Came after the stop.
    Stopped,
    /// A line longer than a datagram may be.
    TooBig,
    /// The socket failed, or the client stopped before it took the datagram.
    NotSent,
    /// The client is switched off.
    Disabled,
}

impl Reason {
    pub(super) const NAMES: [&'static str; 8] = [
        "invalid",
        "sampled",
        "queue_full",
        "backlog_full",
        "stopped",
        "too_big",
        "not_sent",
        "disabled",
    ];
}

/// Counters that callers and the worker share.
#[derive(Debug, Default)]
pub(super) struct Tally {
    offered: AtomicU64,
    sent: AtomicU64,
    /// Taken by the worker and neither sent nor dropped so far.
    held: AtomicU64,
    dropped: [AtomicU64; Reason::NAMES.len()],
    datagrams: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    pub(super) fn offer(&self, samples: u64) {
        self.offered.fetch_add(samples, Ordering::Relaxed);
    }

    /// A drop before the worker held it.
    pub(super) fn refuse(&self, reason: Reason, samples: u64) {
        self.dropped[reason as usize].fetch_add(samples, Ordering::Relaxed);
    }

    pub(super) fn hold(&self, samples: u64) {
        self.held.fetch_add(samples, Ordering::Relaxed);
    }

    /// A drop of what the worker held.
    pub(super) fn give_up(&self, reason: Reason, samples: u64) {
        self.refuse(reason, samples);
        self.held.fetch_sub(samples, Ordering::Relaxed);
    }

    pub(super) fn send(&self, samples: u64, bytes: usize) {
        self.sent.fetch_add(samples, Ordering::Relaxed);
        self.held.fetch_sub(samples, Ordering::Relaxed);
        self.datagrams.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Samples that callers were refused for want of room or of a worker.
    pub(super) fn refused(&self) -> u64 {
        let read = |reason: Reason| self.dropped[reason as usize].load(Ordering::Relaxed);
        read(Reason::QueueFull) + read(Reason::Stopped)
    }

    pub(super) fn offered(&self) -> u64 {
        self.offered.load(Ordering::Relaxed)
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    pub(super) fn datagrams(&self) -> u64 {
        self.datagrams.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Drops by reason, those that happened, in the order of the reasons.
    pub(super) fn dropped(&self) -> Vec<(&'static str, u64)> {
        let counts = self
            .dropped
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        Reason::NAMES
            .into_iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}
