//! The local agent: takes what a Datadog Agent takes, keeps it in memory, shows it.

mod api;
pub mod decode;
mod listener;
mod options;
pub mod page;
mod queue;
mod receiver;
mod scrape;
mod start;
mod store;
mod tail;
pub mod view;

pub use options::{Addresses, Options, StartError, TailOptions};
pub use start::{Agent, Counts, Guard, Stopped, start};
pub use store::Bounds;
