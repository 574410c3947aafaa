//! What each DogStatsD type is, in words. Sources: the Agent's `pkg/metrics` and `pkg/aggregator`.

use super::html::html;
use super::piece;

/// A type's name as a heading.
pub(super) fn title(kind: &str) -> &str {
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

/// What happens to the values of a type.
pub(super) fn story(kind: &str) -> &'static str {
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
pub(super) fn advice(kind: &str) -> &'static str {
    match kind {
        "timing" | "histogram" => {
            "These are figures of one host, and the average of percentiles is no percentile: for percentiles \
             over all hosts, send a distribution (<code>|d</code>)."
        }
        "count" => {
            "While a count is quiet the Agent goes on sending 0, for five minutes (<code>dogstatsd_expiry_seconds</code>)."
        }
        "set" => "To send a number, take a gauge (<code>|g</code>) or a count (<code>|c</code>).",
        _ => "",
    }
}

/// What one figure says.
pub(super) fn meaning(figure: &str) -> &'static str {
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
pub(super) fn grammar(kind: &str) -> &'static str {
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
pub(super) fn types(out: &mut String, own: &str) {
    piece::heading(
        out,
        "The same 42, sent once as each type",
        "what becomes of it, and which question it answers",
    );
    out.push_str("<section class=\"card flush made\">");
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
