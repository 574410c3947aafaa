//! A profile's stacks with names to their addresses.

use super::maps::Mapping;
use super::notes::Span;

/// A distinct address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Of the instruction itself; in front of a return address, the last byte of its call.
    pub(super) address: u64,
    /// Index into [`Named::modules`].
    pub(super) module: Option<u32>,
    /// In the notes of who named it; at least one.
    pub(super) frames: Span,
}

/// A mapping that a place is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Module {
    pub(super) mapping: Mapping,
    /// Hex digits, or empty.
    pub(super) build_id: String,
}

/// What naming one profile took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// Distinct addresses.
    pub(super) addresses: u64,
    /// Of these, looked up anew.
    pub(super) looked_up: u64,
    /// Left without a name as the time was over.
    pub(super) put_off: u64,
    /// Stacks cut at what no call can return to.
    pub(super) stacks_cut: u64,
    /// Files whose tables were read.
    pub(super) files_opened: u64,
    /// Files that could not be.
    pub(super) files_failed: u64,
    pub(super) elapsed_ns: u64,
}

/// Beside the period's samples, whose stacks it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) modules: Vec<Module>,
    pub(super) places: Vec<Place>,
    /// One for each of the period's, innermost first, as indices into `places`.
    pub(super) stacks: Vec<Vec<u32>>,
    pub(super) work: Work,
}
