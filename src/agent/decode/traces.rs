//! Trace payloads: v0.3 and v0.4 (one shape), their JSON twin, and v0.5 with its string table.
//!
//! All three end as v0.4 msgpack chunks, which is how the store keeps them.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

use super::msgpack::{DecodeError, Reader, Result};
use super::span::{Span, SpanRef, chunk_spans, read_span};

/// A v0.5 string may be named by every span: without a bound 25 MiB could become terabytes.
const EXPANDED_BYTES_MAX: usize = 64 << 20;

/// Strings of one v0.5 table, tags of one span: far above any tracer's, so that one byte on the
/// wire cannot cost thirty in memory a million times over.
const STRINGS_MAX: usize = 1 << 20;
const PAIRS_MAX: usize = 1 << 16;

/// A checked payload: where each chunk stands in its bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Chunks {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ranges: Vec<Range<usize>>,
    /// Chunks announced; `ranges` leaves out the empty ones.
    pub(crate) announced: u64,
    pub(crate) spans: u64,
}

impl Chunks {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.ranges.iter().map(|range| &self.bytes[range.clone()])
    }

    fn decoded(&self) -> Result<Vec<Vec<Span>>> {
        self.iter()
            .map(|chunk| Ok(chunk_spans(chunk)?.iter().map(SpanRef::to_span).collect()))
            .collect()
    }
}

/// Decodes a `/v0.4/traces` body (and `/v0.3/traces`, the same shape): an array of chunks of spans.
///
/// # Errors
/// [`DecodeError`] with the byte where it stopped making sense.
pub fn traces_v04(body: &[u8]) -> Result<Vec<Vec<Span>>> {
    chunks_v04(body.to_vec())?.decoded()
}

/// Decodes a `/v0.5/traces` body: a string table and spans of twelve elements.
///
/// # Errors
/// [`DecodeError`] with the byte where it stopped making sense.
pub fn traces_v05(body: &[u8]) -> Result<Vec<Vec<Span>>> {
    chunks_v05(body)?.decoded()
}

/// Decodes the JSON twin of a v0.4 body.
///
/// # Errors
/// [`DecodeError`] with what is wrong.
pub fn traces_json(body: &[u8]) -> Result<Vec<Vec<Span>>> {
    chunks_json(body)?.decoded()
}

pub(crate) fn chunks_v04(bytes: Vec<u8>) -> Result<Chunks> {
    let mut reader = Reader::new(&bytes);
    let (mut ranges, mut spans) = (Vec::new(), 0);
    let announced = reader.array()?;
    for _ in 0..announced {
        let start = reader.at();
        let count = reader.array()?;
        for _ in 0..count {
            read_span(&mut reader)?;
        }
        spans += count as u64;
        if count > 0 {
            ranges.push(start..reader.at());
        }
    }
    reader.end()?;
    let announced = announced as u64;
    Ok(Chunks {
        bytes,
        ranges,
        announced,
        spans,
    })
}

pub(crate) fn chunks_json(body: &[u8]) -> Result<Chunks> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| DecodeError::Json(error.to_string()))?;
    let bytes =
        rmp_serde::to_vec_named(&value).map_err(|error| DecodeError::Json(error.to_string()))?;
    chunks_v04(bytes)
}

pub(crate) fn chunks_v05(body: &[u8]) -> Result<Chunks> {
    let mut reader = Reader::new(body);
    expect_array(&mut reader, 2, "an array of 2: strings, traces")?;
    let table = Table::read(&mut reader)?;
    let announced = reader.array()?;
    let mut out = Chunks {
        announced: announced as u64,
        ..Chunks::default()
    };
    for _ in 0..announced {
        let start = out.bytes.len();
        let spans = reader.array()?;
        if spans == 0 {
            continue;
        }
        out.bytes.push(0xdd);
        out.bytes.extend_from_slice(&(spans as u32).to_be_bytes());
        for _ in 0..spans {
            let span = compact_span(&mut reader, &table)?;
            rmp_serde::encode::write_named(&mut out.bytes, &span)
                .expect("a Vec takes every write and the types are plain");
        }
        out.spans += spans as u64;
        out.ranges.push(start..out.bytes.len());
    }
    reader.end()?;
    Ok(out)
}

/// The string table, and how many bytes its strings have grown to.
struct Table<'a> {
    strings: Vec<Cow<'a, str>>,
    expanded: Cell<usize>,
}

impl<'a> Table<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Table<'a>> {
        let at = reader.at();
        let length = reader.array()?;
        if length > STRINGS_MAX {
            return Err(DecodeError::Length(at, length as u64));
        }
        let strings = (0..length).map(|_| reader.text()).collect::<Result<_>>()?;
        Ok(Table {
            strings,
            expanded: Cell::new(0),
        })
    }

    fn text(&self, reader: &mut Reader<'_>) -> Result<&str> {
        let at = reader.at();
        let index = reader.u64()?;
        let found = usize::try_from(index)
            .ok()
            .and_then(|index| self.strings.get(index));
        let text = found.ok_or(DecodeError::Index(at, index))?;
        self.expanded.set(self.expanded.get() + text.len() + 1);
        if self.expanded.get() > EXPANDED_BYTES_MAX {
            return Err(DecodeError::Expands(EXPANDED_BYTES_MAX));
        }
        Ok(text)
    }
}

/// The twelve elements of a v0.5 span under their v0.4 names, in wire order.
#[derive(Serialize)]
struct Compact<'a> {
    service: &'a str,
    name: &'a str,
    resource: &'a str,
    trace_id: u64,
    span_id: u64,
    parent_id: u64,
    start: i64,
    duration: i64,
    error: i64,
    meta: Pairs<&'a str, &'a str>,
    metrics: Pairs<&'a str, f64>,
    r#type: &'a str,
}

struct Pairs<K, V>(Vec<(K, V)>);

impl<K: Serialize, V: Serialize> Serialize for Pairs<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

fn compact_span<'t>(reader: &mut Reader<'_>, table: &'t Table<'_>) -> Result<Compact<'t>> {
    expect_array(reader, 12, "an array of 12: a v0.5 span")?;
    Ok(Compact {
        service: table.text(reader)?,
        name: table.text(reader)?,
        resource: table.text(reader)?,
        trace_id: reader.u64()?,
        span_id: reader.u64()?,
        parent_id: reader.u64()?,
        start: reader.i64()?,
        duration: reader.i64()?,
        error: reader.i64()?,
        meta: pairs(reader, |reader| {
            Ok((table.text(reader)?, table.text(reader)?))
        })?,
        metrics: pairs(reader, |reader| Ok((table.text(reader)?, reader.f64()?)))?,
        r#type: table.text(reader)?,
    })
}

fn pairs<'r, K, V>(
    reader: &mut Reader<'r>,
    mut pair: impl FnMut(&mut Reader<'r>) -> Result<(K, V)>,
) -> Result<Pairs<K, V>> {
    let at = reader.at();
    let length = reader.map()?;
    if length > PAIRS_MAX {
        return Err(DecodeError::Length(at, length as u64));
    }
    (0..length)
        .map(|_| pair(reader))
        .collect::<Result<_>>()
        .map(Pairs)
}

fn expect_array(reader: &mut Reader<'_>, length: usize, what: &'static str) -> Result<()> {
    let at = reader.at();
    if reader.array()? == length {
        Ok(())
    } else {
        Err(reader.mistyped(at, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const V04: &[u8] = include_bytes!("../../../tests/corpus/traces_v04.bin");
    const V05: &[u8] = include_bytes!("../../../tests/corpus/traces_v05.bin");

    fn packed(value: &Value) -> Vec<u8> {
        rmp_serde::to_vec_named(value).unwrap()
    }

    #[test]
    fn the_python_tracers_v04_payload_is_read_as_it_was_meant() {
        let chunks = traces_v04(V04).unwrap();
        assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), [11, 12]);
        let root = &chunks[0][0];
        assert_eq!((&*root.service, &*root.name), ("testapi", "flask.request"));
        assert_eq!((&*root.resource, &*root.kind), ("GET /metrics", "web"));
        assert_eq!(
            (root.trace_id, root.parent_id, root.error),
            (0x3d98_1d20_4b1d_2a46, 0, 0)
        );
        assert_eq!(
            (root.start, root.duration),
            (0x18ea_585c_2d5f_1d6f, 0x003c_14a6)
        );
        assert_eq!(
            (root.tag("span.kind"), root.tag("_dd.p.tid")),
            ("server", "6b02c8aa00000000")
        );
        assert_eq!((root.meta.len(), root.metrics.len()), (18, 5));
        assert_eq!(root.metrics[4], ("_dd.top_level".to_string(), 1.0));
        assert!(
            chunks
                .iter()
                .all(|chunk| chunk.iter().all(|s| s.trace_id == chunk[0].trace_id))
        );
    }

    #[test]
    fn the_python_tracers_v05_payload_is_read_as_it_was_meant() {
        let chunks = traces_v05(V05).unwrap();
        assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), [11, 12]);
        let root = &chunks[1][0];
        assert_eq!(
            (&*root.service, &*root.name, &*root.resource),
            ("flask", "flask.request", "GET /")
        );
        assert_eq!(
            (root.trace_id, root.span_id),
            (17_533_297_464_784_852_720, 17_562_465_789_317_724_980)
        );
        assert_eq!(
            (root.start, root.duration),
            (1_795_344_561_181_554_569, 4_622_876)
        );
        assert_eq!((&*root.kind, root.parent_id, root.error), ("web", 0, 0));
        assert_eq!(
            (root.tag("_dd.base_service"), root.tag("http.status_code")),
            ("testapi", "200")
        );
        assert_eq!((root.meta.len(), root.metrics.len()), (18, 5));
        assert!(root.metrics.contains(&("process_id".to_string(), 10_358.0)));
    }

    #[test]
    fn every_proper_prefix_and_a_byte_too_many_is_an_error() {
        for cut in 0..V04.len() {
            assert!(traces_v04(&V04[..cut]).is_err(), "v0.4 cut at {cut}");
        }
        for cut in 0..V05.len() {
            assert!(traces_v05(&V05[..cut]).is_err(), "v0.5 cut at {cut}");
        }
        let longer = |body: &[u8]| [body, &[0xc0]].concat();
        assert_eq!(
            traces_v04(&longer(V04)),
            Err(DecodeError::Trailing(V04.len()))
        );
        assert_eq!(
            traces_v05(&longer(V05)),
            Err(DecodeError::Trailing(V05.len()))
        );
    }

    #[track_caller]
    fn check(rule: &str, body: Value, expected: Result<Vec<Vec<Span>>>) {
        assert_eq!(traces_v04(&packed(&body)), expected, "{rule}");
    }

    #[test]
    fn what_is_left_out_or_unknown_does_no_harm() {
        let bare = Span {
            trace_id: 1,
            span_id: 2,
            ..Span::default()
        };
        check(
            "no chunk, as the probe of many tracers",
            json!([]),
            Ok(vec![]),
        );
        check("empty chunks are no chunks", json!([[], []]), Ok(vec![]));
        check(
            "ids alone",
            json!([[{"trace_id": 1, "span_id": 2}]]),
            Ok(vec![vec![bare.clone()]]),
        );
        check(
            "unknown keys are stepped over",
            json!([[{"trace_id": 1, "x": {"y": [1, {"z": null}]}, "span_id": 2, "meta": null}]]),
            Ok(vec![vec![bare.clone()]]),
        );
        let tagged = Span {
            meta: vec![("k".into(), "\u{e9}".into())],
            metrics: vec![("f".into(), -0.5), ("i".into(), 3.0)],
            error: 1,
            duration: -7,
            ..bare
        };
        check(
            "integers are metrics too",
            json!([[{"trace_id": 1, "span_id": 2, "error": 1, "duration": -7,
                "meta": {"k": "\u{e9}"}, "metrics": {"i": 3, "f": -0.5}}]]),
            Ok(vec![vec![tagged]]),
        );
    }

    #[test]
    fn a_wrong_shape_names_the_byte() {
        check(
            "not an array",
            json!({}),
            Err(DecodeError::Type(0, "an array", 0x80)),
        );
        check(
            "a chunk that is text",
            json!(["a"]),
            Err(DecodeError::Type(1, "an array", 0xa1)),
        );
        check(
            "a span that is a number",
            json!([[1]]),
            Err(DecodeError::Type(2, "a map", 1)),
        );
        check(
            "a span without ids",
            json!([[{}]]),
            Err(DecodeError::Missing(2, "trace_id")),
        );
        check(
            "a span without its own id",
            json!([[{"trace_id": 1}]]),
            Err(DecodeError::Missing(2, "span_id")),
        );
        check(
            "text as id",
            json!([[{"span_id": "1"}]]),
            Err(DecodeError::Type(11, "an integer", 0xa1)),
        );
        check(
            "a number as tag",
            json!([[{"meta": {"k": 1}}]]),
            Err(DecodeError::Type(11, "text", 1)),
        );
    }

    #[test]
    fn json_is_the_same_payload() {
        let text = br#"[[{"trace_id":18446744073709551615,"span_id":2,"service":"s","metrics":{"m":1.5}}]]"#;
        let chunks = traces_json(text).unwrap();
        assert_eq!(
            (chunks[0][0].trace_id, &*chunks[0][0].service),
            (u64::MAX, "s")
        );
        assert!(matches!(traces_json(b"[[{]]"), Err(DecodeError::Json(_))));
        assert!(traces_json("[".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn a_v05_payload_cannot_grow_past_its_bound() {
        let row = json!([1, 1, 1, 1, 1, 0, 0, 0, 0, {}, {}, 1]);
        let good = json!([["", "s"], [[row]]]);
        assert_eq!(traces_v05(&packed(&good)).unwrap()[0][0].service, "s");
        let wild = json!([["", "s"], [[[9, 1, 1, 1, 1, 0, 0, 0, 0, {}, {}, 1]]]]);
        assert_eq!(traces_v05(&packed(&wild)), Err(DecodeError::Index(8, 9)));
        let bomb = json!(["", "x".repeat(1 << 20)]);
        let bomb = json!([bomb, [vec![row; 20]]]);
        assert_eq!(
            traces_v05(&packed(&bomb)),
            Err(DecodeError::Expands(EXPANDED_BYTES_MAX))
        );
        let latin = [0x92, 0x91, 0xa1, 0xe9, 0x90];
        assert_eq!(
            traces_v05(&latin),
            Ok(vec![]),
            "text that is not UTF-8 costs no payload"
        );
        let short = json!([[""], [[[0, 0, 0, 1, 1, 0, 0, 0, 0, {}, {}]]]]);
        assert!(matches!(
            traces_v05(&packed(&short)),
            Err(DecodeError::Type(..))
        ));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (traces_v04(&bytes), traces_v05(&bytes), traces_json(&bytes));
        }

        #[test]
        fn no_flipped_byte_makes_it_panic(at in 0..V04.len(), byte: u8) {
            let mut body = V04.to_vec();
            body[at] = byte;
            let _ = traces_v04(&body);
            let mut body = V05.to_vec();
            let at = at % body.len();
            body[at] = byte;
            let _ = traces_v05(&body);
        }
    }
}
