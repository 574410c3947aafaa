//! What the page and the JSON API show: plain values, made from the store, rendered as HTML or JSON.
//!
//! Both come from the same values, so the page never shows what the API cannot say. Times are
//! microseconds since 1970 (a JSON number keeps them exactly), durations are nanoseconds, ids are
//! decimal text (JavaScript would round a 64-bit number).

use serde::Serialize;

pub use super::metric_view::{
    Beside, CheckRow, EventRow, Explained, FailingScrape, MetricBucket, MetricRow, Metrics,
    RawLine, Scraped, Which,
};
pub use super::profile_view::{
    Flame, FlameNode, FunctionRow, ProfileQuery, ProfileRow, Profiles, Share, TraceShare,
    ValueTotal,
};
pub use super::raw_view::{ExemplarRow, RawPage};

/// One way in: traces, DogStatsD, Prometheus, logs, profiles.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pipeline {
    /// `traces`, `dogstatsd`, `prometheus`, `logs`, `profiles`.
    pub name: &'static str,
    /// What one point is: `spans`, `samples` (also of profiles), `series`, `lines`.
    pub unit: &'static str,
    /// HTTP bodies, datagrams, scrapes or reads that arrived.
    pub payloads: u64,
    /// Points decoded from them.
    pub points: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Payloads or lines that could not be decoded.
    pub decode_errors: u64,
    /// Points that arrived and were let go because a bound was reached, since the start.
    pub evicted: u64,
    /// When something last arrived, or 0.
    pub last_seen_unix_us: u64,
    /// What the last decode error said.
    pub last_error: Option<String>,
    /// Points per second for each of the last 60 seconds, oldest first.
    pub per_second: Vec<u32>,
}

impl Pipeline {
    /// `waiting` (nothing yet), `healthy`, or `look` (errors). Always shown as a word.
    pub fn state(&self) -> &'static str {
        match (self.payloads, self.decode_errors) {
            (0, 0) => "waiting",
            (_, 0) => "healthy",
            _ => "look",
        }
    }
}

/// One service seen in spans.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// `env` and `version` tags last seen, or empty.
    pub env: String,
    /// See `env`.
    pub version: String,
    /// Language of its tracer, or empty.
    pub language: String,
    /// Service-entry spans received since the start.
    pub requests: u64,
    /// Those with error=1.
    pub errors: u64,
    /// Requests per second over the last 10 seconds.
    pub requests_per_second: f64,
    /// Percentiles over the service-entry spans still held, in nanoseconds.
    pub p50_ns: u64,
    /// See `p50_ns`.
    pub p95_ns: u64,
    /// See `p50_ns`.
    pub p99_ns: u64,
    /// Service-entry spans per second for each of the last 60 seconds, oldest first.
    pub requests_history: Vec<u32>,
    /// Errors per second, likewise.
    pub errors_history: Vec<u32>,
    /// p50 of each of the last 60 seconds, in nanoseconds, oldest first, within an eighth.
    pub p50_history_ns: Vec<u64>,
    /// p99, likewise.
    pub p99_history_ns: Vec<u64>,
}

/// The first page.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Overview {
    /// When this was made.
    pub now_unix_us: u64,
    /// When the agent started.
    pub started_unix_us: u64,
    /// Always five, in the order of [`Pipeline::name`]'s list.
    pub pipelines: Vec<Pipeline>,
    /// Busiest first.
    pub services: Vec<Service>,
    /// The five most frequent issues, those that Error Tracking would ignore left out.
    pub errors: Vec<ErrorGroup>,
    /// The four independent counts of the same requests.
    pub reconcile: Vec<Count>,
    /// Figures beside the names in the left rail.
    pub rail: Rail,
}

/// Figures in the left rail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rail {
    /// Traces held.
    pub traces: u64,
    /// Contexts and series held.
    pub metrics: u64,
    /// Log lines held.
    pub logs: u64,
    /// Issues held, those that Error Tracking would ignore left out.
    pub errors: u64,
    /// Uploads of profiles held.
    pub profiles: u64,
    /// Payloads that could not be decoded, or asked for something that is not there.
    pub payload_findings: u64,
}

/// One count of requests, as one pipeline saw them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Where it was counted: `server spans received`, `request_count on /metrics`, ...
    pub counted_at: String,
    /// The figure.
    pub count: u64,
    /// Difference to the first row; the first row has none.
    pub difference: Option<i64>,
}

/// One line of the trace list.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TraceRow {
    /// Low 64 bits, decimal: what `/api/traces/<id>` takes.
    pub trace_id: String,
    /// All 128 bits as 32 hex digits, or the low 64 as 16 where the upper half is unknown.
    pub trace_id_hex: String,
    /// Service of the root, or of the first span that arrived.
    pub service: String,
    /// Its operation name.
    pub name: String,
    /// Its resource.
    pub resource: String,
    /// Its `http.status_code`, or empty.
    pub status_code: String,
    /// When it started.
    pub start_unix_us: u64,
    /// Its duration.
    pub duration_ns: u64,
    /// Spans held for this trace.
    pub spans: u32,
    /// Spans with error=1.
    pub errors: u32,
    /// Services in it.
    pub services: u32,
}

/// The trace list.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Traces {
    /// Newest first, at most `limit` of those that match.
    pub rows: Vec<TraceRow>,
    /// Traces held in all.
    pub held: u64,
    /// Those that match the query.
    pub matching: u64,
    /// Traces let go because a bound was reached.
    pub evicted: u64,
    /// Longest duration among `rows`, for the bars.
    pub longest_ns: u64,
}

/// One span of an opened trace, in waterfall order.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Span {
    /// Decimal.
    pub span_id: String,
    /// Decimal; `0` for a root.
    pub parent_id: String,
    /// How far it is indented.
    pub depth: u32,
    /// True where the parent was named but never arrived.
    pub parent_missing: bool,
    /// As received.
    pub service: String,
    /// As received.
    pub name: String,
    /// As received.
    pub resource: String,
    /// As received, `type` on the wire.
    pub kind: String,
    /// After the start of the trace.
    pub offset_ns: u64,
    /// As received.
    pub duration_ns: u64,
    /// Duration less that of the children, never below 0.
    pub self_ns: u64,
    /// error=1.
    pub error: bool,
    /// Sorted by key, without `error.stack`.
    pub meta: Vec<(String, String)>,
    /// Sorted by key.
    pub metrics: Vec<(String, f64)>,
    /// `error.type`, `error.message`, `error.stack`, where the span has any.
    pub error_type: String,
    /// See `error_type`.
    pub error_message: String,
    /// See `error_type`.
    pub error_stack: String,
}

/// One opened trace.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Trace {
    /// Its line in the list.
    pub row: TraceRow,
    /// From the first start to the last end.
    pub extent_ns: u64,
    /// Parents before children, siblings by start.
    pub spans: Vec<Span>,
    /// Log lines that carry this trace id, oldest first: at most the newest 1,000, and at most 16 MB.
    pub logs: Vec<LogRow>,
    /// Older ones that were left out for these bounds.
    pub logs_left_out: u64,
    /// Samples of all uploads held whose local root span is one of this trace's spans.
    pub profile_samples: u64,
}

/// One log line.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LogRow {
    /// Order of arrival; `since` takes it.
    pub seq: u64,
    /// The line's own time, or that of its arrival.
    pub time_unix_us: u64,
    /// `emergency`, `alert`, `critical`, `error`, `warn`, `notice`, `info`, `debug`, `ok`, by Datadog's prefix rules.
    pub status: &'static str,
    /// `service`, or empty.
    pub service: String,
    /// `logger.name`, or empty.
    pub logger: String,
    /// `message`, or the whole line where it is not JSON.
    pub message: String,
    /// Low 64 bits, decimal, for the jump to the trace; empty where the line has none.
    pub trace_id: String,
    /// Decimal or empty.
    pub span_id: String,
    /// `error.kind`, or empty.
    pub error_kind: String,
    /// `error.stack`, or empty.
    pub error_stack: String,
    /// All other fields, flattened, sorted.
    pub fields: Vec<(String, String)>,
    /// Whether it is a JSON object; plain text has no status of its own.
    pub json: bool,
    /// Whether it says of itself that fields were cut: `"truncated":true`.
    pub truncated: bool,
}

/// Values that a field has among the newest lines that match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Facet {
    /// The field, as a search takes it.
    pub key: &'static str,
    /// The commonest first, at most 8.
    pub values: Vec<FacetValue>,
    /// Lines that have another value.
    pub others: u64,
}

/// One value of a facet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FacetValue {
    /// At most 200 bytes.
    pub value: String,
    /// Lines that have it.
    pub lines: u64,
}

/// The log page.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Logs {
    /// Oldest first, at most `limit` of the newest that match, with `since` of the oldest after it; and at most 16 MB,
    /// but for a single row. On the page 4 MB, and there long texts are cut and say so.
    pub rows: Vec<LogRow>,
    /// Lines within `limit` that were left out for their size. With `since` they come with the next answer, else they
    /// are the older ones.
    pub left_out: u64,
    /// Lines held.
    pub held: u64,
    /// Those that match.
    pub matching: u64,
    /// Lines let go because a bound was reached.
    pub evicted: u64,
    /// What to pass as `since` next.
    pub next_since: u64,
    /// What these lines have in common; none with `since`.
    pub facets: Vec<Facet>,
    /// Of how many lines the facets are: the newest 5,000 at most of those that match.
    pub facet_lines: u64,
    /// Those of them that have over 64 KB, of which only status and service were counted.
    pub facet_lines_large: u64,
}

/// Errors that Error Tracking would show as one issue.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ErrorGroup {
    /// Stable while the agent runs.
    pub fingerprint: String,
    /// Service.
    pub service: String,
    /// `error.type`.
    pub error_type: String,
    /// Message of the newest.
    pub message: String,
    /// Top frame, or empty.
    pub culprit: String,
    /// Resource of the newest.
    pub resource: String,
    /// How many.
    pub count: u64,
    /// When the first arrived.
    pub first_seen_unix_us: u64,
    /// When the newest arrived.
    pub last_seen_unix_us: u64,
    /// Newest trace, decimal.
    pub trace_id: String,
    /// Stack of the newest.
    pub stack: String,
    /// Empty, or why Error Tracking would ignore it: `no error.stack`, `no error.type`, `not on the service entry span`.
    pub ignored_because: String,
}

/// One HTTP body, datagram, scrape or read.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PayloadRow {
    /// Order of arrival.
    pub seq: u64,
    /// When it arrived.
    pub time_unix_us: u64,
    /// Pipeline, or `http` for a path that is not decoded.
    pub pipeline: &'static str,
    /// `POST /v0.4/traces`, `udp`, `GET http://.../metrics`, a file's path.
    pub what: String,
    /// Who sent it: `rust 0.1.0`, `python 4.16.0`, a user agent, an address.
    pub from: String,
    /// Size.
    pub bytes: u64,
    /// Points decoded.
    pub points: u64,
    /// HTTP status answered, or 0.
    pub status: u16,
    /// What was wrong, or empty.
    pub error: String,
}

/// What the list pages take from the query string.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Query {
    /// `q`: words; each must occur. `key:value` where the page knows the key (traces: `service`, `resource`, `name`, `status`
    /// with `error` or `ok` or a code; logs: `status`, `service`, `trace_id`, and any other
    /// field by its whole value, or by its beginning and `*`); a value with blanks stands in double quotes; a leading `-` negates.
    pub q: String,
    /// `since`: only what arrived after this sequence number.
    pub since: u64,
    /// `limit`: rows, 1 to 1,000, 100 if absent.
    pub limit: usize,
}
