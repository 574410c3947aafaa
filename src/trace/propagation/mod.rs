//! Trace context and baggage in the headers between processes.
//!
//! Four ways to write a context, [`Style`]s of them: Datadog's `x-datadog-*`, W3C Trace Context, and B3 in
//! one header or several; beside them W3C Baggage. Which are read and written, and in which order, is the
//! [`Propagation`]'s choice; what to do where two of them disagree is in `extract.rs`.
//!
//! Invariants: whatever a header holds, what is read from it is bounded and what is malformed counts as
//! absent; whatever a context holds, what is written stays within one header's value: printable ASCII,
//! within the limits.
//!
//! Follows dd-trace-go `ddtrace/tracer/textmap.go`, dd-trace-py `ddtrace/propagation/http.py`, W3C Trace
//! Context, W3C Baggage and openzipkin/b3-propagation.
//!
//! ```
//! use testapi::trace::{Priority, Propagation, SpanContext};
//!
//! let propagation = Propagation::default();
//! let context = SpanContext {
//!     trace_id: 0x640c_fd8d_0000_0000_1122_10f4_7de9_8115,
//!     span_id: 0xdead_beef,
//!     priority: Some(Priority::AUTO_KEEP),
//!     ..SpanContext::default()
//! };
//! let baggage = [("user.id".to_string(), "\u{e9}va".to_string())];
//! let headers = propagation.inject(&context, &baggage).headers;
//! let shown: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
//! assert_eq!(shown, [
//!     "x-datadog-trace-id: 1234567890123456789",
//!     "x-datadog-parent-id: 3735928559",
//!     "x-datadog-sampling-priority: 1",
//!     "x-datadog-tags: _dd.p.tid=640cfd8d00000000",
//!     "traceparent: 00-640cfd8d00000000112210f47de98115-00000000deadbeef-01",
//!     "tracestate: dd=s:1;p:00000000deadbeef",
//!     "baggage: user.id=%C3%A9va",
//! ]);
//!
//! let values = |name| headers.iter().filter(move |(n, _)| *n == name).map(|(_, value)| value.as_str());
//! let extracted = propagation.extract(values);
//! assert_eq!((extracted.parent, extracted.baggage), (Some(context), baggage.to_vec()));
//! ```

mod b3;
mod baggage;
mod datadog;
mod extract;
mod headers;
mod inject;
mod number;
mod settings;
mod style;
mod tags;
mod tracecontext;
mod tracestate;

pub use inject::Injected;
pub use settings::{Behavior, Propagation};
pub use style::Style;
