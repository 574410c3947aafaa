//! The whole page of a registry in both formats, and the agent's reading of it.
//!
//! Sources: Prometheus docs, "Exposition formats", text format 0.0.4; OpenMetrics 1.0, "Text format".

use std::borrow::Cow;

use proptest::prelude::*;
use testapi::agent::decode::{self, Sample, exposition};
use testapi::agent::lint::{Page, lint_exposition};
use testapi::prometheus::{Exemplar, Format, HistogramSpec, Options, Registry, SummarySpec};

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

/// Every kind of family, with a unit, an exemplar and quantiles.
fn all_kinds() -> Registry {
    let registry = Registry::new();
    let served = registry.counter("served_total", "The \"served\".", &["route"]);
    served.unwrap().with(&["/a"]).add(3);
    let spec = HistogramSpec {
        labels: &[],
        bounds: &[0.5, 1e6],
    };
    let took = registry.histogram("took_seconds", "Time.", spec).unwrap();
    let exemplar = Exemplar {
        trace_id: 0x6745_2301_0000_0000_0000_0000_0000_00ff,
        span_id: 9,
        unix_ms: 1_700_000_000_250,
    };
    took.with(&[]).observe_with(0.75, &exemplar);
    let spec = SummarySpec {
        labels: &[],
        quantiles: &[0.5],
    };
    registry
        .summary("waited", "Waiting.", spec)
        .unwrap()
        .with(&[])
        .observe(0.0);
    registry
        .info("build", "What runs.", &[("version", "1.2")])
        .unwrap();
    registry
}

#[test]
fn the_same_page_as_openmetrics_says() {
    let registry = all_kinds();
    let text = page_as(&registry, Format::OpenMetrics);
    assert_eq!(
        text,
        r##"# HELP build What runs.
# TYPE build info
build_info{version="1.2"} 1
# HELP served The \"served\".
# TYPE served counter
served_total{route="/a"} 3
# HELP took_seconds Time.
# TYPE took_seconds histogram
# UNIT took_seconds seconds
took_seconds_bucket{le="0.5"} 0
took_seconds_bucket{le="1e+06"} 1 # {trace_id="674523010000000000000000000000ff",span_id="0000000000000009"} 0.75 1700000000.25
took_seconds_bucket{le="+Inf"} 1
took_seconds_sum 0.75
took_seconds_count 1
# HELP waited Waiting.
# TYPE waited summary
waited{quantile="0.5"} 0
waited_sum 0
waited_count 1
# EOF
"##
    );
    let read = exposition(&text).unwrap();
    assert_eq!(read.format, decode::Format::OpenMetrics);
    let types = [
        ("build", "info"),
        ("served", "counter"),
        ("took_seconds", "histogram"),
        ("waited", "summary"),
    ];
    assert_eq!(read.types, types);
    assert_eq!(read.units, [("took_seconds", "seconds")]);
    assert_eq!(read.helps[1], ("served", "The \"served\".".into()));
    let [(at, exemplar)] = &read.exemplars[..] else {
        panic!("{:?}", read.exemplars)
    };
    assert_eq!(read.samples[*at].labels, [("le", "1e+06".into())]);
    assert_eq!(
        (exemplar.value, exemplar.timestamp_ms),
        (0.75, Some(1_700_000_000_250))
    );
    assert_eq!(
        exemplar.labels,
        [
            ("trace_id", "674523010000000000000000000000ff".into()),
            ("span_id", "0000000000000009".into())
        ]
    );
    check_that_nothing_is_wrong(&registry);
}

/// Both formats say the same of the same registry, and the agent's linter has nothing to say of either.
#[track_caller]
fn check_that_nothing_is_wrong(registry: &Registry) {
    let (text, openmetrics) = (page(registry), page_as(registry, Format::OpenMetrics));
    let read = [&text, &openmetrics]
        .map(|page| exposition(page).unwrap_or_else(|e| panic!("{e}\n{page}")));
    assert_eq!(read[0].samples, read[1].samples);
    for (text, format, content_type) in [
        (&text, decode::Format::Text, Format::Text.content_type()),
        (
            &openmetrics,
            decode::Format::OpenMetrics,
            Format::OpenMetrics.content_type(),
        ),
    ] {
        let cut = false;
        let found = lint_exposition(&Page {
            text,
            format,
            content_type,
            cut,
            samples: None,
        });
        assert!(found.findings.is_empty(), "{:?} in\n{text}", found.findings);
    }
}

#[test]
fn nothing_is_an_empty_page() {
    let text = page(&Registry::new());
    assert_eq!((&*text, exposition(&text)), ("", Ok(Default::default())));
    let end = page_as(&Registry::new(), Format::OpenMetrics);
    assert_eq!(end, "# EOF\n");
    assert!(exposition(&end).unwrap().samples.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever a value is, the page can be read, and what stood there before stands there still.
    #[test]
    fn no_label_value_or_help_costs_the_page_or_a_neighbour(
        values in prop::collection::vec(hostile(), 0..6),
        help in hostile(),
    ) {
        let registry = Registry::new();
        let family = registry.counter("hits", &help, &["value"]).unwrap();
        family.with(&["a neighbour"]).add(7);
        let spec = HistogramSpec { labels: &["value"], bounds: &[0.5] };
        let took = registry.histogram("took_seconds", &help, spec).unwrap();
        for value in &values {
            family.with(&[value]).inc();
            took.with(&[value]).observe(1.0);
        }
        let (text, openmetrics) = (page(&registry), page_as(&registry, Format::OpenMetrics));
        for text in [&text, &openmetrics] {
            let read = exposition(text).unwrap();
            let hits: Vec<_> = read.samples.iter().filter(|sample| sample.name == "hits_total").collect();
            let own = |value: &str| {
                hits.iter().find(|sample| sample.labels[0].1 == value).map_or(0.0, |sample| sample.value)
            };
            prop_assert_eq!(own("a neighbour"), 7.0);
            let overflow = family.refused() as f64;
            prop_assert_eq!(own("overflow"), overflow);
            let shown: f64 = hits.iter().map(|sample| sample.value).sum();
            prop_assert_eq!(shown, values.len() as f64 + 7.0);
            for value in values.iter().filter(|value| own(value) == 0.0) {
                prop_assert!(overflow > 0.0, "{:?} is nowhere", value);
            }
        }
    }
}

/// Texts of what has a meaning to a format, what ends a line for somebody, and anything else.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        r#"["\\n{}=,# \t]{1,6}"#,
        Just("\0".to_string()),
        Just("\r\n".to_string()),
        Just("\u{2028}\u{85}\u{b}".to_string()),
        Just("# EOF\n".to_string()),
        Just("} 1\nhits_total{value=\"x".to_string()),
        Just(String::from_utf8_lossy(b"\xff\xfe\xc3").into_owned()),
        any::<String>(),
        Just("x".repeat(1_025)),
    ];
    prop::collection::vec(pieces, 0..4).prop_map(|pieces| pieces.concat())
}

/// A value of 10 MB is refused a series of its own, and costs the page nothing.
#[test]
fn ten_megabytes_are_overflow() {
    let registry = Registry::new();
    let help = "h".repeat(10 << 20);
    let family = registry.counter("hits", "Hits.", &["value"]).unwrap();
    registry.gauge("long", &help, &[]).unwrap();
    family.with(&[&"\"\n".repeat(5 << 20)]).inc();
    let text = page(&registry);
    assert!(text.contains("\nhits_total{value=\"overflow\"} 1\n"));
    assert!(text.len() < 4_096, "{} bytes", text.len());
    check_that_nothing_is_wrong(&registry);
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
