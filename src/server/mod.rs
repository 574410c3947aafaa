//! The HTTP server: sockets in, a plain [`Request`] to a plain [`Reply`]. No telemetry lives here.
//!
//! Invariant: no type of the HTTP crate underneath crosses this door, so that the front can change
//! without the rest. What that crate does under load and attack, and what this room does about it,
//! stands in `front.rs` (sockets), `roles.rs` (threads), `peers.rs` (pipelining), `answer.rs` (replies) and
//! `slow.rs` (clients that do not read).
//!
//! ```
//! use testapi::server::{Reply, Request};
//!
//! let request = Request::made("GET", "/hello?name=ana", &[("Accept", "text/plain")], b"");
//! let reply = Reply::text(200, format!("{} {:?}", request.path(), request.query_value("name")));
//! assert_eq!(reply.body, b"/hello Some(\"ana\")");
//! ```

mod answer;
mod front;
pub mod gzip;
mod peers;
mod pool;
mod reply;
mod request;
mod roles;
mod router;
mod serving;
mod slow;

pub use pool::{Guard, Options, Serve, StartError, Stats, Stopped, Watch, Workers, start};
pub use reply::Reply;
pub use request::{BodyError, Method, Request};
pub use router::{Found, Params, Router};

pub(crate) use request::percent_decode;
