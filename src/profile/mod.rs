//! A service that profiles itself: stacks sampled in process, tied to spans, uploaded as pprof.

mod cache;
mod calls;
mod counts;
mod elf;
mod files;
mod maps;
mod named;
mod options;
mod period;
mod source_path;
mod symbols;

pub use options::Options;
