//! One DogStatsD metric: the lines that came, the bucket they fell into, what the Agent makes of it.

use super::figure::{Figure, day_time, grouped, number};
use super::html::{esc, html, pct};
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
    out.push_str("</small></h2><div class=\"grid split\"><section class=\"card flush\">");
    made(out, now_unix_us, row, explained);
    out.push_str("</section><section class=\"card\">");
    lines(out, now_unix_us, &row.kind, &explained.lines);
    if row.kind == "set" {
        members(out, explained);
    }
    out.push_str("</section></div>");
}

fn title(kind: &str) -> &str {
    match kind {
        "count" => "Count",
        "gauge" => "Gauge",
        "set" => "Set",
        "timing" => "Timing",
        "histogram" => "Histogram",
        "distribution" => "Distribution",
        other => other,
    }
}

/// What happens to the values of a type. Sources: the Agent's `pkg/metrics` and `pkg/aggregator`.
fn story(kind: &str) -> &'static str {
    match kind {
        "set" => {
            "The Agent counts distinct members in 10 s and forgets them; the value you send is a member's \
             name, not a number. One member, sent as often as you like, is a 1."
        }
        "timing" => {
            "There is no timer behind the Agent: a timing is a histogram whose values are milliseconds. Of all \
             values of 10 s it makes five series, and sends those alone."
        }
        "histogram" => "Of all values of 10 s the Agent makes five series, and sends those alone.",
        "count" => {
            "The Agent adds up all values of 10 s, sample rates undone, and sends the sum divided by 10: a rate \
             per second."
        }
        "gauge" => "The last value of 10 s wins; those before it are not sent.",
        "distribution" => {
            "The Agent sends a sketch of all values; percentiles are computed in the backend, over all hosts. \
             Here they are computed over what the bucket holds."
        }
        _ => "",
    }
}

/// What else one should know of it.
fn advice(kind: &str) -> &'static str {
    match kind {
        "timing" | "histogram" => {
            "These are figures of one host, and the average of percentiles is no percentile: for percentiles \
             over all hosts, send a distribution (<code>|d</code>)."
        }
        "count" => {
            "For a count that is quiet it goes on sending 0 for five minutes (<code>dogstatsd_expiry_seconds</code>)."
        }
        "set" => "To send a number, take a gauge (<code>|g</code>) or a count (<code>|c</code>).",
        _ => "",
    }
}

/// The figures of the finished bucket and of the one that is being filled.
fn made(out: &mut String, now_unix_us: u64, row: &MetricRow, explained: &Explained) {
    let (current, finished) = (&explained.current, explained.finished.as_ref());
    html!(out, "<p class=\"foot head\">{}</p>", esc(story(&row.kind)));
    let over = finished.map_or("no bucket finished yet".to_string(), |bucket| {
        format!("{} to {}", clock(bucket.start_unix_us), clock(end(bucket)))
    });
    let left = end(current).saturating_sub(now_unix_us).div_ceil(1_000_000);
    let open = format!("this bucket, {left} s left");
    let columns = [
        ("what the Agent sends", "wide"),
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
    notes(out, row, explained);
}

/// The rows that are not sent: what the figures come from.
fn made_of(out: &mut String, kind: &str, buckets: [Option<&MetricBucket>; 2]) {
    let total = match kind {
        "count" => Some("their sum"),
        "timing" | "histogram" | "distribution" => Some("values, sample rates undone"),
        _ => None,
    };
    let samples = |bucket: &MetricBucket| Some(bucket.samples as f64);
    foot_row(
        out,
        "from samples received",
        buckets.map(|b| b.and_then(samples)),
    );
    if let Some(words) = total {
        foot_row(out, words, buckets.map(|b| b.and_then(|b| b.total)));
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

fn meaning(figure: &str) -> &'static str {
    match figure {
        "avg" => "mean of all values",
        "count" => "how many, per second: those of 10 s divided by 10",
        "median" => "half were at most this",
        "95percentile" | "p95" => "19 of 20 were at most this",
        "max" => "the largest",
        "p50" => "half were at most this",
        "p75" => "3 of 4 were at most this",
        "p90" => "9 of 10 were at most this",
        "p99" => "99 of 100 were at most this",
        "rate" => "their sum per second: that of 10 s divided by 10",
        "last" => "a gauge: the last value",
        "distinct" => "a gauge: the number of distinct members",
        _ => "",
    }
}

/// How a line of this type is read.
fn grammar(kind: &str) -> &'static str {
    match kind {
        "set" => "name:member|s",
        "timing" => "name:milliseconds|ms",
        "histogram" => "name:value|h",
        "distribution" => "name:value|d",
        "count" => "name:value|c",
        "gauge" => "name:value|g",
        _ => "name:value|type",
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
        member_list(out, "Members of the bucket before", finished);
    }
}

fn member_list(out: &mut String, title: &str, bucket: &MetricBucket) {
    let total = bucket.total.unwrap_or(0.0) as u64;
    let more = total.saturating_sub(bucket.members.len() as u64);
    html!(
        out,
        "<h3><b>{title}</b> <span>{} distinct</span></h3>",
        grouped(total)
    );
    if bucket.members.is_empty() {
        out.push_str("<p class=\"muted\">none yet</p>");
    }
    piece::tags(out, &bucket.members);
    if more > 0 {
        html!(out, "<small>and {} more</small>", grouped(more));
    }
}

/// A line, what one of it becomes, what it is for.
const TYPES: [(&str, &str, &str, &str); 6] = [
    (
        "count",
        "name:42|c",
        "a rate of 4.2 per second",
        "how many?",
    ),
    ("gauge", "name:42|g", "42", "how much is it now?"),
    (
        "set",
        "name:42|s",
        "1: one member, whose name is 42",
        "how many different ones?",
    ),
    (
        "timing",
        "name:42|ms",
        "five series: .avg, .median, .95percentile and .max 42 ms, .count 0.1 per second",
        "how long, on this host?",
    ),
    (
        "histogram",
        "name:42|h",
        "the same five, without a unit",
        "how large, on this host?",
    ),
    (
        "distribution",
        "name:42|d",
        "percentiles of 42, computed over all hosts",
        "how long or large, everywhere?",
    ),
];

/// The same number as each type, side by side.
fn types(out: &mut String, own: &str) {
    piece::heading(
        out,
        "The same 42, sent once as each type",
        "what becomes of it, and which question it answers",
    );
    out.push_str("<section class=\"card flush\">");
    let columns = [
        ("line", ""),
        ("what the Agent makes of it", "wide"),
        ("answers", ""),
    ];
    piece::table(out, "The same 42 as each type", &columns);
    for (kind, line, becomes, answers) in TYPES {
        let current = if kind == own {
            " aria-current=\"true\""
        } else {
            ""
        };
        html!(
            out,
            "<tr{current}><th scope=\"row\"><code>{line}</code></th><td class=\"wide\">{becomes}</td><td>{answers}</td></tr>"
        );
    }
    piece::table_end(out);
    out.push_str("</section>");
}
