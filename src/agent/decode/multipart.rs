//! Bodies of many parts: multipart/form-data (RFC 7578) in the framing of RFC 2046, section 5.1.1.

use std::fmt;
use std::ops::Range;

/// More parts than a profiler sends by far.
const PARTS_MAX: usize = 16;
/// Bytes of one part's head.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// RFC 2046: "no longer than 70 characters".
const BOUNDARY_BYTES_MAX: usize = 70;

/// One part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// `name` of its `Content-Disposition`.
    pub name: String,
    /// `filename`, or empty.
    pub filename: String,
    /// `Content-Type`, or empty.
    pub content_type: String,
    /// Where its bytes stand in the body.
    pub range: Range<usize>,
}

/// Why a body could not be taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MultipartError {
    /// Another `Content-Type`; holds the one that came.
    ContentType(String),
    /// `Content-Type` lacks a boundary, or has one that RFC 2046 does not allow.
    Boundary,
    /// No part begins.
    NoPart,
    /// The body ends before its closing boundary; holds the part that is open.
    Torn(usize),
    /// What follows the boundary at this byte is neither a line break nor `--`.
    AfterBoundary(usize),
    /// More than 16 parts.
    Parts,
    /// The head of this part is longer than 8,192 bytes.
    HeadLong(usize),
    /// The head of this part is not text, or a line of it has no colon.
    Head(usize),
    /// This part has no `Content-Disposition: form-data` with a name.
    NoName(usize),
}

impl fmt::Display for MultipartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MultipartError::ContentType(found) => {
                write!(f, "Content-Type {found:?}: expected multipart/form-data")
            }
            MultipartError::Boundary => {
                f.write_str("Content-Type has no boundary of 1 to 70 characters")
            }
            MultipartError::NoPart => f.write_str("no part begins with the boundary"),
            MultipartError::Torn(part) => {
                write!(
                    f,
                    "the body ends in part {part}, before the closing boundary"
                )
            }
            MultipartError::AfterBoundary(at) => {
                write!(
                    f,
                    "neither a line break nor `--` after the boundary at byte {at}"
                )
            }
            MultipartError::Parts => write!(f, "more than {PARTS_MAX} parts"),
            MultipartError::HeadLong(part) => {
                write!(f, "the head of part {part} is over {HEAD_BYTES_MAX} bytes")
            }
            MultipartError::Head(part) => {
                write!(f, "the head of part {part} is not lines of `name: value`")
            }
            MultipartError::NoName(part) => {
                write!(f, "part {part} has no Content-Disposition with a name")
            }
        }
    }
}

impl std::error::Error for MultipartError {}

/// Takes a body apart by the boundary that its `Content-Type` names. Parts are counted from 1.
///
/// # Errors
/// [`MultipartError`], which says what is wrong and in which part.
pub fn multipart(content_type: &str, body: &[u8]) -> Result<Vec<Part>, MultipartError> {
    let delimiter = delimiter(content_type)?;
    let mut parts = Vec::new();
    let mut next = after(body, first(body, &delimiter)?, &delimiter, 1)?;
    while let Some(start) = next {
        if parts.len() == PARTS_MAX {
            return Err(MultipartError::Parts);
        }
        let number = parts.len() + 1;
        let end = find(body, start, &delimiter).ok_or(MultipartError::Torn(number))?;
        let (head, content) = head(body, start..end, number)?;
        parts.push(Part {
            range: content..end,
            ..read_head(head, number)?
        });
        next = after(body, end + 2, &delimiter, number)?;
    }
    Ok(parts)
}

/// With the line break in front that belongs to it.
fn delimiter(content_type: &str) -> Result<Vec<u8>, MultipartError> {
    let (media_type, _) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !media_type
        .trim()
        .eq_ignore_ascii_case("multipart/form-data")
    {
        let shown = content_type.floor_char_boundary(200);
        return Err(MultipartError::ContentType(
            content_type[..shown].to_string(),
        ));
    }
    let boundary = parameter(content_type, "boundary").ok_or(MultipartError::Boundary)?;
    let fits = (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len());
    let plain = boundary.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !fits || !plain || boundary.ends_with(' ') {
        return Err(MultipartError::Boundary);
    }
    Ok([b"\r\n--", boundary.as_bytes()].concat())
}

/// Where the first boundary's dashes stand. What comes before it means nothing.
fn first(body: &[u8], delimiter: &[u8]) -> Result<usize, MultipartError> {
    if body.starts_with(&delimiter[2..]) {
        return Ok(0);
    }
    let at = find(body, 0, delimiter).ok_or(MultipartError::NoPart)?;
    Ok(at + 2)
}

fn find(body: &[u8], from: usize, delimiter: &[u8]) -> Option<usize> {
    let mut at = from;
    loop {
        at += body.get(at..)?.iter().position(|byte| *byte == b'\r')?;
        if body[at..].starts_with(delimiter) {
            return Some(at);
        }
        at += 1;
    }
}

/// Where the boundary's line ends, at its line break, if it is not the closing one.
fn after(
    body: &[u8],
    dashes_at: usize,
    delimiter: &[u8],
    number: usize,
) -> Result<Option<usize>, MultipartError> {
    let end = dashes_at + delimiter.len() - 2;
    if body[end..].starts_with(b"--") {
        return Ok(None);
    }
    let padding = |byte: &&u8| matches!(**byte, b' ' | b'\t');
    let start = end + body[end..].iter().take_while(padding).count();
    match &body[start..] {
        [b'\r', b'\n', ..] => Ok(Some(start)),
        [] | [b'\r' | b'-'] => Err(MultipartError::Torn(number)),
        _ => Err(MultipartError::AfterBoundary(dashes_at)),
    }
}

/// The head without the line breaks around it, and where the content begins.
fn head(body: &[u8], part: Range<usize>, number: usize) -> Result<(&[u8], usize), MultipartError> {
    let (start, end) = (part.start, part.end);
    let part = &body[part];
    let looked_at = &part[..part.len().min(HEAD_BYTES_MAX + 4)];
    let blank = looked_at.windows(4).position(|four| four == b"\r\n\r\n");
    match blank {
        Some(0) => Err(MultipartError::NoName(number)),
        Some(at) => Ok((&part[2..at], start + at + 4)),
        None if part.len() > looked_at.len() => Err(MultipartError::HeadLong(number)),
        // A head alone: RFC 2046 lets a part end there.
        None if part.len() > 4 && part.ends_with(b"\r\n") => Ok((&part[2..part.len() - 2], end)),
        None => Err(MultipartError::Head(number)),
    }
}

fn read_head(head: &[u8], number: usize) -> Result<Part, MultipartError> {
    let text = std::str::from_utf8(head).map_err(|_| MultipartError::Head(number))?;
    // A line that begins with a blank goes on with the one before it.
    let text = text.replace("\r\n ", " ").replace("\r\n\t", " ");
    let mut part = Part::default();
    let mut named = None;
    for line in text.split("\r\n") {
        let (key, value) = line.split_once(':').ok_or(MultipartError::Head(number))?;
        let value = value.trim();
        if key.eq_ignore_ascii_case("Content-Type") {
            part.content_type = value.to_string();
        } else if key.eq_ignore_ascii_case("Content-Disposition") {
            let kind = value.split(';').next().unwrap_or("").trim();
            if kind.eq_ignore_ascii_case("form-data") {
                named = parameter(value, "name");
            }
            part.filename = parameter(value, "filename").unwrap_or_default();
        }
    }
    part.name = named.ok_or(MultipartError::NoName(number))?;
    Ok(part)
}

/// `value; key=word; key="quoted \" word"`: the first of that key, in any case.
fn parameter(header: &str, wanted: &str) -> Option<String> {
    let (_, mut rest) = header.split_once(';')?;
    loop {
        let (key, after) = rest.split_once('=')?;
        let (value, tail) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let (word, tail) = after.split_once(';').unwrap_or((after, ""));
                (word.trim().to_string(), tail)
            }
        };
        // What has no `=` stands before the key.
        let key = key.rsplit(';').next().unwrap_or("").trim();
        if key.eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = tail;
    }
}

fn unquoted(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            _ => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=b";

    /// Name, filename, type and content of each part, or the error.
    #[track_caller]
    fn check(
        rule: &str,
        (content_type, body): (&str, &[u8]),
        expected: Result<&[[&str; 4]], &str>,
    ) {
        let read = multipart(content_type, body);
        let shown = read.as_ref().map(|parts| {
            let part = |part: &Part| {
                let content = body[part.range.clone()].escape_ascii().to_string();
                let Part {
                    name,
                    filename,
                    content_type,
                    ..
                } = part.clone();
                [name, filename, content_type, content]
            };
            parts.iter().map(part).collect::<Vec<_>>()
        });
        let shown = shown.map_err(ToString::to_string);
        let expected = expected.map(|parts| parts.iter().map(|p| p.map(String::from)).collect());
        assert_eq!(shown, expected.map_err(String::from), "{rule}");
        // Every beginning of it is torn, save that the closing boundary needs no line break.
        if read.is_ok() {
            let closed = body.windows(2).rposition(|two| two == b"--").unwrap_or(0) + 2;
            for end in 0..closed {
                assert!(
                    multipart(content_type, &body[..end]).is_err(),
                    "{rule}: {end}"
                );
            }
        }
    }

    fn part(head: &str, content: &str) -> Vec<u8> {
        format!("--b\r\n{head}\r\n\r\n{content}\r\n--b--").into_bytes()
    }

    #[test]
    fn a_body_is_taken_apart() {
        let event = "Content-Disposition: form-data; name=\"event\"; filename=\"event.json\"\r\nContent-Type: application/json";
        let one = ["event", "event.json", "application/json", "{}"];
        check("one part", (TYPE, &part(event, "{}")), Ok(&[one]));
        let two = b"--b\r\ncontent-disposition: FORM-DATA; name=a\r\n\r\n1\r\n--b\r\nX: y\r\nContent-Disposition: form-data; name=c\r\n\r\n\r\n--b--\r\n";
        check(
            "two, one empty",
            (TYPE, two),
            Ok(&[["a", "", "", "1"], ["c", "", "", ""]]),
        );
        check("none", (TYPE, b"--b--"), Ok(&[]));
        let quoted = "Multipart/Form-Data; charset=utf-8; Boundary=\"b\"; x";
        check(
            "a quoted boundary",
            (quoted, &part(event, "{}")),
            Ok(&[one]),
        );
        let around = b"hello\r\n--b \t\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--b--\r\nbye\r\n";
        check(
            "text around, blanks",
            (TYPE, around),
            Ok(&[["a", "", "", "1"]]),
        );
        let escaped = "Content-Disposition: form-data; name=\"a;\\\"\\\\=\"";
        check(
            "separators in a name",
            (TYPE, &part(escaped, "")),
            Ok(&[["a;\"\\=", "", "", ""]]),
        );
        let folded = "Content-Disposition: form-data;\r\n name=a";
        check(
            "a line that goes on",
            (TYPE, &part(folded, "")),
            Ok(&[["a", "", "", ""]]),
        );
        let named = "Content-Disposition: form-data; name=\u{e9}";
        check(
            "UTF-8",
            (TYPE, &part(named, "")),
            Ok(&[["\u{e9}", "", "", ""]]),
        );
        let content = "\r\n-b\r\n--\r\r\n--a\n--b";
        let shown = "\\r\\n-b\\r\\n--\\r\\r\\n--a\\n--b";
        check(
            "nearly a boundary",
            (TYPE, &part(named, content)),
            Ok(&[["\u{e9}", "", "", shown]]),
        );
        let alone = b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n--b--";
        check("a head alone", (TYPE, alone), Ok(&[["a", "", "", ""]]));
    }

    #[test]
    fn a_content_type_that_will_not_do_is_named() {
        let of_type = |rule, content_type, error| check(rule, (content_type, b"--b--"), Err(error));
        let boundary = "Content-Type has no boundary of 1 to 70 characters";
        of_type(
            "another type",
            "application/json",
            "Content-Type \"application/json\": expected multipart/form-data",
        );
        of_type(
            "no type",
            "",
            "Content-Type \"\": expected multipart/form-data",
        );
        of_type("no boundary", "multipart/form-data", boundary);
        of_type(
            "an empty one",
            "multipart/form-data; boundary=\"\"",
            boundary,
        );
        of_type(
            "an open quote",
            "multipart/form-data; boundary=\"b",
            boundary,
        );
        let longest = format!("multipart/form-data; boundary={}", "b".repeat(70));
        of_type(
            "70 characters",
            &longest,
            "no part begins with the boundary",
        );
        of_type("71 characters", &format!("{longest}b"), boundary);
    }

    #[test]
    fn a_body_that_is_not_in_order_is_named() {
        let of_body = |rule, body: &[u8], error| check(rule, (TYPE, body), Err(error));
        of_body("empty", b"", "no part begins with the boundary");
        of_body(
            "another boundary",
            b"--c\r\n",
            "no part begins with the boundary",
        );
        of_body(
            "no closing one",
            b"--b\r\nA: b\r\n\r\n1",
            "the body ends in part 1, before the closing boundary",
        );
        of_body(
            "a longer boundary",
            b"--bb\r\n",
            "neither a line break nor `--` after the boundary at byte 0",
        );
        of_body(
            "no head",
            b"--b\r\n\r\n1\r\n--b--",
            "part 1 has no Content-Disposition with a name",
        );
        let not_lines = "the head of part 1 is not lines of `name: value`";
        of_body("no blank line", b"--b\r\n1\r\n--b--", not_lines);
        of_body("no line at all", b"--b\r\n--b--", not_lines);
        of_body("no colon", &part("a", ""), not_lines);
        of_body(
            "a head in latin-1",
            b"--b\r\nA: \xe9\r\n\r\n\r\n--b--",
            not_lines,
        );
        let no_name = "part 1 has no Content-Disposition with a name";
        of_body(
            "no name",
            &part("Content-Disposition: form-data", ""),
            no_name,
        );
        of_body(
            "an attachment",
            &part("Content-Disposition: attachment; name=a", ""),
            no_name,
        );
    }

    #[test]
    fn parts_and_heads_are_bounded() {
        let parts = |count: usize| {
            let one = "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n";
            format!("{}--b--", one.repeat(count)).into_bytes()
        };
        check("16 parts", (TYPE, &parts(16)), Ok(&[["a", "", "", ""]; 16]));
        check("17", (TYPE, &parts(17)), Err("more than 16 parts"));
        let head = |bytes: usize| {
            let named = "Content-Disposition: form-data; name=a\r\nX: ";
            part(&format!("{named}{}", "x".repeat(bytes - named.len())), "")
        };
        assert!(multipart(TYPE, &head(8_190)).is_ok());
        let over = "the head of part 1 is over 8192 bytes";
        check("a long head", (TYPE, &head(8_200)), Err(over));
    }
}
