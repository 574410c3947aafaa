//! An HTTP/1.1 exchange as a client: one request out, one response back, one deadline over all.
//!
//! Invariant: [`Client::exchange`] returns within its deadline whatever the peer does (accepts and
//! stays silent, drips a byte a second, never ends its body) and holds no more than
//! [`Limits::body_bytes_max`] of an answer. Two waits are the system's own and have no limit in std:
//! the look-up of a host name and the connect of a Unix socket whose backlog is full.
//!
//! Follows RFC 9112 for framing: `Content-Length`, chunked with trailers, or the end of the
//! connection; interim 1xx responses are skipped; redirects are never followed.
//!
//! ```
//! use testapi::http::Target;
//!
//! let target: Target = "http://[::1]:8126".parse().unwrap();
//! assert_eq!(target, Target::Tcp("::1".to_string(), 8126));
//! assert_eq!(target.to_string(), "http://[::1]:8126");
//! ```

mod client;
mod error;
mod message;
mod target;

pub use client::{Client, Limits};
pub use error::Error;
pub use message::{Call, Response};
pub use target::{ParseTargetError, Target};
