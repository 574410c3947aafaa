//! Lines on their way to one output: written in batches of whole lines, kept while it takes none.
//!
//! Invariant: a line that is begun is finished before anything else is written, and is never dropped to
//! make room; of the others the lowest severity makes room first, the oldest of it first.

use std::io::{self, Write};

use super::Level;
use super::json::level_of;
use super::levels::ByLevel;

/// Bytes of one write. Whole lines in one write on an O_APPEND file are not torn by other writers.
pub(super) const BATCH_BYTES_MAX: usize = 64 << 10;

/// Memory that an empty buffer may keep after an outage.
const SPARE_BYTES_MAX: usize = 1 << 20;

/// Lines by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) sent: u64,
    pub(super) dropped: ByLevel,
    pub(super) held: u64,
}

/// Whole lines in the order in which they came.
#[derive(Debug)]
pub(super) struct Held {
    text: Vec<u8>,
    /// Bytes of lines that are out in whole.
    sent: usize,
    /// Bytes that are out, those of a line that is begun too.
    written: usize,
    bytes_max: usize,
    lines: Lines,
}

impl Held {
    pub(super) fn new(bytes_max: usize) -> Held {
        Held {
            text: Vec::new(),
            sent: 0,
            written: 0,
            bytes_max,
            lines: Lines::default(),
        }
    }

    /// Takes whole lines in, and keeps the bound.
    pub(super) fn push(&mut self, text: &mut Vec<u8>) {
        self.lines.held += count_lines(text);
        move_all(text, &mut self.text);
        if self.text.len() > self.bytes_max {
            self.make_room();
        }
    }

    pub(super) fn lines(&self) -> Lines {
        self.lines
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent == self.text.len()
    }

    /// Bytes that are not out.
    pub(super) fn left_bytes(&self) -> usize {
        self.text.len() - self.written
    }

    /// Whether the first line is out in part.
    pub(super) fn is_begun(&self) -> bool {
        self.written > self.sent
    }

    /// Length of the first line.
    pub(super) fn first_bytes(&self) -> usize {
        line_end(&self.text, self.sent) - self.sent
    }

    /// A line that is begun begins anew: what holds its first part is gone.
    pub(super) fn restart(&mut self) {
        self.written = self.sent;
    }

    /// As though so many bytes of the first line were out.
    #[cfg(test)]
    pub(super) fn begin(&mut self, bytes: usize) {
        self.written = self.sent + bytes;
    }

    /// Writes lines of `room` bytes at most, but one at least; returns the bytes. After an error the
    /// next call goes on where this one ended.
    pub(super) fn write_batch(&mut self, to: &mut impl Write, room: usize) -> io::Result<usize> {
        let start = self.written;
        let end = batch_end(&self.text, start, room.min(BATCH_BYTES_MAX));
        let outcome = write_from(to, &self.text[..end], &mut self.written);
        let whole = memchr::memrchr(b'\n', &self.text[self.sent..self.written]);
        if let Some(at) = whole {
            let out = self.sent + at + 1;
            let count = count_lines(&self.text[self.sent..out]);
            self.lines.sent += count;
            self.lines.held -= count;
            self.sent = out;
        }
        outcome.map(|()| end - start)
    }

    /// Lets go of what is out.
    pub(super) fn settle(&mut self) {
        self.text.drain(..self.sent);
        self.written -= self.sent;
        self.sent = 0;
        if self.text.is_empty() && self.text.capacity() > SPARE_BYTES_MAX {
            self.text = Vec::new();
        }
    }

    /// Drops all, at the end.
    pub(super) fn give_up(&mut self) {
        self.settle();
        self.lines.dropped = self.lines.dropped + count_by_level(&self.text);
        self.lines.held = 0;
        self.text.clear();
        self.written = 0;
    }

    /// Takes the only line back as though it had never come; false where it is begun, and stays.
    pub(super) fn take_back(&mut self) -> bool {
        self.settle();
        if self.is_begun() || self.lines.held != 1 {
            return false;
        }
        self.lines.held = 0;
        self.text.clear();
        true
    }

    /// An eighth more goes than must, or every batch of a long outage would move all that is held;
    /// but only of levels that had to give, and of an error or worse no more than must.
    fn make_room(&mut self) {
        self.settle();
        let begun = if self.is_begun() {
            line_end(&self.text, 0)
        } else {
            0
        };
        let mut left = self.text.len().saturating_sub(self.bytes_max);
        let mut bytes = [0_usize; Level::ALL.len()];
        for line in lines_of(&self.text[begun..]) {
            bytes[level_of(line) as usize] += line.len();
        }
        for (level, bytes) in Level::ALL.into_iter().zip(&mut bytes) {
            let more = if left > 0 && level < Level::Error {
                self.bytes_max / 8
            } else {
                0
            };
            let goes = (*bytes).min(left.saturating_add(more));
            left = left.saturating_sub(goes);
            *bytes = goes;
        }
        self.drop_first(begun, bytes);
    }

    /// Of each level the oldest lines until that many bytes of it are gone.
    fn drop_first(&mut self, begun: usize, mut bytes: [usize; Level::ALL.len()]) {
        let (mut from, mut to) = (begun, begun);
        while from < self.text.len() {
            let end = line_end(&self.text, from);
            let level = level_of(&self.text[from..end]);
            let goes = &mut bytes[level as usize];
            if *goes > 0 {
                *goes = goes.saturating_sub(end - from);
                self.lines.dropped.count(level, 1);
                self.lines.held -= 1;
            } else {
                self.text.copy_within(from..end, to);
                to += end - from;
            }
            from = end;
        }
        self.text.truncate(to);
    }
}

/// Writes `text` from `written` on.
fn write_from(to: &mut impl Write, text: &[u8], written: &mut usize) -> io::Result<()> {
    while *written < text.len() {
        match to.write(&text[*written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => *written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Leaves `from` empty. Buffers change places where that spares a copy.
pub(super) fn move_all(from: &mut Vec<u8>, to: &mut Vec<u8>) {
    if to.is_empty() {
        std::mem::swap(from, to);
    } else {
        to.append(from);
    }
}

/// The end of the last line that fits so many bytes from `start` on, or of the first when none does.
pub(super) fn batch_end(text: &[u8], start: usize, bytes_max: usize) -> usize {
    let end = start.saturating_add(bytes_max).min(text.len());
    let last = memchr::memrchr(b'\n', &text[start..end]);
    last.map_or_else(|| line_end(text, end), |at| start + at + 1)
}

/// Behind the first line feed at or after `from`.
fn line_end(text: &[u8], from: usize) -> usize {
    let feed = memchr::memchr(b'\n', &text[from..]);
    feed.map_or(text.len(), |at| from + at + 1)
}

fn lines_of(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
}

fn count_by_level(text: &[u8]) -> ByLevel {
    let mut counts = ByLevel::default();
    for line in lines_of(text) {
        counts.count(level_of(line), 1);
    }
    counts
}

pub(super) fn count_lines(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}

#[cfg(test)]
mod tests {
    use super::super::json::{Static, encode};
    use super::super::record::Record;
    use super::*;
    use crate::identity::Identity;
    use proptest::prelude::*;

    /// Takes a few bytes a call and then fails.
    struct Short {
        text: Vec<u8>,
        each: usize,
        calls_left: usize,
    }

    impl Write for Short {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.calls_left == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.calls_left -= 1;
            let count = bytes.len().min(self.each);
            self.text.extend_from_slice(&bytes[..count]);
            Ok(count)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn line(level: Level, message: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let fixed = Static::new(&Identity::default());
        encode(&mut out, 0, &fixed, &Record::new(level, message));
        out
    }

    fn holding(bytes_max: usize, text: &[u8]) -> Held {
        let mut held = Held::new(bytes_max);
        held.push(&mut text.to_vec());
        held
    }

    #[test]
    fn a_short_write_goes_on_where_it_ended() {
        let mut short = Short {
            text: Vec::new(),
            each: 3,
            calls_left: 2,
        };
        let text = b"abcd\nefgh\n";
        let mut held = holding(100, text);
        assert!(held.write_batch(&mut short, usize::MAX).is_err());
        assert_eq!(short.text, b"abcd\ne");
        assert!(held.is_begun() && held.lines().sent == 1 && held.lines().held == 1);
        held.settle();
        short.calls_left = 9;
        assert_eq!(held.write_batch(&mut short, usize::MAX).unwrap(), 4);
        assert_eq!((short.text.as_slice(), held.is_empty()), (&text[..], true));
        (short.calls_left, short.each) = (1, 0);
        let error = holding(9, b"a\n").write_batch(&mut short, 9).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    }

    #[test]
    fn a_line_that_is_begun_may_begin_anew() {
        let mut short = Short {
            text: Vec::new(),
            each: 2,
            calls_left: 1,
        };
        let mut held = holding(100, b"abc\n");
        assert!(held.write_batch(&mut short, usize::MAX).is_err());
        held.restart();
        short.calls_left = 2;
        assert_eq!(held.write_batch(&mut short, usize::MAX).unwrap(), 4);
        assert_eq!(short.text, b"ababc\n");
    }

    #[test]
    fn batches_end_with_a_line() {
        let line = |bytes: usize| [vec![b'x'; bytes - 1], vec![b'\n']].concat();
        let max = BATCH_BYTES_MAX;
        let rows = [
            ("empty", Vec::new(), 0),
            ("one line", line(10), 10),
            ("a line of a whole batch", line(max), max),
            ("a longer line goes alone", line(max + 1), max + 1),
            ("two that fit", [line(5), line(5)].concat(), 10),
            ("two that do not", [line(5), line(max)].concat(), 5),
        ];
        for (rule, text, end) in rows {
            assert_eq!(batch_end(&text, 0, max), end, "{rule}");
        }
    }

    /// `d1` is a debug line with the message 1: all lines of this test are equally long.
    #[track_caller]
    fn check_room(rule: &str, (lines_max, begun): (usize, bool), given: &str, kept: &str) {
        let level = |name: &str| match name.as_bytes()[0] {
            b'd' => Level::Debug,
            b'i' => Level::Info,
            b'w' => Level::Warn,
            b'e' => Level::Error,
            _ => Level::Critical,
        };
        let length = line(Level::Critical, "1").len();
        let of = |name: &str| {
            let lacks = length - line(level(name), &name[1..]).len();
            line(level(name), &format!("{}{}", &name[1..], " ".repeat(lacks)))
        };
        let text: Vec<u8> = given.split(' ').flat_map(of).collect();
        // Nearly a line more, so that an eighth never costs a line of its own.
        let mut held = Held::new(lines_max * length + length * 9 / 10);
        held.text = text;
        held.lines.held = given.split(' ').count() as u64;
        held.written = usize::from(begun);
        held.push(&mut Vec::new());
        let expected: Vec<u8> = kept.split_terminator(' ').flat_map(of).collect();
        let seen = String::from_utf8_lossy(&held.text);
        assert_eq!(seen, String::from_utf8_lossy(&expected), "{rule}");
        let Lines { held, dropped, .. } = held.lines;
        assert_eq!(held, kept.split_terminator(' ').count() as u64, "{rule}");
        let total = held + dropped.total();
        assert_eq!(total, given.split(' ').count() as u64, "{rule}");
    }

    #[test]
    fn the_lowest_severity_goes_first_and_of_it_the_oldest() {
        let whole = false;
        check_room("under the bound", (3, whole), "d1 i2 w3", "d1 i2 w3");
        check_room("debug before info", (2, whole), "i1 d2 i3", "i1 i3");
        check_room("the oldest of a level", (2, whole), "e1 d2 d3", "e1 d3");
        check_room(
            "one level after the other",
            (2, whole),
            "e1 w2 i3 d4 c5",
            "e1 c5",
        );
        check_room("even what came last", (2, whole), "c1 e2 e3 d4", "c1 e3");
        check_room("critical last of all", (1, whole), "c1 e2 e3", "c1");
        check_room("even all of them", (0, whole), "c1 e2", "");
        check_room("a line that is begun stays", (1, true), "d1 e2", "d1");
        check_room("whatever the bound", (0, true), "d1 c2", "d1");
    }

    #[test]
    fn an_eighth_more_goes_of_the_levels_that_give_but_no_error() {
        for (level, left) in [(Level::Info, 14), (Level::Warn, 14), (Level::Error, 16)] {
            let one = line(level, "x");
            let mut held = Held::new(16 * one.len());
            held.push(&mut one.repeat(16));
            assert_eq!(held.lines().held, 16);
            held.push(&mut one.clone());
            assert_eq!(held.lines().held, left, "{level}");
            assert_eq!(held.lines().dropped.of(level), 17 - left, "{level}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_line_goes_while_a_lower_or_an_older_one_stays(
            levels in prop::collection::vec(0_usize..5, 1..60),
            lines_max in 0_usize..60,
        ) {
            let all: Vec<(Level, Vec<u8>)> = levels
                .iter()
                .enumerate()
                .map(|(at, level)| (Level::ALL[*level], at))
                .map(|(level, at)| (level, line(level, &at.to_string())))
                .collect();
            let mut text: Vec<u8> = all.iter().flat_map(|(_, line)| line.clone()).collect();
            let mut held = Held::new(lines_max * all[0].1.len());
            held.push(&mut text);
            let kept: Vec<&[u8]> = lines_of(&held.text).collect();
            let (stays, goes): (Vec<_>, Vec<_>) = all
                .iter()
                .enumerate()
                .map(|(at, (level, line))| ((*level, at), kept.contains(&line.as_slice())))
                .partition(|(_, stays)| *stays);
            prop_assert_eq!(stays.len() as u64, held.lines().held);
            prop_assert_eq!(goes.len() as u64, held.lines().dropped.total());
            prop_assert!(held.text.len() <= held.bytes_max);
            // Level first, then age: the last that went comes before the first that stays.
            prop_assert!(goes.iter().max() < stays.iter().min() || stays.is_empty());
        }
    }
}
