//! Finished spans of one trace that have not left yet, encoded.

use std::ops::Range;

/// Spans behind the first of a chunk.
#[derive(Default)]
pub(super) struct Finished {
    bytes: Vec<u8>,
    spans: u32,
    has_error: bool,
    /// In order of their place.
    alone: Vec<Alone>,
    alone_bytes: Vec<u8>,
}

/// A span that a rule keeps, should its trace be dropped: what is written then.
struct Alone {
    place: Range<usize>,
    instead: Range<usize>,
    rule: usize,
}

/// What a buffer keeps, whatever the last trace took.
const KEPT_BYTES_MAX: usize = 64 << 10;

impl Finished {
    /// Adds a span.
    pub(super) fn add(&mut self, encode: impl FnOnce(&mut Vec<u8>), is_error: bool) {
        encode(&mut self.bytes);
        self.spans += 1;
        self.has_error |= is_error;
    }

    /// What the span just added is, should it be kept alone by this rule.
    pub(super) fn or_alone(&mut self, from: usize, rule: usize, encode: impl FnOnce(&mut Vec<u8>)) {
        let start = self.alone_bytes.len();
        encode(&mut self.alone_bytes);
        self.alone.push(Alone {
            place: from..self.bytes.len(),
            instead: start..self.alone_bytes.len(),
            rule,
        });
    }

    pub(super) fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn spans(&self) -> u32 {
        self.spans
    }

    pub(super) fn has_error(&self) -> bool {
        self.has_error
    }

    /// All spans, one behind the other.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All spans of a trace that is dropped; those that `allowed` lets through say that they are kept.
    /// Returns how many that were.
    pub(super) fn write_dropped(&self, out: &mut Vec<u8>, allowed: impl Fn(usize) -> bool) -> u64 {
        let (mut written, mut kept) = (0, 0);
        for Alone {
            place,
            instead,
            rule,
        } in &self.alone
        {
            if allowed(*rule) {
                out.extend_from_slice(&self.bytes[written..place.start]);
                out.extend_from_slice(&self.alone_bytes[instead.clone()]);
                written = place.end;
                kept += 1;
            }
        }
        out.extend_from_slice(&self.bytes[written..]);
        kept
    }

    pub(super) fn clear(&mut self) {
        for bytes in [&mut self.bytes, &mut self.alone_bytes] {
            bytes.clear();
            bytes.shrink_to(KEPT_BYTES_MAX);
        }
        self.alone.clear();
        (self.spans, self.has_error) = (0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_kept_alone_stands_in_its_place() {
        let mut finished = Finished::default();
        for (text, instead) in [
            ("a", None),
            ("b", Some("B")),
            ("c", None),
            ("d", Some("DD")),
        ] {
            let from = finished.len_bytes();
            finished.add(|out| out.extend(text.bytes()), text == "b");
            if let Some(instead) = instead {
                finished.or_alone(from, instead.len(), |out| out.extend(instead.bytes()));
            }
        }
        assert_eq!((finished.spans(), finished.has_error()), (4, true));
        for (rule_max, text, kept) in [(0, "abcd", 0), (1, "aBcd", 1), (2, "aBcDD", 2)] {
            let mut out = Vec::new();
            let seen = finished.write_dropped(&mut out, |rule| rule <= rule_max);
            assert_eq!(
                (String::from_utf8(out).unwrap().as_str(), seen),
                (text, kept)
            );
        }
        assert_eq!(finished.bytes(), b"abcd");
        finished.clear();
        assert_eq!((finished.spans(), finished.bytes()), (0, &b""[..]));
    }
}
