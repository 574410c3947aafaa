//! Label values as a key: compared with what a caller has, word by word.

/// Words that are compared often and never changed: each behind its length, in one piece of memory, since
/// every further piece is a cache line more to wait for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Words(Box<[u8]>);

type Length = u16;
const LENGTH_BYTES: usize = size_of::<Length>();

impl Words {
    /// Words of 64 KiB at most.
    pub(super) fn new(words: &[&str]) -> Words {
        let mut all = Vec::new();
        for word in words {
            let length = Length::try_from(word.len()).expect("label values are bounded");
            all.extend_from_slice(&length.to_ne_bytes());
            all.extend_from_slice(word.as_bytes());
        }
        Words(all.into())
    }

    /// Whether these are the same words.
    #[inline]
    pub(super) fn are(&self, words: &[&str]) -> bool {
        let mut rest = &*self.0;
        for word in words {
            match first(rest) {
                Some((held, behind)) if same(held, word.as_bytes()) => rest = behind,
                _ => return false,
            }
        }
        rest.is_empty()
    }

    /// The bytes of each, in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (word, behind) = first(rest)?;
            rest = behind;
            Some(word)
        })
    }
}

#[inline]
fn first(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = rest.split_first_chunk::<LENGTH_BYTES>()?;
    rest.split_at_checked(Length::from_ne_bytes(*length).into())
}

/// For short words a call of `memcmp` costs more than the comparison: two reads that may overlap are enough.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        0 => true,
        1..4 => {
            let ends = |word: &[u8]| (word[0], word[word.len() / 2], word[word.len() - 1]);
            ends(a) == ends(b)
        }
        4..8 => ends::<4>(a) == ends::<4>(b),
        8..=16 => ends::<8>(a) == ends::<8>(b),
        _ => a == b,
    }
}

/// The first and the last `N` bytes.
#[inline]
fn ends<const N: usize>(word: &[u8]) -> (Option<&[u8; N]>, Option<&[u8; N]>) {
    (word.first_chunk(), word.last_chunk())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_told_apart() {
        let rows: [(&str, &[&str], &[&str], bool); 9] = [
            ("none", &[], &[], true),
            ("one of nothing is not none", &[""], &[], false),
            ("the same", &["a", "bc"], &["a", "bc"], true),
            ("cut elsewhere", &["a", "bc"], &["ab", "c"], false),
            ("one more", &["a"], &["a", ""], false),
            ("one fewer", &["a", ""], &["a"], false),
            ("in another order", &["a", "b"], &["b", "a"], false),
            ("empty ones", &["", ""], &["", ""], true),
            ("beyond ASCII", &["é", "😀"], &["é", "😀"], true),
        ];
        for (rule, held, given, expected) in rows {
            let words = Words::new(held);
            assert_eq!(words.are(given), expected, "{rule}");
            assert!(
                words.iter().eq(held.iter().map(|word| word.as_bytes())),
                "{rule}"
            );
        }
    }

    #[test]
    fn a_byte_that_differs_is_seen_wherever_it_is() {
        for length in 0..40 {
            let word = vec![b'x'; length];
            assert!(same(&word, &word.clone()));
            assert!(!same(&word, &vec![b'x'; length + 1]));
            for at in 0..length {
                let mut other = word.clone();
                other[at] ^= 0x80;
                assert!(!same(&word, &other), "{at} of {length}");
            }
        }
    }

    proptest! {
        #[test]
        fn bytes_are_the_same_as_the_standard_library_has_it(
            a in prop::collection::vec(0_u8..3, 0..20),
            b in prop::collection::vec(0_u8..3, 0..20),
        ) {
            prop_assert_eq!(same(&a, &b), a == b);
        }
    }
}
