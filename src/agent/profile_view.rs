//! What the page and the JSON API show of profiles.

use serde::Serialize;

/// The uploads that are held.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Profiles {
    /// Newest first.
    pub rows: Vec<ProfileRow>,
    /// Bytes that they take in memory.
    pub held_bytes: u64,
    /// Uploads that were let go because the bound was reached, since the start.
    pub evicted: u64,
}

/// One upload.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ProfileRow {
    /// Counts up from 1; the page's path is `/profiles/<id>`.
    pub id: u64,
    /// When it arrived.
    pub time_unix_us: u64,
    /// What it covers.
    pub start_unix_us: u64,
    /// See `start_unix_us`.
    pub end_unix_us: u64,
    /// From `tags_profiler`; empty where not said.
    pub service: String,
    /// See `service`.
    pub env: String,
    /// See `service`.
    pub version: String,
    /// See `service`.
    pub language: String,
    /// See `service`.
    pub host: String,
    /// See `service`.
    pub process_id: String,
    /// `native`, `python`, ...
    pub family: String,
    /// All of `tags_profiler`, in order.
    pub tags: Vec<(String, String)>,
    /// Names and bytes of what was attached.
    pub attachments: Vec<(String, u64)>,
    /// Bytes of the whole upload.
    pub bytes: u64,
    /// Samples in its pprof.
    pub samples: u64,
    /// Every sample type with the sum of its values, in the order of the pprof.
    pub values: Vec<ValueTotal>,
    /// How often each endpoint was asked for, most frequent first.
    pub endpoints: Vec<(String, u64)>,
    /// What is wrong with it, or empty.
    pub findings: Vec<String>,
}

/// One sample type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ValueTotal {
    /// `cpu-time`.
    pub name: String,
    /// `nanoseconds`, `count`, `bytes`.
    pub unit: String,
    /// Sum over the samples.
    pub total: i64,
}

/// Which samples are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileQuery {
    /// One upload; all that are held where 0.
    pub upload: u64,
    /// The upload that it is held against, or 0.
    pub base: u64,
    /// Sample type; empty for the first of cpu-time, wall-time, whatever there is.
    pub value: String,
    /// `trace endpoint`, or empty for all.
    pub route: String,
    /// `thread name`, or empty for all.
    pub thread: String,
    /// Low half of a trace's id: samples whose local root span is one of its spans. 0 for all.
    pub trace: u64,
}

/// A flame graph, and what stands around it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Flame {
    /// The upload, or one that sums up all where all are asked for (its id is 0).
    pub row: ProfileRow,
    /// The one that it is held against.
    pub base: Option<ProfileRow>,
    /// The sample type that is shown.
    pub value: ValueTotal,
    /// Samples that matched.
    pub samples: u64,
    /// Sum of the shown value over the base's samples that matched; 0 without a base.
    pub base_total: i64,
    /// Routes by the shown value, largest first, whichever route is asked for; `""` is no route.
    pub routes: Vec<Share>,
    /// Threads likewise.
    pub threads: Vec<Share>,
    /// Traces by the shown value, largest first, at most 50.
    pub traces: Vec<TraceShare>,
    /// All samples together; its children are the outermost frames.
    pub root: FlameNode,
    /// Every function, by its own share, largest first, at most 200.
    pub functions: Vec<FunctionRow>,
    /// Functions that are not listed.
    pub functions_left: u64,
}

/// What one name has of the shown value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Route or thread.
    pub name: String,
    /// Its sum.
    pub total: i64,
}

/// What one trace has of the shown value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TraceShare {
    /// Local root span, in decimal.
    pub root_span_id: String,
    /// Low half of the trace's id, in decimal; empty where the trace is not held.
    pub trace_id: String,
    /// `trace endpoint`.
    pub route: String,
    /// Its sum.
    pub total: i64,
}

/// One frame, at one place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FlameNode {
    /// Function, as the upload calls it; an address or a file where it does not.
    pub name: String,
    /// Source file, or empty.
    pub file: String,
    /// Line that was running or calling most often, or 0.
    pub line: i64,
    /// Sum of the value, callees included.
    pub total: i64,
    /// Without callees.
    pub own: i64,
    /// `total` in the base; 0 without one.
    pub base_total: i64,
    /// Callees, largest first (by the larger of the two totals where there is a base).
    pub children: Vec<FlameNode>,
    /// Callees too small to be drawn, which were left out.
    pub left_out: u64,
}

/// One function, wherever it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FunctionRow {
    /// As in [`FlameNode::name`].
    pub name: String,
    /// Source file, or empty.
    pub file: String,
    /// Sum without callees.
    pub own: i64,
    /// Sum with callees, counted once a stack.
    pub total: i64,
    /// See `own`, in the base.
    pub base_own: i64,
    /// See `total`, in the base.
    pub base_total: i64,
}
