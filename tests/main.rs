//! Tests from outside: bytes on real sockets, and the real program.
//!
//! - `architecture`: the plan of the house, held against the source
//! - `wire`: every format that leaves the library, byte by byte, read back by the agent's decoders
//! - `app`: the program `testapi` as a user runs it
//! - `readme`: its tables, against those of the program
//! - `support`: an Agent that only records, the program under test, one HTTP exchange

#![allow(
    clippy::unwrap_used,
    reason = "all of this is tests; clippy knows only functions marked so"
)]

mod app;
mod architecture;
mod readme;
mod support;
mod wire;
