//! A family: one name, its label names, and the series that its label values have made.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::text::{self, Line, Prefixes};

/// Series of one name, told apart by label values. Cloning shares them.
pub struct Family<M>(Arc<Core<M>>);

/// What a family may hold: [`Counter`](super::Counter), [`Gauge`](super::Gauge) or
/// [`Histogram`](super::Histogram).
#[allow(
    private_interfaces,
    reason = "sealed: no other room adds a kind of metric"
)]
pub trait Metric: Clone + Send + Sync + 'static {
    /// Zeros in the family's shape.
    #[doc(hidden)]
    fn new(shape: &Arc<Shape>) -> Self;
    /// The sample lines of one series.
    #[doc(hidden)]
    fn lines(shape: &Shape) -> Vec<Line>;
    /// Writes the sample lines.
    #[doc(hidden)]
    fn expose(&self, prefixes: &Prefixes, out: &mut Vec<u8>);
}

/// What all series of a family share.
#[derive(Default)]
pub struct Shape {
    pub(super) bounds: Box<[f64]>,
    pub(super) ignored: AtomicU64,
}

/// How a family shows itself.
pub(super) struct Head {
    pub(super) name: String,
    pub(super) help: String,
    pub(super) kind: &'static str,
    pub(super) labels: Vec<String>,
    pub(super) series_max: usize,
}

/// A family as the registry sees it.
pub(super) trait Expose: Send + Sync {
    fn expose(&self, out: &mut Vec<u8>);
    fn count(&self) -> Counts;
}

/// What a family adds to [`Stats`](super::Stats).
pub(super) struct Counts {
    pub(super) series: u64,
    pub(super) refused: u64,
    pub(super) ignored: u64,
}

/// A longer label value makes no series of its own.
const LABEL_VALUE_BYTES_MAX: usize = 1_024;

struct Core<M> {
    name: String,
    labels: Vec<String>,
    /// HELP and TYPE, finished.
    head: Vec<u8>,
    shape: Arc<Shape>,
    series_max: usize,
    hasher: RandomState,
    series: RwLock<AllSeries<M>>,
    overflow: OnceLock<M>,
    refused: AtomicU64,
}

struct AllSeries<M> {
    by_hash: HashMap<u64, Vec<Arc<Series<M>>>, BuildHasherDefault<AsIs>>,
    /// By label values, for a page that never changes its order.
    sorted: Vec<Arc<Series<M>>>,
}

struct Series<M> {
    values: Box<[Box<str>]>,
    prefixes: Prefixes,
    metric: M,
}

impl<M: Metric> Family<M> {
    pub(super) fn new(head: Head, bounds: &[f64]) -> Family<M> {
        let mut lines = Vec::new();
        text::push_head(&mut lines, &head.name, &head.help, head.kind);
        let family = Family(Arc::new(Core {
            name: head.name,
            labels: head.labels,
            head: lines,
            shape: Arc::new(Shape {
                bounds: bounds.into(),
                ..Shape::default()
            }),
            series_max: head.series_max,
            hasher: RandomState::new(),
            series: RwLock::default(),
            overflow: OnceLock::new(),
            refused: AtomicU64::new(0),
        }));
        if family.0.labels.is_empty() {
            // A family without labels shows zero from the start, so that a first increase is seen.
            family.with(&[]);
        }
        family
    }

    /// The series of these label values, in the order of the label names; made when it is new.
    ///
    /// Values that cannot have a series of their own share one, whose every label is `overflow`:
    /// when the family is full, when there are too many or too few of them, when one is longer
    /// than 1,024 bytes or holds a line break that the format cannot escape. Each such call is
    /// counted, see [`Family::refused`].
    pub fn with(&self, values: &[&str]) -> M {
        let core = &*self.0;
        let hash = core.hasher.hash_one(values);
        let full = {
            let series = core.series.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = series.find(hash, values) {
                return found;
            }
            series.sorted.len() >= core.series_max
        };
        if full || !core.fits(values) {
            return core.refuse();
        }
        core.add(values, core.series_max)
            .unwrap_or_else(|| core.refuse())
    }

    /// How many calls of [`Family::with`] were answered with the overflow series.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    pub(super) fn exposed(&self) -> Arc<dyn Expose> {
        self.0.clone()
    }
}

impl<M> Clone for Family<M> {
    fn clone(&self) -> Self {
        Family(self.0.clone())
    }
}

impl<M> fmt::Debug for Family<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Family")
            .field("name", &self.0.name)
            .field("labels", &self.0.labels)
            .finish_non_exhaustive()
    }
}

impl<M: Metric> Core<M> {
    fn fits(&self, values: &[&str]) -> bool {
        let plain = |value: &&str| {
            value.len() <= LABEL_VALUE_BYTES_MAX && !value.chars().any(text::breaks_lines)
        };
        values.len() == self.labels.len() && values.iter().all(plain)
    }

    fn refuse(&self) -> M {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let make = || {
            let values = vec!["overflow"; self.labels.len()];
            self.add(&values, usize::MAX)
                .expect("no bound on the overflow series")
        };
        self.overflow.get_or_init(make).clone()
    }

    /// Finds or makes a series, unless the family holds `series_max` already.
    fn add(&self, values: &[&str], series_max: usize) -> Option<M> {
        let hash = self.hasher.hash_one(values);
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = series.find(hash, values) {
            return Some(found);
        }
        if series.sorted.len() >= series_max {
            return None;
        }
        let names = self.labels.iter().map(String::as_str);
        let labels: Vec<_> = names.zip(values.iter().copied()).collect();
        let metric = M::new(&self.shape);
        series.insert(
            hash,
            Arc::new(Series {
                values: values.iter().map(|&value| value.into()).collect(),
                prefixes: Prefixes::new(&self.name, &labels, &M::lines(&self.shape)),
                metric: metric.clone(),
            }),
        );
        Some(metric)
    }
}

impl<M: Metric> Expose for Core<M> {
    fn expose(&self, out: &mut Vec<u8>) {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if series.sorted.is_empty() {
            return;
        }
        out.extend_from_slice(&self.head);
        for one in &series.sorted {
            one.metric.expose(&one.prefixes, out);
        }
    }

    fn count(&self) -> Counts {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        Counts {
            series: series.sorted.len() as u64,
            refused: self.refused.load(Ordering::Relaxed),
            ignored: self.shape.ignored.load(Ordering::Relaxed),
        }
    }
}

impl<M> Default for AllSeries<M> {
    fn default() -> Self {
        AllSeries {
            by_hash: HashMap::default(),
            sorted: Vec::new(),
        }
    }
}

impl<M: Clone> AllSeries<M> {
    fn find(&self, hash: u64, values: &[&str]) -> Option<M> {
        let same = |series: &&Arc<Series<M>>| {
            series.values.len() == values.len()
                && series
                    .values
                    .iter()
                    .zip(values)
                    .all(|(held, given)| **held == **given)
        };
        self.by_hash
            .get(&hash)?
            .iter()
            .find(same)
            .map(|series| series.metric.clone())
    }

    fn insert(&mut self, hash: u64, series: Arc<Series<M>>) {
        let at = self
            .sorted
            .partition_point(|held| held.values < series.values);
        self.sorted.insert(at, series.clone());
        self.by_hash.entry(hash).or_default().push(series);
    }
}

/// The keys are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Counter, Registry};
    use super::*;

    fn page(registry: &Registry) -> String {
        let mut page = Vec::new();
        registry.render(&mut page);
        String::from_utf8(page).unwrap()
    }

    fn family(registry: &Registry) -> Family<Counter> {
        registry.counter("c", "C.", &["a", "b"]).unwrap()
    }

    #[test]
    fn series_stand_in_the_order_of_their_label_values() {
        let registry = Registry::new();
        let family = family(&registry);
        for values in [
            ["b", "a"],
            ["a", "z"],
            ["", "z"],
            ["a", "b"],
            ["ab", "c"],
            ["a", "bc"],
        ] {
            family.with(&values).inc();
        }
        assert_eq!(
            page(&registry),
            "# HELP c_total C.\n# TYPE c_total counter\n\
             c_total{a=\"\",b=\"z\"} 1\n\
             c_total{a=\"a\",b=\"b\"} 1\n\
             c_total{a=\"a\",b=\"bc\"} 1\n\
             c_total{a=\"a\",b=\"z\"} 1\n\
             c_total{a=\"ab\",b=\"c\"} 1\n\
             c_total{a=\"b\",b=\"a\"} 1\n"
        );
    }

    #[test]
    fn the_same_values_are_the_same_series() {
        let registry = Registry::new();
        let family = family(&registry);
        family.with(&["x", "y"]).add(2);
        family.clone().with(&["x", "y"]).add(3);
        assert_eq!(family.with(&["x", "y"]).value(), 5);
        assert_eq!(registry.stats().series, 1);
    }

    #[test]
    fn a_full_family_counts_on_in_the_overflow_series() {
        let registry = Registry::with_series_max(2);
        let family = family(&registry);
        for value in ["1", "2", "3", "4", "1"] {
            family.with(&[value, ""]).inc();
        }
        assert_eq!(
            page(&registry),
            "# HELP c_total C.\n# TYPE c_total counter\n\
             c_total{a=\"1\",b=\"\"} 2\n\
             c_total{a=\"2\",b=\"\"} 1\n\
             c_total{a=\"overflow\",b=\"overflow\"} 2\n"
        );
        assert_eq!((family.refused(), registry.stats().series_refused), (2, 2));
        // Asked for by name it is found, and that is no refusal.
        assert_eq!(family.with(&["overflow", "overflow"]).value(), 2);
        assert_eq!(family.refused(), 2);
    }

    #[test]
    fn values_that_cannot_be_shown_go_to_the_overflow_series() {
        let longest = "x".repeat(LABEL_VALUE_BYTES_MAX);
        let too_long = "x".repeat(LABEL_VALUE_BYTES_MAX + 1);
        let rows: [(&str, &[&str], u64); 9] = [
            ("as many values as names", &["a", "b"], 0),
            ("none", &[], 1),
            ("one too few", &["a"], 1),
            ("one too many", &["a", "b", "c"], 1),
            ("the longest value", &["a", &longest], 0),
            ("a byte longer", &["a", &too_long], 1),
            ("a line feed can be escaped", &["a", "\n"], 0),
            ("a carriage return cannot", &["a\r", "b"], 1),
            ("nor a line separator", &["a", "\u{2028}"], 1),
        ];
        for (rule, values, refused) in rows {
            let registry = Registry::new();
            let family = family(&registry);
            family.with(values).inc();
            assert_eq!(family.refused(), refused, "{rule}");
            assert_eq!(registry.stats().series, 1, "{rule}");
        }
    }
}
