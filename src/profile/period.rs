//! What was sampled between two uploads, before anything has a name.

use std::collections::{BTreeMap, HashMap};

/// All samples of one upload.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Period {
    pub(super) start_unix_ns: u64,
    pub(super) end_unix_ns: u64,
    /// Nanoseconds of CPU time between two samples of a thread.
    pub(super) cpu_period_ns: u64,
    pub(super) threads: Vec<Thread>,
    pub(super) stacks: Vec<Stack>,
    pub(super) samples: Vec<Sample>,
    /// What the local roots that [`Sample::root_id`] names were asked for.
    pub(super) endpoints: HashMap<u64, String>,
    /// Local roots that ended, by what they were asked for.
    pub(super) endpoint_counts: BTreeMap<String, u64>,
    /// Samples in the unit of the ledger: what [`Counts::offered`](super::counts::Counts) counted of them.
    pub(super) taken: u64,
}

/// A thread that was sampled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Thread {
    /// The kernel's number.
    pub(super) id: u64,
    pub(super) name: String,
}

/// Addresses, innermost first: where the thread stood, then where each caller goes on. The second and all
/// further ones are return addresses, so the call is the instruction in front of them. Empty stands for CPU time
/// of which no sample could be taken.
pub(super) type Stack = Vec<u64>;

/// What was seen of one stack on one thread in one span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sample {
    /// Index into [`Period::threads`].
    pub(super) thread: u32,
    /// Index into [`Period::stacks`].
    pub(super) stack: u32,
    /// The active span, or 0.
    pub(super) span_id: u64,
    /// The span with which its trace entered this process, or 0.
    pub(super) root_id: u64,
    pub(super) cpu_samples: u64,
    pub(super) cpu_ns: u64,
    pub(super) wall_ns: u64,
    /// Estimated from what was sampled of them, where a counting allocator is installed.
    pub(super) allocations: u64,
    pub(super) allocated_bytes: u64,
}
