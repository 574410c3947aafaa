//! Why an exchange has no response.

use std::fmt;
use std::io;

use super::Target;

/// Why there is no response.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The host name is not known.
    Resolve(Target, io::Error),
    /// Nothing answers there.
    Connect(Target, io::Error),
    /// The deadline passed; holds what was being done.
    Deadline(Target, &'static str),
    /// The connection broke; holds what was being done.
    Broken(Target, &'static str, io::Error),
    /// The answer is not HTTP as RFC 9112 has it.
    Malformed(Target, String),
    /// The answer's body is longer than the limit, in bytes; the last is its status.
    TooLarge(Target, usize, u16),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Resolve(target, error) => write!(f, "{target}: unknown host: {error}"),
            Error::Connect(target, error) => write!(f, "{target}: cannot connect: {error}"),
            Error::Deadline(target, doing) => write!(f, "{target}: deadline passed while {doing}"),
            Error::Broken(target, doing, error) => write!(f, "{target}: {doing}: {error}"),
            Error::Malformed(target, why) => write!(f, "{target}: {why}"),
            Error::TooLarge(target, limit, status) => {
                write!(f, "{target}: answered {status} with over {limit} bytes")
            }
        }
    }
}

/// What is being done once the whole request has been written.
pub(super) const SENDING: &str = "sending";
pub(super) const WAITING: &str = "waiting for the answer";
pub(super) const READING: &str = "reading the answer";

impl Error {
    /// Whether the peer may have the whole request, and may have done what it asks. Where it has not, to
    /// send it again does nothing twice.
    pub fn may_have_arrived(&self) -> bool {
        match self {
            Error::Resolve(..) | Error::Connect(..) => false,
            Error::Deadline(_, doing) | Error::Broken(_, doing, _) => {
                *doing == WAITING || *doing == READING
            }
            Error::Malformed(..) | Error::TooLarge(..) => true,
        }
    }
}

impl Error {
    /// Whether it was the request's own length that took too long, or that the peer would not have.
    pub fn was_sending(&self) -> bool {
        matches!(
            self,
            Error::Deadline(_, SENDING) | Error::Broken(_, SENDING, _)
        )
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Resolve(_, error) | Error::Connect(_, error) | Error::Broken(_, _, error) => {
                Some(error)
            }
            _ => None,
        }
    }
}
