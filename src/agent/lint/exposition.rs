//! Walks over a scraped page, line by line, and asks every rule.

use std::collections::HashSet;

use super::families::{Families, Says};
use super::finding::{Collected, Findings, quoted};
use super::histogram::Histograms;
use super::{names, rules};
use crate::agent::decode::{
    EXEMPLAR_CHARS_MAX, Exemplar, Format, Line, Sample, exposition_as, line, lines, takes_exemplars,
};

/// integrations-core, datadog_checks_base: DEFAULT_METRIC_LIMIT of the openmetrics check.
const CONTEXTS_MAX: u64 = 2_000;
/// What the check's reader takes of one line.
const LINE_BYTES_MAX: usize = 16 << 20;

/// A page as it was scraped.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Its text.
    pub text: &'a str,
    /// What it is read as.
    pub format: Format,
    /// What the answer's `Content-Type` said, or empty.
    pub content_type: &'a str,
    /// Whether `text` is only its beginning: what an end would have is not missed, and a last line that is not
    /// finished is not judged.
    pub cut: bool,
    /// Samples of the whole page, where they are known better than from `text`.
    pub samples: Option<u64>,
}

impl<'a> Page<'a> {
    /// Of a page that was cut only the lines that are whole.
    fn whole_lines(mut self) -> Page<'a> {
        if self.cut {
            let end = self.text.rfind('\n').map_or(0, |at| at + 1);
            self.text = &self.text[..end];
        }
        self
    }
}

/// Everything that is wrong with a page.
pub fn lint_exposition(page: &Page<'_>) -> Findings {
    let page = page.whole_lines();
    let mut lint = Lint::new(&page);
    if Format::of_content_type(page.content_type).is_none() {
        let what = quoted(page.content_type);
        lint.out.add(0, &rules::CONTENT_TYPE, what);
    }
    let mut last = 1;
    for (number, text) in lines(page.text, page.format) {
        last = number;
        lint.line(number, text);
    }
    lint.end(last);
    lint.out.sorted()
}

struct Lint<'a> {
    page: Page<'a>,
    out: Collected,
    families: Families<'a>,
    histograms: Histograms<'a>,
    series: HashSet<String>,
    /// Families of which one sample's labels were looked at.
    labelled: HashSet<&'a str>,
    samples: u64,
    last_family: Option<&'a str>,
    ended: bool,
    behind_end: bool,
}

impl<'a> Lint<'a> {
    fn new(page: &Page<'a>) -> Lint<'a> {
        Lint {
            page: *page,
            out: Collected::new(page.format),
            families: Families::new(page.format),
            histograms: Histograms::default(),
            series: HashSet::new(),
            labelled: HashSet::new(),
            samples: 0,
            last_family: None,
            ended: false,
            behind_end: false,
        }
    }

    fn line(&mut self, number: usize, text: &'a str) {
        if self.ended {
            if !std::mem::replace(&mut self.behind_end, true) {
                self.out.add(number, &rules::BEHIND_EOF, quoted(text));
            }
            return;
        }
        if text.len() > LINE_BYTES_MAX {
            let what = format!("{} bytes", text.len());
            self.out.add(number, &rules::LONG_LINE, what);
        }
        let open = self.page.format == Format::OpenMetrics;
        match line(text, self.page.format) {
            Err(reason) if text.contains(" # {") && !open => {
                self.out
                    .add(number, &rules::EXEMPLAR_PLACE, reason.to_string());
            }
            Err(reason) => self.unreadable(number, reason),
            Ok(Line::Blank) if open => {
                let what = "a blank line".to_string();
                self.out.add(number, &rules::BLANK_LINE, what);
            }
            Ok(Line::Comment) if open => {
                self.out.add(number, &rules::FREE_COMMENT, quoted(text));
            }
            Ok(Line::Blank | Line::Comment) => {}
            Ok(Line::Eof) => self.ended = true,
            Ok(Line::Help(name, help)) => {
                names::escapes(&mut self.out, number, (help, open));
                self.describe((number, name), Says::Help);
            }
            Ok(Line::Type(name, kind)) => self.describe((number, name), Says::Type(kind)),
            Ok(Line::Unit(name, unit)) => self.describe((number, name), Says::Unit(unit)),
            Ok(Line::Sample(sample, exemplar)) => {
                names::escapes(&mut self.out, number, (text, true));
                self.sample(number, &sample, exemplar.as_ref());
            }
        }
    }

    fn unreadable(&mut self, number: usize, reason: &str) {
        self.out.add(number, &rules::UNREADABLE, reason.to_string());
    }

    fn describe(&mut self, at: (usize, &'a str), says: Says<'a>) {
        self.last_family = Some(at.1);
        self.families.describe(&mut self.out, at, says);
    }

    fn sample(&mut self, number: usize, sample: &Sample<'a>, exemplar: Option<&Exemplar<'a>>) {
        self.samples += 1;
        let out = &mut self.out;
        let (family, kind) = self.families.sample(out, (number, sample.name));
        self.last_family = Some(family);
        names::labels(out, number, sample);
        if self.labelled.insert(family) {
            names::agent_tags(out, number, sample);
        }
        names::value(out, number, (sample, kind));
        if matches!(kind, "histogram" | "gaugehistogram") {
            let of = (sample, self.page.format);
            self.histograms.sample(out, (number, family), of);
        }
        let mut key = names::key(sample.name, sample.labels.iter());
        if let Some(time) = sample.timestamp_ms {
            key.push_str(&time.to_string());
        }
        if !self.series.insert(key) {
            out.add(number, &rules::DUPLICATE_SERIES, quoted(sample.name));
        }
        let Some(exemplar) = exemplar else { return };
        if !takes_exemplars(kind, sample.name) {
            out.add(number, &rules::EXEMPLAR_PLACE, quoted(sample.name));
        }
        if exemplar.chars() > EXEMPLAR_CHARS_MAX {
            let what = format!("{} characters", exemplar.chars());
            out.add(number, &rules::EXEMPLAR_LONG, what);
        }
    }

    fn end(&mut self, last: usize) {
        let page = self.page;
        let open_end = self.last_family.filter(|_| page.cut);
        self.families.end(&mut self.out);
        self.histograms.end(&mut self.out, open_end);
        let samples = page.samples.unwrap_or(self.samples);
        if samples > CONTEXTS_MAX {
            let what = format!("{samples} samples");
            self.out.add(0, &rules::MANY_CONTEXTS, what);
        }
        let mut raw = page.text.split('\n');
        if let Some(at) = raw.position(|line| line.ends_with('\r')) {
            let what = "the first of these lines".to_string();
            self.out.add(at + 1, &rules::CARRIAGE_RETURN, what);
        }
        if page.cut {
            return;
        }
        match page.format {
            Format::OpenMetrics if !self.ended => {
                let what = "no `# EOF`".to_string();
                self.out.add(last, &rules::NO_EOF, what);
            }
            Format::Text if !page.text.is_empty() && !page.text.ends_with('\n') => {
                let what = "no line feed at the end".to_string();
                self.out.add(last, &rules::NO_LINE_FEED, what);
            }
            _ => {}
        }
        // What the reader refuses and no rule has named.
        if let Err(error) = exposition_as(page.text, page.format)
            && !self.out.spoils(error.line)
        {
            self.unreadable(error.line, error.reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::lint::Weight;
    use std::collections::BTreeSet;

    const TEXT: (Format, &str) = (Format::Text, "text/plain; version=0.0.4");
    const OPEN: (Format, &str) = (Format::OpenMetrics, "application/openmetrics-text");

    fn found((format, content_type): (Format, &str), text: &str) -> Findings {
        lint_exposition(&Page {
            text,
            format,
            content_type,
            cut: false,
            samples: None,
        })
    }

    #[track_caller]
    fn check(rule: &str, format: (Format, &str), text: &str, expected: &[(usize, &str)]) {
        let found = found(format, text);
        let shown: Vec<_> = (found.findings.iter().map(|f| (f.line, f.rule))).collect();
        assert_eq!(shown, expected, "{rule}: {found:#?}");
    }

    /// A gauge, of which nothing can be said.
    const GAUGE: &str = "# HELP a A.\n# TYPE a gauge\n";
    const HISTOGRAM: &str = "# HELP h H.\n# TYPE h histogram\n";

    fn open(head: &str, lines: &str) -> String {
        format!("{head}{lines}# EOF\n")
    }

    #[test]
    fn pages_in_order_have_no_findings() {
        check("nothing", TEXT, "", &[]);
        check("an end alone", OPEN, "# EOF\n", &[]);
        check("no break behind the end", OPEN, "# EOF", &[]);
        let page = "# free\n\n# HELP a_total A \\n \\\\.\n# TYPE a_total counter\na_total{b=\"\\\"\"} 1 5\n\
                    # HELP h_seconds H.\n# TYPE h_seconds histogram\nh_seconds_bucket{le=\"1\"} 0\n\
                    h_seconds_bucket{le=\"+Inf\"} 2\nh_seconds_sum 3\nh_seconds_count 2\n";
        check("0.0.4", TEXT, page, &[]);
        let page = "# HELP a A \\\"b\\\".\n# TYPE a counter\na_total{b=\"c\"} 1 # {trace_id=\"1\"} 1\n\
                    # HELP h_seconds H.\n# TYPE h_seconds histogram\n# UNIT h_seconds seconds\n\
                    h_seconds_bucket{le=\"1.0\"} 0\nh_seconds_bucket{le=\"+Inf\"} 2\nh_seconds_sum 3\n\
                    h_seconds_count 2\n# EOF\n";
        check("OpenMetrics", OPEN, page, &[]);
    }

    #[test]
    fn lines_are_where_they_may_be() {
        check(
            "unreadable",
            TEXT,
            &format!("{GAUGE}a one\n"),
            &[(3, "unreadable-line")],
        );
        check(
            "two of them",
            TEXT,
            "x\ny\n",
            &[(1, "unreadable-line"), (2, "unreadable-line")],
        );
        check("no end", OPEN, &format!("{GAUGE}a 1\n"), &[(3, "no-eof")]);
        check("nothing at all", OPEN, "", &[(1, "no-eof")]);
        check("behind the end", OPEN, "# EOF\n\nx\n", &[(2, "behind-eof")]);
        check(
            "cut off",
            TEXT,
            &format!("{GAUGE}a 1"),
            &[(3, "no-line-feed")],
        );
        check(
            "a blank line",
            OPEN,
            &open(GAUGE, "\na 1\n"),
            &[(3, "blank-line")],
        );
        check(
            "a free comment",
            OPEN,
            &open("# x\n", ""),
            &[(1, "free-comment")],
        );
        check(
            "carriage returns",
            TEXT,
            &format!("{GAUGE}a 1\r\n"),
            &[(3, "carriage-return")],
        );
        check(
            "a type of content",
            (Format::Text, "text/html"),
            "",
            &[(0, "content-type")],
        );
        let long = format!("{GAUGE}# {}\na 1\n", "x".repeat(LINE_BYTES_MAX - 1));
        check("one byte over", TEXT, &long, &[(3, "long-line")]);
        let limit = format!("{GAUGE}# {}\na 1\n", "x".repeat(LINE_BYTES_MAX - 2));
        check("at the limit", TEXT, &limit, &[]);
        let bad = format!("{GAUGE}a{{b=\"\\d\"}} 1\n");
        check("an escape", TEXT, &bad, &[(3, "bad-escape")]);
        check(
            "of a quote in HELP",
            TEXT,
            "# HELP a \\\"\n",
            &[(1, "bad-escape")],
        );
        check("at the end", TEXT, "# HELP a \\\n", &[(1, "bad-escape")]);
    }

    #[test]
    fn counters_are_named_as_the_format_says() {
        let text = "# HELP a A.\n# TYPE a counter\na_total{b=\"1\"} 1\na_total{b=\"2\"} 1\n";
        check(
            "0.0.4 without total",
            TEXT,
            text,
            &[(2, "counter-type-name")],
        );
        let text = "# HELP a A.\n# TYPE a counter\na 1\n";
        check("both without", TEXT, text, &[(1, "counter-without-total")]);
        let text = open("# HELP a_total A.\n# TYPE a_total counter\n", "a_total 1\n");
        let expected = [(2, "type-with-total"), (3, "type-with-total")];
        check("OpenMetrics with total", OPEN, &text, &expected);
        let text = open("# HELP a A.\n# TYPE a counter\n", "a 1\n");
        check(
            "a bare sample",
            OPEN,
            &text,
            &[(3, "counter-without-total")],
        );
        let text = "# HELP a_total A.\n# TYPE a_total gauge\na_total 1\n";
        check("a gauge", TEXT, text, &[(2, "total-of-no-counter")]);
        check(
            "an ending",
            OPEN,
            &open(HISTOGRAM, "h_total 1\n"),
            &[(3, "foreign-ending")],
        );
        let created = open(
            "# HELP a A.\n# TYPE a counter\n",
            "a_total 1\na_created 1.7e9\n",
        );
        check("created", OPEN, &created, &[(4, "created")]);
        let text = "# HELP a_created A.\n# TYPE a_created gauge\na_created 1.7e9\n";
        check("created in 0.0.4", TEXT, text, &[(3, "created")]);
        let negative = "# HELP a_total A.\n# TYPE a_total counter\na_total -1\n";
        check("below 0", TEXT, negative, &[(3, "negative-count")]);
        let nan = "# HELP a_total A.\n# TYPE a_total counter\na_total NaN\n";
        check("not a number is said once", TEXT, nan, &[(3, "not-finite")]);
    }

    #[test]
    fn families_are_described_once_and_in_one_piece() {
        let two = format!(
            "{GAUGE}a{{c=\"1\"}} 1\n# HELP b B.\n# TYPE b gauge\nb 1\na{{c=\"2\"}} 1\na{{c=\"3\"}} 1\n"
        );
        check("interleaved", TEXT, &two, &[(7, "interleaved-family")]);
        check(
            "HELP twice",
            TEXT,
            &format!("# HELP a B.\n{GAUGE}a 1\n"),
            &[(2, "duplicate-help")],
        );
        check(
            "TYPE twice",
            TEXT,
            &format!("{GAUGE}# TYPE a gauge\na 1\n"),
            &[(3, "duplicate-type")],
        );
        let unit = open(
            "# HELP a_b A.\n# TYPE a_b gauge\n",
            "# UNIT a_b b\n# UNIT a_b b\n",
        );
        check("UNIT twice", OPEN, &unit, &[(4, "duplicate-unit")]);
        check(
            "late",
            TEXT,
            "# TYPE a gauge\na 1\n# HELP a A.\n",
            &[(3, "late-description")],
        );
        check("no HELP", TEXT, "# TYPE a gauge\na 1\n", &[(1, "no-help")]);
        check("no TYPE", TEXT, "# HELP a A.\na 1\n", &[(1, "no-type")]);
        check(
            "neither",
            TEXT,
            "a{b=\"1\"} 1\na{b=\"2\"} 1\n",
            &[(1, "no-type"), (1, "no-help")],
        );
        let info = open("# HELP a A.\n# TYPE a info\n", "a_info{b=\"1\"} 1\n");
        check("info is a type", OPEN, &info, &[]);
        let none = "# HELP a A.\n# TYPE a untyped\na 1\n";
        check("no type in as many words", TEXT, none, &[(2, "no-type")]);
        let unit = open(GAUGE, "# UNIT a b\na 1\n");
        check("UNIT", OPEN, &unit, &[(3, "unit-not-suffix")]);
        check(
            "UNIT in 0.0.4 is a comment",
            TEXT,
            &format!("{GAUGE}# UNIT a b\na 1\n"),
            &[],
        );
        let ms = "# HELP a_ms A.\n# TYPE a_ms gauge\na_ms 1\n";
        check("milliseconds", TEXT, ms, &[(1, "not-a-base-unit")]);
    }

    #[test]
    fn series_and_labels_are_unique_and_their_own() {
        let page = |lines: &str| format!("{GAUGE}{lines}");
        let twice = page("a{b=\"1\",c=\"2\"} 1\na{c=\"2\",b=\"1\"} 2\n");
        check("two samples", TEXT, &twice, &[(4, "duplicate-series")]);
        check("at two times", TEXT, &page("a 1 1\na 1 2\n"), &[]);
        check(
            "a label",
            TEXT,
            &page("a{__b=\"1\"} 1\n"),
            &[(3, "reserved-label")],
        );
        check(
            "twice",
            TEXT,
            &page("a{b=\"1\",b=\"2\"} 1\n"),
            &[(3, "duplicate-label")],
        );
        let tags = page("a{service=\"x\",host=\"y\"} 1\na{service=\"z\"} 1\n");
        let expected = [(3, "label-of-the-agent"), (3, "label-of-the-agent")];
        check("the Agent's own", TEXT, &tags, &expected);
        check("not a number", TEXT, &page("a NaN\n"), &[(3, "not-finite")]);
        check("endless", TEXT, &page("a -Inf\n"), &[(3, "not-finite")]);
        let samples = |count| {
            let lines = (0..count).map(|n| format!("a{{b=\"{n}\"}} 1\n"));
            page(&lines.collect::<String>())
        };
        check("contexts at the limit", TEXT, &samples(CONTEXTS_MAX), &[]);
        check(
            "one over",
            TEXT,
            &samples(CONTEXTS_MAX + 1),
            &[(0, "many-contexts")],
        );
    }

    #[test]
    fn buckets_are_in_order() {
        let bucket = |le: &str, count: f64| format!("h_bucket{{le=\"{le}\"}} {count}\n");
        let page = |lines: &[String]| format!("{HISTOGRAM}{}", lines.concat());
        let [two, one] = [bucket("2", 1.0), bucket("1", 2.0)];
        let inf = bucket("+Inf", 3.0);
        let falls = page(&[one.clone(), two.clone(), inf.clone()]);
        check("falling", TEXT, &falls, &[(4, "buckets-not-cumulative")]);
        let back = page(&[two, one.clone(), inf.clone()]);
        check("back", TEXT, &back, &[(4, "buckets-not-ascending")]);
        check(
            "no last",
            TEXT,
            &page(std::slice::from_ref(&one)),
            &[(3, "no-inf-bucket")],
        );
        check(
            "a sum alone",
            TEXT,
            &page(&["h_sum 1\n".into()]),
            &[(3, "no-inf-bucket")],
        );
        let count = page(&[inf.clone(), "h_count 4\n".into()]);
        check("another count", TEXT, &count, &[(3, "inf-not-count")]);
        let le = page(&["h_bucket 1\n".into(), bucket("x", 1.0), inf.clone()]);
        check(
            "no bound",
            TEXT,
            &le,
            &[(3, "le-missing"), (4, "le-missing")],
        );
        let form = open(HISTOGRAM, &(one.clone() + &inf));
        check("its form", OPEN, &form, &[(3, "le-not-canonical")]);
        let two = "h_bucket{b=\"1\",le=\"+Inf\"} 1\nh_bucket{b=\"2\",le=\"1\"} 0\nh_bucket{b=\"2\",le=\"+Inf\"} 0\n";
        check("each on its own", TEXT, &page(&[two.into()]), &[]);
        let cut = lint_exposition(&Page {
            text: &page(&[one]),
            format: Format::Text,
            content_type: TEXT.1,
            cut: true,
            samples: None,
        });
        assert_eq!(cut, Findings::default(), "what was cut is not missed");
    }

    /// A page of which this is the beginning, and how many samples are known to be in it.
    #[track_caller]
    fn check_cut(rule: &str, text: &str, samples: Option<u64>, expected: &[(&str, &str)]) {
        let found = lint_exposition(&Page {
            text,
            format: Format::Text,
            content_type: TEXT.1,
            cut: true,
            samples,
        });
        let shown: Vec<_> = found.findings.iter().map(|f| (f.rule, &*f.what)).collect();
        assert_eq!(shown, expected, "{rule}");
    }

    #[test]
    fn what_was_cut_off_is_not_judged() {
        check_cut("nothing", "", None, &[]);
        check_cut("one line alone, not finished", "a{b=\"c", None, &[]);
        check_cut(
            "behind others",
            &format!("{GAUGE}a 1\na{{b=\"1\""),
            None,
            &[],
        );
        check_cut(
            "a carriage return",
            &format!("{GAUGE}a 1\na 1\r"),
            None,
            &[],
        );
        let bad = [("unreadable-line", "no value")];
        check_cut("a whole one is judged", &format!("{GAUGE}a\na"), None, &bad);
        let page = format!("{GAUGE}a 1\n");
        check_cut("contexts at the limit", &page, Some(CONTEXTS_MAX), &[]);
        let many = [("many-contexts", "2001 samples")];
        check_cut("one over", &page, Some(CONTEXTS_MAX + 1), &many);
        let all = (0..=CONTEXTS_MAX).map(|n| format!("a{{b=\"{n}\"}} 1\n"));
        let page = format!("{GAUGE}{}", all.collect::<String>());
        check_cut("as far as one sees", &page, None, &many);
    }

    #[test]
    fn exemplars_are_where_they_may_be() {
        let in_text = format!("{GAUGE}a 1 # {{b=\"c\"}} 1\n");
        check("0.0.4", TEXT, &in_text, &[(3, "exemplar-place")]);
        check(
            "a gauge",
            OPEN,
            &open(GAUGE, "a 1 # {} 1\n"),
            &[(3, "exemplar-place")],
        );
        let long = format!("a_total 1 # {{b=\"{}\"}} 1\n", "c".repeat(128));
        let long = open("# HELP a A.\n# TYPE a counter\n", &long);
        check("129 characters", OPEN, &long, &[(3, "exemplar-long")]);
    }

    #[test]
    fn what_no_rule_names_is_still_found() {
        let text = "# HELP a_total A.\na_total 1\n# HELP a A.\n# TYPE a counter\n# EOF\n";
        let expected = [(1, "no-type"), (4, "unreadable-line")];
        check("a name that clashes", OPEN, text, &expected);
    }

    #[test]
    fn findings_have_a_bound_and_a_weight() {
        let found_of = |page: &str| found(TEXT, page);
        let many = found_of(&"x\n".repeat(100));
        assert_eq!((many.findings.len(), many.left_out), (20, 80));
        let long = found_of(&format!("{} 1\n", "a".repeat(300)));
        assert_eq!(long.findings[0].what.chars().count(), 83);
        let blank = open(GAUGE, "\na 1\n");
        let weight = |found: &Findings| found.findings[0].weight;
        assert_eq!(weight(&found(OPEN, &blank)), Weight::Fails);
        let without = "# TYPE a gauge\na 1\n";
        assert_eq!(weight(&found_of(without)), Weight::Advice);
    }

    #[test]
    fn every_rule_has_a_row_and_a_test() {
        let tests = include_str!("exposition.rs");
        let names: BTreeSet<&str> = rules::NAMES.iter().copied().collect();
        assert_eq!(
            names.len(),
            rules::NAMES.len(),
            "a name stands for one rule"
        );
        for name in names {
            assert!(tests.contains(&format!("\"{name}\"")), "{name} has no test");
        }
    }
}
