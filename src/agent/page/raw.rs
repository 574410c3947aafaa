//! A scraped page as it came: line by line, each finding at its line.

use super::figure::{bytes, duration, grouped};
use super::html::{esc, html, pct};
use super::piece;
use super::views::Settings;
use crate::agent::lint::{Finding, Weight};
use crate::agent::view::RawPage;

/// Lines on one page.
const LINES_SHOWN: usize = 1_000;
/// Of one line.
const LINE_BYTES_MAX: usize = 2_000;

pub(super) fn crumbs(page: &RawPage) -> String {
    let mut out = String::new();
    html!(
        out,
        "<a class=\"muted\" href=\"/metrics\">Metrics</a><span class=\"muted\">/</span><h1>{}</h1>",
        esc(&page.url)
    );
    out
}

/// `from`: the first line that is shown, from 1.
pub(super) fn main(now_unix_us: u64, page: &RawPage, from: usize, settings: &Settings) -> String {
    let mut out = String::new();
    others(&mut out, page, settings);
    if page.time_unix_us == 0 {
        out.push_str("<section class=\"card empty\"><h2>No page has come yet</h2>");
        if failed(page) {
            out.push_str("<p>");
            failure(&mut out, now_unix_us, page);
            out.push_str("</p>");
        }
        out.push_str("<p>It is asked for at every scrape.</p></section>");
        return out;
    }
    if !page.error.is_empty() {
        html!(
            out,
            "<p class=\"note err\">The page was not read: {}.</p>",
            esc(&page.error)
        );
    }
    out.push_str("<div class=\"grid split told\">");
    findings(&mut out, now_unix_us, page);
    facts(&mut out, now_unix_us, page);
    out.push_str("</div>");
    text(&mut out, now_unix_us, page, from.max(1));
    out
}

/// Whether the page that is held is not that of the newest scrape.
fn failed(page: &RawPage) -> bool {
    page.failed_unix_us > 0
}

fn failure(out: &mut String, now_unix_us: u64, page: &RawPage) {
    html!(
        out,
        "<b class=\"err\">The newest scrape failed:</b> {} (",
        esc(&page.failure)
    );
    piece::when(out, now_unix_us, page.failed_unix_us);
    out.push_str(").");
}

fn others(out: &mut String, page: &RawPage, settings: &Settings) {
    if settings.scrapes.len() < 2 {
        return;
    }
    out.push_str("<p class=\"chips\">");
    for url in &settings.scrapes {
        let current = match *url == page.url {
            true => " aria-current=\"true\"",
            false => "",
        };
        let link = pct(url);
        html!(
            out,
            "<a href=\"/metrics/raw?url={link}\"{current}>{}</a>",
            esc(url)
        );
    }
    out.push_str("</p>");
}

fn facts(out: &mut String, now_unix_us: u64, page: &RawPage) {
    html!(
        out,
        "<section class=\"card\"><h2>{}</h2>",
        if failed(page) {
            "The last answer with a page"
        } else {
            "The answer"
        }
    );
    let size = bytes(page.bytes);
    let took = duration(page.duration_ns);
    let facts = [
        ("read as", page.format.to_string()),
        (
            "Content-Type",
            piece::either(&page.content_type, "none").to_string(),
        ),
        ("size", format!("{} {}", size.digits, size.unit)),
        (
            "samples",
            match page.samples_over {
                0 => grouped(page.samples),
                over => format!(
                    "{}, and {} over the bound, not kept",
                    grouped(page.samples),
                    grouped(over)
                ),
            },
        ),
        ("scrape took", format!("{} {}", took.digits, took.unit)),
    ];
    piece::pairs(out, facts.into_iter());
    out.push_str("<p class=\"muted\">Scraped ");
    piece::when(out, now_unix_us, page.time_unix_us);
    html!(
        out,
        ". <a href=\"/api/metrics/raw?url={}\">As JSON</a></p></section>",
        pct(&page.url)
    );
}

/// The verdict: on the newest scrape first, then on the page that is held.
fn findings(out: &mut String, now_unix_us: u64, page: &RawPage) {
    out.push_str("<section class=\"card flush made\">");
    if failed(page) {
        out.push_str("<p class=\"story\">");
        failure(out, now_unix_us, page);
        out.push_str(" What stands here is of the last page that came, ");
        piece::when(out, now_unix_us, page.time_unix_us);
        out.push_str(".</p>");
    }
    if page.findings.is_empty() {
        let verdict = match failed(page) || !page.error.is_empty() {
            true => "No line has a finding.",
            false => "<b class=\"ok\">No findings.</b>",
        };
        html!(
            out,
            "<p class=\"story\">{verdict} Nothing in {} is wrong for Prometheus, Datadog's check or OpenMetrics.</p></section>",
            if page.cut {
                "the lines that are held"
            } else {
                "the page"
            }
        );
        return;
    }
    weighed(out, page);
    let columns = [("line", "num"), ("finding", "wide")];
    piece::table(out, "Findings", &columns);
    for finding in &page.findings {
        row(out, page, finding);
    }
    piece::table_end(out);
    out.push_str("</section>");
}

/// How many findings of each weight.
fn weighed(out: &mut String, page: &RawPage) {
    out.push_str("<p class=\"story\">");
    let weights = [Weight::Fails, Weight::Loses, Weight::Advice];
    let mut glue = "";
    for weight in weights {
        let count = page.findings.iter().filter(|f| f.weight == weight).count();
        if count > 0 {
            let words = match weight {
                Weight::Fails => "fails the scrape",
                Weight::Loses => "loses something",
                Weight::Advice => "advice",
            };
            let tone = tone(weight);
            html!(
                out,
                "{glue}{words}: <b class=\"{tone}\">{}</b>",
                grouped(count as u64)
            );
            glue = " · ";
        }
    }
    if page.findings_left_out > 0 {
        html!(
            out,
            " · {} more of the same left out",
            grouped(page.findings_left_out)
        );
    }
    out.push_str("</p>");
}

fn row(out: &mut String, page: &RawPage, finding: &Finding) {
    out.push_str("<tr><td class=\"num\">");
    match finding.line {
        0 => out.push_str("page"),
        line => {
            let from = (line - 1) / LINES_SHOWN * LINES_SHOWN + 1;
            let url = pct(&page.url);
            html!(
                out,
                "<a href=\"/metrics/raw?url={url}&amp;from={from}#L{line}\">{line}</a>"
            );
        }
    }
    out.push_str("</td><td class=\"wide words\">");
    words(out, finding);
    out.push_str("</td></tr>");
}

/// What is wrong, why it matters and to whom.
fn words(out: &mut String, finding: &Finding) {
    html!(
        out,
        "<span class=\"{}\">{}</span> <b>{}</b> ",
        tone(finding.weight),
        finding.weight.word(),
        esc(finding.rule)
    );
    with_code(out, &finding.what);
    out.push_str(" <small>");
    with_code(out, finding.why);
    html!(out, " For {}.</small>", esc(finding.whom));
}

/// What stands between two accents is code.
fn with_code(out: &mut String, text: &str) {
    let mut parts = text.split('`').peekable();
    let mut code = false;
    while let Some(part) = parts.next() {
        match code && parts.peek().is_some() {
            true => html!(out, "<code>{}</code>", esc(part)),
            false if code => html!(out, "`{}", esc(part)),
            false => html!(out, "{}", esc(part)),
        }
        code = !code;
    }
}

fn tone(weight: Weight) -> &'static str {
    match weight {
        Weight::Fails => "err",
        Weight::Loses => "warn",
        Weight::Advice => "info",
    }
}

fn text(out: &mut String, now_unix_us: u64, page: &RawPage, from: usize) {
    let count = page.text.split_inclusive('\n').count();
    if count == 0 {
        return;
    }
    let from = from.min(count);
    let to = (from + LINES_SHOWN - 1).min(count);
    out.push_str("<section class=\"card flush\"><p class=\"foot head\">");
    if failed(page) {
        out.push_str("the last page that came, ");
        piece::when(out, now_unix_us, page.time_unix_us);
        out.push_str(": ");
    }
    html!(
        out,
        "lines {} to {} of {}",
        grouped(from as u64),
        grouped(to as u64),
        grouped(count as u64)
    );
    if page.cut {
        let [held, whole] = [page.text.len() as u64, page.bytes].map(grouped);
        html!(out, "; the first {held} bytes of {whole} are held");
    }
    let url = pct(&page.url);
    let mut link = |line: usize, words: &str| {
        html!(
            out,
            " · <a href=\"/metrics/raw?url={url}&amp;from={line}\">{words}</a>"
        );
    };
    if from > 1 {
        link(from.saturating_sub(LINES_SHOWN).max(1), "those before");
    }
    if to < count {
        link(to + 1, "those after");
    }
    out.push_str("</p><ol class=\"exposition\">");
    let lines = page.text.split_inclusive('\n').enumerate();
    for (at, text) in lines.skip(from - 1).take(LINES_SHOWN) {
        line(out, page, at + 1, text.trim_end_matches('\n'));
    }
    out.push_str("</ol></section>");
}

fn line(out: &mut String, page: &RawPage, number: usize, text: &str) {
    let start = page.findings.partition_point(|f| f.line < number);
    let found = page.findings[start..].iter();
    let found: Vec<_> = found.take_while(|f| f.line == number).collect();
    let worst = found.iter().map(|finding| finding.weight).min();
    let class = match (worst, text.starts_with('#')) {
        (Some(weight), _) => weight.word(),
        (None, true) => "muted",
        (None, false) => "",
    };
    let shown = &text[..text.floor_char_boundary(LINE_BYTES_MAX)];
    html!(
        out,
        "<li id=\"L{number}\" class=\"{class}\"><a class=\"at\" href=\"#L{number}\">{number}</a><div><code>{}</code>",
        esc(shown)
    );
    if shown.len() < text.len() {
        html!(
            out,
            " <small>cut: {} of {} bytes</small>",
            grouped(shown.len() as u64),
            grouped(text.len() as u64)
        );
    }
    let exemplar = page.exemplars.iter().find(|e| e.line == number);
    match exemplar.filter(|e| !e.trace_id.is_empty()) {
        Some(exemplar) if exemplar.trace_held => html!(
            out,
            " <a class=\"jump\" href=\"/traces/{}\">trace</a>",
            pct(&exemplar.trace_id)
        ),
        Some(_) => out.push_str(" <small>its trace is not held</small>"),
        None => {}
    }
    for finding in found {
        out.push_str("<p class=\"said\">");
        words(out, finding);
        out.push_str("</p>");
    }
    out.push_str("</div></li>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::view::ExemplarRow;

    fn finding(line: usize, weight: Weight) -> Finding {
        Finding {
            line,
            rule: "no-help",
            weight,
            what: "`a`".to_string(),
            why: "Because.",
            whom: "people",
        }
    }

    #[track_caller]
    fn check(rule: &str, (page, from): (&RawPage, usize), parts: &[&str], missing: &[&str]) {
        let html = main(9_000_000, page, from, &Settings::default());
        for part in parts {
            assert!(html.contains(part), "{rule}: {part} is not in {html}");
        }
        for part in missing {
            assert!(!html.contains(part), "{rule}: {part} is in {html}");
        }
    }

    fn page(text: &str) -> RawPage {
        RawPage {
            url: "http://a/m".to_string(),
            time_unix_us: 1,
            format: "OpenMetrics 1.0",
            bytes: text.len() as u64,
            text: text.to_string(),
            duration_ns: 2_500_000,
            samples: 1_234,
            ..RawPage::default()
        }
    }

    #[test]
    fn the_answer_is_told_and_no_findings_are_said() {
        let whole = page("# TYPE a gauge\na 1\n");
        let parts = [
            "No findings.</b> Nothing in the page",
            "<dd>OpenMetrics 1.0</dd>",
            "<dt>Content-Type</dt><dd>none</dd>",
            "<dd>19 B</dd>",
            "<dd>1,234</dd>",
            "<dd>2.50 ms</dd>",
            "lines 1 to 2 of 2",
            "<li id=\"L1\" class=\"muted\"><a class=\"at\" href=\"#L1\">1</a><div><code># TYPE a gauge</code>",
        ];
        check("a page", (&whole, 1), &parts, &["those", "err"]);
        let mut none = page("");
        none.time_unix_us = 0;
        (none.failed_unix_us, none.failure) = (8_000_000, "refused <b>".to_string());
        let parts = [
            "failed:</b> refused &lt;b&gt; (<time",
            "No page has come yet",
        ];
        let missing = ["lines", "No findings", "read as", "scrape took"];
        check("none", (&none, 1), &parts, &missing);
        none.failed_unix_us = 0;
        let missing = ["failed", "No findings", "read as"];
        check(
            "not asked for yet",
            (&none, 1),
            &["No page has come yet"],
            &missing,
        );
        let mut kept = page("a 1\n");
        (kept.failed_unix_us, kept.failure) = (8_000_000, "refused".to_string());
        let parts = [
            "failed:</b> refused (<time",
            "1 s ago</time>). What stands here is of the last page that came, <time",
            "No line has a finding.",
            "<h2>The last answer with a page</h2>",
            "the last page that came, <time",
            ": lines 1 to 1 of 1",
        ];
        check(
            "the one before",
            (&kept, 1),
            &parts,
            &["No findings", "ok\">"],
        );
        let mut unread = page("a 1\n");
        unread.error = "the page is not UTF-8".to_string();
        check(
            "not read",
            (&unread, 1),
            &["The page was not read: the page is not UTF-8"],
            &["No findings"],
        );
    }

    #[test]
    fn a_finding_stands_at_its_line_and_on_top() {
        let mut found = page("x\na 1 # {trace_id=\"7\"} 1\n");
        found.findings = vec![
            finding(0, Weight::Loses),
            finding(2, Weight::Fails),
            finding(2, Weight::Advice),
        ];
        found.findings_left_out = 1_000;
        found.exemplars = vec![ExemplarRow {
            line: 2,
            trace_id: "7".to_string(),
            trace_held: true,
            ..ExemplarRow::default()
        }];
        let said = "<span class=\"err\">fails</span> <b>no-help</b> <code>a</code> <small>Because. For people.</small>";
        let parts = [
            "fails the scrape: <b class=\"err\">1</b> · loses something: <b class=\"warn\">1</b> · advice: <b class=\"info\">1</b> · 1,000 more",
            "<td class=\"num\">page</td>",
            "from=1#L2\">2</a>",
            "<li id=\"L2\" class=\"fails\">",
            &format!("<p class=\"said\">{said}</p>"),
            "<a class=\"jump\" href=\"/traces/7\">trace</a>",
            "<li id=\"L1\" class=\"\">",
        ];
        check(
            "findings",
            (&found, 1),
            &parts,
            &["No findings", "not held"],
        );
        found.exemplars[0].trace_held = false;
        let parts = ["<small>its trace is not held</small>"];
        check("a trace that went", (&found, 1), &parts, &["/traces/7"]);
    }

    #[test]
    fn accents_make_code() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let mut out = String::new();
            with_code(&mut out, text);
            assert_eq!(out, expected, "{text}");
        }
        check("", "");
        check("a `<b>` c", "a <code>&lt;b&gt;</code> c");
        check("`a``b`", "<code>a</code><code>b</code>");
        check("one ` alone", "one ` alone");
    }

    #[test]
    fn long_pages_and_lines_are_shown_in_parts() {
        let mut long = page(&"a 1\n".repeat(2_500));
        long.cut = true;
        long.bytes = 9_999_999;
        let parts = [
            "lines 1,001 to 2,000 of 2,500",
            "the first 10,000 bytes of 9,999,999 are held",
            "from=1\">those before",
            "from=2001\">those after",
            "id=\"L1001\"",
            "id=\"L2000\"",
            "Nothing in the lines that are held",
        ];
        check(
            "the middle",
            (&long, 1_001),
            &parts,
            &["id=\"L1000\"", "id=\"L2001\""],
        );
        check(
            "past the end",
            (&long, usize::MAX),
            &["lines 2,500 to 2,500"],
            &["those after"],
        );
        let wide = page(&format!("{}\u{e9}\n", "x".repeat(1_999)));
        check(
            "a line",
            (&wide, 0),
            &["cut: 1,999 of 2,001 bytes"],
            &["\u{e9}</code>"],
        );
    }
}
