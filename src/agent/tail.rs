//! Log files, followed through rename, truncation and deletion.
//!
//! A file that is put aside is read to its end. Those that came after it and were put aside as well before the
//! next look (`a.log.1`, `a.log.2` and so on, the youngest first) are read whole, if the one that was read last
//! is among them. What is not seen: a file that was deleted before it was read, one past `.100`, and one under
//! any other name.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::options::TailOptions;
use super::queue::Queue;
use super::store::{Cargo, Way};
use super::view::PayloadRow;
use crate::worker::{Fill, FlushError, Job, Why};

/// A longer line is cut.
const LINE_BYTES_MAX: usize = 1 << 20;
const READ_BYTES: usize = 256 << 10;
/// A file waits where a socket could not: no reading on while so much is not in the store yet.
const WAITING_BYTES_MAX: u64 = 8 << 20;
/// Files put aside that are looked at.
const ASIDE_MAX: usize = 100;
/// How often, as two rotations under way at once may hide one.
const LOOKS_AT_ASIDE: usize = 3;

/// Looks at the files on every tick.
pub(super) struct Tail {
    files: Vec<Followed>,
    queue: Queue,
    /// Set where a look ended before the end of a file.
    behind: Arc<AtomicBool>,
}

struct Followed {
    options: TailOptions,
    path: Arc<str>,
    /// The one that is read, and those to be read after it; the path led to the last of them. Held open, so
    /// that a further rotation confuses nothing.
    files: VecDeque<Open>,
    looked: bool,
    lines: Lines,
    last_error: Option<String>,
}

/// Device and inode.
type Id = (u64, u64);

struct Open {
    file: File,
    id: Id,
    offset: u64,
}

impl Open {
    /// `None` where nothing is there.
    fn at(path: &Path) -> std::io::Result<Option<Open>> {
        // Opening a FIFO waits for its writer, for ever if there is none.
        let found = fs::metadata(path);
        if found.is_ok_and(|found| found.file_type().is_fifo()) {
            return Err(std::io::Error::new(ErrorKind::InvalidInput, "it is a FIFO"));
        }
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let metadata = file.metadata()?;
        Ok(Some(Open {
            file,
            id: (metadata.dev(), metadata.ino()),
            offset: 0,
        }))
    }
}

enum Outcome {
    UpToDate,
    Behind,
}

/// What the path leads to.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// The file that is open, or none: its last lines may still come.
    Same,
    /// The same, but shorter than what was read of it.
    Truncated,
    /// Another file.
    Replaced,
}

impl Tail {
    pub(super) fn new(options: Vec<TailOptions>, queue: Queue, behind: Arc<AtomicBool>) -> Tail {
        let follow = |options: TailOptions| Followed {
            path: options.path.to_string_lossy().into(),
            options,
            files: VecDeque::new(),
            looked: false,
            lines: Lines::default(),
            last_error: None,
        };
        let mut tail = Tail {
            files: options.into_iter().map(follow).collect(),
            queue,
            behind,
        };
        // Now, not with the first tick: a file that comes in between is new and read from its start.
        for file in &mut tail.files {
            let _ = file.try_open(&tail.queue);
        }
        tail
    }
}

impl Job for Tail {
    type Item = Infallible;

    fn take(&mut self, item: Infallible) -> Fill {
        match item {}
    }

    fn flush(&mut self, why: Why) -> Result<(), FlushError> {
        let waiting_max = if why == Why::Stop {
            u64::MAX
        } else {
            WAITING_BYTES_MAX
        };
        let mut behind = false;
        let mut failed = None;
        for file in &mut self.files {
            match file.look(&self.queue, waiting_max) {
                Ok(Outcome::UpToDate) => file.last_error = None,
                Ok(Outcome::Behind) => behind = true,
                Err(error) => {
                    let text = format!("{}: {error}", file.path);
                    file.complain(&text, &self.queue);
                    failed = Some(text);
                }
            }
        }
        self.behind.store(behind, Ordering::Release);
        failed.map_or(Ok(()), |text| Err(FlushError::new(text)))
    }
}

impl Followed {
    fn look(&mut self, queue: &Queue, waiting_max: u64) -> std::io::Result<Outcome> {
        // A file may be replaced again and again while we look; the next tick goes on.
        for _ in 0..8 {
            if self.files.is_empty() && !self.try_open(queue)? {
                return Ok(Outcome::UpToDate);
            }
            while self.files.len() > 1 {
                if let Outcome::Behind = self.read_on(queue, waiting_max)? {
                    return Ok(Outcome::Behind);
                }
                self.offer_last_line(queue);
                self.files.pop_front();
            }
            // Before the read, or what is written between the two to a file that then gives way would be missed.
            let turn = self.turn()?;
            if turn == Turn::Truncated {
                self.offer_last_line(queue);
                self.begin_again()?;
            }
            if let Outcome::Behind = self.read_on(queue, waiting_max)? {
                return Ok(Outcome::Behind);
            }
            if turn != Turn::Replaced || !self.try_open(queue)? {
                return Ok(Outcome::UpToDate);
            }
        }
        Ok(Outcome::Behind)
    }

    /// Opens what the path leads to, and what came between that and the file that is open.
    fn try_open(&mut self, queue: &Queue) -> std::io::Result<bool> {
        let there_at_start = !std::mem::replace(&mut self.looked, true);
        let Some(mut open) = Open::at(&self.options.path)? else {
            return Ok(false);
        };
        if there_at_start && !self.options.from_start {
            open.offset = open.file.seek(SeekFrom::End(0))?;
        }
        if let Some(last) = self.files.back().map(|last| last.id) {
            if last == open.id {
                return Ok(true);
            }
            // After the path: what is put aside from now on is younger than what it led to.
            let between =
                (0..LOOKS_AT_ASIDE).find_map(|_| self.put_aside_after(last, open.id, queue));
            self.files.extend(between.into_iter().flatten());
        }
        self.files.push_back(open);
        Ok(true)
    }

    /// The numbered files between those two, the oldest first; `None` if the first is not among them.
    fn put_aside_after(&mut self, first: Id, last: Id, queue: &Queue) -> Option<Vec<Open>> {
        let (mut between, mut missing): (Vec<Open>, bool) = (Vec::new(), false);
        for number in 1..=ASIDE_MAX {
            let mut path = self.options.path.clone().into_os_string();
            path.push(format!(".{number}"));
            if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
                break;
            }
            let open = match Open::at(path.as_ref()) {
                Ok(Some(open)) => open,
                // One may be between two names, two in a row are the end.
                Ok(None) if missing => break,
                Ok(None) => {
                    missing = true;
                    continue;
                }
                Err(error) => {
                    let text = format!("{}: {error}", path.to_string_lossy());
                    self.complain(&text, queue);
                    break;
                }
            };
            missing = false;
            if open.id == first {
                between.reverse();
                return Some(between);
            }
            // They move up while we look, so one may be met twice, and younger ones than the last before it.
            if open.id == last {
                between.clear();
            } else if between.iter().all(|known| known.id != open.id) {
                between.push(open);
            }
        }
        None
    }

    fn read_on(&mut self, queue: &Queue, waiting_max: u64) -> std::io::Result<Outcome> {
        let Some(open) = self.files.front_mut() else {
            return Ok(Outcome::UpToDate);
        };
        let mut buffer = vec![0; READ_BYTES];
        loop {
            if queue.lines_waiting_bytes.load(Ordering::Relaxed) > waiting_max {
                return Ok(Outcome::Behind);
            }
            let length = match open.file.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read?,
            };
            if length == 0 {
                return Ok(Outcome::UpToDate);
            }
            open.offset += length as u64;
            let (bytes, cut) = self.lines.feed(&buffer[..length]);
            if !bytes.is_empty() {
                queue.offer(Cargo::Lines {
                    path: self.path.clone(),
                    bytes,
                    cut,
                });
            }
        }
    }

    fn turn(&self) -> std::io::Result<Turn> {
        let Some(open) = self.files.back() else {
            return Ok(Turn::Same);
        };
        let now = match fs::metadata(&self.options.path) {
            // Deleted, or between the two halves of a rotation.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Turn::Same),
            found => found?,
        };
        Ok(if (now.dev(), now.ino()) != open.id {
            Turn::Replaced
        } else if now.len() < open.offset {
            Turn::Truncated
        } else {
            Turn::Same
        })
    }

    fn begin_again(&mut self) -> std::io::Result<()> {
        if let Some(open) = self.files.back_mut() {
            open.offset = open.file.seek(SeekFrom::Start(0))?;
        }
        Ok(())
    }

    /// What has no line feed yet, of a file that will not grow any more.
    fn offer_last_line(&mut self, queue: &Queue) {
        let bytes = self.lines.finish();
        if !bytes.is_empty() {
            queue.offer(Cargo::Lines {
                path: self.path.clone(),
                bytes,
                cut: 0,
            });
        }
    }

    /// Once for each new trouble, not with every tick.
    fn complain(&mut self, text: &str, queue: &Queue) {
        if self.last_error.as_deref() == Some(text) {
            return;
        }
        self.last_error = Some(text.to_string());
        let row = PayloadRow {
            time_unix_us: queue.now_unix_us(),
            what: self.path.to_string(),
            error: text.to_string(),
            ..PayloadRow::default()
        };
        queue.offer(Cargo::Refused {
            way: Some(Way::Logs),
            row: Box::new(row),
        });
    }
}

/// Cuts what is read into whole lines and keeps the last one until its newline comes.
#[derive(Debug, Default)]
struct Lines {
    partial: Vec<u8>,
    /// The rest of a line that was cut is skipped.
    skipping: bool,
}

impl Lines {
    /// Whole lines, newlines included, and how many of them were cut.
    fn feed(&mut self, mut read: &[u8]) -> (Vec<u8>, u64) {
        let newline = |bytes: &[u8]| bytes.iter().position(|byte| *byte == b'\n');
        if self.skipping {
            let Some(end) = newline(read) else {
                return (Vec::new(), 0);
            };
            self.skipping = false;
            read = &read[end + 1..];
        }
        let (mut out, mut cut) = (Vec::new(), 0);
        let whole = read
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let (mut whole, rest) = read.split_at(whole);
        if let Some(end) = newline(whole) {
            self.partial.extend_from_slice(&whole[..end]);
            whole = &whole[end + 1..];
            cut += u64::from(self.partial.len() > LINE_BYTES_MAX);
            self.partial.truncate(LINE_BYTES_MAX);
            out.append(&mut self.partial);
            out.push(b'\n');
            out.extend_from_slice(whole);
        }
        self.partial.extend_from_slice(rest);
        if self.partial.len() > LINE_BYTES_MAX {
            self.partial.truncate(LINE_BYTES_MAX);
            out.append(&mut self.partial);
            out.push(b'\n');
            cut += 1;
            self.skipping = true;
        }
        (out, cut)
    }

    /// The last line of a file that will not grow any more.
    fn finish(&mut self) -> Vec<u8> {
        self.skipping = false;
        let mut line = std::mem::take(&mut self.partial);
        if !line.is_empty() {
            line.push(b'\n');
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, reads: &[&[u8]], expected: &[&[u8]], last: &[u8]) {
        let mut lines = Lines::default();
        let fed: Vec<Vec<u8>> = reads.iter().map(|read| lines.feed(read).0).collect();
        assert_eq!(fed, expected, "{rule}");
        assert_eq!(lines.finish(), last, "{rule}");
    }

    #[test]
    fn lines_come_whole() {
        check("nothing", &[b""], &[b""], b"");
        check("one", &[b"a\n"], &[b"a\n"], b"");
        check(
            "many and a part",
            &[b"a\nb\nc", b"d\n"],
            &[b"a\nb\n", b"cd\n"],
            b"",
        );
        check(
            "a part that never ends",
            &[b"a", b"b"],
            &[b"", b""],
            b"ab\n",
        );
        check("blank lines", &[b"\n\n"], &[b"\n\n"], b"");
        check(
            "a character in two reads",
            &[b"\xc3", b"\xa9\n"],
            &[b"", b"\xc3\xa9\n"],
            b"",
        );
    }

    #[test]
    fn a_line_has_its_bound() {
        for (length, cut) in [
            (LINE_BYTES_MAX, 0),
            (LINE_BYTES_MAX + 1, 1),
            (3 * LINE_BYTES_MAX, 1),
        ] {
            let mut lines = Lines::default();
            let text = [vec![b'x'; length], b"\nnext\n".to_vec()].concat();
            let (mut out, mut cuts) = (Vec::new(), 0);
            for read in text.chunks(READ_BYTES) {
                let (bytes, cut) = lines.feed(read);
                out.extend(bytes);
                cuts += cut;
            }
            let sizes: Vec<usize> = out.split(|b| *b == b'\n').map(<[u8]>::len).collect();
            assert_eq!(
                (sizes, cuts),
                (vec![length.min(LINE_BYTES_MAX), 4, 0], cut),
                "{length}"
            );
        }
    }
}
