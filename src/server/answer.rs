//! A reply's bytes, and how they reach the socket whatever the request's body does.
//!
//! The crate underneath reads the rest of an unread body when a request is dropped, on the thread that
//! drops it, and allocates all of it at once. So a request with a body that is not here yet never runs on a
//! pool thread (see `pool.rs`), and one with a body that memory could not hold is answered and abandoned:
//! its socket stays open until the process ends, which is counted.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Cursor, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use super::slow::{Unsent, write_some};
use super::{Method, Reply, Request};
use crate::clock::Clock;

/// Longest rest of a body that is read away. The crate reserves, but does not fill, as much memory.
const REST_BYTES_MAX: usize = 1 << 30;
/// Longest reply that may go out before the request's body is read away.
const EARLY_BYTES_MAX: usize = 16 << 10;
/// A client that takes longer to take its reply is hung up on.
const WRITE_NS_MAX: u64 = 3_000_000_000;
/// How long what such a client asked for besides is thrown away unanswered.
const SHUNNED_NS: u64 = 10_000_000_000;
/// Clients hung up on that are remembered.
const SHUNNED_MAX: usize = 1_024;

/// Writes replies.
#[derive(Debug, Default)]
pub(super) struct Answerer {
    clock: Clock,
    pub(super) replies: AtomicU64,
    pub(super) write_failed: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) abandoned: AtomicU64,
    shunned: Mutex<HashMap<SocketAddr, u64>>,
    any_shunned: AtomicBool,
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
    /// Blocks for as long as the client takes to send a body that nobody read. What the client does not take at
    /// once is returned.
    pub(super) fn answer(&self, request: Request, reply: &Reply, last: bool) -> Option<Unsent> {
        let unread = request.unread_body();
        let manner = Manner {
            head_only: request.method() == Method::Head,
            last,
        };
        let wire = request.into_wire()?;
        self.replies.fetch_add(1, Ordering::Relaxed);
        match unread {
            None => return self.write(wire, reply, manner),
            Some(Some(length)) if length > REST_BYTES_MAX => self.leave(wire, reply),
            // Its drop reads the rest, after the reply. What the crate cannot write at once it cuts off.
            Some(Some(_)) if !last && reply.body.len() <= EARLY_BYTES_MAX => {
                let peer = wire.remote_addr().copied();
                if wire.respond(plain_response(reply)).is_err() {
                    self.not_taken(peer);
                }
            }
            Some(_) => return self.write(read_away(wire), reply, manner),
        }
        None
    }

    /// The client has not taken a reply: nothing more is served to it.
    pub(super) fn not_taken(&self, peer: Option<SocketAddr>) {
        self.write_failed.fetch_add(1, Ordering::Relaxed);
        self.shun(peer);
    }

    /// Throws a request away. Waits for a body that is on its way.
    pub(super) fn drop_unanswered(&self, request: Request) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        if matches!(request.unread_body(), Some(Some(length)) if length > REST_BYTES_MAX) {
            self.abandoned.fetch_add(1, Ordering::Relaxed);
            // No memory holds what its drop would reserve.
            std::mem::forget(request);
        } else {
            request.hang_up();
        }
    }

    /// Answers a request whose body shall not be waited for.
    pub(super) fn abandon(&self, request: Request, reply: &Reply) {
        if let Some(wire) = request.into_wire() {
            self.replies.fetch_add(1, Ordering::Relaxed);
            self.leave(wire, reply);
        }
    }

    /// One write: a reply in two pieces would wait for the client's delayed ACK.
    fn write(&self, wire: tiny_http::Request, reply: &Reply, manner: Manner) -> Option<Unsent> {
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
            let peer = wire.remote_addr().copied();
            let mut writer = wire.into_writer();
            let mut written = 0;
            let unsent = match write_some(&mut writer, out, &mut written) {
                Ok(true) => None,
                Ok(false) => Some(Unsent {
                    writer,
                    out: std::mem::take(out),
                    written,
                    // Only who did not take all at once is timed.
                    end_ns: self.clock.mono_ns().saturating_add(WRITE_NS_MAX),
                    peer,
                }),
                Err(_) => {
                    self.not_taken(peer);
                    None
                }
            };
            if out.capacity() > 256 << 10 {
                *out = Vec::new();
            }
            unsent
        })
    }

    /// The crate keeps a connection whose client does not read, or whose head was ambiguous, and goes on to
    /// parse what follows. Requests from there are not served any more.
    pub(super) fn shun(&self, peer: Option<SocketAddr>) {
        let Some(peer) = peer else { return };
        let until_ns = self.clock.mono_ns().saturating_add(SHUNNED_NS);
        let mut shunned = self.shunned.lock().unwrap_or_else(PoisonError::into_inner);
        if shunned.len() >= SHUNNED_MAX {
            let now_ns = self.clock.mono_ns();
            shunned.retain(|_, until_ns| *until_ns > now_ns);
        }
        if shunned.len() < SHUNNED_MAX {
            shunned.insert(peer, until_ns);
            self.any_shunned.store(true, Ordering::Release);
        }
    }

    /// Whether nothing is served to this client; costs one load while there is no such client.
    pub(super) fn is_shunned(&self, peer: Option<SocketAddr>) -> bool {
        if !self.any_shunned.load(Ordering::Acquire) {
            return false;
        }
        let now_ns = self.clock.mono_ns();
        let mut shunned = self.shunned.lock().unwrap_or_else(PoisonError::into_inner);
        shunned.retain(|_, until_ns| *until_ns > now_ns);
        self.any_shunned
            .store(!shunned.is_empty(), Ordering::Release);
        peer.is_some_and(|peer| shunned.contains_key(&peer))
    }

    fn encode_head(&self, out: &mut Vec<u8>, reply: &Reply) {
        let status = final_status(reply.status);
        let reason = tiny_http::StatusCode(status).default_reason_phrase();
        let _ = write!(out, "HTTP/1.1 {status} ");
        push_all(out, &[reason, "\r\nServer: testapi\r\nDate: "]);
        self.encode_date(out);
        out.extend_from_slice(b"\r\n");
        if !reply.content_type.is_empty() && safe(&reply.content_type) {
            push_all(out, &["Content-Type: ", &reply.content_type, "\r\n"]);
        }
        for (name, value) in reply.headers.iter().filter(|(_, value)| safe(value)) {
            push_all(out, &[name, ": ", value, "\r\n"]);
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

    /// `upgrade` is the one call that answers without reading the rest; what it returns is leaked, since
    /// dropping it would read the rest after all.
    fn leave(&self, wire: tiny_http::Request, reply: &Reply) {
        self.abandoned.fetch_add(1, Ordering::Relaxed);
        std::mem::forget(wire.upgrade("close", plain_response(reply)));
    }
}

fn push_all(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Reads the rest of the body. Of a chunked one the crate would take it for the next request.
fn read_away(mut wire: tiny_http::Request) -> tiny_http::Request {
    let rest = &mut wire.as_reader().take(REST_BYTES_MAX as u64);
    let _ = io::copy(rest, &mut io::sink());
    wire
}

/// Whether a client of HTTP/1.0 asked to keep its connection.
fn asks_to_stay(wire: &tiny_http::Request) -> bool {
    let connection = wire.headers().iter().find(|h| h.field.equiv("Connection"));
    connection.is_some_and(|h| h.value.as_str().to_ascii_lowercase().contains("keep-alive"))
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
