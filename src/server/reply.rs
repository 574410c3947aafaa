//! A reply as plain values, and its head as bytes.

use std::borrow::Cow;
use std::panic::Location;

use serde::Serialize;

/// What a handler answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599; anything else is sent as 500.
    pub status: u16,
    /// Sent as `Content-Type` where not empty.
    pub content_type: Cow<'static, str>,
    /// Further headers. A value that holds CR, LF or NUL is left out.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body; its length is sent as `Content-Length`.
    pub body: Vec<u8>,
    /// Where it was made: the nearest that is known of an error that a status alone tells.
    pub made_at: MadeAt,
}

/// A place in the source. All are equal: a reply is the same wherever it was made.
#[derive(Clone, Copy, Debug)]
pub struct MadeAt(pub &'static Location<'static>);

impl MadeAt {
    #[track_caller]
    fn here() -> MadeAt {
        MadeAt(Location::caller())
    }
}

impl Default for MadeAt {
    #[track_caller]
    fn default() -> MadeAt {
        MadeAt::here()
    }
}

impl PartialEq for MadeAt {
    fn eq(&self, _: &MadeAt) -> bool {
        true
    }
}

impl Eq for MadeAt {}

impl Reply {
    /// A reply with a body of any type.
    #[track_caller]
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Reply {
        Reply {
            status,
            content_type: Cow::Borrowed(content_type),
            headers: Vec::new(),
            body: body.into(),
            made_at: MadeAt::here(),
        }
    }

    /// Plain text.
    #[track_caller]
    pub fn text(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply::new(status, "text/plain; charset=utf-8", body)
    }

    /// A page.
    #[track_caller]
    pub fn html(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply::new(status, "text/html; charset=utf-8", body)
    }

    /// JSON, with a newline at the end for those who read it in a terminal.
    /// What cannot be JSON, such as a map whose keys are no texts, is an empty reply.
    #[track_caller]
    pub fn json(status: u16, value: &impl Serialize) -> Reply {
        let mut body = serde_json::to_vec(value).unwrap_or_default();
        body.push(b'\n');
        Reply::new(status, "application/json", body)
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }

    /// The value of a header that was added, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| &**value)
    }
}
