//! The way from listener, receiver, tail and scrape to the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::store::{Arrival, Cargo, Store};
use crate::clock::Clock;
use crate::worker::Handle;

/// Bytes that may wait for the store. What is larger by itself never fits.
pub(super) const BYTES_MAX: usize = 64 << 20;

/// Offers what arrived; never blocks. What the full queue turns away is counted by pipeline.
#[derive(Clone)]
pub(super) struct Queue {
    pub(super) handle: Handle<Arrival>,
    pub(super) store: Arc<Store>,
    pub(super) clock: Clock,
    pub(super) lines_waiting_bytes: Arc<AtomicU64>,
}

impl Queue {
    pub(super) fn now_unix_us(&self) -> u64 {
        self.clock.unix_ns() / 1_000
    }

    /// Whether it was taken.
    pub(super) fn offer(&self, cargo: Cargo) -> bool {
        let (way, points) = cargo.points();
        let waiting = match &cargo {
            Cargo::Lines { bytes, .. } => bytes.len() as u64,
            _ => 0,
        };
        self.lines_waiting_bytes
            .fetch_add(waiting, Ordering::Relaxed);
        let arrival = Arrival {
            time_unix_us: self.now_unix_us(),
            cargo,
        };
        let taken = self.handle.offer(arrival).is_ok();
        if !taken {
            self.lines_waiting_bytes
                .fetch_sub(waiting, Ordering::Relaxed);
            if let Some(way) = way {
                self.store.note_dropped(way, points);
            }
        }
        taken
    }
}
