//! The bytes of the exposition: heads, escapes, and the prefixes that a series writes once.
//!
//! Sources: Prometheus docs, "Exposition formats", text format 0.0.4; OpenMetrics 1.0, "Text format".

use super::kind::Kind;
use super::number::push_canonical;

/// A longer HELP is cut: it stands on every page.
const HELP_BYTES_MAX: usize = 1_024;

/// HELP and TYPE of one family, and its UNIT where the format has one, for each format.
pub(super) struct Heads {
    pub(super) text: Box<[u8]>,
    pub(super) openmetrics: Box<[u8]>,
}

impl Heads {
    /// `base` is the family's name without what its kind adds to it.
    pub(super) fn new(base: &str, kind: Kind, help: &str) -> Heads {
        let help = &help[..help.floor_char_boundary(HELP_BYTES_MAX)];
        let mut text = Vec::new();
        push_head(
            &mut text,
            &[base, kind.suffix()].concat(),
            kind.text_word(),
            |out| {
                push_help(out, help, false);
            },
        );
        let mut openmetrics = Vec::new();
        push_head(&mut openmetrics, base, kind.openmetrics_word(), |out| {
            push_help(out, help, true);
        });
        if kind != Kind::Info
            && let Some(unit) = unit_of(base)
        {
            for part in ["# UNIT ", base, " ", unit, "\n"] {
                openmetrics.extend_from_slice(part.as_bytes());
            }
        }
        Heads {
            text: text.into(),
            openmetrics: openmetrics.into(),
        }
    }
}

fn push_head(out: &mut Vec<u8>, name: &str, word: &str, help: impl Fn(&mut Vec<u8>)) {
    out.extend_from_slice(b"# HELP ");
    out.extend_from_slice(name.as_bytes());
    out.push(b' ');
    help(out);
    for part in ["\n# TYPE ", name, " ", word, "\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// OpenMetrics lets a family have a unit only where its name ends with it; these are the base units
/// (Prometheus docs, "Metric and label naming").
fn unit_of(base: &str) -> Option<&'static str> {
    const UNITS: [&str; 8] = [
        "seconds", "bytes", "ratio", "meters", "grams", "joules", "celsius", "volts",
    ];
    let (name, last) = base.rsplit_once('_')?;
    UNITS
        .into_iter()
        .find(|unit| *unit == last && !name.is_empty())
}

/// The text of a HELP line: backslash and line feed are escaped, quotes in OpenMetrics alone. Other line
/// breaks become spaces, see [`breaks_lines`].
fn push_help(out: &mut Vec<u8>, help: &str, quotes: bool) {
    for character in help.chars() {
        match character {
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '"' if quotes => out.extend_from_slice(b"\\\""),
            other if breaks_lines(other) => out.push(b' '),
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// A label's value: backslash, quote and line feed are escaped.
pub(super) fn push_label_value(out: &mut Vec<u8>, value: &str) {
    for &byte in value.as_bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            other => out.push(other),
        }
    }
}

/// Whether a character ends a line for Python's `str.splitlines`, though not for the format, which
/// has no escape for it. A scraper that splits so would lose the whole page to one such label.
pub(super) fn breaks_lines(character: char) -> bool {
    matches!(
        character,
        '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// A sample line without its value.
#[derive(Clone, Copy)]
pub struct Line {
    /// What is added to the family's name.
    pub(super) suffix: &'static str,
    /// The label that is the line's own: `le` or `quantile`.
    pub(super) own: Option<(&'static str, f64)>,
}

impl Line {
    pub(super) const fn plain(suffix: &'static str) -> Line {
        Line { suffix, own: None }
    }
}

/// What stands before the values of one series, finished once so that a render only copies.
pub struct Prefixes {
    bytes: Box<[u8]>,
    ends: Box<[u32]>,
}

impl Prefixes {
    /// Writes `base_suffix{labels,le="..."} ` for each line.
    pub(super) fn new(base: &str, labels: &[(&str, &str)], lines: &[Line]) -> Prefixes {
        let mut bytes = Vec::new();
        let mut ends = Vec::with_capacity(lines.len());
        for line in lines {
            bytes.extend_from_slice(base.as_bytes());
            bytes.extend_from_slice(line.suffix.as_bytes());
            push_labels(&mut bytes, labels, line.own);
            bytes.push(b' ');
            ends.push(u32::try_from(bytes.len()).expect("bounded labels and lines"));
        }
        Prefixes {
            bytes: bytes.into(),
            ends: ends.into(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The finished prefixes, in the order of the lines.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.bytes;
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let (prefix, behind) = rest.split_at((end - start) as usize);
            (rest, start) = (behind, end);
            prefix
        })
    }
}

fn push_labels(out: &mut Vec<u8>, labels: &[(&str, &str)], own: Option<(&str, f64)>) {
    let mut before = b'{';
    for (name, value) in labels {
        out.push(before);
        before = b',';
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        push_label_value(out, value);
        out.push(b'"');
    }
    if let Some((name, bound)) = own {
        out.push(before);
        before = b',';
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        push_canonical(out, bound);
        out.push(b'"');
    }
    if before == b',' {
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(rule: &str, write: impl Fn(&mut Vec<u8>), bytes: &str) {
        let mut out = Vec::new();
        write(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), bytes, "{rule}");
    }

    #[test]
    fn label_values_are_escaped() {
        let rows = [
            ("empty", "", ""),
            ("plain", "GET", "GET"),
            ("backslash", r"a\b", r"a\\b"),
            ("quote", "a\"b", "a\\\"b"),
            ("line feed", "a\nb", "a\\nb"),
            ("backslash before n is no line feed", "a\\nb", "a\\\\nb"),
            ("separators stand as they are", "a,b={c} #d", "a,b={c} #d"),
            ("unicode stands as it is", "é😀", "é😀"),
            ("other control characters have no escape", "\t\0", "\t\0"),
        ];
        for (rule, value, bytes) in rows {
            check(rule, |out| push_label_value(out, value), bytes);
        }
    }

    #[test]
    fn help_is_escaped_and_stays_on_its_line() {
        let rows = [
            ("empty", "", "", ""),
            (
                "quotes in OpenMetrics alone",
                "a \"b\"",
                "a \"b\"",
                "a \\\"b\\\"",
            ),
            (
                "backslash and line feed",
                "a\\b\nc",
                "a\\\\b\\nc",
                "a\\\\b\\nc",
            ),
            (
                "other line breaks are spaces",
                "a\rb\u{2028}c\x0bd\u{85}e",
                "a b c d e",
                "a b c d e",
            ),
            ("unicode", "µs", "µs", "µs"),
        ];
        for (rule, help, text, openmetrics) in rows {
            check(rule, |out| push_help(out, help, false), text);
            check(rule, |out| push_help(out, help, true), openmetrics);
        }
    }

    #[test]
    fn a_family_is_named_as_each_format_wants_it() {
        let rows = [
            (
                "a counter says _total in text alone",
                ("a", Kind::Counter),
                "# HELP a_total H.\n# TYPE a_total counter\n",
                "# HELP a H.\n# TYPE a counter\n",
            ),
            (
                "a unit is what the name ends with",
                ("a_seconds", Kind::Counter),
                "# HELP a_seconds_total H.\n# TYPE a_seconds_total counter\n",
                "# HELP a_seconds H.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\n",
            ),
            (
                "a name that is nothing but a unit has none",
                ("seconds", Kind::Gauge),
                "# HELP seconds H.\n# TYPE seconds gauge\n",
                "# HELP seconds H.\n# TYPE seconds gauge\n",
            ),
            (
                "info is a gauge in text",
                ("a", Kind::Info),
                "# HELP a_info H.\n# TYPE a_info gauge\n",
                "# HELP a H.\n# TYPE a info\n",
            ),
            (
                "histograms and summaries are named alike",
                ("a", Kind::Summary),
                "# HELP a H.\n# TYPE a summary\n",
                "# HELP a H.\n# TYPE a summary\n",
            ),
        ];
        for (rule, (base, kind), text, openmetrics) in rows {
            let heads = Heads::new(base, kind, "H.");
            check(rule, |out| out.extend_from_slice(&heads.text), text);
            check(
                rule,
                |out| out.extend_from_slice(&heads.openmetrics),
                openmetrics,
            );
        }
    }

    #[test]
    fn labels_have_braces_only_when_there_are_any() {
        type Labels = &'static [(&'static str, &'static str)];
        let rows: [(&str, Labels, Option<f64>, &str); 4] = [
            ("none", &[], None, ""),
            ("one", &[("a", "1")], None, r#"{a="1"}"#),
            ("le alone", &[], Some(f64::INFINITY), r#"{le="+Inf"}"#),
            (
                "le is the last",
                &[("a", ""), ("b", "2")],
                Some(0.5),
                r#"{a="",b="2",le="0.5"}"#,
            ),
        ];
        for (rule, labels, le, bytes) in rows {
            let own = le.map(|bound| ("le", bound));
            check(rule, |out| push_labels(out, labels, own), bytes);
        }
    }

    #[test]
    fn prefixes_come_back_one_by_one() {
        let lines = [
            Line {
                suffix: "_bucket",
                own: Some(("le", 1.0)),
            },
            Line::plain("_sum"),
            Line::plain(""),
        ];
        let prefixes = Prefixes::new("a", &[("b", "c")], &lines);
        let read: Vec<&[u8]> = prefixes.iter().collect();
        let expected: [&[u8]; 3] = [
            b"a_bucket{b=\"c\",le=\"1.0\"} ",
            b"a_sum{b=\"c\"} ",
            b"a{b=\"c\"} ",
        ];
        assert_eq!(read, expected);
    }

    /// Reads an escaped label value back; none when it is not closed by its last byte.
    fn unescaped(text: &str) -> Option<String> {
        let mut value = String::new();
        let mut characters = text.chars();
        loop {
            match characters.next()? {
                '"' => return characters.next().is_none().then_some(value),
                '\n' => return None,
                '\\' => value.push(match characters.next()? {
                    'n' => '\n',
                    sign @ ('\\' | '"') => sign,
                    _ => return None,
                }),
                plain => value.push(plain),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_label_value_reads_back_as_it_was(value in r#"(?s)(.|[\\n"]){0,20}"#) {
            let mut out = Vec::new();
            push_label_value(&mut out, &value);
            out.push(b'"');
            prop_assert_eq!(unescaped(std::str::from_utf8(&out).unwrap()), Some(value));
        }

        #[test]
        fn any_help_is_two_lines_with_its_type(help in any::<String>()) {
            let heads = Heads::new("a", Kind::Gauge, &help);
            for head in [heads.text, heads.openmetrics] {
                let text = String::from_utf8(head.into()).unwrap();
                prop_assert_eq!(text.split(breaks_lines_or_feed).count(), 3);
                prop_assert!(text.ends_with("\n# TYPE a gauge\n"));
            }
        }
    }

    fn breaks_lines_or_feed(character: char) -> bool {
        character == '\n' || breaks_lines(character)
    }
}
