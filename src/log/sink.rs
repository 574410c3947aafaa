//! From the caller's thread to the file: lines are encoded there, queued, and written here.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Error;
use super::file::{LogFile, count_lines, move_all};
use super::json::{self, Static};
use super::record::{Level, Record};
use super::screen::{Counts, Screen, Stdout, Stream, apart};
use crate::clock::Clock;
use crate::identity::Identity;
use crate::worker::{
    self, AskError, Carrier, FlushError, Guard, Ledger, Tray, TrayLimits, Why, start_tray,
};

/// Where lines go, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// A file to append to.
    pub file: Option<PathBuf>,
    /// Whether lines go to standard output too.
    pub stdout: bool,
    /// Records below are ignored.
    pub level_min: Level,
    /// Bytes that may wait in the queue, and again as many that wait for a file that fails.
    pub queue_bytes_max: usize,
    /// Time between two writes when there is little to write.
    pub flush_interval: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            file: None,
            stdout: true,
            level_min: Level::Info,
            queue_bytes_max: 8 << 20,
            flush_interval: Duration::from_millis(200),
        }
    }
}

/// Lines that wait are written before the next tick when there are so many bytes of them.
const CALL_BYTES: usize = 256 << 10;

/// Opens the file and starts the thread `dd-log`.
///
/// # Errors
/// [`Error::Open`] when the file cannot be opened, [`Error::Thread`] when there is no thread.
pub fn start(
    options: Options,
    identity: &Identity,
    clock: Clock,
) -> Result<(Logger, Guard), Error> {
    let stdout = options.stdout.then(|| Box::new(io::stdout()) as Stream);
    start_with(options, stdout, identity, clock)
}

thread_local! {
    /// A line in the making; keeps room for [`json::LINE_BYTES_MAX`] at most.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Writes records. Cheap to clone.
#[derive(Clone)]
pub struct Logger {
    shared: Arc<Shared>,
    lines: Tray<Vec<u8>>,
}

/// Counters of the room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The worker's own.
    pub worker: worker::Stats,
    /// Lines written: to the file, or to standard output when there is no file.
    pub lines_sent: u64,
    /// Lines given up because writing failed.
    pub lines_io_error: u64,
    /// Lines that wait in the worker.
    pub lines_held: u64,
    /// Times the file was opened again: moved, deleted, or after an error.
    pub file_reopened: u64,
    /// Lines that standard output did not take.
    pub stdout_lines_lost: u64,
    /// Whether standard output was closed by its reader, and is left alone since.
    pub stdout_closed: bool,
}

impl Logger {
    /// Whether records of this level are written.
    pub fn is_on(&self, level: Level) -> bool {
        self.shared.has_output && level >= self.shared.level_min
    }

    /// Encodes the record and queues the line. Never blocks; a drop is counted.
    pub fn log(&self, record: &Record<'_>) {
        if !self.is_on(record.level) {
            return;
        }
        let stamp_unix_ns = self.shared.clock.unix_ns();
        LINE.with_borrow_mut(|line| {
            line.clear();
            json::encode(line, stamp_unix_ns, &self.shared.fixed, record);
            // The worker has counted the line if it dropped it.
            let _ = self
                .lines
                .offer(line.len(), |lines| lines.extend_from_slice(line));
            line.shrink_to(json::LINE_BYTES_MAX);
        });
    }

    /// Writes what has been logged, and waits for it.
    ///
    /// # Errors
    /// [`AskError`]: no answer in time, no worker, or a write that failed.
    pub fn flush(&self, deadline: Duration) -> Result<(), AskError> {
        self.lines.flush(deadline)
    }

    /// Where every line went.
    pub fn ledger(&self) -> Ledger {
        let stats = self.stats();
        Ledger {
            unit: "lines",
            offered: stats.worker.offered,
            sent: stats.lines_sent,
            dropped: vec![
                ("queue_full", stats.worker.dropped_full),
                ("stopped", stats.worker.dropped_stopped),
                ("io_error", stats.lines_io_error),
            ],
            pending: stats.worker.pending + stats.lines_held,
        }
    }

    /// The counters as they stand.
    pub fn stats(&self) -> Stats {
        let counts = &self.shared.counts;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            lines_sent: read(&counts.sent),
            lines_io_error: read(&counts.io_error),
            lines_held: read(&counts.held),
            file_reopened: read(&counts.file_reopened),
            stdout_lines_lost: read(&counts.stdout_lost),
            stdout_closed: counts.stdout_closed.load(Ordering::Relaxed),
            worker: self.lines.stats(),
        }
    }
}

impl fmt::Debug for Logger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logger")
            .field("level_min", &self.shared.level_min)
            .finish_non_exhaustive()
    }
}

struct Shared {
    fixed: Static,
    level_min: Level,
    has_output: bool,
    clock: Clock,
    counts: Arc<Counts>,
}

fn start_with(
    options: Options,
    stdout: Option<Stream>,
    identity: &Identity,
    clock: Clock,
) -> Result<(Logger, Guard), Error> {
    let has_output = options.file.is_some() || stdout.is_some();
    let counts = Arc::new(Counts::default());
    let screen = stdout.map(|stream| Screen::new(stream, counts.clone()));
    let stdout = match screen {
        Some(screen) if options.file.is_some() => Some(apart(screen, clock.clone())?),
        screen => screen.map(Stdout::Own),
    };
    let sink = Sink {
        file: options
            .file
            .map(|path| open(path, options.queue_bytes_max))
            .transpose()?,
        stdout,
        fresh: Vec::new(),
        failure: None,
        clock: clock.clone(),
        counts: counts.clone(),
    };
    let limits = TrayLimits {
        bytes_max: options.queue_bytes_max,
        call_bytes: CALL_BYTES.min(options.queue_bytes_max / 2),
        flush_interval: options.flush_interval,
    };
    let (lines, guard) =
        start_tray("dd-log", limits, clock.clone(), sink).map_err(Error::Thread)?;
    let shared = Arc::new(Shared {
        fixed: Static::new(identity),
        level_min: options.level_min,
        has_output,
        clock,
        counts,
    });
    Ok((Logger { shared, lines }, guard))
}

fn open(path: PathBuf, held_bytes_max: usize) -> Result<LogFile, Error> {
    LogFile::open(path.clone(), held_bytes_max).map_err(|source| Error::Open { path, source })
}

struct Sink {
    file: Option<LogFile>,
    stdout: Option<Stdout>,
    /// Lines that no output has seen.
    fresh: Vec<u8>,
    /// Why the file does not take lines.
    failure: Option<FlushError>,
    clock: Clock,
    counts: Arc<Counts>,
}

impl Carrier for Sink {
    type Load = Vec<u8>;

    fn carry(&mut self, lines: &mut Vec<u8>) {
        let count = count_lines(lines);
        self.counts.held.fetch_add(count, Ordering::Relaxed);
        move_all(lines, &mut self.fresh);
    }

    fn flush(&mut self, why: Why) -> Result<(), FlushError> {
        let shown = match &mut self.stdout {
            Some(stdout) => stdout.write(&self.fresh, why, &self.counts),
            None => Ok(()),
        };
        let outcome = match &mut self.file {
            Some(file) => {
                file.push(&mut self.fresh);
                self.write_file(why)
            }
            None => {
                let lines = count_lines(&self.fresh);
                let counter = if shown.is_ok() {
                    &self.counts.sent
                } else {
                    &self.counts.io_error
                };
                counter.fetch_add(lines, Ordering::Relaxed);
                self.counts.held.fetch_sub(lines, Ordering::Relaxed);
                shown
            }
        };
        self.fresh.clear();
        // What a burst took is not kept for ever.
        if self.fresh.capacity() > 4 * CALL_BYTES {
            self.fresh = Vec::new();
        }
        outcome
    }
}

impl Sink {
    /// A file that fails is tried again at the next tick, not with every batch.
    fn write_file(&mut self, why: Why) -> Result<(), FlushError> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        if why != Why::Full || !file.is_failing() {
            let outcome = file.write(self.clock.mono_ns());
            self.failure = outcome
                .err()
                .map(|error| FlushError::new(format!("log file: {error}")));
        }
        if why == Why::Stop && self.failure.is_some() {
            file.give_up();
        }
        let lines = file.lines();
        self.counts.sent.store(lines.sent, Ordering::Relaxed);
        self.counts.io_error.store(lines.dropped, Ordering::Relaxed);
        self.counts.held.store(lines.held, Ordering::Relaxed);
        self.counts
            .file_reopened
            .store(file.reopened(), Ordering::Relaxed);
        self.failure.clone().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Hand;
    use std::fs;
    use std::io::Write;
    use std::path::Path;
    use std::sync::Mutex;
    use std::thread;

    const DEADLINE: Duration = Duration::from_secs(10);
    const SECOND_NS: u64 = 1_000_000_000;

    /// A folder that goes away with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let unique = format!("testapi-log-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(unique);
            fs::create_dir_all(&path).unwrap();
            Folder(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// A clock that stands still, so that only a flush that is asked for writes.
    fn logger(file: &Path) -> (Logger, Guard, Hand) {
        let (clock, hand) = Clock::manual(SECOND_NS);
        let options = Options {
            file: Some(file.into()),
            stdout: false,
            level_min: Level::Debug,
            queue_bytes_max: 64 << 20,
            ..Options::default()
        };
        let (logger, guard) = start(options, &Identity::default(), clock).unwrap();
        (logger, guard, hand)
    }

    #[track_caller]
    fn say(logger: &Logger, messages: &[&str]) {
        for message in messages {
            logger.log(&Record::new(Level::Info, message));
        }
        logger.flush(DEADLINE).unwrap();
        assert!(logger.ledger().balances(), "{:?}", logger.ledger());
    }

    /// The messages of a file, each line of which must be JSON.
    fn messages(file: &Path) -> Vec<String> {
        let text = fs::read_to_string(file).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        let parse = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        let message = |line| parse(line)["message"].as_str().unwrap().to_string();
        text.lines().map(message).collect()
    }

    #[test]
    fn lines_are_appended_and_those_below_the_level_are_not() {
        let folder = Folder::new("append");
        let file = folder.0.join("a.json");
        fs::write(&file, "{\"message\":\"old\"}\n").unwrap();
        let options = Options {
            file: Some(file.clone()),
            stdout: false,
            ..Options::default()
        };
        let (logger, guard) = start(options, &Identity::default(), Clock::system()).unwrap();
        logger.log(&Record::new(Level::Debug, "quiet"));
        say(&logger, &["one", "two"]);
        assert_eq!(messages(&file), ["old", "one", "two"]);
        logger.log(&Record::new(Level::Critical, "last"));
        assert!(guard.stop(DEADLINE).flushed);
        assert_eq!(messages(&file), ["old", "one", "two", "last"]);
        logger.log(&Record::new(Level::Info, "late"));
        let ledger = logger.ledger();
        assert_eq!((ledger.offered, ledger.sent, ledger.pending), (4, 3, 0));
        assert_eq!(
            ledger.dropped,
            [("queue_full", 0), ("stopped", 1), ("io_error", 0)]
        );
    }

    #[test]
    fn a_file_that_is_renamed_or_deleted_is_made_anew() {
        let folder = Folder::new("rotate");
        let (file, moved) = (folder.0.join("a.json"), folder.0.join("a.json.1"));
        let (logger, _guard, hand) = logger(&file);
        say(&logger, &["1"]);
        fs::rename(&file, &moved).unwrap();
        say(&logger, &["2"]);
        assert_eq!(
            messages(&moved),
            ["1", "2"],
            "the path is looked at once a second"
        );
        hand.advance_ns(SECOND_NS);
        say(&logger, &["3"]);
        assert_eq!(
            (messages(&moved).len(), messages(&file)),
            (2, vec!["3".to_string()])
        );
        fs::remove_file(&file).unwrap();
        hand.advance_ns(SECOND_NS);
        say(&logger, &["4"]);
        assert_eq!(messages(&file), ["4"]);
        hand.advance_ns(SECOND_NS);
        say(&logger, &["5"]);
        assert_eq!(messages(&file), ["4", "5"]);
        assert_eq!((logger.stats().file_reopened, logger.ledger().sent), (2, 5));
    }

    #[test]
    fn threads_tear_no_line() {
        let folder = Folder::new("threads");
        let file = folder.0.join("a.json");
        let (logger, guard, _hand) = logger(&file);
        thread::scope(|scope| {
            for name in ["a", "b", "c", "d"] {
                let logger = logger.clone();
                scope.spawn(move || {
                    for n in 0..1_000 {
                        logger.log(&Record::new(Level::Info, &format!("{name}{n:03}")));
                    }
                });
            }
        });
        assert!(guard.stop(DEADLINE).flushed);
        let mut seen = messages(&file);
        assert_eq!((seen.len(), logger.ledger().sent), (4_000, 4_000));
        let of_a: Vec<_> = seen
            .iter()
            .filter(|message| message.starts_with('a'))
            .collect();
        assert!(of_a.is_sorted(), "lines of one thread keep their order");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 4_000);
    }

    #[test]
    fn a_full_disk_is_survived_and_every_line_accounted_for() {
        let folder = Folder::new("full");
        let file = folder.0.join("a.json");
        std::os::unix::fs::symlink("/dev/full", &file).unwrap();
        let (logger, guard, hand) = logger(&file);
        logger.log(&Record::new(Level::Info, "held"));
        let error = logger.flush(DEADLINE).unwrap_err().to_string();
        assert!(error.starts_with("log file: "), "{error}");
        let ledger = logger.ledger();
        assert!(ledger.balances() && ledger.pending == 1, "{ledger:?}");

        fs::remove_file(&file).unwrap();
        hand.advance_ns(SECOND_NS);
        say(&logger, &["after"]);
        assert_eq!(messages(&file), ["held", "after"]);

        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/dev/full", &file).unwrap();
        hand.advance_ns(SECOND_NS);
        logger.log(&Record::new(Level::Info, "lost"));
        let stopped = guard.stop(DEADLINE);
        let ledger = logger.ledger();
        assert!(stopped.joined && !stopped.flushed);
        assert_eq!(
            (ledger.sent, ledger.pending, ledger.dropped[2]),
            (2, 0, ("io_error", 1))
        );
        assert!(ledger.balances());
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let options = Options {
            file: Some("/nowhere/a.json".into()),
            ..Options::default()
        };
        let outcome = start(options, &Identity::default(), Clock::system());
        let error = outcome.err().expect("there is no such folder");
        let text = error.to_string();
        assert!(
            text.starts_with("cannot open log file /nowhere/a.json: No such"),
            "{text}"
        );
    }

    /// Takes bytes until it is told to fail.
    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<(Vec<u8>, Option<io::ErrorKind>)>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut held = self.0.lock().unwrap();
            if let Some(kind) = held.1 {
                return Err(kind.into());
            }
            held.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn standard_output_that_is_closed_is_left_alone_and_counted() {
        let screen = Screen::default();
        let stream = Box::new(screen.clone()) as Stream;
        let (clock, _hand) = Clock::manual(0);
        let (logger, _guard) = start_with(
            Options::default(),
            Some(stream),
            &Identity::default(),
            clock,
        )
        .unwrap();
        let steps = [
            (None, 1, 0, false),
            (Some(io::ErrorKind::WouldBlock), 1, 1, false),
            (None, 2, 1, false),
            (Some(io::ErrorKind::BrokenPipe), 2, 2, true),
            (None, 2, 3, true),
        ];
        for (failure, sent, lost, closed) in steps {
            screen.0.lock().unwrap().1 = failure;
            logger.log(&Record::new(Level::Info, "m"));
            let _ = logger.flush(DEADLINE);
            let stats = logger.stats();
            assert_eq!((stats.lines_sent, stats.stdout_lines_lost), (sent, lost));
            assert_eq!((stats.lines_io_error, stats.stdout_closed), (lost, closed));
            assert!(logger.ledger().balances());
        }
        assert_eq!(count_lines(&screen.0.lock().unwrap().0), 2);
    }

    #[test]
    fn a_file_and_standard_output_get_the_same_lines() {
        let folder = Folder::new("both");
        let file = folder.0.join("a.json");
        let screen = Screen::default();
        let options = Options {
            file: Some(file.clone()),
            ..Options::default()
        };
        let stream = Some(Box::new(screen.clone()) as Stream);
        let (logger, _guard) =
            start_with(options, stream, &Identity::default(), Clock::system()).unwrap();
        say(&logger, &["one"]);
        screen.0.lock().unwrap().1 = Some(io::ErrorKind::BrokenPipe);
        say(&logger, &["two"]);
        assert_eq!(messages(&file), ["one", "two"]);
        assert_eq!(count_lines(&screen.0.lock().unwrap().0), 1);
        let stats = logger.stats();
        assert_eq!((stats.lines_sent, stats.stdout_lines_lost), (2, 1));
    }

    #[test]
    fn without_an_output_nothing_is_encoded() {
        let (clock, _hand) = Clock::manual(0);
        let (logger, _guard) =
            start_with(Options::default(), None, &Identity::default(), clock).unwrap();
        assert!(!logger.is_on(Level::Critical));
        say(&logger, &["nobody"]);
        assert_eq!(logger.ledger().offered, 0);
    }
}
