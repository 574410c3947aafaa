//! Tracing: spans of this process, as chunks of msgpack to the Agent's `/v0.4/traces`.
//!
//! A request runs on one thread, so a trace lives on that thread: children are encoded as they finish,
//! the entry span is written in front when it finishes, and only bytes cross to the `dd-trace` thread.
//!
//! Invariants: a span opened is a span offered, also when its code panics; all spans of a chunk share one
//! trace id and the first carries the trace's own tags; a caller never waits for the Agent.
//!
//! Follows the Agent's v0.4 payload (datadog-agent, `pkg/trace/api`), Datadog's `x-datadog-*` headers and
//! W3C Trace Context.
//!
//! ```
//! use testapi::clock::Clock;
//! use testapi::identity::Identity;
//! use testapi::trace::{self, EntryOptions, Options};
//!
//! let identity = Identity::of_process("shop");
//! let options = Options { agent: "http://127.0.0.1:1".parse().unwrap(), ..Options::default() };
//! let (tracer, _guard) = trace::start(options, &identity, Clock::system())?;
//! let entry = tracer.enter(EntryOptions { name: "http.request", resource: "GET /", ..Default::default() });
//! {
//!     let mut child = trace::span("load cart");
//!     child.set_meta("cart.id", "42");
//! }
//! entry.finish();
//! let ledger = tracer.ledger();
//! assert_eq!((ledger.unit, ledger.offered, ledger.pending), ("spans", 2, 2));
//! # Ok::<(), std::io::Error>(())
//! ```

mod encode;
mod exporter;
mod local;
mod propagation;
mod sampler;
mod span;
mod span_context;
mod tally;

pub use exporter::Options;
pub use propagation::{extract, inject};
pub use span::{Child, Entry, EntryOptions, ErrorTags, Tracer, active, active_ids, span, start};
pub use span_context::{Extracted, Priority, SpanContext, SpanLink};
