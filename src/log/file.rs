//! A log file that is appended to in whole lines, put aside when it is large or old, and found again after
//! somebody else moved it.
//!
//! Invariant: a line that is begun is finished before anything else is written, or, when the file
//! has been replaced or emptied meanwhile, written in whole to what is there now.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::held::{BATCH_BYTES_MAX, Held};
use super::rotate::{Rotation, put_aside, put_back};
use crate::clock::Clock;

/// Between two looks at the path, and between two tries of what failed.
const LOOK_INTERVAL_NS: u64 = 1_000_000_000;

/// One reading of both sides of the clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) mono_ns: u64,
    pub(super) unix_ns: u64,
}

impl Now {
    pub(super) fn of(clock: &Clock) -> Now {
        Now {
            mono_ns: clock.mono_ns(),
            unix_ns: clock.unix_ns(),
        }
    }
}

/// What happened to the file as a whole, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turns {
    pub(super) reopened: u64,
    pub(super) reopen_failed: u64,
    pub(super) rotated: u64,
    pub(super) rotate_failed: u64,
}

pub(super) struct LogFile {
    path: PathBuf,
    rotation: Rotation,
    open: Option<File>,
    place: Place,
    /// Bytes of it, as far as we know, and when the first of them came.
    bytes: u64,
    born_unix_ns: u64,
    looked_at_ns: u64,
    /// Not before does a rotation that failed have another try.
    rotate_from_ns: u64,
    wants_reopening: bool,
    /// Somebody left a line there without its end: ours do not become a part of it.
    ends_torn: bool,
    held: Held,
    turns: Turns,
    /// What kept the file from being put aside, until it is told.
    trouble: Option<String>,
}

/// Which file it is, whatever its name.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    device: u64,
    inode: u64,
    /// A device or a pipe has no size and no successor.
    regular: bool,
}

impl LogFile {
    pub(super) fn open(path: PathBuf, held_bytes_max: usize, now: Now) -> io::Result<LogFile> {
        let (file, found) = open(&path)?;
        Ok(LogFile {
            ends_torn: is_torn(&path, &found),
            path,
            rotation: Rotation::default(),
            open: Some(file),
            place: Place::of(&found),
            bytes: found.len(),
            born_unix_ns: born(&found, now),
            looked_at_ns: now.mono_ns,
            rotate_from_ns: 0,
            wants_reopening: false,
            held: Held::new(held_bytes_max),
            turns: Turns::default(),
            trouble: None,
        })
    }

    pub(super) fn rotated_by(mut self, rotation: Rotation) -> LogFile {
        self.rotation = rotation;
        self
    }

    pub(super) fn held(&mut self) -> &mut Held {
        &mut self.held
    }

    /// The next write opens the path anew.
    pub(super) fn reopen(&mut self) {
        self.wants_reopening = true;
    }

    /// Writes what is held. After an error the next call opens the path anew.
    pub(super) fn write(&mut self, now: Now) -> io::Result<()> {
        let outcome = self.find_again(now).and_then(|()| self.write_held(now));
        if outcome.is_err() {
            self.open = None;
        }
        self.held.settle();
        outcome
    }

    /// Whether the last write failed.
    pub(super) fn is_failing(&self) -> bool {
        self.open.is_none()
    }

    pub(super) fn turns(&self) -> Turns {
        self.turns
    }

    /// Why the file cannot be put aside, once for each time that begins.
    pub(super) fn take_trouble(&mut self) -> Option<String> {
        self.trouble.take()
    }

    /// Opens the path when it is not open, or leads to another file than ours, or to none.
    fn find_again(&mut self, now: Now) -> io::Result<()> {
        let is_open = self.open.is_some();
        let rested = now.mono_ns.saturating_sub(self.looked_at_ns) < LOOK_INTERVAL_NS;
        if is_open && rested && !self.wants_reopening {
            return Ok(());
        }
        self.looked_at_ns = now.mono_ns;
        let wants = std::mem::take(&mut self.wants_reopening);
        if is_open
            && !wants
            && let Ok(found) = fs::metadata(&self.path)
            && Place::of(&found) == self.place
        {
            self.note_length(found.len(), now);
            return Ok(());
        }
        match open(&self.path) {
            Ok((file, found)) => {
                self.turns.reopened += 1;
                self.take(file, &found, now);
                Ok(())
            }
            Err(error) => {
                self.turns.reopen_failed += 1;
                // A file that was moved has a name still: what is written there is not lost.
                let has_name = |file: &File| file.metadata().is_ok_and(|found| found.nlink() > 0);
                match &self.open {
                    Some(file) if has_name(file) => Ok(()),
                    _ => Err(error),
                }
            }
        }
    }

    fn take(&mut self, file: File, found: &Metadata, now: Now) {
        let place = Place::of(found);
        if place == self.place {
            self.note_length(found.len(), now);
        } else {
            self.held.restart();
            self.bytes = found.len();
            self.born_unix_ns = born(found, now);
            self.place = place;
            self.ends_torn = is_torn(&self.path, found);
        }
        self.open = Some(file);
    }

    /// A file that has become shorter was emptied, and with it went the beginning of a line.
    fn note_length(&mut self, bytes: u64, now: Now) {
        if bytes < self.bytes && self.place.regular {
            self.held.restart();
            self.ends_torn = false;
            self.born_unix_ns = now.unix_ns;
        }
        self.bytes = bytes;
    }

    fn write_held(&mut self, now: Now) -> io::Result<()> {
        let age_ns = self.rotation.age_ns();
        let aged = now.unix_ns.saturating_sub(self.born_unix_ns) >= age_ns;
        if age_ns > 0 && aged {
            self.rotate(now);
        }
        while !self.held.is_empty() {
            if self.is_full() {
                self.rotate(now);
            }
            if self.bytes == 0 {
                self.born_unix_ns = now.unix_ns;
            }
            let room = match self.rotation.bytes_max.saturating_sub(self.bytes) {
                0 => BATCH_BYTES_MAX,
                left => usize::try_from(left).unwrap_or(BATCH_BYTES_MAX),
            };
            let Some(file) = &mut self.open else {
                return Ok(());
            };
            if self.ends_torn {
                file.write_all(b"\n")?;
                self.ends_torn = false;
                self.bytes += 1;
            }
            let before = self.held.left_bytes();
            let outcome = self.held.write_batch(file, room);
            self.bytes += (before - self.held.left_bytes()) as u64;
            outcome?;
        }
        Ok(())
    }

    /// Whether the next line is one too many.
    fn is_full(&self) -> bool {
        let max = self.rotation.bytes_max;
        max > 0 && self.bytes + self.held.first_bytes() as u64 > max
    }

    /// Puts the file aside and begins it anew. Where that fails, writing goes on as it was, and it is
    /// tried again later.
    fn rotate(&mut self, now: Now) {
        let in_peace = now.mono_ns >= self.rotate_from_ns;
        let has_lines = self.bytes > 0 && !self.held.is_begun();
        let may = self.place.regular && !is_borrowed(&self.path);
        if !(in_peace && has_lines && may && self.open.is_some()) {
            return;
        }
        match self.begin_anew() {
            Ok((file, found)) => {
                self.take(file, &found, now);
                self.turns.rotated += 1;
                self.rotate_from_ns = 0;
            }
            Err(error) => {
                if self.rotate_from_ns == 0 {
                    self.trouble = Some(error.to_string());
                }
                self.turns.rotate_failed += 1;
                self.rotate_from_ns = now.mono_ns.saturating_add(LOOK_INTERVAL_NS);
            }
        }
    }

    fn begin_anew(&self) -> io::Result<(File, Metadata)> {
        let ours = match fs::metadata(&self.path) {
            Ok(found) if Place::of(&found) == self.place => found,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            // Somebody else was faster.
            _ => return open(&self.path),
        };
        // A link stays where it is: what it leads to is put aside, beside itself.
        let real = fs::canonicalize(&self.path)?;
        put_aside(&real, self.rotation.kept)?;
        let opened = open(&self.path).and_then(|(file, found)| {
            // Whoever may read the old one may read the new one.
            if found.mode() != ours.mode() {
                file.set_permissions(ours.permissions())?;
            }
            Ok((file, found))
        });
        if opened.is_err() {
            // Should this fail too, the next look at the path makes the file.
            let _ = put_back(&real);
        }
        opened
    }
}

impl Place {
    fn of(found: &Metadata) -> Place {
        Place {
            device: found.dev(),
            inode: found.ino(),
            regular: found.is_file(),
        }
    }
}

fn open(path: &Path) -> io::Result<(File, Metadata)> {
    // Opening a FIFO waits for its reader, for ever if there is none.
    if path
        .metadata()
        .is_ok_and(|found| found.file_type().is_fifo())
    {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a FIFO"));
    }
    let file = File::options().append(true).create(true).open(path)?;
    let found = file.metadata()?;
    Ok((file, found))
}

/// Whether the file ends in the middle of a line, as a full disk or a kill may leave it.
fn is_torn(path: &Path, found: &Metadata) -> bool {
    let last = || -> io::Result<u8> {
        let mut file = File::open(path)?;
        let same = Place::of(&file.metadata()?) == Place::of(found);
        file.seek(SeekFrom::Start(if same { found.len() - 1 } else { 0 }))?;
        let mut byte = [b'\n'];
        file.read_exact(&mut byte)?;
        Ok(if same { byte[0] } else { b'\n' })
    };
    // One that may be written and not read is taken as it is.
    found.is_file() && found.len() > 0 && last().is_ok_and(|byte| byte != b'\n')
}

/// Whether the path is another name of what the system lent us, such as `/dev/stdout`: that is not ours to
/// rename, though a file may be behind it.
fn is_borrowed(path: &Path) -> bool {
    let lent = |path: &Path| {
        let device = path.starts_with("/dev") && !path.starts_with("/dev/shm");
        device || path.starts_with("/proc")
    };
    lent(path) || fs::read_link(path).is_ok_and(|leads_to| lent(&leads_to))
}

/// When a file that was there before us began.
fn born(found: &Metadata, now: Now) -> u64 {
    if found.len() == 0 {
        return now.unix_ns;
    }
    let when = found.created().or_else(|_| found.modified());
    let since = when
        .ok()
        .and_then(|when| when.duration_since(UNIX_EPOCH).ok());
    since.map_or(now.unix_ns, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now {
        mono_ns: LOOK_INTERVAL_NS,
        unix_ns: 0,
    };

    /// A file that has taken a part of a line when it fails.
    fn begun() -> LogFile {
        let mut file = LogFile::open("/dev/full".into(), 100, NOW).unwrap();
        file.held.push(&mut b"abc\n".to_vec());
        file.held.begin(2);
        assert!(file.write(NOW).is_err() && file.is_failing());
        file
    }

    #[test]
    fn a_line_begun_in_a_file_that_is_gone_is_written_anew() {
        let mut file = begun();
        file.path = std::env::temp_dir().join(format!("testapi-begun-{}", std::process::id()));
        file.write(NOW).unwrap();
        assert_eq!(fs::read(&file.path).unwrap(), b"abc\n");
        file.held.push(&mut b"efg\nh\n".to_vec());
        file.held.begin(1);
        // Somebody empties the file, and the path is looked at.
        fs::write(&file.path, "").unwrap();
        file.looked_at_ns = 0;
        file.write(NOW).unwrap();
        assert_eq!(fs::read(&file.path).unwrap(), b"efg\nh\n");
        fs::remove_file(&file.path).unwrap();
        assert_eq!((file.held.lines().sent, file.turns.reopened), (3, 1));
    }

    #[test]
    fn a_line_begun_in_a_file_that_is_still_there_is_finished() {
        let mut file = begun();
        let path = std::env::temp_dir().join(format!("testapi-rest-{}", std::process::id()));
        fs::write(&path, "ab").unwrap();
        file.place = Place::of(&fs::metadata(&path).unwrap());
        (file.path, file.bytes) = (path, 2);
        file.write(NOW).unwrap();
        assert_eq!(fs::read(&file.path).unwrap(), b"abc\n");
        fs::remove_file(&file.path).unwrap();
    }
}
