//! Histograms with bounds that are known beforehand.
//!
//! Invariant: a scrape never shows torn counts. `_count` is not a number of its own but the sum of
//! the buckets as they were read, so buckets are cumulative and `+Inf` equals `_count`. `_sum` is read after
//! them and may hold observations that were made meanwhile.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::bounds::is_observable;
use super::exemplar::{Exemplar, Slot, push_exemplar};
use super::family::{Metric, Page, Shape};
use super::format::Format;
use super::number::{push_f64, push_u64};
use super::stripes::{Stripes, add_f64};
use super::text::{Line, Prefixes};

/// Counts observations by size. Cloning shares the counts.
#[derive(Clone)]
pub struct Histogram(Arc<Inner>);

struct Inner {
    shape: Arc<Shape>,
    stripes: Stripes,
    /// One for each bucket.
    exemplars: Box<[Slot]>,
}

/// Word 0 of a stripe holds the sum, the buckets follow.
const SUM: usize = 0;
const BUCKETS: usize = 1;

impl Histogram {
    /// Counts one observation in the first bucket whose bound is not below it.
    ///
    /// What is below zero, over 1e290 or not finite is ignored and counted in [`Stats`](super::Stats): it would
    /// spoil the sum for the life of the process.
    #[inline]
    pub fn observe(&self, value: f64) {
        self.count_in(value);
    }

    /// The same, and offers the observation as its bucket's exemplar: OpenMetrics shows for each bucket one
    /// of the last second in which there was any.
    #[inline]
    pub fn observe_with(&self, value: f64, exemplar: &Exemplar) {
        if let Some(bucket) = self.count_in(value) {
            self.0.exemplars[bucket].put(value, exemplar);
        }
    }

    #[inline]
    fn count_in(&self, value: f64) -> Option<usize> {
        let inner = &*self.0;
        if !is_observable(value) {
            inner.shape.ignored.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let bucket = bucket_of(&inner.shape.bounds, value);
        let own = inner.stripes.own();
        own.word(BUCKETS + bucket).fetch_add(1, Ordering::Relaxed);
        add_f64(own.word(SUM), value);
        Some(bucket)
    }

    /// How many observations there were.
    pub fn count(&self) -> u64 {
        self.buckets().sum()
    }

    /// All observations added up.
    pub fn sum(&self) -> f64 {
        self.0.stripes.sum_f64(SUM)
    }

    /// Observations in each bucket, not cumulative; the last is beyond every bound.
    fn buckets(&self) -> impl Iterator<Item = u64> {
        let inner = &*self.0;
        (0..=inner.shape.bounds.len()).map(|bucket| inner.stripes.sum(BUCKETS + bucket))
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
        let buckets = shape.bounds.len() + 1;
        Histogram(Arc::new(Inner {
            stripes: Stripes::new(BUCKETS + buckets),
            shape: shape.clone(),
            exemplars: (0..buckets).map(|_| Slot::default()).collect(),
        }))
    }

    fn lines(shape: &Shape) -> Vec<Line> {
        let bounds = shape.bounds.iter().copied().chain([f64::INFINITY]);
        let bucket = |bound| Line {
            suffix: "_bucket",
            own: Some(("le", bound)),
        };
        let rest = [Line::plain("_sum"), Line::plain("_count")];
        bounds.map(bucket).chain(rest).collect()
    }

    fn expose(&self, prefixes: &Prefixes, page: &mut Page<'_>) {
        let mut prefixes = prefixes.iter();
        let mut begin = |out: &mut Vec<u8>| {
            let prefix = prefixes
                .next()
                .expect("a prefix for each line of the shape");
            out.extend_from_slice(prefix);
        };
        let out = &mut *page.out;
        let mut count = 0;
        for (bucket, slot) in self.buckets().zip(&self.0.exemplars) {
            count += bucket;
            begin(out);
            push_u64(out, count);
            if page.format == Format::OpenMetrics
                && let Some((value, exemplar)) = slot.get()
            {
                push_exemplar(out, value, &exemplar);
            }
            out.push(b'\n');
        }
        begin(out);
        push_f64(out, self.sum());
        out.push(b'\n');
        begin(out);
        push_u64(out, count);
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::super::{HistogramSpec, Registry};
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    fn histogram(registry: &Registry, bounds: &[f64]) -> Histogram {
        let spec = HistogramSpec {
            labels: &[],
            bounds,
        };
        registry
            .histogram("h", "H.", spec)
            .unwrap()
            .with(&[])
            .clone()
    }

    #[test]
    fn an_observation_falls_into_the_first_bucket_that_is_not_below_it() {
        let many: Vec<f64> = (0..40).map(f64::from).collect();
        let rows: [(&str, &[f64], f64, usize); 8] = [
            ("no bounds", &[], 1.0, 0),
            ("below the first", &[1.0, 2.0], 0.5, 0),
            ("a bound is inclusive", &[1.0, 2.0], 1.0, 0),
            ("just over a bound", &[1.0, 2.0], 1.0 + f64::EPSILON, 1),
            ("over the last", &[1.0, 2.0], 2.5, 2),
            ("zero", &[0.0, 1.0], 0.0, 0),
            ("many bounds, on one", &many, 20.0, 20),
            ("many bounds, over all", &many, 1e9, 40),
        ];
        for (rule, bounds, value, bucket) in rows {
            assert_eq!(bucket_of(bounds, value), bucket, "{rule}");
        }
    }

    #[test]
    fn what_has_no_place_in_a_sum_is_ignored_and_counted() {
        let registry = Registry::new();
        let histogram = histogram(&registry, &[1.0]);
        let ignored = [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            -0.1,
            f64::MIN,
            f64::MAX,
            1.1e290,
        ];
        let taken = [0.5, 0.0, -0.0, 5e-324];
        for value in ignored.into_iter().chain(taken) {
            histogram.observe_with(value, &Exemplar::default());
        }
        assert_eq!((histogram.count(), histogram.sum()), (4, 0.5));
        assert_eq!(registry.stats().observations_ignored, 7);
    }

    #[test]
    fn exemplars_stand_in_openmetrics_alone() {
        let registry = Registry::new();
        let histogram = histogram(&registry, &[1.0, 2.0]);
        histogram.observe_with(
            1.5,
            &Exemplar {
                trace_id: 255,
                span_id: 7,
                unix_ms: 9_500,
            },
        );
        histogram.observe(3.0);
        let page = |format| {
            let mut page = Vec::new();
            registry.render(format, &mut page);
            String::from_utf8(page).unwrap()
        };
        assert_eq!(
            page(Format::OpenMetrics),
            "# HELP h H.\n# TYPE h histogram\n\
             h_bucket{le=\"1.0\"} 0\n\
             h_bucket{le=\"2.0\"} 1 # {trace_id=\"000000000000000000000000000000ff\",\
             span_id=\"0000000000000007\"} 1.5 9.5\n\
             h_bucket{le=\"+Inf\"} 2\n\
             h_sum 4.5\n\
             h_count 2\n\
             # EOF\n"
        );
        assert!(!page(Format::Text).contains("trace_id"));
    }

    #[test]
    fn a_scrape_amid_writers_sees_cumulative_buckets_that_end_in_the_count() {
        const THREADS: usize = 3;
        const EACH: usize = 5_000;
        let registry = Registry::new();
        let histogram = histogram(&registry, &[1.0, 2.0, 3.0]);
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
                registry.render(Format::Text, &mut page);
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
