//! How a profile is looked at: all of it stands in the URL, and every link of the page is one.

use std::fmt::{self, Display, Formatter, Write};

use super::html::pct;
use crate::agent::trace_id::parse_trace_id;
use crate::agent::view::ProfileQuery;
use crate::server::Request;

/// Indexes that a path to a frame may have.
const AT_MAX: usize = 512;
/// Longest value that is read.
const TEXT_BYTES_MAX: usize = 1_000;

/// What a table of functions is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// Without callees.
    #[default]
    Own,
    /// With callees.
    Total,
    /// By name.
    Name,
}

impl Sort {
    pub(super) const ALL: [Sort; 3] = [Sort::Own, Sort::Total, Sort::Name];

    pub(super) fn key(self) -> &'static str {
        match self {
            Sort::Own => "own",
            Sort::Total => "total",
            Sort::Name => "name",
        }
    }
}

/// See the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// The upload, or 0 for all that are held.
    pub(super) upload: u64,
    /// Sample type, or empty for the usual one.
    pub(super) value: String,
    /// Of this route alone, or empty.
    pub(super) route: String,
    /// Of this thread alone, or empty.
    pub(super) thread: String,
    /// Of this trace alone, or 0.
    pub(super) trace: u64,
    /// Against this upload, or 0.
    pub(super) base: u64,
    /// Frames that are marked.
    pub(super) q: String,
    /// Which child of which child fills the width; empty for all.
    pub(super) at: Vec<u32>,
    /// Order of the table.
    pub(super) sort: Sort,
}

impl Look {
    /// Reads path and query; nothing where the upload, the base or the trace is no number.
    pub(super) fn of(request: &Request) -> Option<Look> {
        let path = request.path().strip_prefix("/profiles/")?;
        let text = |key: &str| {
            let mut text = request.query_value(key).unwrap_or_default();
            text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
            text
        };
        let number = |key: &str, read: fn(&str) -> Option<u64>| match text(key).as_str() {
            "" => Some(0),
            digits => read(digits),
        };
        let sort = text("sort");
        Some(Look {
            upload: match path.strip_suffix('/').unwrap_or(path) {
                "all" => 0,
                digits => digits.parse().ok().filter(|id| *id > 0)?,
            },
            value: text("value"),
            route: text("route"),
            thread: text("thread"),
            trace: number("trace", parse_trace_id)?,
            base: number("base", |digits| digits.parse().ok())?,
            q: text("q").trim().to_string(),
            at: indexes(&request.query_value("at").unwrap_or_default()),
            sort: Sort::ALL
                .into_iter()
                .find(|known| known.key() == sort)
                .unwrap_or_default(),
        })
    }

    pub(super) fn query(&self) -> ProfileQuery {
        ProfileQuery {
            upload: self.upload,
            base: self.base,
            value: self.value.clone(),
            route: self.route.clone(),
            thread: self.thread.clone(),
            trace: self.trace,
        }
    }

    /// The same but for what `alter` does, as a link.
    pub(super) fn with(&self, alter: impl FnOnce(&mut Look)) -> String {
        let mut look = self.clone();
        alter(&mut look);
        look.link()
    }

    /// The same after other samples were chosen: the frame that filled the width may be another.
    pub(super) fn anew(&self, alter: impl FnOnce(&mut Look)) -> String {
        self.with(|look| {
            look.at.clear();
            alter(look);
        })
    }

    pub(super) fn link(&self) -> String {
        match self.at.is_empty() {
            true => self.link_to_all(),
            false => format!("{}{}", self.link_before_at(), At(&self.at)),
        }
    }

    /// The same without a path to a frame. It is ready for an attribute, as are all links.
    pub(super) fn link_to_all(&self) -> String {
        let mut out = self.path();
        for (key, value) in self.pairs() {
            if !value.is_empty() {
                let glue = glue(&out);
                let _ = write!(out, "{glue}{key}={}", pct(&value));
            }
        }
        out
    }

    /// A link up to where the path to a frame follows.
    pub(super) fn link_before_at(&self) -> String {
        let all = self.link_to_all();
        let glue = glue(&all);
        format!("{all}{glue}at=")
    }

    /// `/profiles/7`, without what is asked of it.
    pub(super) fn path(&self) -> String {
        match self.upload {
            0 => "/profiles/all".to_string(),
            id => format!("/profiles/{id}"),
        }
    }

    /// What a link says, but for the path to a frame; what is empty need not be said.
    pub(super) fn pairs(&self) -> [(&'static str, String); 7] {
        let number = |id: u64| match id {
            0 => String::new(),
            id => id.to_string(),
        };
        let sort = match self.sort {
            Sort::Own => "",
            sort => sort.key(),
        };
        [
            ("value", self.value.clone()),
            ("route", self.route.clone()),
            ("thread", self.thread.clone()),
            ("trace", number(self.trace)),
            ("base", number(self.base)),
            ("q", self.q.clone()),
            ("sort", sort.to_string()),
        ]
    }
}

/// A path to a frame as it stands in a link: `0.2.1`.
pub(super) struct At<'a>(pub(super) &'a [u32]);

impl Display for At<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (place, index) in self.0.iter().enumerate() {
            let glue = if place == 0 { "" } else { "." };
            write!(f, "{glue}{index}")?;
        }
        Ok(())
    }
}

fn glue(link: &str) -> &'static str {
    if link.contains('?') { "&amp;" } else { "?" }
}

/// As far as it can be read.
fn indexes(text: &str) -> Vec<u32> {
    let indexes = text.split('.').map_while(|part| part.parse().ok());
    indexes.take(AT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, target: &str, link: Option<&str>) {
        let look = Look::of(&Request::made("GET", target, &[], b""));
        assert_eq!(look.map(|look| look.link()).as_deref(), link, "{rule}");
    }

    #[test]
    fn a_link_says_what_was_asked() {
        check("all", "/profiles/all", Some("/profiles/all"));
        check("one", "/profiles/7", Some("/profiles/7"));
        check("a slash", "/profiles/7/", Some("/profiles/7"));
        check(
            "everything",
            "/profiles/7?value=cpu-time&route=GET%20%2F&thread=api-0&trace=255&base=3&q=a%26b&at=0.2.1&sort=total",
            Some(
                "/profiles/7?value=cpu-time&amp;route=GET%20%2F&amp;thread=api-0&amp;trace=255&amp;base=3&amp;q=a%26b&amp;sort=total&amp;at=0.2.1",
            ),
        );
        check(
            "the usual order",
            "/profiles/7?sort=own",
            Some("/profiles/7"),
        );
        check("no such order", "/profiles/7?sort=x", Some("/profiles/7"));
        check(
            "hex",
            "/profiles/all?trace=6b02c8760000000000000000000000ff",
            Some("/profiles/all?trace=255"),
        );
        check(
            "a path that breaks off",
            "/profiles/7?at=1.x.2",
            Some("/profiles/7?at=1"),
        );
        check(
            "a hostile path",
            "/profiles/7?at=%22%3E",
            Some("/profiles/7"),
        );
        check(
            "an index beyond",
            "/profiles/7?at=4294967296",
            Some("/profiles/7"),
        );
        check("no upload", "/profiles/", None);
        check("upload 0", "/profiles/0", None);
        check("no number", "/profiles/x", None);
        check("limit + 1", "/profiles/18446744073709551616", None);
        check("a trace that is none", "/profiles/7?trace=x", None);
        check("a base that is none", "/profiles/7?base=-1", None);
    }

    #[test]
    fn bounds_hold() {
        let long = "a".repeat(TEXT_BYTES_MAX + 1);
        let at = "1.".repeat(AT_MAX + 1) + "1";
        let target = format!("/profiles/7?q={long}&at={at}");
        let look = Look::of(&Request::made("GET", &target, &[], b"")).unwrap();
        assert_eq!((look.q.len(), look.at.len()), (TEXT_BYTES_MAX, AT_MAX));
    }
}
