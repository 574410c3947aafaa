//! The demo API: every route emits one kind of telemetry and says what it emitted.
//!
//! Invariant: whatever a handler does (answers, fails, panics), the request is counted, timed, traced and
//! logged once, with the same ids, before its reply goes out. `/metrics` and the style sheet alone are not:
//! an observer does not count itself.
//!
//! ```
//! use testapi::api::ROUTES;
//!
//! let route = ROUTES.iter().find(|route| route.pattern == "/sdmetrics/timer/{ms}").unwrap();
//! assert_eq!((route.example, route.observed), ("/sdmetrics/timer/12.5", true));
//! ```

mod exporter_metrics;
mod fault;
mod frames;
mod handlers;
mod instrument;
mod panics;
mod routes;
mod segment;
mod series;
mod services;

pub use exporter_metrics::ExporterFamilies;
pub use fault::{Fault, Refusal};
pub use instrument::Api;
pub use panics::install as install_panic_hook;
pub use routes::{ROUTES, Route};
pub use services::{Bulkhead, ExporterState, Passage, RequestFamilies, Services};
