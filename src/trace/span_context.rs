//! The ids that cross processes.

/// Whether a trace is kept, and who said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(pub i32);

impl Priority {
    /// A person or a rule of theirs said drop.
    pub const USER_REJECT: Priority = Priority(-1);
    /// The sampler said drop.
    pub const AUTO_REJECT: Priority = Priority(0);
    /// The sampler said keep.
    pub const AUTO_KEEP: Priority = Priority(1);
    /// A person or a rule of theirs said keep.
    pub const USER_KEEP: Priority = Priority(2);

    /// Whether the trace is kept.
    pub fn keeps(self) -> bool {
        self > Priority::AUTO_REJECT
    }
}

/// What one process tells the next about a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpanContext {
    /// 128 bits; the upper half may be 0.
    pub trace_id: u128,
    /// The span that called.
    pub span_id: u64,
    /// Its decision, where it has made one.
    pub priority: Option<Priority>,
    /// `synthetics`, `rum`, ..., where known.
    pub origin: Option<String>,
    /// Propagated tags, `_dd.p.*`, without `_dd.p.tid`, which the trace id holds.
    pub tags: Vec<(String, String)>,
    /// Members of W3C's `tracestate` that are not ours, as they came: others want them back.
    pub state: String,
    /// The last Datadog span before this one, where another vendor's stands between: `_dd.parent_id`.
    pub datadog_parent_id: Option<u64>,
}

/// Another span that this one has to do with, without being its child.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpanLink {
    /// Its trace, 128 bits.
    pub trace_id: u128,
    /// The span.
    pub span_id: u64,
    /// Why it is linked, and anything else.
    pub attributes: Vec<(String, String)>,
    /// Its W3C `tracestate`, or empty.
    pub state: String,
    /// Its W3C trace flags, where known; bit 0 is sampled.
    pub flags: Option<u32>,
}

/// All that the headers of a request say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extracted {
    /// The span that called; a new trace begins where there is none.
    pub parent: Option<SpanContext>,
    /// Contexts that were given up for another.
    pub links: Vec<SpanLink>,
    /// What callers before us want carried along, in order.
    pub baggage: Vec<(String, String)>,
    /// `_dd.propagation_error`, where a header could not be taken whole.
    pub error: Option<&'static str>,
}
