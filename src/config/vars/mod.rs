//! The table, in rooms.

mod dogstatsd;
mod identity;
mod log;
mod profile;
mod prometheus;
mod server;
mod spans;
mod table;
mod traces;

pub(super) use table::MAY_BE_EMPTY;
pub use table::{VARS, Var, help};
