//! One line of a log file by Datadog's reserved attributes and status rules.

use super::cut::{Cuts, cut};
use super::date::unix_us;
use super::json::{Leaf, each_leaf};

/// What the fields of a line may take: its own bytes so many times, and some. A long key around many short ones
/// would else be written out with each of them.
const FIELDS_FACTOR: usize = 8;
const FIELDS_BYTES: usize = 4 << 10;

/// Severity, worst first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// `emergency`
    Emergency,
    /// `alert`
    Alert,
    /// `critical`
    Critical,
    /// `error`
    Error,
    /// `warn`
    Warn,
    /// `notice`
    Notice,
    /// `info`, also where the line names none
    #[default]
    Info,
    /// `debug`
    Debug,
    /// `ok`
    Ok,
}

impl Status {
    /// Its name, lower case.
    pub fn name(self) -> &'static str {
        match self {
            Status::Emergency => "emergency",
            Status::Alert => "alert",
            Status::Critical => "critical",
            Status::Error => "error",
            Status::Warn => "warn",
            Status::Notice => "notice",
            Status::Info => "info",
            Status::Debug => "debug",
            Status::Ok => "ok",
        }
    }

    /// Datadog's rule: a syslog number, else the first letters in any case, else info.
    pub fn of(text: &str) -> Status {
        let text = text.trim();
        if let Ok(number) = text.parse::<u8>() {
            return Status::of_syslog(number);
        }
        let starts = |prefix: &str| {
            text.get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        match text.bytes().next().map(|first| first.to_ascii_lowercase()) {
            Some(b'f') => Status::Emergency,
            Some(b'e') if starts("emerg") => Status::Emergency,
            Some(b'e') if starts("err") => Status::Error,
            Some(b'a') => Status::Alert,
            Some(b'c') => Status::Critical,
            Some(b'w') => Status::Warn,
            Some(b'n') => Status::Notice,
            Some(b'd' | b't' | b'v') => Status::Debug,
            Some(b'o' | b's') => Status::Ok,
            _ => Status::Info,
        }
    }

    /// What a line from a container has by its stream alone, whatever it says (datadog-agent:
    /// pkg/logs/internal/parsers/dockerfile/docker_file.go).
    pub fn of_stream(stream: &str) -> Option<Status> {
        match stream {
            "stdout" => Some(Status::Info),
            "stderr" => Some(Status::Error),
            _ => None,
        }
    }

    fn of_syslog(number: u8) -> Status {
        match number {
            0 => Status::Emergency,
            1 => Status::Alert,
            2 => Status::Critical,
            3 => Status::Error,
            4 => Status::Warn,
            5 => Status::Notice,
            7 => Status::Debug,
            _ => Status::Info,
        }
    }
}

/// One line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogLine {
    /// Whether it was a JSON object.
    pub json: bool,
    /// From `status`, `severity`, `level` or `syslog.severity`.
    pub status: Status,
    /// Its own time, where it has one that can be read.
    pub time_unix_us: Option<u64>,
    /// `message` or `msg`, or the whole line where it is not JSON.
    pub message: String,
    /// `service` or `dd.service`.
    pub service: String,
    /// `logger.name` or a plain `logger`.
    pub logger: String,
    /// Low 64 bits of `dd.trace_id` or `trace_id`; 0 where there is none.
    pub trace_id: u64,
    /// `dd.span_id` or `span_id`; 0 where there is none.
    pub span_id: u64,
    /// `error.kind` or `error.type`.
    pub error_kind: String,
    /// `error.message`.
    pub error_message: String,
    /// `error.stack`.
    pub error_stack: String,
    /// `http.status_code` as text, or empty.
    pub http_status_code: String,
    /// Whether it says of itself that fields were cut: `truncated` is true.
    pub truncated: bool,
    /// All that has no place above, flattened, sorted. Empty in a summary.
    pub fields: Vec<(String, String)>,
}

/// Reads a line in full.
pub fn log_line(line: &str) -> LogLine {
    read(line, Some(Cuts::NONE))
}

/// Reads a line without its [`LogLine::fields`]: what counting needs.
pub fn log_summary(line: &str) -> LogLine {
    read(line, None)
}

/// Reads of a line what is shown of it; nothing longer is built on the way, but for a text with escapes and an array.
pub(in crate::agent) fn log_shown(line: &str, cuts: Cuts) -> LogLine {
    read(line, Some(cuts))
}

/// Without cuts a summary.
fn read(line: &str, cuts: Option<Cuts>) -> LogLine {
    let mut reading = Reading {
        cuts: cuts.unwrap_or(Cuts::NONE),
        with_fields: cuts.is_some(),
        room_bytes: FIELDS_BYTES + FIELDS_FACTOR * line.len(),
        ..Reading::new()
    };
    if !line.trim_start().starts_with('{')
        || each_leaf(line, |path, leaf| reading.see(path, &leaf)).is_err()
    {
        return LogLine {
            message: cut(line, reading.cuts.text_bytes),
            ..LogLine::default()
        };
    }
    let over = reading.over();
    let Reading {
        mut line,
        mut fields,
        status,
        ..
    } = reading;
    if let Some(why) = over {
        fields.push(("\u{2026}".to_string(), why));
    }
    line.json = true;
    line.status = status.map_or(Status::Info, |(_, status)| status);
    line.fields = fields;
    line.fields.sort();
    line
}

struct Reading {
    line: LogLine,
    cuts: Cuts,
    with_fields: bool,
    fields: Vec<(String, String)>,
    /// What further fields may take.
    room_bytes: usize,
    /// Fields that found no room.
    left_out: u64,
    /// With the rank of the attribute that said so: `status` outdoes `level` wherever it stands.
    status: Option<(u8, Status)>,
}

impl Reading {
    fn new() -> Reading {
        Reading {
            line: LogLine::default(),
            cuts: Cuts::NONE,
            with_fields: false,
            fields: Vec::new(),
            room_bytes: 0,
            left_out: 0,
            status: None,
        }
    }

    fn see(&mut self, path: &str, leaf: &Leaf<'_>) {
        let (cuts, line) = (self.cuts, &mut self.line);
        let name = || cut(&leaf.text(), cuts.key_bytes);
        let text = || cut(&leaf.text(), cuts.text_bytes);
        match path {
            "status" => self.status(0, leaf),
            "severity" => self.status(1, leaf),
            "level" => self.status(2, leaf),
            "syslog.severity" => self.status(3, leaf),
            "timestamp" | "date" | "@timestamp" | "_timestamp" | "Timestamp" | "eventTime"
            | "published_date"
                if line.time_unix_us.is_none() =>
            {
                line.time_unix_us = time(leaf);
            }
            "message" | "msg" => line.message = text(),
            "service" => line.service = name(),
            "dd.service" if line.service.is_empty() => line.service = name(),
            "logger.name" | "logger" => line.logger = name(),
            "dd.trace_id" | "trace_id" => line.trace_id = id(leaf),
            "dd.span_id" | "span_id" => line.span_id = id(leaf),
            "error.kind" | "error.type" => line.error_kind = cut(&leaf.text(), cuts.value_bytes),
            "error.message" => line.error_message = text(),
            "error.stack" => line.error_stack = text(),
            _ => {
                match path {
                    "http.status_code" => {
                        line.http_status_code = cut(&leaf.text(), cuts.value_bytes);
                    }
                    "truncated" => line.truncated |= leaf.text() == "true",
                    _ => {}
                }
                if self.with_fields {
                    self.field(path, leaf);
                }
            }
        }
    }

    fn field(&mut self, path: &str, leaf: &Leaf<'_>) {
        if self.fields.len() >= self.cuts.fields_max {
            self.left_out += 1;
            return;
        }
        // A key that stays whole is weighed before it is copied: it may be long, and there may be many.
        let key_bytes = path.len().min(self.cuts.key_bytes);
        let value = leaf.text();
        let value_bytes = value.len().min(self.cuts.value_bytes);
        match self.room_bytes.checked_sub(key_bytes + value_bytes) {
            Some(left) => {
                self.room_bytes = left;
                let key = cut(path, self.cuts.key_bytes);
                self.fields.push((key, cut(&value, self.cuts.value_bytes)));
            }
            None => self.left_out += 1,
        }
    }

    /// What is said of the fields that were left out.
    fn over(&self) -> Option<String> {
        match (self.left_out, self.fields.len() >= self.cuts.fields_max) {
            (0, _) => None,
            (1, true) => Some("1 field more".to_string()),
            (count, true) => Some(format!("{count} fields more")),
            (count, false) => Some(format!("{count} fields left out: their names are too long")),
        }
    }

    fn status(&mut self, rank: u8, leaf: &Leaf<'_>) {
        if *leaf != Leaf::Null && self.status.is_none_or(|(best, _)| rank < best) {
            self.status = Some((rank, Status::of(&leaf.text())));
        }
    }
}

/// RFC 3339 text, or milliseconds since 1970 as a number or its text.
fn time(leaf: &Leaf<'_>) -> Option<u64> {
    let from_ms = |ms: i128| u64::try_from(ms.checked_mul(1_000)?).ok();
    match leaf {
        Leaf::Text(text) => unix_us(text).or_else(|| from_ms(text.parse().ok()?)),
        Leaf::Int(ms) => from_ms(*ms),
        _ => None,
    }
}

/// Tracers write 128-bit ids as 32 hex digits and 64-bit ids as decimal; the low 64 bits join.
fn id(leaf: &Leaf<'_>) -> u64 {
    match leaf {
        Leaf::Int(value) => u64::try_from(*value).unwrap_or(0),
        Leaf::Text(text) if text.len() == 32 => u128::from_str_radix(text, 16).unwrap_or(0) as u64,
        Leaf::Text(text) => text.parse::<u128>().map_or_else(
            |_| {
                if text.len() == 16 {
                    u64::from_str_radix(text, 16).unwrap_or(0)
                } else {
                    0
                }
            },
            |value| value as u64,
        ),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_status_follows_datadogs_prefixes() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(Status::of(text).name(), expected, "{text:?}");
        }
        for (text, expected) in [
            ("emerg", "emergency"),
            ("Fatal", "emergency"),
            ("ALERT", "alert"),
            ("CRITICAL", "critical"),
            ("crit", "critical"),
            ("ERROR", "error"),
            ("err", "error"),
            ("Warning", "warn"),
            ("notice", "notice"),
            ("INFO", "info"),
            ("debug", "debug"),
            ("TRACE", "debug"),
            ("verbose", "debug"),
            ("ok", "ok"),
            ("Success", "ok"),
            ("0", "emergency"),
            ("3", "error"),
            ("6", "info"),
            ("7", "debug"),
            ("8", "info"),
            ("", "info"),
            ("\u{e9}", "info"),
            ("e", "info"),
            ("er\u{1f980}", "info"),
        ] {
            check(text, expected);
        }
    }

    /// The attributes that Datadog's pipelines take a status from, first one first.
    #[test]
    fn the_attribute_that_says_the_status_is_found() {
        #[track_caller]
        fn check(rule: &str, line: &str, expected: &str) {
            assert_eq!(log_line(line).status.name(), expected, "{rule}");
            assert_eq!(
                log_summary(line).status.name(),
                expected,
                "{rule}, in short"
            );
        }
        check("status", r#"{"status":"error"}"#, "error");
        check("severity", r#"{"severity":"WARNING"}"#, "warn");
        check("level", r#"{"level":"Debug"}"#, "debug");
        check("syslog", r#"{"syslog":{"severity":2}}"#, "critical");
        check("syslog, dotted", r#"{"syslog.severity":"alert"}"#, "alert");
        check("a number", r#"{"status":3}"#, "error");
        check("a number as text", r#"{"level":"4"}"#, "warn");
        check("a number beyond 7", r#"{"status":500}"#, "info");
        check("a negative one", r#"{"level":-1}"#, "info");
        check("a fraction", r#"{"level":3.5}"#, "info");
        check(
            "status before level",
            r#"{"level":"error","status":"ok"}"#,
            "ok",
        );
        check(
            "severity before level",
            r#"{"level":"error","severity":"n"}"#,
            "notice",
        );
        check(
            "level before syslog",
            r#"{"syslog.severity":0,"level":"v"}"#,
            "debug",
        );
        check(
            "an unknown word hides the rest",
            r#"{"status":"x","level":"error"}"#,
            "info",
        );
        check(
            "null says nothing",
            r#"{"status":null,"level":"error"}"#,
            "error",
        );
        check(
            "another case of the key is another key",
            r#"{"Status":"error"}"#,
            "info",
        );
        check(
            "deeper it is another key",
            r#"{"a":{"status":"error"}}"#,
            "info",
        );
        check("none", r#"{"message":"error"}"#, "info");
        check("plain text has none", "ERROR it broke", "info");
        assert_eq!(Status::of_stream("stdout"), Some(Status::Info));
        assert_eq!(Status::of_stream("stderr"), Some(Status::Error));
        assert_eq!(Status::of_stream("journal"), None);
    }

    #[track_caller]
    fn check(rule: &str, line: &str, expected: LogLine) {
        assert_eq!(log_line(line), expected, "{rule}");
    }

    #[test]
    fn lines_are_read() {
        let json = || LogLine {
            json: true,
            ..LogLine::default()
        };
        check("empty object", "{}", json());
        let plain = |text: &str| LogLine {
            message: text.to_string(),
            ..LogLine::default()
        };
        check("text", "GET / 200", plain("GET / 200"));
        check(
            "cut JSON is text",
            r#"{"message":"a"#,
            plain(r#"{"message":"a"#),
        );
        check("two objects are text", "{} {}", plain("{} {}"));
        check("an array is text", "[1]", plain("[1]"));
        check("empty", "", plain(""));
        let both = LogLine {
            status: Status::Warn,
            ..json()
        };
        check(
            "status outdoes level",
            r#"{"level":"ERROR","status":"warn"}"#,
            both,
        );
        let nested = LogLine {
            trace_id: 0xa928_4c72_7b2f_1868,
            span_id: 7,
            error_kind: "E".into(),
            logger: "testapi.access".into(),
            http_status_code: "200".into(),
            fields: vec![
                ("a.b.c".into(), "[1,{\"d\":null}]".into()),
                ("f".into(), "1.5".into()),
                ("http.status_code".into(), "200".into()),
                ("n".into(), "null".into()),
                ("t".into(), "true".into()),
            ],
            ..json()
        };
        check(
            "nested and dotted keys are the same",
            r#"{"dd":{"trace_id":"6b02c87600000000a9284c727b2f1868","span_id":"7"},"error":{"kind":"E"},
                "logger":{"name":"testapi.access"},"http":{"status_code":200},
                "a":{"b":{"c":[1,{"d":null}]}},"f":1.5,"n":null,"t":true}"#,
            nested,
        );
        let escaped = LogLine {
            message: "a\n\"\u{e9}".into(),
            time_unix_us: Some(1_500_000),
            ..json()
        };
        check(
            "escapes, time in ms",
            r#"{"message":"a\n\"\u00e9","timestamp":1500}"#,
            escaped,
        );
        let decimal = LogLine {
            trace_id: u64::MAX,
            ..json()
        };
        check(
            "decimal id",
            r#"{"dd.trace_id":"18446744073709551615"}"#,
            decimal,
        );
        check("an id that is a word", r#"{"dd.trace_id":"none"}"#, json());
    }

    #[test]
    fn what_the_python_service_logs_is_read() {
        let corpus = include_str!("../../../tests/corpus/log_lines.jsonl");
        let lines: Vec<LogLine> = corpus.lines().map(log_line).collect();
        assert_eq!(lines.len(), 4);
        let first = &lines[0];
        assert_eq!((first.status, &*first.service), (Status::Error, "testapi"));
        assert_eq!(&*first.message, "about to fail on purpose");
        assert_eq!(
            (first.trace_id, first.span_id),
            (0xa928_4c72_7b2f_1868, 8_076_647_138_006_687_379)
        );
        assert_eq!(
            (&*first.error_kind, &*first.logger),
            ("ZeroDivisionError", "testapi")
        );
        assert!(
            first
                .error_stack
                .ends_with("ZeroDivisionError: division by zero")
        );
        assert_eq!(first.time_unix_us, Some(1_795_344_502_616_000));
        assert_eq!(
            first.fields,
            [
                ("dd.env".into(), "dev".into()),
                ("dd.version".into(), "0.1".into())
            ]
        );
        let short = log_summary(corpus.lines().next().unwrap());
        assert_eq!(
            short,
            LogLine {
                fields: Vec::new(),
                ..first.clone()
            }
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}", json in "[{}\\[\\]\":,a-z0-9\\\\ ]{0,60}") {
            let _ = (log_line(&text), log_line(&json), log_line(&format!("{{{json}}}")));
        }
    }

    const CUTS: Cuts = Cuts {
        text_bytes: 8,
        value_bytes: 4,
        key_bytes: 3,
        fields_max: 2,
    };

    #[test]
    fn what_is_shown_is_cut() {
        #[track_caller]
        fn check(rule: &str, line: &str, fields: &[(&str, &str)]) {
            let read = log_shown(line, CUTS);
            let shown: Vec<_> = read.fields.iter().map(|(k, v)| (&**k, &**v)).collect();
            assert_eq!(shown, fields, "{rule}");
        }
        check("whole", r#"{"abc":"defg"}"#, &[("abc", "defg")]);
        let expected = [("abc\u{2026} 1 bytes more", "defg\u{2026} 2 bytes more")];
        check("one over", r#"{"abcd":"defghi"}"#, &expected);
        check(
            "an array",
            r#"{"a":[1,2,3]}"#,
            &[("a", "[1,2\u{2026} 3 bytes more")],
        );
        check("all", r#"{"b":1,"a":2}"#, &[("a", "2"), ("b", "1")]);
        let expected = [("b", "1"), ("c", "2"), ("\u{2026}", "1 field more")];
        check("the first ones", r#"{"b":1,"c":2,"a":3}"#, &expected);
        let expected = [("b", "1"), ("c", "2"), ("\u{2026}", "2 fields more")];
        check(
            "two over",
            r#"{"b":1,"c":2,"a":3,"truncated":true}"#,
            &expected,
        );
        let line = r#"{"message":"123456789","service":"abcd","logger":"abcd","a":1,"b":1,"truncated":true,
            "error":{"kind":"abcde","message":"123456789","stack":"123456789"},"status":"error"}"#;
        let read = log_shown(line, CUTS);
        let text = "12345678\u{2026} 1 bytes more";
        assert_eq!(
            [&*read.message, &*read.error_message, &*read.error_stack],
            [text; 3]
        );
        let name = "abc\u{2026} 1 bytes more";
        assert_eq!([&*read.service, &*read.logger], [name; 2]);
        assert_eq!(read.error_kind, "abcd\u{2026} 1 bytes more");
        assert!(
            read.truncated && read.status == Status::Error,
            "behind the last field"
        );
        assert_eq!(log_shown("123456789", CUTS).message, text, "plain text");
        assert_eq!(
            log_shown(line, Cuts::NONE),
            log_line(line),
            "no cut is in full"
        );
    }

    #[test]
    fn a_long_key_around_many_short_ones_is_written_out_only_so_often() {
        let (key, leaves) = ("k".repeat(10_000), r#""":1,"#.repeat(10_000));
        let line = format!(r#"{{"service":"s","{key}":{{{leaves}"":1}}}}"#);
        let read = log_line(&line);
        assert_eq!((read.json, &*read.service), (true, "s"));
        let (last, fields) = read.fields.split_last().unwrap();
        let bytes: usize = fields.iter().map(|(k, v)| k.len() + v.len()).sum();
        assert!((300_000..500_000).contains(&bytes), "{bytes}");
        let why = format!(
            "{} fields left out: their names are too long",
            10_001 - fields.len()
        );
        assert_eq!(*last, ("\u{2026}".to_string(), why));
    }
}
