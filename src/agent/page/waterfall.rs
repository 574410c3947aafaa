//! One trace: the tree of its spans over time, beside it the span that is looked at.

use super::figure::{Figure, duration};
use super::html::{esc, html, pct};
use super::piece;
use super::span;
use super::spark;
use crate::agent::view::{Span, Trace};

/// Deeper levels are indented no further; the class names end there.
const DEPTH_MAX: u32 = 16;
/// Most lines of the time axis after the first.
const TICKS_MAX: u64 = 4;

pub(super) fn crumbs(trace: &Trace) -> String {
    let (row, mut out) = (&trace.row, String::new());
    html!(
        out,
        "<a class=\"muted\" href=\"/traces\">Traces</a><span class=\"muted\">/</span><h1>{}</h1>",
        esc(if row.resource.is_empty() {
            &row.name
        } else {
            &row.resource
        })
    );
    if !row.status_code.is_empty() {
        let tone = piece::status_tone(&row.status_code);
        html!(
            out,
            "<span class=\"chip {tone}\">{}</span>",
            esc(&row.status_code)
        );
    }
    let hex = &row.trace_id_hex;
    let (head, tail) = match (hex.get(..8), hex.get(hex.len().saturating_sub(4)..)) {
        (Some(head), Some(tail)) if hex.len() > 16 => (head, tail),
        _ => (hex.as_str(), ""),
    };
    let gap = if tail.is_empty() { "" } else { "…" };
    html!(
        out,
        "<code class=\"chip\" title=\"trace id {}, decimal {}\" data-copy=\"{0}\">{}{gap}{}</code>",
        esc(hex),
        esc(&row.trace_id),
        esc(head),
        esc(tail)
    );
    out
}

pub(super) fn main(trace: &Trace, span_id: &str, now_unix_us: u64) -> String {
    let mut out = String::new();
    let Some(looked_at) = chosen(trace, span_id) else {
        out.push_str(
            "<section class=\"card empty\"><h2>No span of this trace is held</h2></section>",
        );
        return out;
    };
    out.push_str("<div class=\"grid trace\">");
    tree(&mut out, trace, looked_at, now_unix_us);
    out.push_str("<div class=\"side\" id=\"side\">");
    span::panel(&mut out, trace, looked_at);
    out.push_str("</div></div>");
    out
}

/// The span asked for, else the one that says most about what failed, else the first.
fn chosen<'a>(trace: &'a Trace, span_id: &str) -> Option<&'a Span> {
    let spans = &trace.spans;
    spans
        .iter()
        .find(|span| span.span_id == span_id)
        .or_else(|| {
            spans
                .iter()
                .find(|span| span.error && !span.error_stack.is_empty())
        })
        .or_else(|| spans.iter().find(|span| span.error))
        .or_else(|| spans.first())
}

fn tree(out: &mut String, trace: &Trace, looked_at: &Span, now_unix_us: u64) {
    out.push_str(
        "<section class=\"card flush\"><div class=\"scroll\"><table class=\"waterfall\" role=\"treegrid\" aria-label=\"Spans\">\
         <thead><tr role=\"row\"><th scope=\"col\" role=\"columnheader\">",
    );
    let whole = duration(trace.extent_ns);
    html!(
        out,
        "{} · {} · {} {} · ",
        piece::plural(trace.spans.len() as u64, "span"),
        piece::plural(u64::from(trace.row.services), "service"),
        whole.digits,
        whole.unit
    );
    piece::when(out, now_unix_us, trace.row.start_unix_us);
    out.push_str(
        "</th><th scope=\"col\" role=\"columnheader\" class=\"lane\" aria-label=\"time\">",
    );
    axis(out, trace.extent_ns);
    out.push_str("</th><th scope=\"col\" role=\"columnheader\" class=\"num\">duration</th></tr></thead><tbody>");
    for (at, span) in trace.spans.iter().enumerate() {
        let parent = trace
            .spans
            .get(at + 1)
            .is_some_and(|next| next.depth > span.depth);
        line(
            out,
            trace,
            span,
            Mark {
                parent,
                chosen: std::ptr::eq(span, looked_at),
            },
        );
    }
    out.push_str("</tbody></table></div></section>");
}

/// Round times as text, and the lines below them, which every row draws again.
fn axis(out: &mut String, extent_ns: u64) {
    let step_ns = step(extent_ns);
    let share = |tick: u64| (tick * step_ns) as f64 * 100.0 / extent_ns.max(1) as f64;
    out.push_str("<svg class=\"axis\" aria-hidden=\"true\"><defs><g id=\"gridlines\">");
    for tick in 0..=extent_ns / step_ns {
        let x = share(tick);
        html!(
            out,
            "<line x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"-6\" y2=\"24\"/>"
        );
    }
    out.push_str("</g></defs><text y=\"13\">0</text>");
    for tick in 1..=extent_ns / step_ns {
        let Figure { digits, unit } = round_duration(tick * step_ns);
        let (x, anchor) = match share(tick) {
            x if x > 94.0 => (x, "end"),
            x => (x, "middle"),
        };
        html!(
            out,
            "<text x=\"{x:.2}%\" y=\"13\" text-anchor=\"{anchor}\">{digits} {unit}</text>"
        );
    }
    out.push_str("</svg>");
}

/// The least of 1, 2, 5, 10, 20, ... ns that needs no more than the most lines.
fn step(extent_ns: u64) -> u64 {
    let mut decade: u64 = 1;
    loop {
        for factor in [1, 2, 5] {
            let step = decade.saturating_mul(factor);
            if extent_ns / step <= TICKS_MAX {
                return step;
            }
        }
        decade = decade.saturating_mul(10);
    }
}

/// A multiple of a step: without the digits after the point that say nothing.
fn round_duration(ns: u64) -> Figure {
    let mut figure = duration(ns);
    if figure.digits.contains('.') {
        let short = figure.digits.trim_end_matches('0').trim_end_matches('.');
        figure.digits = short.to_string();
    }
    figure
}

/// What a row is besides its span.
struct Mark {
    parent: bool,
    chosen: bool,
}

fn line(out: &mut String, trace: &Trace, span: &Span, mark: Mark) {
    let expanded = if mark.parent {
        " aria-expanded=\"true\""
    } else {
        ""
    };
    let tab_index = if mark.chosen { 0 } else { -1 };
    html!(
        out,
        "<tr role=\"row\" id=\"s{0}\" data-key=\"{0}\" aria-level=\"{1}\"{expanded} aria-selected=\"{2}\" tabindex=\"{tab_index}\">\
         <th scope=\"row\" role=\"rowheader\" class=\"d{3}\">",
        esc(&span.span_id),
        span.depth + 1,
        mark.chosen,
        span.depth.min(DEPTH_MAX)
    );
    if mark.parent {
        out.push_str("<i class=\"fold\" aria-hidden=\"true\"></i>");
    }
    if span.error {
        out.push_str("<i class=\"dot err\" role=\"img\" aria-label=\"error\"></i>");
    }
    html!(
        out,
        "<a data-soft tabindex=\"-1\" href=\"/traces/{}?span={}\">{}</a> <small>{}</small>",
        pct(&trace.row.trace_id),
        pct(&span.span_id),
        esc(if span.resource.is_empty() {
            &span.name
        } else {
            &span.resource
        }),
        esc(&span.service)
    );
    if span.parent_missing {
        out.push_str(" <small class=\"warn\">parent never arrived</small>");
    }
    out.push_str("</th><td role=\"gridcell\" class=\"lane\">");
    let class = if span.error {
        "err"
    } else {
        piece::hue(&span.service)
    };
    let extent = trace.extent_ns.max(1) as f64;
    let missing = if span.parent_missing { " dashed" } else { "" };
    let (start, width) = (
        span.offset_ns as f64 / extent,
        span.duration_ns as f64 / extent,
    );
    spark::lane(out, &format!("{class}{missing}"), start, width);
    out.push_str("</td><td role=\"gridcell\" class=\"num\">");
    piece::figure(out, &duration(span.duration_ns));
    out.push_str("</td></tr>");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, error: bool, stack: &str) -> Span {
        Span {
            span_id: id.to_string(),
            error,
            error_stack: stack.to_string(),
            ..Span::default()
        }
    }

    #[track_caller]
    fn check(rule: &str, asked: &str, spans: &[Span], chosen_id: Option<&str>) {
        let trace = Trace {
            spans: spans.to_vec(),
            ..Trace::default()
        };
        let id = chosen(&trace, asked).map(|span| span.span_id.as_str());
        assert_eq!(id, chosen_id, "{rule}");
    }

    #[track_caller]
    fn check_axis(rule: &str, extent_ns: u64, text: &str) {
        let ticks: Vec<String> = (1..=extent_ns / step(extent_ns))
            .map(|tick| round_duration(tick * step(extent_ns)))
            .map(|figure| format!("{} {}", figure.digits, figure.unit))
            .collect();
        assert_eq!(ticks.join(", "), text, "{rule}");
    }

    #[test]
    fn the_axis_is_round() {
        check_axis("nothing", 0, "");
        check_axis("one", 1, "1 ns");
        check_axis("just four", 4_999, "1 µs, 2 µs, 3 µs, 4 µs");
        check_axis("one more is a wider step", 5_000, "2 µs, 4 µs");
        check_axis("milliseconds", 4_812_000, "1 ms, 2 ms, 3 ms, 4 ms");
        check_axis("both sides of a unit", 1_204_000, "500 µs, 1 ms");
        check_axis("a second", 1_000_000_000, "500 ms, 1 s");
        check_axis(
            "the limit",
            u64::MAX,
            "83,333,333 min, 166,666,667 min, 250,000,000 min",
        );
    }

    #[test]
    fn the_span_looked_at() {
        let plain = [span("1", false, ""), span("2", false, "")];
        let failed = [
            span("1", true, ""),
            span("2", true, "at f"),
            span("3", true, "at g"),
        ];
        check("none held", "1", &[], None);
        check("none asked for", "", &plain, Some("1"));
        check("one asked for", "2", &plain, Some("2"));
        check("one that is not there", "9", &plain, Some("1"));
        check("the first error with a stack", "", &failed, Some("2"));
        check("an error without a stack", "", &failed[..1], Some("1"));
        check("asked for beats failed", "3", &failed, Some("3"));
    }
}
