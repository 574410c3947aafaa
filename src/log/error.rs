//! What may go wrong before the first line.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why logging could not start, or a setting could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The log file cannot be opened. The caller knows which setting named it.
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused another thread.
    Thread(io::Error),
    /// Not a level.
    Level(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Open { path, source } => {
                write!(f, "cannot open log file {}: {source}", path.display())
            }
            Error::Thread(source) => write!(f, "cannot start the log thread: {source}"),
            Error::Level(text) => {
                write!(
                    f,
                    "unknown level {text:?}: use debug, info, warn, error or critical"
                )
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Open { source, .. } | Error::Thread(source) => Some(source),
            Error::Level(_) => None,
        }
    }
}
