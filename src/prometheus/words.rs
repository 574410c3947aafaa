//! Label values as a key: hashed and compared a few machine words at a time.
//!
//! Labels are short. Of a word up to 16 bytes its length and two reads that may overlap are all there is, so
//! these are made once, hashed, and then compared with what a series holds.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

/// Words that are looked for.
pub(super) struct Wanted<'a> {
    words: &'a [&'a str],
    gists: Gists,
    pub(super) hash: u64,
}

/// Words that are found.
#[derive(Debug)]
pub(super) struct Words {
    gists: Gists,
    gists_are_all: bool,
    whole: Box<[Box<str>]>,
}

/// Label sets with more words are told apart by the whole words alone.
const GISTS: usize = 4;

/// All there is of words up to 16 bytes, and the most telling of longer ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Gists {
    /// Two reads of each.
    reads: [[u64; 2]; GISTS],
    /// 16 bits of each.
    lengths: u64,
}

impl Gists {
    #[inline(always)]
    fn note(&mut self, at: usize, word: &str) -> [u64; 2] {
        self.reads[at] = reads(word.as_bytes());
        self.lengths = self.lengths << 16 | word.len().min(0xffff) as u64;
        self.reads[at]
    }
}

/// The first and the last eight bytes of a word, or as many as it has.
#[inline(always)]
fn reads(word: &[u8]) -> [u64; 2] {
    let eight = |bytes: &[u8; 8]| u64::from_ne_bytes(*bytes);
    let four = |bytes: &[u8; 4]| u64::from(u32::from_ne_bytes(*bytes));
    if let (Some(first), Some(last)) = (word.first_chunk(), word.last_chunk()) {
        [eight(first), eight(last)]
    } else if let (Some(first), Some(last)) = (word.first_chunk(), word.last_chunk()) {
        [four(first), four(last)]
    } else if let [first, .., last] = word {
        let middle = word[word.len() / 2];
        [u64::from(*first) << 8 | u64::from(middle), (*last).into()]
    } else {
        [0, word.first().map_or(0, |only| (*only).into())]
    }
}

const fn is_whole(word: &str) -> bool {
    word.len() <= 16
}

impl<'a> Wanted<'a> {
    /// The hash depends on all bytes of all words: of each a folded multiplication, the step of foldhash, whose
    /// hasher would take the reads apart and put them together again.
    #[inline(always)]
    pub(super) fn new(words: &'a [&'a str], seeds: &Seeds) -> Wanted<'a> {
        let mut gists = Gists::default();
        let mut hash = seeds.first ^ words.len() as u64;
        for (at, word) in words.iter().enumerate().take(GISTS) {
            if !is_whole(word) {
                hash ^= seeds.state.hash_one(word);
            }
            let [first, last] = gists.note(at, word);
            hash = folded(hash ^ first, seeds.second ^ last);
        }
        if words.len() > GISTS {
            hash ^= seeds.state.hash_one(words);
        }
        let hash = folded(hash ^ gists.lengths, seeds.second);
        Wanted { words, gists, hash }
    }
}

#[inline(always)]
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

/// Drawn at random, so that words that meet cannot be made beforehand.
pub(super) struct Seeds {
    state: RandomState,
    first: u64,
    second: u64,
}

impl Seeds {
    pub(super) fn draw() -> Seeds {
        let state = RandomState::default();
        Seeds {
            first: state.hash_one("first"),
            second: state.hash_one("second") | 1,
            state,
        }
    }
}

impl Words {
    pub(super) fn new(words: &[&str]) -> Words {
        let mut gists = Gists::default();
        for (at, word) in words.iter().enumerate().take(GISTS) {
            gists.note(at, word);
        }
        Words {
            gists,
            gists_are_all: words.len() <= GISTS && words.iter().all(|word| is_whole(word)),
            whole: words.iter().map(|&word| word.into()).collect(),
        }
    }

    /// The words themselves.
    pub(super) fn whole(&self) -> &[Box<str>] {
        &self.whole
    }

    /// Whether these are the same words.
    #[inline(always)]
    pub(super) fn are(&self, wanted: &Wanted<'_>) -> bool {
        let same = || {
            let mut pairs = self.whole.iter().zip(wanted.words);
            pairs.all(|(held, given)| **held == **given)
        };
        self.gists == wanted.gists
            && self.whole.len() == wanted.words.len()
            && (self.gists_are_all || same())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_told_apart() {
        let long = [
            "a long word, too long for two reads",
            "a long word, tOO long for two reads",
        ];
        let longest = "a".repeat(65_537);
        let nuls = "\0".repeat(65_536);
        let rows: [(&str, &[&str], &[&str], bool); 15] = [
            ("none", &[], &[], true),
            ("one of nothing is not none", &[""], &[], false),
            ("the same", &["a", "bc"], &["a", "bc"], true),
            ("cut elsewhere", &["a", "bc"], &["ab", "c"], false),
            ("one more", &["a"], &["a", ""], false),
            ("one fewer", &["a", ""], &["a"], false),
            ("in another order", &["a", "b"], &["b", "a"], false),
            ("empty ones", &["", ""], &["", ""], true),
            ("beyond ASCII", &["é", "😀"], &["é", "😀"], true),
            ("a long one", &long[..1], &long[..1], true),
            (
                "one that differs in its middle",
                &long[..1],
                &long[1..],
                false,
            ),
            ("a length that begins anew", &["a"], &[&longest], false),
            ("of nothing and of NULs", &[""], &[&nuls], false),
            (
                "many",
                &["a", "b", "c", "d", "e"],
                &["a", "b", "c", "d", "e"],
                true,
            ),
            (
                "many, of which the last differs",
                &["a", "b", "c", "d", "e"],
                &["a", "b", "c", "d", "f"],
                false,
            ),
        ];
        for (rule, held, given, expected) in rows {
            assert_eq!(
                Words::new(held).are(&Wanted::new(given, &Seeds::draw())),
                expected,
                "{rule}"
            );
        }
    }

    #[test]
    fn a_byte_that_differs_is_seen_wherever_it_is() {
        let seeds = Seeds::draw();
        for length in 0..40 {
            let word = "x".repeat(length);
            let words = Words::new(&[&word]);
            assert!(words.are(&Wanted::new(&[&word], &seeds)));
            assert!(!words.are(&Wanted::new(&[&"x".repeat(length + 1)], &seeds)));
            for at in 0..length {
                let mut other = word.clone();
                other.replace_range(at..=at, "y");
                assert!(
                    !words.are(&Wanted::new(&[&other], &seeds)),
                    "{at} of {length}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn words_are_the_same_as_the_standard_library_has_it(
            a in prop::collection::vec("[ab]{0,3}", 0..6),
            b in prop::collection::vec("[ab]{0,3}", 0..6),
        ) {
            let refs = |words: &'static [String]| words.iter().map(String::as_str).collect::<Vec<_>>();
            let (a, b): (&'static [String], &'static [String]) = (a.leak(), b.leak());
            prop_assert_eq!(Words::new(&refs(a)).are(&Wanted::new(&refs(b), &Seeds::draw())), a == b);
        }
    }
}
