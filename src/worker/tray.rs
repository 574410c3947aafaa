//! A tray: what callers offer is appended to one buffer, which the worker carries away whole.
//!
//! For items that end up side by side in one buffer anyway, such as log lines or the chunks of a payload: an
//! item costs a short lock and a copy, in place of a queue's slot, an allocation here and its release there.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::handle::{AskError, Dropped, Guard, Handle, start_counting};
use super::runner::Control;
use super::stats::Shared;
use super::{Fill, FlushError, Job, Limits, Stats, Why};
use crate::clock::Clock;

/// What a room does with a tray on its background thread.
pub trait Carrier: Send + 'static {
    /// What callers append to.
    type Load: Default + Send + 'static;

    /// Takes in all that the tray held, and leaves `load` empty; memory it keeps is used again.
    fn carry(&mut self, load: &mut Self::Load);

    /// Sends what has been carried, just after [`Carrier::carry`].
    ///
    /// # Errors
    /// As [`Job::flush`].
    fn flush(&mut self, why: Why) -> Result<(), FlushError>;
}

/// Bounds of one tray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrayLimits {
    /// Bytes that the tray may hold; an item over is dropped.
    pub bytes_max: usize,
    /// Bytes at which the worker is called before its next tick.
    pub call_bytes: usize,
    /// Time between two flushes.
    pub flush_interval: Duration,
}

/// Appends items to a worker's tray. Cheap to clone.
pub struct Tray<L> {
    slot: Arc<Mutex<Slot<L>>>,
    worker: Handle<Infallible>,
    limits: TrayLimits,
}

#[derive(Default)]
struct Slot<L> {
    load: L,
    items: u64,
    bytes: usize,
    closed: bool,
}

/// The worker's side.
struct Waiter<C: Carrier> {
    carrier: C,
    slot: Arc<Mutex<Slot<C::Load>>>,
    spare: C::Load,
    shared: Arc<Shared>,
}

/// Starts a carrier on a thread of its own. `name` takes at most 15 bytes, all that Linux keeps.
///
/// # Errors
/// When the system refuses another thread.
pub fn start_tray<C: Carrier>(
    name: &'static str,
    limits: TrayLimits,
    clock: Clock,
    carrier: C,
) -> io::Result<(Tray<C::Load>, Guard)> {
    let slot = Arc::new(Mutex::new(Slot::default()));
    let shared = Arc::new(Shared::new(limits.bytes_max));
    let waiter = Waiter {
        carrier,
        slot: slot.clone(),
        spare: C::Load::default(),
        shared: shared.clone(),
    };
    let of_worker = Limits {
        queue_items_max: 1,
        flush_interval: limits.flush_interval,
        ..Limits::default()
    };
    let (worker, guard) = start_counting(name, of_worker, clock, (waiter, shared))?;
    let tray = Tray {
        slot,
        worker,
        limits,
    };
    Ok((tray, guard))
}

impl<L> Tray<L> {
    /// Appends an item that takes so many bytes, or drops and counts it. Waits for no more than another
    /// caller's copy.
    ///
    /// # Errors
    /// [`Dropped`] says why the item is gone; `add` was not called then.
    pub fn offer(&self, bytes: usize, add: impl FnOnce(&mut L)) -> Result<(), Dropped> {
        self.offer_within(self.limits.bytes_max, bytes, add)
    }

    /// The same within a bound of the item's own, below the tray's: what it leaves free is for items
    /// that are worth more. An empty tray has room for each.
    ///
    /// # Errors
    /// As [`Tray::offer`].
    pub fn offer_within(
        &self,
        bytes_max: usize,
        bytes: usize,
        add: impl FnOnce(&mut L),
    ) -> Result<(), Dropped> {
        let callers = &self.worker.shared.callers.0;
        callers.offered.fetch_add(1, Ordering::Relaxed);
        let mut slot = lock(&self.slot);
        let held = slot.bytes;
        let holds = held.saturating_add(bytes);
        let dropped = if slot.closed {
            Some((&callers.dropped_stopped, Dropped::Stopped))
        } else if holds > self.limits.bytes_max || (held > 0 && holds > bytes_max) {
            Some((&callers.dropped_full, Dropped::Full))
        } else {
            None
        };
        if let Some((counter, dropped)) = dropped {
            counter.fetch_add(1, Ordering::Relaxed);
            return Err(dropped);
        }
        add(&mut slot.load);
        slot.bytes = holds;
        slot.items += 1;
        drop(slot);
        if held < self.limits.call_bytes && holds >= self.limits.call_bytes {
            let _ = self.worker.control.send(Control::Full);
        }
        Ok(())
    }

    /// Carries away what is on the tray now, flushes, and waits for the answer.
    ///
    /// # Errors
    /// As [`Handle::flush`].
    pub fn flush(&self, deadline: Duration) -> Result<(), AskError> {
        self.worker.flush(deadline)
    }

    /// The worker's counters as they stand.
    pub fn stats(&self) -> Stats {
        self.worker.stats()
    }
}

impl<L> Clone for Tray<L> {
    fn clone(&self) -> Self {
        Tray {
            slot: self.slot.clone(),
            worker: self.worker.clone(),
            limits: self.limits,
        }
    }
}

impl<L> fmt::Debug for Tray<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tray")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl<C: Carrier> Job for Waiter<C> {
    type Item = Infallible;

    fn take(&mut self, item: Infallible) -> Fill {
        match item {}
    }

    fn flush(&mut self, why: Why) -> Result<(), FlushError> {
        let mut slot = lock(&self.slot);
        slot.closed |= why == Why::Stop;
        let spare = std::mem::take(&mut self.spare);
        let mut load = std::mem::replace(&mut slot.load, spare);
        slot.bytes = 0;
        let items = std::mem::take(&mut slot.items);
        drop(slot);
        self.shared
            .thread
            .0
            .taken
            .fetch_add(items, Ordering::Relaxed);
        self.carrier.carry(&mut load);
        self.spare = load;
        self.carrier.flush(why)
    }
}

/// A caller that panicked while it appended has left at worst a part of its item.
fn lock<L>(slot: &Mutex<Slot<L>>) -> MutexGuard<'_, Slot<L>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use crossbeam_channel::{self as channel, Receiver, Sender};

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    /// Tells what it carried, and waits at a gate before it does.
    struct Porter {
        gate: Option<Receiver<()>>,
        told: Sender<(Vec<u8>, Why)>,
        carried: Vec<u8>,
    }

    impl Carrier for Porter {
        type Load = Vec<u8>;

        fn carry(&mut self, load: &mut Vec<u8>) {
            self.carried.append(load);
        }

        fn flush(&mut self, why: Why) -> Result<(), FlushError> {
            if let Some(gate) = &self.gate {
                let _ = gate.recv();
            }
            let carried = std::mem::take(&mut self.carried);
            let fails = carried.contains(&0);
            let _ = self.told.send((carried, why));
            assert!(!fails, "zero");
            Ok(())
        }
    }

    type Told = Receiver<(Vec<u8>, Why)>;

    fn tray(bytes_max: usize, gate: Option<Receiver<()>>) -> (Tray<Vec<u8>>, Guard, Told) {
        let (told, seen) = channel::unbounded();
        let limits = TrayLimits {
            bytes_max,
            call_bytes: bytes_max / 2,
            flush_interval: Duration::from_secs(3_600),
        };
        let porter = Porter {
            gate,
            told,
            carried: Vec::new(),
        };
        let (tray, guard) = start_tray("t-tray", limits, Clock::system(), porter).unwrap();
        (tray, guard, seen)
    }

    fn put(tray: &Tray<Vec<u8>>, byte: u8) -> Result<(), Dropped> {
        tray.offer(1, |load| load.push(byte))
    }

    #[test]
    fn a_flush_that_is_asked_for_carries_every_item_offered_before() {
        let (tray, guard, seen) = tray(100, None);
        for byte in [1, 2, 3] {
            put(&tray, byte).unwrap();
        }
        assert_eq!(tray.flush(DEADLINE), Ok(()));
        assert_eq!(seen.try_recv(), Ok((vec![1, 2, 3], Why::Asked)));
        put(&tray, 4).unwrap();
        assert!(guard.stop(DEADLINE).flushed);
        assert_eq!(seen.try_recv(), Ok((vec![4], Why::Stop)));
        assert_eq!(put(&tray, 5), Err(Dropped::Stopped));
        let stats = tray.stats();
        assert_eq!(
            (
                stats.offered,
                stats.taken,
                stats.dropped_stopped,
                stats.pending
            ),
            (5, 4, 1, 0)
        );
        assert_eq!(tray.flush(DEADLINE), Err(AskError::Stopped));
    }

    #[test]
    fn a_tray_that_is_half_full_calls_the_worker() {
        let (tray, _guard, seen) = tray(4, None);
        put(&tray, 1).unwrap();
        assert!(seen.try_recv().is_err(), "nobody has called");
        put(&tray, 2).unwrap();
        assert_eq!(seen.recv_timeout(DEADLINE), Ok((vec![1, 2], Why::Full)));
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted_while_the_worker_is_held_up() {
        let (open, gate) = channel::unbounded();
        let (tray, guard, seen) = tray(4, Some(gate));
        let kept = (0..100).filter(|_| put(&tray, 1).is_ok()).count();
        // Four fit the tray, and the worker may have carried it away once.
        assert!((4..=8).contains(&kept), "{kept}");
        drop(open);
        assert!(guard.stop(DEADLINE).joined);
        let carried: usize = seen.iter().map(|(bytes, _)| bytes.len()).sum();
        let stats = tray.stats();
        assert_eq!((carried, stats.taken), (kept, kept as u64));
        assert_eq!(stats.offered, stats.taken + stats.dropped_full);
    }

    #[test]
    fn an_item_may_be_worth_less_than_the_whole_tray() {
        let (tray, _guard, seen) = tray(100, None);
        let offer = |bytes_max| tray.offer_within(bytes_max, 1, |load| load.push(1));
        assert_eq!(
            [offer(2), offer(2), offer(2)],
            [Ok(()), Ok(()), Err(Dropped::Full)]
        );
        assert_eq!((offer(3), offer(usize::MAX)), (Ok(()), Ok(())));
        assert_eq!(tray.flush(DEADLINE), Ok(()));
        assert_eq!(seen.try_recv(), Ok((vec![1; 4], Why::Asked)));
        assert_eq!(
            [offer(0), offer(0)],
            [Ok(()), Err(Dropped::Full)],
            "one fits an empty tray"
        );
    }

    #[test]
    fn a_panic_is_counted_and_the_thread_lives_on() {
        let (tray, _guard, seen) = tray(100, None);
        put(&tray, 0).unwrap();
        assert!(tray.flush(DEADLINE).is_err());
        put(&tray, 1).unwrap();
        assert_eq!(tray.flush(DEADLINE), Ok(()));
        assert_eq!(seen.try_iter().last(), Some((vec![1], Why::Asked)));
        assert_eq!((tray.stats().panics, tray.stats().taken), (1, 2));
    }

    #[test]
    fn threads_keep_their_order_and_lose_nothing() {
        let (tray, guard, seen) = tray(64, None);
        let kept: u64 = thread::scope(|scope| {
            let put_all = |thread: u8| {
                let tray = tray.clone();
                move || {
                    let put_one = |n: u32| tray.offer(2, |load| load.extend([thread, n as u8]));
                    (0..50_000_u32).filter(|n| put_one(*n).is_ok()).count() as u64
                }
            };
            let threads = [1, 2, 3].map(|thread| scope.spawn(put_all(thread)));
            threads.map(|thread| thread.join().unwrap()).iter().sum()
        });
        assert!(guard.stop(DEADLINE).joined);
        let carried: usize = seen.iter().map(|(bytes, _)| bytes.len()).sum();
        let stats = tray.stats();
        assert_eq!((carried as u64, stats.taken), (2 * kept, kept));
        assert_eq!(stats.offered, stats.taken + stats.dropped_full);
    }
}
