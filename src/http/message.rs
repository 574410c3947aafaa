//! HTTP/1.1 bytes: a request's head out, a response's head and body in.

use std::fmt::Write as _;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// `GET`, `POST`, ...
    pub method: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// Headers besides `Host` and `Content-Length`, which are added. A header that would break the
    /// framing (CR, LF or NUL inside) is left out.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body in pieces, written one after another without a copy.
    pub body: &'a [&'a [u8]],
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Headers in the order received.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first value of a header, its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn lists(&self, name: &str, token: &str) -> bool {
        self.headers
            .iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .flat_map(|(_, value)| value.split(','))
            .any(|part| part.trim().eq_ignore_ascii_case(token))
    }
}

/// Writes the head of a request.
pub(super) fn encode_head(out: &mut String, call: &Call<'_>, host: &str) {
    let _ = write!(
        out,
        "{} {} HTTP/1.1\r\nHost: {host}\r\n",
        call.method, call.path
    );
    let safe = |text: &str| !text.bytes().any(|b| matches!(b, b'\r' | b'\n' | 0));
    for (name, value) in call.headers.iter().filter(|(n, v)| safe(n) && safe(v)) {
        let _ = write!(out, "{name}: {value}\r\n");
    }
    let length: usize = call.body.iter().map(|piece| piece.len()).sum();
    if length > 0 || call.method != "GET" {
        let _ = write!(out, "Content-Length: {length}\r\n");
    }
    out.push_str("\r\n");
}

/// Most headers and head bytes of a response that is taken.
const HEADERS_MAX: usize = 64;
const HEAD_BYTES_MAX: usize = 16 << 10;

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(usize),
    Chunked,
    Close,
}

/// A response's head, once it is there whole.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) response: Response,
    pub(super) bytes: usize,
    pub(super) framing: Framing,
    pub(super) keep_alive: bool,
}

/// Reads a head from the front of `bytes`; `None` while more has to come.
pub(super) fn decode_head(bytes: &[u8]) -> Result<Option<Head>, String> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut headers);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok(None),
        Ok(httparse::Status::Partial) => return Err(format!("head over {HEAD_BYTES_MAX} bytes")),
        Err(error) => return Err(format!("not an HTTP response: {error}")),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let response = Response {
        status: parsed.code.unwrap_or(0),
        headers: parsed
            .headers
            .iter()
            .map(|h| (h.name.to_string(), text(h.value)))
            .collect(),
        body: Vec::new(),
    };
    let framing = framing(&response)?;
    let keep_alive = match parsed.version {
        Some(1) => !response.lists("connection", "close"),
        _ => response.lists("connection", "keep-alive"),
    };
    Ok(Some(Head {
        keep_alive: keep_alive && framing != Framing::Close,
        response,
        bytes: length,
        framing,
    }))
}

/// RFC 9112, section 6.3, for a response to anything but HEAD and CONNECT.
fn framing(response: &Response) -> Result<Framing, String> {
    if matches!(response.status, 100..=199 | 204 | 304) {
        return Ok(Framing::Length(0));
    }
    if response.lists("transfer-encoding", "chunked") {
        return Ok(Framing::Chunked);
    }
    let mut lengths = response
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map(|(_, value)| value.trim());
    let Some(first) = lengths.next() else {
        return Ok(Framing::Close);
    };
    if lengths.any(|other| other != first) {
        return Err("two different Content-Length headers".to_string());
    }
    match first
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| first.parse())
    {
        Some(Ok(length)) => Ok(Framing::Length(length)),
        _ => Err(format!("Content-Length {first:?} is not a number")),
    }
}

/// Where a chunked body stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunked {
    /// More bytes are needed.
    More,
    /// It ended; so many bytes of input were its own.
    Done(usize),
}

/// Decodes a whole chunked body from the front of `bytes` into `body`, trailers skipped.
pub(super) fn decode_chunked(bytes: &[u8], body: &mut Vec<u8>) -> Result<Chunked, String> {
    body.clear();
    let mut at = 0;
    loop {
        let (used, size) = match httparse::parse_chunk_size(&bytes[at..]) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Ok(Chunked::More),
            Err(_) => return Err("bad chunk size".to_string()),
        };
        at += used;
        if size == 0 {
            return decode_trailers(bytes, at);
        }
        let end = usize::try_from(size)
            .ok()
            .and_then(|size| at.checked_add(size));
        let end = end.ok_or("chunk size over the address space")?;
        match bytes.get(end..end + 2) {
            Some(b"\r\n") => body.extend_from_slice(&bytes[at..end]),
            Some(_) => return Err("no line end after a chunk".to_string()),
            None => return Ok(Chunked::More),
        }
        at = end + 2;
    }
}

fn decode_trailers(bytes: &[u8], mut at: usize) -> Result<Chunked, String> {
    loop {
        let Some(line) = bytes[at..].windows(2).position(|pair| pair == b"\r\n") else {
            return match bytes.len() - at {
                0..HEAD_BYTES_MAX => Ok(Chunked::More),
                _ => Err(format!("trailers over {HEAD_BYTES_MAX} bytes")),
            };
        };
        at += line + 2;
        if line == 0 {
            return Ok(Chunked::Done(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_exactly_these_bytes() {
        let mut out = String::new();
        let call = Call {
            method: "POST",
            path: "/v0.4/traces",
            headers: &[("X-A", "1"), ("X-Bad", "a\r\nX-Evil: 1")],
            body: &[b"ab", b"c"],
        };
        encode_head(&mut out, &call, "agent:8126");
        assert_eq!(
            out,
            "POST /v0.4/traces HTTP/1.1\r\nHost: agent:8126\r\nX-A: 1\r\nContent-Length: 3\r\n\r\n"
        );
        out.clear();
        encode_head(
            &mut out,
            &Call {
                method: "GET",
                path: "/info",
                headers: &[],
                body: &[],
            },
            "a",
        );
        assert_eq!(out, "GET /info HTTP/1.1\r\nHost: a\r\n\r\n");
    }

    #[track_caller]
    fn check(rule: &str, head: &str, expected: Result<(u16, Framing, bool), &str>) {
        let seen = decode_head(head.as_bytes());
        match (seen, expected) {
            (Ok(Some(head)), Ok(expected)) => {
                assert_eq!(
                    (head.response.status, head.framing, head.keep_alive),
                    expected,
                    "{rule}"
                );
            }
            (Err(error), Err(part)) => assert!(error.contains(part), "{rule}: {error}"),
            (seen, _) => panic!("{rule}: {seen:?}"),
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn every_rule_of_framing_has_its_answer() {
        use Framing::{Chunked, Close, Length};
        check(
            "a length",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
            Ok((200, Length(5), true)),
        );
        check(
            "the same length twice",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
            Ok((200, Length(5), true)),
        );
        check(
            "two lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            Err("two different"),
        );
        check(
            "a signed length",
            "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
            Err("not a number"),
        );
        check(
            "chunked beats length",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n",
            Ok((200, Chunked, true)),
        );
        check(
            "neither: until close",
            "HTTP/1.1 200 OK\r\n\r\n",
            Ok((200, Close, false)),
        );
        check(
            "204 has no body",
            "HTTP/1.1 204 No Content\r\n\r\n",
            Ok((204, Length(0), true)),
        );
        check(
            "close is obeyed",
            "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n",
            Ok((200, Length(0), false)),
        );
        check(
            "1.0 closes",
            "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
            Ok((200, Length(0), false)),
        );
        check(
            "1.0 may keep alive",
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
            Ok((200, Length(0), true)),
        );
        check(
            "bare line feeds",
            "HTTP/1.1 200 OK\nContent-Length: 1\n\n",
            Ok((200, Length(1), true)),
        );
        check(
            "no HTTP",
            "SSH-2.0-OpenSSH\r\n\r\n",
            Err("not an HTTP response"),
        );
        check(
            "too many headers",
            &format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(65)),
            Err("not an HTTP response"),
        );
        check(
            "a head without end",
            &format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(16 << 10)),
            Err("head over"),
        );
    }

    #[test]
    fn a_chunked_body_is_read_whole_and_every_proper_prefix_asks_for_more() {
        let wire = b"4;ext=1\r\nWiki\r\n5\r\npedia\r\n0\r\nX-Trailer: 1\r\n\r\nNEXT";
        let mut body = Vec::new();
        let end = wire.len() - 4;
        assert_eq!(decode_chunked(wire, &mut body), Ok(Chunked::Done(end)));
        assert_eq!(body, b"Wikipedia");
        for cut in 0..end {
            assert_eq!(
                decode_chunked(&wire[..cut], &mut body),
                Ok(Chunked::More),
                "cut at {cut}"
            );
        }
        assert!(decode_chunked(b"x\r\n", &mut body).is_err());
        assert!(decode_chunked(b"1\r\nabc", &mut body).is_err());
        assert!(decode_chunked(b"fffffffffffffffff\r\n", &mut body).is_err());
    }
}
