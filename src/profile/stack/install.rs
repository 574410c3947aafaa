//! The handler, put in place and taken away.
#![expect(unsafe_code, reason = "sigaction")]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use super::handler::on_signal;

/// The signal that profilers use.
const SIGNAL: libc::c_int = libc::SIGPROF;

/// The handler is in place until this is dropped. All timers must be gone by then.
pub(in crate::profile) struct Installed {
    before: libc::sigaction,
}

/// Puts the handler in place.
///
/// # Errors
/// `AlreadyExists` where the signal has a handler: another profiler's.
pub(in crate::profile) fn install() -> io::Result<Installed> {
    // Another's handler is not to miss a signal, so it is asked for first.
    if ![libc::SIG_DFL, libc::SIG_IGN].contains(&swap(None)?.sa_sigaction) {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let mut action = empty();
    action.sa_sigaction = on_signal as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
    Ok(Installed {
        before: swap(Some(&action))?,
    })
}

impl Drop for Installed {
    /// What is still on its way is thrown away first: by default this signal ends the process.
    fn drop(&mut self) {
        let mut ignored = empty();
        ignored.sa_sigaction = libc::SIG_IGN;
        let _ = swap(Some(&ignored));
        let _ = swap(Some(&self.before));
    }
}

fn empty() -> libc::sigaction {
    // SAFETY: numbers, a set of bits and a function pointer that may be null: all zero is a value of each.
    unsafe { MaybeUninit::<libc::sigaction>::zeroed().assume_init() }
}

fn swap(action: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    let mut before = empty();
    let action = action.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: both point to whole values; the handler is a function that keeps to what handlers may do.
    match unsafe { libc::sigaction(SIGNAL, action, &raw mut before) } {
        0 => Ok(before),
        _ => Err(io::Error::last_os_error()),
    }
}
