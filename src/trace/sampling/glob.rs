//! Patterns of rules: `*` is any text, `?` one character, all else is itself in either case.
//!
//! There are no sets, ranges or escapes (system-tests, `test_trace_sampling.py`, `Test_Trace_Sampling_Tags_Feb2024_Revision`).

use std::fmt;

/// A pattern over a whole text. The empty one asks for nothing and fits everything.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Glob(String);

impl Glob {
    pub(super) fn new(pattern: &str) -> Glob {
        Glob(pattern.to_string())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it asks for nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every text fits.
    pub(super) fn fits_all(&self) -> bool {
        self.0.bytes().all(|byte| byte == b'*')
    }

    /// Whether this text fits. Goes back to the last `*` alone: time is at most pattern times text.
    pub(super) fn fits(&self, text: &str) -> bool {
        if self.fits_all() {
            return true;
        }
        let (mut wanted, mut seen) = (self.0.chars(), text.chars());
        // What follows the last `*`, and the text it was last tried on.
        let mut last_star = None;
        loop {
            let (mut wanted_next, mut seen_next) = (wanted.clone(), seen.clone());
            match (wanted_next.next(), seen_next.next()) {
                (None, None) => return true,
                (Some('*'), _) => {
                    last_star = Some((wanted_next.clone(), seen.clone()));
                    wanted = wanted_next;
                }
                (Some(_), None) => return false,
                (Some(want), Some(see)) if want == '?' || is_same(want, see) => {
                    (wanted, seen) = (wanted_next, seen_next);
                }
                _ => {
                    let Some((behind, from)) = &mut last_star else {
                        return false;
                    };
                    from.next();
                    (wanted, seen) = (behind.clone(), from.clone());
                }
            }
        }
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Without regard to case; most texts are ASCII.
fn is_same(a: char, b: char) -> bool {
    a.eq_ignore_ascii_case(&b)
        || !a.is_ascii() && !b.is_ascii() && a.to_lowercase().eq(b.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, pattern: &str, fitting: &[&str], others: &[&str]) {
        let glob = Glob::new(pattern);
        for text in fitting {
            assert!(glob.fits(text), "{rule}: {pattern:?} fits {text:?}");
        }
        for text in others {
            assert!(
                !glob.fits(text),
                "{rule}: {pattern:?} does not fit {text:?}"
            );
        }
    }

    #[test]
    fn every_rule_of_a_pattern() {
        check("nothing is asked", "", &["", "a"], &[]);
        check("any text", "*", &["", "a", "a b", "\u{e9}"], &[]);
        check("more stars say no more", "***", &["", "abc"], &[]);
        check(
            "a text is itself, whole",
            "abc",
            &["abc"],
            &["", "ab", "abcd", "xabc"],
        );
        check("in either case", "aBc", &["ABC", "abc", "AbC"], &["abd"]);
        check(
            "beyond ASCII too",
            "\u{c9}T\u{c9}",
            &["\u{e9}t\u{e9}"],
            &["ete"],
        );
        check(
            "one character",
            "a?c",
            &["abc", "a\u{e9}c", "a?c", "a*c"],
            &["ac", "abbc"],
        );
        check("any one", "?", &["x", "\u{1f600}"], &["", "xy"]);
        check("at the start", "*c", &["c", "abc", "cc"], &["", "cb"]);
        check("at the end", "a*", &["a", "abc"], &["", "ba"]);
        check(
            "in between",
            "a*c",
            &["ac", "abc", "abcc"],
            &["ab", "bc", "a"],
        );
        check(
            "goes back",
            "*ab*ab",
            &["abab", "xabyabab"],
            &["ab", "aab", "ababx"],
        );
        check("goes back far", "*aab", &["aaaaab"], &["aaaaa"]);
        check("with one character", "?*?", &["ab", "abc"], &["a", ""]);
        check(
            "last star, then one",
            "*?c",
            &["bc", "abc", "ccc"],
            &["c", "cb"],
        );
        check("no sets", "[ab]", &["[ab]", "[AB]"], &["a", "b"]);
        check("no ranges", "[a-c]", &["[a-c]"], &["b"]);
        check(
            "no expressions",
            "^(a|b).+\\$",
            &["^(a|b).+\\$"],
            &["a", "b"],
        );
        check("no escape", "a\\*", &["a\\", "a\\b"], &["a*"]);
        check("a line feed is a character", "a?b*", &["a\nb\n"], &[]);
        check("dots are dots", "/a.b", &["/a.b"], &["/axb"]);
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        let glob = Glob::new(&"a*".repeat(40).replace("a*a*a*a*a*", "a*a*a*a*ab*"));
        assert!(!glob.fits(&"a".repeat(20_000)));
    }

    #[test]
    fn patterns_fit_what_a_plain_search_says() {
        // Every pattern of up to five of these characters on every text of up to four.
        let words = |letters: &[char], length: u32| -> Vec<String> {
            let count = letters.len();
            let of_length = |length: u32| {
                (0..count.pow(length)).map(move |mut number| {
                    let letter = |_| {
                        let letter = letters[number % count];
                        number /= count;
                        letter
                    };
                    (0..length).map(letter).collect::<String>()
                })
            };
            (0..=length).flat_map(of_length).collect()
        };
        fn plain(pattern: &[u8], text: &[u8]) -> bool {
            match (pattern, text) {
                ([], []) => true,
                ([b'*', rest @ ..], _) => (0..=text.len()).any(|at| plain(rest, &text[at..])),
                ([b'?', rest @ ..], [_, more @ ..]) => plain(rest, more),
                ([a, rest @ ..], [b, more @ ..]) => a == b && plain(rest, more),
                _ => false,
            }
        }
        for pattern in words(&['a', 'b', '*', '?'], 5).iter().skip(1) {
            for text in words(&['a', 'b'], 4) {
                let expected = plain(pattern.as_bytes(), text.as_bytes());
                assert_eq!(
                    Glob::new(pattern).fits(&text),
                    expected,
                    "{pattern} on {text}"
                );
            }
        }
    }
}
