//! A log file that is appended to in whole lines, and found again after somebody moved it.
//!
//! Invariant: a line that is begun is finished before anything else is written, or, when the file
//! has been replaced meanwhile, written in whole to the new one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Bytes of one write. Whole lines in one write on an O_APPEND file are not torn by other writers.
pub(super) const BATCH_BYTES_MAX: usize = 64 << 10;

/// Between two looks at the path.
const LOOK_INTERVAL_NS: u64 = 1_000_000_000;

/// Memory that an empty buffer may keep after an outage.
const SPARE_BYTES_MAX: usize = 1 << 20;

/// Lines by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) sent: u64,
    pub(super) dropped: u64,
    pub(super) held: u64,
}

pub(super) struct LogFile {
    path: PathBuf,
    open: Option<File>,
    place: Place,
    looked_at_ns: u64,
    /// Whole lines; the first `written` bytes are in the file already.
    held: Vec<u8>,
    written: usize,
    held_bytes_max: usize,
    lines: Lines,
    reopened: u64,
}

/// Which file it is, whatever its name.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    device: u64,
    inode: u64,
}

impl LogFile {
    pub(super) fn open(path: PathBuf, held_bytes_max: usize) -> io::Result<LogFile> {
        let (file, place) = open(&path)?;
        Ok(LogFile {
            path,
            open: Some(file),
            place,
            looked_at_ns: 0,
            held: Vec::new(),
            written: 0,
            held_bytes_max,
            lines: Lines::default(),
            reopened: 0,
        })
    }

    /// Takes whole lines in; the oldest make room when an outage lasts.
    pub(super) fn push(&mut self, text: &mut Vec<u8>) {
        self.lines.held += count_lines(text);
        move_all(text, &mut self.held);
        self.drop_oldest();
    }

    /// Writes what is held. After an error the next call opens the path anew.
    pub(super) fn write(&mut self, now_ns: u64) -> io::Result<()> {
        let outcome = self.find_again(now_ns).and_then(|()| self.write_held());
        if outcome.is_err() {
            self.open = None;
        }
        outcome
    }

    /// Whether the last write failed.
    pub(super) fn is_failing(&self) -> bool {
        self.open.is_none()
    }

    /// Drops what is held, at the end.
    pub(super) fn give_up(&mut self) {
        self.lines.dropped += self.lines.held;
        self.lines.held = 0;
        self.held.clear();
        self.written = 0;
    }

    pub(super) fn lines(&self) -> Lines {
        self.lines
    }

    pub(super) fn reopened(&self) -> u64 {
        self.reopened
    }

    /// Opens the path when it is not open, or leads to another file than ours, or to none.
    fn find_again(&mut self, now_ns: u64) -> io::Result<()> {
        let rested = now_ns.saturating_sub(self.looked_at_ns) < LOOK_INTERVAL_NS;
        if self.open.is_some() && rested {
            return Ok(());
        }
        self.looked_at_ns = now_ns;
        let ours = fs::metadata(&self.path).is_ok_and(|found| Place::of(&found) == self.place);
        if self.open.is_some() && ours {
            return Ok(());
        }
        let (file, place) = open(&self.path)?;
        if place != self.place {
            self.written = 0;
        }
        self.open = Some(file);
        self.place = place;
        self.reopened += 1;
        Ok(())
    }

    fn write_held(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.open else {
            return Ok(());
        };
        let outcome = write_from(file, &self.held, &mut self.written);
        let whole = memchr::memrchr(b'\n', &self.held[..self.written]);
        let whole = whole.map_or(0, |at| at + 1);
        let sent = count_lines(&self.held[..whole]);
        self.lines.sent += sent;
        self.lines.held -= sent;
        self.written -= whole;
        self.held.drain(..whole);
        if self.held.is_empty() && self.held.capacity() > SPARE_BYTES_MAX {
            self.held = Vec::new();
        }
        outcome
    }

    /// Keeps the bound. A line that is partly in the file stays. An eighth more goes than must,
    /// or every batch of a long outage would move all that is held.
    fn drop_oldest(&mut self) {
        if self.held.len() <= self.held_bytes_max {
            return;
        }
        let over = self.held.len() - self.held_bytes_max + self.held_bytes_max / 8;
        let begun = self.written > 0;
        let start = if begun { line_end(&self.held, 0) } else { 0 };
        let end = line_end(&self.held, (start + over - 1).min(self.held.len()));
        let dropped = count_lines(&self.held[start..end]);
        self.held.drain(start..end);
        self.lines.dropped += dropped;
        self.lines.held -= dropped;
    }
}

impl Place {
    fn of(found: &fs::Metadata) -> Place {
        Place {
            device: found.dev(),
            inode: found.ino(),
        }
    }
}

fn open(path: &Path) -> io::Result<(File, Place)> {
    // Opening a FIFO waits for its reader, for ever if there is none.
    if path
        .metadata()
        .is_ok_and(|found| found.file_type().is_fifo())
    {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a FIFO"));
    }
    let file = File::options().append(true).create(true).open(path)?;
    let place = Place::of(&file.metadata()?);
    Ok((file, place))
}

/// Writes `text` from `written` on, a batch of whole lines at a time.
fn write_from(file: &mut impl Write, text: &[u8], written: &mut usize) -> io::Result<()> {
    while *written < text.len() {
        match file.write(&text[*written..batch_end(text, *written)]) {
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

/// The end of the last line that fits a batch from `start` on, or of the first when none does.
pub(super) fn batch_end(text: &[u8], start: usize) -> usize {
    let end = (start + BATCH_BYTES_MAX).min(text.len());
    let last = memchr::memrchr(b'\n', &text[start..end]);
    last.map_or_else(|| line_end(text, end), |at| start + at + 1)
}

/// Behind the first line feed at or after `from`.
fn line_end(text: &[u8], from: usize) -> usize {
    let feed = memchr::memchr(b'\n', &text[from..]);
    feed.map_or(text.len(), |at| from + at + 1)
}

pub(super) fn count_lines(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_short_write_goes_on_where_it_ended() {
        let mut short = Short {
            text: Vec::new(),
            each: 3,
            calls_left: 2,
        };
        let mut written = 0;
        let text = b"abcd\nefgh\n";
        assert!(write_from(&mut short, text, &mut written).is_err());
        assert_eq!((written, short.text.as_slice()), (6, &b"abcd\ne"[..]));
        short.calls_left = 9;
        write_from(&mut short, text, &mut written).unwrap();
        assert_eq!(short.text, text);
        short.calls_left = 1;
        short.each = 0;
        let error = write_from(&mut short, b"a\n", &mut 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    }

    #[test]
    fn batches_end_with_a_line() {
        let line = |bytes: usize| [vec![b'x'; bytes - 1], vec![b'\n']].concat();
        let rows = [
            ("empty", Vec::new(), 0),
            ("one line", line(10), 10),
            (
                "a line of a whole batch",
                line(BATCH_BYTES_MAX),
                BATCH_BYTES_MAX,
            ),
            (
                "a longer line goes alone",
                line(BATCH_BYTES_MAX + 1),
                BATCH_BYTES_MAX + 1,
            ),
            ("two that fit", [line(5), line(5)].concat(), 10),
            (
                "two that do not",
                [line(5), line(BATCH_BYTES_MAX)].concat(),
                5,
            ),
        ];
        for (rule, text, end) in rows {
            assert_eq!(batch_end(&text, 0), end, "{rule}");
        }
    }

    #[test]
    fn the_oldest_lines_go_but_not_one_that_is_begun() {
        let rows: [(&str, usize, usize, &str); 6] = [
            ("under the bound", 9, 0, "1\n22\n333\n"),
            ("one byte over costs a line", 8, 0, "22\n333\n"),
            ("as many as it takes", 4, 0, "333\n"),
            ("even all of them", 3, 0, ""),
            ("a line that is begun stays", 8, 1, "1\n333\n"),
            ("whatever the bound", 0, 1, "1\n"),
        ];
        for (rule, bytes_max, written, kept) in rows {
            let mut file = LogFile::open("/dev/null".into(), bytes_max).unwrap();
            file.written = written;
            file.push(&mut b"1\n22\n333\n".to_vec());
            assert_eq!(String::from_utf8_lossy(&file.held), kept, "{rule}");
            assert_eq!(file.lines.held, count_lines(kept.as_bytes()), "{rule}");
            assert_eq!(file.lines.held + file.lines.dropped, 3, "{rule}");
        }
    }

    #[test]
    fn a_line_begun_in_a_file_that_is_gone_is_written_anew() {
        let mut file = LogFile::open("/dev/full".into(), 100).unwrap();
        file.push(&mut b"abc\n".to_vec());
        file.written = 2;
        file.path = "/dev/null".into();
        file.write(LOOK_INTERVAL_NS).unwrap();
        assert_eq!(
            file.lines,
            Lines {
                sent: 1,
                dropped: 0,
                held: 0
            }
        );
        assert_eq!((file.written, file.reopened), (0, 1));
    }
}
