//! What arrives, as facts: an independent reading of each wire format, sharing nothing with the
//! exporters.
//!
//! Invariant: no input panics, and none makes a decoder allocate more than a small multiple of the
//! bytes that really came: a declared length is checked against what is left before it is believed.
//!
//! Read here: Datadog trace payloads v0.3, v0.4 (msgpack or JSON) and v0.5, the DogStatsD datagram
//! protocol v1.0 to 1.6, the Prometheus text format
//! 0.0.4 and OpenMetrics 1.0, JSON log lines by Datadog's reserved attributes, and uploads of profiles: multipart
//! bodies, their `event.json`, and pprof, as it is or packed with gzip or zstd.
//!
//! ```
//! use testapi::agent::decode::{Kind, Message, Values, datagram};
//!
//! let lines: Vec<_> = datagram(b"hits:1:2|c|@0.5|#env:dev\nbad\n").collect();
//! let Ok(Message::Metric(metric)) = &lines[0] else { panic!("{lines:?}") };
//! assert_eq!((metric.name, metric.kind, metric.rate), ("hits", Kind::Count, 0.5));
//! assert_eq!((&metric.values, &metric.tags[..]), (&Values::Numbers(vec![1.0, 2.0]), &["env:dev"][..]));
//! assert_eq!(lines[1].as_ref().unwrap_err().to_string(), "no `:` between name and value in `bad`");
//! assert_eq!(lines.len(), 2);
//! ```

mod cut;
mod date;
mod dogstatsd;
mod exposition;
mod go_number;
mod json;
mod line_error;
mod log_line;
mod message;
mod msgpack;
mod multipart;
mod pprof;
mod pprof_tables;
mod profile_event;
mod protobuf;
mod room;
mod span;
mod traces;
mod unpack;

#[cfg(test)]
pub(super) mod made;

pub use dogstatsd::datagram;
pub use exposition::{
    Exemplar, Exposition, ExpositionError, Format, Sample, exposition, exposition_as,
};
pub use line_error::LineError;
pub use log_line::{LogLine, Status, log_line, log_summary};
pub use message::{CheckStatus, Event, Kind, Message, Metric, ServiceCheck, Values};
pub use msgpack::DecodeError;
pub use multipart::{MultipartError, Part, multipart};
pub use pprof::{
    Function, Label, Line as SourceLine, Location, Mapping, PprofError, Profile,
    Sample as ProfileSample, ValueType, pprof,
};
pub use profile_event::{ProfileEvent, ProfileEventError, profile_event};
pub use span::Span;
pub use traces::{traces_json, traces_v04, traces_v05};

pub(super) use cut::Cuts;
pub(super) use dogstatsd::datagram_lines;
pub(super) use exposition::{
    EXEMPLAR_CHARS_MAX, Line, declared, family_of, line, lines, takes_exemplars,
};
pub(super) use json::{Leaf, each_leaf};
pub(super) use log_line::log_shown;
pub(super) use msgpack::lossy;
pub(super) use pprof::{UNPACKED_BYTES_MAX, pprof_within};
pub(super) use span::{SpanRef, chunk_spans};
pub(super) use traces::{Chunks, chunks_json, chunks_v04, chunks_v05};
pub(super) use unpack::without_zstd;
