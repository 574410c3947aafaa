//! Log files, followed through rename, truncation and deletion.

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
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
    open: Option<Open>,
    looked: bool,
    lines: Lines,
    last_error: Option<String>,
}

struct Open {
    file: File,
    /// Device and inode.
    id: (u64, u64),
    offset: u64,
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
            open: None,
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
            let _ = file.try_open();
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
            if self.open.is_none() && !self.try_open()? {
                return Ok(Outcome::UpToDate);
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
            if turn != Turn::Replaced {
                return Ok(Outcome::UpToDate);
            }
            self.offer_last_line(queue);
            self.open = None;
        }
        Ok(Outcome::Behind)
    }

    fn try_open(&mut self) -> std::io::Result<bool> {
        let there_at_start = !std::mem::replace(&mut self.looked, true);
        // Opening a FIFO waits for its writer, for ever if there is none.
        let found = fs::metadata(&self.options.path);
        if found.is_ok_and(|found| found.file_type().is_fifo()) {
            return Err(std::io::Error::new(ErrorKind::InvalidInput, "it is a FIFO"));
        }
        let mut file = match File::open(&self.options.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            opened => opened?,
        };
        let metadata = file.metadata()?;
        let mut offset = 0;
        if there_at_start && !self.options.from_start {
            offset = file.seek(SeekFrom::End(0))?;
        }
        self.open = Some(Open {
            file,
            id: (metadata.dev(), metadata.ino()),
            offset,
        });
        Ok(true)
    }

    fn read_on(&mut self, queue: &Queue, waiting_max: u64) -> std::io::Result<Outcome> {
        let Some(open) = &mut self.open else {
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
        let Some(open) = &self.open else {
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
        if let Some(open) = &mut self.open {
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
