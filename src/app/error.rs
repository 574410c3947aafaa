//! Why the API did not start.

use std::fmt;

use crate::{gunicorn, log, server};

/// Why the API did not start; each names the setting to change.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// TESTAPI_BIND or `--bind`.
    Server(server::StartError),
    /// TESTAPI_LOG_FILE.
    Log(log::Error),
    /// The system refused a thread.
    Thread(std::io::Error),
    /// TESTAPI_DOGSTATSD_TAGS and DD_TAGS together.
    Gunicorn(gunicorn::Error),
    /// Two metrics of one name: a mistake in this program.
    Registry(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Server(error) => write!(f, "{error} (change it with --bind or TESTAPI_BIND)"),
            Error::Log(error) => write!(f, "{error} (TESTAPI_LOG_FILE)"),
            Error::Thread(error) => write!(f, "cannot start a thread: {error}"),
            Error::Gunicorn(error) => write!(f, "{error} (TESTAPI_DOGSTATSD_TAGS, DD_TAGS)"),
            Error::Registry(error) => f.write_str(error),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Server(error) => Some(error),
            Error::Log(error) => Some(error),
            Error::Thread(error) => Some(error),
            Error::Gunicorn(error) => Some(error),
            Error::Registry(_) => None,
        }
    }
}
