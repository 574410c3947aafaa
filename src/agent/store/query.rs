//! What the list pages search for.

use crate::agent::view::Query;

/// One word of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    /// Where the page knows it; else the whole word is free text.
    pub(crate) key: Option<&'static str>,
    /// Lower case.
    pub(crate) value: String,
    /// It stood in quotes.
    pub(crate) exact: bool,
    /// Of a word `key:value` whose key the page does not know: both in lower case, quotes taken off the value.
    pub(crate) field: Option<(String, String)>,
    pub(crate) negated: bool,
}

/// Splits a query at blanks that stand in no quotes. `keys` are those that the page knows.
pub(crate) fn terms(query: &Query, keys: &[&'static str]) -> Vec<Term> {
    let word = |word: &str| {
        let (word, negated) = match word.strip_prefix('-') {
            Some(rest) if !rest.is_empty() => (rest, true),
            _ => (word, false),
        };
        let keyed = word.split_once(':').and_then(|(key, value)| {
            // Datadog's own spelling of an attribute.
            let key = key.strip_prefix('@').unwrap_or(key);
            let key = keys.iter().find(|known| known.eq_ignore_ascii_case(key))?;
            Some((*key, value))
        });
        let (key, value) = keyed.map_or((None, word), |(key, value)| (Some(key), value));
        let (value, exact) = unquoted(value);
        let field = if key.is_none() { field(word) } else { None };
        Term {
            key,
            value: value.to_ascii_lowercase(),
            exact,
            field,
            negated,
        }
    };
    words(&query.q).take(TERMS_MAX).map(word).collect()
}

/// At blanks, but for those in double quotes; one that is not closed reaches to the end.
fn words(q: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let apart = move |c: char| {
        quoted ^= c == '"';
        c.is_whitespace() && !quoted
    };
    q.split(apart).filter(|word| !word.is_empty())
}

fn unquoted(text: &str) -> (&str, bool) {
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    inner.map_or((text, false), |inner| (inner, true))
}

fn field(word: &str) -> Option<(String, String)> {
    let (key, value) = word.split_once(':')?;
    let name = |c: char| c.is_ascii_alphanumeric() || "_.-@/".contains(c);
    let is_key = key.starts_with(|c: char| c.is_ascii_alphabetic() || "_@".contains(c))
        && key.chars().all(name);
    let (value, _) = unquoted(value);
    (is_key && !value.is_empty()).then(|| (key.to_ascii_lowercase(), value.to_ascii_lowercase()))
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
                    exact: q.contains('"'),
                    field: None,
                    negated: *negated,
                })
                .collect();
            let mut read = terms(&query, &["service", "status"]);
            for term in &mut read {
                term.field = None;
            }
            assert_eq!(read, expected, "{rule}");
        }
        check("empty", "  ", &[]);
        check(
            "words",
            "GET /a",
            &[(None, "get", false), (None, "/a", false)],
        );
        check("a known key", "Service:A", &[(Some("service"), "a", false)]);
        check("a phrase", "\"GET /a\"", &[(None, "get /a", false)]);
        check(
            "of a key",
            "service:\"a  B\"",
            &[(Some("service"), "a  b", false)],
        );
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
    fn any_key_may_be_a_field() {
        #[track_caller]
        fn check(rule: &str, word: &str, expected: Option<(&str, &str)>) {
            let expected = expected.map(|(key, value)| (key.to_string(), value.to_string()));
            let query = Query {
                q: word.to_string(),
                ..Query::default()
            };
            let term = &terms(&query, &["status"])[0];
            assert_eq!(term.field, expected, "{rule}");
        }
        check(
            "a path",
            "http.Status_Code:500",
            Some(("http.status_code", "500")),
        );
        check("quoted", "a:\"b c\"", Some(("a", "b c")));
        check("a colon in the value", "a:b:c", Some(("a", "b:c")));
        check("negated", "-a:b", Some(("a", "b")));
        check("a known one is none", "status:ok", None);
        check("no value", "a:", None);
        check("no key", ":a", None);
        check("a time is none", "12:30", None);
        check("JSON is text", "\"a\":1", None);
    }

    #[test]
    fn text_is_found_in_any_case() {
        assert!(contains("GET /Users", "/users") && contains("a", "") && contains("xaab", "aab"));
        assert!(!contains("", "a") && !contains("ab", "abc") && !contains("ab", "c"));
    }
}
