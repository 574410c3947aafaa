//! Headers to a context: which style wins, and what becomes of the others.
//!
//! As in dd-trace-go, `ddtrace/tracer/textmap.go` (`chainedPropagator.Extract`), but that a style whose
//! headers are malformed is passed over as if they were absent, as in dd-trace-py.

use super::super::{Extracted, Priority, SpanContext, SpanLink};
use super::headers::Headers;
use super::{Behavior, Propagation, Style, b3, baggage, datadog, tracecontext, tracestate};

impl Propagation {
    /// Reads a request's headers; `values` gives every value of a name in lower case, in order.
    ///
    /// The first style that has a context gives the parent. A later one of another trace becomes a link;
    /// W3C's of the same trace adds what other vendors said, and its span is the parent, being the nearest.
    pub fn extract<'a, V: Iterator<Item = &'a str>>(
        &self,
        values: impl Fn(&'static str) -> V,
    ) -> Extracted {
        if self.behavior == Behavior::Ignore {
            return Extracted::default();
        }
        let mut extracted = self.contexts(&values);
        if self.extract.contains(&Style::Baggage) {
            extracted.baggage = baggage::extract(&values, self.baggage_limits());
        }
        extracted
    }

    fn contexts<'a>(&self, headers: &impl Headers<'a>) -> Extracted {
        let mut links = Vec::new();
        let mut chosen: Option<Chosen> = None;
        for style in self.extract.iter().copied() {
            let Some((context, error)) = self.read(style, headers) else {
                continue;
            };
            match &mut chosen {
                None => {
                    let has_state = style == Style::TraceContext;
                    chosen = Some(Chosen {
                        context,
                        style,
                        error,
                        has_state,
                    });
                    if self.extract_first {
                        break;
                    }
                }
                Some(chosen) if !is_same_trace(&chosen.context, &context) => {
                    let state = if style == Style::TraceContext {
                        tracestate::as_it_came(headers)
                    } else {
                        String::new()
                    };
                    links.push(link(&context, style, "terminated_context", state));
                }
                Some(chosen) if style == Style::TraceContext => chosen.join(context),
                Some(_) => {}
            }
        }
        let Some(chosen) = chosen else {
            return Extracted::default();
        };
        if self.behavior == Behavior::Restart {
            let state = if chosen.has_state {
                tracestate::as_it_came(headers)
            } else {
                String::new()
            };
            let link = link(
                &chosen.context,
                chosen.style,
                "propagation_behavior_extract",
                state,
            );
            return Extracted {
                links: vec![link],
                error: chosen.error,
                ..Extracted::default()
            };
        }
        Extracted {
            parent: Some(chosen.context),
            links,
            error: chosen.error,
            ..Extracted::default()
        }
    }

    fn read<'a>(
        &self,
        style: Style,
        headers: &impl Headers<'a>,
    ) -> Option<(SpanContext, Option<&'static str>)> {
        let context = match style {
            Style::Datadog => return datadog::extract(headers, self.tags_bytes_max),
            Style::TraceContext => tracecontext::extract(headers),
            Style::B3Single => b3::extract_single(headers),
            Style::B3Multi => b3::extract_multi(headers),
            Style::Baggage => None,
        };
        context.map(|context| (context, None))
    }

    pub(super) fn baggage_limits(&self) -> baggage::Limits {
        baggage::Limits {
            items: self.baggage_items_max,
            bytes: self.baggage_bytes_max,
        }
    }
}

/// The first context found.
struct Chosen {
    context: SpanContext,
    style: Style,
    error: Option<&'static str>,
    /// Whether `tracestate` is of its trace.
    has_state: bool,
}

impl Chosen {
    /// Takes over what W3C's headers of the same trace know better.
    fn join(&mut self, w3c: SpanContext) {
        let context = &mut self.context;
        self.has_state = true;
        context.state = w3c.state;
        context.trace_id |= w3c.trace_id;
        if context.span_id == w3c.span_id {
            return;
        }
        let by_datadog =
            Some(context.span_id).filter(|id| self.style == Style::Datadog && *id != 0);
        context.datadog_parent_id = w3c.datadog_parent_id.or(by_datadog);
        context.span_id = w3c.span_id;
    }
}

/// Not every header has room for 128 bits, or tells them: where one has no upper half, the lower ones decide.
fn is_same_trace(one: &SpanContext, other: &SpanContext) -> bool {
    let differ = one.trace_id ^ other.trace_id;
    let is_narrow = one.trace_id >> 64 == 0 || other.trace_id >> 64 == 0;
    differ == 0 || (differ as u64 == 0 && is_narrow)
}

fn link(context: &SpanContext, style: Style, reason: &str, state: String) -> SpanLink {
    SpanLink {
        trace_id: context.trace_id,
        span_id: context.span_id,
        attributes: vec![
            ("reason".to_string(), reason.to_string()),
            ("context_headers".to_string(), style.to_string()),
        ],
        state,
        flags: context
            .priority
            .map(|priority| u32::from(Priority::keeps(priority))),
    }
}
