//! One HTTP exchange on a connection of its own, written and read by hand.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::DEADLINE;

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    /// The first value of a header, its name in any case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.body))
    }
}

pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .find(|(field, _)| field.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// GET without further headers.
#[track_caller]
pub(crate) fn get(to: SocketAddr, path: &str) -> Reply {
    ask(to, &format!("GET {path} HTTP/1.1"), &[], b"")
}

/// `Host`, `Connection` and `Content-Length` are added where `headers` do not say them.
#[track_caller]
pub(crate) fn ask(to: SocketAddr, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    try_ask(to, line, (headers, body), DEADLINE)
        .unwrap_or_else(|error| panic!("{line} to {to}: {error}"))
}

/// As [`ask`], where no answer is an answer too.
pub(crate) fn try_ask(
    to: SocketAddr,
    line: &str,
    (headers, body): (&[(&str, &str)], &[u8]),
    timeout: Duration,
) -> io::Result<Reply> {
    let mut stream = TcpStream::connect_timeout(&to, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    let (host, length) = (to.to_string(), body.len().to_string());
    let defaults = [
        ("Host", &*host),
        ("Connection", "close"),
        ("Content-Length", &*length),
    ];
    let said = |name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    let defaults = defaults.into_iter().filter(|(name, _)| !said(name));
    let mut head = format!("{line}\r\n");
    for (name, value) in defaults.chain(headers.iter().copied()) {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all((head + "\r\n").as_bytes())?;
    // A server may refuse by the head alone and close while the body is under way.
    let _ = stream.write_all(body);
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes)
        && bytes.is_empty()
    {
        return Err(error);
    }
    parse(&bytes).ok_or_else(|| io::Error::other(format!("no reply: {}", bytes.escape_ascii())))
}

fn parse(bytes: &[u8]) -> Option<Reply> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let body = &bytes[end + 4..];
    let body = match header(&head, "Transfer-Encoding") {
        Some(_) => unchunked(body)?,
        None => body.to_vec(),
    };
    let body = match header(&head, "Content-Encoding") {
        Some("gzip") => unpacked(&body).ok()?,
        _ => body,
    };
    Some(Reply {
        status: head.split(' ').nth(1)?.parse().ok()?,
        body: String::from_utf8(body).ok()?,
        head,
    })
}

fn unpacked(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut whole = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut whole)?;
    Ok(whole)
}

fn unchunked(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(str::from_utf8(&body[..end]).ok()?, 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(body.get(end + 2..end + 2 + size)?);
        body = body.get(end + 4 + size..)?;
    }
}
