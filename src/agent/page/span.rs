//! The span that is looked at: what it is, what failed, its tags, the trace's log lines.

use super::figure::{duration, grouped};
use super::html::{esc, html, pct};
use super::logs;
use super::piece;
use crate::agent::view::{Span, Trace};

pub(super) fn panel(out: &mut String, trace: &Trace, span: &Span) {
    summary(out, span);
    if span.error {
        failure(out, span);
    }
    if !span.meta.is_empty() || !span.metrics.is_empty() {
        tags(out, span);
    }
    lines(out, trace, span);
}

fn summary(out: &mut String, span: &Span) {
    let name = piece::either(&span.resource, &span.name);
    let error = if span.error {
        " <span class=\"err\">error</span>"
    } else {
        ""
    };
    html!(out, "<section class=\"card\"><h2>{}{error}</h2>", esc(name));
    let rows = [
        ("service", span.service.clone()),
        ("name", span.name.clone()),
        ("type", span.kind.clone()),
        ("start", format!("+{}", length(span.offset_ns))),
        ("duration", length(span.duration_ns)),
        ("self time", length(span.self_ns)),
        ("span id", span.span_id.clone()),
        ("parent id", parent(span)),
    ];
    piece::pairs(out, rows.into_iter().filter(|(_, value)| !value.is_empty()));
    out.push_str("</section>");
}

fn length(ns: u64) -> String {
    let figure = duration(ns);
    format!("{} {}", figure.digits, figure.unit)
}

fn parent(span: &Span) -> String {
    match (span.parent_missing, span.parent_id.as_str()) {
        (true, id) => format!("{id}, never arrived"),
        (_, "0") => "none, the root".to_string(),
        (_, id) => id.to_string(),
    }
}

fn failure(out: &mut String, span: &Span) {
    html!(
        out,
        "<section class=\"card failure\"><h2 class=\"err\">{}</h2><p>{}</p>",
        esc(piece::either(&span.error_type, "Error without error.type")),
        esc(piece::either(
            &span.error_message,
            "error.message is empty."
        ))
    );
    match span.error_stack.as_str() {
        "" => out.push_str(
            "<p class=\"warn\">No error.stack: Error Tracking would not show this span.</p>",
        ),
        stack => html!(
            out,
            "<pre class=\"stack\" tabindex=\"0\">{}</pre>",
            esc(stack)
        ),
    }
    let kind = pct(&span.error_type);
    html!(
        out,
        "<p><a href=\"/errors?q={kind}\">All errors like this</a></p></section>"
    );
}

fn tags(out: &mut String, span: &Span) {
    out.push_str("<section class=\"card\">");
    piece::heading(out, "Tags", "");
    let texts = span
        .meta
        .iter()
        .map(|(key, value)| (key.as_str(), value.clone()));
    let figures = span
        .metrics
        .iter()
        .map(|(key, value)| (key.as_str(), plain(*value)));
    piece::pairs(out, texts.chain(figures));
    out.push_str("</section>");
}

/// A tag's number as it was sent: ids and process numbers are not quantities.
fn plain(value: f64) -> String {
    value.to_string()
}

fn lines(out: &mut String, trace: &Trace, span: &Span) {
    out.push_str("<section class=\"card\">");
    let mut beside = format!("{} of this trace", grouped(trace.logs.len() as u64));
    if trace.logs_left_out > 0 {
        let left_out = grouped(trace.logs_left_out);
        html!(beside, ", {left_out} older left out");
    }
    piece::heading(out, "Logs", &beside);
    if trace.logs.is_empty() {
        out.push_str("<p class=\"muted\">No line carries <code>dd.trace_id</code> of this trace.</p></section>");
        return;
    }
    out.push_str("<ol class=\"log brief\">");
    for row in &trace.logs {
        logs::line(
            out,
            row,
            logs::Place::Trace {
                span_id: &span.span_id,
            },
        );
    }
    html!(
        out,
        "</ol><p><a href=\"/logs?q=trace_id%3A{}\">Open in Logs</a></p></section>",
        pct(&trace.row.trace_id)
    );
}
