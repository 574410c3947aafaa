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
//! let entry = tracer.enter(EntryOptions { name: "http.request".into(), resource: "GET /", ..Default::default() });
//! {
//!     let mut child = trace::span("load cart");
//!     child.set_meta("cart.id", "42");
//! }
//! entry.finish();
//! let ledger = tracer.ledger();
//! assert_eq!((ledger.unit, ledger.offered, ledger.pending), ("spans", 2, 2));
//! # Ok::<(), std::io::Error>(())
//! ```

mod answer;
mod baggage;
mod chunks;
mod common;
mod contact;
mod decide;
mod encode;
mod event;
mod exporter;
mod fate;
mod finished;
mod handle;
mod headers;
mod held;
mod ids;
mod info;
mod keep_rate;
mod local;
mod notices;
mod open;
mod options;
mod pause;
mod propagation;
mod running;
mod sampling;
mod span;
mod span_context;
mod spare;
pub mod startup;
mod tags;
mod tally;
mod told;
mod tracer;
pub mod web;
mod who;

pub use baggage::{baggage, clear_baggage, remove_baggage, set_baggage};
pub use event::{EventValue, SpanEvent};
pub use handle::{Handle, handle};
pub use info::AgentInfo;
pub use options::{Options, SpanOptions};
pub use propagation::{Behavior, Injected, Propagation, Style};
pub use sampling::{Rule, SamplingCounts, SamplingOptions, SpanRule};
pub use span::{Child, Entry, ErrorTags, active, active_ids, headers, span};
pub use span_context::{Extracted, Priority, SpanContext, SpanLink};
pub use tally::TraceCounts;
pub use told::AgentState;
pub use tracer::{EntryOptions, Tracer, start};
