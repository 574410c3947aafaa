//! One exchange over TCP or a Unix socket.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::{Call, Response};
use crate::clock::Clock;

/// Where a client connects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A host name or address (IPv6 without brackets) and a port.
    Tcp(String, u16),
    /// The path of a Unix stream socket.
    Unix(PathBuf),
}

/// A text that is not a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseTargetError(String);

impl fmt::Display for ParseTargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseTargetError {}

impl FromStr for Target {
    type Err = ParseTargetError;
    fn from_str(text: &str) -> Result<Target, ParseTargetError> {
        Err(ParseTargetError(text.to_string()))
    }
}

/// Why there is no response.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Nothing answers there.
    Connect(Target, std::io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Error {}

/// Keeps one connection to one target.
#[derive(Debug)]
pub struct Client {
    target: Target,
    clock: Clock,
}

impl Client {
    /// Connects with the first exchange, not before.
    pub fn new(target: Target, clock: Clock) -> Client {
        Client { target, clock }
    }

    /// Sends one request and reads its response, all within the deadline.
    ///
    /// # Errors
    /// [`Error`], which says what was being done and what went wrong.
    pub fn exchange(&mut self, _call: &Call<'_>, _deadline: Duration) -> Result<Response, Error> {
        let _ = &self.clock;
        Err(Error::Connect(
            self.target.clone(),
            std::io::ErrorKind::Unsupported.into(),
        ))
    }
}
