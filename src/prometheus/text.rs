//! The bytes of the exposition: escapes, numbers, and the prefixes that a series writes once.
//!
//! Source: Prometheus docs, "Exposition formats", text format 0.0.4.

use std::io::Write;

/// The `Content-Type` of what [`Registry::render`](super::Registry::render) writes.
pub const fn content_type() -> &'static str {
    "text/plain; version=0.0.4; charset=utf-8"
}

/// HELP and TYPE of one family.
pub(super) fn push_head(out: &mut Vec<u8>, name: &str, help: &str, kind: &str) {
    out.extend_from_slice(b"# HELP ");
    out.extend_from_slice(name.as_bytes());
    out.push(b' ');
    push_help(out, help);
    out.extend_from_slice(b"\n# TYPE ");
    out.extend_from_slice(name.as_bytes());
    out.push(b' ');
    out.extend_from_slice(kind.as_bytes());
    out.push(b'\n');
}

/// The text of a HELP line: backslash and line feed are escaped, quotes are not. Other line breaks
/// become spaces, see [`breaks_lines`].
fn push_help(out: &mut Vec<u8>, help: &str) {
    for character in help.chars() {
        match character {
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
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

/// Decimal digits.
pub(super) fn push_u64(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The shortest digits that read back as the same float; an exponent where plain digits are long.
pub(super) fn push_f64(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if size == 0.0 || (1e-5..1e16).contains(&size) {
        write!(out, "{value}").expect("a Vec takes every byte");
    } else {
        write!(out, "{value:e}").expect("a Vec takes every byte");
    }
}

/// A sample line without its value: suffix of the family's name, and `le` where it is a bucket.
pub struct Line {
    pub(super) suffix: &'static str,
    pub(super) le: Option<f64>,
}

/// What stands before the values of one series, finished once so that a render only copies.
pub struct Prefixes {
    bytes: Box<[u8]>,
    ends: Box<[usize]>,
}

impl Prefixes {
    /// Writes `name_suffix{labels,le="..."} ` for each line.
    pub(super) fn new(name: &str, labels: &[(&str, &str)], lines: &[Line]) -> Prefixes {
        let mut bytes = Vec::new();
        let mut ends = Vec::with_capacity(lines.len());
        for line in lines {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(line.suffix.as_bytes());
            push_labels(&mut bytes, labels, line.le);
            bytes.push(b' ');
            ends.push(bytes.len());
        }
        Prefixes {
            bytes: bytes.into(),
            ends: ends.into(),
        }
    }

    /// The finished prefixes, in the order of the lines.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts
            .zip(&self.ends)
            .map(|(&start, &end)| &self.bytes[start..end])
    }
}

fn push_labels(out: &mut Vec<u8>, labels: &[(&str, &str)], le: Option<f64>) {
    let mut before = b'{';
    for (name, value) in labels {
        out.push(before);
        before = b',';
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        push_label_value(out, value);
        out.push(b'"');
    }
    if let Some(bound) = le {
        out.push(before);
        before = b',';
        out.extend_from_slice(b"le=\"");
        push_f64(out, bound);
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
    fn floats_are_the_shortest_and_name_the_special_ones_as_go_does() {
        let rows = [
            ("zero has one digit", 0.0, "0"),
            ("minus zero keeps its sign", -0.0, "-0"),
            ("a whole number has no point", 1.0, "1"),
            ("a bound is as short as it was written", 0.005, "0.005"),
            (
                "a third has all its digits",
                1.0 / 3.0,
                "0.3333333333333333",
            ),
            ("the smallest plain fraction", 1e-5, "0.00001"),
            ("smaller ones take an exponent", 9e-6, "9e-6"),
            ("the largest plain number", 9e15, "9000000000000000"),
            ("larger ones take an exponent", 1e16, "1e16"),
            (
                "the largest float is not 309 digits",
                f64::MAX,
                "1.7976931348623157e308",
            ),
            ("the smallest float", 5e-324, "5e-324"),
            ("negative numbers", -12.5, "-12.5"),
            ("not a number", f64::NAN, "NaN"),
            ("infinity has its sign", f64::INFINITY, "+Inf"),
            ("minus infinity", f64::NEG_INFINITY, "-Inf"),
        ];
        for (rule, value, bytes) in rows {
            check(rule, |out| push_f64(out, value), bytes);
        }
    }

    #[test]
    fn integers_have_every_digit() {
        for value in [0, 9, 10, 99, 100, 9_007_199_254_740_993, u64::MAX] {
            check("as Display", |out| push_u64(out, value), &value.to_string());
        }
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
            ("empty", "", ""),
            ("quotes are not escaped", "a \"b\"", "a \"b\""),
            ("backslash and line feed", "a\\b\nc", "a\\\\b\\nc"),
            (
                "other line breaks are spaces",
                "a\rb\u{2028}c\x0bd\u{85}e",
                "a b c d e",
            ),
            ("unicode", "µs", "µs"),
        ];
        for (rule, help, bytes) in rows {
            check(rule, |out| push_help(out, help), bytes);
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
            check(rule, |out| push_labels(out, labels, le), bytes);
        }
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
            let mut out = Vec::new();
            push_head(&mut out, "a", &help, "gauge");
            let text = String::from_utf8(out).unwrap();
            prop_assert_eq!(text.split(breaks_lines_or_feed).count(), 3);
            prop_assert!(text.ends_with("\n# TYPE a gauge\n"));
        }

        #[test]
        fn any_float_reads_back_as_it_was(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            let mut out = Vec::new();
            push_f64(&mut out, value);
            let read: f64 = std::str::from_utf8(&out).unwrap().parse().unwrap();
            prop_assert!(read == value || read.is_nan() && value.is_nan());
            prop_assert!(out.len() <= 24, "{} bytes", out.len());
        }
    }

    fn breaks_lines_or_feed(character: char) -> bool {
        character == '\n' || breaks_lines(character)
    }
}
