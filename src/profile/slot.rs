//! What the signal handler and the rest share about one thread.
//!
//! Slots are made when first needed, lie in one table and are never freed, so a signal that comes late finds
//! one; that it is not the thread's any more it sees by the generation and by the owner.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::ring::Ring;

/// Threads that are watched at one time; further ones are not.
pub(super) const THREADS_MAX: usize = 512;
/// Addresses of one stack. What lies further out is left out.
pub(super) const DEPTH_MAX: usize = 128;
/// Eight bytes each: 16 KiB, fourteen of the longest records and fifty usual ones.
const RING_WORDS: usize = 2_048;
/// Different endpoints that one thread counts between two uploads; further ones are counted as none.
const ENDPOINTS_MAX: usize = 1_000;
/// Local roots of one thread between two looks whose endpoint is kept.
const ROOTS_MAX: usize = 1_000;

/// The owner of a slot that was made for a thread by another; its first signal tells.
pub(super) const UNKNOWN: usize = 1;

static SLOTS: [OnceLock<Slot>; THREADS_MAX] = [const { OnceLock::new() }; THREADS_MAX];

/// See the file's own words.
#[derive(Debug)]
pub(super) struct Slot {
    /// Which use of the slot this is; a part of what signals carry.
    pub(super) generation: AtomicUsize,
    /// The address of the thread's own block, `pthread_self`; 0 for nobody, or [`UNKNOWN`].
    pub(super) owner: AtomicUsize,
    /// Where the thread's stack ends; nothing is read from it while `high` is 0.
    pub(super) low: AtomicUsize,
    pub(super) high: AtomicUsize,
    /// Where an unknown thread's stack was.
    pub(super) stack_seen: AtomicUsize,
    /// The active span and the local root of its trace.
    pub(super) span_id: AtomicU64,
    pub(super) root_id: AtomicU64,
    /// The last local root that was sampled.
    pub(super) sampled_root: AtomicU64,
    /// CPU time of the thread that samples speak for.
    pub(super) cpu_seen_ns: AtomicU64,
    /// Looks, those that found no room, and the time they all took.
    pub(super) looks: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) looks_ns: AtomicU64,
    /// Whether the thread itself writes to the ring, outside of a signal: one that comes then is turned away.
    pub(super) is_writing: AtomicBool,
    pub(super) ring: Ring,
    endpoints: Mutex<Endpoints>,
}

/// What was asked for on one thread.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    pub(super) counts: HashMap<String, u64, foldhash::fast::RandomState>,
    pub(super) of_roots: Vec<(u64, String)>,
}

/// A slot by its place; made where it was never used.
pub(super) fn slot(at: usize) -> &'static Slot {
    SLOTS[at].get_or_init(Slot::new)
}

/// The slot that a signal means, if it is still in that use. Nothing is made: for the handler.
pub(super) fn slot_of(value: usize) -> Option<&'static Slot> {
    let slot = SLOTS.get(value % THREADS_MAX)?.get()?;
    let generation = slot.generation.load(Ordering::Acquire);
    (generation == value / THREADS_MAX).then_some(slot)
}

/// What a signal carries.
pub(super) fn value_of(at: usize, generation: usize) -> usize {
    generation * THREADS_MAX + at
}

impl Slot {
    fn new() -> Slot {
        Slot {
            generation: AtomicUsize::new(0),
            owner: AtomicUsize::new(0),
            low: AtomicUsize::new(0),
            high: AtomicUsize::new(0),
            stack_seen: AtomicUsize::new(0),
            span_id: AtomicU64::new(0),
            root_id: AtomicU64::new(0),
            sampled_root: AtomicU64::new(0),
            cpu_seen_ns: AtomicU64::new(0),
            looks: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            looks_ns: AtomicU64::new(0),
            is_writing: AtomicBool::new(false),
            ring: Ring::new(RING_WORDS),
            endpoints: Mutex::default(),
        }
    }

    /// Makes the slot a thread's; what a signal to it has to carry from now on.
    pub(super) fn give(&self, at: usize, owner: usize, stack: (usize, usize)) -> usize {
        for number in [&self.span_id, &self.root_id, &self.sampled_root] {
            number.store(0, Ordering::Relaxed);
        }
        self.stack_seen.store(0, Ordering::Relaxed);
        self.low.store(stack.0, Ordering::Relaxed);
        self.high.store(stack.1, Ordering::Relaxed);
        self.owner.store(owner, Ordering::Release);
        // Half of a word, so that the value fits where pointers are short.
        let generation = self.generation.load(Ordering::Relaxed).wrapping_add(1) & 0x3f_ffff;
        self.generation.store(generation, Ordering::Release);
        value_of(at, generation)
    }

    /// Signals that still come find nobody.
    pub(super) fn take_back(&self) {
        self.owner.store(0, Ordering::Release);
        self.high.store(0, Ordering::Release);
    }

    /// Called by the thread itself. A signal in between finds no span, never half of another.
    pub(super) fn set_span(&self, span_id: u64, root_id: u64) {
        self.span_id.store(0, Ordering::Release);
        self.root_id.store(root_id, Ordering::Release);
        self.span_id.store(span_id, Ordering::Release);
    }

    /// A local root ended on this thread.
    pub(super) fn count_endpoint(&self, root_id: u64, endpoint: &str) {
        let mut endpoints = self.lock();
        if let Some(count) = endpoints.counts.get_mut(endpoint) {
            *count += 1;
        } else if endpoints.counts.len() < ENDPOINTS_MAX {
            endpoints.counts.insert(endpoint.to_string(), 1);
        }
        let sampled = self.sampled_root.load(Ordering::Acquire) == root_id;
        if sampled && endpoints.of_roots.len() < ROOTS_MAX {
            endpoints.of_roots.push((root_id, endpoint.to_string()));
        }
    }

    /// What was asked for since the last time.
    pub(super) fn take_endpoints(&self) -> Endpoints {
        let mut endpoints = self.lock();
        let of_roots = std::mem::take(&mut endpoints.of_roots);
        let some = endpoints.counts.iter().filter(|(_, count)| **count > 0);
        let counts = some.map(|(name, count)| (name.clone(), *count)).collect();
        // Names stay, so that a thread does not allocate them again after each look, but not for ever.
        match endpoints.counts.len() < ENDPOINTS_MAX {
            true => endpoints.counts.values_mut().for_each(|count| *count = 0),
            false => endpoints.counts.clear(),
        }
        Endpoints { counts, of_roots }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Endpoints> {
        self.endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
