//! Logs: a record becomes one line of JSON, in a file or on standard output.
//!
//! Implements Datadog's reserved log attributes and the keys that join a line to its trace
//! (<https://docs.datadoghq.com/logs/log_configuration/attributes_naming_convention/>).
//!
//! Invariant: one record is one whole line of valid JSON, at most 64 KB long, or a counted drop.
//!
//! ```
//! use testapi::identity::Identity;
//! use testapi::log::{Level, Record, Static, Value, encode};
//!
//! let identity = Identity { service: "shop".into(), env: "dev".into(), ..Identity::default() };
//! let record = Record {
//!     trace_id: 7,
//!     span_id: 9,
//!     fields: &[("http.status_code", Value::U64(200))],
//!     ..Record::new(Level::Info, "served \"/\"")
//! };
//! let mut line = Vec::new();
//! encode(&mut line, 1_795_344_502_616_000_000, &Static::new(&identity), &record);
//! assert_eq!(
//!     String::from_utf8(line).unwrap(),
//!     concat!(
//!         r#"{"timestamp":"2026-11-22T10:48:22.616Z","status":"info","message":"served \"/\"","#,
//!         r#""service":"shop","ddsource":"rust","dd.trace_id":"7","dd.span_id":"9","#,
//!         r#""dd.service":"shop","dd.env":"dev","http.status_code":200}"#,
//!         "\n"
//!     )
//! );
//! ```

mod counts;
mod error;
mod facade;
#[cfg(test)]
mod faults;
mod file;
mod held;
mod json;
mod levels;
mod logger;
mod record;
mod rotate;
mod screen;
mod sink;
mod stderr;
mod text;

pub use error::Error;
pub use facade::{Taken, current, install, uninstall};
pub use json::{LINE_BYTES_MAX, Static, encode};
pub use levels::ByLevel;
pub use logger::{Logger, Options, Stats, start};
pub use record::{Level, Record, Value};
pub use rotate::Rotation;
pub use stderr::{Reader, Stderr, speak};
