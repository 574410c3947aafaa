//! Traces held in memory, as the bytes that came and a line about each.

use std::collections::{HashMap, HashSet, VecDeque};

use super::chunk::{Marks, finding, marks, representative};
use super::errors::Errors;
use super::query::{Term, contains, rows_max, terms};
use super::services::{Services, SpanCount};
use super::waterfall::{extent_ns, positive, waterfall};
use crate::agent::decode::{DecodeError, SpanRef, chunk_spans};
use crate::agent::view::{self, Query, TraceRow};

/// Spans of one trace; what comes later is let go and counted.
const SPANS_PER_TRACE_MAX: usize = 20_000;
/// What the allocator adds to each piece of memory.
const PIECE_BYTES: usize = 16;
/// What a trace costs besides its pieces: a slot of the map and a place in the order, of both of
/// which half may be spare.
const SLOT_BYTES: usize = 2 * (size_of::<(u64, Box<Held>)>() + 1 + size_of::<u64>());

#[derive(Debug, Default)]
struct Held {
    chunks: Vec<Box<[u8]>>,
    /// Bytes of all chunks.
    chunk_bytes: usize,
    /// What the sum over all traces has of this one.
    bytes: usize,
    seq: u64,
    trace_id_high: Option<u64>,
    rank: u8,
    /// Without its ids.
    row: TraceRow,
    services: Vec<u32>,
    entries: Vec<Entry>,
}

/// A service-entry span.
#[derive(Clone, Copy, Debug)]
struct Entry {
    service: u32,
    duration_ns: u64,
    span_id: u64,
}

/// When a chunk came, and in which language its tracer is written, or empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Came<'a> {
    pub(crate) time_unix_us: u64,
    pub(crate) language: &'a str,
}

/// Traces by their low 64 bits, oldest let go first.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    /// Boxed: half of the map's slots may be empty.
    held: HashMap<u64, Box<Held>>,
    order: VecDeque<u64>,
    bytes: usize,
    bytes_max: usize,
    evicted_traces: u64,
    evicted_spans: u64,
    next_seq: u64,
    services: Services,
}

impl Traces {
    pub(crate) fn new(bytes_max: usize) -> Traces {
        Traces {
            bytes_max,
            ..Traces::default()
        }
    }

    /// Takes one chunk; tells what the Agent would say against it.
    pub(crate) fn take(
        &mut self,
        chunk: &[u8],
        came: Came<'_>,
        errors: &mut Errors,
    ) -> Result<Option<&'static str>, DecodeError> {
        let spans = chunk_spans(chunk)?;
        let Some(first) = spans.first() else {
            return Ok(None);
        };
        let marks = marks(&spans);
        let mut entries = Vec::new();
        let mut numbers = Vec::new();
        for (span, marks) in spans.iter().zip(&marks) {
            let number = self.services.number(&span.service);
            let language = if marks.language.is_empty() {
                came.language
            } else {
                &marks.language
            };
            self.services
                .count(number, &counted(span, marks, came.time_unix_us, language));
            if marks.entry {
                entries.push(Entry {
                    service: number,
                    duration_ns: positive(span.duration),
                    span_id: span.span_id,
                });
            }
            if !numbers.contains(&number) {
                numbers.push(number);
            }
            if let Some(seen) = marks.error(span) {
                errors.see(came.time_unix_us, &seen);
            }
        }
        let id = first.trace_id;
        self.next_seq += 1;
        if self.keep(chunk, &spans, &marks) {
            let seq = self.next_seq;
            let held = self.held.entry(id).or_default();
            held.seq = seq;
            numbers.retain(|number| !held.services.contains(number));
            append(&mut held.entries, entries);
            append(&mut held.services, numbers);
            held.row.services = held.services.len() as u32;
            self.bytes -= held.bytes;
            held.bytes = held.weight();
            self.bytes += held.bytes;
        }
        self.make_room();
        Ok(finding(&spans))
    }

    fn keep(&mut self, chunk: &[u8], spans: &[SpanRef<'_>], marks: &[Marks<'_>]) -> bool {
        let id = spans[0].trace_id;
        let known = self.held.get(&id).map_or(0, |held| held.row.spans as usize);
        if known + spans.len() > SPANS_PER_TRACE_MAX {
            self.evicted_spans += spans.len() as u64;
            return false;
        }
        let held = self.held.entry(id).or_insert_with(|| {
            self.order.push_back(id);
            Box::default()
        });
        held.chunk_bytes += chunk.len();
        append(&mut held.chunks, vec![chunk.into()]);
        held.trace_id_high = held
            .trace_id_high
            .or(marks.iter().find_map(|m| m.trace_id_high));
        held.row.spans += spans.len() as u32;
        held.row.errors += spans.iter().filter(|span| span.error != 0).count() as u32;
        let (rank, at) = representative(spans);
        if rank > held.rank {
            held.rank = rank;
            describe(&mut held.row, &spans[at], &marks[at]);
        }
        true
    }

    fn make_room(&mut self) {
        while self.bytes > self.bytes_max {
            let Some(id) = self.order.pop_front() else {
                return;
            };
            if let Some(gone) = self.held.remove(&id) {
                self.bytes -= gone.bytes;
                self.evicted_traces += 1;
                self.evicted_spans += u64::from(gone.row.spans);
            }
        }
    }

    pub(crate) fn held(&self) -> u64 {
        self.held.len() as u64
    }

    pub(crate) fn evicted_spans(&self) -> u64 {
        self.evicted_spans
    }

    pub(crate) fn server_spans(&self) -> Vec<(String, u64)> {
        self.services.server_spans()
    }

    pub(crate) fn services(&self, now_unix_us: u64) -> Vec<view::Service> {
        let mut durations: Vec<Vec<u64>> = Vec::new();
        for entry in self.held.values().flat_map(|held| &held.entries) {
            let number = entry.service as usize;
            if durations.len() <= number {
                durations.resize_with(number + 1, Vec::new);
            }
            durations[number].push(entry.duration_ns);
        }
        self.services.list(durations, now_unix_us)
    }

    pub(crate) fn list(&self, query: &Query) -> view::Traces {
        let terms = terms(query, &["service", "resource", "name", "status"]);
        let newest = self.order.iter().rev();
        let newest = newest.filter_map(|id| Some((*id, self.held.get(id)?)));
        let mut matching = newest.filter(|(id, held)| {
            held.seq > query.since && terms.iter().all(|t| self.passes(*id, held, t))
        });
        let rows: Vec<TraceRow> = matching
            .by_ref()
            .take(rows_max(query))
            .map(|(id, held)| held.row(id))
            .collect();
        view::Traces {
            longest_ns: rows.iter().map(|row| row.duration_ns).max().unwrap_or(0),
            matching: (rows.len() + matching.count()) as u64,
            rows,
            held: self.held(),
            evicted: self.evicted_traces,
        }
    }

    fn passes(&self, id: u64, held: &Held, term: &Term) -> bool {
        let row = &held.row;
        let services = || {
            held.services
                .iter()
                .map(|number| self.services.name(*number))
        };
        term.passes(|value| match (term.key, value) {
            (Some("service"), _) => services().any(|name| contains(name, value)),
            (Some("resource"), _) => contains(&row.resource, value),
            (Some("name"), _) => contains(&row.name, value),
            (Some(_), "error") => row.errors > 0,
            (Some(_), "ok") => row.errors == 0,
            (Some(_), code) => row.status_code == code,
            (None, _) => {
                let texts = [&row.name, &row.resource, &row.status_code];
                let is_id = || held.ids(id).iter().any(|text| contains(text, value));
                texts.iter().any(|text| contains(text, value))
                    || services().any(|name| contains(name, value))
                    || is_id()
            }
        })
    }

    /// Traces that these spans, which are the entries of their services, belong to.
    pub(crate) fn of_entries(&self, span_ids: &HashSet<u64>) -> HashMap<u64, u64> {
        let mut traces = HashMap::new();
        for (id, held) in &self.held {
            let entries = held.entries.iter().map(|entry| entry.span_id);
            traces.extend(
                entries
                    .filter(|span_id| span_ids.contains(span_id))
                    .map(|span_id| (span_id, *id)),
            );
        }
        traces
    }

    pub(crate) fn holds(&self, id: u64) -> bool {
        self.held.contains_key(&id)
    }

    /// The chunks of a trace and its line: all that [`open`] needs, so that decoding it holds no lock.
    pub(crate) fn chunks(&self, id: u64) -> Option<(TraceRow, Vec<Box<[u8]>>)> {
        self.held
            .get(&id)
            .map(|held| (held.row(id), held.chunks.clone()))
    }
}

impl Held {
    /// The trace's id in decimal and in hex, written where it is shown: a text of each for every trace held
    /// would be most of its line.
    fn ids(&self, id: u64) -> [String; 2] {
        let hex = match self.trace_id_high {
            Some(high) => format!("{high:016x}{id:016x}"),
            None => format!("{id:016x}"),
        };
        [id.to_string(), hex]
    }

    fn row(&self, id: u64) -> TraceRow {
        let [trace_id, trace_id_hex] = self.ids(id);
        TraceRow {
            trace_id,
            trace_id_hex,
            ..self.row.clone()
        }
    }

    /// Bytes of all that belongs to the trace, what is spare and what the allocator adds included.
    fn weight(&self) -> usize {
        let row = &self.row;
        let texts = [&row.service, &row.name, &row.resource, &row.status_code];
        let texts: usize = texts.iter().map(|text| text.capacity()).sum();
        let lists = self.chunks.capacity() * size_of::<Box<[u8]>>()
            + self.entries.capacity() * size_of::<Entry>()
            + self.services.capacity() * size_of::<u32>();
        // The box, four texts and three lists, and each chunk.
        let pieces = (8 + self.chunks.len()) * PIECE_BYTES;
        SLOT_BYTES + size_of::<Held>() + texts + lists + self.chunk_bytes + pieces
    }
}

/// Most traces come at once: the first fill of a list takes no more room than it needs.
fn append<T>(list: &mut Vec<T>, more: Vec<T>) {
    if list.is_empty() {
        list.reserve_exact(more.len());
    }
    list.extend(more);
}

/// Decodes a trace in full, without its log lines.
pub(crate) fn open(row: TraceRow, chunks: &[Box<[u8]>]) -> view::Trace {
    let decoded = chunks.iter().filter_map(|chunk| chunk_spans(chunk).ok());
    let spans = decoded.flat_map(|spans| spans.iter().map(SpanRef::to_span).collect::<Vec<_>>());
    let spans = waterfall(spans.collect());
    view::Trace {
        row,
        extent_ns: extent_ns(&spans),
        spans,
        logs: Vec::new(),
        logs_left_out: 0,
        profile_samples: 0,
    }
}

/// Ids of all spans of a trace.
pub(crate) fn span_ids(chunks: &[Box<[u8]>]) -> HashSet<u64> {
    let decoded = chunks.iter().filter_map(|chunk| chunk_spans(chunk).ok());
    let ids = decoded.flat_map(|spans| spans.iter().map(|span| span.span_id).collect::<Vec<_>>());
    ids.collect()
}

fn describe(row: &mut TraceRow, span: &SpanRef<'_>, marks: &Marks<'_>) {
    row.service = span.service.to_string();
    row.name = span.name.to_string();
    row.resource = span.resource.to_string();
    row.status_code = marks.status_code.to_string();
    row.start_unix_us = positive(span.start) / 1_000;
    row.duration_ns = positive(span.duration);
}

fn counted<'s>(
    span: &SpanRef<'_>,
    marks: &'s Marks<'_>,
    time_unix_us: u64,
    language: &'s str,
) -> SpanCount<'s> {
    SpanCount {
        time_unix_us,
        entry: marks.entry,
        server: marks.server,
        error: span.error != 0,
        took_ns: u64::try_from(span.duration).unwrap_or(0),
        env: &marks.env,
        version: &marks.version,
        language,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const CAME: Came<'_> = Came {
        time_unix_us: 5,
        language: "rust",
    };

    fn span(trace: u64, id: u64, parent: u64, service: &str) -> Value {
        json!({"trace_id": trace, "span_id": id, "parent_id": parent, "service": service,
            "name": "op", "resource": format!("GET /{id}"), "type": "web",
            "start": 1_000_000 * id, "duration": 1_000 * id, "meta": {"span.kind": "server"}})
    }

    fn take(traces: &mut Traces, spans: Value) -> Option<&'static str> {
        let chunk = rmp_serde::to_vec_named(&spans).unwrap();
        traces.take(&chunk, CAME, &mut Errors::new(9)).unwrap()
    }

    fn query(q: &str) -> Query {
        Query {
            q: q.to_string(),
            ..Query::default()
        }
    }

    #[test]
    fn chunks_of_one_trace_that_arrive_apart_are_merged() {
        let mut traces = Traces::new(1 << 20);
        take(
            &mut traces,
            json!([span(7, 3, 2, "db"), span(7, 4, 3, "db")]),
        );
        let row = &traces.list(&query("")).rows[0];
        assert_eq!(
            (&*row.resource, &*row.service, row.spans, row.services),
            ("GET /3", "db", 2, 1)
        );
        let mut root = span(7, 1, 0, "web");
        root["meta"]["_dd.p.tid"] = json!("6b02c8b100000000");
        root["meta"]["http.status_code"] = json!("200");
        take(&mut traces, json!([root, span(7, 2, 1, "web")]));
        let list = traces.list(&query(""));
        let row = &list.rows[0];
        assert_eq!(
            (list.held, row.spans, row.services, &*row.service),
            (1, 4, 2, "web")
        );
        assert_eq!(row.trace_id_hex, "6b02c8b1000000000000000000000007");
        assert_eq!(
            (&*row.status_code, row.start_unix_us, row.duration_ns),
            ("200", 1_000, 1_000)
        );
        let (row, chunks) = traces.chunks(7).unwrap();
        let trace = open(row, &chunks);
        let depths: Vec<u32> = trace.spans.iter().map(|span| span.depth).collect();
        assert_eq!((depths, trace.extent_ns), (vec![0, 1, 2, 3], 3_004_000));
        let services = traces.services(5);
        let requests: Vec<(&str, u64)> = services.iter().map(|s| (&*s.name, s.requests)).collect();
        assert_eq!(requests, [("db", 1), ("web", 1)]);
        assert_eq!(
            traces.server_spans(),
            [("db".to_string(), 2), ("web".to_string(), 2)]
        );
    }

    /// The sum is that of what is held, and no list has more than twice the room it needs.
    #[track_caller]
    fn check_bytes(rule: &str, traces: &Traces) {
        let weights = traces.held.values().map(|held| held.weight());
        assert_eq!(traces.bytes, weights.sum::<usize>(), "{rule}");
        for held in traces.held.values() {
            let chunks: usize = held.chunks.iter().map(|chunk| chunk.len()).sum();
            assert_eq!(held.chunk_bytes, chunks, "{rule}");
            assert!(
                held.chunks.capacity() <= 2 * held.chunks.len().max(2),
                "{rule}"
            );
        }
    }

    #[test]
    fn a_trace_weighs_what_it_takes() {
        let mut traces = Traces::new(1 << 20);
        take(&mut traces, json!([span(7, 3, 2, "db")]));
        let held = &traces.held[&7];
        let lists = (
            held.chunks.capacity(),
            held.entries.capacity(),
            held.services.capacity(),
        );
        assert_eq!(lists, (1, 1, 1), "nothing is spare");
        let least = size_of::<Held>() + held.chunk_bytes + 9 * PIECE_BYTES;
        assert!(held.weight() > least && held.weight() < least + 300);
        check_bytes("one chunk", &traces);
        for n in 1..100 {
            take(
                &mut traces,
                json!([span(7, n, n - 1, &"s".repeat(n as usize))]),
            );
            take(&mut traces, json!([span(n, n, 0, "web")]));
        }
        check_bytes("many chunks", &traces);
        let mut long = span(500, 2, 1, "web");
        long["resource"] = json!("r".repeat(5_000));
        take(&mut traces, json!([long]));
        take(&mut traces, json!([span(500, 1, 0, "web")]));
        check_bytes("a root with shorter texts", &traces);
    }

    #[test]
    fn the_oldest_go_first_and_the_counters_stay() {
        let mut traces = Traces::new(4_000);
        for id in 1..=20 {
            take(&mut traces, json!([span(id, id, 0, "web")]));
        }
        check_bytes("one chunk a trace", &traces);
        let list = traces.list(&query(""));
        assert!(
            traces.bytes <= 4_000 && (2..10).contains(&list.held),
            "{} bytes, {} held",
            traces.bytes,
            list.held
        );
        assert_eq!(
            (list.held + list.evicted, traces.evicted_spans()),
            (20, list.evicted)
        );
        assert_eq!(list.rows[0].trace_id, "20");
        assert_eq!(traces.server_spans(), [("web".to_string(), 20)]);
        let mut none = Traces::new(0);
        take(&mut none, json!([span(1, 1, 0, "web")]));
        assert_eq!((none.held(), none.bytes, none.order.len()), (0, 0, 0));
    }

    #[test]
    fn a_trace_has_a_bound_of_its_own() {
        let mut traces = Traces::new(64 << 20);
        let half: Vec<Value> = (1..=10_000)
            .map(|id| json!({"trace_id": 1, "span_id": id}))
            .collect();
        take(&mut traces, json!(half));
        take(&mut traces, json!(half));
        take(&mut traces, json!([span(1, 1, 0, "web")]));
        let whole: Vec<Value> = (1..=20_001)
            .map(|id| json!({"trace_id": 2, "span_id": id}))
            .collect();
        take(&mut traces, json!(whole));
        let list = traces.list(&query(""));
        assert_eq!(
            (list.held, list.rows[0].spans, traces.evicted_spans()),
            (1, 20_000, 20_002)
        );
    }

    #[test]
    fn the_list_is_searched() {
        let mut traces = Traces::new(1 << 20);
        let mut failed = span(1, 1, 0, "web");
        failed["error"] = json!(1);
        failed["meta"]["http.status_code"] = json!("500");
        take(&mut traces, json!([failed]));
        take(&mut traces, json!([span(2, 2, 0, "shop")]));
        #[track_caller]
        fn check(traces: &Traces, q: &str, expected: &[&str]) {
            let list = traces.list(&query(q));
            let ids: Vec<&str> = list.rows.iter().map(|row| &*row.trace_id).collect();
            assert_eq!(
                (ids.as_slice(), list.matching),
                (expected, expected.len() as u64),
                "{q}"
            );
        }
        check(&traces, "", &["2", "1"]);
        check(&traces, "service:SHOP", &["2"]);
        check(&traces, "status:error", &["1"]);
        check(&traces, "status:500 web", &["1"]);
        check(&traces, "-status:error", &["2"]);
        check(&traces, "status:ok resource:/1", &[]);
        check(&traces, "name:op get", &["2", "1"]);
        check(&traces, "0000000000000002", &["2"]);
        let since = Query {
            since: 1,
            ..Query::default()
        };
        assert_eq!(traces.list(&since).rows.len(), 1);
        let one = Query {
            limit: 1,
            ..Query::default()
        };
        let list = traces.list(&one);
        assert_eq!((list.rows.len(), list.matching), (1, 2));
    }

    #[test]
    fn what_the_agent_would_drop_is_said() {
        let mut traces = Traces::new(1 << 20);
        let told = |spans: Value, traces: &mut Traces| {
            take(traces, spans).map(|text| text.split(':').next().unwrap())
        };
        assert_eq!(
            told(json!([span(0, 1, 0, "a")]), &mut traces),
            Some("trace_id_zero")
        );
        assert_eq!(
            told(json!([span(1, 0, 0, "a")]), &mut traces),
            Some("span_id_zero")
        );
        let foreign = json!([span(1, 1, 0, "a"), span(2, 2, 1, "a")]);
        assert_eq!(told(foreign, &mut traces), Some("foreign_span"));
        assert_eq!(told(json!([span(3, 3, 0, "a")]), &mut traces), None);
        assert_eq!(told(json!([]), &mut traces), None);
    }

    #[test]
    fn an_error_says_why_error_tracking_would_ignore_it() {
        #[track_caller]
        fn check(rule: &str, parent: u64, meta: Value, expected: &str) {
            let (mut traces, mut errors) = (Traces::new(1 << 20), Errors::new(9));
            let spans = json!([span(1, 1, 0, "web"), {"trace_id": 1, "span_id": 2, "service": "web",
                "parent_id": parent, "error": 1, "meta": meta}]);
            let chunk = rmp_serde::to_vec_named(&spans).unwrap();
            traces.take(&chunk, CAME, &mut errors).unwrap();
            assert_eq!(errors.list()[0].ignored_because, expected, "{rule}");
        }
        check("no stack", 0, json!({"error.type": "E"}), "no error.stack");
        check("no type", 0, json!({"error.stack": "s"}), "no error.type");
        check(
            "all there",
            0,
            json!({"error.type": "E", "error.stack": "s"}),
            "",
        );
        let child = json!({"error.type": "E", "error.stack": "s"});
        check("on a child", 1, child, "not on the service entry span");
    }
}
