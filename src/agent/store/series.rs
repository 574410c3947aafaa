//! Prometheus series as the last scrapes told them.

use std::collections::{HashMap, HashSet};

use super::contexts::unit;
use super::history::History;
use crate::agent::decode::{Exposition, Sample};
use crate::agent::view::MetricRow;

#[derive(Debug, Default)]
struct Series {
    url: String,
    name: String,
    kind: String,
    labels: Vec<String>,
    points: u64,
    value: f64,
    rate: Option<f64>,
    history: History,
    last_seen_unix_us: u64,
}

/// All series of all scraped pages.
#[derive(Debug, Default)]
pub(crate) struct AllSeries {
    series: HashMap<String, Series>,
    series_max: usize,
    sums: HashMap<String, HashMap<String, f64>>,
    overflow: HashMap<String, u64>,
    evicted: u64,
}

impl AllSeries {
    pub(crate) fn new(series_max: usize) -> AllSeries {
        AllSeries {
            series_max,
            ..AllSeries::default()
        }
    }

    /// Takes one scrape; a series that is not in it any more is gone.
    pub(crate) fn take(&mut self, url: &str, scrape: &Exposition<'_>, time_unix_us: u64) {
        let types: HashMap<&str, &str> = scrape.types.iter().copied().collect();
        let mut sums: HashMap<String, f64> = HashMap::new();
        let mut seen = HashSet::new();
        let mut overflow = 0;
        for sample in &scrape.samples {
            let key = key(url, sample);
            if seen.len() >= self.series_max
                || (self.series.len() >= self.series_max && !self.series.contains_key(&key))
            {
                overflow += 1;
                continue;
            }
            if sample.value.is_finite() {
                *sums.entry(sample.name.to_string()).or_default() += sample.value;
            }
            let series = self.series.entry(key.clone()).or_insert_with(|| Series {
                url: url.to_string(),
                name: sample.name.to_string(),
                labels: labels(sample),
                ..Series::default()
            });
            series.see(sample, kind(&types, sample.name), time_unix_us);
            seen.insert(key);
        }
        self.series
            .retain(|key, series| series.url != url || seen.contains(key));
        self.evicted += overflow;
        self.overflow.insert(url.to_string(), overflow);
        self.sums.insert(url.to_string(), sums);
    }

    /// Sum over all label sets of each name, as of the last scrapes.
    pub(crate) fn sums(&self) -> impl Iterator<Item = (&str, f64)> {
        self.sums
            .values()
            .flat_map(|sums| sums.iter().map(|(name, sum)| (&**name, *sum)))
    }

    pub(crate) fn count(&self) -> u64 {
        self.series.len() as u64
    }

    pub(crate) fn overflow(&self) -> u64 {
        self.overflow.values().sum()
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    pub(crate) fn rows(&self) -> Vec<MetricRow> {
        self.series.values().map(Series::row).collect()
    }
}

impl Series {
    fn see(&mut self, sample: &Sample<'_>, kind: &str, time_unix_us: u64) {
        if self.points > 0 && time_unix_us > self.last_seen_unix_us {
            let seconds = (time_unix_us - self.last_seen_unix_us) as f64 / 1e6;
            self.rate = Some((sample.value - self.value).max(0.0) / seconds);
        }
        if self.kind != kind {
            self.kind = kind.to_string();
        }
        self.points += 1;
        self.value = sample.value;
        self.history.set(time_unix_us / 1_000_000, sample.value);
        self.last_seen_unix_us = time_unix_us;
    }

    fn row(&self) -> MetricRow {
        let aggregate = match &*self.kind {
            "gauge" | "untyped" => Some(("last", self.value)),
            _ => self.rate.map(|rate| ("rate", rate)),
        };
        MetricRow {
            name: self.name.clone(),
            source: "prometheus",
            kind: self.kind.clone(),
            tags: self.labels.clone(),
            points: self.points,
            value: self.value,
            aggregates: aggregate.into_iter().collect(),
            members: Vec::new(),
            history: self.history.view(),
            last_seen_unix_us: self.last_seen_unix_us,
            unit: unit(&self.name),
        }
    }
}

/// A histogram's samples carry the family's name with an ending.
fn kind<'t>(types: &HashMap<&str, &'t str>, name: &str) -> &'t str {
    let family = || {
        let endings = ["_bucket", "_sum", "_count"];
        endings
            .iter()
            .find_map(|ending| types.get(name.strip_suffix(ending)?).copied())
    };
    types
        .get(name)
        .copied()
        .or_else(family)
        .unwrap_or("untyped")
}

fn labels(sample: &Sample<'_>) -> Vec<String> {
    let mut labels: Vec<String> = sample
        .labels
        .iter()
        .map(|(name, value)| format!("{name}:{value}"))
        .collect();
    labels.sort();
    labels
}

fn key(url: &str, sample: &Sample<'_>) -> String {
    format!("{url} {} {:?}", sample.name, sample.labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::decode::exposition;

    #[test]
    fn a_scrape_replaces_the_one_before() {
        let mut all = AllSeries::new(4);
        let first = "# TYPE n_total counter\nn_total{a=\"b\"} 5\nn_total{a=\"c\"} 2\n# TYPE h histogram\nh_sum 1.5\n";
        all.take("u", &exposition(first).unwrap(), 1_000_000);
        let second =
            "# TYPE n_total counter\nn_total{a=\"b\"} 25\n# TYPE h histogram\nh_sum 1.5\ng NaN\n";
        all.take("u", &exposition(second).unwrap(), 11_000_000);
        let mut rows = all.rows();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        assert!(rows[0].value.is_nan() && rows[0].kind == "untyped");
        assert_eq!(
            (&*rows[1].name, &*rows[1].kind, rows[1].points),
            ("h_sum", "histogram", 2)
        );
        let counter = &rows[2];
        assert_eq!(
            (&*counter.kind, counter.value, &counter.history[..]),
            ("counter", 25.0, &[5.0, 25.0][..])
        );
        assert_eq!(
            (&counter.aggregates[..], &counter.tags[..]),
            (&[("rate", 2.0)][..], &["a:b".to_string()][..])
        );
        assert_eq!(rows.len(), 3);
        let mut sums: Vec<_> = all.sums().collect();
        sums.sort_by(|a, b| a.0.cmp(b.0));
        assert_eq!(sums, [("h_sum", 1.5), ("n_total", 25.0)]);
    }

    #[test]
    fn series_have_a_bound() {
        let mut all = AllSeries::new(2);
        let five = exposition("a 1\nb 1\nc 1\nd 1\ne 1\n").unwrap();
        all.take("u", &five, 1);
        all.take("u", &five, 2);
        assert_eq!((all.count(), all.overflow(), all.evicted()), (2, 3, 6));
        all.take("u", &Exposition::default(), 3);
        assert_eq!((all.count(), all.overflow()), (0, 0));
    }
}
