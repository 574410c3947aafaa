//! Every body, datagram, scrape and read, the newest first.

use super::figure::{bytes, grouped};
use super::html::{esc, html, pct};
use super::piece;
use super::settings::environment;
use super::views::Settings;
use crate::agent::view::{PayloadRow, Query};

pub(super) fn main(
    now_unix_us: u64,
    query: &Query,
    rows: &[PayloadRow],
    settings: &Settings,
) -> String {
    let mut out = String::new();
    if rows.is_empty() {
        out.push_str("<section class=\"card empty\">");
        match query.q.as_str() {
            "" => {
                out.push_str("<h2>Nothing has arrived yet</h2><p>Point a service here with these lines in its environment.</p>");
                environment(&mut out, settings);
            }
            _ => {
                out.push_str("<h2>No payload matches</h2><p><a href=\"/payloads\">Show all</a></p>")
            }
        }
        out.push_str("</section>");
        return out;
    }
    out.push_str("<section class=\"card flush\">");
    let columns = [
        ("arrived", "when"),
        ("pipeline", ""),
        ("what", "wide"),
        ("from", ""),
        ("answered", "num"),
        ("size", "num"),
        ("points", "num"),
        ("finding", "finding"),
    ];
    piece::table(&mut out, "Payloads", &columns);
    for row in rows {
        line(&mut out, row, now_unix_us);
    }
    piece::table_end(&mut out);
    html!(
        out,
        "<p class=\"foot\">newest {}",
        grouped(rows.len() as u64)
    );
    if rows.len() >= query.limit && query.limit < 1_000 {
        let limit = (query.limit * 5).min(1_000);
        html!(
            out,
            " · <a href=\"/payloads?q={}&amp;limit={limit}\">show {}</a>",
            pct(&query.q),
            grouped(limit as u64)
        );
    }
    out.push_str("</p></section>");
    out
}

fn line(out: &mut String, row: &PayloadRow, now_unix_us: u64) {
    html!(out, "<tr data-key=\"{}\">", row.seq);
    piece::when_cell(out, now_unix_us, row.time_unix_us);
    html!(
        out,
        "<td>{}</td><th scope=\"row\" class=\"wide\"><code>{}</code></th><td class=\"muted\">{}</td>",
        esc(row.pipeline),
        esc(&row.what),
        esc(&row.from)
    );
    match row.status {
        0 => out.push_str("<td class=\"num muted\">–</td>"),
        status => {
            let text = status.to_string();
            html!(
                out,
                "<td class=\"num {}\">{text}</td>",
                piece::status_tone(&text)
            );
        }
    }
    piece::figure_cell(out, &bytes(row.bytes));
    piece::count_cell(out, row.points);
    match row.error.as_str() {
        "" => out.push_str("<td class=\"ok\">ok</td></tr>"),
        error => html!(out, "<td class=\"warn\">{}</td></tr>", esc(error)),
    }
}
