//! Contexts and series, with what one needs to understand the figure of each.

use serde::Serialize;

/// One context or series.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MetricRow {
    /// Its name.
    pub name: String,
    /// `dogstatsd` or `prometheus`.
    pub source: &'static str,
    /// `count`, `gauge`, `set`, `histogram`, `distribution`, `timing`; of Prometheus what TYPE says,
    /// `untyped` or `unknown` without.
    pub kind: String,
    /// Its tags or labels, sorted, `key:value`.
    pub tags: Vec<String>,
    /// Samples received, or scrapes that had it.
    pub points: u64,
    /// Last raw value; of a count the sum since the start.
    pub value: f64,
    /// What the Agent makes of the last finished 10 s bucket, or of the first while none has finished.
    /// See [`MetricBucket::aggregates`].
    pub aggregates: Vec<(&'static str, f64)>,
    /// Distinct members of a set seen in the current and the last bucket, at most 20.
    pub members: Vec<String>,
    /// The value for each of the last 60 seconds it was known, oldest first.
    pub history: Vec<f64>,
    /// When it last arrived.
    pub last_seen_unix_us: u64,
    /// `millisecond` for timings, else what the name's suffix says, or empty.
    pub unit: &'static str,
    /// How the figures came about; of DogStatsD alone, and only where it was asked for.
    #[serde(flatten)]
    pub explained: Option<Explained>,
    /// What becomes of it in Datadog; of Prometheus alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scraped: Option<Scraped>,
}

/// What Datadog's OpenMetrics check makes of a scraped series, and what DogStatsD says of the same.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Scraped {
    /// Its family: the name without `_bucket` and the like.
    pub family: String,
    /// The metric that the check sends; empty where it sends none.
    pub sent_as: String,
    /// `monotonic count`, `gauge`, or why it is skipped.
    pub sent_kind: &'static str,
    /// The metric with `histogram_buckets_as_distributions`; empty but for buckets.
    pub distribution: String,
    /// What DogStatsD brought under the same name.
    pub beside: Option<Beside>,
}

/// DogStatsD contexts of a scraped series' name, whose tags agree with its labels as far as both have them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Beside {
    /// The name in DogStatsD.
    pub name: String,
    /// Of counts the sum since the start, of gauges the last.
    pub value: f64,
    /// What was scraped, less `value`.
    pub difference: f64,
    /// How many contexts.
    pub contexts: u64,
}

/// How the figures of a DogStatsD context came about.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Explained {
    /// The last lines, newest first, at most 5.
    pub lines: Vec<RawLine>,
    /// The bucket that is being filled.
    pub current: MetricBucket,
    /// The last one of which the Agent sends something: one that had samples, or of a count the last.
    pub finished: Option<MetricBucket>,
}

/// A line as it was received.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RawLine {
    /// When it arrived.
    pub time_unix_us: u64,
    /// Its text, at most 512 bytes of it.
    pub text: String,
    /// How long it was in bytes.
    pub bytes: u64,
    /// Whether `text` is only its beginning.
    pub cut: bool,
}

/// Samples of one context within 10 seconds, and what the Agent makes of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MetricBucket {
    /// When it starts: a time that ten seconds divide.
    pub start_unix_us: u64,
    /// Samples received in it.
    pub samples: u64,
    /// Of a count the sum, of a set the distinct members, of values how many there are; sample rates undone. A
    /// gauge has none.
    pub total: Option<f64>,
    /// Of a count `rate`, of a gauge `last`, of a set `distinct`; of a timing or histogram `avg`, `count`
    /// (per second), `median`, `95percentile`, `max`; of a distribution `p50`, `p75`, `p90`, `p95`, `p99`. In
    /// the order shown; empty where there is no sample.
    pub aggregates: Vec<(&'static str, f64)>,
    /// The first members of a set, at most 20; one over 200 bytes is cut and ends in `…`.
    pub members: Vec<String>,
    /// A bound was reached: `total` is the least that a set has, or percentiles come from a fair sample.
    pub capped: bool,
}

/// The metrics page.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Metrics {
    /// Sorted by source, name, tags; at most 5,000 and 8 MiB.
    pub rows: Vec<MetricRow>,
    /// Contexts, series, events and checks that were let go, not kept or not listed here because a
    /// bound was reached.
    pub overflow: u64,
    /// Events, newest first, at most 100.
    pub events: Vec<EventRow>,
    /// Last result of each service check.
    pub checks: Vec<CheckRow>,
    /// Scraped addresses whose last scrape failed.
    pub failing: Vec<FailingScrape>,
}

/// A scraped address whose last scrape brought no page, or one that could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FailingScrape {
    /// The address.
    pub url: String,
    /// When it failed, in microseconds since 1970.
    pub time_unix_us: u64,
    /// Why, at most 300 bytes of it.
    pub why: String,
}

/// Which contexts and series are asked for. What is empty fits all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// The name, whole.
    pub name: String,
    /// See [`MetricRow::kind`].
    pub kind: String,
    /// Tags that it has, sorted; `Some` of none fits what has no tags.
    pub tags: Option<Vec<String>>,
}

impl Which {
    /// Reads `name`, `type` and `tags`, the last with commas between, from a query string's values.
    pub fn of(value: impl Fn(&str) -> Option<String>) -> Which {
        let tags = value("tags").map(|text| {
            let tags = text.split(',').filter(|tag| !tag.is_empty());
            let mut tags: Vec<String> = tags.map(str::to_string).collect();
            tags.sort_unstable();
            tags.dedup();
            tags
        });
        Which {
            name: value("name").unwrap_or_default(),
            kind: value("type").unwrap_or_default(),
            tags,
        }
    }

    /// Whether something of this name, type and sorted tags is asked for: it may have further tags.
    pub fn fits<'t>(&self, name: &str, kind: &str, tags: impl Iterator<Item = &'t str>) -> bool {
        let same = |asked: &str, has: &str| asked.is_empty() || asked == has;
        let wanted = self.tags.as_ref();
        same(&self.name, name)
            && same(&self.kind, kind)
            && wanted.is_none_or(|wanted| has_all(tags, wanted))
    }
}

/// Both sorted, so one pass tells; none asked for is none had.
fn has_all<'t>(mut tags: impl Iterator<Item = &'t str>, wanted: &[String]) -> bool {
    match wanted {
        [] => tags.next().is_none(),
        wanted => wanted.iter().all(|tag| tags.any(|has| has == tag)),
    }
}

/// A DogStatsD event.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EventRow {
    /// When it arrived.
    pub time_unix_us: u64,
    /// Its title.
    pub title: String,
    /// Its text.
    pub text: String,
    /// `info`, `success`, `warning`, `error`.
    pub alert_type: String,
    /// Its tags.
    pub tags: Vec<String>,
}

/// The last result of a DogStatsD service check.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CheckRow {
    /// When it arrived.
    pub time_unix_us: u64,
    /// Its name.
    pub name: String,
    /// `ok`, `warning`, `critical`, `unknown`.
    pub status: &'static str,
    /// Its message, or empty.
    pub message: String,
    /// Its tags.
    pub tags: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, query: &[(&str, &str)], expected: bool) {
        let which = Which::of(|key| {
            let pair = query.iter().find(|(name, _)| *name == key);
            pair.map(|(_, value)| value.to_string())
        });
        let tags = ["a:1", "b"];
        assert_eq!(
            which.fits("hits", "count", tags.into_iter()),
            expected,
            "{rule}"
        );
    }

    #[test]
    fn what_is_asked_for_is_had() {
        check("nothing is asked", &[], true);
        check("the name", &[("name", "hits")], true);
        check("another name", &[("name", "hit")], false);
        check("the type", &[("type", "count")], true);
        check("another type", &[("name", "hits"), ("type", "set")], false);
        check("tags in any order", &[("tags", "b,a:1,,b")], true);
        check("one of two tags", &[("tags", "b")], true);
        check("a tag that it has not", &[("tags", "a:1,c")], false);
        check("no tags", &[("tags", "")], false);
    }
}
