//! The same page of each of the registries that are measured.

use std::fmt;
use std::sync::Mutex;

use metrics::Label;
use metrics_exporter_prometheus::PrometheusBuilder;
use prometheus::Encoder;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use testapi::prometheus::{Format, HistogramSpec, Registry};

use super::Subject;
use super::metric_peers::{BOUNDS, SECONDS};

/// One name with its labels and how many series it has.
struct Shape {
    name: &'static str,
    labels: &'static [&'static str],
    series: usize,
}

const fn shape(name: &'static str, labels: &'static [&'static str], series: usize) -> Shape {
    Shape {
        name,
        labels,
        series,
    }
}

const COUNTERS: [Shape; 6] = [
    shape("log_lines_total", &[], 1),
    shape("http_requests_total", &["route", "method", "status"], 20),
    shape("http_errors_total", &["route", "method", "status"], 20),
    shape("database_queries_total", &["table", "operation"], 20),
    shape("cache_hits_total", &["table"], 20),
    shape("cache_misses_total", &["table"], 20),
];

const HISTOGRAMS: [Shape; 5] = [
    shape("http_seconds", &["route", "method", "status"], 20),
    shape("upstream_seconds", &["host", "method"], 20),
    shape("database_seconds", &["table", "operation"], 20),
    shape("cache_seconds", &["table"], 20),
    shape("queue_wait_seconds", &["queue"], 20),
];

const HELP: &str = "What the service has done since it was started.";
/// Of each histogram.
const OBSERVATIONS: usize = 12_345;

impl Shape {
    /// The label values of each series.
    fn sets(&self) -> impl Iterator<Item = Vec<String>> {
        let values = |at: usize| {
            let method = ["GET", "POST"][at % 2];
            [format!("/items/{at}"), method.into(), "200".into()]
        };
        let labels = self.labels.len();
        (0..self.series).map(move |at| values(at)[..labels].to_vec())
    }

    fn pairs(&self) -> impl Iterator<Item = Vec<(&'static str, String)>> {
        let labels = self.labels.iter().copied();
        self.sets()
            .map(move |set| labels.clone().zip(set).collect())
    }

    /// A number of up to seven digits.
    fn count(&self, at: usize) -> u64 {
        (second(at + self.name.len()) * 4e5) as u64
    }
}

fn second(at: usize) -> f64 {
    SECONDS[at % SECONDS.len()]
}

/// The observations of a series.
fn observed(at: usize) -> impl Iterator<Item = f64> {
    (0..OBSERVATIONS).map(move |observation| second(at * 7 + observation))
}

fn texts(set: &[String]) -> Vec<&str> {
    set.iter().map(String::as_str).collect()
}

type Render = Box<dyn Fn(&mut Vec<u8>) + Send + Sync>;

pub(crate) fn pages() -> Vec<Subject> {
    vec![
        page("testapi, text", ours(Format::Text)),
        page("testapi, OpenMetrics", ours(Format::OpenMetrics)),
        page("prometheus, text", official()),
        page("metrics-exporter-prometheus, text", exporter()),
        page("prometheus-client, OpenMetrics", client()),
    ]
}

/// Into one buffer, as a server would that keeps it.
fn page(client: &'static str, render: Render) -> Subject {
    let mut first = Vec::new();
    render(&mut first);
    check(client, &String::from_utf8_lossy(&first));
    let buffer = Mutex::new(first);
    Subject::new(client, move |calls| {
        let mut page = buffer.lock().expect("nobody panics with it");
        for _ in 0..calls {
            page.clear();
            render(&mut page);
        }
    })
}

/// Whether all series are on the page, with all that was counted.
fn check(client: &str, page: &str) {
    let samples: Vec<&str> = page
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    assert_eq!(samples.len(), 101 + 100 * (BOUNDS.len() + 3), "{client}");
    let sum = |of: &str| -> f64 {
        let named = |line: &&&str| {
            line.split(['{', ' '])
                .next()
                .is_some_and(|name| name.ends_with(of))
        };
        let value = |line: &&str| {
            line.rsplit(' ')
                .next()
                .and_then(|value| value.parse::<f64>().ok())
        };
        let values = samples.iter().filter(named).filter_map(value);
        values.sum()
    };
    let counted: u64 = COUNTERS
        .iter()
        .flat_map(|shape| (0..shape.series).map(|at| shape.count(at)))
        .sum();
    assert_eq!(sum("_total"), counted as f64, "{client}");
    assert_eq!(sum("_count"), (100 * OBSERVATIONS) as f64, "{client}");
    println!("{client}: a page of {} bytes", page.len());
}

fn ours(format: Format) -> Render {
    let registry = Registry::new();
    for shape in &COUNTERS {
        let family = registry.counter(shape.name, HELP, shape.labels);
        let family = family.expect("a good name");
        for (at, set) in shape.sets().enumerate() {
            family.with(&texts(&set)).add(shape.count(at));
        }
    }
    for shape in &HISTOGRAMS {
        let spec = HistogramSpec {
            labels: shape.labels,
            bounds: &BOUNDS,
        };
        let family = registry.histogram(shape.name, HELP, spec);
        let family = family.expect("a good name");
        for (at, set) in shape.sets().enumerate() {
            let series = family.with(&texts(&set)).clone();
            observed(at).for_each(|value| series.observe(value));
        }
    }
    Box::new(move |page| registry.render(format, page))
}

fn official() -> Render {
    use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};
    let registry = Registry::new();
    for shape in &COUNTERS {
        let family = IntCounterVec::new(Opts::new(shape.name, HELP), shape.labels);
        let family = family.expect("a good name");
        for (at, set) in shape.sets().enumerate() {
            family.with_label_values(&set).inc_by(shape.count(at));
        }
        registry.register(Box::new(family)).expect("a new name");
    }
    for shape in &HISTOGRAMS {
        let opts = HistogramOpts::new(shape.name, HELP).buckets(BOUNDS.to_vec());
        let family = HistogramVec::new(opts, shape.labels).expect("a good name");
        for (at, set) in shape.sets().enumerate() {
            let series = family.with_label_values(&set);
            observed(at).for_each(|value| series.observe(value));
        }
        registry.register(Box::new(family)).expect("a new name");
    }
    Box::new(move |page| {
        let encoded = TextEncoder::new().encode(&registry.gather(), page);
        encoded.expect("memory takes it");
    })
}

fn exporter() -> Render {
    let builder = PrometheusBuilder::new().set_buckets(&BOUNDS);
    let recorder = builder.expect("bounds").build_recorder();
    let labels = |pairs: Vec<(&'static str, String)>| -> Vec<Label> {
        pairs
            .into_iter()
            .map(|(name, value)| Label::new(name, value))
            .collect()
    };
    metrics::with_local_recorder(&recorder, || {
        for shape in &COUNTERS {
            metrics::describe_counter!(shape.name, HELP);
            for (at, pairs) in shape.pairs().enumerate() {
                metrics::counter!(shape.name, labels(pairs)).increment(shape.count(at));
            }
        }
        for shape in &HISTOGRAMS {
            metrics::describe_histogram!(shape.name, HELP);
            for (at, pairs) in shape.pairs().enumerate() {
                let series = metrics::histogram!(shape.name, labels(pairs));
                observed(at).for_each(|value| series.record(value));
            }
        }
    });
    let handle = recorder.handle();
    Box::new(move |page| handle.render_to_write(page).expect("memory takes it"))
}

fn client() -> Render {
    type Labels = Vec<(&'static str, String)>;
    let mut registry = prometheus_client::registry::Registry::default();
    for shape in &COUNTERS {
        let family = Family::<Labels, Counter>::default();
        for (at, pairs) in shape.pairs().enumerate() {
            family.get_or_create(&pairs).inc_by(shape.count(at));
        }
        let name = shape.name.trim_end_matches("_total");
        registry.register(name, HELP, family);
    }
    for shape in &HISTOGRAMS {
        let new = || Histogram::new(BOUNDS);
        let family = Family::<Labels, Histogram>::new_with_constructor(new);
        for (at, pairs) in shape.pairs().enumerate() {
            let series = family.get_or_create(&pairs);
            observed(at).for_each(|value| series.observe(value));
        }
        registry.register(shape.name, HELP, family);
    }
    Box::new(move |page| {
        let encoded = prometheus_client::encoding::text::encode(&mut Utf8(page), &registry);
        encoded.expect("memory takes it");
    })
}

/// Bytes that take text.
struct Utf8<'a>(&'a mut Vec<u8>);

impl fmt::Write for Utf8<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
