//! What a file's tables say, noted in a few large pieces of memory.
//!
//! Reading the tables takes tens of megabytes that are given back afterwards. Many small things allocated meanwhile,
//! and kept, would lie among them, and the allocator could give nothing back to the system.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use addr2line::{Loader, demangle_auto};

use super::source_path::readable;

/// Functions that are inlined into one another at one place.
const FRAMES_MAX: usize = 64;
/// Of a name. Those of deeply nested generic types have no end.
const WORD_BYTES_MAX: usize = 1_024;

/// The frames of many addresses.
#[derive(Debug, Default)]
pub(super) struct Draft {
    text: String,
    /// Where a word stands, by its hash.
    words: HashMap<u64, Range<usize>>,
    hasher: RandomState,
    frames: Vec<Note>,
    /// Each address, and where its frames end.
    addresses: Vec<(u64, usize)>,
}

#[derive(Clone, Debug)]
struct Note {
    function: Range<usize>,
    symbol: Range<usize>,
    file: Range<usize>,
    line: u32,
}

/// A frame as noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Noted<'a> {
    pub(super) function: &'a str,
    pub(super) symbol: &'a str,
    pub(super) file: &'a str,
    pub(super) line: u32,
}

impl Draft {
    /// Notes what the tables say of `own`, an address of theirs, under `address`: the debug information, and the
    /// symbol table where that ends. Crates that are compiled without it, and libraries, have that alone.
    pub(super) fn note(&mut self, address: u64, loader: &Loader, own: u64) {
        let first = self.frames.len();
        let (mut file, mut line) = (0..0, 0);
        if let Ok(mut found) = loader.find_frames(own) {
            while let Ok(Some(frame)) = found.next()
                && self.frames.len() - first < FRAMES_MAX
            {
                (file, line) = match &frame.location {
                    Some(at) => (
                        self.word(readable(at.file.unwrap_or_default())),
                        at.line.unwrap_or(0),
                    ),
                    None => (0..0, 0),
                };
                let Some(function) = frame.function else {
                    break;
                };
                let (Ok(name), Ok(symbol)) = (function.demangle(), function.raw_name()) else {
                    break;
                };
                self.push((&name, &symbol), file.clone(), line);
            }
        }
        if self.frames.len() == first
            && let Some(symbol) = loader.find_symbol(own)
        {
            let name = demangle_auto(Cow::from(symbol), None);
            self.push((&name, symbol), file, line);
        }
        self.addresses.push((address, self.frames.len()));
    }

    /// Notes that of an address no more is known than this.
    pub(super) fn note_name(&mut self, address: u64, name: &str) {
        self.push((name, name), 0..0, 0);
        self.addresses.push((address, self.frames.len()));
    }

    /// Whether the last address got no frame.
    pub(super) fn take_back_empty(&mut self) -> bool {
        let before = self.addresses.len().checked_sub(2);
        let begin = before.map_or(0, |before| self.addresses[before].1);
        let is_empty = self.addresses.last().is_some_and(|(_, end)| *end == begin);
        if is_empty {
            self.addresses.pop();
        }
        is_empty
    }

    /// Each address with its frames, in the order noted.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (u64, impl Iterator<Item = Noted<'_>>)> {
        let mut begin = 0;
        self.addresses.iter().map(move |(address, end)| {
            let notes = &self.frames[begin..*end];
            begin = *end;
            (*address, notes.iter().map(|note| self.read(note)))
        })
    }

    fn read(&self, note: &Note) -> Noted<'_> {
        let word = |range: &Range<usize>| &self.text[range.clone()];
        Noted {
            function: word(&note.function),
            symbol: word(&note.symbol),
            file: word(&note.file),
            line: note.line,
        }
    }

    fn push(&mut self, (function, symbol): (&str, &str), file: Range<usize>, line: u32) {
        let (function, symbol) = (self.word(function), self.word(symbol));
        self.frames.push(Note {
            function,
            symbol,
            file,
            line,
        });
    }

    fn word(&mut self, word: &str) -> Range<usize> {
        let word = &word[..word.floor_char_boundary(WORD_BYTES_MAX)];
        let hash = self.hasher.hash_one(word);
        if let Some(known) = self.words.get(&hash)
            && self.text[known.clone()] == *word
        {
            return known.clone();
        }
        let begin = self.text.len();
        self.text.push_str(word);
        let range = begin..self.text.len();
        self.words.insert(hash, range.clone());
        range
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_read_back_in_order() {
        let mut draft = Draft::default();
        assert_eq!(draft.addresses().count(), 0);
        assert!(!draft.take_back_empty());
        draft.addresses.push((1, 0));
        assert!(draft.take_back_empty());
        draft.note_name(7, "a");
        assert!(!draft.take_back_empty());
        draft.addresses.push((8, 1));
        assert!(draft.take_back_empty());
        draft.note_name(9, "\u{e9}");
        let read: Vec<(u64, Vec<Noted<'_>>)> = draft
            .addresses()
            .map(|(address, frames)| (address, frames.collect()))
            .collect();
        let named = |name| Noted {
            function: name,
            symbol: name,
            file: "",
            line: 0,
        };
        assert_eq!(read, [(7, vec![named("a")]), (9, vec![named("\u{e9}")])]);
    }

    #[test]
    fn a_word_stands_once_and_is_cut_where_it_is_long() {
        let mut draft = Draft::default();
        assert_eq!(draft.word("ab"), 0..2);
        assert_eq!(draft.word("ab"), 0..2);
        assert_eq!(draft.word(""), 2..2);
        assert_eq!(draft.word("b"), 2..3);
        let long = "\u{e9}".repeat(WORD_BYTES_MAX);
        assert_eq!(draft.word(&long).len(), WORD_BYTES_MAX);
        assert_eq!(draft.word(&format!("a{long}")).len(), WORD_BYTES_MAX - 1);
    }
}
