//! Logs: a record becomes one line of JSON, in a file or on standard output.
//!
//! Implements Datadog's reserved log attributes and the keys that join a line to its trace
//! (<https://docs.datadoghq.com/logs/log_configuration/attributes_naming_convention/>).
//!
//! Invariant: one record is one whole line of valid JSON, at most 64 KB long, or a counted drop.
//!
//! - **When it is too much.** The queue is bounded in bytes, and each level reaches so far into it: debug half
//!   way, critical to the end. While the file takes nothing, as much again is held, and of that the lowest severity
//!   makes room first. What was dropped is a line itself, `dropped 12 log lines (debug 10, info 2)`, as soon
//!   as lines can be written again.
//! - **The file.** It is put aside as `.1`, `.2` and so on at a size or an age ([`Rotation`]), between two lines.
//!   One program a file: two that put the same file aside would count each other's turns. Where logrotate or its
//!   like does that already, both bounds are set to 0; then either it renames the file, which is seen within a
//!   second, and at once with [`Logger::reopen`] (SIGHUP in `testapi serve`), and no line is lost; or it copies
//!   and empties the file (`copytruncate`), which loses the lines that come between the two, but tears none.
//! - **Who reads it.** A new file has the mode of the old one, and the owner of the process.
//! - **Libraries** that speak through the crate `log` are heard once a logger is [`install`]ed. Of several apps
//!   in one process the last one started has that place, and leaves it when it stops. A record's module, file
//!   and line are left out: Datadog has no names for them beside `logger.name`, which is its target.
//! - **Last words.** [`Logger::log_now`] waits until a line is written, for 200 ms at most; [`Stderr`] says what
//!   no log could take.
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
mod fields;
mod file;
mod held;
mod json;
mod levels;
mod logger;
mod pen;
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
