//! Log lines, the newest at the bottom.

use super::facets;
use super::figure::{date_time, day_time, grouped};
use super::html::{esc, html, pct};
use super::piece;
use super::settings::files;
use super::views::Settings;
use crate::agent::decode::Status;
use crate::agent::view::{LogRow, Logs};

/// Every status a line can have, by Datadog's rules.
const LEVELS: [&str; 9] = [
    "emergency",
    "alert",
    "critical",
    "error",
    "warn",
    "notice",
    "info",
    "debug",
    "ok",
];
/// Those that are one click away.
const CHIPS: [&str; 6] = ["", "critical", "error", "warn", "info", "debug"];

/// What the page is narrowed to.
pub(super) struct Filter<'a> {
    pub(super) q: &'a str,
    pub(super) level: &'a str,
    pub(super) limit: usize,
}

/// Where a line stands.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// On its own page: with service, and a link to the trace.
    Page,
    /// Beside the trace; lines of this span are marked.
    Trace { span_id: &'a str },
}

/// The level if it is one.
pub(super) fn known_level(text: &str) -> Option<&'static str> {
    LEVELS.into_iter().find(|level| *level == text)
}

pub(super) fn main(
    now_unix_us: u64,
    filter: &Filter<'_>,
    logs: &Logs,
    settings: &Settings,
) -> String {
    let mut out = String::new();
    chips(&mut out, filter);
    if logs.rows.is_empty() {
        nothing(&mut out, logs, settings);
        return out;
    }
    facets::section(&mut out, filter, logs);
    out.push_str("<section class=\"card flush\">");
    head(&mut out, filter, logs);
    out.push_str(
        "<ol class=\"log\" id=\"log\" role=\"log\" aria-live=\"off\" aria-label=\"Log lines\">",
    );
    for row in &logs.rows {
        line(&mut out, row, Place::Page);
    }
    let newest = logs.rows.last().map_or(0, |row| row.time_unix_us);
    out.push_str("</ol><p class=\"foot\">times are UTC, the newest line is at the bottom, ");
    piece::when(&mut out, now_unix_us, newest);
    out.push_str("</p></section>");
    out
}

fn chips(out: &mut String, filter: &Filter<'_>) {
    out.push_str("<p class=\"chips\">");
    for level in CHIPS {
        let current = if level == filter.level {
            " aria-current=\"true\""
        } else {
            ""
        };
        let name = if level.is_empty() { "all" } else { level };
        html!(
            out,
            "<a href=\"/logs?level={level}&amp;q={}\"{current}><span class=\"{}\">{name}</span></a>",
            pct(filter.q),
            if level.is_empty() {
                ""
            } else {
                piece::tone(level)
            }
        );
    }
    out.push_str("<span class=\"hint\">any field: <code>http.status_code:500</code> <code>logger.name:testapi.*</code> <code>error.kind:\"a b\"</code>, a leading <code>-</code> negates</span></p>");
}

fn nothing(out: &mut String, logs: &Logs, settings: &Settings) {
    if logs.held > 0 {
        piece::no_match(out, logs.held, "line", "/logs");
        return;
    }
    out.push_str(
        "<section class=\"card empty\"><h2>No log line has arrived yet</h2>\
         <p>Write one JSON object a line into a followed file:</p>",
    );
    files(out, &settings.files);
    out.push_str(
        "<p>With these fields a line finds its trace:</p>\
         <pre class=\"env\">{\"message\": \"...\", \"status\": \"info\", \"dd.trace_id\": \"...\", \"dd.span_id\": \"...\"}</pre></section>",
    );
}

fn head(out: &mut String, filter: &Filter<'_>, logs: &Logs) {
    let shown = logs.rows.len() as u64;
    html!(
        out,
        "<p class=\"foot head\">newest {} of {} that match, {} held",
        grouped(shown),
        grouped(logs.matching),
        grouped(logs.held)
    );
    if logs.evicted > 0 {
        html!(out, ", {} older let go at the bound", grouped(logs.evicted));
    }
    if logs.left_out > 0 {
        let left_out = piece::plural(logs.left_out, "older line");
        html!(out, ", {left_out} left out for size");
    } else if logs.matching > shown {
        let search = format!("/logs?q={}&amp;level={}", pct(filter.q), filter.level);
        piece::more(out, filter.limit, &search);
    }
    html!(
        out,
        ". Two levels a line: its own, then what a container's stdout alone says, {}. They differ where the JSON of the \
         line has a status, which overrides the stream's; plain text has none, so there the stream has the last word \
         (stderr: error).</p>",
        stdout_status()
    );
}

/// What the Agent gives a line by its stream, before anybody reads the line.
fn stdout_status() -> &'static str {
    Status::of_stream("stdout").map_or("", Status::name)
}

/// One line; what else it carries unfolds below.
pub(super) fn line(out: &mut String, row: &LogRow, place: Place<'_>) {
    let own = matches!(place, Place::Trace { span_id } if span_id == row.span_id);
    html!(
        out,
        "<li data-key=\"{}\"{}><time title=\"{}\">{}</time><b class=\"{}\">{}</b>",
        row.seq,
        if own { " class=\"own\"" } else { "" },
        date_time(row.time_unix_us),
        day_time(row.time_unix_us),
        piece::tone(row.status),
        esc(row.status)
    );
    let on_page = matches!(place, Place::Page);
    if on_page {
        let stream = stdout_status();
        let differs = if stream == row.status { "" } else { " differs" };
        html!(
            out,
            "<i class=\"stream{differs}\" title=\"by stdout alone\">{stream}</i>"
        );
        let from = esc(piece::either(&row.service, &row.logger));
        html!(
            out,
            "<span class=\"from\" title=\"{}\">{from}</span>",
            esc(&row.logger)
        );
    }
    message(out, row);
    if on_page && !row.trace_id.is_empty() {
        let (trace, span) = (pct(&row.trace_id), pct(&row.span_id));
        html!(
            out,
            "<a class=\"jump\" href=\"/traces/{trace}?span={span}\">trace</a>"
        );
    }
    out.push_str("</li>");
}

fn message(out: &mut String, row: &LogRow) {
    let folded = !row.fields.is_empty() || !row.error_stack.is_empty() || !row.logger.is_empty();
    if !folded {
        let plain = if row.json {
            ""
        } else {
            "<small>plain text</small> "
        };
        html!(
            out,
            "<span class=\"text\">{plain}{}</span>",
            esc(&row.message)
        );
        return;
    }
    html!(
        out,
        "<details data-key=\"l{}\"><summary class=\"text\">{}",
        row.seq,
        esc(&row.message)
    );
    if !row.error_kind.is_empty() {
        html!(out, " <span class=\"err\">{}</span>", esc(&row.error_kind));
    }
    if row.truncated {
        out.push_str(" <small class=\"warn\">truncated</small>");
    }
    out.push_str("</summary>");
    if !row.error_stack.is_empty() {
        html!(out, "<pre class=\"stack\">{}</pre>", esc(&row.error_stack));
    }
    let named = [
        ("logger", &row.logger),
        ("dd.trace_id", &row.trace_id),
        ("dd.span_id", &row.span_id),
    ];
    let named = named.into_iter().filter(|(_, value)| !value.is_empty());
    let others = row.fields.iter().map(|(key, value)| (key.as_str(), value));
    piece::pairs(
        out,
        named.chain(others).map(|(key, value)| (key, value.clone())),
    );
    out.push_str("</details>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, (left_out, matching): (u64, u64), part: &str) {
        let logs = Logs {
            rows: vec![LogRow::default()],
            held: 9,
            matching,
            left_out,
            ..Logs::default()
        };
        let filter = Filter {
            q: "",
            level: "",
            limit: 100,
        };
        let mut out = String::new();
        head(&mut out, &filter, &logs);
        assert!(out.contains(part), "{rule}: {part} is not in {out}");
    }

    #[test]
    fn lines_that_are_not_shown_are_said() {
        check("all", (0, 1), "newest 1 of 1 that match, 9 held. ");
        check(
            "over the limit",
            (0, 2),
            "9 held · <a href=\"/logs?q=&amp;level=&amp;limit=500\">",
        );
        check(
            "one for size",
            (1, 2),
            "9 held, 1 older line left out for size. ",
        );
        check(
            "many for size",
            (1_204, 2_000),
            ", 1,204 older lines left out for size. ",
        );
    }
}
