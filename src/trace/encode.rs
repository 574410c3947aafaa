//! Spans to msgpack, in the shape of v0.4: an array of chunks, a chunk an array of span maps.
//!
//! Limits are the Agent's (datadog-agent, `pkg/trace/agent/normalizer.go` and `truncator.go`): what is
//! longer is cut here, at a character's boundary, so that the cut is ours and known. The shape of links and
//! events is libdatadog's (`libdd-trace-utils`, `msgpack_encoder/v04`).

use rmp_serde::Serializer;
use serde::Serialize;

use super::SpanLink;
use super::event::{EventValue, SpanEvent};
use super::tags::Tags;

const NAME_BYTES_MAX: usize = 100;
const RESOURCE_BYTES_MAX: usize = 5_000;

/// One span as the Agent reads it.
#[derive(Clone, Copy, Debug)]
pub(super) struct WireSpan<'a> {
    pub(super) service: &'a str,
    pub(super) name: &'a str,
    pub(super) resource: &'a str,
    pub(super) kind: &'a str,
    pub(super) trace_id: u64,
    pub(super) span_id: u64,
    pub(super) parent_id: u64,
    pub(super) start_unix_ns: u64,
    pub(super) duration_ns: u64,
    pub(super) error: bool,
    pub(super) meta: &'a Tags,
    pub(super) metrics: &'a Tags,
    /// Tags that many spans say alike. Where the span says the same key, its own value stands.
    pub(super) common: &'a AlikeTags,
    pub(super) links: &'a [SpanLink],
    /// Empty where the Agent does not take events: they are a tag then.
    pub(super) events: &'a [SpanEvent],
}

/// Tags encoded once for many spans.
#[derive(Clone, Debug, Default)]
pub(super) struct AlikeTags {
    meta: Tags,
    metrics: Tags,
}

/// What a span can say otherwise; see [`Tags::hidden_by`].
const COMMON_KEYS_MAX: usize = 128;

impl AlikeTags {
    /// The first of each key, up to 128.
    pub(super) fn new(meta: &[(&str, &str)], metrics: &[(&str, f64)]) -> AlikeTags {
        let mut common = AlikeTags::default();
        for (key, value) in meta {
            if common.meta.text(key).is_none() && common.meta.len() < COMMON_KEYS_MAX {
                common.meta.put_text(key, value);
            }
        }
        for (key, value) in metrics {
            common.metrics.put_number(key, *value);
        }
        common
    }

    /// The text of a key.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.meta.text(key)
    }
}

/// A short text as msgpack, made while compiling.
macro_rules! text {
    ($text:literal) => {{
        const BYTES: [u8; $text.len() + 1] = short_text($text);
        &BYTES
    }};
}

const fn short_text<const N: usize>(text: &str) -> [u8; N] {
    assert!(N == text.len() + 1 && text.len() < 32);
    let mut bytes = [0xa0 | text.len() as u8; N];
    let mut at = 1;
    while at < N {
        bytes[at] = text.as_bytes()[at - 1];
        at += 1;
    }
    bytes
}

/// Appends one span.
pub(super) fn encode_span(out: &mut Vec<u8>, span: &WireSpan<'_>) {
    let AlikeTags { meta, metrics } = span.common;
    let (hidden_meta, hidden_metrics) =
        (meta.hidden_by(span.meta), metrics.hidden_by(span.metrics));
    let metrics_count = count(span.metrics, (metrics, hidden_metrics));
    // A root names no parent, a good span no error: the Agent reads an absent field as 0.
    let optional = [
        span.parent_id != 0,
        span.error,
        !span.kind.is_empty(),
        metrics_count > 0,
        !span.links.is_empty(),
        !span.events.is_empty(),
    ];
    let fields = 8 + optional.iter().filter(|present| **present).count();
    encode_map_head(out, fields as u32);
    encode_fields(out, span);
    out.extend_from_slice(text!("meta"));
    encode_map_head(out, count(span.meta, (meta, hidden_meta)));
    out.extend_from_slice(span.meta.bytes());
    meta.write_but(hidden_meta, out);
    if metrics_count > 0 {
        out.extend_from_slice(text!("metrics"));
        encode_map_head(out, metrics_count);
        out.extend_from_slice(span.metrics.bytes());
        metrics.write_but(hidden_metrics, out);
    }
    if !span.links.is_empty() {
        out.extend_from_slice(text!("span_links"));
        encode_array_head(out, span.links.len() as u32);
        span.links.iter().for_each(|link| encode_link(out, link));
    }
    if !span.events.is_empty() {
        out.extend_from_slice(text!("span_events"));
        encode_array_head(out, span.events.len() as u32);
        span.events
            .iter()
            .for_each(|event| encode_event(out, event));
    }
}

fn count(own: &Tags, (common, hidden): (&Tags, u128)) -> u32 {
    (own.len() + common.len()) as u32 - hidden.count_ones()
}

/// What is neither a map nor a list.
fn encode_fields(out: &mut Vec<u8>, span: &WireSpan<'_>) {
    text_field(out, text!("service"), cut(span.service, NAME_BYTES_MAX));
    text_field(out, text!("name"), cut(span.name, NAME_BYTES_MAX));
    text_field(
        out,
        text!("resource"),
        cut(span.resource, RESOURCE_BYTES_MAX),
    );
    number_field(out, text!("trace_id"), span.trace_id);
    number_field(out, text!("span_id"), span.span_id);
    if span.parent_id != 0 {
        number_field(out, text!("parent_id"), span.parent_id);
    }
    number_field(out, text!("start"), span.start_unix_ns.min(i64::MAX as u64));
    number_field(
        out,
        text!("duration"),
        span.duration_ns.min(i64::MAX as u64),
    );
    if span.error {
        number_field(out, text!("error"), 1);
    }
    if !span.kind.is_empty() {
        text_field(out, text!("type"), cut(span.kind, NAME_BYTES_MAX));
    }
}

fn encode_link(out: &mut Vec<u8>, link: &SpanLink) {
    let optional = [
        !link.attributes.is_empty(),
        !link.state.is_empty(),
        link.flags.is_some(),
    ];
    encode_map_head(
        out,
        3 + optional.iter().filter(|present| **present).count() as u32,
    );
    number_field(out, text!("trace_id"), link.trace_id as u64);
    number_field(out, text!("trace_id_high"), (link.trace_id >> 64) as u64);
    number_field(out, text!("span_id"), link.span_id);
    if !link.attributes.is_empty() {
        out.extend_from_slice(text!("attributes"));
        encode_map_head(out, link.attributes.len() as u32);
        for (key, value) in &link.attributes {
            push_text(out, key);
            push_text(out, value);
        }
    }
    if !link.state.is_empty() {
        text_field(out, text!("tracestate"), &link.state);
    }
    if let Some(flags) = link.flags {
        // Bit 31 tells flags that are 0 from flags that nobody knows.
        number_field(out, text!("flags"), u64::from(flags | 1 << 31));
    }
}

fn encode_event(out: &mut Vec<u8>, event: &SpanEvent) {
    encode_map_head(out, 2 + u32::from(!event.attributes.is_empty()));
    number_field(out, text!("time_unix_nano"), event.unix_ns);
    text_field(out, text!("name"), &event.name);
    if !event.attributes.is_empty() {
        out.extend_from_slice(text!("attributes"));
        encode_map_head(out, event.attributes.len() as u32);
        for (key, value) in &event.attributes {
            push_text(out, key);
            encode_value(out, value);
        }
    }
}

fn encode_value(out: &mut Vec<u8>, value: &EventValue) {
    encode_map_head(out, 2);
    let (kind, key): (u64, &[u8]) = match value {
        EventValue::Text(_) => (0, text!("string_value")),
        EventValue::Bool(_) => (1, text!("bool_value")),
        EventValue::Int(_) => (2, text!("int_value")),
        EventValue::Float(_) => (3, text!("double_value")),
        EventValue::List(_) => (4, text!("array_value")),
    };
    number_field(out, text!("type"), kind);
    out.extend_from_slice(key);
    match value {
        EventValue::Text(text) => push_text(out, text),
        EventValue::Bool(is) => push(out, is),
        EventValue::Int(number) => push(out, number),
        EventValue::Float(number) => push_number(out, *number),
        EventValue::List(values) => {
            encode_map_head(out, 1);
            out.extend_from_slice(text!("values"));
            encode_array_head(out, values.len() as u32);
            values.iter().for_each(|value| encode_value(out, value));
        }
    }
}

fn text_field(out: &mut Vec<u8>, key: &[u8], value: &str) {
    out.extend_from_slice(key);
    push_text(out, value);
}

fn number_field(out: &mut Vec<u8>, key: &[u8], value: u64) {
    out.extend_from_slice(key);
    push_whole(out, value);
}

fn push(out: &mut Vec<u8>, value: &impl Serialize) {
    value
        .serialize(&mut Serializer::new(out))
        .expect("a Vec takes every byte of a text or a number");
}

/// A whole number in its shortest form.
fn push_whole(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_be_bytes();
    let (head, from) = match value {
        0..=0x7f => return out.push(bytes[7]),
        0x80..=0xff => (0xcc, 7),
        0x100..=0xffff => (0xcd, 6),
        0x1_0000..=0xffff_ffff => (0xce, 4),
        // Most: ids and times.
        _ => return push_9(out, 0xcf, bytes),
    };
    out.push(head);
    out.extend_from_slice(&bytes[from..]);
}

fn push_9(out: &mut Vec<u8>, head: u8, bytes: [u8; 8]) {
    let mut all = [head; 9];
    all[1..].copy_from_slice(&bytes);
    out.extend_from_slice(&all);
}

pub(super) fn push_number(out: &mut Vec<u8>, value: f64) {
    push_9(out, 0xcb, value.to_be_bytes());
}

/// The text at the start of these bytes, where there is one; of what this file writes.
pub(super) fn read_text(bytes: &[u8]) -> Option<&str> {
    let (start, length) = match *bytes {
        [head @ 0xa0..=0xbf, ..] => (1, usize::from(head & 0x1f)),
        [0xd9, length, ..] => (2, usize::from(length)),
        [0xda, high, low, ..] => (3, usize::from(u16::from_be_bytes([high, low]))),
        _ => return None,
    };
    std::str::from_utf8(bytes.get(start..start + length)?).ok()
}

/// The number at the start of these bytes, where there is one.
pub(super) fn read_number(bytes: &[u8]) -> Option<f64> {
    let (head, rest) = bytes.split_first()?;
    let number = f64::from_be_bytes(rest.get(..8)?.try_into().ok()?);
    (*head == 0xcb).then_some(number)
}

/// Most of a span is short texts, whose head is one byte.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    if text.len() >= 32 {
        return push(out, &text);
    }
    out.push(0xa0 | text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

/// Appends the head of an array of `count` items, in the shortest form.
pub(super) fn encode_array_head(out: &mut Vec<u8>, count: u32) {
    encode_head(out, count, [0x90, 0xdc, 0xdd]);
}

fn encode_map_head(out: &mut Vec<u8>, count: u32) {
    encode_head(out, count, [0x80, 0xde, 0xdf]);
}

fn encode_head(out: &mut Vec<u8>, count: u32, [short, middle, long]: [u8; 3]) {
    match count {
        0..=15 => out.push(short | count as u8),
        16..=0xffff => {
            out.push(middle);
            out.extend_from_slice(&(count as u16).to_be_bytes());
        }
        _ => {
            out.push(long);
            out.extend_from_slice(&count.to_be_bytes());
        }
    }
}

/// Cuts a text to so many bytes, at a character's boundary.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    fn text_tags(pairs: &[(&str, &str)]) -> Tags {
        let mut tags = Tags::default();
        pairs
            .iter()
            .for_each(|(key, value)| tags.put_text(key, value));
        tags
    }

    fn number_tags(pairs: &[(&str, f64)]) -> Tags {
        let mut tags = Tags::default();
        pairs
            .iter()
            .for_each(|(key, value)| tags.put_number(key, *value));
        tags
    }

    /// The smallest span, changed as told, in msgpack.
    fn encoded<'a>(change: impl FnOnce(&mut WireSpan<'a>)) -> Vec<u8> {
        static NO_TAGS: LazyLock<Tags> = LazyLock::new(Tags::default);
        static NOTHING_COMMON: LazyLock<AlikeTags> = LazyLock::new(AlikeTags::default);
        let mut span = WireSpan {
            service: "s",
            name: "n",
            resource: "r",
            kind: "",
            trace_id: 1,
            span_id: 0x8000_0000_0000_0000,
            parent_id: 0,
            start_unix_ns: 256,
            duration_ns: 127,
            error: false,
            meta: &NO_TAGS,
            metrics: &NO_TAGS,
            common: &NOTHING_COMMON,
            links: &[],
            events: &[],
        };
        let mut out = Vec::new();
        change(&mut span);
        encode_span(&mut out, &span);
        out
    }

    #[track_caller]
    fn check(rule: &str, seen: &[u8], expected: &[&[u8]]) {
        let expected = expected.concat();
        let (seen, wanted) = (
            seen.escape_ascii().to_string(),
            expected.escape_ascii().to_string(),
        );
        assert_eq!(seen, wanted, "{rule}");
    }

    const HEAD: &[u8] = b"\xa7service\xa1s\xa4name\xa1n\xa8resource\xa1r\xa8trace_id\x01\xa7span_id\xcf\x80\0\0\0\0\0\0\0";
    const TIMES: &[u8] = b"\xa5start\xcd\x01\0\xa8duration\x7f";

    #[test]
    fn every_rule_of_a_span_has_its_bytes() {
        check(
            "a root names no parent, a good span no error",
            &encoded(|_| {}),
            &[b"\x88", HEAD, TIMES, b"\xa4meta\x80"],
        );
        let meta = text_tags(&[("a", "b"), ("\u{e9}", "")]);
        let metrics = number_tags(&[("m", 1.0), ("nan", f64::NAN), ("inf", f64::INFINITY)]);
        let full = encoded(|span| {
            (span.kind, span.parent_id, span.error) = ("web", 2, true);
            (span.meta, span.metrics) = (&meta, &metrics);
        });
        check(
            "all fields; a metric that is no number is left out",
            &full,
            &[
                b"\x8c",
                HEAD,
                b"\xa9parent_id\x02",
                TIMES,
                b"\xa5error\x01\xa4type\xa3web",
                b"\xa4meta\x82\xa1a\xa1b\xa2\xc3\xa9\xa0\xa7metrics\x81\xa1m\xcb\x3f\xf0\0\0\0\0\0\0",
            ],
        );
        let long = "\u{e9}".repeat(60);
        let out = encoded(|span| span.name = &long);
        let cut = [
            b"\xa4name\xd9\x64",
            "\u{e9}".repeat(50).as_bytes(),
            b"\xa8res",
        ]
        .concat();
        assert!(
            out.windows(cut.len()).any(|part| part == cut),
            "a name is cut at 100 bytes"
        );
    }

    #[test]
    fn links_and_events_have_their_bytes() {
        let least = SpanLink {
            trace_id: (2 << 64) | 1,
            span_id: 3,
            ..SpanLink::default()
        };
        let full = SpanLink {
            attributes: vec![("reason".into(), "x".into())],
            state: "dd=s:1".into(),
            flags: Some(1),
            ..least.clone()
        };
        let link = b"\xa8trace_id\x01\xadtrace_id_high\x02\xa7span_id\x03";
        let links = [least, full];
        check(
            "a link says what it knows",
            &encoded(|span| span.links = &links),
            &[
                b"\x89",
                HEAD,
                TIMES,
                b"\xa4meta\x80\xaaspan_links\x92\x83",
                link,
                b"\x86",
                link,
                b"\xaaattributes\x81\xa6reason\xa1x\xaatracestate\xa6dd=s:1\xa5flags\xce\x80\0\0\x01",
            ],
        );
        let values = vec![EventValue::Int(-1), EventValue::Bool(true)];
        let attributes = vec![
            ("t".into(), EventValue::Text("x".into())),
            ("f".into(), EventValue::Float(1.0)),
            ("l".into(), EventValue::List(values)),
        ];
        let bare = SpanEvent {
            name: "e".into(),
            unix_ns: 7,
            attributes: vec![],
        };
        let events = [bare.clone(), SpanEvent { attributes, ..bare }];
        let event = b"\xaetime_unix_nano\x07\xa4name\xa1e";
        check(
            "an event's values have their types",
            &encoded(|span| span.events = &events),
            &[
                b"\x89",
                HEAD,
                TIMES,
                b"\xa4meta\x80\xabspan_events\x92\x82",
                event,
                b"\x83",
                event,
                b"\xaaattributes\x83\xa1t\x82\xa4type\0\xacstring_value\xa1x",
                b"\xa1f\x82\xa4type\x03\xacdouble_value\xcb\x3f\xf0\0\0\0\0\0\0",
                b"\xa1l\x82\xa4type\x04\xabarray_value\x81\xa6values\x92",
                b"\x82\xa4type\x02\xa9int_value\xff\x82\xa4type\x01\xaabool_value\xc3",
            ],
        );
    }

    #[test]
    fn what_many_spans_say_alike_gives_way_to_a_spans_own() {
        let common = AlikeTags::new(
            &[("env", "dev"), ("a", "x"), ("env", "twice")],
            &[("pid", 7.0), ("inf", f64::INFINITY)],
        );
        let pid = b"\xa7metrics\x81\xa3pid\xcb\x40\x1c\0\0\0\0\0\0";
        let head: [&[u8]; 4] = [b"\x89", HEAD, TIMES, b"\xa4meta"];
        let all = [&head[..], &[b"\x82\xa3env\xa3dev\xa1a\xa1x", pid]].concat();
        check(
            "nothing of its own",
            &encoded(|span| span.common = &common),
            &all,
        );
        let nan = number_tags(&[("pid", f64::NAN)]);
        let not_a_number = encoded(|span| (span.common, span.metrics) = (&common, &nan));
        check("what is no number is not on the wire", &not_a_number, &all);
        let (meta, metrics) = (text_tags(&[("a", "own")]), number_tags(&[("pid", 8.0)]));
        let own = encoded(|span| {
            span.common = &common;
            (span.meta, span.metrics) = (&meta, &metrics);
        });
        let eight = b"\xa7metrics\x81\xa3pid\xcb\x40\x20\0\0\0\0\0\0";
        let own_first = b"\x82\xa1a\xa3own\xa3env\xa3dev";
        check(
            "its own come first",
            &own,
            &[&head[..], &[own_first, eight]].concat(),
        );
    }

    #[test]
    fn what_is_written_is_read() {
        for text in [
            "",
            "a",
            &"b".repeat(31),
            &"c".repeat(32),
            &"d".repeat(255),
            &"e".repeat(256),
        ] {
            let mut out = Vec::new();
            push_text(&mut out, text);
            out.push(0xa1);
            assert_eq!(read_text(&out), Some(text));
            assert_eq!(read_number(&out), None);
        }
        let mut out = Vec::new();
        push_number(&mut out, -0.25);
        assert_eq!((read_number(&out), read_text(&out)), (Some(-0.25), None));
        assert_eq!((read_text(&[]), read_number(&[0xcb, 1])), (None, None));
    }

    #[test]
    fn a_cut_falls_between_characters() {
        for (text, max, kept) in [
            ("abc", 3, "abc"),
            ("abc", 2, "ab"),
            ("a\u{e9}", 2, "a"),
            ("\u{1f980}", 3, ""),
            ("", 0, ""),
        ] {
            assert_eq!(cut(text, max), kept);
        }
    }

    #[test]
    fn a_whole_number_takes_the_shortest_form() {
        for bits in 0..=63 {
            let power = 1_u64 << bits;
            for value in [0, power - 1, power, power + 1, u64::MAX] {
                let (mut out, mut expected) = (Vec::new(), Vec::new());
                push_whole(&mut out, value);
                push(&mut expected, &value);
                assert_eq!(out, expected, "{value}");
            }
        }
    }

    #[test]
    fn an_array_head_takes_the_shortest_form() {
        for (count, bytes) in [
            (0, &[0x90][..]),
            (15, &[0x9f]),
            (16, &[0xdc, 0, 16]),
            (65_535, &[0xdc, 0xff, 0xff]),
            (65_536, &[0xdd, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            encode_array_head(&mut out, count);
            assert_eq!(out, bytes, "{count}");
        }
    }
}
