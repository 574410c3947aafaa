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
        let bit = 1 << (likeness(name) % 64);
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

fn likeness(name: &str) -> usize {
    let (first, last) = (name.as_bytes().first(), name.as_bytes().last());
    name.len() + usize::from(*first.unwrap_or(&0)) * 7 + usize::from(*last.unwrap_or(&0)) * 29
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
/// (Datadog docs, "Attributes and aliasing" and "Pipelines", the preprocessing of JSON logs).
const OURS: [&str; 33] = [
    "timestamp",
    "status",
    "message",
    "service",
    "ddsource",
    "logger.name",
    "logger.thread_name",
    "dd.trace_id",
    "dd.span_id",
    "dd.service",
    "dd.env",
    "dd.version",
    "error.kind",
    "error.message",
    "error.stack",
    "truncated",
    "host",
    "hostname",
    "syslog.hostname",
    "source",
    "ddtags",
    "date",
    "@timestamp",
    "_timestamp",
    "Timestamp",
    "eventTime",
    "published_date",
    "severity",
    "level",
    "syslog.severity",
    "syslog.timestamp",
    "trace_id",
    "span_id",
];

/// A bit for the ends and the length of each of our keys.
const OURS_LIKE: u64 = {
    let (mut bits, mut at) = (0, 0);
    while at < OURS.len() {
        bits |= like_ours(OURS[at].as_bytes());
        at += 1;
    }
    bits
};

const fn like_ours(name: &[u8]) -> u64 {
    match name {
        [] => 0,
        [only] => 1 << (*only % 64),
        [first, .., last] => 1 << ((*first as usize + 5 * name.len() + 29 * *last as usize) % 64),
    }
}

/// Few names are compared in whole: most of a program's own begin otherwise, or have another length.
fn is_ours(name: &str) -> bool {
    OURS_LIKE & like_ours(name.as_bytes()) != 0 && OURS.contains(&name)
}
