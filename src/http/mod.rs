//! An HTTP/1.1 exchange as a client: one request out, one response back, one deadline over all.

mod client;
mod message;

pub use client::{Client, Error, ParseTargetError, Target};
pub use message::{Call, Response};
