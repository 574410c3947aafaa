//! Old log files: `a.json` becomes `a.json.1`, that becomes `a.json.2`, and so on; the oldest goes.
//!
//! The number stands last, so that a pattern such as `*.json` matches the file in use alone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// When the log file is put aside and begun anew, and how many old ones stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes that the file does not exceed, unless a single line does; 0 is no limit.
    pub bytes_max: u64,
    /// Time from the file's creation until it is put aside; zero is no limit. It counts from when the
    /// first line was written to it; for a file that was there before, from its creation as the file
    /// system tells, or from its last change where it does not.
    pub age_max: Duration,
    /// Old files that are kept, at least one: whoever follows the log may not have read it to its end.
    pub kept: usize,
}

impl Default for Rotation {
    fn default() -> Rotation {
        Rotation {
            bytes_max: 64 << 20,
            age_max: Duration::ZERO,
            kept: 4,
        }
    }
}

impl Rotation {
    pub(super) fn age_ns(&self) -> u64 {
        u64::try_from(self.age_max.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The name of the old file of this number, from 1 on.
pub(super) fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(format!(".{number}"));
    name.into()
}

/// Gives the file the number 1. Only as many old ones move up as must: what is tried again and again
/// does not push them out.
pub(super) fn put_aside(path: &Path, kept: usize) -> io::Result<()> {
    let kept = kept.max(1);
    let is_free = |number: &usize| fs::symlink_metadata(numbered(path, *number)).is_err();
    let free = (1..=kept).find(is_free).unwrap_or(kept);
    for number in (1..free).rev() {
        fs::rename(numbered(path, number), numbered(path, number + 1))?;
    }
    fs::rename(path, numbered(path, 1))
}

/// Undoes the last step of [`put_aside`].
pub(super) fn put_back(path: &Path) -> io::Result<()> {
    fs::rename(numbered(path, 1), path)
}
