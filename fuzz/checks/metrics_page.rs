//! Whatever stands in a HELP, in label values and in an `Accept` header.

use testapi::agent::decode::{self, Exposition, exposition_as};
use testapi::prometheus::{Exemplar, Format, HistogramSpec, Registry, SummarySpec};

/// Between HELP and the label values.
const BETWEEN: u8 = 1;

/// Whether every value has a series of its own.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let texts: Vec<_> = bytes
        .split(|byte| *byte == BETWEEN)
        .map(String::from_utf8_lossy)
        .collect();
    let (_, content_type) = Format::negotiate(texts.iter().map(|text| &**text));
    assert!(content_type.ends_with("; charset=utf-8"));
    let (help, values) = texts.split_first().expect("a split has a first");
    let registry = Registry::new();
    let hits = registry
        .counter("hits", help, &["value"])
        .expect("a good name");
    let spec = HistogramSpec {
        labels: &["value"],
        bounds: &[0.5],
    };
    let took = registry
        .histogram("took_seconds", help, spec)
        .expect("a good name");
    let spec = SummarySpec {
        labels: &["value"],
        quantiles: &[0.5],
    };
    let waited = registry.summary("waited", help, spec).expect("a good name");
    // Refused where no format can write it, and then it is not there.
    let _ = registry.info("known", help, &[("help", help)]);
    hits.with(&["a neighbour"]).add(7);
    for (at, value) in values.iter().enumerate() {
        hits.with(&[value]).inc();
        let exemplar = Exemplar {
            trace_id: at as u128,
            span_id: 1,
            unix_ms: 1,
        };
        took.with(&[value]).observe_with(at as f64, &exemplar);
        waited.with(&[value]).observe(0.0);
        for odd in [-1.0, -0.0, 5e-324, f64::MAX, f64::NAN] {
            took.with(&[value]).observe(odd);
            waited.with(&[value]).observe(odd);
        }
    }
    let text = page(&registry, Format::Text);
    let openmetrics = page(&registry, Format::OpenMetrics);
    let read = read(&text, decode::Format::Text);
    assert_eq!(
        read.samples,
        self::read(&openmetrics, decode::Format::OpenMetrics).samples
    );
    let of_hits = || {
        read.samples
            .iter()
            .filter(|sample| sample.name == "hits_total")
    };
    let own = |value: &str| {
        of_hits()
            .find(|sample| sample.labels[0].1 == value)
            .map_or(0.0, |s| s.value)
    };
    let refused = hits.refused();
    assert_eq!(
        of_hits().map(|sample| sample.value).sum::<f64>(),
        values.len() as f64 + 7.0
    );
    assert!(own("a neighbour") >= 7.0 && own("overflow") >= refused as f64);
    assert!(refused > 0 || values.iter().all(|value| own(value) >= 1.0));
    refused == 0
}

fn page(registry: &Registry, format: Format) -> String {
    let mut page = Vec::new();
    registry.render(format, &mut page);
    String::from_utf8(page).expect("a page is UTF-8")
}

fn read(page: &str, format: decode::Format) -> Exposition<'_> {
    exposition_as(page, format).unwrap_or_else(|error| panic!("{error} in\n{page}"))
}
