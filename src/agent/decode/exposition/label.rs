//! Labels between braces, and what a backslash means.

use std::borrow::Cow;

use super::format::Format;

pub(super) type Labels<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// Reads on behind `{`; gives what follows `}`. 0.0.4 allows blanks around every token and a comma at the end.
pub(super) fn labels(mut rest: &str, format: Format) -> Result<(Labels<'_>, &str), &'static str> {
    let trim = |text| trimmed_start(text, format);
    let mut labels: Labels<'_> = Vec::new();
    loop {
        rest = trim(rest);
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (name, after) = rest.split_once('=').ok_or("a label without `=`")?;
        let name = match format {
            Format::Text => name.trim_end(),
            Format::OpenMetrics => name,
        };
        if !is_label_name(name) {
            return Err("not a label name");
        }
        let after = trim(after)
            .strip_prefix('"')
            .ok_or("a label value without quotes")?;
        let end = closing_quote(after).ok_or("a label value without its closing quote")?;
        labels.push((name, unescaped(&after[..end])));
        rest = trim(&after[end + 1..]);
        match (rest.strip_prefix(','), rest.starts_with('}')) {
            (Some(after), _) if format == Format::OpenMetrics && after.starts_with('}') => {
                return Err("a comma behind the last label");
            }
            (Some(after), _) => rest = after,
            (None, true) => {}
            (None, false) => return Err("neither `,` nor `}` after a label"),
        }
    }
}

fn trimmed_start(text: &str, format: Format) -> &str {
    match format {
        Format::Text => text.trim_start(),
        Format::OpenMetrics => text,
    }
}

fn is_label_name(name: &str) -> bool {
    let rest = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(rest)
}

/// Letters, digits, `_` and `:`, no digit first.
pub(super) fn is_metric_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(is_name_char)
}

pub(super) fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

/// Line break, backslash and quote; a backslash before anything else is itself.
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
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
