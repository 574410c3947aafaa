//! What sends the signals: a timer a thread, on that thread's CPU time; and a single look.
#![expect(unsafe_code, reason = "timer_create, rt_tgsigqueueinfo")]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use super::clocks::clock_of;

const SIGNAL: libc::c_int = libc::SIGPROF;

/// Sends signals until it is dropped. It lives in the kernel and belongs to the process.
#[derive(Debug)]
pub(in crate::profile) struct Timer(usize);

/// Has a thread of this process interrupted each time it has used so much more CPU time. `value` comes with
/// every signal.
///
/// # Errors
/// Where the thread has ended, or the system has no more timers (`RLIMIT_SIGPENDING`).
pub(in crate::profile) fn arm(tid: u64, value: usize, period_ns: u64) -> io::Result<Timer> {
    // SAFETY: numbers, a union of a number and a pointer, padding: all zero is a value.
    let mut event = unsafe { MaybeUninit::<libc::sigevent>::zeroed().assume_init() };
    event.sigev_notify = libc::SIGEV_THREAD_ID;
    event.sigev_signo = SIGNAL;
    event.sigev_value.sival_ptr = ptr::without_provenance_mut(value);
    event.sigev_notify_thread_id = tid as libc::c_int;
    let mut timer: libc::timer_t = ptr::null_mut();
    // SAFETY: both pointers are to whole values, which the call reads and writes.
    let made = unsafe { libc::timer_create(clock_of(tid), &raw mut event, &raw mut timer) };
    if made != 0 {
        return Err(io::Error::last_os_error());
    }
    let timer = Timer(timer.addr());
    let period = libc::timespec {
        tv_sec: (period_ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (period_ns % 1_000_000_000) as libc::c_long,
    };
    let times = libc::itimerspec {
        it_interval: period,
        it_value: period,
    };
    // SAFETY: the timer was made above; the times are a whole value and the old ones are not asked for.
    match unsafe { libc::timer_settime(timer.id(), 0, &raw const times, ptr::null_mut()) } {
        0 => Ok(timer),
        _ => Err(io::Error::last_os_error()),
    }
}

impl Timer {
    fn id(&self) -> libc::timer_t {
        ptr::without_provenance_mut(self.0)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: made by `timer_create` and deleted once, here. It is a number to glibc, or an address that
        // came from it.
        unsafe { libc::timer_delete(self.id()) };
    }
}

/// What `rt_tgsigqueueinfo` reads: the kernel's `siginfo_t` with its first union member for queued signals.
#[repr(C)]
struct Queued {
    signal: libc::c_int,
    error: libc::c_int,
    code: libc::c_int,
    gap: libc::c_int,
    process: libc::pid_t,
    user: libc::uid_t,
    value: usize,
    rest: [u64; 12],
}

const _: () = assert!(size_of::<Queued>() == size_of::<libc::siginfo_t>());

/// Has a thread of this process looked at now, whatever it does.
///
/// # Errors
/// Where it has ended, or too many signals wait.
pub(in crate::profile) fn look_at(tid: u64, value: usize) -> io::Result<()> {
    let process = std::process::id() as libc::pid_t;
    let queued = Queued {
        signal: SIGNAL,
        error: 0,
        code: libc::SI_QUEUE,
        gap: 0,
        process,
        user: 0,
        value,
        rest: [0; 12],
    };
    // SAFETY: the kernel reads as many bytes as a `siginfo_t` has from a value of that size.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_rt_tgsigqueueinfo,
            process,
            tid as libc::pid_t,
            SIGNAL,
            &raw const queued,
        )
    };
    match sent {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
