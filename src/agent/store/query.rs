//! What the list pages search for.

use crate::agent::view::Query;

/// One word of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    /// Where the page knows it; else the whole word is free text.
    pub(crate) key: Option<&'static str>,
    /// Lower case.
    pub(crate) value: String,
    pub(crate) negated: bool,
}

/// Splits a query at blanks. `keys` are those that the page knows.
pub(crate) fn terms(query: &Query, keys: &[&'static str]) -> Vec<Term> {
    let word = |word: &str| {
        let (word, negated) = match word.strip_prefix('-') {
            Some(rest) if !rest.is_empty() => (rest, true),
            _ => (word, false),
        };
        let keyed = word.split_once(':').and_then(|(key, value)| {
            let key = keys.iter().find(|known| known.eq_ignore_ascii_case(key))?;
            Some((*key, value))
        });
        let (key, value) = keyed.map_or((None, word), |(key, value)| (Some(key), value));
        Term {
            key,
            value: value.to_ascii_lowercase(),
            negated,
        }
    };
    query
        .q
        .split_whitespace()
        .take(TERMS_MAX)
        .map(word)
        .collect()
}

const TERMS_MAX: usize = 16;

impl Term {
    /// Whether the term lets something pass of which `found` says if the value is there.
    pub(crate) fn passes(&self, found: impl FnOnce(&str) -> bool) -> bool {
        found(&self.value) != self.negated
    }
}

/// Rows that a query asks for: 1 to 1,000, 100 if absent.
pub(crate) fn rows_max(query: &Query) -> usize {
    if query.limit == 0 {
        100
    } else {
        query.limit.min(1_000)
    }
}

/// Whether `text` holds `lower`, which is lower case, in any case of ASCII.
pub(crate) fn contains(text: &str, lower: &str) -> bool {
    let (text, lower) = (text.as_bytes(), lower.as_bytes());
    let Some(first) = lower.first() else {
        return true;
    };
    let Some(last_start) = text.len().checked_sub(lower.len()) else {
        return false;
    };
    (0..=last_start).any(|at| {
        text[at].to_ascii_lowercase() == *first
            && text[at..at + lower.len()].eq_ignore_ascii_case(lower)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_words_keys_and_negations() {
        #[track_caller]
        fn check(rule: &str, q: &str, expected: &[(Option<&'static str>, &str, bool)]) {
            let query = Query {
                q: q.to_string(),
                ..Query::default()
            };
            let expected: Vec<Term> = expected
                .iter()
                .map(|(key, value, negated)| Term {
                    key: *key,
                    value: value.to_string(),
                    negated: *negated,
                })
                .collect();
            assert_eq!(terms(&query, &["service", "status"]), expected, "{rule}");
        }
        check("empty", "  ", &[]);
        check(
            "words",
            "GET /a",
            &[(None, "get", false), (None, "/a", false)],
        );
        check("a known key", "Service:A", &[(Some("service"), "a", false)]);
        check(
            "an unknown key is a word",
            "http://x",
            &[(None, "http://x", false)],
        );
        check(
            "negated",
            "-status:ok -x -",
            &[
                (Some("status"), "ok", true),
                (None, "x", true),
                (None, "-", false),
            ],
        );
    }

    #[test]
    fn text_is_found_in_any_case() {
        assert!(contains("GET /Users", "/users") && contains("a", "") && contains("xaab", "aab"));
        assert!(!contains("", "a") && !contains("ab", "abc") && !contains("ab", "c"));
    }
}
