//! A whole page: its lines in the order and the place that its format asks for.

use std::borrow::Cow;
use std::fmt;

use super::family::{Descriptor, Families};
use super::format::Format;
use super::label::unescaped;
use super::line::{Line, line, lines};

/// Samples of one page that are kept, and as many lines of each description.
const SAMPLES_MAX: usize = 100_000;
/// OpenMetrics 1.0.0, "Exemplars": names and values of the labels together.
pub(in crate::agent) const EXEMPLAR_CHARS_MAX: usize = 128;

/// One scrape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposition<'a> {
    /// The format it was read as.
    pub format: Format,
    /// Family and type, in the order of their `# TYPE` lines.
    pub types: Vec<(&'a str, &'a str)>,
    /// Family and what its `# HELP` line says, escapes undone.
    pub helps: Vec<(&'a str, Cow<'a, str>)>,
    /// Family and unit; OpenMetrics alone has them.
    pub units: Vec<(&'a str, &'a str)>,
    /// Samples in the order they stand, at most 100,000.
    pub samples: Vec<Sample<'a>>,
    /// Exemplars, each with the place of its sample in `samples`; OpenMetrics alone has them.
    pub exemplars: Vec<(usize, Exemplar<'a>)>,
    /// Samples, and lines that describe, that were read and not kept: over 100,000.
    pub over: u64,
}

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Name as it stands, `_bucket`, `_sum` and `_count` included.
    pub name: &'a str,
    /// Labels in the order they stand, escapes undone.
    pub labels: Vec<(&'a str, Cow<'a, str>)>,
    /// Its value; NaN and the infinities are legal.
    pub value: f64,
    /// Milliseconds since 1970, where given. OpenMetrics has seconds: rounded.
    pub timestamp_ms: Option<i64>,
}

/// One of the events that a sample counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar<'a> {
    /// Labels in the order they stand, escapes undone.
    pub labels: Vec<(&'a str, Cow<'a, str>)>,
    /// What the event measured.
    pub value: f64,
    /// Milliseconds since 1970, rounded, where given.
    pub timestamp_ms: Option<i64>,
}

impl Exemplar<'_> {
    /// Characters of its labels, which the format bounds.
    pub(in crate::agent) fn chars(&self) -> usize {
        let chars = |text: &str| text.chars().count();
        let pairs = self.labels.iter();
        pairs.map(|(name, value)| chars(name) + chars(value)).sum()
    }
}

/// Why a scrape could not be read; one bad line spoils it all, as in Prometheus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpositionError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: &'static str,
}

impl fmt::Display for ExpositionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for ExpositionError {}

/// Reads a scrape of which nothing is known: as OpenMetrics where it ends in `# EOF`, else as 0.0.4.
///
/// # Errors
/// [`ExpositionError`] with the first line that is wrong.
pub fn exposition(text: &str) -> Result<Exposition<'_>, ExpositionError> {
    exposition_as(text, Format::of_text(text))
}

/// Reads a scrape whose format is known, by its `Content-Type`.
///
/// # Errors
/// [`ExpositionError`] with the first line that is wrong.
pub fn exposition_as(text: &str, format: Format) -> Result<Exposition<'_>, ExpositionError> {
    let mut reading = Reading::new(format);
    let mut last = 0;
    for (number, each) in lines(text, format) {
        last = number;
        let outcome = line(each, format).and_then(|line| reading.take(line));
        outcome.map_err(|reason| ExpositionError {
            line: number,
            reason,
        })?;
    }
    reading.end(text).map_err(|reason| ExpositionError {
        line: last.max(1),
        reason,
    })?;
    Ok(reading.out)
}

struct Reading<'a> {
    out: Exposition<'a>,
    families: Families<'a>,
    ended: bool,
}

impl<'a> Reading<'a> {
    fn new(format: Format) -> Reading<'a> {
        Reading {
            out: Exposition {
                format,
                ..Exposition::default()
            },
            families: Families::default(),
            ended: false,
        }
    }

    fn take(&mut self, line: Line<'a>) -> Result<(), &'static str> {
        if self.out.format == Format::OpenMetrics {
            self.place(&line)?;
        }
        let out = &mut self.out;
        match line {
            Line::Blank | Line::Comment | Line::Eof => {}
            Line::Help(name, text) => push(&mut out.helps, &mut out.over, (name, unescaped(text))),
            Line::Type(name, kind) => push(&mut out.types, &mut out.over, (name, kind)),
            Line::Unit(name, unit) => push(&mut out.units, &mut out.over, (name, unit)),
            Line::Sample(sample, exemplar) => {
                let at = out.samples.len();
                push(&mut out.samples, &mut out.over, sample);
                if let Some(exemplar) = exemplar
                    && at < out.samples.len()
                {
                    out.exemplars.push((at, exemplar));
                }
            }
        }
        Ok(())
    }

    /// What OpenMetrics forbids a line where it stands.
    fn place(&mut self, line: &Line<'a>) -> Result<(), &'static str> {
        if self.ended {
            return Err("a line behind `# EOF`");
        }
        match line {
            Line::Blank => Err("a blank line"),
            Line::Comment => Err("a comment that is no HELP, TYPE, UNIT or EOF"),
            Line::Eof => {
                self.ended = true;
                Ok(())
            }
            Line::Help(name, _) => self.families.describe(name, Descriptor::Help),
            Line::Type(name, kind) => self.families.describe(name, Descriptor::Type(kind)),
            Line::Unit(name, unit) => self.families.describe(name, Descriptor::Unit(unit)),
            Line::Sample(sample, exemplar) => {
                let kind = self.families.sample(sample.name)?;
                match exemplar {
                    Some(_) if !takes_exemplars(kind, sample.name) => {
                        Err("an exemplar on neither a counter nor a bucket")
                    }
                    Some(exemplar) if exemplar.chars() > EXEMPLAR_CHARS_MAX => {
                        Err("an exemplar whose labels are over 128 characters")
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    fn end(&self, text: &str) -> Result<(), &'static str> {
        match self.out.format {
            Format::OpenMetrics if !self.ended => Err("no `# EOF` at the end"),
            Format::Text if !text.is_empty() && !text.ends_with('\n') => {
                Err("no newline at the end")
            }
            _ => Ok(()),
        }
    }
}

/// OpenMetrics 1.0.0, "Exemplars": on what a counter or a bucket counts.
pub(in crate::agent) fn takes_exemplars(kind: &str, name: &str) -> bool {
    match kind {
        "counter" => name.ends_with("_total"),
        "histogram" | "gaugehistogram" => name.ends_with("_bucket"),
        _ => false,
    }
}

fn push<T>(kept: &mut Vec<T>, over: &mut u64, item: T) {
    if kept.len() < SAMPLES_MAX {
        kept.push(item);
    } else {
        *over += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(rule: &str, line: &str, labels: &[(&str, &str)], value: f64) {
        let text = format!("{line}\n");
        let read = exposition(&text).unwrap_or_else(|error| panic!("{rule}: {error}"));
        let [sample] = &read.samples[..] else {
            panic!("{rule}: {read:?}")
        };
        let read: Vec<(&str, &str)> = sample.labels.iter().map(|(k, v)| (*k, &**v)).collect();
        assert_eq!((sample.name, &read[..]), ("m", labels), "{rule}");
        assert_eq!(sample.value.to_bits(), value.to_bits(), "{rule}");
    }

    #[track_caller]
    fn check_error(rule: &str, text: &str, line: usize, reason: &'static str) {
        assert_eq!(
            exposition(text),
            Err(ExpositionError { line, reason }),
            "{rule}"
        );
    }

    #[test]
    fn samples_are_read() {
        check("bare", "m 1", &[], 1.0);
        check("one label", r#"m{a="b"} 2.5"#, &[("a", "b")], 2.5);
        check(
            "many, comma at the end",
            r#"m{a="b", c="d",} 3"#,
            &[("a", "b"), ("c", "d")],
            3.0,
        );
        check("no label", "m{} 1e3", &[], 1e3);
        check("empty value", r#"m{a=""} 1"#, &[("a", "")], 1.0);
        check(
            "braces, commas, equals",
            r#"m{a="},=\""} 1"#,
            &[("a", "},=\"")],
            1.0,
        );
        check("escapes", r#"m{a="\\n\n\x"} 1"#, &[("a", "\\n\n\\x")], 1.0);
        check(
            "a backslash at the end",
            r#"m{a="\\"} 1"#,
            &[("a", "\\")],
            1.0,
        );
        check(
            "unicode",
            "m{a=\"\u{e9}\u{1f980}\"} 1",
            &[("a", "\u{e9}\u{1f980}")],
            1.0,
        );
        check("infinity", "m +Inf", &[], f64::INFINITY);
        check("minus infinity", "m -Inf", &[], f64::NEG_INFINITY);
        check("spaces and a time", "m   7 1700000000000", &[], 7.0);
        assert!(exposition("m NaN\n").unwrap().samples[0].value.is_nan());
    }

    #[test]
    fn types_comments_and_blank_lines_are_read() {
        let text = "# HELP m help \\n{\n# TYPE m counter\n\n# free\n# EOF\nm_total 1\n\t#\tTYPE  h  histogram \n";
        let read = exposition(text).unwrap();
        assert_eq!(read.types, [("m", "counter"), ("h", "histogram")]);
        assert_eq!(read.helps, [("m", Cow::Borrowed("help \n{"))]);
        assert_eq!(
            (read.samples.len(), read.samples[0].timestamp_ms),
            (1, None)
        );
        assert_eq!(exposition(""), Ok(Exposition::default()));
    }

    #[test]
    fn a_wrong_line_is_named() {
        check_error("no value", "a 1\nb\n", 2, "no value");
        check_error("not a number", "a one\n", 1, "the value is not a number");
        check_error(
            "three words",
            "a 1 2 3\n",
            1,
            "more than value and timestamp",
        );
        check_error("time", "a 1 x\n", 1, "the timestamp is not a whole number");
        check_error("digit first", "1a 1\n", 1, "no metric name");
        check_error("no quote", "a{b=c} 1\n", 1, "a label value without quotes");
        check_error(
            "open quote",
            "a{b=\"c} 1\n",
            1,
            "a label value without its closing quote",
        );
        check_error(
            "open brace",
            "a{b=\"c\" 1\n",
            1,
            "neither `,` nor `}` after a label",
        );
        check_error("no equals", "a{b} 1\n", 1, "a label without `=`");
        check_error("label name", "a{b:c=\"d\"} 1\n", 1, "not a label name");
        check_error(
            "type",
            "# TYPE a meter\n",
            1,
            "TYPE takes a name and counter, gauge, histogram, summary or untyped",
        );
        check_error("cut off", "a 1\nb 2", 2, "no newline at the end");
        check_error("a hexadecimal", "a 0x1p4\n", 1, "the value is not a number");
        check_error("a digit mark", "a 1_0\n", 1, "the value is not a number");
        let exemplar = "an exemplar, which 0.0.4 does not have";
        check_error("exemplar", "a_total 1 # {a=\"b\"} 1\n", 1, exemplar);
        check_error("behind a time", "a 1 5 # {} 1\n", 1, exemplar);
    }

    #[test]
    fn samples_have_a_bound_and_what_is_over_is_counted() {
        let page = "a 1\n".repeat(SAMPLES_MAX + 7);
        let read = exposition(&page).unwrap();
        assert_eq!((read.samples.len(), read.over), (SAMPLES_MAX, 7));
    }

    /// A page of all types, as the specification shows each.
    const OPEN: &str = r##"# TYPE hits counter
# HELP hits Hits of a page\nand \"more\" \\.
hits_total{path="/a",code="200"} 17.0 1520879607.789 # {trace_id="6b02c8760000000000000000000000ff"} 0.25 1520879607.5
hits_created{path="/a",code="200"} 1520430000.123
# TYPE took_seconds histogram
# UNIT took_seconds seconds
took_seconds_bucket{le="0.0"} 0
took_seconds_bucket{le="1e-05"} 0 # {} 0.1
took_seconds_bucket{le="+Inf"} 17
took_seconds_count 17
took_seconds_sum 324789.3
# TYPE depth gaugehistogram
depth_bucket{le="+Inf"} 42.0
depth_gcount 42.0
depth_gsum 3289.3
# TYPE rpc summary
rpc{quantile="0.5"} nan
rpc_count 0
# TYPE build info
build_info{version="1"} 1
# TYPE mode stateset
mode{mode="on"} 1
mode{mode="off"} 0
# TYPE warm gauge
warm{} -INF
# TYPE any unknown
any 1e3
bare 7
# EOF
"##;

    #[test]
    fn openmetrics_is_read() {
        let read = exposition(OPEN).unwrap();
        assert_eq!(read.format, Format::OpenMetrics);
        let kinds: Vec<&str> = read.types.iter().map(|(_, kind)| *kind).collect();
        assert_eq!(
            kinds,
            [
                "counter",
                "histogram",
                "gaugehistogram",
                "summary",
                "info",
                "stateset",
                "gauge",
                "unknown"
            ]
        );
        assert_eq!(read.helps[0].1, "Hits of a page\nand \"more\" \\.");
        assert_eq!(read.units, [("took_seconds", "seconds")]);
        assert_eq!((read.samples.len(), read.over), (18, 0));
        assert_eq!(read.samples[0].timestamp_ms, Some(1_520_879_607_789));
        assert_eq!(read.samples[15].value, f64::NEG_INFINITY);
        let exemplar = Exemplar {
            labels: vec![("trace_id", "6b02c8760000000000000000000000ff".into())],
            value: 0.25,
            timestamp_ms: Some(1_520_879_607_500),
        };
        assert_eq!(read.exemplars[0], (0, exemplar));
        assert_eq!((read.exemplars[1].0, read.exemplars[1].1.value), (3, 0.1));
        let without_break = exposition(OPEN.trim_end()).unwrap();
        assert_eq!(without_break.samples.len(), 18);
        assert_eq!(exposition("# EOF\n").unwrap().samples, []);
    }

    #[track_caller]
    fn check_open(rule: &str, text: &str, line: usize, reason: &'static str) {
        let read = exposition_as(text, Format::OpenMetrics);
        assert_eq!(read, Err(ExpositionError { line, reason }), "{rule}");
    }

    #[track_caller]
    fn check_all(rows: &[(&str, &str, usize, &'static str)]) {
        for (rule, text, line, reason) in rows {
            check_open(rule, &format!("{text}# EOF\n"), *line, reason);
        }
    }

    #[test]
    fn openmetrics_has_an_end_and_nothing_between() {
        let end = "no `# EOF` at the end";
        let behind = "a line behind `# EOF`";
        check_open("no end", "a 1\n", 1, end);
        check_open("nothing at all", "", 1, end);
        check_open("behind the end", "# EOF\na 1\n", 2, behind);
        check_open("a blank line behind it", "# EOF\n\n", 2, behind);
        let free = "a comment that is no HELP, TYPE, UNIT or EOF";
        check_all(&[
            ("a blank line", "a 1\n\n", 2, "a blank line"),
            ("a free comment", "# free\n", 1, free),
            ("no blank behind #", "#EOF\n", 1, free),
        ]);
    }

    #[test]
    fn openmetrics_families_are_named_and_described_once() {
        let after = "HELP, TYPE or UNIT after a sample of its family";
        let twice = "HELP, TYPE or UNIT twice for one family";
        let unit = "UNIT is not what the family's name ends in";
        let total = "a counter's sample without `_total`";
        let bare = "a sample without the ending that its type has";
        let untyped = "TYPE takes a name and counter, gauge, histogram, gaugehistogram, stateset, info, summary or unknown";
        let nameless = "HELP, TYPE or UNIT without a metric name";
        let help = "HELP without a blank behind the name";
        check_all(&[
            (
                "TYPE as the sample",
                "# TYPE a_total counter\na_total 1\n",
                2,
                total,
            ),
            ("a bare histogram", "# TYPE a histogram\na 1\n", 2, bare),
            ("untyped", "# TYPE a untyped\n", 1, untyped),
            ("TYPE twice", "# TYPE a gauge\n# TYPE a gauge\n", 2, twice),
            ("HELP twice", "# HELP a x\n# HELP a x\n", 2, twice),
            ("HELP late", "# TYPE a gauge\na 1\n# HELP a x\n", 3, after),
            ("TYPE late", "a 1\n# TYPE a gauge\n", 2, after),
            ("UNIT", "# UNIT a_bytes seconds\n", 1, unit),
            ("UNIT within a word", "# UNIT abytes bytes\n", 1, unit),
            ("no name", "# TYPE 1 gauge\n", 1, nameless),
            ("HELP of nothing", "# HELP a\n", 1, help),
        ]);
    }

    #[test]
    fn openmetrics_families_stand_in_one_piece() {
        let again = "a family that goes on after another one";
        let stray = "a sample away from its family";
        let clash = "a sample of this family would have the name of another family";
        check_all(&[
            ("interleaved", "a 1\nb 1\na 2\n", 3, again),
            (
                "its head comes again",
                "# TYPE a gauge\nb 1\n# HELP a x\n",
                3,
                again,
            ),
            (
                "a stray sample",
                "# TYPE a counter\na_total 1\nb 1\na_created 1\n",
                4,
                stray,
            ),
            (
                "two families, one name",
                "a_total 1\n# TYPE a counter\n",
                2,
                clash,
            ),
        ]);
    }

    #[test]
    fn openmetrics_has_one_blank_where_there_is_one() {
        let value = "the value is not a number";
        let time = "the timestamp is not a number of seconds";
        check_all(&[
            ("two blanks", "a  1\n", 1, value),
            ("a blank at the end", "a 1 \n", 1, time),
            ("a carriage return", "a 1\r\n", 1, value),
            ("a blank before braces", "a {} 1\n", 1, value),
            (
                "a comma at the end",
                "a{b=\"c\",} 1\n",
                1,
                "a comma behind the last label",
            ),
            (
                "a blank in braces",
                "a{b=\"c\", d=\"e\"} 1\n",
                1,
                "not a label name",
            ),
            ("an endless time", "a 1 +Inf\n", 1, time),
        ]);
    }

    #[test]
    fn openmetrics_exemplars_have_their_place_and_their_bound() {
        let place = "an exemplar on neither a counter nor a bucket";
        check_all(&[
            ("of a gauge", "# TYPE a gauge\na 1 # {} 1\n", 2, place),
            ("of a sum", "# TYPE a histogram\na_sum 1 # {} 1\n", 2, place),
            ("of no type", "a_total 1 # {} 1\n", 1, place),
            (
                "without braces",
                "a 1 # 1\n",
                1,
                "an exemplar without braces",
            ),
            (
                "without a value",
                "a 1 # {}\n",
                1,
                "an exemplar without a value",
            ),
        ]);
        let exemplar = |chars: usize| {
            let value = "\u{e9}".repeat(chars - 1);
            format!("# TYPE a counter\na_total 1 # {{b=\"{value}\"}} 1\n# EOF\n")
        };
        assert!(exposition(&exemplar(128)).is_ok(), "at the limit");
        let over = "an exemplar whose labels are over 128 characters";
        check_open("one over", &exemplar(129), 2, over);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}", line in "[a-z{}=\",\\\\ #0-9\u{e9}\n]{0,60}") {
            let _ = (exposition(&text), exposition(&line));
        }
    }
}
