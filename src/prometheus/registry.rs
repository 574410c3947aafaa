//! The registry: families are registered here, and the page is put together.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use super::bounds;
use super::family::{self, Expose, Family, Head, Metric, Page, Shape};
use super::format::Format;
use super::histogram::Histogram;
use super::kind::Kind;
use super::own::Own;
use super::summary::Summary;
use super::value::{Counter, Gauge};
use super::{Error, name};
use crate::clock::Clock;

/// Holds every family. Cloning shares them. Of each HELP the first 1,024 bytes are shown.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

/// Series that only count up.
pub type CounterFamily = Family<Counter>;
/// Series that go up and down.
pub type GaugeFamily = Family<Gauge>;
/// Series that count by size.
pub type HistogramFamily = Family<Histogram>;
/// Series that tell quantiles.
pub type SummaryFamily = Family<Summary>;

/// What holds for all families.
#[derive(Clone, Debug)]
pub struct Options {
    /// Series of one family, at least 1; further label values share the series `overflow`.
    pub series_max: usize,
    /// Tells a summary how old an observation is.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            series_max: 2_000,
            clock: Clock::system(),
        }
    }
}

/// What a histogram has beside name and help.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistogramSpec<'a> {
    /// Label names.
    pub labels: &'a [&'a str],
    /// Upper bounds of the buckets, ascending. The bucket `+Inf` is always there.
    pub bounds: &'a [f64],
}

/// What a summary has beside name and help.
#[derive(Clone, Copy, Debug, Default)]
pub struct SummarySpec<'a> {
    /// Label names.
    pub labels: &'a [&'a str],
    /// Shares from 0 to 1, ascending.
    pub quantiles: &'a [f64],
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

/// A buffer that may be kept though four times too large.
const PAGE_SPARE_BYTES: usize = 1 << 20;

struct Inner {
    /// A page is written from what it was at its begin; registering does not wait for it.
    families: RwLock<Arc<Families>>,
    options: Options,
    own: OnceLock<Own>,
    /// Whether `own` was asked for.
    exposing: Mutex<bool>,
    /// The buffer of the last page.
    spare: Mutex<Vec<u8>>,
}

#[derive(Clone, Default)]
struct Families {
    by_name: BTreeMap<String, Arc<dyn Expose>>,
    /// Every name that a family owns.
    claimed: Vec<String>,
}

impl Registry {
    /// An empty registry; a family may hold 2,000 series.
    pub fn new() -> Registry {
        Registry::with(Options::default())
    }

    /// An empty registry with options of its own.
    pub fn with(options: Options) -> Registry {
        Registry(Arc::new(Inner {
            families: RwLock::default(),
            options,
            own: OnceLock::new(),
            exposing: Mutex::default(),
            spare: Mutex::default(),
        }))
    }

    /// Registers a counter. Its samples end in `_total`, whether the name does or not.
    ///
    /// # Errors
    /// [`Error`] names what is wrong with the name or the labels.
    pub fn counter(&self, name: &str, help: &str, labels: &[&str]) -> Result<CounterFamily, Error> {
        self.register((name, help, Kind::Counter), labels, &[])
    }

    /// Registers a gauge.
    ///
    /// # Errors
    /// [`Error`] names what is wrong with the name or the labels.
    pub fn gauge(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeFamily, Error> {
        self.register((name, help, Kind::Gauge), labels, &[])
    }

    /// Registers a histogram. [`exponential_bounds`](super::exponential_bounds) and
    /// [`linear_bounds`](super::linear_bounds) make bounds.
    ///
    /// # Errors
    /// [`Error`] names what is wrong with the name, the labels or the bounds.
    pub fn histogram(
        &self,
        name: &str,
        help: &str,
        spec: HistogramSpec<'_>,
    ) -> Result<HistogramFamily, Error> {
        if !bounds::are_good(spec.bounds) {
            return Err(Error::Bounds(name.to_string()));
        }
        self.register((name, help, Kind::Histogram), spec.labels, spec.bounds)
    }

    /// Registers a summary.
    ///
    /// # Errors
    /// [`Error`] names what is wrong with the name, the labels or the quantiles.
    pub fn summary(
        &self,
        name: &str,
        help: &str,
        spec: SummarySpec<'_>,
    ) -> Result<SummaryFamily, Error> {
        let quantiles = spec.quantiles;
        let shares = quantiles.iter().all(|share| (0.0..=1.0).contains(share));
        if !shares || !bounds::are_good(quantiles) {
            return Err(Error::Quantiles(name.to_string()));
        }
        self.register((name, help, Kind::Summary), spec.labels, quantiles)
    }

    /// Registers what is always 1 and whose labels are what it has to say. Its sample ends in `_info`,
    /// whether the name does or not.
    ///
    /// # Errors
    /// [`Error`] names what is wrong with the name or the labels.
    pub fn info(&self, name: &str, help: &str, pairs: &[(&str, &str)]) -> Result<(), Error> {
        let (labels, values): (Vec<&str>, Vec<&str>) = pairs.iter().copied().unzip();
        let family: GaugeFamily = self.made((name, help, Kind::Info), &labels, (&[], 1))?;
        if !family.takes(&values) {
            let bad = pairs.iter().find(|(_, value)| !family::is_writable(value));
            let label = bad.map_or("", |(label, _)| label).to_string();
            let family = name.to_string();
            return Err(Error::LabelValue { family, label });
        }
        family.with(&values).set(1.0);
        self.insert((name, Kind::Info), family.exposed())
    }

    /// Registers a counter that is counted elsewhere, or has fractions: it is told with [`Gauge::rise_to`] what is
    /// known by now, just before a page is written. Its label sets have no bound: they are the program's own.
    ///
    /// # Errors
    /// [`Error`] names what is wrong with the name or the labels.
    pub fn read_counter(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<GaugeFamily, Error> {
        let family = self.made((name, help, Kind::Counter), labels, (&[], usize::MAX))?;
        self.insert((name, Kind::Counter), family.exposed())?;
        Ok(family)
    }

    /// Registers series about the page itself: `exposition_duration_seconds`, `exposition_size_bytes`,
    /// `exposition_series`, `exposition_series_refused_total{family}` and
    /// `exposition_observations_ignored_total`. A second call changes nothing, whatever came of the first.
    ///
    /// # Errors
    /// [`Error::Taken`] when a family has one of these names.
    pub fn expose_itself(&self) -> Result<(), Error> {
        let mut exposing = self
            .0
            .exposing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !*exposing {
            *exposing = true;
            let _ = self.0.own.set(Own::register(self)?);
        }
        Ok(())
    }

    /// Appends the page: families by name, series by label values, the same order every time. Counters, gauges and
    /// histograms do not wait for it; a summary waits while it is read, a new series while it is put in order.
    pub fn render(&self, format: Format, out: &mut Vec<u8>) {
        let inner = &*self.0;
        let (start, started_ns) = (out.len(), inner.options.clock.mono_ns());
        let families = self.families();
        if let Some(own) = inner.own.get() {
            own.look(families.by_name.values().map(|family| &**family));
        }
        let mut page = Page { out, format };
        for family in families.by_name.values() {
            family.expose(&mut page);
        }
        if format == Format::OpenMetrics {
            out.extend_from_slice(b"# EOF\n");
        }
        let bytes = out.len() - start;
        if let Some(own) = inner.own.get() {
            let took_ns = inner.options.clock.mono_ns().saturating_sub(started_ns);
            own.note(Duration::from_nanos(took_ns), bytes);
        }
    }

    /// Writes a page into a buffer that is used again, and lends it. Of two at one time the second has a
    /// buffer of its own, so that nobody waits.
    pub fn with_page<R>(&self, format: Format, read: impl FnOnce(&[u8]) -> R) -> R {
        let spare = || self.0.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let mut page = std::mem::take(&mut *spare());
        page.clear();
        self.render(format, &mut page);
        let result = read(&page);
        // What one large page took is not kept for ever.
        if page.capacity() > PAGE_SPARE_BYTES && page.capacity() / 4 > page.len() {
            page = Vec::new();
        }
        *spare() = page;
        result
    }

    /// What is held and what was refused, all families together.
    pub fn stats(&self) -> Stats {
        let families = self.families();
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

    fn families(&self) -> Arc<Families> {
        let families = self.0.families.read();
        families.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn register<M: Metric>(
        &self,
        (name, help, kind): (&str, &str, Kind),
        labels: &[&str],
        bounds: &[f64],
    ) -> Result<Family<M>, Error> {
        let series_max = self.0.options.series_max.max(1);
        let family = self.made((name, help, kind), labels, (bounds, series_max))?;
        self.insert((name, kind), family.exposed())?;
        Ok(family)
    }

    /// A family that no page has yet.
    fn made<M: Metric>(
        &self,
        (name, help, kind): (&str, &str, Kind),
        labels: &[&str],
        (bounds, series_max): (&[f64], usize),
    ) -> Result<Family<M>, Error> {
        name::check(name, kind, labels)?;
        let head = Head {
            base: name::base(name, kind).to_string(),
            help: help.to_string(),
            labels: labels.iter().map(ToString::to_string).collect(),
            series_max,
        };
        let shape = Shape {
            kind,
            bounds: bounds.into(),
            ignored: AtomicU64::new(0),
            clock: self.0.options.clock.clone(),
        };
        Ok(Family::new(head, shape))
    }

    fn insert(&self, (name, kind): (&str, Kind), family: Arc<dyn Expose>) -> Result<(), Error> {
        let base = name::base(name, kind);
        let claims = name::claims(base, kind);
        let families = self.0.families.write();
        let mut families = families.unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = claims.iter().find(|claim| families.claimed.contains(claim)) {
            return Err(Error::Taken {
                family: name.to_string(),
                name: taken.clone(),
            });
        }
        let families = Arc::make_mut(&mut families);
        families.claimed.extend(claims);
        let shown = [base, kind.suffix()].concat();
        families.by_name.insert(shown, family);
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn page(registry: &Registry, format: Format) -> String {
        let mut page = Vec::new();
        registry.render(format, &mut page);
        String::from_utf8(page).unwrap()
    }

    #[track_caller]
    fn check(rule: &str, fill: impl Fn(&Registry), text: &str, openmetrics: &str) {
        let registry = Registry::new();
        fill(&registry);
        for _ in 0..2 {
            assert_eq!(page(&registry, Format::Text), text, "{rule}");
            let whole = format!("{openmetrics}# EOF\n");
            assert_eq!(page(&registry, Format::OpenMetrics), whole, "{rule}");
        }
    }

    #[test]
    fn pages_are_right_to_the_byte() {
        check("an empty registry is an empty page", |_| {}, "", "");
        check(
            "a family with labels and no series is left out",
            |registry| drop(registry.counter("a", "A.", &["x"])),
            "",
            "",
        );
        check(
            "a family without labels starts at zero",
            |registry| drop(registry.counter("a", "A.", &[])),
            "# HELP a_total A.\n# TYPE a_total counter\na_total 0\n",
            "# HELP a A.\n# TYPE a counter\na_total 0\n",
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
            "# HELP a \n# TYPE a counter\na_total 18446744073709551615\n",
        );
        check(
            "families stand by name, whatever the order of registration",
            |registry| {
                let set = |name, value| {
                    registry
                        .gauge(name, "B.", &[])
                        .unwrap()
                        .with(&[])
                        .set(value)
                };
                set("b", f64::NAN);
                set("a:b", f64::NEG_INFINITY);
                registry.info("a", "\"I\\.", &[("v", "1\n\"2\\")]).unwrap();
            },
            "# HELP a:b B.\n# TYPE a:b gauge\na:b -Inf\n\
             # HELP a_info \"I\\\\.\n# TYPE a_info gauge\na_info{v=\"1\\n\\\"2\\\\\"} 1\n\
             # HELP b B.\n# TYPE b gauge\nb NaN\n",
            "# HELP a:b B.\n# TYPE a:b gauge\na:b -Inf\n\
             # HELP a \\\"I\\\\.\n# TYPE a info\na_info{v=\"1\\n\\\"2\\\\\"} 1\n\
             # HELP b B.\n# TYPE b gauge\nb NaN\n",
        );
        let samples = "h_seconds_bucket{m=\"é\",le=\"0.005\"} 2\n\
             h_seconds_bucket{m=\"é\",le=\"1.0\"} 3\n\
             h_seconds_bucket{m=\"é\",le=\"1e+20\"} 3\n\
             h_seconds_bucket{m=\"é\",le=\"+Inf\"} 4\n\
             h_seconds_sum{m=\"é\"} 1e+21\n\
             h_seconds_count{m=\"é\"} 4\n";
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
            &format!("# HELP h_seconds H.\n# TYPE h_seconds histogram\n{samples}"),
            &format!(
                "# HELP h_seconds H.\n# TYPE h_seconds histogram\n# UNIT h_seconds seconds\n{samples}"
            ),
        );
    }

    #[test]
    fn bounds_and_quantiles_are_checked() {
        let most: Vec<f64> = (0..100).map(|n| f64::from(n) / 100.0).collect();
        let too_many: Vec<f64> = (0..=100).map(|n| f64::from(n) / 200.0).collect();
        let rows: [(&str, &[f64], bool, bool); 11] = [
            ("none: only +Inf", &[], true, true),
            ("one", &[0.0], true, true),
            ("the most", &most, true, true),
            ("one more", &too_many, false, false),
            ("over one is no share", &[0.5, 1.1], true, false),
            ("equal", &[1.0, 1.0], false, false),
            ("descending", &[1.0, 0.5], false, false),
            ("NaN", &[f64::NAN], false, false),
            (
                "infinity is always there",
                &[1.0, f64::INFINITY],
                false,
                false,
            ),
            ("below zero there is no sum", &[-1.0, 1.0], false, false),
            ("nor beyond what adds up", &[1.0, 1e291], false, false),
        ];
        for (rule, bounds, histogram, summary) in rows {
            let labels = &[];
            let registry = Registry::new();
            let made = registry.histogram("h", "", HistogramSpec { labels, bounds });
            assert_eq!(made.is_ok(), histogram, "{rule}");
            let made = registry.summary(
                "s",
                "",
                SummarySpec {
                    labels,
                    quantiles: bounds,
                },
            );
            assert_eq!(made.is_ok(), summary, "{rule}");
        }
    }

    #[test]
    fn a_name_that_another_family_writes_is_refused() {
        let registry = Registry::new();
        registry.counter("c", "", &[]).unwrap();
        registry
            .histogram("h", "", HistogramSpec::default())
            .unwrap();
        registry.summary("s", "", SummarySpec::default()).unwrap();
        registry.info("i", "", &[]).unwrap();
        for name in [
            "c",
            "c_created",
            "h",
            "h_sum",
            "h_count",
            "s",
            "s_sum",
            "s_count",
            "i",
        ] {
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
        assert_eq!(registry.stats().families, 5);
    }

    #[test]
    fn a_page_that_is_lent_is_the_page() {
        let registry = Registry::new();
        registry.counter("a", "A.", &[]).unwrap();
        for format in [Format::OpenMetrics, Format::Text, Format::Text] {
            let lent = registry.with_page(format, |lent| {
                registry.with_page(Format::Text, |second| assert!(!second.is_empty()));
                String::from_utf8_lossy(lent).into_owned()
            });
            assert_eq!(lent, page(&registry, format));
        }
    }

    #[test]
    fn an_info_is_one_from_the_start_or_refused() {
        let registry = Registry::new();
        let long = "x".repeat(1_025);
        for (label, value) in [("a", "1\r2"), ("b", long.as_str())] {
            let error = registry.info("i", "I.", &[("version", "1"), (label, value)]);
            let refused = Error::LabelValue {
                family: "i".to_string(),
                label: label.to_string(),
            };
            assert_eq!(error, Err(refused));
        }
        assert_eq!(page(&registry, Format::Text), "");
        registry.info("i", "I.", &[("version", "1\n2")]).unwrap();
        assert!(page(&registry, Format::Text).ends_with("i_info{version=\"1\\n2\"} 1\n"));
    }

    #[test]
    fn the_page_tells_of_itself() {
        let (clock, _hand) = Clock::manual(0);
        let registry = Registry::with(Options {
            series_max: 1,
            clock,
        });
        let family = registry.counter("c", "C.", &["x"]).unwrap();
        let other = registry.counter("d", "D.", &["x"]).unwrap();
        for value in ["1", "2", "3"] {
            family.with(&[value]).inc();
            other.with(&[value]).inc();
        }
        other.with(&["4"]).inc();
        registry.expose_itself().unwrap();
        registry.expose_itself().unwrap();
        let first = page(&registry, Format::Text).len();
        let second = page(&registry, Format::Text);
        let size = format!("exposition_size_bytes {first}");
        for line in [
            "exposition_duration_seconds_count 1",
            "exposition_series_refused_total{family=\"c\"} 2",
            "exposition_series_refused_total{family=\"d\"} 3",
            "exposition_observations_ignored_total 0",
            "# TYPE exposition_series_refused_total counter",
            size.as_str(),
        ] {
            assert!(
                second.lines().any(|held| held == line),
                "{line} in\n{second}"
            );
        }
        let series = second
            .lines()
            .find_map(|line| line.strip_prefix("exposition_series "));
        assert_eq!(series, Some(registry.stats().series.to_string().as_str()));
    }
}
