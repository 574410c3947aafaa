//! Prometheus text format 0.0.4.

use std::borrow::Cow;
use std::fmt;

/// One scrape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposition<'a> {
    /// Family and type, in the order of their `# TYPE` lines.
    pub types: Vec<(&'a str, &'a str)>,
    /// Samples in the order they stand.
    pub samples: Vec<Sample<'a>>,
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
    /// Milliseconds since 1970, where given.
    pub timestamp_ms: Option<i64>,
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

/// Reads a scrape.
///
/// # Errors
/// [`ExpositionError`] with the first line that is wrong.
pub fn exposition(text: &str) -> Result<Exposition<'_>, ExpositionError> {
    let mut out = Exposition::default();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let outcome = if let Some(comment) = line.strip_prefix('#') {
            type_line(comment).map(|found| out.types.extend(found))
        } else if line.is_empty() {
            Ok(())
        } else {
            sample(line).map(|sample| out.samples.push(sample))
        };
        outcome.map_err(|reason| ExpositionError {
            line: number + 1,
            reason,
        })?;
    }
    if !text.is_empty() && !text.ends_with('\n') {
        let line = text.lines().count();
        return Err(ExpositionError {
            line,
            reason: "no newline at the end",
        });
    }
    Ok(out)
}

/// `# TYPE name type`; any other comment is free text.
fn type_line(comment: &str) -> Result<Option<(&str, &str)>, &'static str> {
    let mut words = comment.split_ascii_whitespace();
    if words.next() != Some("TYPE") {
        return Ok(None);
    }
    match (words.next(), words.next(), words.next()) {
        (Some(_), Some("counter" | "gauge" | "histogram" | "summary" | "untyped"), None) => {
            let mut words = comment.split_ascii_whitespace().skip(1);
            Ok(words.next().zip(words.next()))
        }
        _ => Err("TYPE takes a name and counter, gauge, histogram, summary or untyped"),
    }
}

fn sample(line: &str) -> Result<Sample<'_>, &'static str> {
    let name_end = line.find(|c: char| !is_name(c, true)).unwrap_or(line.len());
    let (name, rest) = line.split_at(name_end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("no metric name");
    }
    let rest = rest.trim_start();
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    let mut words = rest.split_ascii_whitespace();
    let value = words.next().ok_or("no value")?;
    let value = value.parse().map_err(|_| "the value is not a number")?;
    let timestamp_ms = match words.next() {
        Some(word) => Some(
            word.parse()
                .map_err(|_| "the timestamp is not a whole number")?,
        ),
        None => None,
    };
    if words.next().is_some() {
        return Err("more than value and timestamp");
    }
    Ok(Sample {
        name,
        labels,
        value,
        timestamp_ms,
    })
}

type Labels<'a> = Vec<(&'a str, Cow<'a, str>)>;

fn labels(mut rest: &str) -> Result<(Labels<'_>, &str), &'static str> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (name, after) = rest.split_once('=').ok_or("a label without `=`")?;
        let name = name.trim_end();
        let digit_first = name.starts_with(|c: char| c.is_ascii_digit());
        if name.is_empty() || digit_first || !name.chars().all(|c| is_name(c, false)) {
            return Err("not a label name");
        }
        let after = after
            .trim_start()
            .strip_prefix('"')
            .ok_or("a label value without quotes")?;
        let end = closing_quote(after).ok_or("a label value without its closing quote")?;
        labels.push((name, unescaped(&after[..end])));
        rest = after[end + 1..].trim_start();
        match (rest.strip_prefix(','), rest.starts_with('}')) {
            (Some(after), _) => rest = after,
            (None, true) => {}
            (None, false) => return Err("neither `,` nor `}` after a label"),
        }
    }
}

fn is_name(c: char, colon: bool) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':')
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some(escaped @ ('\\' | '"'))) => out.push(escaped),
            (c, other) => {
                out.push(c);
                out.extend(other);
            }
        }
    }
    Cow::Owned(out)
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
        let text =
            "# HELP m help {\n# TYPE m counter\n\n# free\nm_total 1\n# TYPE h histogram\n# EOF\n";
        let read = exposition(text).unwrap();
        assert_eq!(read.types, [("m", "counter"), ("h", "histogram")]);
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
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}", line in "[a-z{}=\",\\\\ #0-9\u{e9}\n]{0,60}") {
            let _ = (exposition(&text), exposition(&line));
        }
    }
}
