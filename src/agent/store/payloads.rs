//! What arrived, one row a payload, and the counters of the pipelines, which never forget.

use std::collections::VecDeque;

use super::query::{contains, rows_max, terms};
use super::seconds::Seconds;
use crate::agent::view::{self, PayloadRow, Query};

/// One way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Traces,
    Dogstatsd,
    Prometheus,
    Logs,
    Profiles,
}

impl Way {
    pub(crate) const ALL: [Way; 5] = [
        Way::Traces,
        Way::Dogstatsd,
        Way::Prometheus,
        Way::Logs,
        Way::Profiles,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Way::Traces => "traces",
            Way::Dogstatsd => "dogstatsd",
            Way::Prometheus => "prometheus",
            Way::Logs => "logs",
            Way::Profiles => "profiles",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Way::Traces => "spans",
            Way::Dogstatsd | Way::Profiles => "samples",
            Way::Prometheus => "series",
            Way::Logs => "lines",
        }
    }
}

/// What one payload brought.
#[derive(Clone, Debug, Default)]
pub(crate) struct Brought {
    pub(crate) time_unix_us: u64,
    pub(crate) points: u64,
    pub(crate) bytes: u64,
    pub(crate) errors: u64,
    pub(crate) last_error: Option<String>,
}

#[derive(Debug, Default)]
struct Counters {
    payloads: u64,
    points: u64,
    bytes: u64,
    decode_errors: u64,
    last_seen_unix_us: u64,
    last_error: Option<String>,
    per_second: Seconds,
}

/// Rows and counters.
#[derive(Debug, Default)]
pub(crate) struct Payloads {
    rows: VecDeque<PayloadRow>,
    rows_max: usize,
    next_seq: u64,
    findings: u64,
    ways: [Counters; Way::ALL.len()],
}

impl Payloads {
    pub(crate) fn new(rows_max: usize) -> Payloads {
        Payloads {
            rows_max,
            ..Payloads::default()
        }
    }

    /// Keeps a row; gives it its place in the order of arrival.
    pub(crate) fn keep(&mut self, mut row: PayloadRow) {
        self.next_seq += 1;
        row.seq = self.next_seq;
        self.findings += u64::from(!row.error.is_empty());
        if self.rows.len() >= self.rows_max {
            self.rows.pop_front();
        }
        if self.rows_max > 0 {
            self.rows.push_back(row);
        }
    }

    pub(crate) fn count(&mut self, way: Way, brought: Brought) {
        let counters = &mut self.ways[way as usize];
        counters.payloads += 1;
        counters.points += brought.points;
        counters.bytes += brought.bytes;
        counters.decode_errors += brought.errors;
        counters.last_seen_unix_us = brought.time_unix_us;
        counters
            .per_second
            .add(brought.time_unix_us, brought.points);
        if brought.last_error.is_some() {
            counters.last_error = brought.last_error;
        }
    }

    pub(crate) fn findings(&self) -> u64 {
        self.findings
    }

    /// `evicted` is known to the stores.
    pub(crate) fn pipeline(&self, way: Way, evicted: u64, now_unix_us: u64) -> view::Pipeline {
        let counters = &self.ways[way as usize];
        view::Pipeline {
            name: way.name(),
            unit: way.unit(),
            payloads: counters.payloads,
            points: counters.points,
            bytes: counters.bytes,
            decode_errors: counters.decode_errors,
            evicted,
            last_seen_unix_us: counters.last_seen_unix_us,
            last_error: counters.last_error.clone(),
            per_second: counters.per_second.view(now_unix_us),
        }
    }

    /// Newest first.
    pub(crate) fn list(&self, query: &Query) -> Vec<PayloadRow> {
        let terms = terms(query, &["pipeline"]);
        let passes = |row: &PayloadRow| {
            terms.iter().all(|term| match term.key {
                Some(_) => term.passes(|value| row.pipeline == value),
                None => term.passes(|value| {
                    let texts = [&*row.what, &row.from, &row.error, row.pipeline];
                    texts.iter().any(|text| contains(text, value))
                }),
            })
        };
        let newest = self
            .rows
            .iter()
            .rev()
            .take_while(|row| row.seq > query.since);
        newest
            .filter(|row| passes(row))
            .take(rows_max(query))
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_bounded_newest_first_and_searched() {
        let mut payloads = Payloads::new(3);
        for (pipeline, error) in [
            ("traces", ""),
            ("http", "no such path"),
            ("traces", ""),
            ("logs", ""),
        ] {
            payloads.keep(PayloadRow {
                pipeline,
                error: error.to_string(),
                ..PayloadRow::default()
            });
        }
        let seqs = |q: &str, since| -> Vec<u64> {
            let query = Query {
                q: q.to_string(),
                since,
                limit: 0,
            };
            payloads.list(&query).iter().map(|row| row.seq).collect()
        };
        assert_eq!(seqs("", 0), [4, 3, 2]);
        assert_eq!(seqs("", 3), [4]);
        assert_eq!(seqs("pipeline:traces", 0), [3]);
        assert_eq!(seqs("-pipeline:traces such", 0), [2]);
        assert_eq!(payloads.findings(), 1);
    }

    #[test]
    fn a_pipeline_counts_since_the_start() {
        let mut payloads = Payloads::new(0);
        let brought = |error: Option<&str>| Brought {
            time_unix_us: 7_000_000,
            points: 5,
            bytes: 100,
            errors: error.iter().len() as u64,
            last_error: error.map(str::to_string),
        };
        payloads.count(Way::Logs, brought(Some("bad")));
        payloads.count(Way::Logs, brought(None));
        let pipeline = payloads.pipeline(Way::Logs, 3, 7_000_000);
        assert_eq!(
            (pipeline.payloads, pipeline.points, pipeline.bytes),
            (2, 10, 200)
        );
        assert_eq!(
            (
                pipeline.decode_errors,
                pipeline.evicted,
                pipeline.per_second[59]
            ),
            (1, 3, 10)
        );
        assert_eq!(
            (pipeline.last_error.as_deref(), pipeline.state()),
            (Some("bad"), "look")
        );
        assert_eq!(payloads.pipeline(Way::Traces, 0, 0).state(), "waiting");
    }
}
