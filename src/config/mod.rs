//! Settings: one table of names ([`VARS`]), and pairs of text to typed values ([`parse()`]).
//!
//! Invariant: a name is written once. The parser, `--help`, README's table and the check of
//! `environment/*.env` all read [`VARS`]. Nothing here looks at the environment itself: `main` hands
//! the pairs in. A bad value keeps the default and is told, all of them together; it never stops the
//! service, whose telemetry it only concerns.
//!
//! Names and their precedence are those of Datadog's own clients.
//!
//! ```
//! use testapi::config;
//!
//! let pairs = [("DD_SERVICE", "shop"), ("DD_AGENT_HOST", "::1"), ("DD_TRACE_ENABLED", "maybe")];
//! let (settings, problems) = config::parse(pairs, &|_| false);
//! assert_eq!(settings.trace().agent.to_string(), "http://[::1]:8126");
//! assert_eq!(problems[0].to_string(), "DD_TRACE_ENABLED=\"maybe\": takes true or false; kept true");
//! ```

mod parse;
mod profiling;
mod settings;
mod values;
mod vars;

pub use parse::{Problem, parse};
pub use settings::Settings;
pub use vars::{VARS, Var, help};
