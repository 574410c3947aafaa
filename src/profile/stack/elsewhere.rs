//! Where stacks are not sampled: every call says so.

use std::io;

use crate::profile::slot::Slot;

/// See the file's own words; no value of it is ever made.
pub(in crate::profile) struct Installed(std::convert::Infallible);

/// No value of it is ever made.
#[derive(Debug)]
pub(in crate::profile) struct Timer(std::convert::Infallible);

/// The calling thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::profile) struct This {
    pub(in crate::profile) tid: u64,
    pub(in crate::profile) block: usize,
    pub(in crate::profile) stack: (usize, usize),
}

pub(in crate::profile) fn install() -> io::Result<Installed> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(in crate::profile) fn this_thread() -> io::Result<This> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(in crate::profile) fn arm(_: u64, _: usize, _: u64) -> io::Result<Timer> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(in crate::profile) fn look_at(_: u64, _: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(in crate::profile) fn set_own_code(_: usize, _: usize) {}

pub(in crate::profile) fn process_cpu_ns() -> Option<u64> {
    None
}

pub(in crate::profile) fn thread_cpu_ns(_: u64) -> Option<u64> {
    None
}

pub(super) fn sample(_: &Slot, _: usize, _: usize) -> bool {
    true
}
