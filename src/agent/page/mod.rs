//! The local agent's page: plain values of [`crate::agent::view`] in, a whole HTML document out.
//!
//! Invariant: no received text reaches a page but through one escape, and the page's own policy
//! forbids inline script and style, so a hostile span name is shown and never obeyed. Every page
//! works without script; the script renews it in place.
//!
//! Implements HTML Living Standard, Content Security Policy Level 3, WAI-ARIA 1.2 (`treegrid`) and
//! conditional requests of RFC 9110.
//!
//! ```
//! use testapi::agent::page::{Settings, Views, render};
//! use testapi::agent::view::*;
//! use testapi::server::Request;
//!
//! struct Nothing;
//! impl Views for Nothing {
//!     fn overview(&self) -> Overview { Overview::default() }
//!     fn traces(&self, _: &Query) -> Traces { Traces::default() }
//!     fn trace(&self, _: u64) -> Option<Trace> { None }
//!     fn metrics(&self) -> Metrics { Metrics::default() }
//!     fn explain(&self, _: &Which) -> Metrics { Metrics::default() }
//!     fn raw_page(&self, _: &str) -> Option<RawPage> { None }
//!     fn logs(&self, _: &Query) -> Logs { Logs::default() }
//!     fn errors(&self) -> Vec<ErrorGroup> { Vec::new() }
//!     fn payloads(&self, _: &Query) -> Vec<PayloadRow> { Vec::new() }
//!     fn profiles(&self) -> Profiles { Profiles::default() }
//!     fn flame(&self, _: &ProfileQuery) -> Option<Flame> { None }
//!     fn settings(&self) -> Settings { Settings::default() }
//! }
//! let mut seen = Vec::new();
//! for path in ["/", "/traces/7", "/assets/app.css", "/nowhere"] {
//!     let reply = render(&Nothing, &Request::made("GET", path, &[], b""));
//!     seen.push((reply.status, reply.content_type));
//! }
//! let html = "text/html; charset=utf-8";
//! assert_eq!(
//!     seen,
//!     [(200, html.into()), (404, html.into()), (200, "text/css; charset=utf-8".into()), (404, html.into())]
//! );
//! ```

mod amount;
mod errors;
mod explain;
mod facets;
mod figure;
mod flame;
mod frame;
mod functions;
mod html;
mod icicle;
mod lesson;
mod logs;
mod look;
mod metrics;
mod origin;
mod overview;
mod payloads;
mod piece;
mod profile;
mod profiles;
mod prometheus;
mod raw;
mod render;
mod settings;
mod shares;
mod span;
mod spark;
mod traces;
mod views;
mod waterfall;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;

pub use render::render;
pub use views::{Settings, Views};
