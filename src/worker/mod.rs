//! The one background thread: a bounded queue, a tick, a flush, a stop, caught panics, counters.
//!
//! A room supplies a [`Job`]; everything about threads and queues exists once, here.
//!
//! Invariants:
//! - [`Handle::offer`] never blocks, and [`Tray::offer`] for no longer than another caller's copy: what does not fit is dropped and counted.
//! - The ledger balances at rest: `offered = taken + dropped_full + dropped_stopped + pending`.
//! - Stop travels on its own channel, never through the bounded queue, so it cannot be lost.
//! - A panic in a job is caught and counted, and the thread lives on.
//!
//! A burst costs one wake-up, not one an item: when the queue was empty the first item wakes the
//! thread, which then lingers a few milliseconds and takes all that has come meanwhile. Items that end up
//! side by side in one buffer, as log lines do, are laid on a [`Tray`] instead, at the price of a copy.
//!
//! ```
//! use std::time::Duration;
//! use testapi::clock::Clock;
//! use testapi::worker::{self, Fill, FlushError, Job, Limits, Why};
//!
//! struct Sum(u64);
//! impl Job for Sum {
//!     type Item = u64;
//!     fn take(&mut self, item: u64) -> Fill {
//!         self.0 += item;
//!         Fill::Room
//!     }
//!     fn flush(&mut self, _why: Why) -> Result<(), FlushError> {
//!         if self.0 == 6 { Ok(()) } else { Err(FlushError::new(format!("sum is {}", self.0))) }
//!     }
//! }
//!
//! let (handle, guard) = worker::start("dd-sum", Limits::default(), Clock::system(), Sum(0))?;
//! for item in [1, 2, 3] {
//!     handle.offer(item).unwrap();
//! }
//! assert_eq!(handle.flush(Duration::from_secs(5)), Ok(()));
//! let stopped = guard.stop(Duration::from_secs(5));
//! assert_eq!((stopped.left, stopped.joined), (0, true));
//! # Ok::<(), std::io::Error>(())
//! ```

mod handle;
mod job;
mod runner;
mod stats;
mod tray;

pub use handle::{AskError, Dropped, Guard, Handle, Stopped, start};
pub use job::{Fill, FlushError, Job, Limits, Why, panic_text};
pub use stats::{Ledger, Stats};
pub use tray::{Carrier, Tray, TrayLimits, start_tray};
