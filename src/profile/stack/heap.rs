//! Where memory is allocated, sampled by bytes: a global allocator around another.
#![expect(
    unsafe_code,
    reason = "a global allocator, and the frame it is called from"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::sample;
use crate::profile::registry::own_hold;
use crate::profile::slot::Hold;

/// Bytes that a thread allocates from one sample to the next; 0 while nobody asks.
static EVERY_BYTES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SINCE: Cell<Since> = const { Cell::new(Since { bytes: 0, next: 0 }) };
}

/// What a thread has allocated since its last sample, and when the next is due.
#[derive(Clone, Copy)]
struct Since {
    bytes: usize,
    next: usize,
}

/// A global allocator that leaves the work to another, and has a running profiler told where threads allocate.
///
/// Every so many bytes of a watched thread ([`Options::heap_every_bytes`](crate::profile::Options)) its stack
/// becomes a sample that speaks for all bytes since the last one: the sum over all samples is what these
/// threads allocated, which stack it is laid to is a matter of chance in proportion to bytes. While no profiler asks
/// for it an allocation costs one load more; a program that does not install it pays nothing.
///
/// ```
/// use testapi::profile::CountingAllocator;
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator::system();
///
/// assert_eq!(vec![1_u8; 1 << 20].len(), 1 << 20);
/// ```
#[derive(Debug)]
pub struct CountingAllocator<A = System>(A);

impl CountingAllocator {
    /// Around the system's allocator.
    pub const fn system() -> CountingAllocator {
        CountingAllocator(System)
    }
}

impl<A> CountingAllocator<A> {
    /// Around this one.
    pub const fn around(allocator: A) -> CountingAllocator<A> {
        CountingAllocator(allocator)
    }
}

/// Samples allocations from now on; 0 for no more.
pub(in crate::profile) fn sample_heap_every(bytes: usize) {
    EVERY_BYTES.store(bytes, Ordering::Relaxed);
}

// SAFETY: memory is the inner allocator's, to which every call is handed on as it came; what is done besides
// neither allocates nor unwinds.
unsafe impl<A: GlobalAlloc> GlobalAlloc for CountingAllocator<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promise, handed on.
        unsafe { self.0.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promise, handed on.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        note(bytes.saturating_sub(layout.size()));
        // SAFETY: the caller's promise, handed on.
        unsafe { self.0.realloc(memory, layout, bytes) }
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, handed on.
        unsafe { self.0.dealloc(memory, layout) }
    }
}

#[inline]
fn note(bytes: usize) {
    let every = EVERY_BYTES.load(Ordering::Relaxed);
    if every != 0 && bytes != 0 {
        count(bytes, every);
    }
}

/// The thread-local value has neither an initialiser nor a destructor, so reading it allocates nothing.
#[inline(never)]
fn count(bytes: usize, every: usize) {
    let _ = SINCE.try_with(|since| {
        let mut so_far = since.get();
        so_far.bytes = so_far.bytes.saturating_add(bytes);
        let is_due = so_far.bytes >= so_far.next;
        if is_due {
            let sampled = |slot: Hold| sample(&slot, bytes, so_far.bytes);
            // What found no room is told by the next; what nobody watches, by nobody.
            let is_lost = so_far.next != 0 && own_hold().is_some_and(|slot| !sampled(slot));
            let kept = if is_lost { so_far.bytes } else { 0 };
            so_far = Since {
                bytes: kept,
                next: kept.saturating_add(some(every, so_far.bytes)),
            };
        }
        since.set(so_far);
    });
}

/// A number from half of it to one and a half, so that what allocates in step with the samples is not seen each
/// time, or never.
fn some(every: usize, seed: usize) -> usize {
    thread_local! {
        static STATE: Cell<u64> = const { Cell::new(0x9e37_79b9_7f4a_7c15) };
    }
    let drawn = STATE.try_with(|state| {
        // Xorshift (Marsaglia 2003) is good enough to break a rhythm.
        let mut next = state.get() ^ (seed as u64).rotate_left(32);
        next |= u64::from(next == 0);
        next ^= next << 13;
        next ^= next >> 7;
        next ^= next << 17;
        state.set(next);
        next as usize
    });
    (every / 2 + drawn.unwrap_or(0) % every.max(1)).max(1)
}
