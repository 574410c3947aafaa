//! A family: one name, its label names, and the series that its label values have made.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::format::Format;
use super::kind::Kind;
use super::table::{Keyed, Table};
use super::text::{self, Heads, Line, Prefixes};
use super::words::{Wanted, Words};
use crate::clock::Clock;

/// Series of one name, told apart by label values. Cloning shares them.
pub struct Family<M>(Arc<Core<M>>);

/// What a family may hold: [`Counter`](super::Counter), [`Gauge`](super::Gauge),
/// [`Histogram`](super::Histogram) or [`Summary`](super::Summary).
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
    fn expose(&self, prefixes: &Prefixes, page: &mut Page<'_>);
}

/// What all series of a family share.
pub struct Shape {
    pub(super) kind: Kind,
    /// Bounds of the buckets, or quantiles.
    pub(super) bounds: Box<[f64]>,
    pub(super) ignored: AtomicU64,
    pub(super) clock: Clock,
}

/// Where a page is written.
pub struct Page<'a> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) format: Format,
}

/// How a family shows itself.
pub(super) struct Head {
    pub(super) base: String,
    pub(super) help: String,
    pub(super) labels: Vec<String>,
    pub(super) series_max: usize,
}

/// A family as the registry sees it.
pub(super) trait Expose: Send + Sync {
    fn name(&self) -> &str;
    fn expose(&self, page: &mut Page<'_>);
    fn count(&self) -> Counts;
}

/// What a family adds to [`Stats`](super::Stats).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) series: u64,
    pub(super) refused: u64,
    pub(super) ignored: u64,
}

/// A longer label value makes no series of its own.
const LABEL_VALUE_BYTES_MAX: usize = 1_024;
/// What the lines of a family take without their values: long labels in many lines would else make a page of
/// hundreds of megabytes.
const FAMILY_BYTES_MAX: usize = 16 << 20;

struct Core<M> {
    base: String,
    labels: Vec<String>,
    heads: Heads,
    shape: Arc<Shape>,
    series_max: usize,
    series: Table<Arc<Series<M>>>,
    overflow: OnceLock<Arc<Series<M>>>,
    refused: AtomicU64,
    /// Of the lines of all series, without their values; changed by who adds.
    bytes: AtomicUsize,
    /// Made since the last page.
    fresh: Mutex<Vec<Arc<Series<M>>>>,
    /// By label values, for a page that never changes its order.
    sorted: Mutex<Sorted<M>>,
}

type Sorted<M> = Arc<Vec<Arc<Series<M>>>>;

struct Series<M> {
    key: Words,
    metric: M,
    prefixes: Prefixes,
}

impl<M> Keyed for Arc<Series<M>> {
    #[inline]
    fn is(&self, wanted: &Wanted<'_>) -> bool {
        self.key.are(wanted)
    }
}

impl<M: Metric> Family<M> {
    pub(super) fn new(head: Head, shape: Shape) -> Family<M> {
        let labels = head.labels.len();
        let family = Family(Arc::new(Core {
            heads: Heads::new(&head.base, shape.kind, &head.help),
            base: head.base,
            labels: head.labels,
            shape: Arc::new(shape),
            series_max: head.series_max,
            series: Table::new(labels),
            overflow: OnceLock::new(),
            refused: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
            fresh: Mutex::default(),
            sorted: Mutex::default(),
        }));
        if family.0.labels.is_empty() {
            // A family without labels shows zero from the start, so that a first increase is seen.
            family.with(&[]);
        }
        family
    }

    /// The series of these label values, in the order of the label names; made when it is new. To find one
    /// takes no lock and no allocation; keep a clone of what is used often.
    ///
    /// Values that cannot have a series of their own share one, whose every label is `overflow`:
    /// when the family is full (of series, or its lines have 16 MiB), when there are too many or too few of them,
    /// when one is longer than 1,024 bytes or holds a line break that the format cannot escape. Each such call
    /// is counted, see [`Family::refused`].
    #[inline]
    pub fn with(&self, values: &[&str]) -> &M {
        match self.0.series.find(values) {
            Some(series) => &series.metric,
            None => self.0.make(values),
        }
    }

    /// How many calls of [`Family::with`] were answered with the overflow series.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// Whether these values can have a series, as far as their texts go.
    pub(super) fn takes(&self, values: &[&str]) -> bool {
        self.0.fits(values)
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
            .field("name", &self.0.base)
            .field("labels", &self.0.labels)
            .finish_non_exhaustive()
    }
}

impl<M: Metric> Core<M> {
    #[cold]
    fn make(&self, values: &[&str]) -> &M {
        let made = self.fits(values).then(|| self.add(values, self.series_max));
        match made.flatten() {
            Some(series) => &series.metric,
            None => self.refuse(),
        }
    }

    fn fits(&self, values: &[&str]) -> bool {
        values.len() == self.labels.len() && values.iter().all(|value| is_writable(value))
    }

    fn refuse(&self) -> &M {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let make = || {
            let values = vec!["overflow"; self.labels.len()];
            let added = self.add(&values, usize::MAX).cloned();
            added.unwrap_or_else(|| {
                // No slot is left on its path: found here, and by nobody who asks for it by name.
                let series = Arc::new(self.series_of(&values));
                lock(&self.fresh).push(series.clone());
                series
            })
        };
        &self.overflow.get_or_init(make).metric
    }

    /// Finds or makes a series, unless the family holds `series_max` already or its lines are too long.
    fn add(&self, values: &[&str], series_max: usize) -> Option<&Arc<Series<M>>> {
        let mut adding = self.series.adding();
        if let Some(found) = self.series.find(values) {
            return Some(found);
        }
        if adding.count() >= series_max {
            return None;
        }
        let series = self.series_of(values);
        let bytes = self.bytes.load(Ordering::Relaxed) + series.prefixes.bytes();
        if bytes > FAMILY_BYTES_MAX && series_max < usize::MAX {
            return None;
        }
        let added = adding.add(values, Arc::new(series))?;
        self.bytes.store(bytes, Ordering::Relaxed);
        lock(&self.fresh).push(added.clone());
        Some(added)
    }

    fn series_of(&self, values: &[&str]) -> Series<M> {
        let names = self.labels.iter().map(String::as_str);
        let labels: Vec<_> = names.zip(values.iter().copied()).collect();
        Series {
            key: Words::new(values),
            prefixes: Prefixes::new(&self.base, &labels, &M::lines(&self.shape)),
            metric: M::new(&self.shape),
        }
    }

    /// All series in their order. Who makes one meanwhile does not wait for the page to be written.
    fn in_order(&self) -> Sorted<M> {
        let mut sorted = lock(&self.sorted);
        let mut fresh = lock(&self.fresh);
        if !fresh.is_empty() {
            let all = Arc::make_mut(&mut sorted);
            all.append(&mut fresh);
            drop(fresh);
            all.sort_by(|a, b| a.key.whole().cmp(b.key.whole()));
        }
        sorted.clone()
    }
}

impl<M: Metric> Expose for Core<M> {
    fn name(&self) -> &str {
        &self.base
    }

    fn expose(&self, page: &mut Page<'_>) {
        let series = self.in_order();
        if series.is_empty() {
            return;
        }
        page.out.extend_from_slice(match page.format {
            Format::Text => &self.heads.text,
            Format::OpenMetrics => &self.heads.openmetrics,
        });
        for one in &*series {
            one.metric.expose(&one.prefixes, page);
        }
    }

    fn count(&self) -> Counts {
        Counts {
            series: self.series.adding().count() as u64,
            refused: self.refused.load(Ordering::Relaxed),
            ignored: self.shape.ignored.load(Ordering::Relaxed),
        }
    }
}

/// Whether a value can stand in a label of a series of its own.
pub(super) fn is_writable(value: &str) -> bool {
    value.len() <= LABEL_VALUE_BYTES_MAX && !value.chars().any(text::breaks_lines)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::{Counter, HistogramSpec, Options, Registry};
    use super::*;

    fn page(registry: &Registry) -> String {
        let mut page = Vec::new();
        registry.render(Format::Text, &mut page);
        String::from_utf8(page).unwrap()
    }

    fn family(registry: &Registry) -> Family<Counter> {
        registry.counter("c", "C.", &["a", "b"]).unwrap()
    }

    #[test]
    fn series_stand_in_the_order_of_their_label_values() {
        let registry = Registry::new();
        let family = family(&registry);
        for values in [["b", "a"], ["a", "z"], ["", "z"]] {
            family.with(&values).inc();
        }
        page(&registry);
        for values in [["a", "b"], ["ab", "c"], ["a", "bc"]] {
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
        let registry = Registry::with(Options {
            series_max: 2,
            ..Options::default()
        });
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

    #[test]
    fn a_family_of_long_lines_is_full_before_its_page_is_huge() {
        let registry = Registry::new();
        let spec = HistogramSpec {
            labels: &["a", "b", "c"],
            bounds: &[1.0; 0],
        };
        let family = registry.histogram("h", "H.", spec).unwrap();
        let quotes = "\"".repeat(1_000);
        for n in 0..2_000 {
            family
                .with(&[&quotes, &quotes, &n.to_string()])
                .observe(1.0);
        }
        let length = page(&registry).len();
        assert!(
            (FAMILY_BYTES_MAX - 40_000..FAMILY_BYTES_MAX + 40_000).contains(&length),
            "{length}"
        );
        let own = family.refused();
        assert_eq!(registry.stats().series + own, 2_001);
        assert_eq!(family.with(&["overflow"; 3]).count(), own);
    }

    #[test]
    fn pages_are_written_while_series_are_made() {
        let registry = Registry::new();
        let family = family(&registry);
        std::thread::scope(|scope| {
            let maker = scope.spawn(|| {
                for n in 0..1_000 {
                    family.with(&[&n.to_string(), "x"]).inc();
                }
            });
            let mut before = 0;
            while !maker.is_finished() {
                let lines = page(&registry).lines().count();
                assert!(lines >= before, "no series goes away");
                before = lines;
            }
        });
        assert_eq!(page(&registry).lines().count(), 1_002);
    }
}
