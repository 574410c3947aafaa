//! A look from inside: where the calling thread allocates.
#![expect(
    unsafe_code,
    reason = "reads a register, and the stack of the thread that calls"
)]

use std::sync::atomic::{Ordering, compiler_fence};

use super::handler::own_code;
use super::walk::{Bounds, walk_callers};
use crate::profile::record::{HEAP, Head};
use crate::profile::slot::{Slot, note_sampled};
use crate::profile::unwind::libraries;

/// Tells of the place that allocates now; false where there is no room. A look that interrupts this is turned away.
#[inline(never)]
pub(super) fn sample(slot: &Slot, bytes: usize, since: usize) -> bool {
    let frame: usize;
    // SAFETY: reads a register and touches nothing.
    unsafe {
        std::arch::asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags))
    };
    let bounds = Bounds {
        low: slot.low.load(Ordering::Relaxed),
        high: slot.high.load(Ordering::Acquire),
        code: own_code(),
        libraries: libraries(),
    };
    slot.is_writing.store(true, Ordering::Relaxed);
    // A handler on this thread sees what stands before, and nothing of what follows.
    compiler_fence(Ordering::SeqCst);
    // SAFETY: a watched thread's slot has the bounds of its own stack, and this is that thread; the frame is this
    // function's.
    let found = unsafe { walk_callers(frame, bounds) };
    let span_id = slot.span_id.load(Ordering::Acquire);
    let root_id = slot.root_id.load(Ordering::Acquire);
    let head = Head {
        kind: HEAP,
        span_id,
        root_id: if span_id == 0 { 0 } else { root_id },
        cpu_ns: since as u64,
        cpu_delta_ns: (since / bytes.max(1)).max(1) as u64,
    };
    // The first is in what counts for the allocator.
    let addresses = found.addresses().get(1..).unwrap_or(&[]);
    let has_room = slot.ring.push(&head.words(), addresses);
    match has_room {
        true => note_sampled(head.root_id),
        false => drop(slot.lost.fetch_add(1, Ordering::Relaxed)),
    }
    compiler_fence(Ordering::SeqCst);
    slot.is_writing.store(false, Ordering::Relaxed);
    has_room
}
