//! A service that profiles itself: stacks sampled in process, tied to spans, uploaded as pprof.

mod cache;
mod calls;
mod counts;
#[cfg(test)]
mod deliveries;
mod elf;
mod event;
mod files;
mod headers;
mod maps;
mod multipart;
mod named;
mod notes;
mod options;
mod output;
mod owed;
mod period;
mod pprof;
mod protobuf;
mod source_path;
mod symbols;
mod told;
mod upload;

pub use options::Options;
