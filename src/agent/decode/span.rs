//! One span of a v0.4 payload: borrowed for counting, owned for showing.

use std::borrow::Cow;

use super::msgpack::{DecodeError, Reader, Result};

/// Array of chunks, chunk, span: where a span's values stand.
const SPAN_DEPTH: u32 = 3;

/// One span, every field as received.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Span {
    /// `service`.
    pub service: String,
    /// `name`, the operation.
    pub name: String,
    /// `resource`.
    pub resource: String,
    /// `type`.
    pub kind: String,
    /// Low 64 bits.
    pub trace_id: u64,
    /// `span_id`.
    pub span_id: u64,
    /// 0 for a root, or where it was left out.
    pub parent_id: u64,
    /// Nanoseconds since 1970.
    pub start: i64,
    /// Nanoseconds.
    pub duration: i64,
    /// 0 where it was left out.
    pub error: i64,
    /// Tags, in the order received.
    pub meta: Vec<(String, String)>,
    /// Numeric tags, in the order received.
    pub metrics: Vec<(String, f64)>,
}

impl Span {
    /// A tag, or empty.
    pub fn tag(&self, key: &str) -> &str {
        self.meta
            .iter()
            .find(|(k, _)| k == key)
            .map_or("", |(_, value)| value)
    }

    /// A numeric tag.
    pub fn metric(&self, key: &str) -> Option<f64> {
        let found = self.metrics.iter().find(|(k, _)| k == key);
        found.map(|(_, value)| *value)
    }
}

/// One span, read without copying; its tags are looked at only when asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct SpanRef<'a> {
    pub(crate) service: Cow<'a, str>,
    pub(crate) name: Cow<'a, str>,
    pub(crate) resource: Cow<'a, str>,
    pub(crate) kind: Cow<'a, str>,
    pub(crate) trace_id: u64,
    pub(crate) span_id: u64,
    pub(crate) parent_id: u64,
    pub(crate) start: i64,
    pub(crate) duration: i64,
    pub(crate) error: i64,
    meta: &'a [u8],
    metrics: &'a [u8],
}

impl<'a> SpanRef<'a> {
    /// Calls `see` with each tag.
    pub(crate) fn each_tag(&self, mut see: impl FnMut(Cow<'a, str>, Cow<'a, str>)) {
        let _ = pairs(self.meta, |reader| {
            see(reader.text()?, reader.text()?);
            Ok(())
        });
    }

    /// Calls `see` with each numeric tag.
    pub(crate) fn each_metric(&self, mut see: impl FnMut(Cow<'a, str>, f64)) {
        let _ = pairs(self.metrics, |reader| {
            see(reader.text()?, reader.f64()?);
            Ok(())
        });
    }

    /// A copy that stands alone.
    pub(crate) fn to_span(&self) -> Span {
        let (mut meta, mut metrics) = (Vec::new(), Vec::new());
        self.each_tag(|key, value| meta.push((key.into_owned(), value.into_owned())));
        self.each_metric(|key, value| metrics.push((key.into_owned(), value)));
        Span {
            service: self.service.to_string(),
            name: self.name.to_string(),
            resource: self.resource.to_string(),
            kind: self.kind.to_string(),
            trace_id: self.trace_id,
            span_id: self.span_id,
            parent_id: self.parent_id,
            start: self.start,
            duration: self.duration,
            error: self.error,
            meta,
            metrics,
        }
    }
}

/// The spans of one chunk, all of it checked.
pub(crate) fn chunk_spans(chunk: &[u8]) -> Result<Vec<SpanRef<'_>>> {
    let mut reader = Reader::new(chunk);
    let spans = (0..reader.array()?)
        .map(|_| read_span(&mut reader))
        .collect::<Result<_>>()?;
    reader.end()?;
    Ok(spans)
}

/// Reads a span and checks all of it, so that later looks cannot fail. A span needs its two ids;
/// that also keeps a byte on the wire from becoming a whole span in memory.
pub(super) fn read_span<'a>(reader: &mut Reader<'a>) -> Result<SpanRef<'a>> {
    let start = reader.at();
    let mut span = SpanRef::default();
    let (mut has_trace_id, mut has_span_id) = (false, false);
    for _ in 0..reader.map()? {
        match reader.text_bytes()? {
            b"service" => span.service = reader.text()?,
            b"name" => span.name = reader.text()?,
            b"resource" => span.resource = reader.text()?,
            b"type" => span.kind = reader.text()?,
            b"trace_id" => (span.trace_id, has_trace_id) = (reader.u64()?, true),
            b"span_id" => (span.span_id, has_span_id) = (reader.u64()?, true),
            b"parent_id" => span.parent_id = reader.u64()?,
            b"start" => span.start = reader.i64()?,
            b"duration" => span.duration = reader.i64()?,
            b"error" => span.error = reader.i64()?,
            b"meta" => span.meta = checked(reader, |reader| reader.text_bytes().map(drop))?,
            b"metrics" => span.metrics = checked(reader, |reader| reader.f64().map(drop))?,
            _ => reader.skip(SPAN_DEPTH)?,
        }
    }
    match (has_trace_id, has_span_id) {
        (true, true) => Ok(span),
        (false, _) => Err(DecodeError::Missing(start, "trace_id")),
        (true, false) => Err(DecodeError::Missing(start, "span_id")),
    }
}

fn checked<'a>(
    reader: &mut Reader<'a>,
    value: impl Fn(&mut Reader<'a>) -> Result<()>,
) -> Result<&'a [u8]> {
    let start = reader.at();
    for _ in 0..reader.map()? {
        reader.text_bytes()?;
        value(reader)?;
    }
    Ok(reader.since(start))
}

fn pairs<'a>(bytes: &'a [u8], mut pair: impl FnMut(&mut Reader<'a>) -> Result<()>) -> Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let mut reader = Reader::new(bytes);
    (0..reader.map()?).try_for_each(|_| pair(&mut reader))
}
