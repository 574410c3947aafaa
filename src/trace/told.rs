//! What the exporter's thread tells those who make spans, and those who ask how things stand.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::agent_info::AgentInfo;

/// How the Agent was found the last time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgentState {
    /// Not asked yet.
    #[default]
    Unknown,
    /// It takes traces; what it says of itself, where it is not too old to say anything.
    Reachable(Option<AgentInfo>),
    /// It cannot be reached, or does not take traces now; why.
    Unreachable(String),
}

/// Read by every thread that finishes a trace, written by the exporter's.
#[derive(Debug)]
pub(super) struct Told {
    native_events: AtomicBool,
    payload_bytes_max: AtomicUsize,
    /// A float's bits.
    keep_rate: AtomicU64,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    info: Option<AgentInfo>,
    /// Unknown before the first contact.
    trouble: Option<Result<(), String>>,
}

impl Told {
    pub(super) fn new(payload_bytes_max: usize) -> Told {
        Told {
            native_events: AtomicBool::new(false),
            payload_bytes_max: AtomicUsize::new(payload_bytes_max),
            keep_rate: AtomicU64::new(1.0_f64.to_bits()),
            seen: Mutex::default(),
        }
    }

    /// Whether the Agent takes events as such; a tag in JSON otherwise.
    pub(super) fn native_events(&self) -> bool {
        self.native_events.load(Ordering::Relaxed)
    }

    /// Longest payload, and so the longest chunk.
    pub(super) fn payload_bytes_max(&self) -> usize {
        self.payload_bytes_max.load(Ordering::Relaxed)
    }

    pub(super) fn set_payload_bytes_max(&self, bytes: usize) {
        self.payload_bytes_max.store(bytes, Ordering::Relaxed);
    }

    /// The share of spans that were not lost lately, `_dd.tracer_kr`.
    pub(super) fn keep_rate(&self) -> f64 {
        f64::from_bits(self.keep_rate.load(Ordering::Relaxed))
    }

    pub(super) fn set_keep_rate(&self, rate: f64) {
        self.keep_rate.store(rate.to_bits(), Ordering::Relaxed);
    }

    pub(super) fn set_info(&self, info: Option<AgentInfo>) {
        let takes_events = info.as_ref().is_some_and(|info| info.span_events);
        self.native_events.store(takes_events, Ordering::Relaxed);
        self.lock().info = info;
    }

    pub(super) fn set_reachable(&self) {
        self.lock().trouble = Some(Ok(()));
    }

    pub(super) fn set_unreachable(&self, error: &str) {
        self.lock().trouble = Some(Err(error.to_string()));
    }

    pub(super) fn is_reachable(&self) -> bool {
        self.lock().trouble == Some(Ok(()))
    }

    pub(super) fn agent(&self) -> AgentState {
        let seen = self.lock();
        match &seen.trouble {
            None => AgentState::Unknown,
            Some(Ok(())) => AgentState::Reachable(seen.info.clone()),
            Some(Err(error)) => AgentState::Unreachable(error.clone()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
