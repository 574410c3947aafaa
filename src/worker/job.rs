//! What a room supplies, and its bounds.

use std::any::Any;
use std::fmt;
use std::time::Duration;

/// What a room does on its background thread.
pub trait Job: Send + 'static {
    /// What is queued. A job that only ticks uses [`std::convert::Infallible`].
    type Item: Send + 'static;

    /// Takes one item in. [`Fill::Full`] asks for a flush before the next item.
    fn take(&mut self, item: Self::Item) -> Fill;

    /// Sends what is held. An error is counted and kept as [`Stats::last_error`](super::Stats::last_error).
    ///
    /// # Errors
    /// Whatever kept the job from sending; it decides itself what it still holds afterwards.
    fn flush(&mut self, why: Why) -> Result<(), FlushError>;

    /// Bytes that one queued item holds, for [`Limits::queue_bytes_max`].
    fn weigh(_item: &Self::Item) -> usize {
        size_of::<Self::Item>()
    }
}

/// Whether a job has room for more after an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// More may come before the next flush.
    Room,
    /// Flush now.
    Full,
}

/// Why a flush happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The flush interval has passed.
    Tick,
    /// The job said [`Fill::Full`].
    Full,
    /// Somebody called [`Handle::flush`](super::Handle::flush).
    Asked,
    /// The last flush before the thread ends.
    Stop,
}

/// A flush that did not send everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlushError(String);

impl FlushError {
    /// Keeps the text of what went wrong.
    pub fn new(what: impl fmt::Display) -> FlushError {
        FlushError(what.to_string())
    }
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FlushError {}

/// Bounds of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Items that may wait in the queue; one more is dropped.
    pub queue_items_max: usize,
    /// Bytes that the queued items may hold, as [`Job::weigh`] says; one item over is dropped.
    pub queue_bytes_max: usize,
    /// Time between two flushes.
    pub flush_interval: Duration,
    /// After the first item of a burst, how long to let more arrive before taking them all.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            queue_items_max: 8_192,
            queue_bytes_max: 8 << 20,
            flush_interval: Duration::from_secs(1),
            linger: Duration::from_millis(5),
        }
    }
}

/// The text of a caught panic, where it has one.
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panic without text")
}
