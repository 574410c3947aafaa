//! The fields of a record that are its caller's own: no key comes twice, and none of ours is taken.

use super::pen::Pen;
use super::record::Value;
use super::text::{
    escaped_len, push_f64, push_i64, push_name, push_scalar, push_string, push_text, push_u64,
};

/// Datadog indexes fewer than 256 attributes; each is also compared with those before it.
pub(super) const FIELDS_MAX: usize = 128;

/// Stands before the name of a field that is named like a key of ours.
const PREFIX: &str = "extra.";

/// Returns whether all fields stand in the line in whole.
pub(super) fn push_fields(out: &mut Pen<'_>, fields: &[(&str, Value<'_>)], room: usize) -> bool {
    let start = out.at();
    let mut all = fields.len() <= FIELDS_MAX;
    // A bit for each length and beginning seen: what shares its bit with none is like none before it.
    let (mut seen, mut prefixed) = (0_u64, false);
    for (at, (name, value)) in fields.iter().take(FIELDS_MAX).enumerate() {
        let bit = 1 << (likeness(name.as_bytes()) % 64);
        prefixed |= name.starts_with(PREFIX);
        if (prefixed || seen & bit != 0) && stands_already(&fields[..at], name) {
            continue;
        }
        seen |= bit;
        if room == usize::MAX {
            push_field(out, name, *value);
        } else {
            let left = room.saturating_sub(out.at() - start);
            all &= push_field_within(out, (name, *value), left);
        }
    }
    all
}

/// By the length and the ends; the factors are such that Datadog's `http.*`, `db.*`, `network.*` and common words
/// share a place with none of ours.
const fn likeness(name: &[u8]) -> usize {
    let ends = match name {
        [] => 0,
        [first, ..] => *first as usize * 5 + name[name.len() - 1] as usize * 13,
    };
    name.len() * 13 + ends
}

fn stands_already(before: &[(&str, Value<'_>)], name: &str) -> bool {
    before
        .iter()
        .any(|(other, _)| *other == name || same_key(other, name))
}

#[inline]
fn push_field(out: &mut Pen<'_>, name: &str, value: Value<'_>) {
    push_field_name(out, name);
    match value {
        Value::Str(text) => push_string(out, text),
        Value::U64(number) => push_u64(out, number),
        Value::I64(number) => push_i64(out, number),
        Value::F64(number) => push_f64(out, number),
        Value::Bool(flag) => push_scalar(out, &flag),
    }
}

fn push_field_within(out: &mut Pen<'_>, (name, value): (&str, Value<'_>), room: usize) -> bool {
    /// A comma, a colon, four quotes, `extra.`, and the longest number.
    const FRAME_BYTES_MAX: usize = 48;
    if escaped_len(name).saturating_add(FRAME_BYTES_MAX) > room {
        return false;
    }
    let Value::Str(text) = value else {
        push_field(out, name, value);
        return true;
    };
    let start = out.at();
    push_field_name(out, name);
    push_text(out, text, room.saturating_sub(out.at() - start + 2))
}

#[inline]
fn push_field_name(out: &mut Pen<'_>, name: &str) {
    if is_ours(name) {
        // None of ours has anything to escape.
        out.put(b",\"extra.");
        out.put_all(name.as_bytes());
        out.put(b"\":");
    } else {
        push_name(out, name);
    }
}

/// Whether two different field names become the same key.
fn same_key(one: &str, other: &str) -> bool {
    let prefixed = |key: &str, name: &str| key.strip_prefix(PREFIX) == Some(name) && is_ours(name);
    prefixed(one, other) || prefixed(other, one)
}

/// What a line says itself, and what Datadog reads as its host, time, status, tags or trace, whoever wrote it
/// (Datadog docs, "Attributes and aliasing" and "Pipelines", the preprocessing of JSON logs); by length.
const fn ours(length: usize) -> &'static [&'static str] {
    match length {
        4 => &["host", "date"],
        5 => &["level"],
        6 => &["status", "dd.env", "source", "ddtags"],
        7 => &["message", "service", "span_id"],
        8 => &["ddsource", "hostname", "severity", "trace_id"],
        9 => &["timestamp", "truncated", "Timestamp", "eventTime"],
        10 => &[
            "dd.span_id",
            "dd.service",
            "dd.version",
            "error.kind",
            "@timestamp",
            "_timestamp",
        ],
        11 => &["logger.name", "dd.trace_id", "error.stack"],
        13 => &["error.message"],
        14 => &["published_date"],
        15 => &["syslog.hostname", "syslog.severity"],
        16 => &["syslog.timestamp"],
        18 => &["logger.thread_name"],
        _ => &[],
    }
}

const LENGTH_MAX: usize = 18;

/// A bit for the ends and the length of each of our keys.
const OURS_LIKE: [u64; 4] = {
    let (mut bits, mut length) = ([0; 4], 0);
    while length <= LENGTH_MAX {
        let (names, mut at) = (ours(length), 0);
        while at < names.len() {
            let place = likeness(names[at].as_bytes()) % 256;
            bits[place / 64] |= 1 << (place % 64);
            at += 1;
        }
        length += 1;
    }
    bits
};

/// Most names of a program's own are seen not to be ours by two of their bytes.
fn is_ours(name: &str) -> bool {
    let place = likeness(name.as_bytes()) % 256;
    OURS_LIKE[place / 64] >> (place % 64) & 1 == 1 && ours(name.len()).contains(&name)
}
