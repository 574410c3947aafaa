//! Histograms with explicit bounds.
//!
//! Invariant: a scrape never shows torn counts. `_count` is not a number of its own but the sum of
//! the buckets as they were read, so buckets are cumulative and `+Inf` equals `_count`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::family::{Metric, Shape};
use super::text::{self, Line, Prefixes};
use super::value::{Stripes, add_f64};

/// Counts observations by size. Cloning shares the counts.
#[derive(Clone)]
pub struct Histogram {
    shape: Arc<Shape>,
    stripes: Stripes,
}

/// Word 0 of a stripe holds the sum, the buckets follow.
const SUM: usize = 0;
const BUCKETS: usize = 1;

impl Histogram {
    /// Counts one observation in the first bucket whose bound is not below it.
    ///
    /// What is not finite is ignored and counted in [`Stats`](super::Stats): one NaN or infinity
    /// would spoil the sum for the life of the process.
    #[inline]
    pub fn observe(&self, value: f64) {
        if !value.is_finite() {
            self.shape.ignored.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let bucket = bucket_of(&self.shape.bounds, value);
        self.stripes
            .word(BUCKETS + bucket)
            .fetch_add(1, Ordering::Relaxed);
        add_f64(self.stripes.word(SUM), value);
    }

    /// How many observations there were.
    pub fn count(&self) -> u64 {
        self.buckets().sum()
    }

    /// All observations added up.
    pub fn sum(&self) -> f64 {
        self.stripes.sum_f64(SUM)
    }

    /// Observations in each bucket, not cumulative; the last is beyond every bound.
    fn buckets(&self) -> impl Iterator<Item = u64> {
        (0..=self.shape.bounds.len()).map(|bucket| self.stripes.sum(BUCKETS + bucket))
    }
}

/// Few bounds are all compared, without a branch to mispredict; many are searched.
#[inline]
fn bucket_of(bounds: &[f64], value: f64) -> usize {
    if bounds.len() <= 16 {
        bounds.iter().map(|&bound| usize::from(value > bound)).sum()
    } else {
        bounds.partition_point(|&bound| bound < value)
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count())
            .field("sum", &self.sum())
            .finish()
    }
}

impl Metric for Histogram {
    fn new(shape: &Arc<Shape>) -> Histogram {
        Histogram {
            stripes: Stripes::new(BUCKETS + shape.bounds.len() + 1),
            shape: shape.clone(),
        }
    }

    fn lines(shape: &Shape) -> Vec<Line> {
        let bounds = shape.bounds.iter().copied().chain([f64::INFINITY]);
        let bucket = |bound| Line {
            suffix: "_bucket",
            le: Some(bound),
        };
        let sum = Line {
            suffix: "_sum",
            le: None,
        };
        let count = Line {
            suffix: "_count",
            le: None,
        };
        bounds.map(bucket).chain([sum, count]).collect()
    }

    fn expose(&self, prefixes: &Prefixes, out: &mut Vec<u8>) {
        let mut prefixes = prefixes.iter();
        let mut line = |value: &dyn Fn(&mut Vec<u8>)| {
            out.extend_from_slice(
                prefixes
                    .next()
                    .expect("a prefix for each line of the shape"),
            );
            value(out);
            out.push(b'\n');
        };
        let mut count = 0;
        for bucket in self.buckets() {
            count += bucket;
            line(&|out| text::push_u64(out, count));
        }
        line(&|out| text::push_f64(out, self.sum()));
        line(&|out| text::push_u64(out, count));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{HistogramSpec, Registry};
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    #[test]
    fn an_observation_falls_into_the_first_bucket_that_is_not_below_it() {
        let many: Vec<f64> = (0..40).map(f64::from).collect();
        let rows: [(&str, &[f64], f64, usize); 8] = [
            ("no bounds", &[], 1.0, 0),
            ("below the first", &[1.0, 2.0], 0.5, 0),
            ("a bound is inclusive", &[1.0, 2.0], 1.0, 0),
            ("just over a bound", &[1.0, 2.0], 1.0 + f64::EPSILON, 1),
            ("over the last", &[1.0, 2.0], 2.5, 2),
            ("negative bounds", &[-1.0, 0.0], -0.5, 1),
            ("many bounds, on one", &many, 20.0, 20),
            ("many bounds, over all", &many, 1e9, 40),
        ];
        for (rule, bounds, value, bucket) in rows {
            assert_eq!(bucket_of(bounds, value), bucket, "{rule}");
        }
    }

    #[test]
    fn what_is_not_finite_is_ignored_and_counted() {
        let registry = Registry::new();
        let spec = HistogramSpec {
            labels: &[],
            bounds: &[1.0],
        };
        let histogram = registry.histogram("h", "H.", spec).unwrap().with(&[]);
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.5] {
            histogram.observe(value);
        }
        assert_eq!((histogram.count(), histogram.sum()), (1, 0.5));
        assert_eq!(registry.stats().observations_ignored, 3);
    }

    #[test]
    fn a_scrape_amid_writers_sees_cumulative_buckets_that_end_in_the_count() {
        const THREADS: usize = 3;
        const EACH: usize = 5_000;
        let registry = Registry::new();
        let spec = HistogramSpec {
            labels: &[],
            bounds: &[1.0, 2.0, 3.0],
        };
        let histogram = registry.histogram("h", "H.", spec).unwrap().with(&[]);
        let writing = AtomicUsize::new(THREADS);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    (0..EACH).for_each(|n| histogram.observe((n % 5) as f64));
                    writing.fetch_sub(1, Ordering::SeqCst);
                });
            }
            let mut page = Vec::new();
            let mut count_before = 0;
            while writing.load(Ordering::SeqCst) > 0 {
                page.clear();
                registry.render(&mut page);
                let counts = counts_of(&page);
                assert!(counts.is_sorted(), "{counts:?}");
                assert_eq!(counts[3], counts[4], "+Inf and _count");
                assert!(counts[4] >= count_before, "a count never falls");
                count_before = counts[4];
            }
        });
        assert_eq!(histogram.count(), (THREADS * EACH) as u64);
        assert_eq!(histogram.sum(), (THREADS * EACH / 5 * 10) as f64);
    }

    /// The four buckets, then `_count`.
    fn counts_of(page: &[u8]) -> Vec<u64> {
        let page = std::str::from_utf8(page).unwrap();
        let samples = page
            .lines()
            .filter(|line| line.starts_with("h_") && !line.starts_with("h_sum"));
        samples
            .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
            .collect()
    }
}
