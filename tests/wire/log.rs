//! Whole lines of a log file under a clock moved by hand, and the agent's reading of them.
//!
//! Source of the keys: Datadog docs, "Log attributes and aliasing", "Correlating logs and traces".

use std::fs;

use testapi::agent::decode::{LogLine, Status, log_line};
use testapi::clock::Clock;
use testapi::identity::Identity;
use testapi::log::{self, LINE_BYTES_MAX, Level, Options, Record, Value};

use crate::support::{DEADLINE, Folder};

const NOW: u64 = 1_795_344_502_616_000_000;
const TRACE: u128 = 0x6a3f_8b2c_0000_0000_1234_5678_9abc_def0;

fn shop() -> Identity {
    Identity {
        service: "shop".into(),
        env: "dev".into(),
        version: "1.2".into(),
        ..Identity::default()
    }
}

/// The file after these records.
fn written(identity: &Identity, level_min: Level, records: &[Record<'_>]) -> String {
    let folder = Folder::new();
    let options = Options {
        file: Some(folder.file("shop.log")),
        stdout: false,
        level_min,
        ..Options::default()
    };
    let (clock, _hand) = Clock::manual(NOW);
    let (logger, _guard) = log::start(options, identity, clock).unwrap();
    for record in records {
        logger.log(record);
    }
    logger.flush(DEADLINE).unwrap();
    fs::read_to_string(folder.file("shop.log")).unwrap()
}

#[track_caller]
fn check(rule: &str, record: &Record<'_>, (line, read): (&str, LogLine)) {
    let text = written(&shop(), Level::Debug, &[*record]);
    assert_eq!(text, format!("{line}\n"), "{rule}");
    assert_eq!(log_line(&text), read, "{rule}");
}

fn read(status: Status, message: &str) -> LogLine {
    let pair = |k: &str, v: &str| (k.to_string(), v.to_string());
    LogLine {
        json: true,
        status,
        time_unix_us: Some(NOW / 1_000),
        message: message.into(),
        service: "shop".into(),
        fields: vec![
            pair("dd.env", "dev"),
            pair("dd.service", "shop"),
            pair("dd.version", "1.2"),
            pair("ddsource", "rust"),
        ],
        ..LogLine::default()
    }
}

#[test]
fn a_line_is_exactly_this() {
    let head = r#"{"timestamp":"2026-11-22T10:48:22.616Z","status":"info","message":"#;
    let who = r#""dd.service":"shop","dd.env":"dev","dd.version":"1.2""#;
    check(
        "a message alone",
        &Record::new(Level::Info, "hello"),
        (
            &format!(r#"{head}"hello","service":"shop","ddsource":"rust",{who}}}"#),
            read(Status::Info, "hello"),
        ),
    );
    check(
        "quotes, line breaks, controls and other scripts",
        &Record::new(Level::Info, "a\"b\\c\nd\0\u{1f980}"),
        (
            &format!(r#"{head}"a\"b\\c\nd\u0000🦀","service":"shop","ddsource":"rust",{who}}}"#),
            read(Status::Info, "a\"b\\c\nd\0\u{1f980}"),
        ),
    );
}

#[test]
fn everything_a_record_can_hold_has_its_key() {
    let who = r#""dd.service":"shop","dd.env":"dev","dd.version":"1.2""#;
    let fields = [
        ("http.status_code", Value::U64(500)),
        ("http.method", Value::Str("GET")),
        ("delta", Value::I64(-1)),
        ("share", Value::F64(0.5)),
        ("nan", Value::F64(f64::NAN)),
        ("ok", Value::Bool(false)),
    ];
    let record = Record {
        logger: "shop.access",
        thread: "api-0",
        trace_id: TRACE,
        span_id: 9,
        error_kind: Some("panic"),
        error_message: Some("seven"),
        error_stack: Some("0: a\n1: b\n"),
        fields: &fields,
        ..Record::new(Level::Error, "GET / 500")
    };
    let mut expected = LogLine {
        logger: "shop.access".into(),
        trace_id: TRACE as u64,
        span_id: 9,
        error_kind: "panic".into(),
        error_message: "seven".into(),
        error_stack: "0: a\n1: b\n".into(),
        http_status_code: "500".into(),
        ..read(Status::Error, "GET / 500")
    };
    for (key, value) in [
        ("delta", "-1"),
        ("http.method", "GET"),
        ("http.status_code", "500"),
        ("logger.thread_name", "api-0"),
        ("nan", "null"),
        ("ok", "false"),
        ("share", "0.5"),
    ] {
        expected.fields.push((key.into(), value.into()));
    }
    expected.fields.sort();
    check(
        "everything a record can hold",
        &record,
        (
            &format!(
                concat!(
                    r#"{{"timestamp":"2026-11-22T10:48:22.616Z","status":"error","#,
                    r#""message":"GET / 500","service":"shop","ddsource":"rust","#,
                    r#""logger.name":"shop.access","logger.thread_name":"api-0","#,
                    r#""dd.trace_id":"6a3f8b2c00000000123456789abcdef0","dd.span_id":"9",{who},"#,
                    r#""http.status_code":500,"http.method":"GET","delta":-1,"share":0.5,"#,
                    r#""nan":null,"ok":false,"error.kind":"panic","error.message":"seven","#,
                    r#""error.stack":"0: a\n1: b\n"}}"#
                ),
                who = who
            ),
            expected,
        ),
    );
}

#[test]
fn every_level_is_read_as_itself_and_the_low_ones_can_be_left_out() {
    let levels = [
        (Level::Debug, Status::Debug),
        (Level::Info, Status::Info),
        (Level::Warn, Status::Warn),
        (Level::Error, Status::Error),
        (Level::Critical, Status::Critical),
    ];
    let records: Vec<_> = levels.iter().map(|(l, _)| Record::new(*l, "x")).collect();
    for (at, (level_min, _)) in levels.iter().enumerate() {
        let text = written(&shop(), *level_min, &records);
        let statuses: Vec<Status> = text.lines().map(|line| log_line(line).status).collect();
        let expected: Vec<Status> = levels[at..].iter().map(|(_, status)| *status).collect();
        assert_eq!(statuses, expected, "from {level_min} on");
    }
}

#[test]
fn a_line_too_long_is_cut_inside_and_stays_json() {
    let message = "\"".repeat(LINE_BYTES_MAX);
    let stack = "0: frame\n".repeat(LINE_BYTES_MAX / 9);
    let record = Record {
        error_stack: Some(&stack),
        ..Record::new(Level::Error, &message)
    };
    let text = written(
        &shop(),
        Level::Debug,
        &[record, Record::new(Level::Info, "next")],
    );
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].len() < LINE_BYTES_MAX, "{}", lines[0].len());
    let read = log_line(lines[0]);
    assert!(read.json && read.message.starts_with("\"\"\""));
    assert!(read.error_stack.starts_with("0: frame\n"));
    assert!(read.fields.contains(&("truncated".into(), "true".into())));
    assert_eq!(log_line(lines[1]).message, "next");
}
