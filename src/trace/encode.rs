//! Spans to msgpack, in the shape of v0.4: an array of chunks, a chunk an array of span maps.
//!
//! Limits are the Agent's (datadog-agent, `pkg/trace/agent/normalizer.go` and `truncator.go`): what is
//! longer is cut here, at a character's boundary, so that the cut is ours and known.

use rmp_serde::Serializer;
use serde::ser::{Serialize, SerializeMap};

const NAME_BYTES_MAX: usize = 100;
const RESOURCE_BYTES_MAX: usize = 5_000;
const META_KEY_BYTES_MAX: usize = 200;
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
}

/// Appends one span.
pub(super) fn encode_span<K, V>(out: &mut Vec<u8>, span: &WireSpan<'_, K, V>)
where
    K: AsRef<str>,
    V: AsRef<str>,
{
    span.serialize(&mut Serializer::new(out))
        .expect("a Vec takes every byte and every length is known");
}

/// Appends the head of an array of `count` items, in the shortest form.
pub(super) fn encode_array_head(out: &mut Vec<u8>, count: u32) {
    match count {
        0..=15 => out.push(0x90 | count as u8),
        16..=0xffff => {
            out.push(0xdc);
            out.extend_from_slice(&(count as u16).to_be_bytes());
        }
        _ => {
            out.push(0xdd);
            out.extend_from_slice(&count.to_be_bytes());
        }
    }
}

/// Cuts a text to so many bytes, at a character's boundary.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

impl<K: AsRef<str>, V: AsRef<str>> Serialize for WireSpan<'_, K, V> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let finite = self
            .metrics
            .iter()
            .filter(|(_, value)| value.is_finite())
            .count();
        // A root names no parent, a good span no error: the Agent reads an absent field as 0.
        let optional = [
            self.parent_id != 0,
            self.error,
            !self.kind.is_empty(),
            finite > 0,
        ];
        let fields = 8 + optional.iter().filter(|present| **present).count();
        let mut map = serializer.serialize_map(Some(fields))?;
        map.serialize_entry("service", cut(self.service, NAME_BYTES_MAX))?;
        map.serialize_entry("name", cut(self.name, NAME_BYTES_MAX))?;
        map.serialize_entry("resource", cut(self.resource, RESOURCE_BYTES_MAX))?;
        map.serialize_entry("trace_id", &self.trace_id)?;
        map.serialize_entry("span_id", &self.span_id)?;
        if self.parent_id != 0 {
            map.serialize_entry("parent_id", &self.parent_id)?;
        }
        map.serialize_entry("start", &self.start_unix_ns.min(i64::MAX as u64))?;
        map.serialize_entry("duration", &self.duration_ns.min(i64::MAX as u64))?;
        if self.error {
            map.serialize_entry("error", &1_u8)?;
        }
        if !self.kind.is_empty() {
            map.serialize_entry("type", cut(self.kind, NAME_BYTES_MAX))?;
        }
        map.serialize_entry("meta", &Meta(self.meta))?;
        if finite > 0 {
            map.serialize_entry("metrics", &Metrics(self.metrics, finite))?;
        }
        map.end()
    }
}

struct Meta<'a, K, V>(&'a [(K, V)]);

impl<K: AsRef<str>, V: AsRef<str>> Serialize for Meta<'_, K, V> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map_of_len(self.0.len(), |map| {
            for (key, value) in self.0 {
                let key = cut(key.as_ref(), META_KEY_BYTES_MAX);
                map.serialize_entry(key, cut(value.as_ref(), META_VALUE_BYTES_MAX))?;
            }
            Ok(())
        })
    }
}

struct Metrics<'a, K>(&'a [(K, f64)], usize);

impl<K: AsRef<str>> Serialize for Metrics<'_, K> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map_of_len(self.1, |map| {
            for (key, value) in self.0.iter().filter(|(_, value)| value.is_finite()) {
                map.serialize_entry(cut(key.as_ref(), META_KEY_BYTES_MAX), value)?;
            }
            Ok(())
        })
    }
}

trait MapOfLen: serde::Serializer {
    fn collect_map_of_len(
        self,
        len: usize,
        fill: impl FnOnce(&mut Self::SerializeMap) -> Result<(), Self::Error>,
    ) -> Result<Self::Ok, Self::Error> {
        let mut map = self.serialize_map(Some(len))?;
        fill(&mut map)?;
        map.end()
    }
}

impl<S: serde::Serializer> MapOfLen for S {}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: WireSpan<'static, &str, &str> = WireSpan {
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
