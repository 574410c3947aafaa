//! Functions, files and lines, each text once, in a few large pieces of memory.

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

/// The frames of many places, each text once.
#[derive(Debug, Default)]
pub(super) struct Notes {
    text: String,
    /// Where a word stands, by its hash.
    words: HashMap<u64, Range<usize>>,
    hasher: RandomState,
    frames: Vec<Note>,
}

/// Where the frames of one place stand, innermost first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    begin: usize,
    end: usize,
}

#[derive(Clone, Debug)]
struct Note {
    function: Range<usize>,
    symbol: Range<usize>,
    file: Range<usize>,
    line: u32,
}

/// One function at one place. Inlined functions stand at the place of the one that holds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// For people: demangled, without the hash.
    pub(super) function: &'a str,
    /// As the linker has it.
    pub(super) symbol: &'a str,
    /// Empty where it is not known.
    pub(super) file: &'a str,
    /// 0 where it is not known.
    pub(super) line: u32,
}

impl<'a> Frame<'a> {
    /// Where no more is known than this.
    pub(super) fn named(name: &'a str) -> Frame<'a> {
        Frame {
            function: name,
            symbol: name,
            ..Frame::default()
        }
    }
}

impl Span {
    pub(super) fn is_empty(self) -> bool {
        self.begin == self.end
    }
}

impl Notes {
    /// What a file's tables say of this address of theirs: the debug information, and the symbol table where that
    /// ends. Crates that are compiled without it, and libraries, have that alone. Empty where they say nothing.
    pub(super) fn look_up(&mut self, loader: &Loader, own: u64) -> Span {
        let begin = self.frames.len();
        let mut outermost = Frame::default();
        if let Ok(mut found) = loader.find_frames(own) {
            while let Ok(Some(frame)) = found.next()
                && self.frames.len() - begin < FRAMES_MAX
            {
                let at = frame.location;
                let file = at.as_ref().and_then(|at| at.file);
                outermost.file = file.map_or("", readable);
                outermost.line = at.and_then(|at| at.line).unwrap_or(0);
                let Some(function) = frame.function else {
                    break;
                };
                let (Ok(name), Ok(symbol)) = (function.demangle(), function.raw_name()) else {
                    break;
                };
                self.push(Frame {
                    function: &name,
                    symbol: &symbol,
                    ..outermost
                });
            }
        }
        if self.frames.len() == begin
            && let Some(symbol) = loader.find_symbol(own)
        {
            let function = &demangle_auto(Cow::from(symbol), None);
            self.push(Frame {
                function,
                symbol,
                ..outermost
            });
        }
        self.since(begin)
    }

    pub(super) fn add<'a>(&mut self, frames: impl IntoIterator<Item = Frame<'a>>) -> Span {
        let begin = self.frames.len();
        frames.into_iter().for_each(|frame| self.push(frame));
        self.since(begin)
    }

    pub(super) fn frames(&self, span: Span) -> impl Iterator<Item = Frame<'_>> {
        let word = |range: &Range<usize>| &self.text[range.clone()];
        self.frames[span.begin..span.end]
            .iter()
            .map(move |note| Frame {
                function: word(&note.function),
                symbol: word(&note.symbol),
                file: word(&note.file),
                line: note.line,
            })
    }

    /// How many frames are noted.
    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    fn since(&self, begin: usize) -> Span {
        let end = self.frames.len();
        Span { begin, end }
    }

    fn push(&mut self, frame: Frame<'_>) {
        let note = Note {
            function: self.word(frame.function),
            symbol: self.word(frame.symbol),
            file: self.word(frame.file),
            line: frame.line,
        };
        self.frames.push(note);
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
    fn what_was_noted_is_read_back() {
        let mut notes = Notes::default();
        let none = notes.add([]);
        let inner = Frame {
            file: "a.rs",
            line: 7,
            ..Frame::named("a")
        };
        let two = notes.add([inner, Frame::named("\u{e9}")]);
        let one = notes.add([Frame::named("")]);
        let read = |span| notes.frames(span).collect::<Vec<_>>();
        assert!(none.is_empty() && !one.is_empty());
        assert_eq!(read(none), []);
        assert_eq!(read(two), [inner, Frame::named("\u{e9}")]);
        assert_eq!(read(one), [Frame::default()]);
        assert_eq!(notes.len(), 3);
    }

    #[test]
    fn a_word_stands_once_and_is_cut_where_it_is_long() {
        let mut notes = Notes::default();
        assert_eq!(notes.word("ab"), 0..2);
        assert_eq!(notes.word("ab"), 0..2);
        assert_eq!(notes.word(""), 2..2);
        assert_eq!(notes.word("b"), 2..3);
        let long = "\u{e9}".repeat(WORD_BYTES_MAX);
        assert_eq!(notes.word(&long).len(), WORD_BYTES_MAX);
        assert_eq!(notes.word(&format!("a{long}")).len(), WORD_BYTES_MAX - 1);
    }
}
