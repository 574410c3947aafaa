//! What has to be undone in order when a profiler ends, however it ends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Error;
use super::registry::Registry;
use super::stack::{self, Installed};
use crate::threads::{self, Watch};

/// A process has one profiler at a time.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// While this is held signals are handled and threads watched. When it goes, the timers go first, for a signal
/// without its handler ends the process; then the handler; then there may be another profiler.
pub(super) struct Armed {
    registry: Arc<Registry>,
    _watch: Watch,
    _installed: Installed,
    _only: Only,
}

struct Only(());

impl Only {
    fn take() -> Option<Only> {
        let was_taken = IS_TAKEN.swap(true, Ordering::AcqRel);
        (!was_taken).then_some(Only(()))
    }
}

impl Drop for Only {
    fn drop(&mut self) {
        IS_TAKEN.store(false, Ordering::Release);
    }
}

impl Armed {
    /// The handler before the watch: a thread that is born in between has no timer yet.
    pub(super) fn new(registry: Arc<Registry>) -> Result<Armed, Error> {
        let only = Only::take().ok_or(Error::Running)?;
        let installed = stack::install().map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Error::SignalTaken,
            io::ErrorKind::Unsupported => Error::Unsupported,
            _ => Error::Signal(error),
        })?;
        let watch = threads::watch(Arc::new(registry.clone())).ok_or(Error::Running)?;
        Ok(Armed {
            registry,
            _watch: watch,
            _installed: installed,
            _only: only,
        })
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        self.registry.close();
    }
}
