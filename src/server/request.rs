//! A request as a handler sees it.

use std::borrow::Cow;
use std::fmt;
use std::io::Read;
use std::net::SocketAddr;

/// What a request asks for. Anything but these four is [`Method::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD: served as GET, the body left out.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// Any other.
    Other,
}

/// Why a body could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyError {
    /// It is longer than the handler takes; holds that limit in bytes.
    TooLarge(usize),
    /// The connection broke or the framing was wrong.
    Broken(String),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyError::TooLarge(limit) => write!(f, "body over {limit} bytes"),
            BodyError::Broken(why) => write!(f, "body could not be read: {why}"),
        }
    }
}

impl std::error::Error for BodyError {}

/// One request.
#[derive(Debug)]
pub struct Request {
    method: Method,
    source: Source,
    query_at: Option<usize>,
    body_read: bool,
}

#[derive(Debug)]
enum Source {
    Wire(Box<tiny_http::Request>),
    Made {
        method: String,
        target: String,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
}

impl Request {
    /// A request that no socket brought, for tests of handlers.
    pub fn made(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Request {
        let headers = headers
            .iter()
            .map(|(n, v)| (n.to_string(), v.to_string()))
            .collect();
        let source = Source::Made {
            method: method.to_string(),
            target: target.to_string(),
            headers,
            body: body.to_vec(),
        };
        Request::from_source(method, source)
    }

    pub(super) fn from_wire(wire: tiny_http::Request) -> Request {
        let method = wire.method().to_string();
        Request::from_source(&method, Source::Wire(Box::new(wire)))
    }

    fn from_source(method: &str, source: Source) -> Request {
        let method = match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            _ => Method::Other,
        };
        let mut request = Request {
            method,
            source,
            query_at: None,
            body_read: false,
        };
        request.query_at = request.target().find('?');
        request
    }

    /// Whether a body is still on the socket, and how long it said it is (unknown when chunked).
    pub(super) fn unread_body(&self) -> Option<Option<usize>> {
        let Source::Wire(wire) = &self.source else {
            return None;
        };
        let chunked = self.header("transfer-encoding").is_some();
        match wire.body_length() {
            _ if self.body_read => None,
            _ if chunked => Some(None),
            // The crate has read a short body already, unless the client waits to be told to send it.
            Some(length) if length > 1_024 => Some(Some(length)),
            Some(length) if length > 0 && self.header("expect").is_some() => Some(Some(length)),
            _ => None,
        }
    }

    /// Why a careful server refuses the head (RFC 9112, sections 5 and 6), or `None`. The crate underneath
    /// takes a length it cannot read for "no body", which behind a proxy smuggles a second request in.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let (mut lengths, mut encodings, mut hosts) = (0, 0, 0);
        let mut fault = None;
        self.each_header(|name, value| {
            if value.bytes().any(|b| b < b' ' && b != b'\t' || b == 0x7f) {
                fault = Some("a header holds a control character");
            }
            if name.eq_ignore_ascii_case("content-length") {
                lengths += 1;
                let digits = value.bytes().all(|b| b.is_ascii_digit());
                if !digits || value.parse::<usize>().is_err() {
                    fault = Some("Content-Length is not a number");
                }
            }
            if name.eq_ignore_ascii_case("transfer-encoding") {
                encodings += 1;
                if !value.eq_ignore_ascii_case("chunked") {
                    fault = Some("Transfer-Encoding is not chunked");
                }
            }
            hosts += usize::from(name.eq_ignore_ascii_case("host"));
        });
        if fault.is_some() {
            return fault;
        }
        match (lengths, encodings, hosts) {
            (2.., ..) => Some("more than one Content-Length"),
            (1, 1.., _) => Some("both Content-Length and Transfer-Encoding"),
            (_, 2.., _) => Some("more than one Transfer-Encoding"),
            (.., 2..) => Some("more than one Host"),
            _ => None,
        }
    }

    /// Ends without an answer. The crate answers 500 when a request is dropped, unless its writer is gone.
    pub(super) fn hang_up(self) {
        drop(self.into_wire().map(tiny_http::Request::into_writer));
    }

    /// Gives the wire's own request back to the pool, which answers it.
    pub(super) fn into_wire(self) -> Option<tiny_http::Request> {
        match self.source {
            Source::Wire(wire) => Some(*wire),
            Source::Made { .. } => None,
        }
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The method's own word, as received.
    pub fn method_text(&self) -> &str {
        match &self.source {
            Source::Wire(wire) => wire.method().as_str(),
            Source::Made { method, .. } => method,
        }
    }

    /// Path and query as received, not decoded. Of an absolute target (RFC 9112, section 3.2.2), as a proxy
    /// sends it, what follows the host.
    pub fn target(&self) -> &str {
        let whole = match &self.source {
            Source::Wire(wire) => wire.url(),
            Source::Made { target, .. } => target,
        };
        match whole.strip_prefix("http://") {
            Some(rest) => rest.find(['/', '?']).map_or("/", |at| &rest[at..]),
            None => whole,
        }
    }

    /// The path as received, not decoded.
    pub fn path(&self) -> &str {
        match self.query_at {
            Some(at) => &self.target()[..at],
            None => self.target(),
        }
    }

    /// The query without its `?`, not decoded, or empty.
    pub fn query(&self) -> &str {
        match self.query_at {
            Some(at) => &self.target()[at + 1..],
            None => "",
        }
    }

    /// The first value of a key in the query, percent-decoded.
    pub fn query_value(&self, key: &str) -> Option<String> {
        self.query().split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(name) == key)
                .then(|| percent_decode(&value.replace('+', " ")).into_owned())
        })
    }

    /// The first value of a header, its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        match &self.source {
            Source::Wire(wire) => wire
                .headers()
                .iter()
                .find(|header| header.field.as_str().as_str().eq_ignore_ascii_case(name))
                .map(|header| header.value.as_str()),
            Source::Made { headers, .. } => headers
                .iter()
                .find(|(field, _)| field.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.as_str()),
        }
    }

    /// Every value of a header, in the order received.
    pub fn header_values(&self, name: &str) -> impl Iterator<Item = &str> {
        let (wire, made) = match &self.source {
            Source::Wire(wire) => (wire.headers(), &[][..]),
            Source::Made { headers, .. } => (&[][..], &headers[..]),
        };
        let wire = wire
            .iter()
            .filter(move |header| header.field.as_str().as_str().eq_ignore_ascii_case(name));
        let made = made
            .iter()
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name));
        wire.map(|header| header.value.as_str())
            .chain(made.map(|(_, value)| value.as_str()))
    }

    /// Every header, in the order received.
    pub fn headers(&self) -> Vec<(&str, &str)> {
        let mut all = Vec::new();
        self.each_header(|name, value| all.push((name, value)));
        all
    }

    fn each_header<'a>(&'a self, mut see: impl FnMut(&'a str, &'a str)) {
        match &self.source {
            Source::Wire(wire) => wire
                .headers()
                .iter()
                .for_each(|header| see(header.field.as_str().as_str(), header.value.as_str())),
            Source::Made { headers, .. } => {
                headers.iter().for_each(|(name, value)| see(name, value));
            }
        }
    }

    /// Who sent it, where known.
    pub fn peer(&self) -> Option<SocketAddr> {
        match &self.source {
            Source::Wire(wire) => wire.remote_addr().copied(),
            _ => None,
        }
    }

    /// Reads the whole body. Blocks as long as the client takes to send it.
    ///
    /// # Errors
    /// [`BodyError`] when it is longer than `bytes_max` or breaks off.
    pub fn body(&mut self, bytes_max: usize) -> Result<Vec<u8>, BodyError> {
        match &mut self.source {
            Source::Wire(wire) => {
                let announced = wire.body_length();
                if announced.is_some_and(|length| length > bytes_max) {
                    return Err(BodyError::TooLarge(bytes_max));
                }
                let mut body = Vec::with_capacity(announced.unwrap_or(0).min(1 << 20));
                let read = wire
                    .as_reader()
                    .take(bytes_max as u64 + 1)
                    .read_to_end(&mut body);
                self.body_read = body.len() <= bytes_max;
                read.map_err(|error| BodyError::Broken(error.to_string()))?;
                match announced {
                    _ if body.len() > bytes_max => Err(BodyError::TooLarge(bytes_max)),
                    Some(length) if body.len() < length => Err(BodyError::Broken(format!(
                        "{} of {length} bytes",
                        body.len()
                    ))),
                    _ => Ok(body),
                }
            }
            Source::Made { body, .. } if body.len() > bytes_max => {
                Err(BodyError::TooLarge(bytes_max))
            }
            Source::Made { body, .. } => Ok(body.clone()),
        }
    }
}

/// Turns `%41` into `A`. What is not valid stays as it is; bytes that are not UTF-8 become U+FFFD.
pub(crate) fn percent_decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let hex = |byte: Option<&u8>| byte.and_then(|b| (*b as char).to_digit(16));
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}
