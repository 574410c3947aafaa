//! The whole page of a registry in both formats, and the agent's reading of it.
//!
//! Sources: Prometheus docs, "Exposition formats", text format 0.0.4; OpenMetrics 1.0, "Text format".

use std::borrow::Cow;

use proptest::prelude::*;
use testapi::agent::decode::{Exposition, Sample, exposition, exposition_as, exposition_format};
use testapi::prometheus::{
    Exemplar, Format, HistogramSpec, Options, Registry, SummarySpec,
};

fn page_as(registry: &Registry, format: Format) -> String {
    let mut page = Vec::new();
    registry.render(format, &mut page);
    String::from_utf8(page).unwrap()
}

fn page(registry: &Registry) -> String {
    page_as(registry, Format::Text)
}

fn sample<'a>(name: &'a str, labels: &[(&'a str, &'a str)], value: f64) -> Sample<'a> {
    let labels = labels.iter().map(|(k, v)| (*k, Cow::Borrowed(*v)));
    Sample {
        name,
        labels: labels.collect(),
        value,
        timestamp_ms: None,
    }
}

/// Help with a line break and a backslash; label values with all that has an escape.
#[test]
fn the_whole_page_is_as_the_format_says() {
    let registry = Registry::new();
    let served = registry.counter("served", "Requests\nserved \\ \"all\".", &["route"]);
    let served = served.unwrap();
    served.with(&["/a"]).add(3);
    served.with(&["a\"b\\c\nd"]).inc();
    let warm = registry.gauge("warm", "Degrees.", &[]).unwrap();
    warm.with(&[]).set(-1.5);
    let spec = HistogramSpec {
        labels: &["route"],
        bounds: &[0.1, 1.0],
    };
    let took = registry.histogram("took_seconds", "Time.", spec).unwrap();
    for seconds in [0.1, 0.5, 2.0] {
        took.with(&["\u{e9}"]).observe(seconds);
    }
    took.with(&["\u{e9}"]).observe(f64::NAN);
    let pairs = [("version", "1.2")];
    registry.info("build", "What runs.", &pairs).unwrap();
    let text = page(&registry);
    assert_eq!(
        text,
        r##"# HELP build_info What runs.
# TYPE build_info gauge
build_info{version="1.2"} 1
# HELP served_total Requests\nserved \\ "all".
# TYPE served_total counter
served_total{route="/a"} 3
served_total{route="a\"b\\c\nd"} 1
# HELP took_seconds Time.
# TYPE took_seconds histogram
took_seconds_bucket{route="é",le="0.1"} 1
took_seconds_bucket{route="é",le="1.0"} 2
took_seconds_bucket{route="é",le="+Inf"} 3
took_seconds_sum{route="é"} 2.6
took_seconds_count{route="é"} 3
# HELP warm Degrees.
# TYPE warm gauge
warm -1.5
"##
    );
    let read = exposition(&text).unwrap();
    assert_eq!(
        read.types,
        [
            ("build_info", "gauge"),
            ("served_total", "counter"),
            ("took_seconds", "histogram"),
            ("warm", "gauge"),
        ]
    );
    let bucket = |le, count| sample("took_seconds_bucket", &[("route", "é"), ("le", le)], count);
    assert_eq!(
        read.samples,
        [
            sample("build_info", &[("version", "1.2")], 1.0),
            sample("served_total", &[("route", "/a")], 3.0),
            sample("served_total", &[("route", "a\"b\\c\nd")], 1.0),
            bucket("0.1", 1.0),
            bucket("1.0", 2.0),
            bucket("+Inf", 3.0),
            sample("took_seconds_sum", &[("route", "é")], 2.6),
            sample("took_seconds_count", &[("route", "é")], 3.0),
            sample("warm", &[], -1.5),
        ]
    );
    assert_eq!(
        Format::Text.content_type(),
        "text/plain; version=0.0.4; charset=utf-8"
    );
}

#[test]
fn nothing_is_an_empty_page() {
    let text = page(&Registry::new());
    assert_eq!((&*text, exposition(&text)), ("", Ok(Default::default())));
}

/// Beyond the bound there is one series that says so, however many come.
#[test]
fn series_over_the_limit_share_one() {
    let registry = Registry::with(Options {
        series_max: 3,
        ..Options::default()
    });
    let users = registry.counter("users", "Users.", &["name"]).unwrap();
    for number in 0..10 {
        users.with(&[&format!("u{number}")]).inc();
    }
    let text = page(&registry);
    let read = exposition(&text).unwrap();
    let sum: f64 = read.samples.iter().map(|s| s.value).sum();
    assert!(read.samples.len() <= 4, "{text}");
    assert_eq!(sum, 10.0, "nothing is lost in {text}");
    assert_eq!(registry.stats().series_refused, 7);
}
