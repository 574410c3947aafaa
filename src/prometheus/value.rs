//! Counters and gauges: the numbers behind a handle.
//!
//! A counter is striped: each thread adds to a cache line of its own, a scrape adds the lines up.

use std::fmt;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use super::family::{Metric, Shape};
use super::text::{self, Line, Prefixes};

/// Counts up. Cloning shares the count.
#[derive(Clone)]
pub struct Counter(Stripes);

/// A value that goes up and down. Cloning shares the value.
#[derive(Clone)]
pub struct Gauge(Arc<AtomicU64>);

impl Counter {
    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `count`.
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.word(0).fetch_add(count, Ordering::Relaxed);
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
        vec![Line {
            suffix: "",
            le: None,
        }]
    }

    fn expose(&self, prefixes: &Prefixes, out: &mut Vec<u8>) {
        for prefix in prefixes.iter() {
            out.extend_from_slice(prefix);
            text::push_u64(out, self.value());
            out.push(b'\n');
        }
    }
}

impl Gauge {
    /// Sets the value.
    #[inline]
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
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

    fn lines(_shape: &Shape) -> Vec<Line> {
        vec![Line {
            suffix: "",
            le: None,
        }]
    }

    fn expose(&self, prefixes: &Prefixes, out: &mut Vec<u8>) {
        for prefix in prefixes.iter() {
            out.extend_from_slice(prefix);
            text::push_f64(out, self.value());
            out.push(b'\n');
        }
    }
}

/// Adds to a float that is kept as its bits.
#[inline]
pub(super) fn add_f64(bits: &AtomicU64, delta: f64) {
    let mut held = bits.load(Ordering::Relaxed);
    loop {
        let next = (f64::from_bits(held) + delta).to_bits();
        match bits.compare_exchange_weak(held, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => held = now,
        }
    }
}

const LINE_WORDS: usize = 16;

/// 128 bytes: two cache lines, because the prefetcher of current CPUs fetches them in pairs.
#[derive(Default)]
#[repr(align(128))]
struct Words([AtomicU64; LINE_WORDS]);

/// The same words once for each stripe; a thread writes to its own stripe alone.
#[derive(Clone)]
pub(super) struct Stripes {
    lines: Arc<[Words]>,
    lines_each: usize,
}

impl Stripes {
    /// Zeros, `words` of them in each stripe.
    pub(super) fn new(words: usize) -> Stripes {
        let lines_each = words.div_ceil(LINE_WORDS);
        let lines = (0..stripe_count() * lines_each).map(|_| Words::default());
        Stripes {
            lines: lines.collect(),
            lines_each,
        }
    }

    /// This thread's word.
    #[inline]
    pub(super) fn word(&self, index: usize) -> &AtomicU64 {
        self.at(STRIPE.with(|stripe| *stripe), index)
    }

    /// A word added up over all stripes.
    pub(super) fn sum(&self, index: usize) -> u64 {
        self.each(index).fold(0, u64::wrapping_add)
    }

    /// A word that holds a float, added up over all stripes.
    pub(super) fn sum_f64(&self, index: usize) -> f64 {
        self.each(index).map(f64::from_bits).sum::<f64>() + 0.0
    }

    fn each(&self, index: usize) -> impl Iterator<Item = u64> {
        let stripes = self.lines.len() / self.lines_each;
        (0..stripes).map(move |stripe| self.at(stripe, index).load(Ordering::Relaxed))
    }

    #[inline]
    fn at(&self, stripe: usize, index: usize) -> &AtomicU64 {
        &self.lines[stripe * self.lines_each + index / LINE_WORDS].0[index % LINE_WORDS]
    }
}

thread_local! {
    static STRIPE: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % stripe_count()
    };
}

/// As many as can write at once; eight bound the memory of one series on large machines.
fn stripe_count() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| {
        thread::available_parallelism()
            .map_or(1, usize::from)
            .min(8)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_stripe_do_not_overlap() {
        for words in [1, LINE_WORDS, LINE_WORDS + 1] {
            let stripes = Stripes::new(words);
            (0..words)
                .for_each(|word| stripes.word(word).store(word as u64 + 1, Ordering::Relaxed));
            let sums: Vec<u64> = (0..words).map(|word| stripes.sum(word)).collect();
            assert_eq!(sums, (1..=words as u64).collect::<Vec<_>>());
        }
    }

    #[test]
    fn threads_lose_no_count() {
        let counter = Counter(Stripes::new(1));
        let gauge = Gauge(Arc::default());
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        counter.inc();
                        gauge.add(0.5);
                    }
                });
            }
        });
        assert_eq!((counter.value(), gauge.value()), (4_000, 2_000.0));
    }

    #[test]
    fn a_sum_of_nothing_has_no_sign() {
        assert_eq!(Stripes::new(1).sum_f64(0).to_bits(), 0.0_f64.to_bits());
    }
}
