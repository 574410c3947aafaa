//! Handles for series that are known beforehand: a request touches an atomic or a short buffer,
//! and the worker collects at each flush.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::client::Core;
use super::ledger::Reason;
use super::reservoir::Reservoir;
use super::sample::{Context, Value, milliseconds};
use super::stripes::{STRIPES, Stripes, stripe};

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

/// Sets one gauge. Cheap to clone; every clone sets the same series. Of a handle and of calls for one series
/// in the same window it is not known which comes last: use one of the two.
#[derive(Clone)]
pub struct GaugeHandle {
    pub(super) cell: Arc<GaugeCell>,
    pub(super) core: Arc<Core>,
}

impl GaugeHandle {
    /// Keeps the value for the next flush, with a store and one relaxed atomic; the last one wins. Never
    /// blocks. What is not finite is dropped as `invalid`.
    pub fn set(&self, value: f64) {
        if value.is_finite() {
            self.cell.bits.store(value.to_bits(), Ordering::Relaxed);
            self.cell.samples.fetch_add(1, Ordering::Release);
        } else {
            self.core.drop_sample(Reason::Invalid);
        }
    }
}

/// What one gauge was last set to.
pub(super) struct GaugeCell {
    pub(super) context: Context,
    bits: AtomicU64,
    samples: AtomicU64,
}

impl GaugeCell {
    pub(super) fn new(context: Context) -> GaugeCell {
        GaugeCell {
            context,
            bits: AtomicU64::new(0),
            samples: AtomicU64::new(0),
        }
    }

    /// The value and how often it was set since the last collection.
    pub(super) fn collect(&self) -> (f64, u64) {
        let samples = self.samples.swap(0, Ordering::Acquire);
        (f64::from_bits(self.bits.load(Ordering::Relaxed)), samples)
    }

    /// Samples that wait for the next collection.
    pub(super) fn waiting(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }
}

/// Records durations of one timing. Cheap to clone; every clone records to the same series.
#[derive(Clone)]
pub struct TimingHandle(pub(super) Values);

impl TimingHandle {
    /// Keeps one duration for the next flush. Waits for nobody, and allocates only while its buffer
    /// still grows; beyond the bound on values a fair sample stands for all.
    pub fn record(&self, took: Duration) {
        self.0.push(milliseconds(took));
    }
}

/// Records values of one histogram. Cheap to clone; every clone records to the same series.
#[derive(Clone)]
pub struct HistogramHandle(pub(super) Values);

impl HistogramHandle {
    /// As [`TimingHandle::record`]. What is not finite is dropped as `invalid`.
    pub fn record(&self, value: f64) {
        self.0.record(value);
    }
}

/// Records values of one distribution. Cheap to clone; every clone records to the same series.
#[derive(Clone)]
pub struct DistributionHandle(pub(super) Values);

impl DistributionHandle {
    /// As [`TimingHandle::record`]. What is not finite is dropped as `invalid`.
    pub fn record(&self, value: f64) {
        self.0.record(value);
    }
}

/// What the three above share.
#[derive(Clone)]
pub(super) struct Values {
    pub(super) cell: Arc<ValuesCell>,
    pub(super) core: Arc<Core>,
}

impl Values {
    fn record(&self, value: f64) {
        if value.is_finite() {
            self.push(value);
        } else {
            self.core.drop_sample(Reason::Invalid);
        }
    }

    fn push(&self, value: f64) {
        match self.cell.stripes.try_lock() {
            Some(mut values) => values.push(value, self.cell.values_max),
            // More threads than stripes, all at once: the queue takes it.
            None => self
                .core
                .queue_value(&self.cell.context, Value::Number(value)),
        }
    }
}

/// What one histogram, distribution or timing has gathered since the last collection.
pub(super) struct ValuesCell {
    pub(super) context: Context,
    values_max: usize,
    stripes: Stripes<Reservoir>,
}

impl ValuesCell {
    pub(super) fn new(context: Context, values_max: usize) -> ValuesCell {
        ValuesCell {
            context,
            values_max,
            // Empty: most of many handles are quiet.
            stripes: Stripes::default(),
        }
    }

    /// Takes all values out; a lock is held for as long as it takes to copy them.
    pub(super) fn collect(&self) -> Reservoir {
        let mut all = Reservoir::default();
        for mut stripe in self.stripes.each() {
            let part = stripe.take();
            if part.seen() > 0 {
                all.merge(part, self.values_max);
            }
        }
        all
    }

    /// Samples that wait for the next collection.
    pub(super) fn waiting(&self) -> u64 {
        self.stripes.each().map(|stripe| stripe.seen()).sum()
    }
}

macro_rules! named {
    ($($handle:ident: $context:expr),*) => {
        $(impl fmt::Debug for $handle {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let context: fn(&$handle) -> &Context = $context;
                f.debug_tuple(stringify!($handle)).field(&context(self).name).finish()
            }
        })*
    };
}

named!(
    CountHandle: |handle| &handle.0.context,
    GaugeHandle: |handle| &handle.cell.context,
    TimingHandle: |handle| &handle.0.cell.context,
    HistogramHandle: |handle| &handle.0.cell.context,
    DistributionHandle: |handle| &handle.0.cell.context
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dogstatsd::sample::Kind;

    #[test]
    fn a_cell_gives_all_values_out_once() {
        let context = Context::new(Kind::Timing, "took", String::new()).unwrap();
        let cell = ValuesCell::new(context, 4);
        for value in 0..3 {
            cell.stripes.try_lock().unwrap().push(f64::from(value), 4);
        }
        assert_eq!(cell.waiting(), 3);
        let values = cell.collect().into_shares().0;
        assert_eq!((values, cell.waiting()), (vec![0.0, 1.0, 2.0], 0));
    }

    #[test]
    fn a_gauge_is_what_it_was_last_set_to() {
        let context = Context::new(Kind::Gauge, "g", String::new()).unwrap();
        let cell = GaugeCell::new(context);
        assert_eq!(cell.collect().1, 0);
        for value in [1.0_f64, 2.5] {
            cell.bits.store(value.to_bits(), Ordering::Relaxed);
            cell.samples.fetch_add(1, Ordering::Release);
        }
        assert_eq!((cell.collect(), cell.waiting()), ((2.5, 2), 0));
    }
}
