//! One scraped page as it came, with all that is to be said of it.

use serde::Serialize;

use super::lint::Finding;

/// The last page of one scraped address.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RawPage {
    /// The address.
    pub url: String,
    /// When the page came, or 0 where none has.
    pub time_unix_us: u64,
    /// How long the scrape took, from the request to the last byte.
    pub duration_ns: u64,
    /// What the answer's `Content-Type` said, at most 300 bytes of it.
    pub content_type: String,
    /// What it was read as: `Prometheus text 0.0.4` or `OpenMetrics 1.0`.
    pub format: &'static str,
    /// Bytes of the whole page.
    pub bytes: u64,
    /// Samples that were read.
    pub samples: u64,
    /// Samples over the bound of 100,000 a page, which were not kept.
    pub samples_over: u64,
    /// Whole lines from its beginning, at most 1 MiB.
    pub text: String,
    /// Whether `text` is only the beginning; findings are then of it alone.
    pub cut: bool,
    /// Why the page could not be read, or empty.
    pub error: String,
    /// When the newest scrape brought no page, or 0.
    pub failed_unix_us: u64,
    /// Why it did not, or empty.
    pub failure: String,
    /// What is wrong with it, in the order of the lines; at most 500.
    pub findings: Vec<Finding>,
    /// Findings over that bound.
    pub findings_left_out: u64,
    /// Exemplars, in the order of the lines; at most 1,000.
    pub exemplars: Vec<ExemplarRow>,
}

/// One event among those that a sample counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ExemplarRow {
    /// Its line, from 1.
    pub line: usize,
    /// Low 64 bits of its `trace_id`, decimal, for the jump to the trace; empty where it has none.
    pub trace_id: String,
    /// Whether that trace is held.
    pub trace_held: bool,
    /// What it measured.
    pub value: f64,
    /// When, in milliseconds since 1970, or `None`.
    pub time_unix_ms: Option<i64>,
}
