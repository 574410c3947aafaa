//! Why a sample was refused.

use std::fmt;

use crate::worker::Dropped;

/// What was wrong with a sample, an event, a check, a handle or an address. Refused samples are
/// counted in the ledger.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// A metric name without an ASCII letter, or an empty name of a check.
    Name(String),
    /// A value that is not a number or is infinite; the Agent refuses both.
    Value(f64),
    /// An empty set member; the Agent takes it for a parse error.
    Member,
    /// A sample rate outside (0, 1].
    Rate(f64),
    /// A timestamp of 0, or one on a type other than count and gauge.
    Timestamp(u64),
    /// An event without a title; the Agent takes it for a parse error.
    Title,
    /// No room for another handle: `contexts_max` are in use.
    Handles(usize),
    /// A line that no datagram holds: its bytes at the least, and those of a datagram.
    TooBig(usize, usize),
    /// A text that is not an address.
    Address(String),
    /// The sample was in order, but the worker's queue was full or stopped.
    Dropped(Dropped),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Name(name) => write!(f, "name {name:?}: must hold an ASCII letter"),
            Error::Value(value) => write!(f, "value {value}: must be a finite number"),
            Error::Member => f.write_str("set member: must not be empty"),
            Error::Rate(rate) => write!(f, "sample rate {rate}: must be over 0 and at most 1"),
            Error::Timestamp(at) => write!(
                f,
                "timestamp {at}: must be over 0, and only a count or a gauge may have one"
            ),
            Error::Title => f.write_str("event title: must not be empty"),
            Error::Handles(max) => write!(f, "handles: at most contexts_max = {max}"),
            Error::TooBig(bytes, max) => write!(
                f,
                "a line of {bytes} bytes: at most datagram_bytes_max = {max}"
            ),
            Error::Address(text) => write!(
                f,
                "address {text:?} (DD_DOGSTATSD_URL): must be udp://host:port, host:port, \
                 unix:///path, unixgram:///path or unixstream:///path, an IPv6 host in brackets"
            ),
            Error::Dropped(Dropped::Full) => f.write_str("the queue is full"),
            Error::Dropped(Dropped::Stopped) => f.write_str("the client has been stopped"),
        }
    }
}

impl std::error::Error for Error {}
