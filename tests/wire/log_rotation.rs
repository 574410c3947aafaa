//! A log file that is put aside, moved, emptied and deleted while threads write to it: every line is whole, and
//! none is lost that the way of rotating does not lose itself.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use testapi::agent::decode::log_line;
use testapi::agent::page::Views;
use testapi::agent::view::Query;
use testapi::app::{Agent, AgentGuard, AgentOptions, TailOptions, start_agent};
use testapi::clock::{Clock, Hand};
use testapi::identity::Identity;
use testapi::log::{self, Level, Logger, Options, Record, Rotation};
use testapi::worker::Guard;

use crate::support::{DEADLINE, Folder};

const SECOND_NS: u64 = 1_000_000_000;
const WRITERS: usize = 4;
const LINES: usize = 6_000;
const ROUNDS: usize = 30;

const NEVER: Rotation = Rotation {
    bytes_max: 0,
    age_max: Duration::ZERO,
    kept: 1,
};

/// Only what is asked for is written, and only a second moved by hand has the path looked at.
fn logger(file: &Path, rotation: Rotation, unix_ns: u64) -> (Logger, Guard, Hand) {
    let options = Options {
        file: Some(file.into()),
        rotation,
        stdout: false,
        queue_bytes_max: 256 << 20,
        ..Options::default()
    };
    let (clock, hand) = Clock::manual(unix_ns);
    let (logger, guard) = log::start(options, &Identity::default(), clock).unwrap();
    (logger, guard, hand)
}

/// Lets the writers go when a turn fails, or nobody would ever hear of it.
struct Allow<'a>(&'a AtomicUsize);

impl Drop for Allow<'_> {
    fn drop(&mut self) {
        self.0.store(LINES, Ordering::Release);
    }
}

/// Threads write numbered lines, so many more with every turn, while `turn` does its work.
fn under_load(logger: &Logger, mut turn: impl FnMut(usize)) {
    let allowed = AtomicUsize::new(0);
    let allowed = &allowed;
    thread::scope(|scope| {
        let write_all = |writer: usize| {
            for line in 0..LINES {
                while line >= allowed.load(Ordering::Acquire) {
                    thread::yield_now();
                }
                logger.log(&Record::new(Level::Info, &format!("{writer} {line}")));
            }
        };
        for writer in 0..WRITERS {
            scope.spawn(move || write_all(writer));
        }
        let _all = Allow(allowed);
        for round in 0..ROUNDS {
            allowed.fetch_add(LINES / ROUNDS, Ordering::AcqRel);
            turn(round);
        }
    });
    logger.flush(DEADLINE).unwrap();
    let ledger = logger.ledger();
    assert!(ledger.balances() && ledger.pending == 0, "{ledger:?}");
    assert_eq!(
        (ledger.sent as usize, ledger.dropped_total()),
        (WRITERS * LINES, 0)
    );
}

/// Writer and number of every line; a text that does not end with one is torn.
#[track_caller]
fn numbers(text: &str) -> Vec<(usize, usize)> {
    assert!(text.is_empty() || text.ends_with('\n'), "torn: {text:.200}");
    text.lines()
        .map(|line| {
            let read = log_line(line);
            assert!(read.json, "{line}");
            let (writer, number) = read.message.split_once(' ').unwrap();
            (writer.parse().unwrap(), number.parse().unwrap())
        })
        .collect()
}

/// Everything that was logged, each once, and a thread's lines in its order.
#[track_caller]
fn check_whole(rule: &str, texts: &[String]) {
    let all: Vec<(usize, usize)> = texts.iter().flat_map(|text| numbers(text)).collect();
    for writer in 0..WRITERS {
        let of: Vec<usize> = all.iter().filter(|l| l.0 == writer).map(|l| l.1).collect();
        assert!(
            of.iter().copied().eq(0..LINES),
            "{rule}: writer {writer}: {} lines",
            of.len()
        );
    }
    assert!(
        texts.iter().filter(|text| !text.is_empty()).count() > 1,
        "{rule}: one file"
    );
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    format!("{}.{number}", path.display()).into()
}

#[test]
fn a_file_that_somebody_renames_loses_no_line() {
    for by_signal in [false, true] {
        let folder = Folder::new();
        let file = folder.file("a.json");
        let (logger, _guard, hand) = logger(&file, NEVER, 0);
        let mut aside = Vec::new();
        under_load(&logger, |round| {
            let to = folder.file(&format!("aside-{round}"));
            if fs::rename(&file, &to).is_ok() {
                aside.push(to);
            }
            match by_signal {
                true => logger.reopen(),
                false => hand.advance_ns(SECOND_NS),
            }
            logger.flush(DEADLINE).unwrap();
            assert!(file.exists(), "made anew, whether there is a line or not");
        });
        aside.push(file);
        let texts: Vec<String> = aside.iter().map(|path| read(path)).collect();
        check_whole("rename", &texts);
        assert_eq!(logger.stats().file_reopened as usize, aside.len() - 1);
    }
}

#[test]
fn of_a_file_that_somebody_deletes_everything_is_in_the_file() {
    let folder = Folder::new();
    let file = folder.file("a.json");
    let (logger, _guard, hand) = logger(&file, NEVER, 0);
    let mut open = Vec::new();
    under_load(&logger, |_| {
        open.push(File::open(&file).unwrap());
        fs::remove_file(&file).unwrap();
        hand.advance_ns(SECOND_NS);
        logger.flush(DEADLINE).unwrap();
    });
    open.push(File::open(&file).unwrap());
    let read = |mut file: File| {
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text
    };
    let texts: Vec<String> = open.into_iter().map(read).collect();
    check_whole("delete", &texts);
}

/// Lines that are written between the copy and the cut are in neither.
#[test]
fn a_file_that_somebody_copies_and_empties_loses_what_came_in_between_and_no_more() {
    let folder = Folder::new();
    let file = folder.file("a.json");
    let (logger, _guard, hand) = logger(&file, NEVER, 0);
    let mut texts = Vec::new();
    under_load(&logger, |_| {
        texts.push(read(&file));
        let open = File::options().write(true).open(&file).unwrap();
        open.set_len(0).unwrap();
        hand.advance_ns(SECOND_NS);
        logger.flush(DEADLINE).unwrap();
    });
    texts.push(read(&file));
    // The copy may end within a batch that is being written; the rest of that line was cut.
    let mut found: HashMap<usize, Vec<(usize, usize)>> = HashMap::new();
    for (copy, text) in texts.iter().enumerate() {
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        for (writer, number) in numbers(&text[..whole]) {
            found.entry(writer).or_default().push((copy, number));
        }
    }
    let mut seen = 0;
    for (writer, lines) in &found {
        seen += lines.len();
        assert!(
            lines.is_sorted_by(|a, b| a.1 < b.1),
            "writer {writer}: twice, or out of order"
        );
        for pair in lines.windows(2) {
            let gap = pair[1].1 - pair[0].1 > 1;
            assert!(
                !gap || pair[1].0 > pair[0].0,
                "writer {writer}: a gap inside a copy: {pair:?}"
            );
        }
    }
    // All that is missing was written, into what was cut.
    assert!(seen <= WRITERS * LINES && seen > 0);
    assert_eq!(
        (
            logger.stats().file_reopened,
            logger.stats().file_reopen_failed
        ),
        (0, 0)
    );
}

#[test]
fn a_file_that_grows_too_large_is_put_aside_in_whole_lines() {
    const BYTES_MAX: u64 = 40_000;
    let folder = Folder::new();
    let file = folder.file("a.json");
    let rotation = Rotation {
        bytes_max: BYTES_MAX,
        kept: 10_000,
        ..NEVER
    };
    let (logger, _guard, _hand) = logger(&file, rotation, 0);
    under_load(&logger, |_| logger.flush(DEADLINE).unwrap());
    let aside: Vec<PathBuf> = (1..)
        .map(|n| numbered(&file, n))
        .take_while(|p| p.exists())
        .collect();
    let mut texts: Vec<String> = aside.iter().rev().map(|path| read(path)).collect();
    texts.push(read(&file));
    check_whole("size", &texts);
    let line = texts[0].lines().map(str::len).max().unwrap() as u64 + 1;
    for text in &texts[..texts.len() - 1] {
        let bytes = text.len() as u64;
        assert!(
            bytes <= BYTES_MAX && bytes > BYTES_MAX - 2 * line,
            "{bytes} bytes"
        );
    }
    let stats = logger.stats();
    assert_eq!(
        (stats.file_rotated as usize, stats.file_rotate_failed),
        (aside.len(), 0)
    );
    assert_eq!(stats.file_reopened, 0);
}

#[track_caller]
fn say(logger: &Logger, message: &str) {
    logger.log(&Record::new(Level::Info, message));
    logger.flush(DEADLINE).unwrap();
    assert!(logger.ledger().balances(), "{:?}", logger.ledger());
}

#[track_caller]
fn messages(path: &Path) -> Vec<String> {
    read(path)
        .lines()
        .map(|line| log_line(line).message)
        .collect()
}

/// What is in the file, then in `.1`, `.2` and so on.
#[track_caller]
fn check_files(rule: &str, file: &Path, expected: &[&[&str]]) {
    let names = (0..).map(|n| {
        if n == 0 {
            file.into()
        } else {
            numbered(file, n)
        }
    });
    let there = names.take_while(|path: &PathBuf| path.exists());
    let seen: Vec<Vec<String>> = there.map(|path| messages(&path)).collect();
    assert_eq!(seen, expected, "{rule}");
}

#[test]
fn a_line_for_which_there_is_no_room_begins_the_next_file_and_the_oldest_goes() {
    let folder = Folder::new();
    let file = folder.file("a.json");
    let (probe, _guard, _hand) = logger(&file, NEVER, 0);
    say(&probe, "1");
    let line = read(&file).len() as u64;
    fs::remove_file(&file).unwrap();
    let rotation = Rotation {
        bytes_max: 2 * line,
        kept: 2,
        ..NEVER
    };
    let (logger, _guard, _hand) = logger(&file, rotation, 0);
    fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    say(&logger, "1");
    say(&logger, "2");
    check_files("as much as fits", &file, &[&["1", "2"]]);
    say(&logger, "3");
    check_files("one byte more", &file, &[&["3"], &["1", "2"]]);
    let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        mode, 0o600,
        "who may not read the old one may not read the new one"
    );
    let long = "a line longer than a file may be: it is alone in one".repeat(9);
    say(&logger, &long);
    check_files("a long line", &file, &[&[&long], &["3"], &["1", "2"]]);
    say(&logger, "5");
    check_files("two old ones are kept", &file, &[&["5"], &[&long], &["3"]]);
    assert_eq!(logger.stats().file_rotated, 3);
}

#[test]
fn a_file_that_grows_too_old_is_put_aside_with_the_next_look_and_an_empty_one_is_not() {
    let folder = Folder::new();
    let file = folder.file("a.json");
    let rotation = Rotation {
        age_max: Duration::from_secs(60),
        kept: 9,
        ..NEVER
    };
    let (logger, _guard, hand) = logger(&file, rotation, 5 * SECOND_NS);
    hand.advance_ns(100 * SECOND_NS);
    say(&logger, "1");
    hand.advance_ns(60 * SECOND_NS - 1);
    say(&logger, "2");
    check_files("age counts from the first line", &file, &[&["1", "2"]]);
    hand.advance_ns(1);
    logger.flush(DEADLINE).unwrap();
    check_files("without a new line", &file, &[&[], &["1", "2"]]);
    hand.advance_ns(1_000 * SECOND_NS);
    logger.flush(DEADLINE).unwrap();
    check_files("an empty file has no age", &file, &[&[], &["1", "2"]]);
    say(&logger, "3");
    check_files("nor when a line comes", &file, &[&["3"], &["1", "2"]]);
}

#[test]
fn a_file_that_was_there_before_keeps_its_age() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    for (after, files) in [(0, 1), (3_600, 2)] {
        let folder = Folder::new();
        let file = folder.file("a.json");
        fs::write(&file, "{\"message\":\"0\"}\n").unwrap();
        let rotation = Rotation {
            age_max: Duration::from_secs(1_800),
            ..NEVER
        };
        let unix_ns = (now.as_secs() + after) * SECOND_NS;
        let (logger, _guard, _hand) = logger(&file, rotation, unix_ns);
        say(&logger, "1");
        let expected: &[&[&str]] = if files == 1 {
            &[&["0", "1"]]
        } else {
            &[&["1"], &["0"]]
        };
        check_files("a program that was started again", &file, expected);
    }
}

/// A folder in the way of `.1` stops even root.
#[test]
fn a_file_that_cannot_be_put_aside_grows_on_and_says_so_once() {
    let folder = Folder::new();
    let file = folder.file("a.json");
    let rotation = Rotation {
        bytes_max: 1,
        ..NEVER
    };
    let (logger, _guard, hand) = logger(&file, rotation, 0);
    fs::create_dir_all(numbered(&file, 1).join("x")).unwrap();
    say(&logger, "1");
    say(&logger, "2");
    say(&logger, "3");
    let seen = messages(&file);
    let told = "the log file cannot be put aside and grows on: Is a directory (os error 21)";
    assert_eq!(seen, ["1", "2", told, "3"]);
    let stats = logger.stats();
    assert_eq!(
        (
            stats.file_rotated,
            stats.file_rotate_failed,
            stats.lines_own
        ),
        (0, 1, 1)
    );
    hand.advance_ns(SECOND_NS);
    say(&logger, "4");
    assert_eq!(
        (logger.stats().file_rotate_failed, logger.stats().lines_own),
        (2, 1)
    );
    fs::remove_dir_all(numbered(&file, 1)).unwrap();
    hand.advance_ns(SECOND_NS);
    say(&logger, "5");
    check_files(
        "later it can",
        &file,
        &[&["5"], &["1", "2", told, "3", "4"]],
    );
    assert_eq!(logger.stats().file_rotated, 1);
    let ledger = logger.ledger();
    assert_eq!((ledger.offered, ledger.sent), (6, 6));
}

/// What is tried again and again must not push the old ones out.
#[test]
fn old_files_move_up_only_as_far_as_they_must() {
    let folder = Folder::new();
    let file = folder.file("a.json");
    let rotation = Rotation {
        bytes_max: 1,
        kept: 3,
        ..NEVER
    };
    fs::write(numbered(&file, 2), "{\"message\":\"old\"}\n").unwrap();
    let (logger, _guard, _hand) = logger(&file, rotation, 0);
    say(&logger, "1");
    say(&logger, "2");
    check_files("into a gap", &file, &[&["2"], &["1"], &["old"]]);
    say(&logger, "3");
    say(&logger, "4");
    check_files(
        "then the oldest goes",
        &file,
        &[&["4"], &["3"], &["2"], &["1"]],
    );
}

/// True once dropped, also by a panic.
struct Finally<'a>(&'a AtomicBool);

impl Drop for Finally<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Does the work while the agent looks all the time.
fn while_it_looks(agent: &Agent, work: impl FnOnce()) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                agent.tail_now(DEADLINE).unwrap();
            }
        });
        let _done = Finally(&done);
        work();
    });
}

/// A local agent that reads the file from its start.
fn following(file: PathBuf) -> (Agent, AgentGuard) {
    let options = AgentOptions {
        receiver_bind: "127.0.0.1:0".into(),
        dogstatsd_bind: None,
        page_bind: "127.0.0.1:0".into(),
        tail: vec![TailOptions {
            path: file,
            from_start: true,
        }],
        ..AgentOptions::default()
    };
    start_agent(options, Clock::system()).unwrap()
}

/// The agent looks all the time: also between the last line of a file and the first of the next.
#[test]
fn the_local_agent_reads_every_line_of_a_file_that_is_put_aside_by_size() {
    const TURNS: usize = 200;
    const EACH: usize = 50;
    let folder = Folder::new();
    let file = folder.file("a.json");
    let rotation = Rotation {
        bytes_max: 6 << 10,
        kept: 2,
        ..NEVER
    };
    let (logger, guard, _hand) = logger(&file, rotation, 0);
    let (agent, agent_guard) = following(file);
    while_it_looks(&agent, || {
        for turn in 0..TURNS {
            for number in 0..EACH {
                let message = format!("{turn} {number}");
                logger.log(&Record::new(Level::Info, &message));
                logger.flush(DEADLINE).unwrap();
            }
            // A file that is deleted between two looks is never seen.
            agent.tail_now(DEADLINE).unwrap();
        }
    });
    assert!(logger.stats().file_rotated as usize > TURNS / 3);
    let logs = agent.logs(&Query {
        limit: 1,
        ..Query::default()
    });
    assert_eq!((logs.held, logs.evicted), ((TURNS * EACH) as u64, 0));
    guard.stop(DEADLINE);
    agent_guard.stop(DEADLINE);
}

/// As a kill or a full disk may leave it.
#[test]
fn a_line_that_another_run_left_without_its_end_takes_none_of_ours() {
    let folder = Folder::new();
    let file = folder.file("a.json");
    for (left, feeds) in [
        ("", 0),
        ("{\"message\":\"whole\"}\n", 1),
        ("{\"message\":\"to", 1),
    ] {
        fs::write(&file, left).unwrap();
        let (logger, guard, _hand) = logger(&file, NEVER, 0);
        logger.log(&Record::new(Level::Info, "ours"));
        guard.stop(DEADLINE);
        let text = fs::read_to_string(&file).unwrap();
        let (before, ours) = text
            .trim_end()
            .rsplit_once('\n')
            .unwrap_or(("", text.trim_end()));
        assert_eq!(
            (before.trim_end(), log_line(ours).message.as_str()),
            (left.trim_end(), "ours")
        );
        assert_eq!(text.matches('\n').count(), feeds + 1);
    }
}

#[test]
fn of_a_link_the_file_behind_it_is_put_aside_beside_itself() {
    let folder = Folder::new();
    let (link, volume) = (folder.file("a.json"), folder.file("volume"));
    fs::create_dir(&volume).unwrap();
    std::os::unix::fs::symlink(volume.join("real.json"), &link).unwrap();
    let rotation = Rotation {
        bytes_max: 1_000,
        kept: 2,
        ..NEVER
    };
    let (logger, guard, _hand) = logger(&link, rotation, 0);
    for number in 0..30 {
        logger.log(&Record::new(Level::Info, &number.to_string()));
        logger.flush(DEADLINE).unwrap();
    }
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let mut names: Vec<_> = fs::read_dir(&volume)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["real.json", "real.json.1", "real.json.2"]);
    assert!(logger.stats().file_rotated > 1);
    guard.stop(DEADLINE);
}

/// What the system lent us is not ours to rename, though a file is behind it.
#[test]
fn a_link_to_a_descriptor_is_never_put_aside() {
    let folder = Folder::new();
    let (link, behind) = (folder.file("stdout"), folder.file("behind"));
    let held = File::create(&behind).unwrap();
    let descriptor = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&held));
    std::os::unix::fs::symlink(descriptor, &link).unwrap();
    let rotation = Rotation {
        bytes_max: 100,
        ..NEVER
    };
    let (logger, guard, _hand) = logger(&link, rotation, 0);
    for _ in 0..9 {
        logger.log(&Record::new(Level::Info, "m"));
        logger.flush(DEADLINE).unwrap();
    }
    assert_eq!(logger.stats().file_rotated, 0);
    assert_eq!(fs::read_to_string(&behind).unwrap().lines().count(), 9);
    guard.stop(DEADLINE);
}

/// While the agent looks, files move up under its eyes; it is slower than they come.
#[test]
fn the_local_agent_reads_every_line_though_files_come_faster_than_it_looks() {
    const ROUNDS: usize = 40;
    const TURNS: usize = 20;
    let folder = Folder::new();
    let file = folder.file("a.log");
    fs::write(&file, "").unwrap();
    let (agent, agent_guard) = following(file.clone());
    while_it_looks(&agent, || {
        for round in 0..ROUNDS {
            for turn in 0..TURNS {
                put_aside(&file, turn);
                fs::write(&file, format!("{round} {turn}\n")).unwrap();
            }
            agent.tail_now(DEADLINE).unwrap();
            for number in 1..=TURNS {
                fs::remove_file(numbered(&file, number)).unwrap();
            }
        }
    });
    agent.tail_now(DEADLINE).unwrap();
    let read = agent.overview().pipelines[3].points;
    assert_eq!(read as usize, ROUNDS * TURNS);
    agent_guard.stop(DEADLINE);
}

/// Puts the file aside as `.1`, with those that are there already a number up.
fn put_aside(file: &Path, already: usize) {
    for number in (1..=already).rev() {
        fs::rename(numbered(file, number), numbered(file, number + 1)).unwrap();
    }
    fs::rename(file, numbered(file, 1)).unwrap();
}

#[track_caller]
fn check_followed(rule: &str, turn: impl FnOnce(&Path), expected: &[&str]) {
    let folder = Folder::new();
    let file = folder.file("a.log");
    // It was there before: nobody asked for it.
    fs::write(numbered(&file, 1), "older\n").unwrap();
    fs::write(&file, "1\n").unwrap();
    let (agent, agent_guard) = following(file.clone());
    agent.tail_now(DEADLINE).unwrap();
    turn(&file);
    agent.tail_now(DEADLINE).unwrap();
    let logs = agent.logs(&Query {
        limit: 100,
        ..Query::default()
    });
    let seen: Vec<&str> = logs.rows.iter().map(|row| &*row.message).collect();
    assert_eq!(seen, expected, "{rule}");
    agent_guard.stop(DEADLINE);
}

#[test]
fn the_local_agent_reads_files_that_came_and_were_put_aside_between_two_looks() {
    let append = |file: &Path, text: &str| {
        let mut file = File::options().append(true).open(file).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    let three = |file: &Path| {
        append(file, "2\n3");
        for (already, text) in [(1, "4\n"), (2, "5\n6"), (3, "7\n8")] {
            put_aside(file, already);
            fs::write(file, text).unwrap();
        }
    };
    check_followed(
        "three rotations; a line without its end is whole when its file is put aside",
        three,
        &["1", "2", "3", "4", "5", "6", "7"],
    );
    let under_way = |file: &Path| {
        put_aside(file, 1);
        fs::write(file, "2\n").unwrap();
        put_aside(file, 2);
        fs::write(file, "3\n").unwrap();
        for number in (1..=3).rev() {
            fs::rename(numbered(file, number), numbered(file, number + 1)).unwrap();
        }
    };
    check_followed(
        "a rotation that is under way leaves a gap",
        under_way,
        &["1", "2", "3"],
    );
    let gone = |file: &Path| {
        put_aside(file, 1);
        fs::write(file, "unseen\n").unwrap();
        put_aside(file, 2);
        fs::remove_file(numbered(file, 2)).unwrap();
        fs::write(file, "2\n").unwrap();
    };
    check_followed(
        "without the file that was read nobody knows which are younger",
        gone,
        &["1", "2"],
    );
}

#[test]
fn what_was_put_aside_is_whole_though_it_is_more_than_may_wait_at_once() {
    const FILES: usize = 4;
    const EACH: usize = 50;
    let folder = Folder::new();
    let file = folder.file("a.log");
    fs::write(&file, "").unwrap();
    let (agent, agent_guard) = following(file.clone());
    let text = format!("{}\n", "x".repeat(100 << 10)).repeat(EACH);
    for already in 0..FILES {
        put_aside(&file, already);
        fs::write(&file, &text).unwrap();
    }
    agent.tail_now(DEADLINE).unwrap();
    let read = agent.overview().pipelines[3].points;
    assert_eq!(read as usize, FILES * EACH);
    agent_guard.stop(DEADLINE);
}
