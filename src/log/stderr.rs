//! What a program says beside its log, on stderr: text for a person at a terminal, else a line like those of
//! the log, for whoever collects the streams of a container.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::counts::Counts;
use super::json::{Static, encode};
use super::record::Record;
use super::screen::{Screen, Stream};
use crate::clock::Clock;
use crate::identity::Identity;
use crate::worker::{Carrier, FlushError, Guard, Tray, TrayLimits, Why, start_tray};

/// Who reads stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Somebody at a terminal.
    Person,
    /// A program that takes lines of JSON.
    Program,
}

/// Appends what this reader is told: `testapi: ` and the message, or the record as [`encode`] writes it.
pub fn speak(
    out: &mut Vec<u8>,
    reader: Reader,
    (stamp_unix_ns, fixed): (u64, &Static),
    record: &Record<'_>,
) {
    match reader {
        Reader::Program => encode(out, stamp_unix_ns, fixed, record),
        Reader::Person => {
            out.extend_from_slice(b"testapi: ");
            out.extend_from_slice(record.message.as_bytes());
            out.push(b'\n');
        }
    }
}

/// The process's own stderr.
#[derive(Clone, Debug)]
pub struct Stderr {
    reader: Reader,
    fixed: Static,
    clock: Clock,
}

impl Stderr {
    /// Looks who reads there.
    pub fn new(identity: &Identity, clock: Clock) -> Stderr {
        let reader = if io::stderr().is_terminal() {
            Reader::Person
        } else {
            Reader::Program
        };
        Stderr {
            reader,
            fixed: Static::new(identity),
            clock,
        }
    }

    /// Who reads there.
    pub fn reader(&self) -> Reader {
        self.reader
    }

    /// Says it, and waits for its reader for 200 ms at most: a program must hear its signals, and end, though
    /// nobody reads what it says. Of what waits 64 KiB are kept, and what has no room is lost.
    pub fn say(&self, record: &Record<'_>) {
        static OUTLET: OnceLock<Option<Outlet>> = OnceLock::new();
        let mut line = Vec::new();
        let before = (self.clock.unix_ns(), &self.fixed);
        speak(&mut line, self.reader, before, record);
        let own = || {
            let copy = io::stderr().as_fd().try_clone_to_owned().ok()?;
            Outlet::start(Box::new(File::from(copy))).ok()
        };
        match OUTLET.get_or_init(own) {
            Some(outlet) => outlet.say(&line),
            // Without a thread, or without a stderr, there is no better way; and no reason to panic.
            None => drop(io::stderr().lock().write_all(&line)),
        }
    }
}

const WAITING_BYTES_MAX: usize = 64 << 10;
const READER_WAIT: Duration = Duration::from_millis(200);

/// The thread `dd-stderr`, which waits so that nobody else must.
struct Outlet {
    lines: Tray<Vec<u8>>,
    /// The last wait was in vain: nobody waits again before it has gone on.
    stuck: AtomicBool,
    _guard: Guard,
}

impl Outlet {
    fn start(stream: Stream) -> io::Result<Outlet> {
        let screen = Screen::new(stream, WAITING_BYTES_MAX, Arc::new(Counts::default()));
        let limits = TrayLimits {
            bytes_max: WAITING_BYTES_MAX,
            call_bytes: WAITING_BYTES_MAX / 2,
            flush_interval: Duration::from_millis(100),
        };
        let (lines, guard) = start_tray("dd-stderr", limits, Clock::system(), screen)?;
        Ok(Outlet {
            lines,
            stuck: AtomicBool::new(false),
            _guard: guard,
        })
    }

    fn say(&self, line: &[u8]) {
        let lost = self
            .lines
            .offer(line.len(), |lines| lines.extend_from_slice(line));
        let wait = match self.stuck.load(Ordering::Relaxed) {
            true => Duration::from_millis(1),
            false => READER_WAIT,
        };
        let waited = lost.is_ok().then(|| self.lines.flush(wait));
        self.stuck.store(waited != Some(Ok(())), Ordering::Relaxed);
    }
}

impl Carrier for Screen {
    type Load = Vec<u8>;

    fn carry(&mut self, lines: &mut Vec<u8>) {
        self.held().push(lines);
    }

    fn flush(&mut self, _why: Why) -> Result<(), FlushError> {
        self.write().map_err(FlushError::new)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;
    use std::io::Read;

    #[test]
    fn a_reader_that_does_not_read_holds_nobody_and_gets_whole_lines_later() {
        let (mut reader, writer) = io::pipe().unwrap();
        let outlet = Outlet::start(Box::new(writer)).unwrap();
        let line = [vec![b'x'; 999], vec![b'\n']].concat();
        // A pipe takes 64 KiB, the thread a batch, the tray 64 KiB more.
        for _ in 0..400 {
            outlet.say(&line);
        }
        assert!(outlet.stuck.load(Ordering::Relaxed));
        let counts = outlet.lines.stats();
        assert!(
            counts.dropped_full > 100 && counts.offered == 400,
            "{counts:?}"
        );
        let kept = (400 - counts.dropped_full) as usize;
        let mut text = vec![0; kept * line.len()];
        reader.read_exact(&mut text).unwrap();
        assert!(text.chunks(line.len()).all(|seen| seen == line));
        outlet.say(b"more\n");
        let mut more = [0; 5];
        reader.read_exact(&mut more).unwrap();
        assert_eq!(&more, b"more\n");
    }

    #[test]
    fn a_person_is_told_the_message_and_a_program_everything() {
        let fixed = Static::new(&Identity {
            service: "shop".into(),
            ..Identity::default()
        });
        let record = Record {
            error_kind: Some("StartError"),
            error_message: Some("taken"),
            ..Record::new(Level::Error, "cannot bind\n\"a\"")
        };
        for (reader, expected) in [
            (Reader::Person, "testapi: cannot bind\n\"a\"\n"),
            (
                Reader::Program,
                concat!(
                    r#"{"timestamp":"1970-01-01T00:00:00.000Z","status":"error","#,
                    r#""message":"cannot bind\n\"a\"","service":"shop","ddsource":"rust","#,
                    r#""dd.service":"shop","error.kind":"StartError","error.message":"taken"}"#,
                    "\n"
                ),
            ),
        ] {
            let mut out = Vec::new();
            speak(&mut out, reader, (0, &fixed), &record);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
