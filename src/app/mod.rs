//! Start, wire, stop: the only room that names every room.
//!
//! Stop order: the server first, so that every request that got its reply has offered its telemetry; then
//! profiles, traces, DogStatsD and the log, each flushing once more. A local agent in the same process ends last and
//! sees that final flush.

mod error;
mod health;
mod news;
mod report;
mod start;
mod ties;

pub use error::Error;
pub use news::Notice;
pub use report::Report;
pub use start::{App, start_exporters};

pub use crate::agent::{
    Addresses as AgentAddresses, Agent, Bounds as AgentBounds, Counts as AgentCounts,
    Guard as AgentGuard, Options as AgentOptions, StartError as AgentStartError, TailOptions,
    start as start_agent,
};
pub use crate::api::{ROUTES, install_panic_hook};
pub use crate::config::{Settings, parse as parse_settings};
