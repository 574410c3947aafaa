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
    generation: AtomicUsize,
    /// Handlers and others that write to it now.
    holders: AtomicUsize,
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

/// Places that nobody has, and how many were ever given.
static FREE: Mutex<Free> = Mutex::new(Free {
    places: Vec::new(),
    used: 0,
});

#[derive(Debug)]
struct Free {
    places: Vec<usize>,
    used: usize,
}

/// Roots that were sampled not long ago, each where its number leads; a later one may have taken its place.
static SAMPLED: [AtomicU64; SAMPLED_MAX] = [const { AtomicU64::new(0) }; SAMPLED_MAX];
const SAMPLED_MAX: usize = 4_096;

/// Ids are random, so any bits of one will do.
fn sampled_at(root_id: u64) -> &'static AtomicU64 {
    &SAMPLED[root_id as usize % SAMPLED_MAX]
}

/// A look found this local root. For the handler.
pub(super) fn note_sampled(root_id: u64) {
    if root_id != 0 {
        sampled_at(root_id).store(root_id, Ordering::Relaxed);
    }
}

/// A place for one more thread, if there is one.
pub(super) fn claim() -> Option<usize> {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    free.places.pop().or_else(|| {
        let next = free.used;
        free.used += usize::from(next < THREADS_MAX);
        (next < THREADS_MAX).then_some(next)
    })
}

/// The place may be another's. Only after [`Slot::take_back`], and where [`Slot::is_quiet`].
pub(super) fn release(at: usize) {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    free.places.push(at);
}

/// A slot by its place; made where it was never used.
pub(super) fn slot(at: usize) -> &'static Slot {
    SLOTS[at].get_or_init(Slot::new)
}

/// A slot that its thread writes to: until this is dropped the slot is nobody else's.
#[derive(Debug)]
pub(super) struct Hold(&'static Slot);

/// The slot that a signal means, if it is still in that use. Nothing is made: for the handler.
pub(super) fn hold(value: usize) -> Option<Hold> {
    let hold = Hold(SLOTS.get(value % THREADS_MAX)?.get()?);
    // First it is held, then looked at; who takes it back changes it first and looks for holders then. So either
    // sees the other.
    hold.holders.fetch_add(1, Ordering::SeqCst);
    let generation = hold.generation.load(Ordering::SeqCst);
    (generation == value / THREADS_MAX).then_some(hold)
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.holders.fetch_sub(1, Ordering::SeqCst);
    }
}

impl std::ops::Deref for Hold {
    type Target = Slot;

    fn deref(&self) -> &Slot {
        self.0
    }
}

/// Whether a slot is still in the use that this value tells of.
pub(super) fn is_current(value: usize) -> bool {
    let slot = SLOTS.get(value % THREADS_MAX).and_then(OnceLock::get);
    slot.is_some_and(|slot| slot.generation.load(Ordering::Acquire) == value / THREADS_MAX)
}

/// What a signal carries.
pub(super) fn value_of(at: usize, generation: usize) -> usize {
    generation * THREADS_MAX + at
}

impl Slot {
    fn new() -> Slot {
        Slot {
            generation: AtomicUsize::new(0),
            holders: AtomicUsize::new(0),
            owner: AtomicUsize::new(0),
            low: AtomicUsize::new(0),
            high: AtomicUsize::new(0),
            stack_seen: AtomicUsize::new(0),
            span_id: AtomicU64::new(0),
            root_id: AtomicU64::new(0),
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
        for number in [
            &self.span_id,
            &self.root_id,
            &self.looks,
            &self.lost,
            &self.looks_ns,
        ] {
            number.store(0, Ordering::Relaxed);
        }
        self.ring.clear();
        *self.lock() = Endpoints::default();
        self.is_writing.store(false, Ordering::Relaxed);
        self.stack_seen.store(0, Ordering::Relaxed);
        self.low.store(stack.0, Ordering::Relaxed);
        self.high.store(stack.1, Ordering::Relaxed);
        self.owner.store(owner, Ordering::Release);
        value_of(at, self.next_generation())
    }

    /// Signals that still come find another generation than theirs.
    pub(super) fn take_back(&self) {
        self.next_generation();
        self.owner.store(0, Ordering::Release);
    }

    /// Whether nobody writes to it any more, after it was taken back.
    pub(super) fn is_quiet(&self) -> bool {
        self.holders.load(Ordering::SeqCst) == 0
    }

    /// Fewer than a word's bits, so that the value fits where pointers are short.
    fn next_generation(&self) -> usize {
        let next = self.generation.load(Ordering::Relaxed).wrapping_add(1) & 0x3f_ffff;
        self.generation.store(next, Ordering::SeqCst);
        next
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
        let is_sampled = sampled_at(root_id).load(Ordering::Relaxed) == root_id;
        if is_sampled && endpoints.of_roots.len() < ROOTS_MAX {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A place that no other test has.
    fn place() -> (usize, &'static Slot) {
        let at = claim().unwrap();
        (at, slot(at))
    }

    #[test]
    fn a_signal_of_an_earlier_use_finds_nothing() {
        let (at, slot) = place();
        let first = slot.give(at, 8, (1, 2));
        assert!(is_current(first) && hold(first).is_some());
        slot.take_back();
        assert!(
            !is_current(first) && hold(first).is_none(),
            "it was taken back"
        );
        let second = slot.give(at, 9, (3, 4));
        assert!(hold(first).is_none(), "it is another's");
        assert_eq!(hold(second).unwrap().owner.load(Ordering::Relaxed), 9);
        for value in [0, usize::MAX, second + 1, second ^ (1 << 20)] {
            assert!(hold(value).is_none(), "{value}");
        }
        slot.take_back();
        release(at);
    }

    #[test]
    fn who_writes_keeps_a_slot_from_others() {
        let (at, slot) = place();
        let value = slot.give(at, 8, (1, 2));
        let held = hold(value).unwrap();
        slot.take_back();
        assert!(!slot.is_quiet());
        drop(held);
        assert!(slot.is_quiet());
        assert!(
            hold(value).is_none() && slot.is_quiet(),
            "who finds nothing holds nothing"
        );
        release(at);
    }

    #[test]
    fn nothing_is_left_to_the_next_thread() {
        let (at, slot) = place();
        slot.give(at, 8, (1, 2));
        assert!(slot.ring.push(&[1], &[2]));
        slot.set_span(5, 6);
        slot.count_endpoint(6, "GET /x");
        slot.lost.store(3, Ordering::Relaxed);
        slot.take_back();
        slot.give(at, 9, (3, 4));
        assert!(!slot.ring.pop(&mut Vec::new()));
        let numbers = [&slot.span_id, &slot.root_id, &slot.lost];
        assert!(
            numbers
                .iter()
                .all(|number| number.load(Ordering::Relaxed) == 0)
        );
        assert!(slot.take_endpoints().counts.is_empty());
        slot.take_back();
        release(at);
    }

    #[test]
    fn only_the_endpoint_of_a_root_that_was_sampled_is_kept() {
        let (at, slot) = place();
        slot.give(at, 8, (1, 2));
        note_sampled(0x1234_5001);
        note_sampled(0);
        for (root, endpoint) in [
            (0x1234_5001, "GET /x"),
            (0x1234_5002, "GET /y"),
            (0x9999_5001, "GET /x"),
        ] {
            slot.count_endpoint(root, endpoint);
        }
        let seen = slot.take_endpoints();
        assert_eq!(seen.of_roots, [(0x1234_5001, "GET /x".to_string())]);
        let mut counts: Vec<_> = seen.counts.into_iter().collect();
        counts.sort();
        assert_eq!(
            counts,
            [("GET /x".to_string(), 2), ("GET /y".to_string(), 1)]
        );
        assert!(slot.take_endpoints().counts.is_empty(), "told once");
        slot.take_back();
        release(at);
    }
}
