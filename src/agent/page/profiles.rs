//! The uploads of profiles that are held.

use super::amount::{binary, cores};
use super::figure::{Figure, date_time, day_time, duration, grouped};
use super::html::{esc, html, pct};
use super::origin::clipped;
use super::piece;
use super::settings;
use super::views::Settings;
use crate::agent::view::{ProfileRow, Profiles};

/// Endpoints that a row shows.
const ENDPOINTS_MAX: usize = 1;

pub(super) fn main(now_unix_us: u64, q: &str, profiles: &Profiles, settings: &Settings) -> String {
    let mut out = String::new();
    let held = profiles.rows.len() as u64;
    let rows = || profiles.rows.iter().filter(|row| fits(row, q));
    if rows().next().is_none() {
        match held {
            0 => nothing(&mut out, settings),
            _ => piece::no_match(&mut out, held, "profile", "/profiles"),
        }
        return out;
    }
    together(&mut out, profiles);
    out.push_str("<section class=\"card flush\">");
    let columns = [
        ("arrived", "when"),
        ("covers, UTC", ""),
        ("service", ""),
        ("family", ""),
        ("CPU, cores", "num"),
        ("samples", "num"),
        ("size", "num"),
        ("endpoints", "wide words"),
        ("findings", ""),
        ("", ""),
    ];
    piece::table(&mut out, "Profiles", &columns);
    for row in rows().take(piece::ROWS_MAX) {
        line(&mut out, row, earlier(profiles, row), now_unix_us);
    }
    piece::table_end(&mut out);
    html!(
        out,
        "<p class=\"foot\">{} held",
        piece::plural(held, "upload")
    );
    let size = binary(profiles.held_bytes);
    html!(out, ", {} {}", size.digits, size.unit);
    if profiles.evicted > 0 {
        html!(out, "; {} let go at a bound", grouped(profiles.evicted));
    }
    out.push_str("</p></section>");
    out
}

fn fits(row: &ProfileRow, q: &str) -> bool {
    let mut text = [
        &row.service,
        &row.env,
        &row.version,
        &row.language,
        &row.family,
        &row.host,
    ]
    .map(|part| part.to_lowercase())
    .join("\n");
    let endpoints = row.endpoints.iter().map(|(name, _)| name);
    for part in endpoints.chain(&row.findings) {
        text.push('\n');
        text.push_str(&part.to_lowercase());
    }
    super::metrics::words_fit(&text, q)
}

/// Without data, the lines that bring some.
fn nothing(out: &mut String, settings: &Settings) {
    let receiver = settings::reachable(&settings.receiver);
    let ours = format!("DD_PROFILING_ENABLED=true\nDD_TRACE_AGENT_URL=http://{receiver}");
    let python = format!(
        "{}\nddtrace-run python app.py",
        ours.replace("DD_", "export DD_")
    );
    out.push_str(
        "<section class=\"card empty\"><h2>No profile has arrived yet</h2>\
         <p>Start <code>testapi</code> with these two lines in its environment; the first upload \
         comes after a minute.</p>",
    );
    settings::env(out, &ours);
    out.push_str("<p>A Python service:</p>");
    settings::env(out, &python);
    out.push_str(
        "<p class=\"muted\">Tracers of other languages take the same two lines, and send to \
         <code>/profiling/v1/input</code>.</p></section>",
    );
}

/// One card that opens all uploads as one.
fn together(out: &mut String, profiles: &Profiles) {
    let samples = profiles
        .rows
        .iter()
        .fold(0_u64, |sum, row| sum.saturating_add(row.samples));
    html!(
        out,
        "<section class=\"card line\"><p><a href=\"/profiles/all\"><b>All held, as one</b></a> \
         <span class=\"muted\">{} in {}</span></p></section>",
        piece::plural(samples, "sample"),
        piece::plural(profiles.rows.len() as u64, "upload")
    );
}

/// The upload before this one of the same service and family.
fn earlier<'a>(profiles: &'a Profiles, row: &ProfileRow) -> Option<&'a ProfileRow> {
    let same = |other: &&ProfileRow| {
        other.id < row.id && other.service == row.service && other.family == row.family
    };
    profiles
        .rows
        .iter()
        .filter(same)
        .max_by_key(|other| other.id)
}

fn line(out: &mut String, row: &ProfileRow, earlier: Option<&ProfileRow>, now_unix_us: u64) {
    html!(out, "<tr data-key=\"{}\">", row.id);
    piece::when_cell(out, now_unix_us, row.time_unix_us);
    let length = length(row);
    html!(
        out,
        "<th scope=\"row\" class=\"covers\"><a href=\"/profiles/{}\" title=\"{}\">{} – {}</a> <small>{} {}</small></th>",
        row.id,
        date_time(row.start_unix_us),
        clock(row.start_unix_us),
        clock(row.end_unix_us),
        length.digits,
        length.unit
    );
    service_cell(out, row);
    piece::word_cell(out, "", family(row));
    match cpu(row) {
        Some(digits) => piece::word_cell(out, "num", &digits),
        None => piece::word_cell(out, "num zero", "–"),
    }
    piece::count_cell(out, row.samples);
    piece::figure_cell(out, &binary(row.bytes));
    out.push_str("<td class=\"wide words\">");
    endpoints(out, row, ENDPOINTS_MAX);
    out.push_str("</td>");
    findings_cell(out, row);
    match earlier {
        Some(base) => html!(
            out,
            "<td><a href=\"/profiles/{}?base={}\" title=\"with upload {}, the one before\">compare</a></td></tr>",
            row.id,
            base.id,
            base.id
        ),
        None => out.push_str("<td></td></tr>"),
    }
}

fn service_cell(out: &mut String, row: &ProfileRow) {
    html!(
        out,
        "<td><i class=\"dot {}\"></i>{}",
        piece::hue(&row.service),
        esc(piece::either(&row.service, "not said"))
    );
    let about = about(row);
    if !about.is_empty() {
        html!(out, " <small>{}</small>", esc(about));
    }
    out.push_str("</td>");
}

/// `dev · 0.1`.
pub(super) fn about(row: &ProfileRow) -> String {
    let words = [&row.env, &row.version].map(String::as_str);
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" · ")
}

/// `native, rust`.
pub(super) fn family(row: &ProfileRow) -> &str {
    match (row.language.as_str(), row.family.as_str()) {
        ("", "") => "not said",
        ("", family) => family,
        (language, _) => language,
    }
}

/// `17:45:44`.
pub(super) fn clock(unix_us: u64) -> String {
    let mut text = day_time(unix_us);
    text.truncate("00:00:00".len());
    text
}

/// How long an upload covers.
pub(super) fn length(row: &ProfileRow) -> Figure {
    let us = row.end_unix_us.saturating_sub(row.start_unix_us);
    duration(us.saturating_mul(1_000))
}

/// CPU time by what it covers.
pub(super) fn cpu(row: &ProfileRow) -> Option<String> {
    let us = row.end_unix_us.saturating_sub(row.start_unix_us);
    let value = row
        .values
        .iter()
        .find(|value| matches!(&*value.name, "cpu-time" | "cpu") && value.unit == "nanoseconds")?;
    cores(value.total, us)
}

/// The endpoints asked for most, with their counts.
pub(super) fn endpoints(out: &mut String, row: &ProfileRow, max: usize) {
    for (at, (name, count)) in row.endpoints.iter().take(max).enumerate() {
        let glue = if at == 0 { "" } else { ", " };
        html!(
            out,
            "{glue}{} <small class=\"fig\">{}</small>",
            esc(clipped(name, 60)),
            grouped(*count)
        );
    }
    let left = row.endpoints.len().saturating_sub(max);
    if left > 0 {
        html!(
            out,
            " <small class=\"fig\" title=\"and {0} more\">+{0}</small>",
            grouped(left as u64)
        );
    }
    if row.endpoints.is_empty() {
        out.push_str("<span class=\"muted\">none</span>");
    }
}

fn findings_cell(out: &mut String, row: &ProfileRow) {
    if row.findings.is_empty() {
        out.push_str("<td class=\"muted\">none</td>");
        return;
    }
    html!(
        out,
        "<td class=\"warn\"><a class=\"chip warn\" href=\"/profiles/{}\" title=\"{}\">{}</a></td>",
        row.id,
        esc(clipped(&row.findings.join("\n"), 1_000)),
        piece::plural(row.findings.len() as u64, "finding")
    );
}

/// Where an attachment can be had.
pub(super) fn download(row: &ProfileRow, name: &str) -> String {
    format!("/api/profiles/{}/{}", row.id, pct(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::view::ValueTotal;

    fn row(id: u64, service: &str) -> ProfileRow {
        ProfileRow {
            id,
            service: service.to_string(),
            end_unix_us: 60_000_000,
            values: vec![ValueTotal {
                name: "cpu-time".to_string(),
                unit: "nanoseconds".to_string(),
                total: 49_812_000_000,
            }],
            endpoints: vec![("GET /".to_string(), 18_112), ("GET /a".to_string(), 1)],
            ..ProfileRow::default()
        }
    }

    fn page(q: &str, rows: Vec<ProfileRow>) -> String {
        let settings = Settings {
            receiver: "0.0.0.0:8126".to_string(),
            ..Settings::default()
        };
        let profiles = Profiles {
            rows,
            held_bytes: 2_048,
            evicted: 3,
        };
        main(0, q, &profiles, &settings)
    }

    #[track_caller]
    fn check(rule: &str, q: &str, part: &str) {
        let mut odd = row(9, "web");
        odd.findings = vec!["no sample".to_string(), "no <type>".to_string()];
        let html = page(q, vec![odd, row(8, "api"), row(7, "web")]);
        assert!(html.contains(part), "{rule}: {html}");
    }

    #[test]
    fn an_upload_is_a_row() {
        check("it opens", "", "<a href=\"/profiles/9\"");
        check("its CPU", "", "<td class=\"num\">0.83</td>");
        check(
            "its endpoints",
            "",
            "GET / <small class=\"fig\">18,112</small> <small class=\"fig\" title=\"and 1 more\">+1<",
        );
        check(
            "its findings",
            "",
            "title=\"no sample\nno &lt;type&gt;\">2 findings</a>",
        );
        check(
            "the one before, of the same service",
            "",
            "href=\"/profiles/9?base=7\"",
        );
        check("all as one", "", "<a href=\"/profiles/all\">");
        check(
            "what is held",
            "",
            "3 uploads held, 2 KiB; 3 let go at a bound",
        );
        check("a search", "API", "data-key=\"8\"");
        check("nothing found", "zzz", "No profile matches");
        assert!(!page("-web", vec![row(7, "web"), row(8, "api")]).contains("data-key=\"7\""));
        assert!(!page("", vec![row(8, "api"), row(7, "web")]).contains("?base="));
    }

    #[test]
    fn without_data_there_are_the_lines_that_bring_it() {
        let html = page("", Vec::new());
        let ours = "DD_PROFILING_ENABLED=true\nDD_TRACE_AGENT_URL=http://127.0.0.1:8126<";
        assert!(html.contains(ours), "{html}");
        assert!(html.contains("ddtrace-run python app.py"), "{html}");
    }
}
