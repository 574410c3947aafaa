//! One DogStatsD metric: the lines that came, the bucket they fell into, what the Agent makes of it.

use super::figure::{Figure, day_time, grouped, number};
use super::html::{esc, html, pct};
use super::lesson::{advice, grammar, meaning, story, title, types};
use super::metrics::figure;
use super::piece;
use crate::agent::view::{Explained, MetricBucket, MetricRow, RawLine};

/// Contexts of one name on one page.
const CONTEXTS_MAX: usize = 20;
/// A link names the tags as far as they make no monster of it.
const TAGS_LINKED_BYTES_MAX: usize = 1_000;
const BUCKET_US: u64 = 10_000_000;

/// Where a row is explained; empty for what DogStatsD did not bring.
pub(super) fn href(row: &MetricRow) -> String {
    if row.source != "dogstatsd" {
        return String::new();
    }
    let (name, kind, tags) = (pct(&row.name), pct(&row.kind), row.tags.join(","));
    if tags.len() > TAGS_LINKED_BYTES_MAX {
        return format!("/metrics?name={name}&amp;type={kind}");
    }
    let tags = pct(&tags);
    format!("/metrics?name={name}&amp;type={kind}&amp;tags={tags}")
}

pub(super) fn crumbs(row: &MetricRow) -> String {
    let mut out = String::new();
    html!(
        out,
        "<a class=\"muted\" href=\"/metrics\">Metrics</a><span class=\"muted\">/</span><h1>{}</h1>",
        esc(&row.name)
    );
    out
}

/// `rows` have all one name.
pub(super) fn main(now_unix_us: u64, rows: &[MetricRow]) -> String {
    let mut out = String::new();
    let explained = rows
        .iter()
        .filter_map(|row| Some((row, row.explained.as_ref()?)));
    for (row, explained) in explained.take(CONTEXTS_MAX) {
        context(&mut out, now_unix_us, row, explained);
    }
    if rows.len() > CONTEXTS_MAX {
        html!(
            out,
            "<p class=\"note\">{} of {}; the list of metrics leads to each.</p>",
            CONTEXTS_MAX,
            piece::plural(rows.len() as u64, "context")
        );
    }
    types(&mut out, rows.first().map_or("", |row| &row.kind));
    out
}

fn context(out: &mut String, now_unix_us: u64, row: &MetricRow, explained: &Explained) {
    html!(out, "<h2>{} ", esc(title(&row.kind)));
    piece::tags(out, &row.tags);
    html!(out, "<small>{}, last ", piece::plural(row.points, "sample"));
    piece::when(out, now_unix_us, row.last_seen_unix_us);
    out.push_str("</small></h2><div class=\"grid split\"><section class=\"card flush made\">");
    made(out, now_unix_us, row, explained);
    out.push_str("</section><section class=\"card\">");
    lines(out, now_unix_us, &row.kind, &explained.lines);
    out.push_str("</section></div>");
}

/// The figures of the finished bucket and of the one that is being filled.
fn made(out: &mut String, now_unix_us: u64, row: &MetricRow, explained: &Explained) {
    let (current, finished) = (&explained.current, explained.finished.as_ref());
    html!(out, "<p class=\"story\">{}</p>", esc(story(&row.kind)));
    let over = finished.map_or("no bucket finished yet".to_string(), |bucket| {
        format!("{} to {}", clock(bucket.start_unix_us), clock(end(bucket)))
    });
    let left = end(current).saturating_sub(now_unix_us).div_ceil(1_000_000);
    let open = format!("this bucket, {left} s left");
    let columns = [
        ("what becomes of it", "wide"),
        (&*over, "num"),
        (&*open, "num"),
    ];
    piece::table(out, "What the Agent makes of it", &columns);
    for name in series(&row.kind, current, finished) {
        html!(
            out,
            "<tr><th scope=\"row\" class=\"wide\"><code>{}</code> <small>{}</small></th>",
            esc(sent_as(&row.name, &row.kind, name)),
            meaning(name)
        );
        for bucket in [finished, Some(current)] {
            match bucket.and_then(|bucket| value(bucket, name)) {
                Some(value) => piece::figure_cell(out, &figure(row, name, value)),
                None => piece::word_cell(out, "num muted", "–"),
            }
        }
        out.push_str("</tr>");
    }
    made_of(out, &row.kind, [finished, Some(current)]);
    piece::table_end(out);
    if row.kind == "set" {
        members(out, explained);
    }
    notes(out, row, explained);
}

/// The rows that are not sent: what the figures come from.
fn made_of(out: &mut String, kind: &str, buckets: [Option<&MetricBucket>; 2]) {
    let samples = |bucket: &MetricBucket| bucket.samples as f64;
    foot_row(
        out,
        "from samples received",
        buckets.map(|b| b.map(samples)),
    );
    let words = match kind {
        "count" => "their sum, sample rates undone",
        "timing" | "histogram" | "distribution" => "that many with sample rates undone",
        _ => return,
    };
    let total = |bucket: &MetricBucket| bucket.total.unwrap_or(0.0);
    let sampled = |bucket: &&MetricBucket| total(bucket) != samples(bucket);
    if kind == "count" || buckets.iter().flatten().any(sampled) {
        foot_row(out, words, buckets.map(|b| b.map(total)));
    }
}

fn foot_row(out: &mut String, words: &str, values: [Option<f64>; 2]) {
    html!(
        out,
        "<tr><th scope=\"row\" class=\"wide muted\">{words}</th>"
    );
    for value in values {
        let digits = value.map_or("–".to_string(), number);
        let cell = Figure { digits, unit: "" };
        piece::figure_cell(out, &cell);
    }
    out.push_str("</tr>");
}

fn notes(out: &mut String, row: &MetricRow, explained: &Explained) {
    let (current, finished) = (&explained.current, explained.finished.as_ref());
    let mut note = |class: &str, text: &str| html!(out, "<p class=\"foot {class}\">{text}</p>");
    let advice = advice(&row.kind);
    if !advice.is_empty() {
        note("", advice);
    }
    if let Some(bucket) = finished
        && row.kind != "count"
        && end(bucket) < current.start_unix_us
    {
        let since = clock(end(bucket));
        note(
            "",
            &format!(
                "No sample came in the buckets after {since}: for those the Agent sends nothing."
            ),
        );
    }
    let timed = |line: &RawLine| {
        line.text
            .split('|')
            .skip(2)
            .any(|field| field.starts_with('T'))
    };
    if explained.lines.iter().any(timed) {
        note(
            "",
            "A line with a time of its own (<code>|T</code>) passes the buckets by: the Agent sends it on as it is.",
        );
    }
    if current.capped || finished.is_some_and(|bucket| bucket.capped) {
        note(
            "warn",
            match row.kind.as_str() {
                "set" => {
                    "More members came than are told apart here: the figure is the least that it can be."
                }
                _ => "More values came than are kept here: percentiles are of a fair sample.",
            },
        );
    }
}

fn end(bucket: &MetricBucket) -> u64 {
    bucket.start_unix_us.saturating_add(BUCKET_US)
}

/// `17:45:40`, of UTC.
fn clock(unix_us: u64) -> String {
    let text = day_time(unix_us);
    text[..text.find('.').unwrap_or(text.len())].to_string()
}

/// Names of all figures, in order; those of a bucket without samples too.
fn series(
    kind: &str,
    current: &MetricBucket,
    finished: Option<&MetricBucket>,
) -> Vec<&'static str> {
    let known: &[&str] = match kind {
        "timing" | "histogram" => &["avg", "count", "median", "95percentile", "max"],
        "distribution" => &["p50", "p75", "p90", "p95", "p99"],
        "gauge" => &["last"],
        _ => &[],
    };
    let mut names = known.to_vec();
    let seen = [finished, Some(current)].into_iter().flatten();
    for (name, _) in seen.flat_map(|bucket| &bucket.aggregates) {
        if !names.contains(name) {
            names.push(name);
        }
    }
    names
}

fn value(bucket: &MetricBucket, name: &str) -> Option<f64> {
    let found = bucket.aggregates.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value)
}

/// The series' name in Datadog.
fn sent_as(name: &str, kind: &str, figure: &str) -> String {
    match kind {
        "timing" | "histogram" => format!("{name}.{figure}"),
        "distribution" => format!("{figure}:{name}"),
        _ => name.to_string(),
    }
}

fn lines(out: &mut String, now_unix_us: u64, kind: &str, lines: &[RawLine]) {
    html!(
        out,
        "<h2>The last lines, as received</h2><p class=\"muted\">Read as <code>{}</code>, then a rate \
         (<code>|@0.5</code>), tags (<code>|#a:b,c</code>) and more.</p><ol class=\"raw\">",
        grammar(kind)
    );
    for line in lines {
        html!(out, "<li><code>{}</code> <small>", esc(&line.text));
        if line.cut {
            let shown = grouped(line.text.len() as u64);
            html!(out, "cut: {shown} of {} bytes, ", grouped(line.bytes));
        }
        piece::when(out, now_unix_us, line.time_unix_us);
        out.push_str("</small></li>");
    }
    out.push_str("</ol>");
}

fn members(out: &mut String, explained: &Explained) {
    member_list(out, "Members of this bucket", &explained.current);
    if let Some(finished) = &explained.finished {
        let (from, to) = (clock(finished.start_unix_us), clock(end(finished)));
        member_list(out, &format!("Members of {from} to {to}"), finished);
    }
}

fn member_list(out: &mut String, title: &str, bucket: &MetricBucket) {
    let total = bucket.total.unwrap_or(0.0) as u64;
    let more = total.saturating_sub(bucket.members.len() as u64);
    html!(
        out,
        "<div class=\"made-of\"><h3><b>{title}</b> <span>{} distinct</span></h3>",
        grouped(total)
    );
    if bucket.members.is_empty() {
        out.push_str("<p class=\"muted\">none yet</p>");
    }
    piece::tags(out, &bucket.members);
    if more > 0 {
        html!(out, "<small>and {} more</small>", grouped(more));
    }
    out.push_str("</div>");
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_795_384_290_000_000;

    fn bucket(samples: u64, total: f64, aggregates: &[(&'static str, f64)]) -> MetricBucket {
        MetricBucket {
            start_unix_us: START,
            samples,
            total: Some(total),
            aggregates: aggregates.to_vec(),
            ..MetricBucket::default()
        }
    }

    fn row(kind: &str, current: MetricBucket, finished: Option<MetricBucket>) -> MetricRow {
        let text = format!("visitors:<42>|{kind}");
        let line = RawLine {
            time_unix_us: START,
            bytes: text.len() as u64,
            text,
            cut: false,
        };
        MetricRow {
            name: "visitors".to_string(),
            source: "dogstatsd",
            kind: kind.to_string(),
            unit: if kind == "timing" { "millisecond" } else { "" },
            explained: Some(Explained {
                lines: vec![line],
                current,
                finished,
            }),
            ..MetricRow::default()
        }
    }

    /// The words of a page, tags taken out, blanks made one.
    fn words(row: &MetricRow) -> String {
        let html = main(START + 4_500_000, std::slice::from_ref(row));
        let texts = html
            .split('<')
            .map(|piece| piece.split_once('>').map_or("", |p| p.1));
        let text: String = texts.collect::<Vec<_>>().join(" ");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    fn check(rule: &str, row: &MetricRow, expected: &[&str]) {
        let words = words(row);
        for part in expected {
            assert!(words.contains(part), "{rule}: {part:?} is not in {words}");
        }
    }

    #[test]
    fn a_set_shows_its_members_and_why_it_is_one() {
        let mut finished = bucket(10, 1.0, &[("distinct", 1.0)]);
        finished.start_unix_us -= BUCKET_US;
        finished.members = vec!["42".to_string()];
        let mut current = bucket(30, 25.0, &[("distinct", 25.0)]);
        current.members = vec!["<b>ana".to_string(), "ben".to_string()];
        let set = row("set", current, Some(finished));
        check(
            "set",
            &set,
            &[
                "The Agent counts distinct members in 10 s and forgets them; the value you send is a member&#39;s name, not a number.",
                "21:51:20 to 21:51:30 this bucket, 6 s left",
                "visitors a gauge: the number of distinct members 1 25",
                "from samples received 10 30",
                "Members of this bucket 25 distinct &lt;b&gt;ana ben and 23 more",
                "Members of 21:51:20 to 21:51:30 1 distinct 42",
                "visitors:&lt;42&gt;|set 4 s ago",
                "name:42|s 1: one member, whose name is 42",
            ],
        );
    }

    #[test]
    fn a_timing_fans_out_into_five_series() {
        let five = [
            ("avg", 20.0),
            ("count", 0.6),
            ("median", 18.0),
            ("95percentile", 30.0),
            ("max", 31.5),
        ];
        let timing = row("timing", bucket(3, 6.0, &five), None);
        check(
            "timing",
            &timing,
            &[
                "no bucket finished yet",
                "visitors.avg mean of all values – 20 ms",
                "visitors.count how many, per second: those of 10 s divided by 10 – 0.60 /s",
                "visitors.median half were at most this – 18 ms",
                "visitors.95percentile 19 of 20 were at most this – 30 ms",
                "visitors.max the largest – 31.5 ms",
                "from samples received – 3",
                "with sample rates undone – 6",
                "over all hosts, send a distribution ( |d )",
            ],
        );
        let idle = row("histogram", bucket(0, 0.0, &[]), None);
        check(
            "all five stand there",
            &idle,
            &["visitors.max the largest – –"],
        );
    }

    #[test]
    fn the_other_types_say_what_becomes_of_a_value() {
        let count = row("count", bucket(2, 6.0, &[("rate", 0.6)]), None);
        let parts = ["divided by 10 – 0.60 /s", "undone – 6", "for five minutes"];
        check("count", &count, &parts);
        let gauge = row("gauge", bucket(2, 0.0, &[("last", 7.0)]), None);
        let parts = ["The last value of 10 s wins", "a gauge: the last value – 7"];
        check("gauge", &gauge, &parts);
        let distribution = row("distribution", bucket(1, 1.0, &[("p99", 7.0)]), None);
        let parts = [
            "computed in the backend",
            "p99:visitors 99 of 100",
            "p50:visitors",
        ];
        check("distribution", &distribution, &parts);
    }

    #[test]
    fn what_is_capped_cut_late_or_quiet_is_said() {
        let mut set = row("set", bucket(0, 0.0, &[]), Some(bucket(1, 1.0, &[])));
        let explained = set.explained.as_mut().unwrap();
        explained.current.start_unix_us = START + 3 * BUCKET_US;
        explained.current.capped = true;
        explained.lines[0].cut = true;
        explained.lines[0].bytes = 9_000;
        let parts = [
            "the least that it can be",
            "cut: 17 of 9,000 bytes",
            "after 21:51:40: for those the Agent sends nothing",
        ];
        check("set", &set, &parts);
        let mut gauge = row("gauge", bucket(0, 0.0, &[]), None);
        gauge.explained.as_mut().unwrap().lines[0].text = "a:1|g|#x|T1656581400".to_string();
        check("a time of its own", &gauge, &["passes the buckets by"]);
        let many = vec![gauge; CONTEXTS_MAX + 1];
        let html = main(START, &many);
        assert_eq!(html.matches("The last lines").count(), CONTEXTS_MAX);
        assert!(html.contains("20 of 21 contexts"), "the rest is said");
    }

    #[test]
    fn a_link_leads_to_one_context() {
        let mut set = row("set", MetricBucket::default(), None);
        set.name = "a&b".to_string();
        set.tags = vec!["k:v".to_string(), "x".to_string()];
        let expected = "/metrics?name=a%26b&amp;type=set&amp;tags=k%3Av%2Cx";
        assert_eq!(href(&set), expected);
        set.tags = vec!["t".repeat(2_000)];
        assert_eq!(href(&set), "/metrics?name=a%26b&amp;type=set");
        set.source = "prometheus";
        assert_eq!(href(&set), "");
    }
}
