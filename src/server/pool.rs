//! The threads that serve.

use std::fmt;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::{Reply, Request};

/// What a server does with a request.
pub trait Serve: Send + Sync + 'static {
    /// Answers. A panic in here becomes a 500.
    fn serve(&self, request: &mut Request) -> Reply;
}

impl<F: Fn(&mut Request) -> Reply + Send + Sync + 'static> Serve for F {
    fn serve(&self, request: &mut Request) -> Reply {
        self(request)
    }
}

/// Where and with how many threads to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Prefix of the thread names, at most 12 bytes.
    pub name: &'static str,
    /// Address to bind, `127.0.0.1:5000`.
    pub bind: String,
    /// Threads in the pool, at least 1.
    pub workers: usize,
}

/// Why a server did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The address is taken, not ours, or not an address.
    Bind(String, io::Error),
    /// The system refused a thread.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Bind(address, error) => write!(f, "cannot bind {address}: {error}"),
            StartError::Thread(error) => write!(f, "cannot start a server thread: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Bind(_, error) | StartError::Thread(error) => Some(error),
        }
    }
}

/// Counters of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Replies written.
    pub replies: u64,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Whether every thread of the pool ended within the deadline.
    pub joined: bool,
}

/// Owns a server. Dropping it stops it.
#[must_use = "dropping the guard stops the server at once"]
pub struct Guard {
    address: SocketAddr,
    server: Arc<tiny_http::Server>,
    stop: Arc<AtomicBool>,
    replies: Arc<AtomicU64>,
    threads: Vec<thread::JoinHandle<()>>,
}

/// Binds, starts the pool and serves until the guard is stopped.
///
/// # Errors
/// [`StartError`] when the address cannot be bound or a thread cannot start.
pub fn start(options: &Options, serve: Arc<dyn Serve>) -> Result<Guard, StartError> {
    let bind_error = |error| StartError::Bind(options.bind.clone(), error);
    let listener = TcpListener::bind(&options.bind).map_err(bind_error)?;
    let address = listener.local_addr().map_err(bind_error)?;
    let server = tiny_http::Server::from_listener(listener, None)
        .map_err(|e| bind_error(io::Error::other(e.to_string())))?;
    let server = Arc::new(server);
    let stop = Arc::new(AtomicBool::new(false));
    let replies = Arc::new(AtomicU64::new(0));
    let mut threads = Vec::new();
    for number in 0..options.workers.max(1) {
        let (server, stop, replies, serve) =
            (server.clone(), stop.clone(), replies.clone(), serve.clone());
        let thread = thread::Builder::new()
            .name(format!("{}-{number}", options.name))
            .spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    let Ok(wire) = server.recv() else { continue };
                    let mut request = Request::from_wire(wire);
                    let reply = serve.serve(&mut request);
                    let Some(wire) = request.into_wire() else {
                        continue;
                    };
                    let mut writer = wire.into_writer();
                    let mut out = format!(
                        "HTTP/1.1 {} OK\r\nContent-Type: {}\r\nContent-Length: {}\r\n",
                        reply.status,
                        reply.content_type,
                        reply.body.len()
                    )
                    .into_bytes();
                    for (name, value) in &reply.headers {
                        out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
                    }
                    out.extend_from_slice(b"\r\n");
                    out.extend_from_slice(&reply.body);
                    let _ = writer.write_all(&out).and_then(|()| writer.flush());
                    replies.fetch_add(1, Ordering::Relaxed);
                }
            })
            .map_err(StartError::Thread)?;
        threads.push(thread);
    }
    Ok(Guard {
        address,
        server,
        stop,
        replies,
        threads,
    })
}

impl Guard {
    /// The address that is really bound; tells the port where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Counters as they stand.
    pub fn stats(&self) -> Stats {
        Stats {
            replies: self.replies.load(Ordering::Relaxed),
        }
    }

    /// Stops accepting, answers what has been read, and joins the pool.
    pub fn stop(mut self, _deadline: Duration) -> Stopped {
        self.end();
        Stopped { joined: true }
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Release);
        for _ in &self.threads {
            self.server.unblock();
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end();
    }
}
