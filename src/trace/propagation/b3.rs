//! B3, in one header or several: ids in hex, and one of three decisions.
//!
//! Follows openzipkin/b3-propagation.

use super::super::{Priority, SpanContext};
use super::headers::Headers;
use super::number::{any_hex, is_trace_id};

const SINGLE: &str = "b3";
const TRACE_ID: &str = "x-b3-traceid";
const SPAN_ID: &str = "x-b3-spanid";
const SAMPLED: &str = "x-b3-sampled";
const FLAGS: &str = "x-b3-flags";

/// The caller's context in `b3`: trace, span, and where they are told, decision and the caller's caller.
pub(super) fn extract_single<'a>(headers: &impl Headers<'a>) -> Option<SpanContext> {
    let mut parts = headers.first(SINGLE)?.split('-');
    let (trace, span) = (parts.next()?, parts.next()?);
    context(trace, span, parts.next().and_then(decision))
}

/// The caller's context in `x-b3-*`.
pub(super) fn extract_multi<'a>(headers: &impl Headers<'a>) -> Option<SpanContext> {
    let (trace, span) = (headers.first(TRACE_ID)?, headers.first(SPAN_ID)?);
    let is_debug = headers.first(FLAGS) == Some("1");
    let sampled = if is_debug {
        Some("d")
    } else {
        headers.first(SAMPLED)
    };
    context(trace, span, sampled.and_then(decision))
}

fn context(trace: &str, span: &str, priority: Option<Priority>) -> Option<SpanContext> {
    Some(SpanContext {
        trace_id: any_hex(trace, 32).filter(is_trace_id)?,
        span_id: any_hex(span, 16).filter(|id| *id != 0)? as u64,
        priority,
        ..SpanContext::default()
    })
}

/// Debug is a person's wish to have the trace (dd-trace-py, `_B3SingleHeader`); the words are of tracers
/// older than the specification.
fn decision(text: &str) -> Option<Priority> {
    match text {
        "1" | "true" => Some(Priority::AUTO_KEEP),
        "0" | "false" => Some(Priority::AUTO_REJECT),
        "d" => Some(Priority::USER_KEEP),
        _ => None,
    }
}

/// Appends `b3`.
pub(super) fn inject_single(context: &SpanContext, headers: &mut Vec<(&'static str, String)>) {
    let (trace, span_id) = (trace_text(context.trace_id), context.span_id);
    let value = match sampled(context) {
        Some(sampled) => format!("{trace}-{span_id:016x}-{sampled}"),
        None => format!("{trace}-{span_id:016x}"),
    };
    headers.push((SINGLE, value));
}

/// Appends `x-b3-*`.
pub(super) fn inject_multi(context: &SpanContext, headers: &mut Vec<(&'static str, String)>) {
    headers.push((TRACE_ID, trace_text(context.trace_id)));
    headers.push((SPAN_ID, format!("{:016x}", context.span_id)));
    if let Some(sampled) = sampled(context) {
        headers.push((SAMPLED, sampled.to_string()));
    }
}

/// Trace ids of 64 bits have half the digits.
fn trace_text(id: u128) -> String {
    if id >> 64 == 0 {
        format!("{id:016x}")
    } else {
        format!("{id:032x}")
    }
}

/// Never debug, which asks more of others than to keep the trace (dd-trace-go, `propagatorB3`).
fn sampled(context: &SpanContext) -> Option<&'static str> {
    context
        .priority
        .map(|priority| if priority.keeps() { "1" } else { "0" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: u128 = 0x640c_fd8d_0000_0000_1122_10f4_7de9_8115;
    const NARROW: u128 = 0x1122_10f4_7de9_8115;

    type Seen = Option<(u128, u64, Option<i32>)>;

    fn seen(context: Option<SpanContext>) -> Seen {
        context.map(|c| (c.trace_id, c.span_id, c.priority.map(|p| p.0)))
    }

    #[track_caller]
    fn check_single(rule: &str, value: &str, expected: Seen) {
        let values = |name| (name == "b3").then_some(value).into_iter();
        assert_eq!(seen(extract_single(&values)), expected, "{rule}");
    }

    #[test]
    fn one_header_has_two_to_four_parts() {
        let ids = "640cfd8d00000000112210f47de98115-00000000deadbeef";
        let with = |priority| Some((WIDE, 0xdead_beef, priority));
        check_single("ids", ids, with(None));
        check_single("keep", &format!("{ids}-1"), with(Some(1)));
        check_single("drop", &format!("{ids}-0"), with(Some(0)));
        check_single("debug", &format!("{ids}-d"), with(Some(2)));
        check_single("no decision", &format!("{ids}-"), with(None));
        check_single("a decision nobody knows", &format!("{ids}-2"), with(None));
        check_single(
            "a grandparent",
            &format!("{ids}-1-05e3ac9a4f6e3b90"),
            with(Some(1)),
        );
        check_single("64 bits", &ids[16..], Some((NARROW, 0xdead_beef, None)));
        check_single("capitals", &ids.to_uppercase(), with(None));
        check_single("leading zeros left out", "a-b-1", Some((10, 11, Some(1))));
        check_single("zeros", "0-0-1", None);
        check_single("no lower half", "640cfd8d000000000000000000000000-b", None);
        check_single("no span", "a-0000000000000000-1", None);
        check_single("a decision alone", "0", None);
        check_single("a trace alone", "640cfd8d00000000112210f47de98115", None);
        check_single("a trace too long", &format!("1{ids}"), None);
        check_single("a span too long", "a-00000000deadbeef1", None);
        check_single("bad digits", "a-0x1", None);
        check_single("empty", "", None);
    }

    #[track_caller]
    fn check_multi(rule: &str, lines: &[(&str, &str)], expected: Seen) {
        let values = |name| {
            lines
                .iter()
                .filter(move |(n, _)| *n == name)
                .map(|(_, value)| *value)
        };
        assert_eq!(seen(extract_multi(&values)), expected, "{rule}");
    }

    #[test]
    fn several_headers_have_the_same() {
        let trace = ("x-b3-traceid", "640cfd8d00000000112210f47de98115");
        let span = ("x-b3-spanid", "00000000deadbeef");
        let with = |priority| Some((WIDE, 0xdead_beef, priority));
        check_multi("ids", &[trace, span], with(None));
        for (text, priority) in [("1", 1), ("true", 1), ("0", 0), ("false", 0), ("d", 2)] {
            check_multi(
                text,
                &[trace, span, ("x-b3-sampled", text)],
                with(Some(priority)),
            );
        }
        check_multi(
            "a decision nobody knows",
            &[trace, span, ("x-b3-sampled", "yes")],
            with(None),
        );
        check_multi("debug", &[trace, span, ("x-b3-flags", "1")], with(Some(2)));
        let both = [trace, span, ("x-b3-flags", "1"), ("x-b3-sampled", "0")];
        check_multi("debug implies keep", &both, with(Some(2)));
        let neither = [trace, span, ("x-b3-flags", "0"), ("x-b3-sampled", "0")];
        check_multi("no debug", &neither, with(Some(0)));
        check_multi("no trace", &[span], None);
        check_multi("no span", &[trace], None);
        check_multi(
            "zeros",
            &[("x-b3-traceid", "0"), ("x-b3-spanid", "0")],
            None,
        );
        check_multi("bad digits", &[trace, ("x-b3-spanid", "g")], None);
        check_multi("nothing", &[], None);
    }

    #[track_caller]
    fn check_written(
        trace_id: u128,
        priority: Option<i32>,
        single: &str,
        multi: &[(&'static str, &str)],
    ) {
        let context = SpanContext {
            trace_id,
            span_id: 0xdead_beef,
            priority: priority.map(Priority),
            ..SpanContext::default()
        };
        let mut headers = Vec::new();
        inject_single(&context, &mut headers);
        inject_multi(&context, &mut headers);
        let lines: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        assert_eq!(lines[0], ("b3", single));
        assert_eq!(lines[1..], *multi);
    }

    #[test]
    fn a_context_has_exactly_these_headers() {
        let span = ("x-b3-spanid", "00000000deadbeef");
        let (wide, narrow) = ("640cfd8d00000000112210f47de98115", "112210f47de98115");
        check_written(
            WIDE,
            None,
            "640cfd8d00000000112210f47de98115-00000000deadbeef",
            &[("x-b3-traceid", wide), span],
        );
        for (priority, sampled) in [(-1, "0"), (0, "0"), (1, "1"), (2, "1")] {
            check_written(
                NARROW,
                Some(priority),
                &format!("112210f47de98115-00000000deadbeef-{sampled}"),
                &[("x-b3-traceid", narrow), span, ("x-b3-sampled", sampled)],
            );
        }
    }
}
