//! A context to headers.

use super::super::SpanContext;
use super::{Propagation, Style, b3, baggage, datadog, tracecontext};

/// Headers of an outgoing request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Injected {
    /// Names in lower case, and values that any HTTP client may send as they are.
    pub headers: Vec<(&'static str, String)>,
    /// `_dd.propagation_error`: what kept a tag from being told.
    pub error: Option<&'static str>,
}

impl Propagation {
    /// Writes a context, where it has both ids, and baggage, in each style asked for.
    pub fn inject(&self, context: &SpanContext, baggage: &[(String, String)]) -> Injected {
        let mut injected = Injected::default();
        let has_ids = context.trace_id as u64 != 0 && context.span_id != 0;
        let headers = &mut injected.headers;
        for style in self.inject.iter().copied() {
            match style {
                Style::Baggage => baggage::inject(baggage, self.baggage_limits(), headers),
                _ if !has_ids => {}
                Style::Datadog => {
                    injected.error = datadog::inject(context, self.tags_bytes_max, headers);
                }
                Style::TraceContext => tracecontext::inject(context, headers),
                Style::B3Single => b3::inject_single(context, headers),
                Style::B3Multi => b3::inject_multi(context, headers),
            }
        }
        injected
    }
}
