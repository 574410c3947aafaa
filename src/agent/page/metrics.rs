//! Contexts and series, grouped by what they are.

use super::explain;
use super::figure::{Figure, bytes, duration, grouped, number};
use super::html::{esc, html};
use super::piece;
use super::prometheus::{self, Scrapes};
use super::settings::environment;
use super::spark;
use super::views::Settings;
use crate::agent::view::{CheckRow, EventRow, MetricRow, Metrics};

/// Tables of DogStatsD types: type, heading, what the figures are.
const DOGSTATSD: [(&str, &str, &str); 6] = [
    (
        "count",
        "Counts",
        "rate over the last 10 s, sum since the start",
    ),
    ("gauge", "Gauges", "the last value"),
    ("set", "Sets", "distinct members in the last 10 s"),
    (
        "timing",
        "Timings",
        "what the Agent makes of the last 10 s, in ms",
    ),
    (
        "histogram",
        "Histograms",
        "what the Agent makes of the last 10 s",
    ),
    ("distribution", "Distributions", "what the last 10 s hold"),
];

const CHECKS: &str = "Service checks";
const EVENTS: &str = "Events";

/// What DogStatsD clients count of their own work; many rows that nobody looks for first.
const CLIENT_PREFIX: &str = "datadog.dogstatsd.client.";

pub(super) fn main(now_unix_us: u64, q: &str, metrics: &Metrics, settings: &Settings) -> String {
    let mut out = String::new();
    let rows: Vec<&MetricRow> = metrics.rows.iter().filter(|row| fits(row, q)).collect();
    let scraped = |row: &&MetricRow| row.source == "prometheus";
    let (prometheus, sent): (Vec<_>, Vec<_>) = rows.iter().copied().partition(scraped);
    let scrapes = Scrapes {
        settings,
        failing: &metrics.failing,
    };
    if rows.is_empty() {
        nothing(&mut out, metrics.rows.len() as u64, scrapes);
    }
    if metrics.overflow > 0 {
        html!(
            out,
            "<p class=\"note warn\">{} not kept: the bound on contexts was reached. Look for a tag with too many values.</p>",
            piece::plural(metrics.overflow, "context")
        );
    }
    let (of_client, sent): (Vec<_>, Vec<_>) = sent
        .into_iter()
        .partition(|row| row.name.starts_with(CLIENT_PREFIX));
    let clients = Section {
        title: "What clients say of themselves",
        beside: "every ten seconds; not billed",
        rows: of_client,
    };
    let (checked, happened): (&[CheckRow], &[EventRow]) = match q {
        "" => (&metrics.checks, &metrics.events),
        _ => (&[], &[]),
    };
    let tables = sections(&sent);
    let mut jumps: Vec<(&'static str, usize)> = tables.iter().map(Section::jump).collect();
    jumps.extend([
        (prometheus::TITLE, prometheus.len()),
        clients.jump(),
        (CHECKS, checked.len()),
        (EVENTS, happened.len()),
    ]);
    jump_line(&mut out, jumps);
    for table in tables {
        section(&mut out, now_unix_us, table);
    }
    prometheus::section(&mut out, now_unix_us, &prometheus, scrapes);
    section(&mut out, now_unix_us, clients);
    checks(&mut out, now_unix_us, checked);
    events(&mut out, now_unix_us, happened);
    out
}

/// Links to the sections that are there, if there is more than one.
fn jump_line(out: &mut String, mut jumps: Vec<(&'static str, usize)>) {
    jumps.retain(|(_, rows)| *rows > 0);
    if jumps.len() < 2 {
        return;
    }
    out.push_str("<nav class=\"jumps\" aria-label=\"Sections\">");
    for (at, (title, rows)) in jumps.into_iter().enumerate() {
        let glue = if at > 0 { " · " } else { "" };
        html!(
            out,
            "{glue}<a href=\"#{}\">{title}</a> {}",
            piece::anchor(title),
            grouped(rows as u64)
        );
    }
    out.push_str("</nav>");
}

/// Each known type of DogStatsD, and what is of none; any may be empty.
fn sections<'a>(sent: &[&'a MetricRow]) -> Vec<Section<'a>> {
    let known = |row: &MetricRow| DOGSTATSD.iter().any(|(kind, ..)| row.kind == *kind);
    let mut tables: Vec<Section<'_>> = DOGSTATSD.map(|table| Section::of(sent, table)).into();
    tables.push(Section {
        title: "Other types",
        beside: "",
        rows: sent.iter().copied().filter(|row| !known(row)).collect(),
    });
    tables
}

/// Whether each word of `q` occurs in `text`, which is in lower case; a leading `-` negates.
pub(super) fn words_fit(text: &str, q: &str) -> bool {
    q.to_lowercase()
        .split_whitespace()
        .all(|word| match word.strip_prefix('-') {
            Some(not) if !not.is_empty() => !text.contains(not),
            _ => text.contains(word),
        })
}

fn fits(row: &MetricRow, q: &str) -> bool {
    let sent_as = row.scraped.as_ref().map_or("", |scraped| &scraped.sent_as);
    let text = format!(
        "{} {} {} {sent_as} {}",
        row.name,
        row.source,
        row.kind,
        row.tags.join(" ")
    );
    words_fit(&text.to_lowercase(), q)
}

fn nothing(out: &mut String, held: u64, scrapes: Scrapes<'_>) {
    if held > 0 {
        piece::no_match(out, held, "context", "/metrics");
        return;
    }
    out.push_str(
        "<section class=\"card empty\"><h2>No metric has arrived yet</h2>\
         <p>Point a DogStatsD client here, or let an address be scraped.</p>",
    );
    if scrapes.all_fail() {
        out.push_str(
            "<p class=\"err\">Addresses are scraped, but every last scrape failed:</p><ul>",
        );
        for failing in scrapes.failing {
            let (url, why) = (esc(&failing.url), esc(&failing.why));
            html!(out, "<li><code>{url}</code>: {why}</li>");
        }
        out.push_str("</ul>");
    }
    environment(out, scrapes.settings);
    out.push_str("</section>");
}

/// One table.
struct Section<'a> {
    title: &'static str,
    beside: &'static str,
    rows: Vec<&'a MetricRow>,
}

impl<'a> Section<'a> {
    fn of(
        rows: &[&'a MetricRow],
        (kind, title, beside): (&str, &'static str, &'static str),
    ) -> Section<'a> {
        Section {
            title,
            beside,
            rows: rows
                .iter()
                .copied()
                .filter(|row| row.kind == kind)
                .collect(),
        }
    }

    fn jump(&self) -> (&'static str, usize) {
        (self.title, self.rows.len())
    }

    /// Names of the figures, in the order in which rows bring them.
    fn columns(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for (name, _) in self.rows.iter().flat_map(|row| figures(row)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// What stands in a row: of a count both rate and sum, else what the Agent makes of it, else the value.
fn figures(row: &MetricRow) -> Vec<(&'static str, f64)> {
    let mut figures = row.aggregates.clone();
    match row.kind.as_str() {
        "count" => figures.push(("sum", row.value)),
        "gauge" => figures = vec![("last", row.value)],
        _ if figures.is_empty() => figures.push(("last", row.value)),
        _ => {}
    }
    figures
}

fn section(out: &mut String, now_unix_us: u64, section: Section<'_>) {
    if section.rows.is_empty() {
        return;
    }
    let count = grouped(section.rows.len() as u64);
    let beside = match section.beside {
        "" => count,
        words => format!("{count} · {words}"),
    };
    piece::heading_with_anchor(out, section.title, &beside);
    out.push_str("<section class=\"card flush\">");
    let names = section.columns();
    let mut columns = vec![("name", "wide")];
    columns.extend(names.iter().map(|name| (*name, "num")));
    columns.extend([
        ("last 60 s", "trend"),
        ("points", "num"),
        ("last seen", "when"),
    ]);
    piece::table(out, section.title, &columns);
    for row in &section.rows {
        line(out, row, &names, now_unix_us);
    }
    piece::table_end(out);
    out.push_str("</section>");
}

fn line(out: &mut String, row: &MetricRow, names: &[&'static str], now_unix_us: u64) {
    let key = format!("{}|{}|{}", row.name, row.kind, row.tags.join("|"));
    html!(out, "<tr data-key=\"{}\">", esc(&key));
    name_cell(out, row);
    let figures = figures(row);
    for name in names {
        match figures.iter().find(|(known, _)| known == name) {
            Some((_, value)) => piece::figure_cell(out, &figure(row, name, *value)),
            None => piece::word_cell(out, "num muted", "–"),
        }
    }
    out.push_str("<td class=\"trend\">");
    let label = format!("{}, last 60 seconds", row.name);
    spark::line(out, "accent", &label, &row.history);
    out.push_str("</td>");
    piece::count_cell(out, row.points);
    piece::when_cell(out, now_unix_us, row.last_seen_unix_us);
    out.push_str("</tr>");
}

fn name_cell(out: &mut String, row: &MetricRow) {
    let name = esc(&row.name);
    out.push_str("<th scope=\"row\" class=\"wide\">");
    match &*explain::href(row) {
        "" => html!(out, "<code>{name}</code> "),
        href => html!(out, "<a href=\"{href}\"><code>{name}</code></a> "),
    }
    piece::tags(out, &row.tags);
    if row.kind == "set" && !row.members.is_empty() {
        out.push_str("<span class=\"members\">members: ");
        piece::tags(out, &row.members);
        out.push_str("</span>");
    }
    out.push_str("</th>");
}

/// One figure of a row with its unit: a count of timings is not a time.
pub(super) fn figure(row: &MetricRow, name: &str, value: f64) -> Figure {
    let counted = matches!(name, "rate" | "count" | "distinct");
    let fits = (0.0..1e9).contains(&value);
    match row.unit {
        "second" | "seconds" if !counted && fits => duration((value * 1e9) as u64),
        "byte" | "bytes" if !counted && fits => bytes(value as u64),
        unit => Figure {
            digits: number(value),
            unit: match (name, unit) {
                ("rate" | "count", _) => "/s",
                (_, "millisecond") if !counted => "ms",
                (_, other) if !counted => other,
                _ => "",
            },
        },
    }
}

fn checks(out: &mut String, now_unix_us: u64, checks: &[CheckRow]) {
    if checks.is_empty() {
        return;
    }
    piece::heading_with_anchor(out, CHECKS, "the last result of each");
    out.push_str("<section class=\"card flush\">");
    let columns = [
        ("check", "wide"),
        ("status", ""),
        ("message", ""),
        ("arrived", "when"),
    ];
    piece::table(out, CHECKS, &columns);
    for check in checks {
        let name = esc(&check.name);
        html!(
            out,
            "<tr><th scope=\"row\" class=\"wide\"><code>{name}</code> "
        );
        piece::tags(out, &check.tags);
        out.push_str("</th>");
        piece::word_cell(out, piece::tone(check.status), check.status);
        piece::word_cell(out, "", &check.message);
        piece::when_cell(out, now_unix_us, check.time_unix_us);
        out.push_str("</tr>");
    }
    piece::table_end(out);
    out.push_str("</section>");
}

fn events(out: &mut String, now_unix_us: u64, events: &[EventRow]) {
    if events.is_empty() {
        return;
    }
    piece::heading_with_anchor(out, EVENTS, "newest first");
    out.push_str("<section class=\"card flush\">");
    let columns = [("event", "wide"), ("type", ""), ("arrived", "when")];
    piece::table(out, EVENTS, &columns);
    for event in events {
        let (title, text) = (esc(&event.title), esc(&event.text));
        html!(
            out,
            "<tr><th scope=\"row\" class=\"wide\"><b>{title}</b><p>{text}</p>"
        );
        piece::tags(out, &event.tags);
        out.push_str("</th>");
        piece::word_cell(out, piece::tone(&event.alert_type), &event.alert_type);
        piece::when_cell(out, now_unix_us, event.time_unix_us);
        out.push_str("</tr>");
    }
    piece::table_end(out);
    out.push_str("</section>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::view::FailingScrape;

    #[track_caller]
    fn check(rule: &str, (source, kind): (&'static str, &str), expected: &[(&str, f64)]) {
        let aggregates = match kind {
            "count" => vec![("rate", 2.0)],
            "timing" => vec![("avg", 3.0), ("count", 4.0)],
            _ => vec![],
        };
        let row = MetricRow {
            source,
            kind: kind.to_string(),
            value: 9.0,
            aggregates,
            ..MetricRow::default()
        };
        assert_eq!(figures(&row), expected, "{rule}");
    }

    #[test]
    fn what_clients_say_of_themselves_comes_last() {
        let row = |name: &str, source| MetricRow {
            name: name.to_string(),
            source,
            kind: "count".to_string(),
            ..MetricRow::default()
        };
        let metrics = Metrics {
            rows: vec![
                row("datadog.dogstatsd.client.metrics", "dogstatsd"),
                row("hits", "dogstatsd"),
                row("hits_total", "prometheus"),
            ],
            ..Metrics::default()
        };
        let html = main(0, "", &metrics, &Settings::default());
        let at = |part: &str| html.find(part).unwrap_or_else(|| panic!("{part}"));
        assert!(at(">hits<") < at(">hits_total<"));
        let title = "<h2 id=\"what-clients-say-of-themselves\">";
        assert!(at(">hits_total<") < at(title));
        assert!(at(title) < at(">datadog.dogstatsd.client.metrics<"));
    }

    #[test]
    fn links_lead_to_the_sections_that_are_there() {
        let row = |kind: &str, source| MetricRow {
            kind: kind.to_string(),
            source,
            ..MetricRow::default()
        };
        let metrics = Metrics {
            rows: vec![
                row("count", "dogstatsd"),
                row("?", "dogstatsd"),
                row("counter", "prometheus"),
            ],
            checks: vec![CheckRow::default(); 2],
            ..Metrics::default()
        };
        let html = main(0, "", &metrics, &Settings::default());
        let jumps = "<nav class=\"jumps\" aria-label=\"Sections\"><a href=\"#counts\">Counts</a> 1 · \
            <a href=\"#other-types\">Other types</a> 1 · <a href=\"#prometheus\">Prometheus</a> 1 · \
            <a href=\"#service-checks\">Service checks</a> 2</nav>";
        assert!(html.contains(jumps), "{html}");
        for id in ["counts", "other-types", "prometheus", "service-checks"] {
            assert!(html.contains(&format!("<h2 id=\"{id}\">")), "{id}");
        }
        let one = main(0, "counter", &metrics, &Settings::default());
        assert!(!one.contains("jumps"), "one section alone: {one}");
    }

    #[test]
    fn addresses_that_all_fail_are_no_empty_list() {
        let failing = |url: &str| FailingScrape {
            url: url.to_string(),
            why: "answered <500>".to_string(),
            time_unix_us: 1,
        };
        let settings = Settings {
            scrapes: vec!["a".to_string(), "b".to_string()],
            ..Settings::default()
        };
        let mut metrics = Metrics {
            failing: vec![failing("a"), failing("b")],
            ..Metrics::default()
        };
        let html = main(0, "", &metrics, &settings);
        let said = "every last scrape failed:</p><ul><li><code>a</code>: answered &lt;500&gt;</li><li><code>b</code>";
        assert!(html.contains(said), "{html}");
        metrics.failing.pop();
        let html = main(0, "", &metrics, &settings);
        assert!(!html.contains("every last"), "one of two: {html}");
        assert!(
            html.contains("title=\"answered &lt;500&gt;\">failing</b>"),
            "{html}"
        );
    }

    #[test]
    fn each_type_shows_its_figures() {
        check(
            "a count: rate and sum",
            ("dogstatsd", "count"),
            &[("rate", 2.0), ("sum", 9.0)],
        );
        check(
            "a gauge: the last",
            ("dogstatsd", "gauge"),
            &[("last", 9.0)],
        );
        check(
            "a timing: its aggregates",
            ("dogstatsd", "timing"),
            &[("avg", 3.0), ("count", 4.0)],
        );
        check(
            "no bucket has ended yet",
            ("dogstatsd", "set"),
            &[("last", 9.0)],
        );
    }

    #[test]
    fn words_narrow_the_list() {
        let fit = |q: &str| words_fit("gunicorn.requests count env:dev", q);
        assert_eq!(
            [
                "",
                "REQ",
                "req env:dev",
                "req gauge",
                "-gauge",
                "-env:dev",
                "-"
            ]
            .map(fit),
            [true, true, true, false, true, false, false]
        );
    }
}
