//! Why there is no profiler.

use std::fmt;
use std::io;

/// Why there is no profiler.
///
/// ```
/// # #[cfg(all(target_os = "linux", target_arch = "x86_64"))] {
/// use std::sync::Arc;
/// use testapi::clock::Clock;
/// use testapi::identity::Identity;
/// use testapi::profile::{self, Error, Options};
///
/// // Somebody in this process handles SIGPROF already.
/// signal_hook::flag::register(27, Arc::default())?;
/// let refused = profile::start(Options::default(), &Identity::of_process("shop"), Clock::system());
/// assert!(matches!(refused, Err(Error::SignalTaken)));
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Stacks are sampled on Linux and x86-64 alone.
    Unsupported,
    /// There is one already: a process has one profiler at a time.
    Running,
    /// SIGPROF has a handler: another profiler's.
    SignalTaken,
    /// The system refused the signal handler.
    Signal(io::Error),
    /// The system refused another thread.
    Thread(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unsupported => {
                f.write_str("stacks are sampled on Linux and x86-64 alone (DD_PROFILING_ENABLED)")
            }
            Error::Running => f.write_str("this process has a profiler already"),
            Error::SignalTaken => f.write_str(
                "SIGPROF has a handler already: another profiler's (DD_PROFILING_ENABLED)",
            ),
            Error::Signal(error) => write!(f, "cannot handle SIGPROF: {error}"),
            Error::Thread(error) => write!(f, "cannot start a thread: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Signal(error) | Error::Thread(error) => Some(error),
            _ => None,
        }
    }
}
