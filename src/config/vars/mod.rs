//! The table, in rooms.

mod dogstatsd;
mod identity;
mod log;
mod server;
mod spans;
mod table;
mod traces;

pub use table::{VARS, Var, help};
