//! The table of rules. Each names its public source: EF is Prometheus docs, "Exposition formats"; OM is OpenMetrics
//! 1.0.0; `textparse` is prometheus:model/textparse; `python` is client_python:prometheus_client, whose parsers
//! Datadog's check reads with; `check` is integrations-core:datadog_checks_base, openmetrics v2.

use super::finding::Rule;
use super::finding::Weight::{Advice, Fails, Loses};

const ALL: &str = "Prometheus, Datadog's check";
const CHECK: &str = "Datadog's check";
const OPEN: &str = "OpenMetrics, Datadog's check";
const PEOPLE: &str = "people";

macro_rules! rules {
    ($($constant:ident = $name:literal, $weights:expr, $whom:expr, $why:literal;)*) => {
        $(pub(super) const $constant: Rule =
            Rule { name: $name, weights: $weights, whom: $whom, why: $why };)*
        #[cfg(test)]
        pub(super) const NAMES: &[&str] = &[$($name),*];
    };
}

rules! {
    // textparse: promparse.go, openmetricsparse.go: the first line that cannot be read ends the scrape.
    UNREADABLE = "unreadable-line", [Fails, Fails], ALL,
        "Nothing of the page is kept where one line cannot be read.";
    // OM "ABNF": the exposition ends in `# EOF`; python: openmetrics/parser.py, "Missing # EOF at end".
    NO_EOF = "no-eof", [Fails, Fails], ALL,
        "Without `# EOF` nobody can tell a whole page from one that was cut off.";
    // OM "ABNF"; python: openmetrics/parser.py, "Received line after # EOF".
    BEHIND_EOF = "behind-eof", [Fails, Fails], ALL,
        "OpenMetrics ends with `# EOF`; what stands behind it spoils the page.";
    // EF "Line format": the last line must end with a line feed.
    NO_LINE_FEED = "no-line-feed", [Fails, Advice], "Prometheus",
        "The last line may have been cut off.";
    // OM "ABNF" has none; python: openmetrics/parser.py, "Received blank line".
    BLANK_LINE = "blank-line", [Advice, Fails], OPEN,
        "OpenMetrics has no blank lines.";
    // OM "ABNF": HELP, TYPE, UNIT and EOF are all that may follow `#`.
    FREE_COMMENT = "free-comment", [Advice, Fails], OPEN,
        "OpenMetrics has no free comments.";
    // textparse: promlex.l ends a value at blank, tab and line feed alone.
    CARRIAGE_RETURN = "carriage-return", [Fails, Fails], "Prometheus",
        "Lines end in a line feed alone; before it, a carriage return is part of the value.";
    // prometheus: docs, 3.0 migration, "Scrape protocols": no fallback for a Content-Type that is not known.
    CONTENT_TYPE = "content-type", [Fails, Fails], "Prometheus",
        "Prometheus 3 refuses a page whose Content-Type names no format it knows; Datadog's check reads it as 0.0.4.";
    // check: `iter_lines` of the reader refuses a line of over 16 MiB.
    LONG_LINE = "long-line", [Fails, Fails], CHECK,
        "A line over 16 MiB is not read.";
    // python: parser.py: of a counter only samples of exactly the name behind TYPE are its own, others are unknown.
    COUNTER_TYPE_NAME = "counter-type-name", [Loses, Fails], CHECK,
        "In 0.0.4 TYPE names a counter as its samples are named, `_total` included; this one's samples are of unknown \
         type, and the check skips them.";
    // OM "Counter": the family's name has no `_total`; python: openmetrics/parser.py, "Clashing name".
    TYPE_WITH_TOTAL = "type-with-total", [Advice, Fails], OPEN,
        "In OpenMetrics TYPE names a counter without `_total`; with it the sample's name clashes, and the whole scrape fails.";
    // OM "Counter": its sample has `_total`. EF, "Best practices": names of counters end in it.
    COUNTER_WITHOUT_TOTAL = "counter-without-total", [Advice, Fails], OPEN,
        "A counter's sample ends in `_total`: OpenMetrics demands it, 0.0.4 advises it.";
    // promtool: check metrics, "non-counter metrics should not have \"_total\" suffix".
    TOTAL_OF_NO_COUNTER = "total-of-no-counter", [Advice, Advice], PEOPLE,
        "Who sees `_total` takes a rate of it.";
    // OM "Text Format": the samples of a type have its endings; textparse keeps them without type.
    FOREIGN_ENDING = "foreign-ending", [Loses, Fails], ALL,
        "A sample whose name its type does not have is of unknown type, and Datadog's check skips it.";
    // EF "Grouping and sorting"; OM "MetricFamily": no interleaving. python: openmetrics/parser.py, "Clashing name".
    INTERLEAVED = "interleaved-family", [Advice, Fails], OPEN,
        "All lines of a family stand together; 0.0.4 asks for it, OpenMetrics demands it.";
    // EF "Grouping and sorting": each line has a unique combination of name and labels.
    DUPLICATE_SERIES = "duplicate-series", [Loses, Loses], ALL,
        "Of two samples of one series Prometheus drops one, and Datadog's check sends both as one context.";
    // EF "Comments, help text, and type information": one HELP a name. python: "More than one HELP for metric".
    DUPLICATE_HELP = "duplicate-help", [Advice, Fails], OPEN,
        "A family has one HELP.";
    // EF, likewise: one TYPE a name. python: openmetrics/parser.py, "More than one TYPE for metric".
    DUPLICATE_TYPE = "duplicate-type", [Advice, Fails], OPEN,
        "A family has one TYPE.";
    // OM "MetricFamily". python: openmetrics/parser.py, "More than one UNIT for metric".
    DUPLICATE_UNIT = "duplicate-unit", [Advice, Fails], OPEN,
        "A family has one UNIT.";
    // EF: TYPE stands before the first sample. python: openmetrics/parser.py, "Received metadata after samples".
    LATE_DESCRIPTION = "late-description", [Loses, Fails], ALL,
        "HELP, TYPE and UNIT stand before the samples; those before it are without them.";
    // promtool: check metrics, "no help text".
    NO_HELP = "no-help", [Advice, Advice], PEOPLE,
        "Nobody but the author knows what it measures.";
    // check: transform.py, `skip_native_metric`: a metric of unknown type is skipped.
    NO_TYPE = "no-type", [Loses, Loses], CHECK,
        "The check skips what has no type, unless its configuration gives one.";
    // OM "UNIT": the family's name ends in it. python: "Unit does not match metric name".
    UNIT_NOT_SUFFIX = "unit-not-suffix", [Advice, Fails], OPEN,
        "The name of a family with a UNIT ends in it.";
    // OM "Histogram": buckets are cumulative. python: openmetrics/parser.py, "Bucket values out of order".
    NOT_CUMULATIVE = "buckets-not-cumulative", [Loses, Fails], ALL,
        "Each bucket counts all that the smaller ones count; otherwise quantiles are wrong.";
    // OM "Histogram": ascending. python: openmetrics/parser.py, "Buckets out of order".
    NOT_ASCENDING = "buckets-not-ascending", [Advice, Fails], OPEN,
        "Buckets stand in the order of their bounds.";
    // OM "Histogram"; EF "Histograms and summaries": the bucket {le=\"+Inf\"} must exist.
    NO_INF = "no-inf-bucket", [Loses, Fails], ALL,
        "Without the bucket `+Inf` there are no quantiles, and OpenMetrics fails.";
    // EF: its value must be that of `_count`. python: "Count does not match +Inf value".
    INF_NOT_COUNT = "inf-not-count", [Loses, Fails], ALL,
        "Both count all observations; where they differ they were not read at one moment.";
    // OM "Canonical Numbers"; python: openmetrics/parser.py, "Invalid le label" for an infinity that is not `+Inf`.
    LE_NOT_CANONICAL = "le-not-canonical", [Advice, Advice], "Prometheus, OpenMetrics",
        "`1` and `1.0` are two series to a reader who compares text: OpenMetrics writes `1.0`, `1e+06`, `+Inf`.";
    // EF: a bucket has `le`. python: openmetrics/parser.py, "Invalid le label".
    LE_BAD = "le-missing", [Loses, Fails], ALL,
        "A bucket without a number in `le` is of no bound.";
    // OM "Exemplars". textparse: 0.0.4 has none, so the line cannot be read.
    EXEMPLAR_PLACE = "exemplar-place", [Fails, Fails], OPEN,
        "Exemplars stand on `_total` of counters and on `_bucket` alone, and in OpenMetrics alone.";
    // OM "Exemplars": 128 characters. python: "Exemplar labels are too long".
    EXEMPLAR_LONG = "exemplar-long", [Fails, Fails], OPEN,
        "Names and values of an exemplar's labels have 128 characters together at most.";
    // check: transformers/counter.py of release 38.7 sends every sample of a counter, `_created` too.
    CREATED = "created", [Loses, Loses], CHECK,
        "The check sends the time of creation, 1.7e9 seconds, on as if it were a value: for a counter as another `.count`.";
    // check: base_scraper.py, `generate_sample_data`: NaN and infinities are ignored.
    NOT_FINITE = "not-finite", [Loses, Loses], CHECK,
        "The check drops samples that are NaN or infinite.";
    // OM "Counter": not negative, not NaN. python: "Counter-like samples cannot be negative".
    NEGATIVE = "negative-count", [Loses, Fails], ALL,
        "What only grows from 0 cannot be below it.";
    // Prometheus docs, "Data model": label names that begin with `__` are reserved.
    RESERVED_LABEL = "reserved-label", [Loses, Loses], "Prometheus",
        "Names that begin with `__` are Prometheus' own; it drops such a label.";
    // textparse and scrape: "label name is not unique: invalid sample" fails the scrape.
    DUPLICATE_LABEL = "duplicate-label", [Fails, Fails], ALL,
        "A series has each label once.";
    // Datadog docs, "Unified service tagging"; check: base_scraper.py adds `endpoint` and the configured tags.
    AGENT_TAG = "label-of-the-agent", [Loses, Loses], CHECK,
        "The Agent sets this tag itself: both values stand side by side, and a query for one finds the other.";
    // Prometheus docs, "Metric and label naming": base units.
    NOT_BASE_UNIT = "not-a-base-unit", [Advice, Advice], "Prometheus",
        "Base units (seconds, bytes, ratio) make metrics of several services comparable.";
    // check: base.py, DEFAULT_METRIC_LIMIT = 2000.
    MANY_CONTEXTS = "many-contexts", [Loses, Loses], CHECK,
        "The check stops at 2,000 contexts an instance (max_returned_metrics); which are lost depends on the order.";
    // EF: backslash, line feed and quote. textparse leaves any other escape as it stands.
    BAD_ESCAPE = "bad-escape", [Advice, Advice], ALL,
        "A backslash stands before a backslash, `n` or a quote; anything else is kept with its backslash.";
}
