//! What Datadog's own OpenMetrics check makes of a scraped series.
//!
//! Source: integrations-core, datadog_checks_base/datadog_checks/base/checks/openmetrics/v2/transformers: counter.py,
//! gauge.py, histogram.py, summary.py; transform.py for the types that it knows.

use super::view::Scraped;

/// A series as it was scraped.
pub(super) struct Sent<'s> {
    pub(super) family: &'s str,
    /// What its name has behind the family's.
    pub(super) ending: &'s str,
    pub(super) kind: &'s str,
    /// `key:value`.
    pub(super) labels: &'s [String],
}

/// Under which names the check sends it, or why it does not.
pub(super) fn sent(namespace: &str, series: &Sent<'_>) -> Scraped {
    let family = match series.kind {
        "counter" => series
            .family
            .strip_suffix("_total")
            .unwrap_or(series.family),
        _ => series.family,
    };
    let dot = if namespace.is_empty() { "" } else { "." };
    let named = |ending: &str| format!("{namespace}{dot}{family}{ending}");
    let last_bucket = series.labels.iter().any(|label| label == "le:+Inf");
    let (sent_as, sent_kind) = match (series.kind, series.ending) {
        // transform.py sends every sample of a counter up to release 38.7, `_created` too.
        ("counter", "_created") => (named(".count"), "monotonic count, of a time"),
        ("counter", _) => (named(".count"), "monotonic count"),
        ("gauge", _) => (named(""), "gauge"),
        ("histogram", "_bucket") if last_bucket => (String::new(), "+Inf skipped: .count says it"),
        ("histogram", "_bucket") => (named(".bucket"), "monotonic count"),
        ("histogram" | "summary", "_sum") => (named(".sum"), "monotonic count"),
        ("histogram" | "summary", "_count") => (named(".count"), "monotonic count"),
        ("summary", "") => (named(".quantile"), "gauge"),
        ("untyped" | "unknown", _) => (String::new(), "skipped: no type"),
        _ => (String::new(), "skipped: the check does not know this type"),
    };
    let distribution = match (series.kind, series.ending) {
        ("histogram", "_bucket") => named(""),
        _ => String::new(),
    };
    Scraped {
        family: series.family.to_string(),
        sent_as,
        sent_kind,
        distribution,
        beside: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, (family, ending, kind): (&str, &str, &str), expected: (&str, &str, &str)) {
        let le = ["le:0.1".to_string()];
        let series = Sent {
            family,
            ending,
            kind,
            labels: &le,
        };
        let scraped = sent("TESTAPI", &series);
        let shown = (&*scraped.sent_as, scraped.sent_kind, &*scraped.distribution);
        assert_eq!(shown, expected, "{rule}");
    }

    #[test]
    fn each_type_has_its_names() {
        let count = "monotonic count";
        let requests = ("TESTAPI.request_count.count", count, "");
        check("0.0.4", ("request_count_total", "", "counter"), requests);
        check(
            "OpenMetrics",
            ("request_count", "_total", "counter"),
            requests,
        );
        let created = (
            "TESTAPI.request_count.count",
            "monotonic count, of a time",
            "",
        );
        check("created", ("request_count", "_created", "counter"), created);
        check(
            "a gauge",
            ("warm", "", "gauge"),
            ("TESTAPI.warm", "gauge", ""),
        );
        check(
            "buckets",
            ("h", "_bucket", "histogram"),
            ("TESTAPI.h.bucket", count, "TESTAPI.h"),
        );
        check(
            "a sum",
            ("h", "_sum", "histogram"),
            ("TESTAPI.h.sum", count, ""),
        );
        check(
            "a count",
            ("h", "_count", "summary"),
            ("TESTAPI.h.count", count, ""),
        );
        check(
            "a quantile",
            ("h", "", "summary"),
            ("TESTAPI.h.quantile", "gauge", ""),
        );
        check(
            "no type",
            ("a", "", "untyped"),
            ("", "skipped: no type", ""),
        );
        let unknown = ("", "skipped: the check does not know this type", "");
        check("info", ("build", "_info", "info"), unknown);
        check(
            "a time of creation",
            ("h", "_created", "histogram"),
            unknown,
        );
    }

    #[test]
    fn the_last_bucket_is_the_count_and_a_namespace_may_be_empty() {
        let series = Sent {
            family: "h",
            ending: "_bucket",
            kind: "histogram",
            labels: &["le:+Inf".to_string()],
        };
        let scraped = sent("", &series);
        assert_eq!((&*scraped.sent_as, &*scraped.distribution), ("", "h"));
    }
}
