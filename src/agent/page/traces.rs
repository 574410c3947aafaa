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
    out.push_str("<section class=\"card empty\">");
    if traces.held > 0 {
        html!(
            out,
            "<h2>No trace matches</h2><p>{} held. <a href=\"/traces\">Show all</a></p></section>",
            piece::plural(traces.held, "trace")
        );
        return;
    }
    out.push_str("<h2>No trace has arrived yet</h2><p>Start a traced service with these lines in its environment.</p>");
    environment(out, settings);
    out.push_str("</section>");
}

fn line(out: &mut String, row: &TraceRow, longest_ns: u64, now_unix_us: u64) {
    html!(out, "<tr data-key=\"{}\">", esc(&row.trace_id));
    piece::when_cell(out, now_unix_us, row.start_unix_us);
    html!(
        out,
        "<td><i class=\"dot {}\"></i>{}</td><th scope=\"row\" class=\"wide\"><a href=\"/traces/{}\" title=\"{}\">{}</a> <small>{}</small></th>",
        piece::hue(&row.service),
        esc(&row.service),
        pct(&row.trace_id),
        esc(&row.trace_id_hex),
        esc(if row.resource.is_empty() {
            &row.name
        } else {
            &row.resource
        }),
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
    piece::count_cell(out, u64::from(row.spans));
    match row.errors {
        0 => out.push_str("<td class=\"num zero\">0</td></tr>"),
        errors => html!(
            out,
            "<td class=\"num err\">{}</td></tr>",
            grouped(errors.into())
        ),
    }
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
    if traces.matching > shown && query.limit < 1_000 {
        let limit = (query.limit * 5).min(1_000);
        html!(
            out,
            " · <a href=\"/traces?q={}&amp;limit={limit}\">show {}</a>",
            pct(&query.q),
            grouped(limit as u64)
        );
    }
    out.push_str("</p>");
}
