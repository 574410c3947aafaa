//! A service that profiles itself: stacks sampled in process, tied to spans, uploaded as pprof.

mod counts;
mod options;
mod period;

pub use options::Options;
