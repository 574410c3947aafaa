//! What was scraped, family by family: what Datadog's check makes of it, what DogStatsD says of the same.

use super::figure::{Figure, bytes, duration, grouped, number};
use super::html::{esc, html, pct};
use super::metrics::figure;
use super::piece;
use super::spark;
use super::views::Settings;
use crate::agent::view::{FailingScrape, MetricRow, Scraped};

pub(super) const TITLE: &str = "Prometheus";

const COLUMNS: [(&str, &str); 8] = [
    ("series", "wide"),
    ("value", "num"),
    ("rate", "num"),
    ("DogStatsD", "num"),
    ("difference", "num"),
    ("last 60 s", "trend"),
    ("scrapes", "num"),
    ("last seen", "when"),
];

/// What is scraped, and what of it fails.
#[derive(Clone, Copy)]
pub(super) struct Scrapes<'a> {
    pub(super) settings: &'a Settings,
    pub(super) failing: &'a [FailingScrape],
}

impl Scrapes<'_> {
    /// Why the last scrape of an address brought nothing.
    fn failure(&self, url: &str) -> Option<&FailingScrape> {
        self.failing.iter().find(|failing| failing.url == url)
    }

    /// Whether there is something to scrape and all of it fails.
    pub(super) fn all_fail(&self) -> bool {
        let urls = &self.settings.scrapes;
        !urls.is_empty() && urls.iter().all(|url| self.failure(url).is_some())
    }
}

pub(super) fn section(
    out: &mut String,
    now_unix_us: u64,
    rows: &[&MetricRow],
    scrapes: Scrapes<'_>,
) {
    let settings = scrapes.settings;
    if rows.is_empty() && settings.scrapes.is_empty() {
        return;
    }
    heading(out, rows.len() as u64, scrapes);
    if rows.is_empty() {
        return;
    }
    let namespace = piece::either(&settings.openmetrics_namespace, "none");
    html!(
        out,
        "<section class=\"card flush\"><p class=\"foot head\">Behind each type stands what Datadog's OpenMetrics check \
         (V2) sends it as, with namespace <code>{}</code>. DogStatsD: the sum or last value of the contexts of the same name \
         whose tags agree; the difference is what is not flushed or scraped yet, or was counted before this agent \
         started.</p>",
        esc(namespace)
    );
    piece::table(out, "Prometheus", &COLUMNS);
    for family in families(rows) {
        match &family[..] {
            [alone] => line(out, alone, now_unix_us, true),
            several => {
                head(out, several);
                several
                    .iter()
                    .for_each(|row| line(out, row, now_unix_us, false));
            }
        }
    }
    piece::table_end(out);
    out.push_str("</section>");
}

fn heading(out: &mut String, count: u64, scrapes: Scrapes<'_>) {
    html!(
        out,
        "<h2 id=\"{}\">{TITLE} <small>{} · as scraped; the page itself:",
        piece::anchor(TITLE),
        grouped(count)
    );
    for url in &scrapes.settings.scrapes {
        html!(
            out,
            " <a href=\"/metrics/raw?url={}\">{}</a>",
            pct(url),
            esc(url)
        );
        if let Some(failing) = scrapes.failure(url) {
            html!(
                out,
                " <b class=\"err\" title=\"{}\">failing</b>",
                esc(&failing.why)
            );
        }
    }
    out.push_str("</small></h2>");
}

/// Rows of one family together, families by name.
fn families<'a>(rows: &[&'a MetricRow]) -> Vec<Vec<&'a MetricRow>> {
    let name = |row: &MetricRow| {
        let scraped = row.scraped.as_ref();
        scraped.map_or_else(String::new, |scraped| scraped.family.clone())
    };
    let mut rows: Vec<(String, &MetricRow)> = rows.iter().map(|row| (name(row), *row)).collect();
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    let groups = rows.chunk_by(|(a, _), (b, _)| a == b);
    groups
        .map(|group| group.iter().map(|(_, row)| *row).collect())
        .collect()
}

/// The family's name and what becomes of its samples.
fn head(out: &mut String, rows: &[&MetricRow]) {
    let first = rows.first().and_then(|row| row.scraped.as_ref());
    let family = first.map_or("", |scraped| &scraped.family);
    html!(
        out,
        "<tr class=\"family\" data-key=\"f|{0}\"><th scope=\"rowgroup\" colspan=\"{1}\"><div class=\"stay\"><b><code>{0}</code></b> ",
        esc(family),
        COLUMNS.len()
    );
    becomes(out, rows);
    out.push_str("</div></th></tr>");
}

/// Its type, and under which names Datadog's check sends it.
fn becomes(out: &mut String, rows: &[&MetricRow]) {
    let all: Vec<&Scraped> = rows.iter().filter_map(|row| row.scraped.as_ref()).collect();
    let kind = rows.first().map_or("", |row| &row.kind);
    html!(out, "<span class=\"sent\">{}: ", esc(kind));
    let mut told: Vec<(&str, &str)> = Vec::new();
    for scraped in &all {
        let one = (&*scraped.sent_as, scraped.sent_kind);
        if !told.contains(&one) {
            told.push(one);
        }
    }
    told.sort_by_key(|(name, _)| name.is_empty());
    for (at, (name, kind)) in told.iter().enumerate() {
        let glue = if at > 0 { ", " } else { "" };
        match *name {
            "" => html!(out, "{glue}{}", esc(kind)),
            name => html!(
                out,
                "{glue}<code class=\"name\">{}</code> {}",
                esc(name),
                esc(kind)
            ),
        }
    }
    if let Some(with) = all.iter().find(|scraped| !scraped.distribution.is_empty()) {
        html!(
            out,
            "; with <code>histogram_buckets_as_distributions</code> a distribution <code class=\"name\">{}</code>",
            esc(&with.distribution)
        );
    }
    out.push_str("</span>");
}

/// `alone`: the only one of its family, so that what becomes of that stands here.
fn line(out: &mut String, row: &MetricRow, now_unix_us: u64, alone: bool) {
    let key = format!("{}|{}", row.name, row.tags.join("|"));
    html!(
        out,
        "<tr data-key=\"{}\"><th scope=\"row\" class=\"wide\"><code>{}</code> ",
        esc(&key),
        esc(&row.name)
    );
    piece::tags(out, &row.tags);
    if alone {
        out.push_str("<span class=\"under\">");
        becomes(out, &[row]);
        out.push_str("</span>");
    }
    out.push_str("</th>");
    piece::figure_cell(out, &value(row, row.value));
    let rate = row.aggregates.iter().find(|(name, _)| *name == "rate");
    match rate {
        Some((_, rate)) => piece::figure_cell(out, &figure(row, "rate", *rate)),
        None => piece::word_cell(out, "num muted", "–"),
    }
    beside(out, row);
    out.push_str("<td class=\"trend\">");
    let label = format!("{}, last 60 seconds", row.name);
    spark::line(out, "accent", &label, &row.history);
    out.push_str("</td>");
    piece::count_cell(out, row.points);
    piece::when_cell(out, now_unix_us, row.last_seen_unix_us);
    out.push_str("</tr>");
}

fn beside(out: &mut String, row: &MetricRow) {
    let beside = row.scraped.as_ref().and_then(|s| s.beside.as_ref());
    let Some(beside) = beside else {
        piece::word_cell(out, "num muted", "–");
        piece::word_cell(out, "num muted", "–");
        return;
    };
    let of = match beside.contexts {
        1 => beside.name.clone(),
        contexts => format!("{}, {contexts} contexts", beside.name),
    };
    html!(out, "<td class=\"num\" title=\"{}\">", esc(of));
    piece::figure(out, &value(row, beside.value));
    let zero = if beside.difference == 0.0 {
        " zero"
    } else {
        ""
    };
    let plus = if beside.difference > 0.0 { "+" } else { "" };
    let figure = value(row, beside.difference);
    html!(
        out,
        "</td><td class=\"num{zero}\"><span class=\"fig\">{plus}{}</span><span class=\"unit\"> {}</span></td>",
        figure.digits,
        figure.unit
    );
}

/// A bucket counts observations, whatever its name ends in before that.
fn value(row: &MetricRow, value: f64) -> Figure {
    let counted = ["_bucket", "_count"];
    let counted = counted.iter().any(|ending| row.name.ends_with(ending));
    let size = value.abs();
    let fits = (0.0..1e9).contains(&size);
    let mut figure = match row.unit {
        "second" if fits && !counted => duration((size * 1e9) as u64),
        "byte" if fits && !counted => bytes(size as u64),
        _ => {
            return Figure {
                digits: number(value),
                unit: "",
            };
        }
    };
    if value < 0.0 {
        figure.digits.insert(0, '−');
    }
    figure
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::view::Beside;

    fn row(name: &str, family: &str, sent_as: &str, beside: Option<f64>) -> MetricRow {
        MetricRow {
            name: name.to_string(),
            source: "prometheus",
            kind: "counter".to_string(),
            value: 10.0,
            scraped: Some(Scraped {
                family: family.to_string(),
                sent_as: sent_as.to_string(),
                sent_kind: "monotonic count",
                distribution: String::new(),
                beside: beside.map(|value| Beside {
                    name: "app.hits".to_string(),
                    value,
                    difference: 10.0 - value,
                    contexts: 2,
                }),
            }),
            ..MetricRow::default()
        }
    }

    #[track_caller]
    fn check(rule: &str, rows: &[MetricRow], parts: &[&str]) {
        let failing = [FailingScrape {
            url: "http://a/m?x=<y>".to_string(),
            why: "<refused>".to_string(),
            time_unix_us: 1,
        }];
        let settings = Settings {
            scrapes: vec!["http://a/m?x=<y>".to_string()],
            openmetrics_namespace: "NS".to_string(),
            ..Settings::default()
        };
        let scrapes = Scrapes {
            settings: &settings,
            failing: &failing,
        };
        assert!(scrapes.all_fail(), "{rule}");
        let mut out = String::new();
        section(&mut out, 0, &rows.iter().collect::<Vec<_>>(), scrapes);
        for part in parts {
            assert!(out.contains(part), "{rule}: {part} is not in {out}");
        }
    }

    #[test]
    fn a_family_says_what_becomes_of_it_and_who_else_counts_it() {
        let link = "/metrics/raw?url=http%3A%2F%2Fa%2Fm%3Fx%3D%3Cy%3E\">http://a/m?x=&lt;y&gt;</a> \
                    <b class=\"err\" title=\"&lt;refused&gt;\">failing</b>";
        check("nothing came yet: the page is linked", &[], &[link]);
        let rows = [
            row("h_sum", "h", "NS.h.sum", None),
            row("g", "g", "NS.g.count", Some(7.0)),
            row("h_count", "h", "NS.h.count", Some(10.0)),
            row("h_count", "h", "NS.h.count", Some(12.5)),
        ];
        let parts = [
            "namespace <code>NS</code>",
            "counter: <code class=\"name\">NS.h.sum</code> monotonic count, <code class=\"name\">NS.h.count</code> monotonic count</span>",
            "<code>g</code> <span class=\"under\"><span class=\"sent\">counter: <code class=\"name\">NS.g.count</code>",
            "title=\"app.hits, 2 contexts\"><span class=\"fig\">7</span>",
            "<span class=\"fig\">+3</span>",
            "<td class=\"num zero\"><span class=\"fig\">0</span>",
            "<span class=\"fig\">−2.50</span>",
        ];
        check("families", &rows, &parts);
        let rows: Vec<&MetricRow> = rows.iter().collect();
        let groups = families(&rows);
        let names: Vec<_> = groups.iter().map(|g| (&*g[0].name, g.len())).collect();
        assert_eq!(names, [("g", 1), ("h_sum", 3)], "one head a family");
    }

    #[test]
    fn a_value_has_its_unit_and_its_sign() {
        #[track_caller]
        fn check(rule: &str, (name, unit): (&str, &'static str), of: f64, expected: &str) {
            let row = MetricRow {
                name: name.to_string(),
                unit,
                ..MetricRow::default()
            };
            let figure = value(&row, of);
            let shown = format!("{} {}", figure.digits, figure.unit);
            assert_eq!(shown.trim_end(), expected, "{rule}");
        }
        check("seconds", ("a_seconds_sum", "second"), 0.25, "250 ms");
        check(
            "fewer seconds",
            ("a_seconds_sum", "second"),
            -0.25,
            "−250 ms",
        );
        check("a bucket counts", ("a_seconds_bucket", "second"), 3.0, "3");
        check("bytes", ("a_bytes", "byte"), 2e6, "2.00 MB");
        check(
            "too long a time",
            ("a_seconds", "second"),
            1.7e9,
            "1,700,000,000",
        );
        check("no number", ("a_seconds", "second"), f64::NAN, "NaN");
    }
}
