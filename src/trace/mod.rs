//! Tracing: spans of this process, as chunks of msgpack to the Agent's `/v0.4/traces`.
//!
//! A request runs on one thread, so a trace lives on that thread: tags are encoded as they are set, children
//! as they finish, the entry span is written in front when it finishes, and only bytes cross to the `dd-trace`
//! thread. Another thread takes part through a [`Handle`]. A trace of many spans leaves in parts.
//!
//! Invariants: a span opened is a span offered, also when its code panics; all spans of a chunk share one
//! trace id and the first carries the trace's own tags; a caller never waits for the Agent; memory is bounded
//! and what does not fit is counted by reason, errors last of all.
//!
//! Reading order: `tracer.rs` (opens), `span.rs` (what callers hold), `local.rs` (one trace on its thread),
//! `tags.rs` and `encode.rs` (bytes), `sampling/`, `propagation/`, `web/`; then the thread's side: `exporter.rs`,
//! `held.rs` (what waits), `answer.rs` (what each status asks for), `contact.rs` (what the Agent says of itself).
//!
//! Follows the Agent's v0.4 payload (datadog-agent, `pkg/trace/api`), Datadog's `x-datadog-*` headers and
//! W3C Trace Context; DataDog/system-tests, `tests/parametric`, has the cases.
//!
//! ```
//! use testapi::clock::Clock;
//! use testapi::identity::Identity;
//! use testapi::trace::{self, EntryOptions, ErrorTags, Options};
//!
//! let identity = Identity::of_process("shop");
//! let options = Options { agent: "http://127.0.0.1:1".parse().unwrap(), ..Options::default() };
//! let (tracer, _guard) = trace::start(options, &identity, Clock::system())?;
//! # let request = [("traceparent", "00-640cfd8d00000000112210f47de98115-00000000deadbeef-01")];
//!
//! // The caller's context, where its headers have one: `values` gives every value of a name.
//! let values = |name| request.iter().filter(move |(n, _)| *n == name).map(|(_, value)| *value);
//! let caller = tracer.extract(values);
//! let name = "http.request".into();
//! let mut entry = tracer.enter(EntryOptions { name, resource: "GET /cart", kind: "web", caller });
//! {
//!     let mut child = trace::span("db.query").resource("SELECT ?").service("orders").kind("sql");
//!     child.set_meta("cart.id", "42");
//!     let headers = trace::headers();
//!     assert_eq!(headers[0], ("x-datadog-trace-id", "1234567890123456789".to_string()));
//! }
//! let handle = trace::handle().unwrap();
//! std::thread::scope(|scope| {
//!     scope.spawn(move || handle.span("mail.send").finish());
//! });
//! entry.set_error(&ErrorTags { kind: "shop::Error", message: "no cart", stack: "0: shop::cart" });
//! entry.keep_trace();
//! entry.finish();
//!
//! let (ledger, sampling) = (tracer.ledger(), tracer.sampling());
//! assert_eq!((ledger.unit, ledger.offered, ledger.pending, sampling.kept), ("spans", 3, 3, 1));
//! # Ok::<(), std::io::Error>(())
//! ```

mod agent_info;
mod answer;
mod baggage;
mod chunks;
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
mod joint;
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
mod watch;
pub mod web;
mod who;

pub use agent_info::AgentInfo;
pub use baggage::{baggage, clear_baggage, remove_baggage, set_baggage};
pub use event::{EventValue, SpanEvent};
pub use handle::{Handle, handle};
pub use options::{Options, SpanOptions};
pub use propagation::{Behavior, Injected, Propagation, Style};
pub use sampling::{Rule, SamplingCounts, SamplingOptions, SpanRule};
pub use span::{Child, Entry, ErrorTags, active, active_ids, headers, span};
pub use span_context::{Extracted, Priority, SpanContext, SpanLink};
pub use tally::TraceCounts;
pub use told::AgentState;
pub use tracer::{EntryOptions, Tracer, start};
pub use watch::SpanWatch;
