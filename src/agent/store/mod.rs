//! What was received: bounded rings, and counters that never forget.
//!
//! Invariant: what a ring holds stays under its bound in bytes (or rows), the oldest goes first and
//! is counted; counters since the start do not depend on what is still held.
//!
//! Written by one worker alone; readers take short locks, and copy out what is long to look at.

mod apply;
mod ask;
mod beside;
mod bounds;
mod bucket;
mod chunk;
mod context;
mod contexts;
mod errors;
mod facets;
mod fingerprint;
mod flame;
mod flame_tree;
mod history;
mod latencies;
mod lines;
mod log_row;
mod logs;
mod metrics;
mod pages;
mod payloads;
mod profile;
mod profiles;
mod query;
mod quietest;
mod seconds;
mod series;
mod services;
mod traces;
mod waterfall;

pub(crate) use apply::{Arrival, Cargo, Store, StoreJob};
pub use bounds::Bounds;
pub(crate) use log_row::Reader;
pub(crate) use pages::{Held as HeldPage, Scraped};
pub(crate) use payloads::Way;
pub(crate) use profile::{Sent, Upload};
