//! Handles for series that are known beforehand: a request touches an atomic or a short buffer,
//! and the worker collects at each flush.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use super::client::Core;
use super::ledger::Reason;
use super::sample::{Context, milliseconds};

/// Few enough to read quickly, enough that a pool's threads seldom meet.
const STRIPES: usize = 8;

/// Values one stripe of a timing keeps between two collections.
const STRIPE_VALUES_MAX: usize = 2_048;

/// The stripe of this thread, handed out in turn.
fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    const NONE: usize = usize::MAX;
    thread_local!(static STRIPE: Cell<usize> = const { Cell::new(NONE) });
    STRIPE.with(|own| {
        if own.get() == NONE {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
        }
        own.get()
    })
}

/// Adds to one count. Cheap to clone; every clone adds to the same series.
#[derive(Clone)]
pub struct CountHandle(pub(super) Arc<CountCell>);

impl CountHandle {
    /// Adds `n`, with one relaxed atomic for 1 and two for any other number. Never blocks.
    pub fn add(&self, n: i64) {
        let stripe = &self.0.stripes[stripe()];
        if n == 1 {
            stripe.ones.fetch_add(1, Ordering::Relaxed);
        } else {
            stripe.sum.fetch_add(n, Ordering::Relaxed);
            stripe.others.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for CountHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CountHandle")
            .field(&self.0.context.name)
            .finish()
    }
}

/// What one count has gathered since the last flush.
pub(super) struct CountCell {
    pub(super) context: Context,
    stripes: [CountStripe; STRIPES],
}

/// As wide as two cache lines, because processors fetch them in pairs.
#[derive(Default)]
#[repr(align(128))]
struct CountStripe {
    /// Samples of 1, which are their own sum.
    ones: AtomicU64,
    /// Sum of all other samples; wraps beyond 64 bits between two flushes.
    sum: AtomicI64,
    /// Number of these other samples.
    others: AtomicU64,
}

impl CountCell {
    pub(super) fn new(context: Context) -> CountCell {
        CountCell {
            context,
            stripes: Default::default(),
        }
    }

    /// Takes the sum and the number of samples out.
    pub(super) fn collect(&self) -> (i128, u64) {
        let (mut sum, mut samples) = (0, 0);
        for stripe in &self.stripes {
            let ones = stripe.ones.swap(0, Ordering::Relaxed);
            sum += i128::from(ones) + i128::from(stripe.sum.swap(0, Ordering::Relaxed));
            samples += ones + stripe.others.swap(0, Ordering::Relaxed);
        }
        (sum, samples)
    }

    /// Samples that wait for the next flush.
    pub(super) fn waiting(&self) -> u64 {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.stripes
            .iter()
            .map(|stripe| read(&stripe.ones) + read(&stripe.others))
            .sum()
    }
}

/// Records durations of one timing. Cheap to clone; every clone records to the same series.
#[derive(Clone)]
pub struct TimingHandle {
    pub(super) cell: Arc<TimingCell>,
    pub(super) core: Arc<Core>,
}

impl TimingHandle {
    /// Keeps one duration for the next flush. Waits for nobody, and allocates only while its buffer
    /// still grows; with all buffers full the sample is dropped as `buffer_full`.
    pub fn record(&self, took: Duration) {
        let first = stripe();
        for step in 0..STRIPES {
            let stripe = &self.cell.stripes[(first + step) % STRIPES];
            let Some(mut values) = stripe.try_lock() else {
                continue;
            };
            if values.len() < STRIPE_VALUES_MAX {
                values.push(milliseconds(took));
                let half_full = values.len() == STRIPE_VALUES_MAX / 2;
                drop(values);
                if half_full && !self.cell.crowded.swap(true, Ordering::Relaxed) {
                    self.core.ask_to_collect();
                }
                return;
            }
        }
        self.core.drop_sample(Reason::BufferFull);
    }
}

impl fmt::Debug for TimingHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TimingHandle")
            .field(&self.cell.context.name)
            .finish()
    }
}

/// What one timing has gathered since the last collection.
pub(super) struct TimingCell {
    pub(super) context: Context,
    /// Set by whoever fills a stripe by half, cleared by the worker.
    crowded: AtomicBool,
    stripes: [TimingStripe; STRIPES],
}

#[repr(align(128))]
struct TimingStripe(Mutex<Vec<f64>>);

impl TimingStripe {
    fn try_lock(&self) -> Option<MutexGuard<'_, Vec<f64>>> {
        match self.0.try_lock() {
            Ok(values) => Some(values),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<f64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TimingCell {
    pub(super) fn new(context: Context) -> TimingCell {
        TimingCell {
            context,
            crowded: AtomicBool::new(false),
            // Empty: most of many handles are quiet, and a buffer once grown keeps its room.
            stripes: std::array::from_fn(|_| TimingStripe(Mutex::new(Vec::new()))),
        }
    }

    /// Whether a stripe was half full; asking clears it.
    pub(super) fn was_crowded(&self) -> bool {
        self.crowded.swap(false, Ordering::Relaxed)
    }

    /// Moves all values to the end of `values`. The lock is held for one copy of memory.
    pub(super) fn collect(&self, values: &mut Vec<f64>) {
        for stripe in &self.stripes {
            values.append(&mut stripe.lock());
        }
    }

    /// Samples that wait for the next collection.
    pub(super) fn waiting(&self) -> u64 {
        self.stripes
            .iter()
            .map(|stripe| stripe.lock().len() as u64)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dogstatsd::sample::Kind;

    #[test]
    fn a_timing_reserves_nothing_and_keeps_what_it_grew() {
        let context = Context::new(Kind::Timing, "took", String::new()).unwrap();
        let cell = TimingCell::new(context);
        let room = |cell: &TimingCell| -> usize {
            let stripes = cell.stripes.iter();
            stripes.map(|stripe| stripe.lock().capacity()).sum()
        };
        assert_eq!(room(&cell), 0, "a quiet handle");
        cell.stripes[0].lock().extend([1.0; 100]);
        let mut values = Vec::new();
        cell.collect(&mut values);
        assert_eq!((values.len(), cell.waiting()), (100, 0));
        assert!(room(&cell) >= 100, "the next values need no allocation");
    }
}
