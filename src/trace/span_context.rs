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
}
