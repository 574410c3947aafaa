//! The caller's side: a record is encoded on its caller's thread and queued, as far as its severity reaches.

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Error;
use super::counts::{Counts, does_this_thread_write};
use super::file::{LogFile, Now};
use super::json::{self, Static};
use super::levels::ByLevel;
use super::record::{Level, Record};
use super::rotate::Rotation;
use super::screen::{Beside, Screen, Stream, stdout};
use super::sink::{CALL_BYTES, Output, Sink};
use crate::clock::Clock;
use crate::identity::Identity;
use crate::worker::{
    self, AskError, Dropped, FlushError, Guard, Ledger, Tray, TrayLimits, start_tray,
};

/// Where lines go, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// A file to append to.
    pub file: Option<PathBuf>,
    /// When that file is put aside.
    pub rotation: Rotation,
    /// Whether lines go to standard output too.
    pub stdout: bool,
    /// Records below are ignored.
    pub level_min: Level,
    /// Bytes that may wait in the queue, and again as many that wait for an output that fails. Debug
    /// lines are refused when half of it is full, info at 70 %, warn at 80 %, error at 90 %; critical
    /// ones have all of it.
    pub queue_bytes_max: usize,
    /// Time between two writes when there is little to write.
    pub flush_interval: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            file: None,
            rotation: Rotation::default(),
            stdout: true,
            level_min: Level::Info,
            queue_bytes_max: 8 << 20,
            flush_interval: Duration::from_millis(200),
        }
    }
}

/// How long [`Logger::log_now`] waits at most.
const NOW_WAIT: Duration = Duration::from_millis(200);

/// Percent of the queue that lines of each level may fill.
const REACH: [usize; Level::ALL.len()] = [50, 70, 80, 90, 100];

/// Opens the file and starts the thread `dd-log`.
///
/// ```
/// use std::time::Duration;
///
/// use testapi::clock::Clock;
/// use testapi::identity::Identity;
/// use testapi::log::{self, Level, Options, Record, Value};
///
/// let file = std::env::temp_dir().join(format!("shop-{}.json", std::process::id()));
/// let options = Options { file: Some(file.clone()), stdout: false, ..Options::default() };
/// let (clock, _hand) = Clock::manual(1_795_344_502_616_000_000);
/// let (logger, guard) = log::start(options, &Identity::default(), clock)?;
/// logger.log(&Record {
///     trace_id: 7,
///     span_id: 9,
///     fields: &[("http.status_code", Value::U64(200))],
///     ..Record::new(Level::Info, "served")
/// });
/// assert!(guard.stop(Duration::from_secs(2)).flushed);
/// assert_eq!(
///     std::fs::read_to_string(&file).unwrap(),
///     concat!(
///         r#"{"timestamp":"2026-11-22T10:48:22.616Z","status":"info","message":"served","#,
///         r#""ddsource":"rust","dd.trace_id":"7","dd.span_id":"9","http.status_code":200}"#,
///         "\n"
///     )
/// );
/// # std::fs::remove_file(&file).unwrap();
/// # Ok::<(), testapi::log::Error>(())
/// ```
///
/// # Errors
/// [`Error::Open`] when the file cannot be opened, [`Error::Thread`] when there is no thread.
pub fn start(
    options: Options,
    identity: &Identity,
    clock: Clock,
) -> Result<(Logger, Guard), Error> {
    let stdout = options.stdout.then(stdout).transpose()?;
    start_with(options, stdout, identity, clock)
}

thread_local! {
    /// Room for a line in the making, [`json::LINE_BYTES_MAX`] at most.
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
    /// Lines that wait in the worker.
    pub lines_held: u64,
    /// Lines that the worker added, to tell of drops and of a file that cannot be put aside.
    pub lines_own: u64,
    /// Lines refused because the queue was as full as their level may make it.
    pub dropped_full: ByLevel,
    /// Lines refused after the stop.
    pub dropped_stopped: ByLevel,
    /// Lines given up because writing failed for too long.
    pub dropped_io_error: ByLevel,
    /// Times the file was opened again: on request, moved, deleted, or after an error.
    pub file_reopened: u64,
    /// Times it could not be.
    pub file_reopen_failed: u64,
    /// Times the file was put aside for its size or its age.
    pub file_rotated: u64,
    /// Times it could not be.
    pub file_rotate_failed: u64,
    /// Lines that a standard output beside a file did not take.
    pub stdout_lines_lost: u64,
    /// Whether standard output was closed by its reader, and is left alone since.
    pub stdout_closed: bool,
}

impl Stats {
    /// All drops by level, whatever the reason.
    pub fn dropped(&self) -> ByLevel {
        self.dropped_full + self.dropped_stopped + self.dropped_io_error
    }
}

impl Logger {
    /// Whether records of this level are written.
    pub fn is_on(&self, level: Level) -> bool {
        self.shared.has_output && level >= self.shared.level_min
    }

    /// Records below are ignored.
    pub fn level_min(&self) -> Level {
        self.shared.level_min
    }

    /// Encodes the record and queues the line. Never blocks; a drop is counted. A critical record has
    /// the worker write at once and does not wait for it: [`Logger::log_now`] does.
    pub fn log(&self, record: &Record<'_>) {
        // The line was counted if it was dropped.
        let queued = self.offer(record).is_ok();
        if record.level == Level::Critical && queued && self.shared.has_output {
            self.call();
        }
    }

    /// The same for the last words of somebody: has the worker write at once, and waits for it 200 ms at
    /// most; not at all on a thread that writes the log itself.
    ///
    /// # Errors
    /// [`AskError`]: the line was dropped, which is counted, or is not known to be written so far.
    pub fn log_now(&self, record: &Record<'_>) -> Result<(), AskError> {
        self.offer(record).map_err(|dropped| match dropped {
            Dropped::Full => AskError::Flush(FlushError::new("the log's queue is full")),
            Dropped::Stopped => AskError::Stopped,
        })?;
        if does_this_thread_write() {
            return Ok(());
        }
        self.lines.flush(NOW_WAIT)
    }

    /// Opens the log file anew before the next line is written, and has the worker do so at once: for
    /// those who have moved it. Never blocks, and does nothing without a file.
    pub fn reopen(&self) {
        self.shared.counts.reopen.store(true, Ordering::Release);
        self.call();
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
            offered: stats.worker.offered + stats.lines_own,
            sent: stats.lines_sent,
            dropped: vec![
                ("queue_full", stats.worker.dropped_full),
                ("stopped", stats.worker.dropped_stopped),
                ("io_error", stats.dropped_io_error.total()),
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
            lines_held: read(&counts.held),
            lines_own: read(&counts.own),
            dropped_full: counts.full.read(),
            dropped_stopped: counts.stopped.read(),
            dropped_io_error: counts.io_error.read(),
            file_reopened: read(&counts.reopened),
            file_reopen_failed: read(&counts.reopen_failed),
            file_rotated: read(&counts.rotated),
            file_rotate_failed: read(&counts.rotate_failed),
            stdout_lines_lost: read(&counts.stdout_lost),
            stdout_closed: counts.stdout_closed.load(Ordering::Relaxed),
            worker: self.lines.stats(),
        }
    }

    /// Whether both write to the same place.
    pub(super) fn is_same(&self, other: &Logger) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    fn offer(&self, record: &Record<'_>) -> Result<(), Dropped> {
        if !self.is_on(record.level) {
            return Ok(());
        }
        let stamp_unix_ns = self.shared.clock.unix_ns();
        let whole = |room: &mut Vec<u8>| {
            let line = json::encode_in(room, stamp_unix_ns, &self.shared.fixed, record);
            self.queue(record.level, line)
        };
        // A panic inside the encoder is a record too, and a thread that ends has no buffer any more.
        let written = LINE.try_with(|room| Some(whole(&mut *room.try_borrow_mut().ok()?)));
        match written {
            Ok(Some(outcome)) => outcome,
            _ => whole(&mut Vec::new()),
        }
    }

    fn queue(&self, level: Level, line: &[u8]) -> Result<(), Dropped> {
        let shared = &*self.shared;
        let reach = shared.reach[level as usize];
        let offered = self
            .lines
            .offer_within(reach, line.len(), |lines| lines.extend_from_slice(line));
        match offered {
            Ok(()) => {}
            Err(Dropped::Full) => shared.counts.full.add_one(level),
            Err(Dropped::Stopped) => shared.counts.stopped.add_one(level),
        }
        offered
    }

    /// Has the worker write at once.
    fn call(&self) {
        if self.shared.counts.may_call() {
            // Nobody waits for the answer, so there is none in time.
            let _ = self.lines.flush(Duration::ZERO);
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
    reach: [usize; Level::ALL.len()],
    clock: Clock,
    counts: Arc<Counts>,
}

pub(super) fn start_with(
    options: Options,
    stdout: Option<Stream>,
    identity: &Identity,
    clock: Clock,
) -> Result<(Logger, Guard), Error> {
    let bytes_max = options.queue_bytes_max;
    let counts = Arc::new(Counts::default());
    let fixed = Static::new(identity);
    let (output, beside) = match (options.file, stdout) {
        (Some(path), stdout) => {
            let file = LogFile::open(path.clone(), bytes_max, Now::of(&clock));
            let file = file.map_err(|source| Error::Open { path, source })?;
            let file = Box::new(file.rotated_by(options.rotation));
            let beside = stdout.map(|stream| Beside::start(stream, &counts, clock.clone()));
            (Output::File(file), beside.transpose()?)
        }
        (None, Some(stream)) => {
            let screen = Screen::new(stream, bytes_max, counts.clone());
            (Output::Screen(screen), None)
        }
        (None, None) => (Output::None, None),
    };
    let shared = Arc::new(Shared {
        fixed: fixed.clone(),
        level_min: options.level_min,
        has_output: !matches!(output, Output::None),
        reach: REACH.map(|percent| bytes_max / 100 * percent + bytes_max % 100 * percent / 100),
        clock: clock.clone(),
        counts: counts.clone(),
    });
    let sink = Sink {
        output,
        beside,
        fresh: Vec::new(),
        failure: None,
        told: ByLevel::default(),
        tells: options.level_min <= Level::Warn,
        fixed,
        clock: clock.clone(),
        counts,
    };
    let limits = TrayLimits {
        bytes_max,
        // Below what debug lines may fill: they must not be refused while the worker sleeps.
        call_bytes: CALL_BYTES.min(bytes_max / 4),
        flush_interval: options.flush_interval,
    };
    let (lines, guard) = start_tray("dd-log", limits, clock, sink).map_err(Error::Thread)?;
    Ok((Logger { shared, lines }, guard))
}

#[cfg(test)]
mod tests {
    use super::super::held::count_lines;
    use super::*;
    use crate::clock::Hand;
    use std::fs;
    use std::io::{self, Write};
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
        // What it did not take for a while waits for it; what it will never take is lost.
        let steps = [
            (None, [1, 0, 0], false),
            (Some(io::ErrorKind::WouldBlock), [1, 1, 0], false),
            (None, [3, 0, 0], false),
            (Some(io::ErrorKind::BrokenPipe), [3, 0, 1], true),
            (None, [3, 0, 2], true),
        ];
        for (failure, counts, closed) in steps {
            screen.0.lock().unwrap().1 = failure;
            logger.log(&Record::new(Level::Info, "m"));
            let outcome = logger.flush(DEADLINE);
            let stats = logger.stats();
            let lost = stats.dropped_io_error.of(Level::Info);
            assert_eq!([stats.lines_sent, stats.lines_held, lost], counts);
            assert_eq!(stats.stdout_closed, closed);
            assert_eq!(outcome.is_err(), failure.is_some() || closed);
            assert!(logger.ledger().balances(), "{:?}", logger.ledger());
        }
        logger.flush(DEADLINE).unwrap();
        assert_eq!(logger.ledger().offered, 5, "nothing is added for nobody");
        assert_eq!(count_lines(&screen.0.lock().unwrap().0), 3);
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
