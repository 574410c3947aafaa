//! A reply's bytes, and how they reach the socket whatever the request's body does.
//!
//! The crate underneath reads the rest of an unread body when a request is dropped, on the thread that
//! drops it, and allocates all of it at once. So such a request never ends on a pool thread: a few
//! threads kept for that finish it; past their number, or with a body that memory could not hold, it is
//! answered and abandoned (its socket stays open until the process ends, which is counted).

use std::cell::RefCell;
use std::io::{Cursor, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use super::{Method, Reply, Request};
use crate::clock::Clock;

/// Threads that may wait for the rest of unread bodies at one time.
const CLOSERS_MAX: usize = 32;
/// Longest rest of a body that is read away.
const REST_BYTES_MAX: usize = 64 << 20;

/// Writes replies.
#[derive(Debug, Default)]
pub(super) struct Answerer {
    clock: Clock,
    closers: Arc<AtomicUsize>,
    pub(super) replies: AtomicU64,
    pub(super) write_failed: AtomicU64,
    pub(super) abandoned: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
struct Manner {
    head_only: bool,
    last: bool,
}

thread_local! {
    static OUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static DATE: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
}

impl Answerer {
    pub(super) fn new(clock: Clock) -> Answerer {
        Answerer {
            clock,
            ..Answerer::default()
        }
    }

    /// Sends the reply. `last` tells the client that no further request is taken on its connection.
    pub(super) fn answer(&self, request: Request, reply: &Reply, last: bool) {
        let unread = request.unread_body();
        let manner = Manner {
            head_only: request.method() == Method::Head,
            last,
        };
        let Some(wire) = request.into_wire() else {
            return;
        };
        self.replies.fetch_add(1, Ordering::Relaxed);
        match unread {
            None => self.write(wire, reply, manner),
            Some(length) => self.set_aside(wire, reply, length),
        }
    }

    /// One write: a reply in two pieces would wait for the client's delayed ACK.
    fn write(&self, wire: tiny_http::Request, reply: &Reply, manner: Manner) {
        let old = *wire.http_version() == tiny_http::HTTPVersion(1, 0) && asks_to_stay(&wire);
        OUT.with_borrow_mut(|out| {
            out.clear();
            self.encode_head(out, reply);
            if manner.last {
                out.extend_from_slice(b"Connection: close\r\n");
            } else if old {
                out.extend_from_slice(b"Connection: keep-alive\r\n");
            }
            out.extend_from_slice(b"\r\n");
            if !manner.head_only && has_body(reply.status) {
                out.extend_from_slice(&reply.body);
            }
            let mut writer = wire.into_writer();
            if writer.write_all(out).and_then(|()| writer.flush()).is_err() {
                self.write_failed.fetch_add(1, Ordering::Relaxed);
            }
            if out.capacity() > 256 << 10 {
                *out = Vec::new();
            }
        });
    }

    fn encode_head(&self, out: &mut Vec<u8>, reply: &Reply) {
        let status = final_status(reply.status);
        let reason = tiny_http::StatusCode(status).default_reason_phrase();
        let _ = write!(
            out,
            "HTTP/1.1 {status} {reason}\r\nServer: testapi\r\nDate: "
        );
        self.encode_date(out);
        out.extend_from_slice(b"\r\n");
        if !reply.content_type.is_empty() && safe(&reply.content_type) {
            let _ = write!(out, "Content-Type: {}\r\n", reply.content_type);
        }
        for (name, value) in reply.headers.iter().filter(|(_, value)| safe(value)) {
            let _ = write!(out, "{name}: {value}\r\n");
        }
        if status != 204 {
            let length = if has_body(status) {
                reply.body.len()
            } else {
                0
            };
            let _ = write!(out, "Content-Length: {length}\r\n");
        }
    }

    /// The date changes once a second; its text is kept until then.
    fn encode_date(&self, out: &mut Vec<u8>) {
        let second = self.clock.unix_ns() / 1_000_000_000;
        DATE.with_borrow_mut(|(kept, text)| {
            if *kept != second || text.is_empty() {
                let time = UNIX_EPOCH + Duration::from_secs(second);
                *text = httpdate::fmt_http_date(time);
                *kept = second;
            }
            out.extend_from_slice(text.as_bytes());
        });
    }

    fn set_aside(&self, wire: tiny_http::Request, reply: &Reply, length: Option<usize>) {
        let answer = plain_response(reply);
        let fits = length.is_none_or(|length| length <= REST_BYTES_MAX);
        let busy = self.closers.fetch_add(1, Ordering::AcqRel);
        if !fits || busy >= CLOSERS_MAX {
            self.closers.fetch_sub(1, Ordering::AcqRel);
            return self.abandon(wire, answer);
        }
        let closers = self.closers.clone();
        let closing = move || {
            finish(wire, answer, length);
            closers.fetch_sub(1, Ordering::AcqRel);
        };
        if thread::Builder::new()
            .name("http-closer".to_string())
            .spawn(closing)
            .is_err()
        {
            // The request went with the closure; nothing is left to answer.
            self.closers.fetch_sub(1, Ordering::AcqRel);
            self.abandoned.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// `upgrade` is the one call that answers without reading the rest; what it returns is leaked, since
    /// dropping it would read the rest after all.
    fn abandon(&self, wire: tiny_http::Request, answer: tiny_http::Response<Cursor<Vec<u8>>>) {
        self.abandoned.fetch_add(1, Ordering::Relaxed);
        std::mem::forget(wire.upgrade("close", answer));
    }
}

/// The crate keeps a connection of HTTP/1.0 open for this word alone (RFC 9112, section 9.3).
fn asks_to_stay(wire: &tiny_http::Request) -> bool {
    let connection = wire.headers().iter().find(|h| h.field.equiv("Connection"));
    connection.is_some_and(|h| h.value.as_str().to_ascii_lowercase().contains("keep-alive"))
}

/// Answers, then reads the rest of the body away so that the connection can go on.
fn finish(
    mut wire: tiny_http::Request,
    answer: tiny_http::Response<Cursor<Vec<u8>>>,
    length: Option<usize>,
) {
    if length.is_none() {
        // Chunked: the crate does not read the rest itself, and would take it for the next request.
        let mut sink = std::io::sink();
        let rest = &mut wire.as_reader().take(REST_BYTES_MAX as u64);
        let _ = std::io::copy(rest, &mut sink);
    }
    let _ = wire.respond(answer);
}

fn plain_response(reply: &Reply) -> tiny_http::Response<Cursor<Vec<u8>>> {
    let mut response = tiny_http::Response::from_data(reply.body.clone())
        .with_status_code(final_status(reply.status));
    let content_type = ("Content-Type", &*reply.content_type);
    let headers = reply.headers.iter().map(|(name, value)| (*name, &**value));
    for (name, value) in headers
        .chain([content_type])
        .filter(|(_, value)| !value.is_empty())
    {
        if let Ok(header) = tiny_http::Header::from_bytes(name, value) {
            response.add_header(header);
        }
    }
    response
}

fn final_status(status: u16) -> u16 {
    if (200..=599).contains(&status) {
        status
    } else {
        500
    }
}

fn has_body(status: u16) -> bool {
    !matches!(status, 204 | 205 | 304)
}

fn safe(value: &str) -> bool {
    !value.bytes().any(|b| matches!(b, b'\r' | b'\n' | 0))
}
