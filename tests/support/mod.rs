//! What tests share: an Agent that only records, one that plays a part, the program under test, one HTTP
//! exchange, a folder.
//!
//! Nothing here names a room of the library: a fault there must not hide itself here.

mod actor;
mod exchange;
mod fake_agent;
mod folder;
mod program;
mod wait;

pub(crate) use actor::{Act, Actor, Gate, Scene};
pub(crate) use exchange::{Reply, ask, get, try_ask};
pub(crate) use fake_agent::{FakeAgent, Received, Seen, env_of};
pub(crate) use folder::Folder;
pub(crate) use program::{Ended, Program, for_a_person};
pub(crate) use wait::{DEADLINE, Until};
