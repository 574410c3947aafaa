//! A service that profiles itself: stacks sampled in process, tied to spans, uploaded as pprof.

mod cache;
mod calls;
mod counts;
mod elf;
mod error;
mod event;
mod figures;
mod files;
mod headers;
mod maps;
mod memory;
mod multipart;
mod named;
mod options;
mod output;
mod owed;
mod period;
mod pprof;
mod profiler;
mod protobuf;
mod record;
mod registry;
mod ring;
mod sampler;
mod slot;
mod source_path;
mod stack;
mod start;
mod symbols;
mod tally;
mod told;
mod upload;

pub use error::Error;
pub use options::Options;
pub use profiler::{ProfileCounts, Profiler};
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use stack::CountingAllocator;
pub use start::start;
