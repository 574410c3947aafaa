//! One trace: the tree of its spans over time, beside it the span that is looked at.

use super::figure::{Figure, duration, grouped};
use super::html::{esc, html, pct};
use super::piece;
use super::span;
use super::spark;
use crate::agent::view::{Span, Trace};

/// Deeper levels are indented no further; the class names end there.
const DEPTH_MAX: u32 = 16;
/// Spans that are drawn; a browser that renews more rows than this every 2 s is no longer calm.
const SPANS_MAX: usize = 2_000;
/// Most lines of the time axis after the first.
const TICKS_MAX: u64 = 4;

pub(super) fn crumbs(trace: &Trace) -> String {
    let (row, mut out) = (&trace.row, String::new());
    html!(
        out,
        "<a class=\"muted\" href=\"/traces\">Traces</a><span class=\"muted\">/</span><h1>{}</h1>",
        esc(piece::either(&row.resource, &row.name))
    );
    if !row.status_code.is_empty() {
        let tone = piece::status_tone(&row.status_code);
        html!(
            out,
            "<span class=\"chip {tone}\">{}</span>",
            esc(&row.status_code)
        );
    }
    html!(
        out,
        "<code class=\"chip\" title=\"trace id {0}, decimal {1}\" data-copy=\"{0}\">{2}</code>",
        esc(&row.trace_id_hex),
        esc(&row.trace_id),
        esc(short_id(&row.trace_id_hex))
    );
    out
}

/// Both ends of a 128-bit id; the whole is on hover and in the clipboard.
fn short_id(hex: &str) -> String {
    match (hex.get(..8), hex.get(hex.len().saturating_sub(4)..)) {
        (Some(head), Some(tail)) if hex.len() > 16 => format!("{head}…{tail}"),
        _ => hex.to_string(),
    }
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
    out.push_str("<section class=\"card flush\">");
    if trace.profile_samples > 0 {
        html!(
            out,
            "<p class=\"foot head\"><a href=\"/profiles/all?trace={}\">{}</a> taken during this trace</p>",
            pct(&trace.row.trace_id),
            piece::plural(trace.profile_samples, "profile sample")
        );
    }
    out.push_str(
        "<div class=\"scroll\"><table class=\"waterfall\" role=\"treegrid\" aria-label=\"Spans\">",
    );
    head(out, trace, now_unix_us);
    out.push_str("<tbody>");
    for (at, span) in trace.spans.iter().take(SPANS_MAX).enumerate() {
        let next = trace.spans.get(at + 1);
        let mark = Mark {
            parent: next.is_some_and(|next| next.depth > span.depth),
            chosen: std::ptr::eq(span, looked_at),
        };
        line(out, trace, span, mark);
    }
    out.push_str("</tbody></table></div>");
    if trace.spans.len() > SPANS_MAX {
        let (shown, held) = (grouped(SPANS_MAX as u64), grouped(trace.spans.len() as u64));
        html!(
            out,
            "<p class=\"foot\">the first {shown} of {held} spans</p>"
        );
    }
    out.push_str("</section>");
}

fn head(out: &mut String, trace: &Trace, now_unix_us: u64) {
    let whole = duration(trace.extent_ns);
    html!(
        out,
        "<thead><tr role=\"row\"><th scope=\"col\" role=\"columnheader\">{} · {} · {} {} · ",
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
    out.push_str(
        "</th><th scope=\"col\" role=\"columnheader\" class=\"num\">duration</th></tr></thead>",
    );
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
    html!(
        out,
        "<tr role=\"row\" id=\"s{0}\" data-key=\"{0}\" aria-level=\"{1}\"{expanded} aria-selected=\"{2}\" tabindex=\"{3}\">",
        esc(&span.span_id),
        u64::from(span.depth) + 1,
        mark.chosen,
        if mark.chosen { 0 } else { -1 }
    );
    name_cell(out, &trace.row.trace_id, span, mark.parent);
    let hue = if span.error {
        "err"
    } else {
        piece::hue(&span.service)
    };
    let class = if span.parent_missing { " dashed" } else { "" };
    let extent = trace.extent_ns.max(1) as f64;
    let (start, width) = (
        span.offset_ns as f64 / extent,
        span.duration_ns as f64 / extent,
    );
    out.push_str("<td role=\"gridcell\" class=\"lane\">");
    spark::lane(out, &format!("{hue}{class}"), start, width);
    out.push_str("</td><td role=\"gridcell\" class=\"num\">");
    piece::figure(out, &duration(span.duration_ns));
    out.push_str("</td></tr>");
}

fn name_cell(out: &mut String, trace_id: &str, span: &Span, parent: bool) {
    let depth = span.depth.min(DEPTH_MAX);
    html!(
        out,
        "<th scope=\"row\" role=\"rowheader\" class=\"d{depth}\">"
    );
    if parent {
        out.push_str("<i class=\"fold\" aria-hidden=\"true\"></i>");
    }
    if span.error {
        out.push_str("<i class=\"dot err\" role=\"img\" aria-label=\"error\"></i>");
    }
    html!(
        out,
        "<a data-soft tabindex=\"-1\" href=\"/traces/{}?span={}\">{}</a> <small>{}</small>",
        pct(trace_id),
        pct(&span.span_id),
        esc(piece::either(&span.resource, &span.name)),
        esc(&span.service)
    );
    if span.parent_missing {
        out.push_str(" <small class=\"warn\">parent never arrived</small>");
    }
    out.push_str("</th>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::view::TraceRow;

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
    fn check_rows(rule: &str, spans: usize, rows: usize, note: bool) {
        let trace = Trace {
            spans: vec![span("1", false, ""); spans],
            ..Trace::default()
        };
        let html = main(&trace, "", 0);
        let drawn = html.matches("role=\"rowheader\"").count();
        assert_eq!(
            (drawn, html.contains("the first 2,000 of")),
            (rows, note),
            "{rule}"
        );
    }

    #[test]
    fn a_bound_on_rows_is_told() {
        check_rows("none", 0, 0, false);
        check_rows("one", 1, 1, false);
        check_rows("the limit", 2_000, 2_000, false);
        check_rows("limit + 1", 2_001, 2_000, true);
    }

    #[track_caller]
    fn check_samples(rule: &str, profile_samples: u64, link: Option<&str>) {
        let trace = Trace {
            row: TraceRow {
                trace_id: "255".to_string(),
                ..TraceRow::default()
            },
            spans: vec![span("1", false, "")],
            profile_samples,
            ..Trace::default()
        };
        let html = main(&trace, "", 0);
        let seen = html.split("<a href=\"/profiles").nth(1);
        let seen = seen.and_then(|rest| rest.split("</a>").next());
        assert_eq!(seen, link, "{rule}");
    }

    #[test]
    fn a_trace_names_its_profile_samples() {
        check_samples("none, no link", 0, None);
        check_samples("one", 1, Some("/all?trace=255\">1 profile sample"));
        check_samples(
            "many",
            1_204,
            Some("/all?trace=255\">1,204 profile samples"),
        );
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
