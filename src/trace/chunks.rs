//! Chunks on their way: the spans of one trace that finished together.

use super::encode::read_text;
use super::tally::Class;

/// Chunks one behind the other, as they stand in a payload.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    bytes: Vec<u8>,
    marks: Vec<Mark>,
}

/// Memory beyond what is held that is left as it is.
const SLACK_BYTES_MAX: usize = 256 << 10;

/// Where a chunk ends, and what it is.
#[derive(Clone, Copy, Debug)]
struct Mark {
    end: usize,
    spans: u32,
    class: Class,
}

impl Chunks {
    /// Appends one chunk, given in parts.
    pub(super) fn push(&mut self, parts: &[&[u8]], spans: u32, class: Class) {
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        let end = self.bytes.len();
        self.marks.push(Mark { end, spans, class });
    }

    /// Appends all chunks of another.
    pub(super) fn append(&mut self, more: &Chunks) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&more.bytes);
        let moved = |mark: &Mark| Mark {
            end: start + mark.end,
            ..*mark
        };
        self.marks.extend(more.marks.iter().map(moved));
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many chunks.
    pub(super) fn len(&self) -> usize {
        self.marks.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    pub(super) fn spans(&self) -> u64 {
        self.marks.iter().map(|mark| u64::from(mark.spans)).sum()
    }

    /// Empties it; keeps its memory unless that is more than so many bytes.
    pub(super) fn clear(&mut self, bytes_max: usize) {
        if self.bytes.capacity() > bytes_max {
            *self = Chunks::default();
        }
        self.bytes.clear();
        self.marks.clear();
    }

    /// Two halves of one that was too large.
    pub(super) fn halves(mut self) -> (Chunks, Chunks) {
        let half = self.marks.len() / 2;
        let at = half.checked_sub(1).map_or(0, |last| self.marks[last].end);
        let moved = |mark: &Mark| Mark {
            end: mark.end - at,
            ..*mark
        };
        let rest = Chunks {
            bytes: self.bytes.split_off(at),
            marks: self.marks.split_off(half).iter().map(moved).collect(),
        };
        (self, rest)
    }

    /// Takes out chunks of one class, oldest first, until so many bytes are gone. Returns the bytes and
    /// the spans that went.
    pub(super) fn thin_out(&mut self, class: Class, bytes_wanted: usize) -> (usize, u64) {
        let (mut gone_bytes, mut gone_spans) = (0, 0);
        let (mut start, mut kept_end) = (0, 0);
        let bytes = &mut self.bytes;
        self.marks.retain_mut(|mark| {
            let (from, end) = (start, mark.end);
            start = end;
            if mark.class == class && gone_bytes < bytes_wanted {
                gone_bytes += end - from;
                gone_spans += u64::from(mark.spans);
                return false;
            }
            bytes.copy_within(from..end, kept_end);
            kept_end += end - from;
            mark.end = kept_end;
            true
        });
        bytes.truncate(kept_end);
        (gone_bytes, gone_spans)
    }

    /// Gives memory back, where that is worth a copy.
    pub(super) fn shrink(&mut self) {
        if self.bytes.capacity() > self.bytes.len() + SLACK_BYTES_MAX {
            self.bytes.shrink_to_fit();
        }
    }

    /// Service and resource of the first span, for a chunk that is given up: who reads of it wants to know
    /// whose it was.
    pub(super) fn whose(&self) -> Option<(&str, &str)> {
        let (service, resource) = (self.value_of("service")?, self.value_of("resource")?);
        Some((service, resource))
    }

    /// A text of the first span. Its first three keys are texts.
    fn value_of(&self, wanted: &str) -> Option<&str> {
        let heads = [0x90..=0x9f, 0xdc..=0xdc, 0xdd..=0xdd];
        let form = heads
            .iter()
            .position(|head| head.contains(self.bytes.first().unwrap_or(&0)))?;
        // The array's head, then the span's, which is short.
        let mut at = [1, 3, 5][form] + 1;
        for _ in 0..3 {
            let key = read_text(self.bytes.get(at..)?)?;
            at += text_bytes(key.len());
            let value = read_text(self.bytes.get(at..)?)?;
            if key == wanted {
                return Some(value);
            }
            at += text_bytes(value.len());
        }
        None
    }
}

/// Bytes that a text of this length takes.
fn text_bytes(length: usize) -> usize {
    let head = match length {
        0..=31 => 1,
        32..=255 => 2,
        _ => 3,
    };
    head + length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(list: &[(&str, u32, Class)]) -> Chunks {
        let mut chunks = Chunks::default();
        for (text, spans, class) in list {
            chunks.push(&[text.as_bytes()], *spans, *class);
        }
        chunks
    }

    fn shown(chunks: &Chunks) -> (&str, usize, u64) {
        let text = std::str::from_utf8(chunks.bytes()).unwrap();
        (text, chunks.len(), chunks.spans())
    }

    #[test]
    fn what_is_worth_least_goes_first_and_the_oldest_of_it() {
        use Class::{Dropped, Error, Kept};
        let of = [
            ("aa", 1, Dropped),
            ("b", 2, Kept),
            ("c", 3, Dropped),
            ("dd", 4, Error),
        ];
        for (class, wanted, left, gone) in [
            (Dropped, 1, ("bcdd", 3, 9), (2, 1)),
            (Dropped, 3, ("bdd", 2, 6), (3, 4)),
            (Kept, 100, ("aacdd", 3, 8), (1, 2)),
            (Error, 0, ("aabcdd", 4, 10), (0, 0)),
        ] {
            let mut thinned = chunks(&of);
            assert_eq!(thinned.thin_out(class, wanted), gone, "{class:?} {wanted}");
            assert_eq!(shown(&thinned), left);
            let mut next = Chunks::default();
            next.append(&thinned);
            next.append(&thinned);
            let (first, rest) = next.halves();
            assert_eq!(
                (shown(&first), shown(&rest)),
                (left, left),
                "ends are right"
            );
        }
    }

    #[test]
    fn halves_of_few_are_halves() {
        let one = chunks(&[("a", 1, Class::Kept)]);
        let (first, rest) = one.halves();
        assert_eq!((shown(&first), shown(&rest)), (("", 0, 0), ("a", 1, 1)));
        let three = chunks(&[
            ("a", 1, Class::Kept),
            ("b", 1, Class::Kept),
            ("c", 1, Class::Kept),
        ]);
        let (first, rest) = three.halves();
        assert_eq!((shown(&first), shown(&rest)), (("a", 1, 1), ("bc", 2, 2)));
    }

    #[test]
    fn a_chunk_says_whose_it_is() {
        let long = "r".repeat(300);
        let mut span = vec![0x91, 0x8a];
        for (key, value) in [("service", "shop"), ("name", "x"), ("resource", &long)] {
            super::super::encode::push_text(&mut span, key);
            super::super::encode::push_text(&mut span, value);
        }
        let mut chunks = Chunks::default();
        assert_eq!(chunks.whose(), None);
        chunks.push(&[&span], 1, Class::Kept);
        assert_eq!(chunks.whose(), Some(("shop", &*long)));
        let mut cut = Chunks::default();
        cut.push(&[&span[..20]], 1, Class::Kept);
        assert_eq!(cut.whose(), None);
    }
}
