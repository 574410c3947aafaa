//! Prometheus text format 0.0.4 and OpenMetrics 1.0, as a scraper reads them.
//!
//! Invariant: a page is read as its format says and no other. In 0.0.4 one line that cannot be read spoils the
//! page and all else is taken as it stands; OpenMetrics is strict besides: its end is marked, each family stands
//! in one piece, its samples have the endings of its type. What is legal but unwise is for the linter.
//!
//! Sources: Prometheus docs, "Exposition formats" (text format 0.0.4); OpenMetrics 1.0.0, "Text Format".
//!
//! ```
//! use testapi::agent::decode::{Format, exposition, exposition_as};
//!
//! let page = "# TYPE hits counter\nhits_total{path=\"/\"} 3 1.5 # {trace_id=\"255\"} 0.2\n# EOF\n";
//! let read = exposition(page).unwrap();
//! assert_eq!((read.format, &read.types[..]), (Format::OpenMetrics, &[("hits", "counter")][..]));
//! assert_eq!((read.samples[0].value, read.samples[0].timestamp_ms), (3.0, Some(1_500)));
//! assert_eq!(read.exemplars[0].1.labels, [("trace_id", "255".into())]);
//! let same = exposition_as(page, Format::Text).unwrap_err();
//! assert_eq!(same.to_string(), "line 2: an exemplar, which 0.0.4 does not have");
//! ```

mod family;
mod format;
mod label;
mod line;
mod page;

pub use format::Format;
pub use page::{Exemplar, Exposition, ExpositionError, Sample, exposition, exposition_as};

pub(in crate::agent) use family::{declared, family_of};
pub(in crate::agent) use line::{Line, line, lines};
pub(in crate::agent) use page::{EXEMPLAR_CHARS_MAX, takes_exemplars};
