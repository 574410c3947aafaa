//! One record to one line of JSON.
//!
//! Key names: Datadog docs, "Log attributes and aliasing" and "Correlating logs and traces".
//! Escapes: RFC 8259, by way of serde_json; a line feed inside a text never ends the line.

use std::cell::Cell;

use chrono::{DateTime, Datelike, Timelike};

use super::fields::push_fields;
use super::pen::Pen;
use super::record::{Level, Record};
use super::text::{
    escaped_len, push_hex, push_name, push_stack, push_string, push_text, push_u64, two_digits,
};
use crate::identity::Identity;

/// No line is longer, its line feed included. Intake takes 1 MB, but the Agent and container
/// runtimes cut earlier, and a JSON line that is cut is no JSON.
pub const LINE_BYTES_MAX: usize = 64 << 10;

/// What every line of a process says alike, escaped once.
#[derive(Clone, Debug)]
pub struct Static {
    source: Vec<u8>,
    unified: Vec<u8>,
}

impl Static {
    /// Takes service, env and version; empty ones leave their keys out.
    pub fn new(identity: &Identity) -> Static {
        let source = [("service", identity.service.as_str()), ("ddsource", "rust")];
        let unified = [
            ("dd.service", identity.service.as_str()),
            ("dd.env", identity.env.as_str()),
            ("dd.version", identity.version.as_str()),
        ];
        Static {
            source: pairs_of(&source),
            unified: pairs_of(&unified),
        }
    }
}

fn pairs_of(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut room = vec![0; pairs.len() * (IDENTITY_CHARS_MAX * 6 + 32)];
    let mut out = Pen::new(&mut room);
    for (key, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        let end = value.char_indices().nth(IDENTITY_CHARS_MAX);
        push_name(&mut out, key);
        push_string(&mut out, &value[..end.map_or(value.len(), |(at, _)| at)]);
    }
    let length = out.at();
    room.truncate(length);
    room
}

/// Appends one line. Keys stand in a fixed order and none twice.
///
/// A line over [`LINE_BYTES_MAX`] is cut inside its fields and says `"truncated":true`: first the
/// stack, which keeps head and tail, then the message, then what else is longer than its share.
pub fn encode(out: &mut Vec<u8>, stamp_unix_ns: u64, fixed: &Static, record: &Record<'_>) {
    let mut room = Vec::new();
    out.extend_from_slice(encode_in(&mut room, stamp_unix_ns, fixed, record));
}

/// Encodes one line at the start of `room`, which grows as it must and is kept for the next line.
pub(super) fn encode_in<'a>(
    room: &'a mut Vec<u8>,
    stamp_unix_ns: u64,
    fixed: &Static,
    record: &Record<'_>,
) -> &'a [u8] {
    let line = Line {
        stamp_unix_ns,
        fixed,
        record,
    };
    if room.len() < ROOM_BYTES_MIN {
        room.resize(ROOM_BYTES_MIN, 0);
    }
    let mut pen = Pen::new(room);
    line.write(&mut pen, &WHOLE);
    let (fits, bytes) = (pen.fits(), pen.at());
    if fits {
        return &room[..bytes];
    }
    room.resize(LINE_BYTES_MAX, 0);
    let mut pen = Pen::new(room);
    line.write(&mut pen, &WHOLE);
    if !pen.fits() {
        pen.back_to(0);
        line.write_cut(&mut pen);
    }
    let bytes = pen.at();
    &room[..bytes]
}

/// Most lines fit in it.
const ROOM_BYTES_MIN: usize = 4 << 10;

/// The level of a line that was encoded here: its status stands at one place in every line, and no two
/// begin alike.
pub(super) fn level_of(line: &[u8]) -> Level {
    match line.get(STATUS_AT) {
        Some(b'd') => Level::Debug,
        Some(b'w') => Level::Warn,
        Some(b'e') => Level::Error,
        Some(b'c') => Level::Critical,
        _ => Level::Info,
    }
}

/// Behind `{"timestamp":"2026-11-22T10:48:22.616Z","status":"`.
const STATUS_AT: usize = 50;

/// Escaped bytes that parts of a line may take.
struct Room {
    message: usize,
    stack: usize,
    name: usize,
    error: usize,
    fields: usize,
    cut: bool,
}

const WHOLE: Room = Room {
    message: usize::MAX,
    stack: usize::MAX,
    name: usize::MAX,
    error: usize::MAX,
    fields: usize::MAX,
    cut: false,
};

/// With these shares all but message and stack stays under 40 KB, so those always have room.
const SHARES: Room = Room {
    message: 0,
    stack: 0,
    name: 1 << 10,
    error: 8 << 10,
    fields: 16 << 10,
    cut: true,
};

/// The stack is cut down to this before the message is touched.
const STACK_BYTES_MIN: usize = 8 << 10;

/// Datadog keeps 200 characters of a tag's value.
const IDENTITY_CHARS_MAX: usize = 200;

struct Line<'a> {
    stamp_unix_ns: u64,
    fixed: &'a Static,
    record: &'a Record<'a>,
}

impl Line<'_> {
    fn write(&self, out: &mut Pen<'_>, room: &Room) {
        let record = self.record;
        out.put(b"{\"timestamp\":\"");
        push_stamp(out, self.stamp_unix_ns);
        match record.level {
            Level::Debug => out.put(b"\",\"status\":\"debug\",\"message\":"),
            Level::Info => out.put(b"\",\"status\":\"info\",\"message\":"),
            Level::Warn => out.put(b"\",\"status\":\"warn\",\"message\":"),
            Level::Error => out.put(b"\",\"status\":\"error\",\"message\":"),
            Level::Critical => out.put(b"\",\"status\":\"critical\",\"message\":"),
        }
        push_text(out, record.message, room.message);
        out.put_all(&self.fixed.source);
        if !record.logger.is_empty() {
            out.put(b",\"logger.name\":");
            push_text(out, record.logger, room.name);
        }
        if !record.thread.is_empty() {
            out.put(b",\"logger.thread_name\":");
            push_text(out, record.thread, room.name);
        }
        push_ids(out, record);
        out.put_all(&self.fixed.unified);
        let all = push_fields(out, record.fields, room.fields);
        push_error(out, record, room);
        if room.cut || !all {
            out.put(b",\"truncated\":true");
        }
        out.put(b"}\n");
    }

    /// Measures what stands beside message and stack, and shares the rest out between the two.
    fn write_cut(&self, out: &mut Pen<'_>) {
        self.write(out, &SHARES);
        let rest = LINE_BYTES_MAX - out.at();
        out.back_to(0);
        let message = escaped_len(self.record.message);
        let stack = escaped_len(self.record.error_stack.unwrap_or(""));
        let stack = stack.min(rest.saturating_sub(message).max(STACK_BYTES_MIN));
        let room = Room {
            message: rest - stack,
            stack,
            ..SHARES
        };
        self.write(out, &room);
    }
}

thread_local! {
    /// The last second that was written, and its text: the calendar is asked once a second.
    static SECOND: Cell<(u64, [u8; SECOND_BYTES])> = const { Cell::new((u64::MAX, [0; SECOND_BYTES])) };
}

/// `2026-11-22T10:48:22`.
const SECOND_BYTES: usize = 19;

/// RFC 3339 in UTC with milliseconds.
fn push_stamp(out: &mut Pen<'_>, unix_ns: u64) {
    let second = unix_ns / 1_000_000_000;
    let (kept, mut text) = SECOND.get();
    if kept != second {
        text = second_text(second);
        SECOND.set((second, text));
    }
    let milliseconds = (unix_ns / 1_000_000 % 1_000) as u32;
    let [b, c] = two_digits(milliseconds);
    let mut whole = [b'Z'; SECOND_BYTES + 5];
    whole[..SECOND_BYTES].copy_from_slice(&text);
    whole[SECOND_BYTES..SECOND_BYTES + 4].copy_from_slice(&[b'.', hundreds(milliseconds), b, c]);
    out.put(&whole);
}

fn hundreds(milliseconds: u32) -> u8 {
    two_digits(milliseconds / 100)[1]
}

fn second_text(second: u64) -> [u8; SECOND_BYTES] {
    let seconds = i64::try_from(second).expect("u64 nanoseconds / 10^9 fits i64");
    let stamp = DateTime::from_timestamp(seconds, 0).expect("u64 nanoseconds end in 2554");
    let year = stamp.year().unsigned_abs();
    let parts = [
        (0, year / 100),
        (2, year % 100),
        (5, stamp.month()),
        (8, stamp.day()),
        (11, stamp.hour()),
        (14, stamp.minute()),
        (17, stamp.second()),
    ];
    let mut text = *b"0000-00-00T00:00:00";
    for (at, number) in parts {
        text[at..at + 2].copy_from_slice(&two_digits(number));
    }
    text
}

/// Decimal, save a 128-bit trace id, which is 32 hex digits; that is how the backend joins logs
/// to traces (Datadog docs, "Correlating logs and traces").
fn push_ids(out: &mut Pen<'_>, record: &Record<'_>) {
    if record.trace_id != 0 {
        out.put(b",\"dd.trace_id\":\"");
        match u64::try_from(record.trace_id) {
            Ok(low) => push_u64(out, low),
            Err(_) => push_hex(out, record.trace_id),
        }
        out.put(b"\"");
    }
    if record.span_id != 0 {
        out.put(b",\"dd.span_id\":\"");
        push_u64(out, record.span_id);
        out.put(b"\"");
    }
}

fn push_error(out: &mut Pen<'_>, record: &Record<'_>, room: &Room) {
    if let Some(kind) = record.error_kind {
        out.put(b",\"error.kind\":");
        push_text(out, kind, room.error);
    }
    if let Some(message) = record.error_message {
        out.put(b",\"error.message\":");
        push_text(out, message, room.error);
    }
    if let Some(stack) = record.error_stack {
        out.put(b",\"error.stack\":");
        push_stack(out, stack, room.stack);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::FIELDS_MAX;
    use super::super::record::Value;
    use super::super::text::GAP;
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value as Json;

    const STAMP: u64 = 1_795_344_502_616_999_999;
    const HEAD: &str = r#"{"timestamp":"2026-11-22T10:48:22.616Z","status":"info","message":"#;
    const UNIFIED: &str = r#","dd.service":"shop","dd.env":"dev","dd.version":"0.1"}"#;

    fn fixed() -> Static {
        Static::new(&Identity {
            service: "shop".into(),
            env: "dev".into(),
            version: "0.1".into(),
            ..Identity::default()
        })
    }

    /// The line without its line feed, parsed too. Every line passes here.
    #[track_caller]
    fn line(rule: &str, record: &Record<'_>) -> (String, Json) {
        let mut out = b"before".to_vec();
        encode(&mut out, STAMP, &fixed(), record);
        assert!(
            out.len() - 6 <= LINE_BYTES_MAX,
            "{rule}: {} bytes",
            out.len() - 6
        );
        let text = String::from_utf8(out.split_off(6)).unwrap();
        let text = text.strip_suffix('\n').unwrap().to_string();
        assert!(!text.contains('\n'), "{rule}: {text}");
        let json: Json = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{rule}: {e}"));
        (text, json)
    }

    #[track_caller]
    fn check(rule: &str, record: &Record<'_>, bytes: &str) {
        assert_eq!(line(rule, record).0, bytes, "{rule}");
    }

    /// An info record of no message with these fields.
    #[track_caller]
    fn check_fields(rule: &str, fields: &[(&str, Value<'_>)], bytes: &str) {
        let record = Record {
            fields,
            ..Record::new(Level::Info, "")
        };
        let unified = UNIFIED.strip_suffix('}').unwrap();
        let whole = format!(r#"{HEAD}"","service":"shop","ddsource":"rust"{unified}{bytes}}}"#);
        check(rule, &record, &whole);
    }

    #[test]
    fn a_full_record_has_every_key_in_order() {
        let record = Record {
            level: Level::Critical,
            message: "no stock",
            logger: "shop.cart",
            thread: "worker-1",
            trace_id: 0x6745_2301_0000_0000_0000_0000_0000_00ff,
            span_id: u64::MAX,
            error_kind: Some("StockError"),
            error_message: Some("0 left"),
            error_stack: Some("a\n  b"),
            fields: &[
                ("http.method", Value::Str("GET")),
                ("duration", Value::U64(12)),
            ],
        };
        check(
            "every key",
            &record,
            "{\"timestamp\":\"2026-11-22T10:48:22.616Z\",\"status\":\"critical\",\
             \"message\":\"no stock\",\"service\":\"shop\",\"ddsource\":\"rust\",\
             \"logger.name\":\"shop.cart\",\"logger.thread_name\":\"worker-1\",\
             \"dd.trace_id\":\"674523010000000000000000000000ff\",\
             \"dd.span_id\":\"18446744073709551615\",\"dd.service\":\"shop\",\"dd.env\":\"dev\",\
             \"dd.version\":\"0.1\",\"http.method\":\"GET\",\"duration\":12,\
             \"error.kind\":\"StockError\",\"error.message\":\"0 left\",\"error.stack\":\"a\\n  b\"}",
        );
    }

    #[test]
    fn messages_are_escaped() {
        let rows = [
            ("empty", "", r#""""#),
            ("quote and backslash", r#"a"b\c"#, r#""a\"b\\c""#),
            ("line breaks", "a\r\nb\u{2028}c", "\"a\\r\\nb\u{2028}c\""),
            (
                "control characters",
                "\0\x08\t\x0c\x1f\x7f",
                "\"\\u0000\\b\\t\\f\\u001f\x7f\"",
            ),
            ("four bytes", "😀é", "\"😀é\""),
            ("JSON inside", r#"{"a":1}"#, r#""{\"a\":1}""#),
        ];
        for (rule, message, bytes) in rows {
            let whole = format!(r#"{HEAD}{bytes},"service":"shop","ddsource":"rust"{UNIFIED}"#);
            check(rule, &Record::new(Level::Info, message), &whole);
            let (_, json) = line(rule, &Record::new(Level::Info, message));
            assert_eq!(json["message"], message, "{rule}");
        }
    }

    #[test]
    fn ids_are_decimal_unless_they_need_128_bits() {
        type Row = (
            &'static str,
            u128,
            u64,
            Option<&'static str>,
            Option<&'static str>,
        );
        let rows: [Row; 5] = [
            ("none", 0, 0, None, None),
            ("64 bits", 7, 9, Some("7"), Some("9")),
            (
                "the largest of 64",
                u128::from(u64::MAX),
                1,
                Some("18446744073709551615"),
                Some("1"),
            ),
            (
                "the smallest above",
                1 << 64,
                1,
                Some("00000000000000010000000000000000"),
                Some("1"),
            ),
            ("a trace without a span", 7, 0, Some("7"), None),
        ];
        for (rule, trace_id, span_id, trace, span) in rows {
            let record = Record {
                trace_id,
                span_id,
                ..Record::new(Level::Info, "")
            };
            let (_, json) = line(rule, &record);
            assert_eq!(
                json.get("dd.trace_id").and_then(Json::as_str),
                trace,
                "{rule}"
            );
            assert_eq!(
                json.get("dd.span_id").and_then(Json::as_str),
                span,
                "{rule}"
            );
        }
    }

    #[test]
    fn fields_are_typed_and_never_repeat_a_key() {
        use Value::{Bool, F64, I64, Str, U64};
        check_fields("none", &[], "");
        check_fields(
            "every type",
            &[
                ("s", Str("a\"")),
                ("u", U64(u64::MAX)),
                ("i", I64(-1)),
                ("f", F64(0.5)),
                ("b", Bool(true)),
            ],
            r#","s":"a\"","u":18446744073709551615,"i":-1,"f":0.5,"b":true"#,
        );
        check_fields(
            "what is not finite is null",
            &[
                ("n", F64(f64::NAN)),
                ("p", F64(f64::INFINITY)),
                ("m", F64(f64::NEG_INFINITY)),
            ],
            r#","n":null,"p":null,"m":null"#,
        );
        check_fields(
            "a large float has an exponent",
            &[("f", F64(1e300))],
            r#","f":1e+300"#,
        );
        check_fields(
            "one of ours",
            &[("status", Str("x"))],
            r#","extra.status":"x""#,
        );
        check_fields(
            "one of ours that the line leaves out",
            &[("dd.trace_id", U64(1)), ("truncated", Bool(false))],
            r#","extra.dd.trace_id":1,"extra.truncated":false"#,
        );
        check_fields(
            "the first of two stands",
            &[("a", U64(1)), ("a", U64(2))],
            r#","a":1"#,
        );
        check_fields(
            "a prefixed name against a given one",
            &[
                ("extra.status", U64(1)),
                ("status", U64(2)),
                ("extra.a", U64(3)),
                ("a", U64(4)),
            ],
            r#","extra.status":1,"extra.a":3,"a":4"#,
        );
        check_fields(
            "hostile names",
            &[("a\":1,\n", U64(1)), ("", U64(2))],
            r#","a\":1,\n":1,"":2"#,
        );
    }

    #[test]
    fn more_fields_than_the_most_are_left_out_and_said() {
        let names: Vec<String> = (0..=FIELDS_MAX).map(|n| format!("f{n}")).collect();
        let fields: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), Value::U64(0)))
            .collect();
        for (count, truncated) in [(FIELDS_MAX, false), (FIELDS_MAX + 1, true)] {
            let record = Record {
                fields: &fields[..count],
                ..Record::new(Level::Info, "")
            };
            let (_, json) = line("fields", &record);
            assert_eq!(json.get("truncated").is_some(), truncated, "{count}");
            assert!(json.get("f127").is_some() && json.get("f128").is_none());
        }
    }

    #[test]
    fn an_identity_without_values_leaves_its_keys_out_and_a_long_one_is_cut() {
        let mut out = Vec::new();
        let long = Identity {
            env: "é".repeat(201),
            ..Identity::default()
        };
        encode(
            &mut out,
            0,
            &Static::new(&long),
            &Record::new(Level::Debug, "m"),
        );
        let bytes = format!(
            "{{\"timestamp\":\"1970-01-01T00:00:00.000Z\",\"status\":\"debug\",\"message\":\"m\",\
             \"ddsource\":\"rust\",\"dd.env\":\"{}\"}}\n",
            "é".repeat(200)
        );
        assert_eq!(String::from_utf8(out).unwrap(), bytes);
    }

    #[test]
    fn the_level_of_a_line_is_read_from_it() {
        for stamp in [0, STAMP, u64::MAX] {
            for level in Level::ALL {
                let mut out = Vec::new();
                encode(&mut out, stamp, &fixed(), &Record::new(level, ""));
                assert_eq!(level_of(&out), level);
            }
        }
        assert_eq!(level_of(b"no line"), Level::Info);
    }

    #[test]
    fn stamps_know_the_calendar() {
        let rows = [
            (
                "a leap day",
                1_709_164_800_000_000_000,
                "2024-02-29T00:00:00.000Z",
            ),
            (
                "the last millisecond",
                1_735_689_599_999_999_999,
                "2024-12-31T23:59:59.999Z",
            ),
            ("the end", u64::MAX, "2554-07-21T23:34:33.709Z"),
        ];
        for (rule, stamp, text) in rows {
            let mut room = [0; 24];
            push_stamp(&mut Pen::new(&mut room), stamp);
            assert_eq!(String::from_utf8_lossy(&room), text, "{rule}");
        }
    }

    #[test]
    fn a_line_at_the_limit_is_whole_and_one_byte_more_is_cut() {
        let (empty, _) = line("empty", &Record::new(Level::Info, ""));
        let room = LINE_BYTES_MAX - 1 - empty.len();
        for (over, cut) in [(0, false), (1, true)] {
            let message = "x".repeat(room + over);
            let (text, json) = line("limit", &Record::new(Level::Info, &message));
            assert_eq!(text.len(), LINE_BYTES_MAX - 1, "the room is used in full");
            assert_eq!(json.get("truncated").is_some(), cut);
            assert_eq!(json["message"].as_str().unwrap() == message, !cut);
        }
    }

    #[test]
    fn the_stack_is_cut_first_and_keeps_both_ends() {
        let stack = format!("first\n{}\nlast", "\u{1}é".repeat(40_000));
        let message = "m".repeat(20_000);
        let record = Record {
            error_stack: Some(&stack),
            ..Record::new(Level::Error, &message)
        };
        let (_, json) = line("stack", &record);
        let kept = json["error.stack"].as_str().unwrap();
        assert_eq!(json["message"], *message);
        assert_eq!(json["truncated"], true);
        assert!(kept.starts_with("first\n") && kept.ends_with("\nlast") && kept.contains(GAP));
    }

    #[test]
    fn whatever_is_too_long_the_line_stays_json_under_the_limit() {
        let texts = ["x", "\0", "😀", "\"", "é\n"].map(|text| text.repeat(70_000));
        for text in &texts {
            let fields = [
                ("a", Value::Str(text)),
                (text.as_str(), Value::U64(1)),
                ("b", Value::U64(2)),
            ];
            let none = Record::new(Level::Info, "short");
            let records = [
                Record {
                    message: text,
                    ..none
                },
                Record {
                    logger: text,
                    ..none
                },
                Record {
                    thread: text,
                    ..none
                },
                Record {
                    error_kind: Some(text),
                    ..none
                },
                Record {
                    error_message: Some(text),
                    ..none
                },
                Record {
                    error_stack: Some(text),
                    ..none
                },
                Record {
                    fields: &fields,
                    ..none
                },
                Record {
                    message: text,
                    logger: text,
                    thread: text,
                    trace_id: u128::MAX,
                    span_id: u64::MAX,
                    error_kind: Some(text),
                    error_message: Some(text),
                    error_stack: Some(text),
                    fields: &fields,
                    ..none
                },
            ];
            for record in records {
                let (_, json) = line("too long", &record);
                assert_eq!(json["truncated"], true);
                assert!(
                    record
                        .message
                        .starts_with(json["message"].as_str().unwrap())
                );
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_text_comes_back_as_it_was(message in any::<String>(), stack in "(?s).{0,200}") {
            let record = Record { error_stack: Some(&stack), ..Record::new(Level::Warn, &message) };
            let (_, json) = line("any", &record);
            prop_assert_eq!(json["message"].as_str().unwrap(), message);
            prop_assert_eq!(json["error.stack"].as_str().unwrap(), stack);
        }
    }
}
