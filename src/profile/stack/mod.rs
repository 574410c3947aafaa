//! Everything that is `unsafe`: signals, timers, and the walk along the frames of a stack.
//!
//! Invariants:
//! - In the handler nothing allocates, locks, unwinds or waits, and `errno` is as it was.
//! - Memory is read from the interrupted thread's own stack alone, between where it stands and where its
//!   stack is known to end.
//! - A signal that somebody else sends does nothing, or has a thread looked at once more where its value was guessed.
//! - What a slot holds is written by the thread that the slot is given to, and it is given to another only when
//!   nobody writes to it any more.
//!
//! For Linux on x86-64: elsewhere every call says that there is none. What is relied on: `timer_create(2)`
//! with `SIGEV_THREAD_ID`, the clock ids of threads (`include/linux/posix-timers.h`), `rt_tgsigqueueinfo(2)`, the
//! System V ABI's frame pointers.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod clocks;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod handler;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod here;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod install;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod this_thread;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod timer;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod walk;

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod elsewhere;
mod heap;
mod memory;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(super) use self::{
    clocks::{process_cpu_ns, thread_cpu_ns},
    handler::set_own_code,
    install::{Installed, install},
    this_thread::this_thread,
    timer::{Timer, arm, look_at},
};

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use here::sample;

pub use heap::CountingAllocator;
pub(super) use heap::sample_heap_every;
pub(super) use memory::give_back_memory;

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
use elsewhere::sample;
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub(super) use elsewhere::{
    Installed, Timer, arm, install, look_at, process_cpu_ns, set_own_code, this_thread,
    thread_cpu_ns,
};
