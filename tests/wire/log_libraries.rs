//! Records of libraries under a clock moved by hand: what the crate `log` is told, and the line it becomes.
//!
//! The crate's place is the process's, so the rules stand in one test.

use std::fmt;
use std::fs;

use log_facade as library;
use testapi::clock::Clock;
use testapi::identity::Identity;
use testapi::log::{self, Level, Logger, Options};
use testapi::worker::Guard;

use crate::support::{DEADLINE, Folder};

fn logger(folder: &Folder, name: &str, level_min: Level) -> (Logger, Guard) {
    let options = Options {
        file: Some(folder.file(name)),
        stdout: false,
        level_min,
        ..Options::default()
    };
    let (clock, _hand) = Clock::manual(1_795_344_502_616_000_000);
    log::start(options, &Identity::default(), clock).unwrap()
}

/// Without what servers of other tests in this process may have said meanwhile.
fn text(folder: &Folder, name: &str, logger: &Logger) -> String {
    logger.flush(DEADLINE).unwrap();
    let text = fs::read_to_string(folder.file(name)).unwrap();
    let lines = text.split_inclusive('\n');
    lines.filter(|line| !line.contains("tiny_http")).collect()
}

/// Says something itself while it is written.
struct Talker;

impl fmt::Display for Talker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        library::warn!(target: "shop.inner", "inside");
        f.write_str("outside")
    }
}

#[test]
fn what_a_library_says_is_a_line_of_the_logger_that_was_installed_last() {
    let folder = Folder::new();
    let (first, _first_guard) = logger(&folder, "first.json", Level::Debug);
    log::install(&first).unwrap();
    let thread = std::thread::current();
    let say_all = || {
        library::error!(target: "shop.db", "no \"{}\"", 7);
        library::warn!(target: "shop.db", "plain");
        library::info!(target: "shop.db", count = 3_u8, delta = -3_i64, share = 0.5, ok = true,
            name = "a\"b", letter = 'x', status = "x"; "fields");
        library::debug!(target: "shop.db", "debug");
        library::trace!(target: "shop.db", "trace");
        library::info!(target: "", "{}", Talker);
    };
    say_all();
    let line = |status: &str, message: &str, target: &str, more: &str| {
        let target = match target {
            "" => String::new(),
            target => format!(r#","logger.name":"{target}""#),
        };
        format!(
            "{{\"timestamp\":\"2026-11-22T10:48:22.616Z\",\"status\":\"{status}\",\
             \"message\":\"{message}\",\"ddsource\":\"rust\"{target},\
             \"logger.thread_name\":\"{}\"{more}}}\n",
            thread.name().unwrap()
        )
    };
    let fields = concat!(
        r#","count":3,"delta":-3,"share":0.5,"ok":true,"name":"a\"b","letter":"x","#,
        r#""extra.status":"x""#
    );
    let expected = [
        line("error", r#"no \"7\""#, "shop.db", ""),
        line("warn", "plain", "shop.db", ""),
        line("info", "fields", "shop.db", fields),
        line("debug", "debug", "shop.db", ""),
        line("debug", "trace", "shop.db", ""),
        line("warn", "inside", "shop.inner", ""),
        line("info", "outside", "", ""),
    ];
    let whole = expected.concat();
    assert_eq!(text(&folder, "first.json", &first), whole);

    let (second, _second_guard) = logger(&folder, "second.json", Level::Warn);
    log::install(&second).unwrap();
    // One that is not installed any more is no reason to take another's place away.
    log::uninstall(&first);
    say_all();
    let two = [&expected[0], &expected[1]].map(String::as_str).concat();
    assert_eq!(text(&folder, "second.json", &second), two);

    log::uninstall(&second);
    say_all();
    assert!(log::current().is_none());
    assert_eq!(text(&folder, "second.json", &second), two);
    assert_eq!(text(&folder, "first.json", &first), whole);
}
