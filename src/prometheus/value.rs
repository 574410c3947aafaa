//! Counters and gauges: the numbers behind a handle.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::family::{Metric, Page, Shape};
use super::kind::Kind;
use super::number::{push_f64, push_u64};
use super::stripes::{Stripes, add_f64};
use super::text::{Line, Prefixes};

/// Counts up. Cloning shares the count.
#[derive(Clone)]
pub struct Counter(Stripes);

/// A value that goes up and down. Cloning shares the value.
#[derive(Clone)]
pub struct Gauge(Arc<AtomicU64>);

impl Counter {
    /// Adds one, with one relaxed atomic on a cache line that few other threads write.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `count`.
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.own().word(0).fetch_add(count, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn value(&self) -> u64 {
        self.0.sum(0)
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.value()).finish()
    }
}

impl Metric for Counter {
    fn new(_shape: &Arc<Shape>) -> Counter {
        Counter(Stripes::new(1))
    }

    fn lines(_shape: &Shape) -> Vec<Line> {
        vec![Line::plain(Kind::Counter.suffix())]
    }

    fn expose(&self, prefixes: &Prefixes, page: &mut Page<'_>) {
        for prefix in prefixes.iter() {
            page.out.extend_from_slice(prefix);
            push_u64(page.out, self.value());
            page.out.push(b'\n');
        }
    }
}

impl Gauge {
    /// Sets the value.
    #[inline]
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Sets the value unless it is higher already. Neither may be negative: then their bits are in their order.
    pub fn rise_to(&self, value: f64) {
        self.0.fetch_max(value.to_bits(), Ordering::Relaxed);
    }

    /// Adds `delta`, which may be negative.
    #[inline]
    pub fn add(&self, delta: f64) {
        add_f64(&self.0, delta);
    }

    /// The value as it stands.
    pub fn value(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gauge").field(&self.value()).finish()
    }
}

impl Metric for Gauge {
    fn new(_shape: &Arc<Shape>) -> Gauge {
        Gauge(Arc::default())
    }

    /// A gauge may stand behind a counter that is read elsewhere, or behind an info.
    fn lines(shape: &Shape) -> Vec<Line> {
        vec![Line::plain(shape.kind.suffix())]
    }

    fn expose(&self, prefixes: &Prefixes, page: &mut Page<'_>) {
        for prefix in prefixes.iter() {
            page.out.extend_from_slice(prefix);
            push_f64(page.out, self.value());
            page.out.push(b'\n');
        }
    }
}
