//! CPU time of threads and of the process.
#![expect(unsafe_code, reason = "libc's calls")]

use std::mem::MaybeUninit;

/// CPU time of all threads of this process, ended ones too.
pub(in crate::profile) fn process_cpu_ns() -> Option<u64> {
    read(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// CPU time of a thread of this process; nothing where it has ended.
pub(in crate::profile) fn thread_cpu_ns(tid: u64) -> Option<u64> {
    read(clock_of(tid))
}

/// CPU time of the thread that calls. For the handler too: one system call, no library state.
pub(super) fn own_cpu_ns() -> Option<u64> {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Time that only goes forward. For the handler too.
pub(super) fn mono_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC).unwrap_or(0)
}

/// The kernel's name for a thread's CPU clock: its number with all bits turned, then 110 for "of a thread,
/// as the scheduler counts" (`CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED`).
pub(super) fn clock_of(tid: u64) -> libc::clockid_t {
    (!(tid as libc::clockid_t) << 3) | 0b110
}

fn read(clock: libc::clockid_t) -> Option<u64> {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the call writes a `timespec` where it is pointed to, or fails; `clock_gettime` is
    // async-signal-safe (POSIX.1-2017, 2.4.3).
    let done = unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) };
    if done != 0 {
        return None;
    }
    // SAFETY: the call succeeded, so it wrote the whole value.
    let time = unsafe { time.assume_init() };
    Some(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}
