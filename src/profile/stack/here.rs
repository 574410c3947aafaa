//! A look from inside: where the calling thread allocates.
#![expect(
    unsafe_code,
    reason = "reads a register, and the stack of the thread that calls"
)]

use std::sync::atomic::Ordering;

use super::walk::{Bounds, Registers, walk};
use crate::profile::record::{HEAP, Head};
use crate::profile::slot::Slot;
use crate::profile::unwind::libraries;

/// Tells of the place that allocates now. A look that interrupts this is turned away.
#[inline(never)]
pub(super) fn sample(slot: &'static Slot, bytes: usize, since: usize) {
    let frame: usize;
    // SAFETY: reads a register and touches nothing.
    unsafe {
        std::arch::asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags))
    };
    let registers = Registers {
        pc: 0,
        frame,
        stack: frame,
    };
    let bounds = Bounds {
        low: slot.low.load(Ordering::Relaxed),
        high: slot.high.load(Ordering::Acquire),
        code: (0, 0),
        libraries: libraries(),
    };
    slot.is_writing.store(true, Ordering::Release);
    // SAFETY: a watched thread's slot has the bounds of its own stack, and this is that thread; its frame lies above
    // its stack pointer.
    let found = unsafe { walk(registers, bounds) };
    let span_id = slot.span_id.load(Ordering::Acquire);
    let root_id = slot.root_id.load(Ordering::Acquire);
    let head = Head {
        kind: HEAP,
        span_id,
        root_id: if span_id == 0 { 0 } else { root_id },
        cpu_ns: since as u64,
        cpu_delta_ns: (since / bytes.max(1)).max(1) as u64,
    };
    // No place, then two of this file's own functions.
    let addresses = found.addresses().get(2..).unwrap_or(&[]);
    if !slot.ring.push(&head.words(), addresses) {
        slot.lost.fetch_add(1, Ordering::Relaxed);
    }
    slot.is_writing.store(false, Ordering::Release);
}
