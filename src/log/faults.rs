//! Outputs that fail, each a real one: who logs is not held up, every line is accounted for, and writing goes on
//! when it can.

use std::fs;
use std::io::{self, BufRead, BufReader, PipeReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::logger::start_with;
use super::*;
use crate::clock::{Clock, Hand};
use crate::identity::Identity;
use crate::worker::Guard;

const DEADLINE: Duration = Duration::from_secs(15);
const SECOND_NS: u64 = 1_000_000_000;

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let unique = format!("testapi-fault-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(unique);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("a.json")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn options(file: Option<&Path>, queue_bytes_max: usize) -> Options {
    Options {
        file: file.map(Into::into),
        stdout: false,
        level_min: Level::Debug,
        queue_bytes_max,
        ..Options::default()
    }
}

/// Writes only what is asked for.
fn to_file(file: &Path, queue_bytes_max: usize) -> (Logger, Guard, Hand) {
    let (clock, hand) = Clock::manual(SECOND_NS);
    let options = options(Some(file), queue_bytes_max);
    let (logger, guard) = start(options, &Identity::default(), clock).unwrap();
    (logger, guard, hand)
}

/// A pipe in the place of standard output.
fn to_pipe(file: Option<&Path>, queue_bytes_max: usize) -> (Logger, Guard, PipeReader) {
    let (reader, writer) = io::pipe().unwrap();
    let options = options(file, queue_bytes_max);
    let started = start_with(
        options,
        Some(Box::new(writer)),
        &Identity::default(),
        Clock::system(),
    );
    let (logger, guard) = started.unwrap();
    (logger, guard, reader)
}

fn log(logger: &Logger, level: Level, message: &str) {
    logger.log(&Record::new(level, message));
}

#[track_caller]
fn balanced(logger: &Logger) -> crate::worker::Ledger {
    let ledger = logger.ledger();
    assert!(ledger.balances(), "{ledger:?}");
    ledger
}

/// For what cannot be waited for, only looked at.
#[track_caller]
fn until(what: &str, look: impl Fn() -> bool) {
    let start = Instant::now();
    while !look() {
        assert!(start.elapsed() < DEADLINE, "in vain: {what}");
        thread::yield_now();
    }
}

#[track_caller]
fn json(line: &str) -> Json {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:.200}"))
}

#[track_caller]
fn messages(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let message = |line: &str| json(line)["message"].as_str().unwrap().to_string();
    text.lines().map(message).collect()
}

/// Root may mount a small disk, and nobody else.
struct Disk(Folder);

impl Disk {
    fn new(name: &str, bytes: usize) -> Option<Disk> {
        let folder = Folder::new(name);
        let mut mount = Command::new("mount");
        let size = format!("size={bytes}");
        mount
            .args(["-t", "tmpfs", "-o", &size, "testapi"])
            .arg(&folder.0);
        let outcome = mount.output().ok()?;
        outcome.status.success().then_some(Disk(folder))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0.0).output();
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

#[test]
fn a_disk_that_fills_up_in_the_middle_of_a_line_gets_the_rest_of_it_when_there_is_room() {
    let Some(disk) = Disk::new("disk", 256 << 10) else {
        return println!("skipped: only root may mount a small disk");
    };
    let (file, filler) = (disk.0.file(), disk.0.0.join("filler"));
    fs::write(&filler, vec![0; 192 << 10]).unwrap();
    let (logger, _guard, hand) = to_file(&file, 1 << 20);
    let texts: Vec<String> = (0..300).map(|n| format!("{n:0500}")).collect();
    for text in &texts {
        log(&logger, Level::Info, text);
    }
    let error = logger.flush(DEADLINE).unwrap_err().to_string();
    assert!(error.contains("No space left"), "{error}");
    let ledger = balanced(&logger);
    assert!(ledger.sent > 0 && ledger.pending > 0 && ledger.dropped_total() == 0);
    let part = fs::read(&file).unwrap();
    assert!(
        !part.ends_with(b"\n"),
        "the disk was full at the end of a line"
    );
    fs::remove_file(&filler).unwrap();
    hand.advance_ns(SECOND_NS);
    logger.flush(DEADLINE).unwrap();
    assert_eq!(messages(&file), texts);
    assert_eq!(balanced(&logger).sent, 300);
}

#[test]
fn a_long_outage_costs_the_lowest_severity_and_is_told_when_it_is_over() {
    let folder = Folder::new("outage");
    let file = folder.file();
    std::os::unix::fs::symlink("/dev/full", &file).unwrap();
    let (logger, _guard, hand) = to_file(&file, 200 << 10);
    let text = "x".repeat(1 << 10);
    let mut offered = [0; 5];
    // Less at a time than the queue takes of each level, until much more than fits has come.
    for _ in 0..40 {
        for level in [Level::Critical, Level::Error, Level::Info, Level::Debug] {
            let count = if level >= Level::Error { 2 } else { 4 };
            for _ in 0..count {
                log(&logger, level, &text);
                offered[level as usize] += 1;
            }
        }
        assert!(logger.flush(DEADLINE).is_err());
        balanced(&logger);
    }
    let stats = logger.stats();
    let dropped = stats.dropped_io_error;
    // A critical line calls the worker amid a batch: what came after it may still have room.
    let lowest = dropped.of(Level::Debug);
    assert!(
        (offered[0] - 4..=offered[0]).contains(&lowest),
        "all of the lowest: {lowest}"
    );
    assert!(dropped.of(Level::Info) > 100 && stats.lines_held > 150);
    assert_eq!(stats.dropped_full.total(), 0);
    assert_eq!(
        (dropped.of(Level::Error), dropped.of(Level::Critical)),
        (0, 0)
    );

    fs::remove_file(&file).unwrap();
    hand.advance_ns(SECOND_NS);
    logger.flush(DEADLINE).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let last = json(text.lines().last().unwrap());
    let (debug, info) = (dropped.of(Level::Debug), dropped.of(Level::Info));
    let said = format!(
        "dropped {} log lines (debug {debug}, info {info})",
        debug + info
    );
    assert_eq!(last["message"], said);
    assert_eq!(
        (&last["status"], &last["logger.name"]),
        (&"warn".into(), &"testapi.log".into())
    );
    assert_eq!(last["dropped.total"], debug + info);
    assert_eq!(
        (&last["dropped.debug"], &last["dropped.info"]),
        (&debug.into(), &info.into())
    );
    assert_eq!(last.get("dropped.error"), None);
    let ledger = balanced(&logger);
    assert_eq!(ledger.offered, offered.iter().sum::<u64>() + 1);
    assert_eq!(
        (ledger.sent, ledger.pending),
        (text.lines().count() as u64, 0)
    );
    logger.flush(DEADLINE).unwrap();
    assert_eq!(logger.stats().lines_own, 1, "it is told once");
}

#[test]
fn a_file_whose_folder_is_gone_is_waited_for() {
    let folder = Folder::new("gone");
    let inner = folder.0.join("inner");
    fs::create_dir(&inner).unwrap();
    let file = inner.join("a.json");
    let (logger, _guard, hand) = to_file(&file, 1 << 20);
    log(&logger, Level::Info, "1");
    logger.flush(DEADLINE).unwrap();
    fs::remove_dir_all(&inner).unwrap();
    hand.advance_ns(SECOND_NS);
    log(&logger, Level::Info, "2");
    assert!(logger.flush(DEADLINE).is_err());
    assert_eq!(balanced(&logger).pending, 1);
    assert!(logger.stats().file_reopen_failed > 0);
    fs::create_dir(&inner).unwrap();
    log(&logger, Level::Info, "3");
    logger.flush(DEADLINE).unwrap();
    assert_eq!(messages(&file), ["2", "3"]);
    assert_eq!(balanced(&logger).sent, 3);
}

#[test]
fn a_file_that_was_moved_is_written_on_while_no_new_one_can_be_made() {
    let folder = Folder::new("moved");
    let (inner, aside) = (folder.0.join("inner"), folder.0.join("aside"));
    fs::create_dir(&inner).unwrap();
    let file = inner.join("a.json");
    let (logger, _guard, hand) = to_file(&file, 1 << 20);
    fs::rename(&inner, &aside).unwrap();
    hand.advance_ns(SECOND_NS);
    log(&logger, Level::Info, "1");
    logger.flush(DEADLINE).unwrap();
    assert_eq!(logger.stats().file_reopen_failed, 1);
    assert_eq!(messages(&aside.join("a.json")), ["1"]);
    fs::create_dir(&inner).unwrap();
    hand.advance_ns(SECOND_NS);
    log(&logger, Level::Info, "2");
    logger.flush(DEADLINE).unwrap();
    assert_eq!(messages(&file), ["2"]);
}

#[test]
fn a_file_or_a_folder_that_may_not_be_written_is_as_good_as_none() {
    use std::os::unix::fs::PermissionsExt;

    if is_root() {
        return println!("skipped: root may write everywhere");
    }
    let folder = Folder::new("rights");
    let file = folder.file();
    let mode = |path: &Path, mode: u32| {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    let (logger, _guard, hand) = to_file(&file, 1 << 20);
    mode(&folder.0, 0o500);
    fs::set_permissions(&file, PermissionsExt::from_mode(0o400)).unwrap();
    logger.reopen();
    log(&logger, Level::Info, "1");
    logger.flush(DEADLINE).unwrap();
    assert_eq!(messages(&file), ["1"], "what is open stays so");
    assert_eq!(logger.stats().file_reopen_failed, 1);
    mode(&folder.0, 0o700);
    fs::remove_file(&file).unwrap();
    mode(&folder.0, 0o500);
    hand.advance_ns(SECOND_NS);
    log(&logger, Level::Info, "2");
    assert!(logger.flush(DEADLINE).is_err());
    assert_eq!(balanced(&logger).pending, 1);
    mode(&folder.0, 0o700);
    logger.flush(DEADLINE).unwrap();
    assert_eq!(messages(&file), ["2"]);
}

/// Bytes that a pipe holds.
const PIPE_BYTES: usize = 64 << 10;

/// Has the worker take more than a pipe holds, which it then writes and nothing else; returns the lines that
/// wait behind.
fn hold_up(logger: &Logger) -> usize {
    const LINES: usize = 100;
    for _ in 0..LINES {
        log(logger, Level::Info, &"x".repeat(1 << 10));
    }
    let pending = || logger.stats().worker.pending as usize;
    until("the worker has too much", || {
        (LINES - pending()) << 10 > PIPE_BYTES
    });
    pending()
}

#[test]
fn while_nobody_reads_standard_output_each_level_has_its_reach() {
    const BYTES_MAX: usize = 400 << 10;
    let (logger, guard, reader) = to_pipe(None, BYTES_MAX);
    let waiting = hold_up(&logger);
    let text = "x".repeat(1 << 10);
    let line = {
        let mut line = Vec::new();
        let fixed = Static::new(&Identity::default());
        encode(&mut line, 0, &fixed, &Record::new(Level::Warn, &text));
        line.len()
    };
    let mut bytes = waiting * line;
    for (level, percent) in Level::ALL.into_iter().zip([50, 70, 80, 90, 100]) {
        while logger.stats().dropped_full.of(level) == 0 {
            log(&logger, level, &text);
            bytes += line;
        }
        bytes -= line;
        let reach = BYTES_MAX * percent / 100;
        // Lines of two levels differ by a few bytes in length.
        assert!(
            bytes <= reach + 2_000 && bytes + 2 * line > reach - 2_000,
            "{level}: {bytes}"
        );
        balanced(&logger);
    }
    let dropped = logger.stats().dropped_full;
    assert_eq!(dropped.total(), 5);

    // Somebody reads after all: everything comes, and what did not is told.
    let seen = thread::Builder::new().spawn(move || {
        let lines = BufReader::new(reader).lines().map(Result::unwrap);
        lines.map(|line| json(&line)).collect::<Vec<Json>>()
    });
    let seen = seen.unwrap();
    logger.flush(DEADLINE).unwrap();
    assert!(guard.stop(DEADLINE).joined);
    let ledger = balanced(&logger);
    let seen = seen.join().unwrap();
    assert_eq!((ledger.sent, ledger.pending), (seen.len() as u64, 0));
    let told = seen
        .iter()
        .filter(|line| line["logger.name"] == "testapi.log");
    let told: Vec<&Json> = told.map(|line| &line["message"]).collect();
    assert_eq!(
        told,
        ["dropped 5 log lines (debug 1, info 1, warn 1, error 1, critical 1)"]
    );
}

#[test]
fn a_standard_output_that_nobody_reads_holds_the_end_up_for_no_longer_than_it_may() {
    let (logger, guard, mut reader) = to_pipe(None, 200 << 10);
    hold_up(&logger);
    for _ in 0..1_000 {
        log(&logger, Level::Critical, &"x".repeat(1 << 10));
    }
    let start = Instant::now();
    let stopped = guard.stop(Duration::from_millis(100));
    assert!(start.elapsed() < DEADLINE && !stopped.joined && !stopped.flushed);
    let ledger = balanced(&logger);
    assert!(
        ledger.pending > 0 && ledger.dropped[0].1 > 500,
        "{ledger:?}"
    );
    assert_eq!(stopped.left, logger.stats().worker.pending);
    // Unread, the thread would stay until the process ends.
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    text.lines().for_each(|line| drop(json(line)));
    let ledger = balanced(&logger);
    assert_eq!(
        (ledger.pending, ledger.sent),
        (0, text.lines().count() as u64)
    );
}

#[test]
fn a_file_does_not_wait_for_a_standard_output_beside_it_that_nobody_reads() {
    let folder = Folder::new("beside");
    let (logger, guard, reader) = to_pipe(Some(&folder.file()), 8 << 20);
    for _ in 0..4_000 {
        log(&logger, Level::Critical, &"x".repeat(1 << 10));
    }
    logger.flush(DEADLINE).unwrap();
    log(&logger, Level::Info, "last");
    assert_eq!(logger.log_now(&Record::new(Level::Critical, "now")), Ok(()));
    let stopped = guard.stop(DEADLINE);
    assert!(stopped.joined && stopped.flushed && stopped.left == 0);
    let ledger = balanced(&logger);
    assert_eq!((ledger.offered, ledger.sent), (4_002, 4_002));
    assert_eq!(messages(&folder.file()).len(), 4_002);
    drop(reader);
    let lost = logger.stats().stdout_lines_lost;
    assert!(lost > 3_000, "more than a pipe and a megabyte hold: {lost}");
}

#[test]
fn a_standard_output_whose_reader_has_gone_costs_its_lines_and_no_more() {
    for has_file in [false, true] {
        let folder = Folder::new(if has_file { "left" } else { "alone" });
        let file = folder.file();
        let (logger, guard, reader) = to_pipe(has_file.then_some(&*file), 1 << 20);
        drop(reader);
        for _ in 0..3 {
            log(&logger, Level::Error, "x");
            assert_eq!(logger.flush(DEADLINE).is_ok(), has_file);
        }
        until("the end of it is seen", || logger.stats().stdout_closed);
        assert!(guard.stop(DEADLINE).joined);
        let (ledger, stats) = (balanced(&logger), logger.stats());
        assert_eq!((ledger.offered, ledger.pending), (3, 0));
        match has_file {
            true => assert_eq!((ledger.sent, stats.stdout_lines_lost), (3, 3)),
            false => assert_eq!(stats.dropped_io_error.of(Level::Error), 3),
        }
    }
}

#[test]
fn a_critical_record_is_written_at_once_and_others_wait() {
    let folder = Folder::new("critical");
    let file = folder.file();
    // Nothing moves the clock, so there is no tick.
    let (logger, _guard, _hand) = to_file(&file, 1 << 20);
    log(&logger, Level::Error, "1");
    assert_eq!(messages(&file), [""; 0]);
    assert_eq!(logger.log_now(&Record::new(Level::Warn, "2")), Ok(()));
    assert_eq!(messages(&file), ["1", "2"]);
    log(&logger, Level::Critical, "3");
    until("it is written", || logger.stats().lines_sent == 3);
    // A worker that is called and does not come is called once.
    for _ in 0..100 {
        log(&logger, Level::Critical, "4");
    }
    until("all are written", || logger.stats().lines_sent == 103);
    assert_eq!(messages(&file).len(), 103);
    assert_eq!(balanced(&logger).sent, 103);
}
