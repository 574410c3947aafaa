//! Memory that the allocator keeps for later, given back to the system.
#![cfg_attr(target_env = "gnu", expect(unsafe_code, reason = "malloc_trim"))]

/// After work that took much and let go of it. Nothing to do where the allocator is not glibc's.
pub(in crate::profile) fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes the allocator's own locks, and touches only memory that is free.
    unsafe {
        libc::malloc_trim(0);
    }
}
