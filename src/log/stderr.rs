//! What a program says beside its log, on stderr: text for a person at a terminal, else a line like those of
//! the log, for whoever collects the streams of a container.

use std::io::{self, IsTerminal, Write};

use super::json::{Static, encode};
use super::record::Record;
use crate::clock::Clock;
use crate::identity::Identity;

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

    /// Says it at once. May wait for the reader; a stderr that is closed is no reason to panic.
    pub fn say(&self, record: &Record<'_>) {
        let mut line = Vec::new();
        let before = (self.clock.unix_ns(), &self.fixed);
        speak(&mut line, self.reader, before, record);
        let _ = io::stderr().lock().write_all(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

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
