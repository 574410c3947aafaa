//! Profiles in pprof's format: protobuf by `proto/profile.proto` of github.com/google/pprof.
//!
//! Ids become places in lists and every text stays in one table, so a profile in memory is about as large as it
//! was on the wire.

use std::fmt;

use super::pprof_tables::{read_samples, read_tables};
use super::room::Room;
use super::unpack::unpacked;

/// Bytes that one profile may unpack to, and that it may take once it is decoded.
pub(in crate::agent) const UNPACKED_BYTES_MAX: usize = 64 << 20;

/// Sample types. Python's profiler has 19.
pub(super) const TYPES_MAX: usize = 256;

/// Bytes of one text: many places show it. Names of functions have some hundred.
pub(in crate::agent) const TEXT_BYTES_MAX: usize = 4 << 10;

/// Lines of one location: as many functions inlined into one another.
pub(in crate::agent) const LINES_MAX: usize = 64;

/// Places of one stack. Datadog's profilers send at most some hundred.
pub(in crate::agent) const PLACES_MAX: usize = 4 << 10;

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
    /// Texts of more than 4,096 bytes, of which the beginning is kept.
    pub texts_cut: u64,
    /// Lines of locations that have more than 64, of which the innermost are kept.
    pub lines_left_out: u64,
    /// Places of stacks that have more than 4,096, of which the innermost are kept.
    pub places_left_out: u64,
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
    pprof_within(bytes, UNPACKED_BYTES_MAX)
}

/// The same where less memory is left for what is decoded: `bytes_max`.
pub(in crate::agent) fn pprof_within(
    bytes: &[u8],
    bytes_max: usize,
) -> Result<Profile, PprofError> {
    let bytes = unpacked(bytes, UNPACKED_BYTES_MAX)?;
    if bytes.is_empty() {
        return Err(PprofError::Empty);
    }
    let mut profile = Profile::default();
    let mut room = Room::new(bytes_max, size_of::<Profile>());
    let locations = read_tables(&bytes, &mut profile, &mut room)?;
    read_samples(&bytes, &locations, (&mut profile, &mut room))?;
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

    fn shrink(&mut self) {
        self.texts.all.shrink_to_fit();
        self.texts.ends.shrink_to_fit();
        self.sample_types.shrink_to_fit();
        self.comments.shrink_to_fit();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::decode::made::{Made, bytes, int, made, varint};
    use std::io::Write;

    const CPU: &[(&str, &str)] = &[("cpu-time", "nanoseconds"), ("cpu-samples", "count")];

    fn two_samples() -> Vec<u8> {
        let labels = &[("thread name", "api-0"), ("span id", "#7")];
        let leaf = Made {
            stack: &["main:3", "work:9"],
            values: &[20, 2],
            labels,
        };
        let other = Made {
            stack: &["main:4"],
            values: &[-1, 1],
            labels: &[],
        };
        made(CPU, &[leaf, other])
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        ruzstd::encoding::compress_to_vec(bytes, level)
    }

    /// Every sample as `function:line < caller:line = values labels`.
    fn shown(profile: &Profile) -> Vec<String> {
        let frame = |place: &u32| {
            let lines = profile.lines_of(&profile.locations[*place as usize]);
            let line = |line: &Line| {
                let function = profile.functions[line.function as usize];
                format!("{}:{}", profile.text(function.name), line.line)
            };
            lines.iter().map(line).collect::<Vec<_>>().join("+")
        };
        let sample = |sample: Sample<'_>| {
            let stack: Vec<String> = sample.stack.iter().map(frame).collect();
            let label = |label: &Label| {
                let (key, text) = (profile.text(label.key), profile.text(label.text));
                format!(" {key}={text}{}", label.number)
            };
            let labels: String = sample.labels.iter().map(label).collect();
            format!("{} = {:?}{labels}", stack.join(" < "), sample.values)
        };
        profile.samples().map(sample).collect()
    }

    #[track_caller]
    fn check(rule: &str, bytes: &[u8], expected: Result<&[&str], &str>) {
        let read = pprof(bytes).map(|profile| shown(&profile));
        let expected = expected.map(|samples| samples.iter().map(ToString::to_string).collect());
        assert_eq!(
            read.map_err(|e| e.to_string()),
            expected.map_err(String::from),
            "{rule}"
        );
    }

    const TWO: Result<&[&str], &str> = Ok(&[
        "work:9 < main:3 = [20, 2] thread name=api-00 span id=7",
        "main:4 = [-1, 1]",
    ]);

    #[test]
    fn a_profile_is_read_raw_and_packed() {
        let raw = two_samples();
        check("raw", &raw, TWO);
        check("gzip", &gzip(&raw), TWO);
        check("zstd", &zstd(&raw), TWO);
        let (begin, end) = raw.split_at(raw.len() / 2);
        check("two members", &[gzip(begin), gzip(end)].concat(), TWO);
        let skipped = [
            b"\x5f\x2a\x4d\x18\x03\x00\x00\x00abc",
            &*zstd(begin),
            &zstd(end),
        ]
        .concat();
        check("frames, one of them skipped", &skipped, TWO);
        let profile = pprof(&raw).unwrap();
        let types = profile
            .sample_types
            .iter()
            .map(|t| (profile.text(t.name), profile.text(t.unit)));
        assert!(types.eq(CPU.iter().copied()));
        assert_eq!(profile.text(profile.functions[0].file), "work.rs");
        assert!(profile.bytes() < 2 * raw.len() + size_of::<Profile>() + 200);
    }

    #[test]
    fn no_beginning_of_a_profile_is_one() {
        for whole in [two_samples(), gzip(&two_samples()), zstd(&two_samples())] {
            for end in 0..whole.len() {
                assert!(pprof(&whole[..end]).is_err(), "{end} of {}", whole.len());
            }
            assert!(
                pprof(&[&*whole, b"\x0f"].concat()).is_err(),
                "and with more"
            );
        }
    }

    /// One sample type `a`, one function `f` with id 9, and whatever else.
    fn with(more: &[Vec<u8>]) -> Vec<u8> {
        let texts = ["", "a", "f"].map(|text| bytes(6, text.as_bytes()));
        let function = bytes(5, &[int(1, 9), int(2, 2)].concat());
        [
            &texts.concat(),
            &bytes(1, &int(1, 1)),
            &function,
            &*more.concat(),
        ]
        .concat()
    }

    fn location(id: i64, more: &[u8]) -> Vec<u8> {
        bytes(4, &[&*int(1, id), more].concat())
    }

    #[test]
    fn each_field_may_come_in_every_form_that_protobuf_knows() {
        let line = |line| bytes(4, &[int(1, 9), int(2, line)].concat());
        let inlined = location(u32::MAX.into(), &[line(1), line(2), int(3, 64)].concat());
        let sample = |ids: Vec<u8>| bytes(2, &[ids, int(2, 5)].concat());
        let id = varint(u32::MAX.into());
        let packed = sample(bytes(1, &[&*id, &id].concat()));
        let twice: &[&str] = &["f:1+f:2 < f:1+f:2 = [5]"];
        check(
            "packed",
            &with(&[inlined.clone(), packed.clone()]),
            Ok(twice),
        );
        let one_by_one = sample([int(1, u32::MAX.into()), int(1, u32::MAX.into())].concat());
        check(
            "one by one",
            &with(&[inlined.clone(), one_by_one]),
            Ok(twice),
        );
        check(
            "samples before locations",
            &with(&[packed.clone(), inlined.clone()]),
            Ok(twice),
        );
        let unknown = [
            int(99, -1),
            bytes(98, b"x"),
            b"\xb9\x06ABCDEFGH\xbd\x06ABCD".to_vec(),
        ]
        .concat();
        check(
            "unknown fields",
            &with(&[packed, unknown, inlined]),
            Ok(twice),
        );
        let empty: &[&str] = &[" = [5]"];
        check("no stack", &with(&[sample(Vec::new())]), Ok(empty));
        check("no sample", &with(&[]), Ok(&[]));
    }

    #[test]
    fn what_is_known_of_a_profile_is_read() {
        let more = [
            int(9, 7),
            int(10, 8),
            int(12, 9),
            bytes(13, &[1, 2]),
            int(14, 1),
            bytes(11, &int(1, 1)),
        ]
        .concat();
        let read = pprof(&with(&[more])).unwrap();
        assert_eq!(
            (read.time_nanos, read.duration_nanos, read.period),
            (7, 8, 9)
        );
        assert_eq!(
            (&read.comments[..], read.default_sample_type),
            (&[1, 2][..], 1)
        );
        assert_eq!(read.period_type, ValueType { name: 1, unit: 0 });
        let mapping = bytes(3, &[int(1, 3), int(5, 1), int(6, 2)].concat());
        let mapped = [
            location(1, &int(2, 3)),
            location(2, &int(2, 4)),
            location(3, &int(5, 1)),
        ]
        .concat();
        let read = pprof(&with(&[mapped, mapping])).unwrap();
        assert_eq!(
            read.mappings,
            [Mapping {
                file: 1,
                build_id: 2
            }]
        );
        let mappings: Vec<_> = read
            .locations
            .iter()
            .map(|l| (l.mapping, l.folded))
            .collect();
        assert_eq!(mappings, [(Some(0), false), (None, false), (None, true)]);
        assert_eq!(read.unmapped, 1);
        let mismatched = [
            bytes(2, &int(1, 1)),
            bytes(2, &bytes(2, &[1, 2])),
            bytes(2, &int(2, 5)),
        ]
        .concat();
        let read = pprof(&with(&[mismatched, location(1, &[])])).unwrap();
        assert_eq!(
            (read.mismatched, shown(&read)),
            (2, vec![" = [5]".to_string()])
        );
    }

    #[test]
    fn a_text_that_is_not_there_is_named() {
        let more = |rule, more: Vec<u8>, error| check(rule, &with(&[more]), Err(error));
        check("empty", b"", Err("empty"));
        check(
            "a text",
            b"hello",
            Err("no field of Profile has the key 108"),
        );
        check(
            "no text table",
            &bytes(1, &int(1, 1)),
            Err("ValueType names string 1, which is not in the table"),
        );
        check(
            "a first text",
            &bytes(6, b"a"),
            Err("string_table[0] is not empty"),
        );
        more(
            "a text that is not there",
            bytes(5, &[int(1, 1), int(2, 3)].concat()),
            "Function names string 3, which is not in the table",
        );
        more(
            "a negative text",
            bytes(13, &varint(u64::MAX)),
            "Profile names string -1, which is not in the table",
        );
        more(
            "of a label",
            bytes(2, &[bytes(3, &int(4, 3)), int(2, 1)].concat()),
            "Label names string 3, which is not in the table",
        );
        more(
            "of a mapping",
            bytes(3, &[int(1, 1), int(5, 7)].concat()),
            "Mapping names string 7, which is not in the table",
        );
    }

    #[test]
    fn an_id_that_will_not_do_is_named() {
        let more = |rule, more: Vec<u8>, error| check(rule, &with(&[more]), Err(error));
        more(
            "an id twice",
            bytes(5, &int(1, 9)),
            "Function 9 stands there twice",
        );
        more("no id", location(0, b""), "Location has the id 0");
        more(
            "no such location",
            bytes(2, &[int(1, 1), int(2, 1)].concat()),
            "Sample names Location 1, which is not there",
        );
        more(
            "no such function",
            location(1, &bytes(4, &int(1, 8))),
            "Line names Function 8, which is not there",
        );
        more(
            "a line without function",
            location(1, &bytes(4, b"")),
            "Line names Function 0, which is not there",
        );
    }

    #[test]
    fn a_field_that_is_none_is_named() {
        let more = |rule, more: Vec<u8>, error| check(rule, &with(&[more]), Err(error));
        more(
            "a number for a message",
            int(2, 1),
            "field 2 of Profile has another wire type",
        );
        more(
            "a message for a number",
            bytes(9, b"a"),
            "field 9 of Profile has another wire type",
        );
        more(
            "fixed for packed",
            bytes(2, b"\x0d1234"),
            "field 1 of Sample has another wire type",
        );
        more(
            "a group",
            b"\x0b".to_vec(),
            "no field of Profile has the key 11",
        );
        more(
            "field 0",
            b"\x00\x00".to_vec(),
            "no field of Profile has the key 0",
        );
        more(
            "a long number",
            [b"\x48".to_vec(), vec![0xff; 10]].concat(),
            "a number over 64 bits in Profile",
        );
        more(
            "an endless number",
            [b"\x48".to_vec(), vec![0x80; 11]].concat(),
            "a number over 64 bits in Profile",
        );
        more(
            "2^64",
            [b"\x48".to_vec(), vec![0x80; 9], vec![2]].concat(),
            "a number over 64 bits in Profile",
        );
        more(
            "a number torn in a list",
            bytes(2, &bytes(1, &[0x80])),
            "Sample ends inside a field",
        );
    }

    #[test]
    fn hostile_lengths_are_not_believed() {
        let torn = "Profile ends inside a field";
        for length in [7, u64::from(u32::MAX), u64::MAX] {
            check(
                "a declared length",
                &[&*varint(2 << 3 | 2), &varint(length), b"abc"].concat(),
                Err(torn),
            );
        }
        let types: Vec<Vec<u8>> = vec![bytes(1, &int(1, 1)); 255];
        assert!(pprof(&with(&types)).is_ok());
        let over: Vec<Vec<u8>> = vec![bytes(1, &int(1, 1)); 256];
        check("types", &with(&over), Err("more than 256 sample types"));
        let over = "over 67108864 bytes once it is unpacked";
        let zeros = vec![0; UNPACKED_BYTES_MAX + 1];
        check("more than a profile may have", &zeros, Err(over));
    }

    /// What is kept, and how much was left out of texts, lines and places.
    #[track_caller]
    fn check_kept(rule: &str, more: &[Vec<u8>], expected: (usize, [u64; 3])) {
        let read = pprof(&with(more)).unwrap();
        let left_out = [read.texts_cut, read.lines_left_out, read.places_left_out];
        let texts = read.text(3).len();
        let kept = texts + read.lines.len() + read.samples.stacks.len();
        assert_eq!((kept, left_out), expected, "{rule}");
    }

    #[test]
    fn of_what_is_long_the_beginning_is_kept() {
        let text = |text: &[u8]| vec![bytes(6, text)];
        check_kept("a text", &text(&[b'a'; 4_096]), (4_096, [0, 0, 0]));
        check_kept("one byte more", &text(&[b'a'; 4_097]), (4_096, [1, 0, 0]));
        check_kept("far more", &text(&vec![b'a'; 9 << 20]), (4_096, [1, 0, 0]));
        check_kept("mended", &text(&[0xff; 1_365]), (4_095, [0, 0, 0]));
        check_kept("mended, over", &text(&[0xff; 1_366]), (4_095, [1, 0, 0]));
        let wide = ["a", &"\u{e9}".repeat(2_048)].concat();
        let read = pprof(&with(&text(wide.as_bytes()))).unwrap();
        let kept = ["a", &"\u{e9}".repeat(2_046), "\u{2026}"].concat();
        assert_eq!(read.text(3), kept, "between characters");

        let line = bytes(4, &int(1, 9));
        let lines = |count| vec![location(1, &line.repeat(count))];
        check_kept("lines", &lines(64), (64, [0, 0, 0]));
        check_kept("one line more", &lines(65), (64, [0, 1, 0]));
        check_kept("far more lines", &lines(100_000), (64, [0, 99_936, 0]));
        let two = vec![location(1, &line.repeat(65)), location(2, &line.repeat(66))];
        check_kept("two locations", &two, (128, [0, 3, 0]));

        let stack = |places, values: &[u8]| {
            let sample = [bytes(1, &vec![1; places]), bytes(2, values)].concat();
            vec![location(1, b""), bytes(2, &sample)]
        };
        check_kept("places", &stack(4_096, &[5]), (4_096, [0, 0, 0]));
        check_kept("one place more", &stack(4_097, &[5]), (4_096, [0, 0, 1]));
        check_kept("of no sample", &stack(4_097, &[5, 5]), (0, [0, 0, 0]));
        let places = vec![1; (UNPACKED_BYTES_MAX / 4) + 10];
        let sample = bytes(2, &[bytes(1, &places), int(2, 5)].concat());
        let deep = [location(1, b""), sample];
        check_kept("the deepest", &deep, (4_096, [0, 0, 16_773_130]));
    }

    /// What fits into 100,000 bytes, and what does not, as a number of the same pieces.
    #[track_caller]
    fn check_room(rule: &str, made: impl Fn(usize) -> Vec<u8>, fits: usize) {
        let read = pprof_within(&made(fits), 100_000);
        assert!(
            read.as_ref().is_ok_and(|read| read.bytes() <= 100_000),
            "{rule}"
        );
        for more in [10, 100] {
            let read = pprof_within(&made(fits * more), 100_000);
            assert_eq!(read, Err(PprofError::Large(100_000)), "{rule}: {more}");
        }
    }

    #[test]
    fn what_is_decoded_has_one_bound() {
        let ids = |field, count: usize| -> Vec<u8> {
            let messages = (0..count).flat_map(|at| bytes(field, &int(1, at as i64 + 10)));
            with(&[messages.collect()])
        };
        check_room(
            "texts",
            |count| with(&vec![bytes(6, &[b'a'; 4_000]); count]),
            20,
        );
        check_room(
            "mended texts",
            |count| with(&vec![bytes(6, &[0xff; 1_000]); count]),
            20,
        );
        check_room(
            "empty texts",
            |count| with(&vec![bytes(6, b""); count]),
            10_000,
        );
        check_room("mappings", |count| ids(3, count), 1_500);
        check_room("functions", |count| ids(5, count), 1_500);
        check_room("locations", |count| ids(4, count), 1_000);
        check_room(
            "comments",
            |count| with(&[bytes(13, &vec![1; count])]),
            10_000,
        );
        check_room(
            "lines",
            |count| {
                let lines = bytes(4, &int(1, 9)).repeat(50);
                let place = |at| location(at as i64 + 1, &lines);
                with(&(0..count / 50).map(place).collect::<Vec<_>>())
            },
            3_000,
        );
        check_room(
            "labels of one sample",
            |count| with(&[bytes(2, &[b"\x1a\x00".repeat(count), int(2, 5)].concat())]),
            3_000,
        );
        check_room(
            "samples",
            |count| with(&vec![bytes(2, &int(2, 5)); count]),
            3_000,
        );
        let over = Err("over 67108864 bytes once it is unpacked");
        let empty = b"\x32\x00".repeat(17 << 20);
        check("17 million empty texts", &with(&[empty]), over);
        let mended = bytes(6, &[0xff; 1_300]).repeat(18 << 10);
        check("23 MB that become 70", &with(&[mended]), over);
        let values = with(&[bytes(2, &bytes(2, &vec![1; 20 << 20]))]);
        check("values that do not match", &values, Ok(&[]));
    }
}
