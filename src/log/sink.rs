//! The worker's side: what the queue held goes to the file and to standard output, and what was lost is
//! told there once it can be.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::counts::{Counts, this_thread_writes};
use super::file::{LogFile, Now};
use super::held::{Held, count_lines, move_all};
use super::json::{Static, encode};
use super::levels::ByLevel;
use super::record::{Level, Record, Value};
use super::screen::{Beside, Screen};
use crate::clock::Clock;
use crate::worker::{Carrier, FlushError, Why};

/// Lines that wait are written before the next tick when there are so many bytes of them.
pub(super) const CALL_BYTES: usize = 256 << 10;

/// `logger.name` of the lines that the worker adds.
const OWN_LOGGER: &str = "testapi.log";

/// The output that is the measure of every line.
pub(super) enum Output {
    File(Box<LogFile>),
    Screen(Screen),
    None,
}

pub(super) struct Sink {
    pub(super) output: Output,
    /// Standard output, where there is a file too.
    pub(super) beside: Option<Beside>,
    /// Lines that no output has seen.
    pub(super) fresh: Vec<u8>,
    /// Why the output does not take lines.
    pub(super) failure: Option<FlushError>,
    /// Drops that a line has told of.
    pub(super) told: ByLevel,
    /// Whether the lines that are added here are wanted.
    pub(super) tells: bool,
    pub(super) fixed: Static,
    pub(super) clock: Clock,
    pub(super) counts: Arc<Counts>,
}

impl Carrier for Sink {
    type Load = Vec<u8>;

    fn carry(&mut self, lines: &mut Vec<u8>) {
        this_thread_writes();
        let count = count_lines(lines);
        self.counts.held.fetch_add(count, Ordering::Relaxed);
        move_all(lines, &mut self.fresh);
    }

    fn flush(&mut self, why: Why) -> Result<(), FlushError> {
        if why == Why::Asked {
            self.counts.answer_call();
        }
        if let Some(beside) = &mut self.beside {
            beside.show(&self.fresh);
        }
        if let Some(held) = self.output.held() {
            held.push(&mut self.fresh);
        }
        self.write(why);
        if self.failure.is_none() && why != Why::Full {
            self.tell();
        }
        if let Some(beside) = &mut self.beside {
            beside.wait(why);
        }
        self.fresh.clear();
        // What a burst took is not kept for ever.
        if self.fresh.capacity() > 4 * CALL_BYTES {
            self.fresh = Vec::new();
        }
        self.failure.clone().map_or(Ok(()), Err)
    }
}

impl Sink {
    /// An output that fails is tried again at the next tick, not with every batch.
    fn write(&mut self, why: Why) {
        if self.counts.reopen.swap(false, Ordering::Acquire)
            && let Output::File(file) = &mut self.output
        {
            file.reopen();
        }
        if why != Why::Full || !self.output.is_failing() {
            self.failure = self.output.write(&self.clock).err();
        }
        if why == Why::Stop
            && self.failure.is_some()
            && let Some(held) = self.output.held()
        {
            held.give_up();
        }
        self.count();
    }

    fn count(&mut self) {
        if let Some(held) = self.output.held() {
            self.counts.store(held.lines());
        }
        if let Output::File(file) = &self.output {
            let turns = file.turns();
            let counts = &self.counts;
            for (counter, count) in [
                (&counts.reopened, turns.reopened),
                (&counts.reopen_failed, turns.reopen_failed),
                (&counts.rotated, turns.rotated),
                (&counts.rotate_failed, turns.rotate_failed),
            ] {
                counter.store(count, Ordering::Relaxed);
            }
        }
    }

    /// Everything is out: adds what its readers cannot know otherwise.
    fn tell(&mut self) {
        let trouble = match &mut self.output {
            Output::File(file) => file.take_trouble(),
            _ => None,
        };
        if !self.tells || self.output.is_gone() {
            return;
        }
        if let Some(error) = trouble {
            let message = format!("the log file cannot be put aside and grows on: {error}");
            self.add(&Record::new(Level::Warn, &message));
        }
        let dropped = self.counts.full.read() + self.counts.io_error.read();
        let fresh = dropped - self.told;
        if fresh.total() > 0 && self.add_drops(fresh) {
            self.told = dropped;
        }
    }

    fn add_drops(&mut self, dropped: ByLevel) -> bool {
        let names = [
            "dropped.debug",
            "dropped.info",
            "dropped.warn",
            "dropped.error",
            "dropped.critical",
        ];
        let pairs = names.into_iter().zip(dropped.pairs());
        let some: Vec<_> = pairs.filter(|(_, (_, count))| *count > 0).collect();
        let words: Vec<String> = some
            .iter()
            .map(|(_, (level, count))| format!("{level} {count}"))
            .collect();
        let total = dropped.total();
        let lines = if total == 1 { "line" } else { "lines" };
        let message = format!("dropped {total} log {lines} ({})", words.join(", "));
        let mut fields = vec![("dropped.total", Value::U64(total))];
        fields.extend(
            some.iter()
                .map(|(name, (_, count))| (*name, Value::U64(*count))),
        );
        self.add(&Record {
            fields: &fields,
            ..Record::new(Level::Warn, &message)
        })
    }

    /// Writes a line of the worker's own; false where it could not be begun, and is as though it had
    /// never been.
    fn add(&mut self, record: &Record<'_>) -> bool {
        let thread = std::thread::current();
        let record = Record {
            logger: OWN_LOGGER,
            thread: thread.name().unwrap_or(""),
            ..*record
        };
        let mut line = Vec::new();
        encode(&mut line, self.clock.unix_ns(), &self.fixed, &record);
        let copy = line.clone();
        let Some(held) = self.output.held() else {
            return false;
        };
        held.push(&mut line);
        self.failure = self.output.write(&self.clock).err();
        let gone = self.failure.is_some() && self.output.held().is_none_or(Held::take_back);
        if !gone {
            self.counts.own.fetch_add(1, Ordering::Relaxed);
            if let Some(beside) = &mut self.beside {
                beside.show(&copy);
            }
        }
        self.count();
        !gone
    }
}

impl Output {
    fn held(&mut self) -> Option<&mut Held> {
        match self {
            Output::File(file) => Some(file.held()),
            Output::Screen(screen) => Some(screen.held()),
            Output::None => None,
        }
    }

    /// Whether no line will ever be taken again.
    fn is_gone(&self) -> bool {
        match self {
            Output::File(_) => false,
            Output::Screen(screen) => screen.is_closed(),
            Output::None => true,
        }
    }

    fn is_failing(&self) -> bool {
        match self {
            Output::File(file) => file.is_failing(),
            Output::Screen(screen) => screen.is_failing(),
            Output::None => false,
        }
    }

    fn write(&mut self, clock: &Clock) -> Result<(), FlushError> {
        let now = Now::of(clock);
        match self {
            Output::File(file) => file
                .write(now)
                .map_err(|error| FlushError::new(format!("log file: {error}"))),
            Output::Screen(screen) => screen
                .write()
                .map_err(|error| FlushError::new(format!("standard output: {error}"))),
            Output::None => Ok(()),
        }
    }
}
