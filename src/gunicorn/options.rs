//! What the metrics may be told, and the texts it is told in.

use std::fmt;
use std::str::FromStr;

use crate::dogstatsd;
use crate::identity::Identity;

/// Where to send, and as what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The client's own options, its address above all.
    pub statsd: dogstatsd::Options,
    /// What stands before `gunicorn.` in every name.
    pub prefix: Prefix,
    /// Tags that every line carries besides the process's.
    pub tags: Tags,
    /// Whether `gunicorn.backlog` is sent too.
    pub backlog: bool,
}

/// Bytes of a prefix with its dot: the longest name behind it still fits the 200 that the backend keeps.
const PREFIX_BYTES_MAX: usize = 200 - "gunicorn.request.status.599".len();

/// Empty, or a text that ends with exactly one dot.
///
/// gunicorn means the same, but leaves a prefix of one letter without its dot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// The whole name of a metric.
    pub(super) fn name(&self, metric: &str) -> String {
        [&self.0, "gunicorn.", metric].concat()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A text that is no prefix, or no list of tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotTaken(&'static str);

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NotTaken {}

impl FromStr for Prefix {
    type Err = NotTaken;

    /// What Datadog would change in a metric's name is refused, so that names arrive as they were said.
    fn from_str(text: &str) -> Result<Prefix, NotTaken> {
        if text.is_empty() {
            return Ok(Prefix::default());
        }
        let bare = text.trim_end_matches('.');
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'.';
        let begins = bare.starts_with(|c: char| c.is_ascii_alphabetic());
        if begins && bare.bytes().all(plain) && bare.len() < PREFIX_BYTES_MAX {
            Ok(Prefix([bare, "."].concat()))
        } else {
            Err(NotTaken(
                "a prefix is a letter, then letters, digits, _ and dots, up to 172 bytes",
            ))
        }
    }
}

/// Keys and values, in the order they were said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(Vec<(String, String)>);

impl Tags {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The process with these tags too; they take the place of its own of the same key.
    pub(super) fn over(&self, identity: &Identity) -> Identity {
        let mut told = identity.clone();
        let said = |key: &str| self.0.iter().any(|(own, _)| own == key);
        for (key, value) in [
            ("service", &mut told.service),
            ("env", &mut told.env),
            ("version", &mut told.version),
        ] {
            if said(key) {
                value.clear();
            }
        }
        told.tags.retain(|(key, _)| !said(key));
        told.tags.extend(self.0.iter().cloned());
        told
    }
}

impl FromStr for Tags {
    type Err = NotTaken;

    /// Splits at commas, then at the first colon. What no line can carry is refused.
    fn from_str(text: &str) -> Result<Tags, NotTaken> {
        if text.is_empty() {
            return Ok(Tags::default());
        }
        let pair = |pair: &str| {
            let (key, value) = pair.trim().split_once(':')?;
            let odd = |c: char| c == '|' || c == '@' || c.is_control();
            let whole = !key.is_empty() && !value.is_empty() && !pair.contains(odd);
            whole.then(|| (key.to_string(), value.to_string()))
        };
        let pairs: Option<_> = text.split(',').map(pair).collect();
        pairs.map(Tags).ok_or(NotTaken(
            "tags are key:value pairs, separated by commas, without | and @",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_with_exactly_one_dot() {
        let long = "p".repeat(172);
        let over = "p".repeat(173);
        let rows = [
            ("none", "", Some("gunicorn.requests")),
            ("no dot", "shop", Some("shop.gunicorn.requests")),
            ("one dot", "shop.", Some("shop.gunicorn.requests")),
            ("many dots", "shop...", Some("shop.gunicorn.requests")),
            ("one letter", "s", Some("s.gunicorn.requests")),
            ("one letter, a dot", "s.", Some("s.gunicorn.requests")),
            ("dots inside", "a.b_C9", Some("a.b_C9.gunicorn.requests")),
            (
                "gunicorn once more",
                "gunicorn",
                Some("gunicorn.gunicorn.requests"),
            ),
            (
                "the limit",
                &long,
                Some(&*format!("{long}.gunicorn.requests")),
            ),
            ("one over", &over, None),
            ("dots alone", "...", None),
            ("a dot first", ".shop", None),
            ("a digit first", "9shop", None),
            ("a dash", "my-shop", None),
            ("a space", "my shop", None),
            ("a separator", "a:1|c\nb", None),
            ("not ASCII", "é", None),
        ];
        for (rule, text, expected) in rows {
            let name = text.parse::<Prefix>().map(|prefix| prefix.name("requests"));
            assert_eq!(name.as_deref().ok(), expected, "{rule}");
        }
        assert_eq!(PREFIX_BYTES_MAX - 1, 172, "as the error says");
    }

    #[test]
    fn tags_are_pairs() {
        let rows = [
            ("none", "", Some(vec![])),
            ("one", "a:1", Some(vec![("a", "1")])),
            ("two", "a:1,b:2", Some(vec![("a", "1"), ("b", "2")])),
            (
                "a space behind the comma",
                "a:1, b:2",
                Some(vec![("a", "1"), ("b", "2")]),
            ),
            ("the first colon splits", "a:b:c", Some(vec![("a", "b:c")])),
            (
                "one key twice",
                "a:1,a:2",
                Some(vec![("a", "1"), ("a", "2")]),
            ),
            ("not ASCII", "é:ü x", Some(vec![("é", "ü x")])),
            ("no value", "a:", None),
            ("no colon", "a", None),
            ("no key", ":1", None),
            ("nothing behind a comma", "a:1,", None),
            ("a pipe", "a:1|b", None),
            ("an at sign", "a:1@b", None),
            ("a line end", "a:1\nb", None),
        ];
        for (rule, text, expected) in rows {
            let owned = |(k, v): (&str, &str)| (k.to_string(), v.to_string());
            let expected = expected.map(|pairs| Tags(pairs.into_iter().map(owned).collect()));
            assert_eq!(text.parse().ok(), expected, "{rule}");
        }
    }

    #[test]
    fn these_tags_win_over_those_of_the_process() {
        let process = Identity {
            service: "api".into(),
            env: "dev".into(),
            version: "1".into(),
            tags: vec![("team".into(), "a".into()), ("zone".into(), "x".into())],
            ..Identity::default()
        };
        let tags: Tags = "team:b,service:web,new:1".parse().unwrap();
        let told = tags.over(&process);
        let pair = |k: &str, v: &str| (k.to_string(), v.to_string());
        assert_eq!(
            (&*told.service, &*told.env, &*told.version),
            ("", "dev", "1")
        );
        assert_eq!(
            told.tags,
            [
                pair("zone", "x"),
                pair("team", "b"),
                pair("service", "web"),
                pair("new", "1"),
            ]
        );
        assert_eq!(Tags::default().over(&process), process);
    }
}
