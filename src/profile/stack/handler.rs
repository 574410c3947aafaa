//! What happens when a signal interrupts a thread.
#![expect(unsafe_code, reason = "a signal handler")]

use std::sync::atomic::{AtomicUsize, Ordering};

use super::clocks::{mono_ns, own_cpu_ns};
use super::walk::{Bounds, Registers, walk};
use crate::profile::record::{CPU, Head, WALL};
use crate::profile::slot::{Slot, UNKNOWN, hold, note_sampled};
use crate::profile::unwind::libraries;

static CODE_LOW: AtomicUsize = AtomicUsize::new(0);
static CODE_HIGH: AtomicUsize = AtomicUsize::new(0);

/// Tells the handler where this program's own code is: from the mappings of the process, before the first signal.
/// Code that is mapped for as long as the process lives; an empty range is none.
pub(in crate::profile) fn set_own_code(low: usize, high: usize) {
    CODE_LOW.store(low, Ordering::Relaxed);
    CODE_HIGH.store(high, Ordering::Relaxed);
}

/// Where this program's own code is, if anybody told.
pub(super) fn own_code() -> (usize, usize) {
    (
        CODE_LOW.load(Ordering::Relaxed),
        CODE_HIGH.load(Ordering::Relaxed),
    )
}

/// For `sigaction`. Its own signal is blocked while it runs, so there is one at a time a thread.
pub(super) extern "C" fn on_signal(
    _: libc::c_int,
    signal: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the place of this thread's `errno`, which lives as long as the thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    // SAFETY: with SA_SIGINFO the kernel hands in both pointers, valid until the handler returns. A value is
    // read only where a timer or a queued signal carries one.
    unsafe {
        let signal = &*signal;
        if signal.si_code == libc::SI_TIMER || signal.si_code == libc::SI_QUEUE {
            let value = signal.si_value().sival_ptr.addr();
            let kind = if signal.si_code == libc::SI_TIMER {
                CPU
            } else {
                WALL
            };
            if let Some(slot) = hold(value).filter(|slot| is_ours(slot)) {
                let context = &*context.cast::<libc::ucontext_t>();
                look(&slot, kind, registers(context));
            }
        }
    }
    // SAFETY: as above.
    unsafe { *errno = before };
}

/// The value may come from anywhere, another process included: only the owner of a slot writes to it.
fn is_ours(slot: &Slot) -> bool {
    // SAFETY: reads a register. Not in POSIX's list of what handlers may call, and yet no more than that in glibc and musl.
    let own = unsafe { libc::pthread_self() } as usize;
    match slot.owner.load(Ordering::Acquire) {
        UNKNOWN => {
            let (is, fail) = (Ordering::AcqRel, Ordering::Relaxed);
            slot.owner.compare_exchange(UNKNOWN, own, is, fail).is_ok()
        }
        owner => owner == own,
    }
}

fn registers(context: &libc::ucontext_t) -> Registers {
    let of = |register: libc::c_int| context.uc_mcontext.gregs[register as usize] as usize;
    Registers {
        pc: of(libc::REG_RIP),
        frame: of(libc::REG_RBP),
        stack: of(libc::REG_RSP),
    }
}

/// # Safety
/// The slot is the calling thread's, and a signal interrupted it with these registers.
unsafe fn look(slot: &Slot, kind: u64, registers: Registers) {
    let start_ns = mono_ns();
    slot.looks.fetch_add(1, Ordering::Relaxed);
    slot.stack_seen.store(registers.stack, Ordering::Relaxed);
    let cpu_ns = own_cpu_ns().unwrap_or(0);
    let bounds = Bounds {
        low: slot.low.load(Ordering::Relaxed),
        high: slot.high.load(Ordering::Acquire),
        code: own_code(),
        libraries: libraries(),
    };
    // SAFETY: the bounds of a slot are those of its owner's stack; its owner is this thread.
    let found = unsafe { walk(registers, bounds) };
    let span_id = slot.span_id.load(Ordering::Acquire);
    let root_id = if span_id == 0 {
        0
    } else {
        slot.root_id.load(Ordering::Acquire)
    };
    let seen_ns = slot.cpu_seen_ns.load(Ordering::Relaxed);
    let head = Head {
        kind,
        span_id,
        root_id,
        cpu_ns,
        cpu_delta_ns: cpu_ns.saturating_sub(seen_ns),
    };
    let is_writing = slot.is_writing.load(Ordering::Acquire);
    if is_writing || !slot.ring.push(&head.words(), found.addresses()) {
        slot.lost.fetch_add(1, Ordering::Relaxed);
    } else {
        if kind == CPU {
            slot.cpu_seen_ns.store(cpu_ns, Ordering::Relaxed);
        }
        note_sampled(root_id);
    }
    let took_ns = mono_ns().saturating_sub(start_ns);
    slot.looks_ns.fetch_add(took_ns, Ordering::Relaxed);
}
