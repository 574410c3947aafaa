//! Headers that become tags.

use std::borrow::Cow;
use std::fmt;

/// Headers that become tags, read from and printed as `header,header:tag,...`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderTags {
    /// No header twice.
    rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    /// In lower case.
    header: String,
    is_named: bool,
    request_key: String,
    response_key: String,
}

impl HeaderTags {
    /// Reads `header` and `header:tag` items, and says what is wrong with those it leaves out. A
    /// tag's name may hold blanks and colons, since a header's cannot; the last of two for one
    /// header stands. An item that opens or ends with a colon gives no tag (system-tests,
    /// `tests/test_library_conf.py`).
    pub fn parse(text: &str) -> (HeaderTags, Vec<String>) {
        let items = text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        let (mut tags, mut problems) = (HeaderTags::default(), Vec::new());
        for item in items {
            match Row::parse(item) {
                Some(row) => {
                    tags.rows.retain(|known| known.header != row.header);
                    tags.rows.push(row);
                }
                None => problems.push(format!(
                    "{item:?}: takes the name of a header, or header:tag"
                )),
            }
        }
        (tags, problems)
    }

    /// The headers of a request to look for, in lower case, and the tag of each.
    pub fn request_tags(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rows
            .iter()
            .map(|row| (row.header.as_str(), row.request_key.as_str()))
    }

    /// The headers of an answer to look for, in lower case, and the tag of each. A tag that was
    /// named is the same for a request and its answer; where both have the header, the answer's
    /// stands if it is set last, as in dd-trace-py (`ddtrace/contrib/internal/trace_utils.py`).
    pub fn response_tags(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rows
            .iter()
            .map(|row| (row.header.as_str(), row.response_key.as_str()))
    }
}

impl Row {
    fn parse(item: &str) -> Option<Row> {
        let (header, tag) = match item.split_once(':') {
            Some((header, tag)) => (header.trim(), Some(tag.trim())),
            None => (item, None),
        };
        // A star alone means every header elsewhere: here each is named, so that each has its tag
        // ready.
        if !is_header(header) || header == "*" || tag == Some("") {
            return None;
        }
        let header = header.to_ascii_lowercase();
        let key = |of: &str| match tag {
            Some(tag) => tag.to_string(),
            None => format!("http.{of}.headers.{}", key_part(&header)),
        };
        let (request_key, response_key) = (key("request"), key("response"));
        Some(Row {
            header,
            is_named: tag.is_some(),
            request_key,
            response_key,
        })
    }
}

/// RFC 9110, section 5.6.2.
fn is_header(text: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token)
}

/// What is neither letter, digit nor dash would part the tag's name (dd-trace-go,
/// `internal/normalizer/normalizer.go`).
fn key_part(header: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    header
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect()
}

/// What a tag says of a header: its value without the blanks around it; several values with commas
/// between, as dd-trace-go (`instrumentation/httptrace/httptrace.go`) joins them. `None` where
/// there is no such header.
pub fn header_value<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<Cow<'a, str>> {
    let mut values = values.into_iter();
    let first = values.next()?;
    let Some(second) = values.next() else {
        return Some(Cow::Borrowed(first.trim()));
    };
    let mut joined = [first, ",", second].concat();
    for value in values {
        joined.push(',');
        joined.push_str(value);
    }
    Some(Cow::Owned(joined.trim().to_string()))
}

impl fmt::Display for HeaderTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, row) in self.rows.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{}", row.header)?;
            if row.is_named {
                write!(f, ":{}", row.request_key)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected` is each header with its tag on a request and on an answer.
    #[track_caller]
    fn check(rule: &str, text: &str, expected: &[[&str; 3]], wrong: &[&str]) {
        let (tags, problems) = HeaderTags::parse(text);
        let requests: Vec<_> = expected
            .iter()
            .map(|[header, key, _]| (*header, *key))
            .collect();
        let answers: Vec<_> = expected
            .iter()
            .map(|[header, _, key]| (*header, *key))
            .collect();
        assert_eq!(tags.request_tags().collect::<Vec<_>>(), requests, "{rule}");
        assert_eq!(tags.response_tags().collect::<Vec<_>>(), answers, "{rule}");
        let takes = "takes the name of a header, or header:tag";
        let wrong: Vec<_> = wrong
            .iter()
            .map(|item| format!("{item:?}: {takes}"))
            .collect();
        assert_eq!(problems, wrong, "{rule}");
        assert_eq!(
            HeaderTags::parse(&tags.to_string()),
            (tags, vec![]),
            "{rule}: read back"
        );
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn every_rule_of_the_list() {
        let one = [
            "header1",
            "http.request.headers.header1",
            "http.response.headers.header1",
        ];
        let two = ["header2", "mapped-header", "mapped-header"];
        check("nothing", "", &[], &[]);
        check("a header", "header1", &[one], &[]);
        check("a header and its tag", "header2:mapped-header", &[two], &[]);
        check("many", "header1,header2:mapped-header", &[one, two], &[]);
        check(
            "blanks around",
            " header1 ,\theader2 : mapped-header ",
            &[one, two],
            &[],
        );
        check(
            "blanks in a tag",
            "header4: t a g ",
            &[["header4", "t a g", "t a g"]],
            &[],
        );
        check(
            "colons in a tag",
            "header4:a:b",
            &[["header4", "a:b", "a:b"]],
            &[],
        );
        check(
            "a tag keeps its case",
            "Header4:Tag",
            &[["header4", "Tag", "Tag"]],
            &[],
        );
        check("a header does not", "HEADER1", &[one], &[]);
        check(
            "the last of two stands",
            "header1:x,header2:mapped-header,Header1",
            &[two, one],
            &[],
        );
        check(
            "two headers, one tag",
            "a:x,b:x",
            &[["a", "x", "x"], ["b", "x", "x"]],
            &[],
        );
        check("commas alone", ",, ,", &[], &[]);
        let dash = [
            "user-agent",
            "http.request.headers.user-agent",
            "http.response.headers.user-agent",
        ];
        check("a dash stays", "User-Agent", &[dash], &[]);
        let signs = [
            "h!e_a-d.e*r",
            "http.request.headers.h_e_a-d_e_r",
            "http.response.headers.h_e_a-d_e_r",
        ];
        check("other signs do not", "h!e_a-d.e*r", &[signs], &[]);
        check(
            "any sign in a tag",
            "2header:t!a@g.",
            &[["2header", "t!a@g.", "t!a@g."]],
            &[],
        );
        check("a colon before", ":header7", &[], &[":header7"]);
        check("a colon behind", "header8:", &[], &["header8:"]);
        check(
            "a blank behind the colon",
            "header8: ,header1",
            &[one],
            &["header8:"],
        );
        check(
            "one that is wrong leaves the others",
            "x y,header1,:z",
            &[one],
            &["x y", ":z"],
        );
        check(
            "no header has such a name",
            "h@ader,caf\u{e9}:x",
            &[],
            &["h@ader", "caf\u{e9}:x"],
        );
        check("every header", "*", &[], &["*"]);
    }

    #[test]
    fn a_value_is_trimmed_and_several_are_joined() {
        for (values, expected) in [
            (&[][..], None),
            (&[""], Some("")),
            (&[" v a l "], Some("v a l")),
            (&["a", "b"], Some("a,b")),
            (&[" a ", " b ", " c "], Some("a , b , c")),
            (&["", ""], Some(",")),
        ] {
            let value = header_value(values.iter().copied());
            assert_eq!(value.as_deref(), expected, "{values:?}");
        }
        assert!(
            matches!(header_value(Some(" a ")), Some(Cow::Borrowed("a"))),
            "no copy of one"
        );
    }
}
