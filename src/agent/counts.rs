//! The same requests, counted by four pipelines.

use std::collections::BTreeMap;

use serde::Serialize;

use super::view::Count;

/// Requests as each pipeline counted them since the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Counts {
    /// Spans of type `web` with `span.kind` `server`, by service.
    pub server_spans: BTreeMap<String, u64>,
    /// JSON lines of the logger `testapi.access` that have an `http.status_code`.
    pub access_log_lines: u64,
    /// Sums of DogStatsD counts, sample rates undone, by name.
    pub dogstatsd: BTreeMap<String, f64>,
    /// Sums over all label sets, by name. What counts up adds up over a restart of the scraped program: a value
    /// lower than the one before begins anew from zero. Anything else is as of the last scrapes.
    pub prometheus: BTreeMap<String, f64>,
}

impl Counts {
    /// All server spans.
    pub fn server_spans_sum(&self) -> u64 {
        self.server_spans.values().sum()
    }

    /// Sum of a DogStatsD count, `testapi.request_count`.
    pub fn dogstatsd_sum(&self, name: &str) -> f64 {
        self.dogstatsd.get(name).copied().unwrap_or(0.0)
    }

    /// Sum of a Prometheus counter, `request_count_total`.
    pub fn prometheus_sum(&self, name: &str) -> f64 {
        self.prometheus.get(name).copied().unwrap_or(0.0)
    }

    pub(super) fn rows(&self) -> Vec<Count> {
        let first = self.server_spans_sum();
        let others = [
            (
                "request_count on /metrics",
                self.prometheus_sum("request_count_total").round() as u64,
            ),
            (
                "testapi.request_count (DogStatsD)",
                self.dogstatsd_sum("testapi.request_count").round() as u64,
            ),
            ("access log lines", self.access_log_lines),
        ];
        let row = |counted_at: &str, count, difference| Count {
            counted_at: counted_at.to_string(),
            count,
            difference,
        };
        let difference = |count: u64| Some(count as i64 - first as i64);
        std::iter::once(row("server spans received", first, None))
            .chain(others.map(|(at, count)| row(at, count, difference(count))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_counts_stand_side_by_side() {
        let counts = Counts {
            server_spans: BTreeMap::from([("a".into(), 3), ("b".into(), 4)]),
            access_log_lines: 6,
            dogstatsd: BTreeMap::from([("testapi.request_count".into(), 7.0)]),
            prometheus: BTreeMap::from([("request_count_total".into(), 9.0)]),
        };
        let rows = counts.rows();
        let shown: Vec<(&str, u64, Option<i64>)> = rows
            .iter()
            .map(|row| (&*row.counted_at, row.count, row.difference))
            .collect();
        let expected = [
            ("server spans received", 7, None),
            ("request_count on /metrics", 9, Some(2)),
            ("testapi.request_count (DogStatsD)", 7, Some(0)),
            ("access log lines", 6, Some(-1)),
        ];
        assert_eq!(shown, expected);
    }
}
