//! A period and the names of its stacks as a pprof profile.
//!
//! Field numbers and meanings: github.com/google/pprof, `proto/profile.proto`. The names of sample types and labels
//! are Datadog's (libdatadog, `libdd-profiling/src/api/sample_type.rs`; dd-trace-go, `internal/traceprof`).

use std::collections::HashMap;
use std::sync::Arc;

use super::named::{Frame, Module, Named, Place};
use super::period::{Period, Sample};
use super::protobuf::{bytes, message, number, packed};

/// What stands in the place of a stack where CPU time was used of which no sample could be taken.
pub(super) const NOT_SAMPLED: &str = "[not sampled: threads too short-lived]";

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
pub(super) fn encode(out: &mut Vec<u8>, period: &Period, named: &Named, labels: Labels) {
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
        tables.mapping(out, id, (module, own));
    }
    for (id, place) in (1..).zip(&named.places) {
        tables.location(out, id, place);
    }
    if is_nowhere_used {
        tables.location(out, nowhere, &nowhere_place());
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

fn nowhere_place() -> Place {
    let name: Arc<str> = NOT_SAMPLED.into();
    let frame = Frame {
        function: name.clone(),
        symbol: name,
        file: "".into(),
        line: 0,
    };
    Place {
        address: 0,
        module: None,
        frames: [frame].into(),
    }
}

/// Texts and functions, each once.
#[derive(Default)]
struct Tables<'a> {
    texts: Vec<Arc<str>>,
    by_text: HashMap<Arc<str>, u64>,
    by_function: HashMap<[u64; 3], u64>,
    functions: Vec<u8>,
    by_endpoint: HashMap<&'a str, u64>,
}

impl<'a> Tables<'a> {
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

    fn labels(&mut self, out: &mut Vec<u8>, (period, sample): (&'a Period, &Sample), which: Labels) {
        if let Some(thread) = period.threads.get(sample.thread as usize) {
            self.label(out, "thread id", thread.id);
            let name = self.text(&thread.name);
            self.text_label(out, "thread name", name);
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
            let known = self.by_endpoint.get(endpoint.as_str()).copied();
            let text = known.unwrap_or_else(|| self.text(endpoint));
            self.by_endpoint.insert(endpoint, text);
            self.text_label(out, "trace endpoint", text);
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

    fn text_label(&mut self, out: &mut Vec<u8>, key: &str, text: u64) {
        let key = self.text(key);
        message(out, 3, |out| {
            number(out, 1, key);
            number(out, 2, text);
        });
    }

    fn mapping<'b>(
        &mut self,
        out: &mut Vec<u8>,
        id: u64,
        (module, places): (&Module, impl Iterator<Item = &'b Place>),
    ) {
        let mapping = &module.mapping;
        let name = if mapping.name.is_empty() {
            self.text(mapping.short_name())
        } else {
            self.text(&mapping.name)
        };
        let build_id = self.text(&module.build_id);
        let frames: Vec<&Frame> = places.flat_map(|place| &*place.frames).collect();
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

    fn location(&mut self, out: &mut Vec<u8>, id: u64, place: &Place) {
        let lines: Vec<(u64, u32)> = place
            .frames
            .iter()
            .map(|frame| (self.function(frame), frame.line))
            .collect();
        message(out, field::LOCATION, |out| {
            number(out, 1, id);
            number(out, 2, place.module.map_or(0, |module| u64::from(module) + 1));
            number(out, 3, place.address);
            for (function, line) in lines {
                message(out, 4, |out| {
                    number(out, 1, function);
                    number(out, 2, line.into());
                });
            }
        });
    }

    fn function(&mut self, frame: &Frame) -> u64 {
        let (name, symbol) = (self.text(&frame.function), self.text(&frame.symbol));
        let key = [name, symbol, self.text(&frame.file)];
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
