//! A service that profiles itself: stacks sampled in process, tied to spans, uploaded as pprof.

mod counts;
mod error;
mod figures;
mod memory;
mod options;
mod period;
mod profiler;
mod record;
mod registry;
mod ring;
mod sampler;
mod slot;
mod stack;
mod start;
mod tally;
mod upload;

pub use error::Error;
pub use options::Options;
pub use profiler::{ProfileCounts, Profiler};
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use stack::CountingAllocator;
pub use start::start;
