//! Whatever a record holds and whatever a client sends, a record is one line of JSON, and its neighbours are as
//! they were.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use proptest::prelude::*;
use testapi::agent::decode::{LogLine, Status, log_line};
use testapi::clock::Clock;
use testapi::identity::Identity;
use testapi::log::{self, LINE_BYTES_MAX, Level, Logger, Options, Record, Value};
use testapi::worker::Guard;

use crate::support::{DEADLINE, FakeAgent, Folder, Program, get};

fn logger(folder: &Folder, identity: &Identity) -> (Logger, Guard) {
    let options = Options {
        file: Some(folder.file("a.json")),
        stdout: false,
        level_min: Level::Debug,
        queue_bytes_max: 64 << 20,
        ..Options::default()
    };
    let (clock, _hand) = Clock::manual(1_795_344_502_616_000_000);
    log::start(options, identity, clock).unwrap()
}

/// The record as the agent reads it, between two others.
#[track_caller]
fn between(identity: &Identity, record: &Record<'_>) -> (String, LogLine) {
    let folder = Folder::new();
    let (logger, _guard) = logger(&folder, identity);
    logger.log(&Record::new(Level::Info, "before"));
    logger.log(record);
    logger.log(&Record::new(Level::Info, "after"));
    logger.flush(DEADLINE).unwrap();
    let bytes = fs::read(folder.file("a.json")).unwrap();
    let text = String::from_utf8(bytes).expect("a line is UTF-8");
    assert!(text.ends_with('\n'));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(text.matches('\n').count(), 3, "{text:.500}");
    // A carriage return alone ends a line for some readers.
    assert!(!text.contains('\r'));
    let read: Vec<LogLine> = lines.iter().map(|line| log_line(line)).collect();
    assert!(read.iter().all(|line| line.json), "{text:.500}");
    assert_eq!(
        (read[0].message.as_str(), read[2].message.as_str()),
        ("before", "after")
    );
    assert!(lines[1].len() < LINE_BYTES_MAX, "{} bytes", lines[1].len());
    (lines[1].to_string(), read[1].clone())
}

/// Texts that have broken a log somewhere.
const EVIL: [&str; 16] = [
    "",
    "\"",
    "\\",
    "\\\"",
    "\n",
    "\r\n",
    "\0",
    "\u{1b}[31m",
    "\u{7f}\u{80}\u{9f}",
    "\u{2028}\u{2029}\u{85}",
    "\\ud800",
    "\\u0000",
    "\u{feff}\u{fffd}\u{ffff}\u{10ffff}",
    "\"}\n{\"status\":\"critical\",\"message\":\"forged",
    "\",\"dd.trace_id\":\"1",
    "e\u{301}\u{202e}\u{1f980}\u{1f468}\u{200d}\u{1f469}",
];

#[test]
fn every_evil_text_at_every_place_comes_back_as_it_was() {
    for evil in EVIL {
        let wrapped = format!("{evil}x{evil}");
        let fields = [
            (wrapped.as_str(), Value::Str(&wrapped)),
            ("last", Value::U64(1)),
        ];
        let record = Record {
            logger: &wrapped,
            thread: &wrapped,
            error_kind: Some(&wrapped),
            error_message: Some(&wrapped),
            error_stack: Some(&wrapped),
            fields: &fields,
            ..Record::new(Level::Error, &wrapped)
        };
        let identity = Identity {
            service: wrapped.clone(),
            env: wrapped.clone(),
            version: wrapped.clone(),
            ..Identity::default()
        };
        let (line, read) = between(&identity, &record);
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        for key in [
            "message",
            "service",
            "logger.name",
            "logger.thread_name",
            "dd.service",
            "dd.env",
            "dd.version",
            "error.kind",
            "error.message",
            "error.stack",
            &wrapped,
        ] {
            assert_eq!(json[key], wrapped, "{evil:?} in {key}");
        }
        assert_eq!(
            (read.status, read.message),
            (Status::Error, wrapped.clone())
        );
        assert_eq!(
            json.as_object().unwrap().len(),
            15,
            "no key comes in by a text"
        );
    }
}

#[test]
fn ten_megabytes_at_any_place_are_cut_and_no_neighbour_is_touched() {
    for evil in ["\0", "\u{1f980}\"", "0: frame\n"] {
        let text = evil.repeat((10 << 20) / evil.len());
        let none = Record::new(Level::Info, "m");
        let (as_name, as_value) = ([(&*text, Value::U64(1))], [("a", Value::Str(&text))]);
        for record in [
            Record {
                message: &text,
                ..none
            },
            Record {
                logger: &text,
                ..none
            },
            Record {
                thread: &text,
                ..none
            },
            Record {
                error_kind: Some(&text),
                ..none
            },
            Record {
                error_message: Some(&text),
                ..none
            },
            Record {
                error_stack: Some(&text),
                ..none
            },
            Record {
                fields: &as_name,
                ..none
            },
            Record {
                fields: &as_value,
                ..none
            },
        ] {
            let (_, read) = between(&Identity::default(), &record);
            assert!(read.fields.contains(&("truncated".into(), "true".into())));
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    let evil = prop::sample::select(EVIL.to_vec()).prop_map(str::to_string);
    let random = prop::collection::vec(any::<char>(), 0..40).prop_map(String::from_iter);
    let long = (any::<char>(), 0_usize..90_000).prop_map(|(c, n)| c.to_string().repeat(n));
    prop_oneof![4 => evil, 4 => random, 1 => long]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_record_is_one_line_that_the_agent_reads(
        texts in prop::collection::vec(text(), 6),
        names in prop::collection::vec((text(), text()), 0..12),
        numbers in prop::collection::vec((text(), any::<u64>(), any::<f64>()), 0..6),
        ids in any::<(u128, u64)>(),
    ) {
        let mut fields: Vec<(&str, Value<'_>)> =
            names.iter().map(|(name, value)| (name.as_str(), Value::Str(value))).collect();
        for (name, whole, share) in &numbers {
            fields.push((name, Value::U64(*whole)));
            fields.push((&name[name.len()..], Value::F64(*share)));
        }
        let record = Record {
            logger: &texts[0],
            thread: &texts[1],
            trace_id: ids.0,
            span_id: ids.1,
            error_kind: Some(&texts[2]),
            error_message: Some(&texts[3]),
            error_stack: Some(&texts[4]),
            fields: &fields,
            ..Record::new(Level::Warn, &texts[5])
        };
        let (line, read) = between(&Identity::default(), &record);
        prop_assert_eq!(read.status, Status::Warn);
        prop_assert_eq!(read.span_id, ids.1);
        let whole: serde_json::Value = serde_json::from_str(&line).unwrap();
        if whole.get("truncated").is_none() {
            prop_assert_eq!(read.message.as_str(), texts[5].as_str());
            prop_assert_eq!(whole["error.stack"].as_str().unwrap(), texts[4].as_str());
        } else {
            prop_assert!(texts[5].starts_with(whole["message"].as_str().unwrap()));
        }
    }
}

/// Sends these bytes and reads until the end.
fn send(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut reply = Vec::new();
    // A server that hangs up on nonsense does so as it likes.
    let _ = stream.read_to_end(&mut reply);
    reply
}

#[test]
fn whatever_bytes_a_client_sends_the_log_stays_lines_of_json() {
    let (agent, folder) = (FakeAgent::start(), Folder::new());
    let file = folder.file("a.json");
    let mut env = agent.env();
    for (name, value) in [
        ("TESTAPI_LOG_LEVEL", "debug"),
        ("TESTAPI_LOG_FILE", file.to_str().unwrap()),
    ] {
        env.push((name.into(), value.into()));
    }
    let program = Program::serve(&env);
    let to = program.address();
    let targets: [&[u8]; 12] = [
        b"/logging/%00%01%1f%7f",
        b"/logging/%ff%fe%80",
        b"/logging/%ed%a0%80",
        b"/logging/%22%7d%0a%7b%22status%22%3a%22critical",
        b"/logging/%e2%80%a8%e2%80%a9",
        b"/logging/%5cud800",
        b"/logging/%",
        b"/logging/%zz",
        b"/logging/\"}{\\",
        b"/logging/\xff\xfe\x80",
        b"/logging/\xed\xa0\x80",
        b"/logging/\x01\x1b[31m",
    ];
    let agents: [&[u8]; 3] = [b"plain", b"\"}\\{\x1b\x7f\t", b"\xff\xc3\xed\xa0\x80"];
    for target in targets {
        for agent in agents {
            let mut bytes = b"GET ".to_vec();
            bytes.extend_from_slice(target);
            bytes.extend_from_slice(b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUser-Agent: ");
            bytes.extend_from_slice(agent);
            bytes.extend_from_slice(b"\r\n\r\n");
            let reply = send(to, &bytes);
            let refused = reply.is_empty() || reply.starts_with(b"HTTP/1.1 4");
            assert!(refused, "{}", String::from_utf8_lossy(&reply));
        }
    }
    assert_eq!(get(to, "/logging/error").status, 200);
    assert_eq!(program.terminate().code, Some(0));
    let text = String::from_utf8(fs::read(&file).unwrap()).expect("a line is UTF-8");
    assert!(text.ends_with('\n'));
    let lines: Vec<LogLine> = text.lines().map(log_line).collect();
    assert!(
        lines
            .iter()
            .all(|line| line.json && line.service == "testapi")
    );
    let of = |logger: &str| lines.iter().filter(|line| line.logger == logger).count();
    assert_eq!(of("testapi.demo"), 1, "no level was taken but the last");
    let access = lines.iter().filter(|line| line.logger == "testapi.access");
    assert!(access.clone().all(|line| line.status != Status::Critical));
    let count = access.count();
    assert!(count >= 6, "requests that could be read: {count}");
}
