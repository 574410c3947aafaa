//! A period and the names of its stacks as a pprof profile.
//!
//! Field numbers and meanings: github.com/google/pprof, `proto/profile.proto`. The names of sample types and labels
//! are Datadog's (libdatadog, `libdd-profiling/src/api/sample_type.rs`; dd-trace-go, `internal/traceprof`).

use std::collections::HashMap;
use std::sync::Arc;

use super::named::{Module, Named};
use super::notes::{Frame, Notes};
use super::period::{Period, Sample};
use super::protobuf::{bytes, message, number, packed};

/// What stands in the place of a stack where CPU time was used of which no sample could be taken.
pub(super) const NOT_SAMPLED: &str = "[not sampled]";

/// Fields of `Profile`.
mod field {
    pub(super) const SAMPLE_TYPE: u64 = 1;
    pub(super) const SAMPLE: u64 = 2;
    pub(super) const MAPPING: u64 = 3;
    pub(super) const LOCATION: u64 = 4;
    pub(super) const FUNCTION: u64 = 5;
    pub(super) const STRING_TABLE: u64 = 6;
    pub(super) const TIME_NANOS: u64 = 9;
    pub(super) const DURATION_NANOS: u64 = 10;
    pub(super) const PERIOD_TYPE: u64 = 11;
    pub(super) const PERIOD: u64 = 12;
}

const CPU_SAMPLES: (&str, &str) = ("cpu-samples", "count");
const CPU_TIME: (&str, &str) = ("cpu-time", "nanoseconds");
const WALL_TIME: (&str, &str) = ("wall-time", "nanoseconds");
const ALLOC_SAMPLES: (&str, &str) = ("alloc-samples", "count");
const ALLOC_SPACE: (&str, &str) = ("alloc-space", "bytes");

/// Which labels samples carry besides their thread's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Labels {
    /// `span id` and `local root span id`.
    pub(super) hotspots: bool,
    /// `trace endpoint`.
    pub(super) endpoints: bool,
}

/// Writes a profile, not packed yet.
pub(super) fn encode(
    out: &mut Vec<u8>,
    period: &Period,
    (named, notes): (&Named, &Notes),
    labels: Labels,
) {
    let mut tables = Tables::default();
    tables.text("");
    let has_allocations = period
        .samples
        .iter()
        .any(|sample| sample.allocations > 0 || sample.allocated_bytes > 0);
    let mut types = vec![CPU_SAMPLES, CPU_TIME, WALL_TIME];
    if has_allocations {
        types.extend([ALLOC_SAMPLES, ALLOC_SPACE]);
    }
    for (name, unit) in types {
        tables.value_type(out, field::SAMPLE_TYPE, (name, unit));
    }
    let nowhere = named.places.len() as u64 + 1;
    let mut is_nowhere_used = false;
    for sample in &period.samples {
        let stack = named.stacks.get(sample.stack as usize);
        let mut locations: Vec<u64> = stack
            .into_iter()
            .flatten()
            .map(|place| u64::from(*place) + 1)
            .collect();
        if locations.is_empty() {
            locations.push(nowhere);
            is_nowhere_used = true;
        }
        message(out, field::SAMPLE, |out| {
            packed(out, 1, &locations);
            packed(out, 2, &values(sample, has_allocations));
            tables.labels(out, (period, sample), labels);
        });
    }
    for (id, module) in (1..).zip(&named.modules) {
        let places = named.places.iter();
        let own = places.filter(|place| place.module.map(u64::from) == Some(id - 1));
        let frames: Vec<Frame<'_>> = own.flat_map(|place| notes.frames(place.frames)).collect();
        tables.mapping(out, id, (module, &frames));
    }
    for (id, place) in (1..).zip(&named.places) {
        let mapping = place.module.map_or(0, |module| u64::from(module) + 1);
        let numbers = [id, mapping, place.address];
        tables.location(out, numbers, notes.frames(place.frames));
    }
    if is_nowhere_used {
        let frame = Frame::named(NOT_SAMPLED);
        tables.location(out, [nowhere, 0, 0], [frame].into_iter());
    }
    out.append(&mut tables.functions);
    number(out, field::TIME_NANOS, period.start_unix_ns);
    let duration_ns = period.end_unix_ns.saturating_sub(period.start_unix_ns);
    number(out, field::DURATION_NANOS, duration_ns);
    tables.value_type(out, field::PERIOD_TYPE, CPU_TIME);
    number(out, field::PERIOD, period.cpu_period_ns);
    // Last, for all the others add to it.
    for text in &tables.texts {
        bytes(out, field::STRING_TABLE, text.as_bytes());
    }
}

fn values(sample: &Sample, has_allocations: bool) -> Vec<u64> {
    let mut values = vec![sample.cpu_samples, sample.cpu_ns, sample.wall_ns];
    if has_allocations {
        values.extend([sample.allocations, sample.allocated_bytes]);
    }
    // They are signed there.
    let signed = |value: u64| value.min(i64::MAX as u64);
    values.into_iter().map(signed).collect()
}

/// Texts and functions, each once.
#[derive(Default)]
struct Tables {
    texts: Vec<Arc<str>>,
    by_text: HashMap<Arc<str>, u64>,
    by_function: HashMap<[u64; 3], u64>,
    functions: Vec<u8>,
}

impl Tables {
    fn text(&mut self, text: &str) -> u64 {
        if let Some(known) = self.by_text.get(text) {
            return *known;
        }
        let index = self.texts.len() as u64;
        let text: Arc<str> = text.into();
        self.texts.push(text.clone());
        self.by_text.insert(text, index);
        index
    }

    fn value_type(&mut self, out: &mut Vec<u8>, field: u64, (name, unit): (&str, &str)) {
        let (name, unit) = (self.text(name), self.text(unit));
        message(out, field, |out| {
            number(out, 1, name);
            number(out, 2, unit);
        });
    }

    fn labels(&mut self, out: &mut Vec<u8>, (period, sample): (&Period, &Sample), which: Labels) {
        if let Some(thread) = period.threads.get(sample.thread as usize) {
            self.label(out, "thread id", thread.id);
            self.text_label(out, "thread name", &thread.name);
        }
        if which.hotspots && sample.span_id != 0 {
            self.label(out, "span id", sample.span_id);
        }
        if sample.root_id == 0 {
            return;
        }
        if which.hotspots {
            self.label(out, "local root span id", sample.root_id);
        }
        let endpoint = period.endpoints.get(&sample.root_id);
        if let Some(endpoint) = endpoint.filter(|_| which.endpoints) {
            self.text_label(out, "trace endpoint", endpoint);
        }
    }

    fn label(&mut self, out: &mut Vec<u8>, key: &str, value: u64) {
        let key = self.text(key);
        message(out, 3, |out| {
            number(out, 1, key);
            // Signed there: an id over 2^63 shows as a negative number, and is read back as it was.
            number(out, 3, value);
        });
    }

    /// An empty text would read as a number.
    fn text_label(&mut self, out: &mut Vec<u8>, key: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        let text = self.text(text);
        let key = self.text(key);
        message(out, 3, |out| {
            number(out, 1, key);
            number(out, 2, text);
        });
    }

    fn mapping(&mut self, out: &mut Vec<u8>, id: u64, (module, frames): (&Module, &[Frame<'_>])) {
        let mapping = &module.mapping;
        let name = if mapping.name.is_empty() {
            self.text(mapping.short_name())
        } else {
            self.text(&mapping.name)
        };
        let build_id = self.text(&module.build_id);
        let has_files = frames.iter().any(|frame| !frame.file.is_empty());
        let has_lines = frames.iter().any(|frame| frame.line != 0);
        message(out, field::MAPPING, |out| {
            number(out, 1, id);
            number(out, 2, mapping.start);
            number(out, 3, mapping.end);
            number(out, 4, mapping.offset);
            number(out, 5, name);
            number(out, 6, build_id);
            // Every place has a name; a reader need not look for one.
            number(out, 7, 1);
            number(out, 8, has_files.into());
            number(out, 9, has_lines.into());
            number(out, 10, has_lines.into());
        });
    }

    /// Its id, its mapping and its address.
    fn location<'a>(
        &mut self,
        out: &mut Vec<u8>,
        [id, mapping, address]: [u64; 3],
        frames: impl Iterator<Item = Frame<'a>>,
    ) {
        let lines: Vec<(u64, u32)> = frames
            .map(|frame| (self.function(frame), frame.line))
            .collect();
        message(out, field::LOCATION, |out| {
            number(out, 1, id);
            number(out, 2, mapping);
            number(out, 3, address);
            for (function, line) in lines {
                message(out, 4, |out| {
                    number(out, 1, function);
                    number(out, 2, line.into());
                });
            }
        });
    }

    fn function(&mut self, frame: Frame<'_>) -> u64 {
        let (name, symbol) = (self.text(frame.function), self.text(frame.symbol));
        let key = [name, symbol, self.text(frame.file)];
        let next = self.by_function.len() as u64 + 1;
        *self.by_function.entry(key).or_insert_with(|| {
            message(&mut self.functions, field::FUNCTION, |out| {
                number(out, 1, next);
                number(out, 2, key[0]);
                number(out, 3, key[1]);
                number(out, 4, key[2]);
            });
            next
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::maps::Mapping;
    use super::super::named::Place;
    use super::super::period::Thread;
    use super::*;

    const ALL: Labels = Labels {
        hotspots: true,
        endpoints: true,
    };

    fn encoded(period: &Period, named: (&Named, &Notes), labels: Labels) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out, period, named, labels);
        out
    }

    /// A field's number and its content: a number, or bytes.
    type Field = (u64, Result<u64, Vec<u8>>);

    /// Written for these tests, not from the encoder.
    fn fields(mut bytes: &[u8]) -> Option<Vec<Field>> {
        fn varint(bytes: &mut &[u8]) -> Option<u64> {
            let mut value = 0_u128;
            for shift in (0..70).step_by(7) {
                let (first, rest) = bytes.split_first()?;
                *bytes = rest;
                value += u128::from(first % 128) << shift;
                if *first < 128 {
                    return u64::try_from(value).ok();
                }
            }
            None
        }
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes)?;
            let content = match key % 8 {
                0 => Ok(varint(&mut bytes)?),
                2 => {
                    let length = usize::try_from(varint(&mut bytes)?).ok()?;
                    let (content, rest) = bytes.split_at_checked(length)?;
                    bytes = rest;
                    Err(content.to_vec())
                }
                _ => return None,
            };
            found.push((key / 8, content));
        }
        Some(found)
    }

    fn num(message: &[Field], field: u64) -> u64 {
        let found = message.iter().find(|(number, _)| *number == field);
        found.map_or(0, |(_, content)| *content.as_ref().unwrap())
    }

    fn inner(message: &[Field], field: u64) -> Vec<Vec<Field>> {
        let own = message.iter().filter(|(number, _)| *number == field);
        own.map(|(_, content)| fields(content.as_ref().unwrap_err()).unwrap())
            .collect()
    }

    /// Packed numbers.
    fn list(message: &[Field], field: u64) -> Vec<u64> {
        let found = message.iter().find(|(number, _)| *number == field);
        let Some((_, Err(packed))) = found else {
            return Vec::new();
        };
        let ends = |byte: &u8| *byte < 128;
        // Each read as the content of a field of number 0.
        let one = |digits: &[u8]| fields(&[&[0], digits].concat()).unwrap()[0].1.clone();
        packed
            .split_inclusive(ends)
            .map(|digits| one(digits).unwrap())
            .collect()
    }

    struct Texts(Vec<String>);

    impl Texts {
        fn of(&self, message: &[Field], field: u64) -> &str {
            &self.0[num(message, field) as usize]
        }

        fn sample(&self, sample: &[Field]) -> String {
            let label = |label: &Vec<Field>| match num(label, 2) {
                0 => format!("{}={}", self.of(label, 1), num(label, 3) as i64),
                _ => format!("{}={:?}", self.of(label, 1), self.of(label, 2)),
            };
            let labels: Vec<String> = inner(sample, 3).iter().map(label).collect();
            let (at, values) = (list(sample, 1), list(sample, 2));
            format!("sample {at:?} {values:?} {}", labels.join(" "))
        }

        fn mapping(&self, mapping: &[Field]) -> String {
            let flags: Vec<u64> = (7..=10).map(|flag| num(mapping, flag)).collect();
            let [id, start, end, offset] = [1, 2, 3, 4].map(|field| num(mapping, field));
            let (name, build) = (self.of(mapping, 5), self.of(mapping, 6));
            format!("mapping {id} {start:#x}-{end:#x}+{offset:#x} {name:?} {build:?} {flags:?}")
        }

        fn location(&self, location: &[Field], functions: &[Vec<Field>]) -> String {
            let line = |line: &Vec<Field>| {
                let mut own = functions.iter();
                let own = own.find(|own| num(own, 1) == num(line, 1)).unwrap();
                let [name, symbol, file] = [2, 3, 4].map(|field| self.of(own, field));
                format!("{name}|{symbol}|{file}:{}", num(line, 2))
            };
            let lines: Vec<String> = inner(location, 4).iter().map(line).collect();
            let [id, mapping, address] = [1, 2, 3].map(|field| num(location, field));
            format!(
                "location {id} in {mapping} {address:#x} {}",
                lines.join(" < ")
            )
        }
    }

    /// A profile as text, a line a message, with what it refers to.
    fn told(bytes: &[u8]) -> Vec<String> {
        let profile = fields(bytes).unwrap();
        let texts = profile.iter().filter(|(number, _)| *number == 6);
        let text = |content: &Vec<u8>| String::from_utf8(content.clone()).unwrap();
        let texts = texts.map(|(_, content)| text(content.as_ref().unwrap_err()));
        let texts = Texts(texts.collect());
        assert_eq!(texts.0[0], "");
        let kind = |kind: &Vec<Field>| format!("{}/{}", texts.of(kind, 1), texts.of(kind, 2));
        let types = inner(&profile, 1);
        let mut lines: Vec<String> = types
            .iter()
            .map(|one| format!("type {}", kind(one)))
            .collect();
        lines.extend(inner(&profile, 2).iter().map(|one| texts.sample(one)));
        lines.extend(inner(&profile, 3).iter().map(|one| texts.mapping(one)));
        let functions = inner(&profile, 5);
        let locations = inner(&profile, 4);
        lines.extend(locations.iter().map(|one| texts.location(one, &functions)));
        let [at, length, period] = [9, 10, 12].map(|field| num(&profile, field));
        let own = kind(&inner(&profile, 11)[0]);
        lines.push(format!("{at} for {length}, each {period} {own}"));
        lines
    }

    #[test]
    fn an_empty_profile_is_these_bytes() {
        let bytes = encoded(
            &Period::default(),
            (&Named::default(), &Notes::default()),
            ALL,
        );
        let expected: &[u8] = b"\
            \x0a\x04\x08\x01\x10\x02\
            \x0a\x04\x08\x03\x10\x04\
            \x0a\x04\x08\x05\x10\x04\
            \x5a\x04\x08\x03\x10\x04\
            \x32\x00\
            \x32\x0bcpu-samples\
            \x32\x05count\
            \x32\x08cpu-time\
            \x32\x0bnanoseconds\
            \x32\x09wall-time";
        assert_eq!(bytes, expected);
    }

    #[test]
    fn a_profile_of_one_sample_is_these_bytes() {
        let period = Period {
            start_unix_ns: 1,
            end_unix_ns: 4,
            cpu_period_ns: 10,
            threads: vec![Thread {
                id: 7,
                name: "t".to_string(),
            }],
            stacks: vec![vec![0x11]],
            samples: vec![Sample {
                span_id: 1 << 63,
                cpu_samples: 2,
                cpu_ns: 300,
                ..Sample::default()
            }],
            ..Period::default()
        };
        let mut notes = Notes::default();
        let named = Named {
            places: vec![Place {
                address: 0x11,
                module: None,
                frames: notes.add([Frame::named("f")]),
            }],
            stacks: vec![vec![0]],
            ..Named::default()
        };
        let expected: &[u8] = b"\
            \x0a\x04\x08\x01\x10\x02\
            \x0a\x04\x08\x03\x10\x04\
            \x0a\x04\x08\x05\x10\x04\
            \x12\x24\
            \x0a\x01\x01\
            \x12\x04\x02\xac\x02\x00\
            \x1a\x04\x08\x06\x18\x07\
            \x1a\x04\x08\x08\x10\x07\
            \x1a\x0d\x08\x09\x18\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\
            \x22\x08\x08\x01\x18\x11\x22\x02\x08\x01\
            \x2a\x06\x08\x01\x10\x0a\x18\x0a\
            \x48\x01\x50\x03\
            \x5a\x04\x08\x03\x10\x04\
            \x60\x0a\
            \x32\x00\
            \x32\x0bcpu-samples\
            \x32\x05count\
            \x32\x08cpu-time\
            \x32\x0bnanoseconds\
            \x32\x09wall-time\
            \x32\x09thread id\
            \x32\x01t\
            \x32\x0bthread name\
            \x32\x07span id\
            \x32\x01f";
        let bytes = encoded(&period, (&named, &notes), ALL);
        assert_eq!(bytes, expected);
        for cut in 0..bytes.len() {
            // A cut between two fields is a profile, if a poorer one.
            if let Some(found) = fields(&bytes[..cut]) {
                assert!(fields(&bytes).unwrap().starts_with(&found), "{cut}");
            }
        }
    }

    fn rich() -> (Period, Named, Notes) {
        let thread = |id: u64, name: &str| Thread {
            id,
            name: name.to_string(),
        };
        let sample = |thread, stack, span_id, root_id| Sample {
            thread,
            stack,
            span_id,
            root_id,
            cpu_samples: 1,
            cpu_ns: u64::MAX,
            wall_ns: 50,
            ..Sample::default()
        };
        let period = Period {
            start_unix_ns: 1_700_000_000_000_000_000,
            end_unix_ns: 1_700_000_060_000_000_000,
            cpu_period_ns: 10_101_010,
            threads: vec![thread(41, "api-0"), thread(42, "")],
            samples: vec![
                sample(0, 0, 5, u64::MAX),
                sample(1, 1, 0, 0),
                sample(1, 2, 6, 3),
                sample(9, 9, 0, 0),
            ],
            endpoints: [(u64::MAX, "GET /\u{e9}".to_string())].into(),
            ..Period::default()
        };
        let mapping = |start, name: &str| Mapping {
            start,
            end: start + 0x1000,
            offset: 0x40,
            name: name.to_string(),
        };
        let module = |start, name, build_id: &str| Module {
            mapping: mapping(start, name),
            build_id: build_id.to_string(),
        };
        let mut notes = Notes::default();
        let mut place = |address, module, frames: &[Frame<'_>]| Place {
            address,
            module,
            frames: notes.add(frames.iter().copied()),
        };
        let frame = |function, symbol, line| Frame {
            function,
            symbol,
            file: "a.rs",
            line,
        };
        let (inner, outer) = (frame("i", "_i", 3), frame("o", "_o", 9));
        let named = Named {
            modules: vec![module(0x1000, "/bin/a", "ab01"), module(0x9000, "", "")],
            places: vec![
                place(0x1011, Some(0), &[inner, outer]),
                place(0x9001, Some(1), &[Frame::named("x+0x1")]),
                place(0x1020, Some(0), &[Frame { line: 12, ..outer }]),
            ],
            stacks: vec![vec![0, 2], vec![1, 2, 2], vec![]],
            ..Named::default()
        };
        (period, named, notes)
    }

    const TYPES: [&str; 3] = [
        "type cpu-samples/count",
        "type cpu-time/nanoseconds",
        "type wall-time/nanoseconds",
    ];

    const REST: [&str; 7] = [
        "mapping 1 0x1000-0x2000+0x40 \"/bin/a\" \"ab01\" [1, 1, 1, 1]",
        "mapping 2 0x9000-0xa000+0x40 \"[anonymous]\" \"\" [1, 0, 0, 0]",
        "location 1 in 1 0x1011 i|_i|a.rs:3 < o|_o|a.rs:9",
        "location 2 in 2 0x9001 x+0x1|x+0x1|:0",
        "location 3 in 1 0x1020 o|_o|a.rs:12",
        "location 4 in 0 0x0 [not sampled]|\
            [not sampled]|:0",
        "1700000000000000000 for 60000000000, each 10101010 cpu-time/nanoseconds",
    ];

    #[track_caller]
    fn check(rule: &str, labels: Labels, samples: [&str; 4]) {
        let (period, named, notes) = rich();
        let expected = [&TYPES[..], &samples, &REST].concat();
        assert_eq!(
            told(&encoded(&period, (&named, &notes), labels)),
            expected,
            "{rule}"
        );
    }

    #[test]
    fn samples_carry_what_their_labels_say() {
        let nobody = "sample [4] [1, 9223372036854775807, 50] ";
        let plain = [
            "sample [1, 3] [1, 9223372036854775807, 50] thread id=41 thread name=\"api-0\"",
            "sample [2, 3, 3] [1, 9223372036854775807, 50] thread id=42",
            "sample [4] [1, 9223372036854775807, 50] thread id=42",
            nobody,
        ];
        let with = |index: usize, more: &str| format!("{}{more}", plain[index]);
        let spans = " span id=5 local root span id=-1";
        let endpoint = " trace endpoint=\"GET /\u{e9}\"";
        let other = with(2, " span id=6 local root span id=3");
        let row = |first: &str, third: &str| {
            let first = with(0, first);
            (first, third.to_string())
        };
        for (rule, hotspots, endpoints, (first, third)) in [
            (
                "all",
                true,
                true,
                row(&format!("{spans}{endpoint}"), &other),
            ),
            ("no endpoints", true, false, row(spans, &other)),
            ("no hotspots", false, true, row(endpoint, plain[2])),
            ("neither", false, false, row("", plain[2])),
        ] {
            let labels = Labels {
                hotspots,
                endpoints,
            };
            check(rule, labels, [&first, plain[1], &third, nobody]);
        }
    }

    #[test]
    fn allocations_are_there_where_any_were_seen() {
        let (mut period, named, notes) = rich();
        period.samples[1].allocated_bytes = 9;
        period.samples[2].allocations = 8;
        let told = told(&encoded(&period, (&named, &notes), ALL));
        assert_eq!(
            told[3..5],
            ["type alloc-samples/count", "type alloc-space/bytes"]
        );
        assert!(told[5].contains("50, 0, 0]"), "{}", told[5]);
        assert!(told[6].contains("50, 0, 9]"), "{}", told[6]);
        assert!(told[7].contains("50, 8, 0]"), "{}", told[7]);
    }
}
