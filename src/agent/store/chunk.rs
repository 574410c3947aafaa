//! One chunk of spans, looked at once, without copying.

use std::borrow::Cow;
use std::collections::HashMap;

use super::fingerprint::ErrorSeen;
use crate::agent::decode::SpanRef;

/// What the counters need of a span's tags.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks<'a> {
    pub(crate) server: bool,
    /// First span of its service in this chunk, or as its tracer says with `_dd.top_level`.
    pub(crate) entry: bool,
    pub(crate) trace_id_high: Option<u64>,
    pub(crate) status_code: Cow<'a, str>,
    pub(crate) env: Cow<'a, str>,
    pub(crate) version: Cow<'a, str>,
    pub(crate) language: Cow<'a, str>,
    error_type: Cow<'a, str>,
    error_message: Cow<'a, str>,
    error_stack: Cow<'a, str>,
}

impl<'a> Marks<'a> {
    fn of(span: &SpanRef<'a>) -> Marks<'a> {
        let mut marks = Marks::default();
        span.each_tag(|key, value| match &*key {
            "span.kind" => marks.server = value == "server" && span.kind == "web",
            "_dd.p.tid" => marks.trace_id_high = u64::from_str_radix(&value, 16).ok(),
            "http.status_code" => marks.status_code = value,
            "env" => marks.env = value,
            "version" => marks.version = value,
            "language" => marks.language = value,
            "error.type" => marks.error_type = value,
            "error.message" => marks.error_message = value,
            "error.msg" if marks.error_message.is_empty() => marks.error_message = value,
            "error.stack" => marks.error_stack = value,
            _ => {}
        });
        marks
    }

    /// The span's error with the reason why Error Tracking would not show it, if any.
    pub(crate) fn error<'m>(&'m self, span: &'m SpanRef<'a>) -> Option<ErrorSeen<'m>> {
        let ignored_because = match () {
            () if span.error == 0 => return None,
            () if self.error_stack.is_empty() => "no error.stack",
            () if self.error_type.is_empty() => "no error.type",
            () if !self.entry => "not on the service entry span",
            () => "",
        };
        Some(ErrorSeen {
            service: &span.service,
            error_type: &self.error_type,
            message: &self.error_message,
            stack: &self.error_stack,
            resource: &span.resource,
            trace_id: span.trace_id,
            ignored_because,
            is_log: false,
        })
    }
}

/// Marks of each span of a chunk.
pub(crate) fn marks<'a>(spans: &[SpanRef<'a>]) -> Vec<Marks<'a>> {
    let mut marks: Vec<Marks<'a>> = spans.iter().map(Marks::of).collect();
    let mut told = false;
    for (span, marks) in spans.iter().zip(&mut marks) {
        span.each_metric(|key, value| {
            if key == "_dd.top_level" {
                (marks.entry, told) = (value != 0.0, true);
            }
        });
    }
    if !told {
        // As the Agent computes it where the tracer has not: within the chunk alone.
        let services: HashMap<u64, &str> = spans
            .iter()
            .map(|span| (span.span_id, &*span.service))
            .collect();
        for (span, marks) in spans.iter().zip(&mut marks) {
            marks.entry = services.get(&span.parent_id) != Some(&&*span.service);
        }
    }
    marks
}

/// Which span stands for the chunk: the root, else one whose parent is elsewhere, else the first.
/// With its rank, so that a better one of a later chunk can take its place.
pub(crate) fn representative(spans: &[SpanRef<'_>]) -> (u8, usize) {
    if let Some(root) = spans.iter().position(|span| span.parent_id == 0) {
        return (3, root);
    }
    let ids: std::collections::HashSet<u64> = spans.iter().map(|span| span.span_id).collect();
    match spans.iter().position(|span| !ids.contains(&span.parent_id)) {
        Some(entry) => (2, entry),
        None => (1, 0),
    }
}

/// What the Agent would drop the whole trace for.
pub(crate) fn finding(spans: &[SpanRef<'_>]) -> Option<&'static str> {
    let first = spans.first()?;
    spans.iter().find_map(|span| match span {
        span if span.trace_id == 0 => Some("trace_id_zero: the Agent drops this trace"),
        span if span.span_id == 0 => Some("span_id_zero: the Agent drops this trace"),
        span if span.trace_id != first.trace_id => {
            Some("foreign_span: two trace ids in one chunk, the Agent drops it")
        }
        _ => None,
    })
}
