//! Whatever is logged.

use testapi::agent::decode::log_line;
use testapi::identity::Identity;
use testapi::log::{LINE_BYTES_MAX, Level, Record, Static, Value, encode};

/// Between message, logger, thread, the error's three texts, and then names and values of fields.
const BETWEEN: u8 = 1;

const LEVELS: [Level; 5] = [
    Level::Debug,
    Level::Info,
    Level::Warn,
    Level::Error,
    Level::Critical,
];

/// Whether it stands in its line in whole.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let texts: Vec<_> = bytes
        .split(|byte| *byte == BETWEEN)
        .map(String::from_utf8_lossy)
        .collect();
    let text = |at: usize| texts.get(at).map(|text| &**text);
    let rest = texts.get(6..).unwrap_or_default();
    let value = |pair: &[std::borrow::Cow<'_, str>]| pair.get(1).map_or(0, |value| value.len());
    let numbers: Vec<usize> = rest.chunks(2).map(value).collect();
    let field = |(at, pair): (usize, &'_ [std::borrow::Cow<'_, str>])| match at % 3 {
        0 => Value::U64(numbers[at] as u64),
        _ => Value::F64(f64::from_bits(
            pair[0].len() as u64 | (numbers[at] as u64) << 52,
        )),
    };
    let fields: Vec<(&str, Value<'_>)> = rest
        .chunks(2)
        .enumerate()
        .map(|(at, pair)| match pair {
            [name, value] if at % 2 == 0 => (&**name, Value::Str(value)),
            pair => (&*pair[0], field((at, pair))),
        })
        .collect();
    let level = LEVELS[bytes.len() % LEVELS.len()];
    let record = Record {
        logger: text(1).unwrap_or(""),
        thread: text(2).unwrap_or(""),
        trace_id: 255,
        error_kind: text(3),
        error_message: text(4),
        error_stack: text(5),
        fields: &fields,
        ..Record::new(level, text(0).unwrap_or(""))
    };
    let mut line = b"before\n".to_vec();
    encode(
        &mut line,
        1_795_344_502_616_000_000,
        &Static::new(&Identity::default()),
        &record,
    );
    let line = line
        .strip_prefix(b"before\n")
        .expect("what stood there stands there");
    assert!(line.len() <= LINE_BYTES_MAX, "{} bytes", line.len());
    let line = line.strip_suffix(b"\n").expect("a line ends");
    assert!(!line.contains(&b'\n'), "one line");
    let line = std::str::from_utf8(line).expect("a line is UTF-8");
    let json: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
    let keys = json.as_object().expect("an object").len();
    let read = log_line(line);
    assert!(read.json && read.status.name() == level.status(), "{line}");
    assert_eq!(
        (read.trace_id, read.time_unix_us),
        (255, Some(1_795_344_502_616_000))
    );
    let whole = json.get("truncated").is_none();
    assert!(keys <= 10 + fields.len() + usize::from(!whole), "{line}");
    let told = json["message"].as_str().expect("a text");
    assert!(if whole {
        told == record.message
    } else {
        record.message.starts_with(told)
    });
    whole
}
