//! The trace list.

use super::figure::{duration, grouped};
use super::html::{esc, html, pct};
use super::piece;
use super::settings::environment;
use super::spark;
use super::views::Settings;
use crate::agent::view::{Query, TraceRow, Traces};

pub(super) fn main(
    now_unix_us: u64,
    query: &Query,
    traces: &Traces,
    settings: &Settings,
) -> String {
    let mut out = String::new();
    filters(&mut out, &query.q);
    if traces.rows.is_empty() {
        nothing(&mut out, traces, settings);
        return out;
    }
    out.push_str("<section class=\"card flush\">");
    let columns = [
        ("started", "when"),
        ("service", ""),
        ("resource", "wide"),
        ("status", ""),
        ("duration", "num"),
        ("", "lane"),
        ("spans", "num"),
        ("errors", "num"),
    ];
    piece::table(&mut out, "Traces", &columns);
    for row in &traces.rows {
        line(&mut out, row, traces.longest_ns, now_unix_us);
    }
    piece::table_end(&mut out);
    foot(&mut out, query, traces);
    out.push_str("</section>");
    out
}

/// The questions asked most often, one click each.
fn filters(out: &mut String, q: &str) {
    out.push_str("<p class=\"chips\">");
    for (name, target) in [
        ("all", ""),
        ("errors", "status:error"),
        ("no errors", "status:ok"),
        ("500", "status:500"),
        ("404", "status:404"),
    ] {
        let current = if q == target {
            " aria-current=\"true\""
        } else {
            ""
        };
        html!(
            out,
            "<a href=\"/traces?q={}\"{current}>{name}</a>",
            pct(target)
        );
    }
    out.push_str("<span class=\"hint\"><code>service:</code> <code>resource:</code> <code>name:</code> <code>status:</code>, a leading <code>-</code> negates</span></p>");
}

fn nothing(out: &mut String, traces: &Traces, settings: &Settings) {
    if traces.held > 0 {
        piece::no_match(out, traces.held, "trace", "/traces");
        return;
    }
    out.push_str(
        "<section class=\"card empty\"><h2>No trace has arrived yet</h2>\
         <p>Start a traced service with these lines in its environment.</p>",
    );
    environment(out, settings);
    out.push_str("</section>");
}

fn line(out: &mut String, row: &TraceRow, longest_ns: u64, now_unix_us: u64) {
    html!(out, "<tr data-key=\"{}\">", esc(&row.trace_id));
    piece::when_cell(out, now_unix_us, row.start_unix_us);
    piece::service_cell(out, &row.service);
    html!(
        out,
        "<th scope=\"row\" class=\"wide\"><a href=\"/traces/{}\" title=\"{}\">{}</a> <small>{}</small></th>",
        pct(&row.trace_id),
        esc(&row.trace_id_hex),
        esc(piece::either(&row.resource, &row.name)),
        esc(&row.name)
    );
    status_cell(out, row);
    piece::figure_cell(out, &duration(row.duration_ns));
    out.push_str("<td class=\"lane\">");
    let class = if row.errors > 0 {
        "err"
    } else {
        piece::hue(&row.service)
    };
    spark::bar(
        out,
        class,
        0.0,
        row.duration_ns as f64 / longest_ns.max(1) as f64,
    );
    out.push_str("</td>");
    piece::count_cell(out, row.spans.into());
    let tone = if row.errors > 0 {
        "num err"
    } else {
        "num zero"
    };
    piece::word_cell(out, tone, &grouped(row.errors.into()));
    out.push_str("</tr>");
}

fn status_cell(out: &mut String, row: &TraceRow) {
    let (text, tone) = match (row.status_code.as_str(), row.errors) {
        ("", 0) => ("ok", "muted"),
        ("", _) => ("error", "err"),
        (code, _) => (code, piece::status_tone(code)),
    };
    html!(
        out,
        "<td class=\"{tone}\"><span class=\"fig\">{}</span></td>",
        esc(text)
    );
}

fn foot(out: &mut String, query: &Query, traces: &Traces) {
    let shown = traces.rows.len() as u64;
    html!(
        out,
        "<p class=\"foot\">{} of {} that match, {} held",
        grouped(shown),
        grouped(traces.matching),
        grouped(traces.held)
    );
    if traces.evicted > 0 {
        html!(
            out,
            ", {} older let go at the bound",
            grouped(traces.evicted)
        );
    }
    if traces.matching > shown {
        piece::more(out, query.limit, &format!("/traces?q={}", pct(&query.q)));
    }
    out.push_str("</p>");
}
