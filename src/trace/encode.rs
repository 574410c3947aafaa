//! Spans to msgpack, in the shape of v0.4: an array of chunks, a chunk an array of span maps.
//!
//! Limits are the Agent's (datadog-agent, `pkg/trace/agent/normalizer.go` and `truncator.go`): what is
//! longer is cut here, at a character's boundary, so that the cut is ours and known.

use rmp_serde::Serializer;
use serde::Serialize;

const NAME_BYTES_MAX: usize = 100;
const RESOURCE_BYTES_MAX: usize = 5_000;
pub(super) const META_KEY_BYTES_MAX: usize = 200;
const META_VALUE_BYTES_MAX: usize = 25_000;

/// One span as the Agent reads it. Keys of `meta` and of `metrics` are distinct.
#[derive(Clone, Copy, Debug)]
pub(super) struct WireSpan<'a, K, V> {
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
    pub(super) meta: &'a [(K, V)],
    pub(super) metrics: &'a [(K, f64)],
    /// Tags that many spans say alike. Where the span says the same key, its own value stands.
    pub(super) common: &'a Common,
}

/// Tags encoded once for many spans.
#[derive(Clone, Debug, Default)]
pub(super) struct Common {
    meta: Encoded,
    metrics: Encoded,
}

impl Common {
    pub(super) fn new(meta: &[(&str, &str)], metrics: &[(&str, f64)]) -> Common {
        let mut common = Common::default();
        for (key, value) in meta {
            let key = cut(key, META_KEY_BYTES_MAX);
            common.meta.push(key, &cut(value, META_VALUE_BYTES_MAX));
        }
        for (key, value) in metrics.iter().filter(|(_, value)| value.is_finite()) {
            common.metrics.push(cut(key, META_KEY_BYTES_MAX), value);
        }
        common
    }
}

/// Pairs of a map, in msgpack.
#[derive(Clone, Debug, Default)]
struct Encoded {
    bytes: Vec<u8>,
    /// Each key, and where its pair ends in `bytes`. No key twice, and 128 keys at most: the rest is left out.
    keys: Vec<(String, usize)>,
}

const COMMON_KEYS_MAX: usize = 128;

impl Encoded {
    /// Adds a pair, unless its key is there or there are too many.
    fn push(&mut self, key: &str, value: &impl Serialize) {
        if self.keys.len() < COMMON_KEYS_MAX && self.keys.iter().all(|(kept, _)| kept != key) {
            push_text(&mut self.bytes, key);
            push(&mut self.bytes, value);
            self.keys.push((key.to_string(), self.bytes.len()));
        }
    }

    /// Which pairs give way to a span's own: bit 0 for the first.
    fn hidden<'k>(&self, own: impl Iterator<Item = &'k str> + Clone) -> u128 {
        let mut hidden = 0;
        for (at, (key, _)) in self.keys.iter().enumerate() {
            let is_own = own.clone().any(|own| cut(own, META_KEY_BYTES_MAX) == key);
            hidden |= u128::from(is_own) << at;
        }
        hidden
    }

    /// Pairs that remain.
    fn count(&self, hidden: u128) -> usize {
        self.keys.len() - hidden.count_ones() as usize
    }

    fn write(&self, out: &mut Vec<u8>, hidden: u128) {
        if hidden == 0 {
            return out.extend_from_slice(&self.bytes);
        }
        let mut start = 0;
        for (at, (_, end)) in self.keys.iter().enumerate() {
            if hidden & (1 << at) == 0 {
                out.extend_from_slice(&self.bytes[start..*end]);
            }
            start = *end;
        }
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
pub(super) fn encode_span<K, V>(out: &mut Vec<u8>, span: &WireSpan<'_, K, V>)
where
    K: AsRef<str>,
    V: AsRef<str>,
{
    let finite = span.metrics.iter().filter(|(_, value)| value.is_finite());
    let hidden_meta = span
        .common
        .meta
        .hidden(span.meta.iter().map(|(key, _)| key.as_ref()));
    let own = finite.clone().map(|(key, _)| key.as_ref());
    let hidden_metrics = span.common.metrics.hidden(own);
    let meta = span.meta.len() + span.common.meta.count(hidden_meta);
    let metrics = finite.clone().count() + span.common.metrics.count(hidden_metrics);
    // A root names no parent, a good span no error: the Agent reads an absent field as 0.
    let optional = [
        span.parent_id != 0,
        span.error,
        !span.kind.is_empty(),
        metrics > 0,
    ];
    let fields = 8 + optional.iter().filter(|present| **present).count();
    encode_map_head(out, fields as u32);
    let pair = |out: &mut Vec<u8>, key: &[u8], value: &str, bytes_max| {
        out.extend_from_slice(key);
        push_text(out, cut(value, bytes_max));
    };
    let number = |out: &mut Vec<u8>, key: &[u8], value: u64| {
        out.extend_from_slice(key);
        push(out, &value);
    };
    pair(out, text!("service"), span.service, NAME_BYTES_MAX);
    pair(out, text!("name"), span.name, NAME_BYTES_MAX);
    pair(out, text!("resource"), span.resource, RESOURCE_BYTES_MAX);
    number(out, text!("trace_id"), span.trace_id);
    number(out, text!("span_id"), span.span_id);
    if span.parent_id != 0 {
        number(out, text!("parent_id"), span.parent_id);
    }
    let start_ns = span.start_unix_ns.min(i64::MAX as u64);
    number(out, text!("start"), start_ns);
    let duration_ns = span.duration_ns.min(i64::MAX as u64);
    number(out, text!("duration"), duration_ns);
    if span.error {
        number(out, text!("error"), 1);
    }
    if !span.kind.is_empty() {
        pair(out, text!("type"), span.kind, NAME_BYTES_MAX);
    }
    out.extend_from_slice(text!("meta"));
    encode_map_head(out, meta as u32);
    for (key, value) in span.meta {
        push_text(out, cut(key.as_ref(), META_KEY_BYTES_MAX));
        push_text(out, cut(value.as_ref(), META_VALUE_BYTES_MAX));
    }
    span.common.meta.write(out, hidden_meta);
    if metrics > 0 {
        out.extend_from_slice(text!("metrics"));
        encode_map_head(out, metrics as u32);
        for (key, value) in finite {
            push_text(out, cut(key.as_ref(), META_KEY_BYTES_MAX));
            push(out, value);
        }
        span.common.metrics.write(out, hidden_metrics);
    }
}

fn push(out: &mut Vec<u8>, value: &impl Serialize) {
    value
        .serialize(&mut Serializer::new(out))
        .expect("a Vec takes every byte of a text or a number");
}

/// Most of a span is short texts, whose head is one byte.
fn push_text(out: &mut Vec<u8>, text: &str) {
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
    use super::*;

    static NOTHING: Common = Common {
        meta: Encoded {
            bytes: Vec::new(),
            keys: Vec::new(),
        },
        metrics: Encoded {
            bytes: Vec::new(),
            keys: Vec::new(),
        },
    };

    static ROOT: WireSpan<'static, &str, &str> = WireSpan {
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
        meta: &[],
        metrics: &[],
        common: &NOTHING,
    };

    #[track_caller]
    fn check(rule: &str, span: &WireSpan<'_, &str, &str>, expected: &[u8]) {
        let mut out = Vec::new();
        encode_span(&mut out, span);
        let (seen, wanted) = (
            out.escape_ascii().to_string(),
            expected.escape_ascii().to_string(),
        );
        assert_eq!(seen, wanted, "{rule}");
    }

    #[test]
    fn every_rule_of_a_span_has_its_bytes() {
        const HEAD: &[u8] = b"\xa7service\xa1s\xa4name\xa1n\xa8resource\xa1r\xa8trace_id\x01\xa7span_id\xcf\x80\0\0\0\0\0\0\0";
        let plain = [
            b"\x88",
            HEAD,
            b"\xa5start\xcd\x01\0\xa8duration\x7f\xa4meta\x80",
        ]
        .concat();
        check(
            "a root names no parent, a good span no error",
            &ROOT,
            &plain,
        );
        let full = WireSpan {
            kind: "web",
            parent_id: 2,
            error: true,
            meta: &[("a", "b"), ("\u{e9}", "")],
            metrics: &[("m", 1.0), ("nan", f64::NAN), ("inf", f64::INFINITY)],
            ..ROOT
        };
        let wanted = [
            b"\x8c",
            HEAD,
            b"\xa9parent_id\x02\xa5start\xcd\x01\0\xa8duration\x7f\xa5error\x01\xa4type\xa3web",
            b"\xa4meta\x82\xa1a\xa1b\xa2\xc3\xa9\xa0\xa7metrics\x81\xa1m\xcb\x3f\xf0\0\0\0\0\0\0",
        ]
        .concat();
        check(
            "all fields; a metric that is no number is left out",
            &full,
            &wanted,
        );
        let long = "\u{e9}".repeat(60);
        let mut out = Vec::new();
        encode_span(
            &mut out,
            &WireSpan {
                name: &long,
                ..ROOT
            },
        );
        let cut = [
            b"\xa4name\xd9\x64".as_slice(),
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
    fn what_many_spans_say_alike_gives_way_to_a_spans_own() {
        let common = Common::new(
            &[("env", "dev"), ("a", "x"), ("env", "twice")],
            &[("pid", 7.0), ("inf", f64::INFINITY)],
        );
        let meta = |span: &WireSpan<'_, &str, &str>| {
            let mut out = Vec::new();
            encode_span(&mut out, span);
            let at = out.windows(5).position(|part| part == b"\xa4meta").unwrap();
            out[at + 5..].escape_ascii().to_string()
        };
        let span = WireSpan {
            common: &common,
            ..ROOT
        };
        let pid = b"\xa7metrics\x81\xa3pid\xcb\x40\x1c\0\0\0\0\0\0";
        let all = [&b"\x82\xa3env\xa3dev\xa1a\xa1x"[..], pid].concat();
        assert_eq!(meta(&span), all.escape_ascii().to_string());
        // What is no number is not on the wire, so the common one stands.
        let not_finite = WireSpan {
            metrics: &[("pid", f64::NAN)],
            ..span
        };
        assert_eq!(meta(&not_finite), all.escape_ascii().to_string());
        let own = WireSpan {
            meta: &[("a", "own")],
            metrics: &[("pid", 8.0)],
            ..span
        };
        let eight = b"\xa7metrics\x81\xa3pid\xcb\x40\x20\0\0\0\0\0\0";
        let first = [&b"\x82\xa1a\xa3own\xa3env\xa3dev"[..], eight].concat();
        assert_eq!(meta(&own), first.escape_ascii().to_string());
    }

    #[test]
    fn keys_that_are_cut_to_one_are_one() {
        let long = "k".repeat(250);
        let common = Common::new(&[(&long, "common")], &[]);
        let span = WireSpan {
            meta: &[(long.as_str(), "own")],
            common: &common,
            ..ROOT
        };
        let mut out = Vec::new();
        encode_span(&mut out, &span);
        let count = |text: &[u8]| out.windows(text.len()).filter(|part| part == &text).count();
        assert_eq!((count(b"\xa3own"), count(b"common")), (1, 0));
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
