//! Tags of a span, encoded as they are set: finishing a span is then a copy.

use super::encode::{cut, push_number, push_text, read_number, read_text};

const KEY_BYTES_MAX: usize = 200;
pub(super) const VALUE_BYTES_MAX: usize = 25_000;
/// What no payload holds is not kept: the chunk is given up for its size and counted.
const BYTES_MAX: usize = 26 << 20;

/// Pairs of a map in msgpack, no key twice. Keeps its memory when cleared.
#[derive(Clone, Debug, Default)]
pub(super) struct Tags {
    bytes: Vec<u8>,
    /// Where each pair and its value start in `bytes`.
    pairs: Vec<(u32, u32)>,
    /// A bit for each key's length and last byte: most keys are told apart by it alone.
    marks: u64,
}

impl Tags {
    /// Sets a text; a key that is there already gets the new value. Key and value are cut to what the
    /// Agent takes (datadog-agent, `pkg/trace/agent/truncator.go`).
    pub(super) fn put_text(&mut self, key: &str, value: &str) {
        self.put(key, |bytes| push_text(bytes, cut(value, VALUE_BYTES_MAX)));
    }

    /// Sets a number. What is not finite is left out: the Agent takes none.
    pub(super) fn put_number(&mut self, key: &str, value: f64) {
        if value.is_finite() {
            self.put(key, |bytes| push_number(bytes, value));
        }
    }

    fn put(&mut self, key: &str, push_value: impl FnOnce(&mut Vec<u8>)) {
        if self.bytes.len() > BYTES_MAX {
            return;
        }
        let key = cut(key, KEY_BYTES_MAX);
        let start = self.bytes.len();
        push_text(&mut self.bytes, key);
        let value = self.bytes.len();
        push_value(&mut self.bytes);
        let mark = mark(key);
        if self.marks & mark != 0
            && let Some(at) = self.position(&self.bytes[start..value])
        {
            let gone = self.take_out(at, start);
            let (start, value) = (start as u32 - gone, value as u32 - gone);
            return self.pairs.push((start, value));
        }
        self.marks |= mark;
        self.pairs.push((start as u32, value as u32));
    }

    /// A pair leaves, and all behind it, up to `end`, move up by so many bytes.
    fn take_out(&mut self, at: usize, end: usize) -> u32 {
        let old = self.pairs.remove(at).0 as usize;
        let end = self.pairs.get(at).map_or(end, |(next, _)| *next as usize);
        self.bytes.drain(old..end);
        let gone = (end - old) as u32;
        for (start, value) in &mut self.pairs[at..] {
            (*start, *value) = (*start - gone, *value - gone);
        }
        gone
    }

    /// Which pair has this key, as encoded.
    fn position(&self, key: &[u8]) -> Option<usize> {
        let is_it =
            |(start, value): &(u32, u32)| self.bytes[*start as usize..*value as usize] == *key;
        self.pairs.iter().position(is_it)
    }

    fn value(&self, key: &str) -> Option<&[u8]> {
        let at = self.place(key)?;
        self.bytes.get(self.pairs[at].1 as usize..)
    }

    /// The text of this key.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.value(key).and_then(read_text)
    }

    /// Takes a pair out.
    pub(super) fn remove(&mut self, key: &str) {
        if let Some(at) = self.place(key) {
            let end = self.bytes.len();
            self.take_out(at, end);
        }
    }

    /// Which pair has this key.
    fn place(&self, key: &str) -> Option<usize> {
        let key = cut(key, KEY_BYTES_MAX);
        if self.marks & mark(key) == 0 {
            return None;
        }
        self.pairs.iter().position(|(start, value)| {
            let encoded = &self.bytes[*start as usize..*value as usize];
            encoded.ends_with(key.as_bytes()) && read_text(encoded) == Some(key)
        })
    }

    /// The number of this key.
    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.value(key).and_then(read_number)
    }

    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    pub(super) fn clear(&mut self, keep_bytes_max: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(keep_bytes_max);
        self.pairs.clear();
        self.pairs.shrink_to(64);
        self.marks = 0;
    }

    /// All pairs, one behind the other.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Which of these pairs give way to `own` ones: bit 0 for the first. Of the first 128 alone.
    pub(super) fn hidden_by(&self, own: &Tags) -> u128 {
        if self.marks & own.marks == 0 {
            return 0;
        }
        let mut hidden = 0;
        for (at, (start, value)) in self.pairs.iter().take(128).enumerate() {
            let key = &self.bytes[*start as usize..*value as usize];
            if own.marks & mark_of_encoded(key) != 0 && own.position(key).is_some() {
                hidden |= 1 << at;
            }
        }
        hidden
    }

    /// Appends all pairs but the hidden ones.
    pub(super) fn write_but(&self, hidden: u128, out: &mut Vec<u8>) {
        if hidden == 0 {
            return out.extend_from_slice(&self.bytes);
        }
        for (at, (start, _)) in self.pairs.iter().enumerate() {
            let end = self
                .pairs
                .get(at + 1)
                .map_or(self.bytes.len(), |(next, _)| *next as usize);
            if at >= 128 || hidden & (1 << at) == 0 {
                out.extend_from_slice(&self.bytes[*start as usize..end]);
            }
        }
    }
}

fn mark(key: &str) -> u64 {
    // An encoded key ends with its last byte too; an empty one with its head.
    mark_of(key.len(), key.bytes().last().unwrap_or(0xa0))
}

fn mark_of_encoded(key: &[u8]) -> u64 {
    let length = read_text(key).map_or(0, str::len);
    mark_of(length, key.last().copied().unwrap_or(0))
}

fn mark_of(length: usize, last: u8) -> u64 {
    1 << ((length * 7 + usize::from(last)) & 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(tags: &Tags) -> String {
        let mut out = Vec::new();
        tags.write_but(0, &mut out);
        assert_eq!(out, tags.bytes());
        out.escape_ascii().to_string()
    }

    #[test]
    fn a_key_that_is_there_gets_the_new_value_wherever_it_stands() {
        for key in ["a", "b", "c"] {
            let mut tags = Tags::default();
            for (key, value) in [("a", "1"), ("b", "22"), ("c", "333")] {
                tags.put_text(key, value);
            }
            for value in ["", "long enough to need a head of two bytes", "x"] {
                tags.put_text(key, value);
                assert_eq!((tags.len(), tags.text(key)), (3, Some(value)), "{key}");
            }
            for (other, value) in [("a", "1"), ("b", "22"), ("c", "333")] {
                let expected = if other == key { "x" } else { value };
                assert_eq!(tags.text(other), Some(expected), "{key} {other}");
            }
        }
    }

    #[test]
    fn what_the_wire_takes_is_what_is_kept() {
        let mut tags = Tags::default();
        let long = "k".repeat(200);
        tags.put_text(&format!("{long}a"), "1");
        tags.put_text(&format!("{long}b"), "2");
        assert_eq!(
            (tags.len(), tags.text(&long)),
            (1, Some("2")),
            "one key there is one here"
        );
        tags.put_text("v", &"\u{e9}".repeat(13_000));
        assert_eq!(tags.text("v").map(str::len), Some(25_000));
        let mut numbers = Tags::default();
        for (key, value) in [
            ("a", 1.0),
            ("a", f64::NAN),
            ("b", f64::INFINITY),
            ("c", -0.5),
        ] {
            numbers.put_number(key, value);
        }
        let seen = ["a", "b", "c"].map(|key| numbers.number(key));
        assert_eq!(seen, [Some(1.0), None, Some(-0.5)]);
        assert_eq!(
            shown(&numbers),
            "\\xa1a\\xcb?\\xf0\\x00\\x00\\x00\\x00\\x00\\x00\\xa1c\\xcb\\xbf\\xe0\\x00\\x00\\x00\\x00\\x00\\x00"
        );
        numbers.clear(1 << 10);
        assert_eq!(
            (numbers.len(), numbers.number("a"), shown(&numbers)),
            (0, None, String::new())
        );
    }

    #[test]
    fn common_pairs_give_way_to_own_ones_of_their_key() {
        let of = |keys: &[&str]| {
            let mut tags = Tags::default();
            keys.iter().for_each(|key| tags.put_text(key, "x"));
            tags
        };
        let common = of(&["env", "", "version", "team"]);
        for (own, kept) in [
            (
                &[][..],
                "\\xa3env\\xa1x\\xa0\\xa1x\\xa7version\\xa1x\\xa4team\\xa1x",
            ),
            (
                &["nve", "x"],
                "\\xa3env\\xa1x\\xa0\\xa1x\\xa7version\\xa1x\\xa4team\\xa1x",
            ),
            (&["env", "team"], "\\xa0\\xa1x\\xa7version\\xa1x"),
            (&["", "version"], "\\xa3env\\xa1x\\xa4team\\xa1x"),
            (&["env", "", "version", "team"], ""),
        ] {
            let mut out = Vec::new();
            common.write_but(common.hidden_by(&of(own)), &mut out);
            assert_eq!(out.escape_ascii().to_string(), kept, "{own:?}");
        }
    }
}
