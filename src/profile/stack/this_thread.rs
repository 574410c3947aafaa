//! Who the calling thread is, and where its stack lies.
#![expect(unsafe_code, reason = "gettid, pthread_getattr_np")]

use std::io;
use std::mem::MaybeUninit;

/// The calling thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::profile) struct This {
    /// The kernel's number.
    pub(in crate::profile) tid: u64,
    /// The address of the C library's block about it.
    pub(in crate::profile) block: usize,
    /// Lowest address of its stack, and one past the highest.
    pub(in crate::profile) stack: (usize, usize),
}

/// Asks the C library. For the main thread it reads `/proc/self/maps`; not for a handler.
///
/// # Errors
/// Where it does not know.
pub(in crate::profile) fn this_thread() -> io::Result<This> {
    // SAFETY: neither takes anything or can fail.
    let (block, tid) = unsafe { (libc::pthread_self(), libc::gettid()) };
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: the thread is the caller, so it lives; the attributes are written where that succeeds.
    let asked = unsafe { libc::pthread_getattr_np(block, attributes.as_mut_ptr()) };
    if asked != 0 {
        return Err(io::Error::from_raw_os_error(asked));
    }
    let (mut low, mut bytes) = (std::ptr::null_mut(), 0);
    // SAFETY: the attributes were initialised above, and are destroyed once, after their last use.
    let told = unsafe {
        let attributes = attributes.as_mut_ptr();
        let told = libc::pthread_attr_getstack(attributes, &raw mut low, &raw mut bytes);
        libc::pthread_attr_destroy(attributes);
        told
    };
    if told != 0 {
        return Err(io::Error::from_raw_os_error(told));
    }
    Ok(This {
        tid: tid as u64,
        block: block as usize,
        stack: (low.addr(), low.addr() + bytes),
    })
}
