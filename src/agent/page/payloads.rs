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
        nothing(&mut out, &query.q, settings);
        return out;
    }
    out.push_str("<section class=\"card flush\">");
    piece::table(&mut out, "Payloads", &COLUMNS);
    for row in rows {
        line(&mut out, row, now_unix_us);
    }
    piece::table_end(&mut out);
    html!(
        out,
        "<p class=\"foot\">newest {}",
        grouped(rows.len() as u64)
    );
    if rows.len() >= query.limit {
        piece::more(
            &mut out,
            query.limit,
            &format!("/payloads?q={}", pct(&query.q)),
        );
    }
    out.push_str("</p></section>");
    out
}

const COLUMNS: [(&str, &str); 8] = [
    ("arrived", "when"),
    ("pipeline", ""),
    ("what", "wide"),
    ("from", ""),
    ("answered", "num"),
    ("size", "num"),
    ("points", "num"),
    ("finding", "finding"),
];

fn nothing(out: &mut String, q: &str, settings: &Settings) {
    out.push_str("<section class=\"card empty\">");
    if q.is_empty() {
        out.push_str(
            "<h2>Nothing has arrived yet</h2><p>Point a service here with these lines in its environment.</p>",
        );
        environment(out, settings);
    } else {
        out.push_str("<h2>No payload matches</h2><p><a href=\"/payloads\">Show all</a></p>");
    }
    out.push_str("</section>");
}

fn line(out: &mut String, row: &PayloadRow, now_unix_us: u64) {
    html!(out, "<tr data-key=\"{}\">", row.seq);
    piece::when_cell(out, now_unix_us, row.time_unix_us);
    piece::word_cell(out, "", row.pipeline);
    let what = esc(&row.what);
    html!(
        out,
        "<th scope=\"row\" class=\"wide\"><code>{what}</code></th>"
    );
    piece::word_cell(out, "muted", &row.from);
    let answered = match row.status {
        0 => "–".to_string(),
        status => status.to_string(),
    };
    let tone = format!("num {}", piece::status_tone(&answered));
    piece::word_cell(out, &tone, &answered);
    piece::figure_cell(out, &bytes(row.bytes));
    piece::count_cell(out, row.points);
    let tone = if row.error.is_empty() { "ok" } else { "warn" };
    piece::word_cell(out, tone, piece::either(&row.error, "ok"));
    out.push_str("</tr>");
}
