//! Waiting for a fact, never for a time.

use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a machine under load; a test that needs it all is about to fail.
pub(crate) const DEADLINE: Duration = Duration::from_secs(15);

/// One deadline over several looks.
pub(crate) struct Until(Instant);

impl Until {
    pub(crate) fn new(deadline: Duration) -> Until {
        Until(Instant::now() + deadline)
    }

    pub(crate) fn left(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// For what cannot be waited for, only looked at: the first `Some`.
    #[track_caller]
    pub(crate) fn some<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(!self.left().is_zero(), "in vain: {what}");
            thread::park_timeout(Duration::from_millis(5));
        }
    }
}
