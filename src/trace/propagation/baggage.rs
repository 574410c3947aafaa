//! W3C Baggage: pairs that travel with a trace, in percent-encoding.
//!
//! Limits, and that one malformed pair makes the header worthless, are as in dd-trace-go
//! (`ddtrace/tracer/textmap.go`, `propagatorBaggage`). Properties behind a `;` stay part of their value, as
//! there. Unlike there `%` is encoded too, so that a value comes out as it went in.

use super::headers::{Headers, trimmed};

const NAME: &str = "baggage";

/// Most pairs, and most bytes as they stand in the header.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) items: usize,
    pub(super) bytes: usize,
}

/// Reads all headers of the name as one list. What is over a limit is cut, and not looked at.
pub(super) fn extract<'a>(headers: &impl Headers<'a>, limits: Limits) -> Vec<(String, String)> {
    let (mut baggage, mut items, mut bytes) = (Vec::new(), 0, 0);
    let lines = headers.all(NAME).filter(|line| !trimmed(line).is_empty());
    for item in lines.flat_map(|line| line.split(',')) {
        bytes += item.len() + usize::from(items > 0);
        if items >= limits.items || bytes > limits.bytes {
            break;
        }
        items += 1;
        match read(item) {
            Some((key, value)) => set(&mut baggage, key, value),
            None => return Vec::new(),
        }
    }
    baggage
}

fn read(item: &str) -> Option<(String, String)> {
    let (key, value) = item.split_once('=')?;
    let (key, value) = (trimmed(key), trimmed(value));
    if key.is_empty() || value.is_empty() {
        return None;
    }
    Some((decode(key), decode(value)))
}

fn set(baggage: &mut Vec<(String, String)>, key: String, value: String) {
    match baggage.iter_mut().find(|(there, _)| *there == key) {
        Some(item) => item.1 = value,
        None => baggage.push((key, value)),
    }
}

/// A `%` without two hex digits stands for itself; what is not UTF-8 then becomes U+FFFD, as W3C wants it.
fn decode(text: &str) -> String {
    let Some(first) = text.find('%') else {
        return text.to_string();
    };
    let mut out = Vec::with_capacity(text.len());
    out.extend_from_slice(&text.as_bytes()[..first]);
    let mut rest = &text.as_bytes()[first..];
    while let [byte, tail @ ..] = rest {
        let digits = (tail.first().and_then(hex), tail.get(1).and_then(hex));
        match (byte, digits) {
            (b'%', (Some(high), Some(low))) => {
                out.push(high << 4 | low);
                rest = &tail[2..];
            }
            _ => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(out)
        .unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned())
}

fn hex(byte: &u8) -> Option<u8> {
    char::from(*byte).to_digit(16).map(|digit| digit as u8)
}

/// Appends the header, unless it would be empty. What is over a limit is left out, from the first pair on
/// that does not fit. A pair without key or value is left out alone: receivers would throw the rest away.
pub(super) fn inject(
    baggage: &[(String, String)],
    limits: Limits,
    headers: &mut Vec<(&'static str, String)>,
) {
    let mut list = String::new();
    let told = baggage
        .iter()
        .filter(|(key, value)| !key.is_empty() && !value.is_empty());
    for (key, value) in told.take(limits.items) {
        let end = list.len();
        if end + key.len() + value.len() + 1 > limits.bytes {
            break;
        }
        if end > 0 {
            list.push(',');
        }
        encode(key, is_key_byte, &mut list);
        list.push('=');
        encode(value, is_value_byte, &mut list);
        if list.len() > limits.bytes {
            list.truncate(end);
            break;
        }
    }
    if !list.is_empty() {
        headers.push((NAME, list));
    }
}

fn encode(text: &str, is_plain: impl Fn(u8) -> bool, out: &mut String) {
    for byte in text.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            let digit = |half: u8| char::from(DIGITS[usize::from(half & 15)]);
            out.extend(['%', digit(byte >> 4), digit(byte)]);
        }
    }
}

/// A token of RFC 9110 section 5.6.2, but for `%`.
fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte)
}

/// A baggage-octet of W3C Baggage section 3.2.1.3, but for `%`, and for `=`, at which a reader may split.
fn is_value_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"%,;=\\".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        items: 64,
        bytes: 8_192,
    };

    fn read_all(lines: &[&str], limits: Limits) -> Vec<(String, String)> {
        extract(&|_: &'static str| lines.iter().copied(), limits)
    }

    #[track_caller]
    fn check(rule: &str, lines: &[&str], expected: &[(&str, &str)]) {
        let read = read_all(lines, LIMITS);
        let read: Vec<_> = read.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(read, expected, "{rule}");
    }

    #[test]
    fn baggage_is_a_list_of_pairs() {
        let (a, b) = (("a", "1"), ("b", "2"));
        check("absent", &[], &[]);
        check("blank", &["", " \t"], &[]);
        check("one", &["a=1"], &[a]);
        check("two", &["a=1,b=2"], &[a, b]);
        check("space", &[" a = 1 ,\tb=2\t"], &[a, b]);
        check("space within", &["a=DF 28"], &[("a", "DF 28")]);
        check("several headers", &["a=1", "", "b=2"], &[a, b]);
        check("the last of two", &["a=3,b=2,a=1"], &[a, b]);
        check("= in a value", &["a=b=c"], &[("a", "b=c")]);
        check("properties", &["a=1;p=2;q"], &[("a", "1;p=2;q")]);
        check("plus is plus", &["a=1+1"], &[("a", "1+1")]);
        check(
            "percent",
            &["%C3%A9t%c3%a9=Am%C3%A9lie%2C%20%3D"],
            &[("\u{e9}t\u{e9}", "Am\u{e9}lie, =")],
        );
        check(
            "percent for itself",
            &["a=100%,b=%zz%4,c=%%41"],
            &[("a", "100%"), ("b", "%zz%4"), ("c", "%A")],
        );
        check("not UTF-8", &["a=%ff%41"], &[("a", "\u{fffd}A")]);
        check(
            "line ends",
            &["a=1%0D%0AX-Evil:%201"],
            &[("a", "1\r\nX-Evil: 1")],
        );
        for bad in [
            "a", "=", "=1", "a=", "a=1,", ",a=1", "a=1,,b=2", "a=1,b", "a=1, =2", "a=1,b= ",
        ] {
            check(bad, &[bad], &[]);
            check("with it goes the rest", &["z=1", bad], &[]);
        }
    }

    fn numbered(count: usize) -> Vec<(String, String)> {
        (0..count)
            .map(|n| (format!("key{n}"), "value".to_string()))
            .collect()
    }

    fn listed(baggage: &[(String, String)]) -> String {
        let items: Vec<String> = baggage
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        items.join(",")
    }

    #[test]
    fn what_is_over_a_limit_is_cut_when_read() {
        let all = numbered(1_000);
        assert_eq!(read_all(&[&listed(&all)], LIMITS), all[..64]);
        let cut_off = format!("{},malformed", listed(&all[..64]));
        assert_eq!(
            read_all(&[&cut_off], LIMITS),
            all[..64],
            "nobody looks behind the limit"
        );
        let list = listed(&all[..3]);
        for (bytes, items) in [
            (list.len(), 3),
            (list.len() - 1, 2),
            (11, 1),
            (10, 1),
            (9, 0),
            (0, 0),
        ] {
            assert_eq!(
                read_all(&[&list], Limits { bytes, ..LIMITS }),
                all[..items],
                "{bytes}"
            );
        }
        assert_eq!(
            read_all(
                &["key0=value", "key1=value"],
                Limits {
                    bytes: 21,
                    ..LIMITS
                }
            ),
            all[..2]
        );
        assert_eq!(
            read_all(
                &["key0=value", "key1=value"],
                Limits {
                    bytes: 20,
                    ..LIMITS
                }
            ),
            all[..1]
        );
        assert_eq!(read_all(&[&list], Limits { items: 0, ..LIMITS }), []);
        let huge = format!("a=1,b={}", "x".repeat(1 << 20));
        assert_eq!(
            read_all(&[&huge], LIMITS),
            [("a".to_string(), "1".to_string())]
        );
    }

    fn written(baggage: &[(String, String)], limits: Limits) -> Option<String> {
        let mut headers = Vec::new();
        inject(baggage, limits, &mut headers);
        let (name, value) = headers.pop()?;
        assert_eq!((name, headers.len()), ("baggage", 0));
        Some(value)
    }

    #[track_caller]
    fn check_written(rule: &str, pairs: &[(&str, &str)], expected: Option<&str>) {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect();
        assert_eq!(written(&pairs, LIMITS).as_deref(), expected, "{rule}");
    }

    #[test]
    fn pairs_are_written_so_that_they_come_back_the_same() {
        check_written("none", &[], None);
        check_written("two", &[("a", "1"), ("b", "2")], Some("a=1,b=2"));
        check_written(
            "a space",
            &[("serverNode", "DF 28")],
            Some("serverNode=DF%2028"),
        );
        check_written(
            "UTF-8",
            &[("userId", "Am\u{e9}lie")],
            Some("userId=Am%C3%A9lie"),
        );
        check_written(
            "separators",
            &[("\",;\\()/:<=>?@[]{}", "\",;\\")],
            Some("%22%2C%3B%5C%28%29%2F%3A%3C%3D%3E%3F%40%5B%5D%7B%7D=%22%2C%3B%5C"),
        );
        check_written(
            "a value's own",
            &[("a", "()/:<>?@[]{}")],
            Some("a=()/:<>?@[]{}"),
        );
        check_written(
            "percent",
            &[("a%41", "100%41=")],
            Some("a%2541=100%2541%3D"),
        );
        check_written(
            "line ends",
            &[("a\r\n", "1\r\nX-Evil: 1\0")],
            Some("a%0D%0A=1%0D%0AX-Evil:%201%00"),
        );
        check_written(
            "half a pair",
            &[("", "1"), ("a", ""), ("b", "2")],
            Some("b=2"),
        );
    }

    #[test]
    fn what_is_over_a_limit_is_left_out_when_written() {
        let all = numbered(66);
        assert_eq!(written(&all, LIMITS), Some(listed(&all[..64])));
        assert_eq!(written(&all, Limits { items: 0, ..LIMITS }), None);
        let list = listed(&all[..2]);
        for (bytes, items) in [(list.len(), 2), (list.len() - 1, 1), (10, 1)] {
            let expected = Some(listed(&all[..items]));
            assert_eq!(
                written(&all[..2], Limits { bytes, ..LIMITS }),
                expected,
                "{bytes}"
            );
        }
        assert_eq!(written(&all, Limits { bytes: 9, ..LIMITS }), None);
        let spaces = [("a".to_string(), "  ".to_string())];
        assert_eq!(written(&spaces, Limits { bytes: 7, ..LIMITS }), None);
        assert_eq!(
            written(&spaces, Limits { bytes: 8, ..LIMITS }).as_deref(),
            Some("a=%20%20")
        );
    }
}
