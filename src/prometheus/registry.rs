//! The registry: names are checked and claimed here, and the page is put together.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::family::{Expose, Family, Head, Metric};
use super::histogram::Histogram;
use super::value::{Counter, Gauge};

/// Holds every family. Cloning shares them.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

/// Series that only count up.
pub type CounterFamily = Family<Counter>;
/// Series that go up and down.
pub type GaugeFamily = Family<Gauge>;
/// Series that count by size.
pub type HistogramFamily = Family<Histogram>;

/// What a histogram has beside name and help.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistogramSpec<'a> {
    /// Label names.
    pub labels: &'a [&'a str],
    /// Upper bounds of the buckets, ascending. The bucket `+Inf` is always there.
    pub bounds: &'a [f64],
}

/// What the registry holds and what it had to refuse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Families registered.
    pub families: u64,
    /// Series of all families.
    pub series: u64,
    /// Look-ups that were answered with a family's overflow series.
    pub series_refused: u64,
    /// Observations that were not finite.
    pub observations_ignored: u64,
}

/// Why a family was not registered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Not a metric name.
    Name(String),
    /// Not a label name, or a reserved one.
    Label {
        /// The family.
        family: String,
        /// The label.
        label: String,
    },
    /// The same label twice.
    LabelTwice {
        /// The family.
        family: String,
        /// The label.
        label: String,
    },
    /// Another family writes samples of that name.
    Taken {
        /// The family that was to be registered.
        family: String,
        /// The name that both would write.
        name: String,
    },
    /// Bounds that do not ascend, are not finite, or are too many.
    Bounds(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Name(name) => {
                write!(
                    f,
                    "metric name {name:?}: must match [a-zA-Z_:][a-zA-Z0-9_:]*"
                )
            }
            Error::Label { family, label } => write!(
                f,
                "label {label:?} of {family}: must match [a-zA-Z_][a-zA-Z0-9_]*, \
                 not begin with __ and not be le"
            ),
            Error::LabelTwice { family, label } => {
                write!(f, "label {label:?} of {family}: named twice")
            }
            Error::Taken { family, name } => {
                write!(f, "family {family}: another family already writes {name}")
            }
            Error::Bounds(family) => write!(
                f,
                "bounds of {family}: must be finite, ascending and at most {BOUNDS_MAX}"
            ),
        }
    }
}

impl std::error::Error for Error {}

/// Each bound is a line of each series on every page.
const BOUNDS_MAX: usize = 100;

struct Inner {
    families: RwLock<Families>,
    series_max: usize,
    /// Length of the last page, so that the next one grows its buffer once.
    page_bytes: AtomicUsize,
}

#[derive(Default)]
struct Families {
    by_name: BTreeMap<String, Arc<dyn Expose>>,
    /// Every name that a family owns.
    claimed: Vec<String>,
}

impl Registry {
    /// An empty registry; a family may hold 2,000 series.
    pub fn new() -> Registry {
        Registry::with_series_max(2_000)
    }

    /// An empty registry with another bound on the series of one family.
    pub fn with_series_max(series_max: usize) -> Registry {
        Registry(Arc::new(Inner {
            families: RwLock::default(),
            series_max,
            page_bytes: AtomicUsize::new(0),
        }))
    }

    /// Registers a counter. `_total` is added to its name unless it is there.
    ///
    /// # Errors
    /// [`Error`] names what is wrong with the name or the labels.
    pub fn counter(&self, name: &str, help: &str, labels: &[&str]) -> Result<CounterFamily, Error> {
        self.register(&total(name), (help, "counter", labels), &[])
    }

    /// Registers a gauge.
    ///
    /// # Errors
    /// [`Error`] names what is wrong with the name or the labels.
    pub fn gauge(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeFamily, Error> {
        self.register(name, (help, "gauge", labels), &[])
    }

    /// Registers a histogram.
    ///
    /// # Errors
    /// [`Error`] names what is wrong with the name, the labels or the bounds.
    pub fn histogram(
        &self,
        name: &str,
        help: &str,
        spec: HistogramSpec<'_>,
    ) -> Result<HistogramFamily, Error> {
        let finite = spec.bounds.iter().all(|bound| bound.is_finite());
        let ascending = spec.bounds.is_sorted_by(|a, b| a < b);
        if !finite || !ascending || spec.bounds.len() > BOUNDS_MAX {
            return Err(Error::Bounds(name.to_string()));
        }
        self.register(name, (help, "histogram", spec.labels), spec.bounds)
    }

    /// Registers a gauge that is always 1 and whose labels are what it has to say.
    /// `_info` is added to its name unless it is there.
    ///
    /// # Errors
    /// [`Error`] names what is wrong with the name or the labels.
    pub fn info(&self, name: &str, help: &str, pairs: &[(&str, &str)]) -> Result<(), Error> {
        let name = format!("{}_info", name.strip_suffix("_info").unwrap_or(name));
        let (labels, values): (Vec<&str>, Vec<&str>) = pairs.iter().copied().unzip();
        self.gauge(&name, help, &labels)?.with(&values).set(1.0);
        Ok(())
    }

    /// A counter of a float that is read elsewhere: a gauge that says it is a counter.
    pub(super) fn float_counter(&self, name: &str, help: &str) -> Result<GaugeFamily, Error> {
        self.register(&total(name), (help, "counter", &[]), &[])
    }

    /// Appends the page: families by name, series by label values, the same order every time.
    pub fn render(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.reserve(self.0.page_bytes.load(Ordering::Relaxed));
        let families = self
            .0
            .families
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        for family in families.by_name.values() {
            family.expose(out);
        }
        self.0
            .page_bytes
            .store(out.len() - start, Ordering::Relaxed);
    }

    /// What is held and what was refused, all families together.
    pub fn stats(&self) -> Stats {
        let families = self
            .0
            .families
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let none = Stats {
            families: families.by_name.len() as u64,
            ..Stats::default()
        };
        families.by_name.values().fold(none, |sum, family| {
            let counts = family.count();
            Stats {
                series: sum.series + counts.series,
                series_refused: sum.series_refused + counts.refused,
                observations_ignored: sum.observations_ignored + counts.ignored,
                ..sum
            }
        })
    }

    fn register<M: Metric>(
        &self,
        name: &str,
        (help, kind, labels): (&str, &'static str, &[&str]),
        bounds: &[f64],
    ) -> Result<Family<M>, Error> {
        check_names(name, labels)?;
        let claims = claims_of(name, kind);
        let mut families = self
            .0
            .families
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = claims.iter().find(|claim| families.claimed.contains(claim)) {
            return Err(Error::Taken {
                family: name.to_string(),
                name: taken.clone(),
            });
        }
        let head = Head {
            name: name.to_string(),
            help: help.to_string(),
            kind,
            labels: labels.iter().map(ToString::to_string).collect(),
            series_max: self.0.series_max,
        };
        let family = Family::new(head, bounds);
        families.claimed.extend(claims);
        families.by_name.insert(name.to_string(), family.exposed());
        Ok(family)
    }
}

impl Default for Registry {
    fn default() -> Registry {
        Registry::new()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}

/// The Agent's OpenMetrics check knows a 0.0.4 counter only when sample, HELP and TYPE all say
/// `_total`; under TYPE `x` it skips the samples `x_total` as of unknown type.
fn total(name: &str) -> String {
    format!("{}_total", name.strip_suffix("_total").unwrap_or(name))
}

/// The names a family writes, and the bare one that OpenMetrics would give it.
fn claims_of(name: &str, kind: &str) -> Vec<String> {
    let suffixes: &[&str] = match kind {
        "histogram" => &["", "_bucket", "_sum", "_count"],
        "counter" => &["", "_total"],
        _ => &[""],
    };
    let bare = match kind {
        "counter" => name.strip_suffix("_total").unwrap_or(name),
        _ => name,
    };
    suffixes
        .iter()
        .map(|suffix| format!("{bare}{suffix}"))
        .collect()
}

fn check_names(name: &str, labels: &[&str]) -> Result<(), Error> {
    if !is_name(name, ":_") {
        return Err(Error::Name(name.to_string()));
    }
    for (at, &label) in labels.iter().enumerate() {
        let family = || name.to_string();
        let named = label.to_string();
        if !is_name(label, "_") || label.starts_with("__") || label == "le" {
            return Err(Error::Label {
                family: family(),
                label: named,
            });
        }
        if labels[..at].contains(&label) {
            return Err(Error::LabelTwice {
                family: family(),
                label: named,
            });
        }
    }
    Ok(())
}

fn is_name(name: &str, signs: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || signs.contains(c);
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(registry: &Registry) -> String {
        let mut page = Vec::new();
        registry.render(&mut page);
        String::from_utf8(page).unwrap()
    }

    #[track_caller]
    fn check(rule: &str, fill: impl Fn(&Registry), text: &str) {
        let registry = Registry::new();
        fill(&registry);
        assert_eq!(page(&registry), text, "{rule}");
        assert_eq!(page(&registry), text, "{rule}, twice");
    }

    #[test]
    fn pages_are_right_to_the_byte() {
        check("an empty registry is an empty page", |_| {}, "");
        check(
            "a family with labels and no series is left out",
            |registry| drop(registry.counter("a", "A.", &["x"])),
            "",
        );
        check(
            "a family without labels starts at zero",
            |registry| drop(registry.counter("a", "A.", &[])),
            "# HELP a_total A.\n# TYPE a_total counter\na_total 0\n",
        );
        check(
            "_total is not written twice, and an empty HELP keeps its space",
            |registry| {
                registry
                    .counter("a_total", "", &[])
                    .unwrap()
                    .with(&[])
                    .add(u64::MAX)
            },
            "# HELP a_total \n# TYPE a_total counter\na_total 18446744073709551615\n",
        );
        check(
            "families stand by name, whatever the order of registration",
            |registry| {
                registry
                    .gauge("b", "B.", &[])
                    .unwrap()
                    .with(&[])
                    .set(f64::NAN);
                registry
                    .gauge("a:b", "A.", &[])
                    .unwrap()
                    .with(&[])
                    .set(f64::NEG_INFINITY);
                registry.info("a", "I\\.", &[("v", "1\n\"2\\")]).unwrap();
            },
            "# HELP a:b A.\n# TYPE a:b gauge\na:b -Inf\n\
             # HELP a_info I\\\\.\n# TYPE a_info gauge\na_info{v=\"1\\n\\\"2\\\\\"} 1\n\
             # HELP b B.\n# TYPE b gauge\nb NaN\n",
        );
        check(
            "a histogram's buckets are cumulative, then sum, then count",
            |registry| {
                let bounds = &[0.005, 1.0, 1e20];
                let spec = HistogramSpec {
                    labels: &["m"],
                    bounds,
                };
                let family = registry.histogram("h_seconds", "H.", spec).unwrap();
                for value in [0.001, 0.005, 0.5, 1e21] {
                    family.with(&["é"]).observe(value);
                }
            },
            "# HELP h_seconds H.\n# TYPE h_seconds histogram\n\
             h_seconds_bucket{m=\"é\",le=\"0.005\"} 2\n\
             h_seconds_bucket{m=\"é\",le=\"1\"} 3\n\
             h_seconds_bucket{m=\"é\",le=\"1e20\"} 3\n\
             h_seconds_bucket{m=\"é\",le=\"+Inf\"} 4\n\
             h_seconds_sum{m=\"é\"} 1e21\n\
             h_seconds_count{m=\"é\"} 4\n",
        );
    }

    #[test]
    fn names_and_labels_are_checked() {
        let rows: [(&str, &str, &[&str], bool); 15] = [
            ("a plain name", "a", &[], true),
            ("colons in names", "a:b_1", &[], true),
            ("the empty name", "", &[], false),
            ("a digit first", "1a", &[], false),
            ("a hyphen", "a-b", &[], false),
            ("a letter beyond ASCII", "é", &[], false),
            ("a line feed", "a\nb", &[], false),
            ("one underscore before a label", "a", &["_x"], true),
            ("two are reserved", "a", &["__x"], false),
            ("a colon in a label", "a", &["x:y"], false),
            ("an empty label", "a", &[""], false),
            ("le is the bucket's", "a", &["le"], false),
            ("a quote in a label", "a", &["x\""], false),
            ("two labels", "a", &["x", "y"], true),
            ("the same label twice", "a", &["x", "y", "x"], false),
        ];
        for (rule, name, labels, good) in rows {
            let outcome = Registry::new().gauge(name, "", labels);
            assert_eq!(outcome.is_ok(), good, "{rule}: {outcome:?}");
        }
    }

    #[test]
    fn bounds_are_checked() {
        let most: Vec<f64> = (0..BOUNDS_MAX).map(|n| n as f64).collect();
        let too_many: Vec<f64> = (0..=BOUNDS_MAX).map(|n| n as f64).collect();
        let rows: [(&str, &[f64], bool); 8] = [
            ("none: only +Inf", &[], true),
            ("one", &[0.0], true),
            ("the most", &most, true),
            ("one more", &too_many, false),
            ("equal", &[1.0, 1.0], false),
            ("descending", &[2.0, 1.0], false),
            ("NaN", &[f64::NAN], false),
            ("infinity is always there", &[1.0, f64::INFINITY], false),
        ];
        for (rule, bounds, good) in rows {
            let spec = HistogramSpec {
                labels: &[],
                bounds,
            };
            assert_eq!(
                Registry::new().histogram("h", "", spec).is_ok(),
                good,
                "{rule}"
            );
        }
    }

    #[test]
    fn a_name_that_another_family_writes_is_refused() {
        let registry = Registry::new();
        registry.counter("c", "", &[]).unwrap();
        registry
            .histogram("h", "", HistogramSpec::default())
            .unwrap();
        for name in ["c", "c_total", "h", "h_bucket", "h_sum", "h_count"] {
            let error = registry.gauge(name, "", &[]).unwrap_err();
            let text = format!("family {name}: another family already writes {name}");
            assert_eq!(error.to_string(), text);
        }
        let error = registry.counter("c_total", "", &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "family c_total: another family already writes c"
        );
        registry.gauge("c_count", "", &[]).unwrap();
        assert_eq!(registry.stats().families, 3);
    }

    #[test]
    fn errors_name_the_value_and_what_is_allowed() {
        let rows = [
            (
                Error::Name("é".into()),
                "metric name \"é\": must match [a-zA-Z_:][a-zA-Z0-9_:]*",
            ),
            (
                Error::Bounds("h".into()),
                "bounds of h: must be finite, ascending and at most 100",
            ),
        ];
        for (error, text) in rows {
            assert_eq!(error.to_string(), text);
        }
    }
}
