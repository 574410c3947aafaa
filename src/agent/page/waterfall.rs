//! One trace: the tree of its spans over time, beside it the span that is looked at.

use super::figure::{Figure, duration};
use super::html::{esc, html, pct};
use super::piece;
use super::span;
use super::spark;
use crate::agent::view::{Span, Trace};

/// Deeper levels are indented no further; the class names end there.
const DEPTH_MAX: u32 = 16;
/// Lines of the time axis after the first.
const TICKS: u64 = 4;

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

fn axis(out: &mut String, extent_ns: u64) {
    out.push_str("<svg class=\"axis\" aria-hidden=\"true\">");
    for tick in 0..=TICKS {
        let Figure { digits, unit } = match tick {
            0 => Figure {
                digits: "0".to_string(),
                unit: "",
            },
            _ => duration(extent_ns / TICKS * tick),
        };
        let anchor = match tick {
            0 => "start",
            TICKS => "end",
            _ => "middle",
        };
        let x = tick * 100 / TICKS;
        html!(
            out,
            "<text x=\"{x}%\" y=\"13\" text-anchor=\"{anchor}\">{digits} {unit}</text>"
        );
    }
    out.push_str("</svg>");
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
    spark::bar(
        out,
        &format!("{class}{missing}"),
        span.offset_ns as f64 / extent,
        span.duration_ns as f64 / extent,
    );
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
