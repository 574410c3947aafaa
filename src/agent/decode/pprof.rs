//! Profiles in pprof's format: protobuf by `proto/profile.proto` of github.com/google/pprof.
//!
//! Ids become places in lists and every text stays in one table, so a profile in memory is about as large as it
//! was on the wire.

use std::fmt;

use super::pprof_tables::{read_samples, read_tables};
use super::unpack::unpacked;

/// Bytes that one profile may unpack to, and that it may take once it is decoded.
pub(super) const UNPACKED_BYTES_MAX: usize = 64 << 20;

/// Sample types. Python's profiler has 19.
pub(super) const TYPES_MAX: usize = 256;

/// A decoded profile. Texts are places in [`Profile::text`]; the first one is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// What each value of a sample is.
    pub sample_types: Vec<ValueType>,
    /// Binaries.
    pub mappings: Vec<Mapping>,
    /// Places in code.
    pub locations: Vec<Location>,
    /// Lines of all locations, one after another.
    pub lines: Vec<Line>,
    /// Functions.
    pub functions: Vec<Function>,
    /// When it began, in nanoseconds since 1970, or 0.
    pub time_nanos: i64,
    /// What it covers, or 0.
    pub duration_nanos: i64,
    /// What `period` counts.
    pub period_type: ValueType,
    /// Events from one sample to the next, or 0.
    pub period: i64,
    /// Remarks.
    pub comments: Vec<u32>,
    /// Name of the sample type that is to be shown first, or the empty text.
    pub default_sample_type: u32,
    /// Samples that had another number of values than there are sample types; they are left out.
    pub mismatched: u64,
    /// Locations that name a mapping which is not there.
    pub unmapped: u64,
    pub(super) texts: Texts,
    pub(super) samples: Samples,
}

/// A name and a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValueType {
    /// `cpu-time`.
    pub name: u32,
    /// `nanoseconds`.
    pub unit: u32,
}

/// A binary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// Its path.
    pub file: u32,
    /// What tells it from another build.
    pub build_id: u32,
}

/// A place in code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// Of the instruction, or 0.
    pub address: u64,
    /// Place in [`Profile::mappings`].
    pub mapping: Option<u32>,
    /// Several functions stand at this address, and this is one of them.
    pub folded: bool,
    /// First of its lines in [`Profile::lines`]: that of the innermost inlined function.
    pub lines_start: u32,
    /// After the last: that of the function that all others were inlined into.
    pub lines_end: u32,
}

/// A line of a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Place in [`Profile::functions`].
    pub function: u32,
    /// In its file, or 0.
    pub line: i64,
}

/// A function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// As people write it.
    pub name: u32,
    /// As the system knows it.
    pub system_name: u32,
    /// Its source file.
    pub file: u32,
}

/// What is known of one sample besides its stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// `thread name`.
    pub key: u32,
    /// Its text, or the empty one where it is a number.
    pub text: u32,
    /// Its number.
    pub number: i64,
}

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'p> {
    /// Places in [`Profile::locations`], the innermost first.
    pub stack: &'p [u32],
    /// One for each of [`Profile::sample_types`].
    pub values: &'p [i64],
    /// In the order received.
    pub labels: &'p [Label],
}

/// All texts, one after another.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Texts {
    pub(super) all: String,
    /// Where each ends.
    pub(super) ends: Vec<u32>,
}

/// All samples, one after another.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Samples {
    pub(super) stacks: Vec<u32>,
    pub(super) values: Vec<i64>,
    pub(super) labels: Vec<Label>,
    /// Where stack and labels of each end.
    pub(super) ends: Vec<(u32, u32)>,
}

/// Why a profile could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PprofError {
    /// There is nothing.
    Empty,
    /// What gzip or zstd says.
    Packed(&'static str, String),
    /// It unpacks to more than this many bytes, or takes more in memory.
    Large(usize),
    /// The message ends inside a field.
    Torn(&'static str),
    /// A number in this message is longer than 64 bits.
    Varint(&'static str),
    /// A field of this message begins with this key, which none can.
    Key(&'static str, u64),
    /// This field of this message has a wire type that is not its own.
    Type(&'static str, u32),
    /// A text in this message is one that the table does not have.
    Text(&'static str, i64),
    /// The first text of the table is not empty.
    FirstText,
    /// More than 256 sample types.
    Types,
    /// Two of this message have the same id, or it is 0.
    Id(&'static str, u64),
    /// This message names one of the other that is not there.
    Missing(&'static str, &'static str, u64),
}

impl fmt::Display for PprofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PprofError::Empty => f.write_str("empty"),
            PprofError::Packed(kind, why) => write!(f, "{kind}: {why}"),
            PprofError::Large(max) => write!(f, "over {max} bytes once it is unpacked"),
            PprofError::Torn(message) => write!(f, "{message} ends inside a field"),
            PprofError::Varint(message) => write!(f, "a number over 64 bits in {message}"),
            PprofError::Key(message, key) => write!(f, "no field of {message} has the key {key}"),
            PprofError::Type(message, field) => {
                write!(f, "field {field} of {message} has another wire type")
            }
            PprofError::Text(message, at) => {
                write!(f, "{message} names string {at}, which is not in the table")
            }
            PprofError::Types => write!(f, "more than {TYPES_MAX} sample types"),
            PprofError::FirstText => f.write_str("string_table[0] is not empty"),
            PprofError::Id(message, 0) => write!(f, "{message} has the id 0"),
            PprofError::Id(message, id) => write!(f, "{message} {id} stands there twice"),
            PprofError::Missing(message, other, id) => {
                write!(f, "{message} names {other} {id}, which is not there")
            }
        }
    }
}

impl std::error::Error for PprofError {}

/// Decodes a profile: raw, or packed with gzip or zstd, which its first bytes tell.
///
/// # Errors
/// [`PprofError`], which names what is wrong.
pub fn pprof(bytes: &[u8]) -> Result<Profile, PprofError> {
    let bytes = unpacked(bytes, UNPACKED_BYTES_MAX)?;
    if bytes.is_empty() {
        return Err(PprofError::Empty);
    }
    let mut profile = Profile::default();
    let locations = read_tables(&bytes, &mut profile)?;
    read_samples(&bytes, &locations, &mut profile)?;
    profile.shrink();
    Ok(profile)
}

impl Profile {
    /// One text of the table.
    pub fn text(&self, at: u32) -> &str {
        let at = at as usize;
        let start = at.checked_sub(1).and_then(|last| self.texts.ends.get(last));
        let (start, end) = (start.copied().unwrap_or(0), self.texts.ends.get(at));
        self.texts
            .all
            .get(start as usize..end.copied().unwrap_or(0) as usize)
            .unwrap_or("")
    }

    /// In the order received.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = Sample<'_>> {
        let all = &self.samples;
        let types = self.sample_types.len();
        (0..all.ends.len()).map(move |at| {
            let (stack, labels) = match at {
                0 => (0, 0),
                _ => all.ends[at - 1],
            };
            let (stack_end, labels_end) = all.ends[at];
            Sample {
                stack: &all.stacks[stack as usize..stack_end as usize],
                values: &all.values[at * types..(at + 1) * types],
                labels: &all.labels[labels as usize..labels_end as usize],
            }
        })
    }

    /// Lines of one location, the innermost inlined function first.
    pub fn lines_of(&self, location: &Location) -> &[Line] {
        &self.lines[location.lines_start as usize..location.lines_end as usize]
    }

    /// Bytes that it takes in memory.
    pub fn bytes(&self) -> usize {
        let samples = &self.samples;
        size_of::<Profile>()
            + self.texts.all.capacity()
            + room(&self.texts.ends)
            + room(&self.sample_types)
            + room(&self.mappings)
            + room(&self.locations)
            + room(&self.lines)
            + room(&self.functions)
            + room(&self.comments)
            + room(&samples.stacks)
            + room(&samples.values)
            + room(&samples.labels)
            + room(&samples.ends)
    }

    /// What it takes may not become a large multiple of what came: a byte on the wire can be eight here.
    pub(super) fn check_size(&self) -> Result<(), PprofError> {
        match self.bytes() <= UNPACKED_BYTES_MAX {
            true => Ok(()),
            false => Err(PprofError::Large(UNPACKED_BYTES_MAX)),
        }
    }

    fn shrink(&mut self) {
        self.texts.all.shrink_to_fit();
        self.texts.ends.shrink_to_fit();
        self.mappings.shrink_to_fit();
        self.locations.shrink_to_fit();
        self.lines.shrink_to_fit();
        self.functions.shrink_to_fit();
        let samples = &mut self.samples;
        samples.stacks.shrink_to_fit();
        samples.values.shrink_to_fit();
        samples.labels.shrink_to_fit();
        samples.ends.shrink_to_fit();
    }
}

fn room<T>(list: &Vec<T>) -> usize {
    list.capacity() * size_of::<T>()
}
