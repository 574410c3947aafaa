//! The listening socket and the crate's server on it, replaced when its accept loop dies.
//!
//! - The crate never sets TCP_NODELAY. Set on the listener, it is inherited by every accepted socket
//!   (so is a write timeout; a read timeout would end the accept loop, so it is never set).
//! - Its accept loop ends for good at the first error (EMFILE, ECONNABORTED). A clone of the listener is
//!   kept, a new server is built on it, and the old one stays in reach for the connections it has.
//! - A connection takes two descriptors. With one left the accept loop does not end with an error but
//!   panics (`RefinedTcpStream` unwraps its `try_clone`), and no message says so. But it drops its
//!   listener then, and that can be seen in /proc.
//! - Its connection pool starts with four threads and counts one as free until it has woken up, so of a
//!   burst of connections some wait behind others that may never end (measured: two of six). Any
//!   connection that ends frees one of them: so after a burst, the front connects to itself and hangs up,
//!   once for each that came.
//! - What it buffers, a short reply or a long one's end, std's `BufWriter` flushes: it goes on after each signal,
//!   and the write timeout begins anew. Where signals hit a thread more often than that runs out (measured: 200 a
//!   second), it waits for a client that does not read for as long as they come.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use crate::clock::Clock;

/// How long one write waits for a client that does not read; `answer.rs` bounds all writes of a reply together.
const WRITE_WAIT_MAX: Duration = Duration::from_millis(10);
/// How often the leader looks at servers whose accept loop has died, while there are any.
pub(super) const RETIRED_INTERVAL: Duration = Duration::from_millis(5);
/// Pause between two restarts.
const RESTART_PAUSE_MS: u64 = 250;
/// Servers kept for the connections of their time.
const RETIRED_MAX: usize = 16;
/// Connections to ourselves after one look.
pub(super) const NUDGES_MAX: u64 = 32;
const NUDGE_WAIT_MAX: Duration = Duration::from_millis(100);

pub(super) struct Front {
    address: SocketAddr,
    /// Never given away, so that there is always one to clone.
    kept: TcpListener,
    /// Given to the next server; there even when no descriptor is left to clone another.
    spare: Mutex<Option<TcpListener>>,
    current: RwLock<Arc<tiny_http::Server>>,
    /// The socket's inode, and the descriptor of it that the accept loop has.
    inode: Option<u64>,
    looped: AtomicI32,
    retired: RwLock<Vec<Arc<tiny_http::Server>>>,
    pub(super) accept_restarts: AtomicU64,
    restart_not_before_ms: AtomicU64,
    clock: Clock,
}

impl Front {
    pub(super) fn bind(address: &str, clock: Clock) -> io::Result<Front> {
        let listener = TcpListener::bind(address)?;
        let options = TcpStream::from(OwnedFd::from(listener.try_clone()?));
        options.set_nodelay(true)?;
        options.set_write_timeout(Some(WRITE_WAIT_MAX))?;
        let kept = listener.try_clone()?;
        let spare = Mutex::new(Some(listener.try_clone()?));
        let address = listener.local_addr()?;
        let looped = listener.as_raw_fd();
        let current = RwLock::new(Arc::new(server_on(listener)?));
        let retired = RwLock::new(Vec::new());
        Ok(Front {
            address,
            kept,
            spare,
            current,
            inode: inode_of(looped),
            looped: looped.into(),
            retired,
            accept_restarts: AtomicU64::new(0),
            restart_not_before_ms: AtomicU64::new(0),
            clock,
        })
    }

    /// Frees so many connections that wait behind others.
    pub(super) fn free_waiting(&self, count: u64) {
        for _ in 0..count {
            let _ = TcpStream::connect_timeout(&self.near_address(), NUDGE_WAIT_MAX);
        }
    }

    /// Where this process itself reaches the socket: one bound to every address is near on loopback.
    pub(super) fn near_address(&self) -> SocketAddr {
        let near = match self.address.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        SocketAddr::new(near, self.address.port())
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server that accepts now.
    pub(super) fn current(&self) -> Arc<tiny_http::Server> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn has_retired(&self) -> bool {
        !self
            .retired
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    /// A request that is waiting somewhere, if there is one; and whether an accept loop has just died.
    pub(super) fn poll(&self) -> io::Result<Option<tiny_http::Request>> {
        if let Some(request) = self.current().try_recv()? {
            return Ok(Some(request));
        }
        Ok(self.poll_retired())
    }

    /// A request of a connection from before the last accept error.
    pub(super) fn poll_retired(&self) -> Option<tiny_http::Request> {
        let retired = self.retired.read().unwrap_or_else(PoisonError::into_inner);
        retired
            .iter()
            .find_map(|server| server.try_recv().ok().flatten())
    }

    /// Puts a new server in the place of one whose accept loop has died.
    pub(super) fn restart(&self, dead: &Arc<tiny_http::Server>) -> io::Result<()> {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(dead, &self.current()) {
            return Ok(());
        }
        // Each server brings five threads of its own; while descriptors are short, one after another would die.
        let now_ms = self.clock.mono_ns() / 1_000_000;
        if now_ms < self.restart_not_before_ms.load(Ordering::Acquire) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.restart_not_before_ms
            .store(now_ms + RESTART_PAUSE_MS, Ordering::Release);
        let listener = match spare.take() {
            Some(listener) => listener,
            None => self.kept.try_clone()?,
        };
        let looped = listener.as_raw_fd();
        let fresh = Arc::new(server_on(listener)?);
        self.looped.store(looped, Ordering::Release);
        *spare = self.kept.try_clone().ok();
        let old = std::mem::replace(
            &mut *self.current.write().unwrap_or_else(PoisonError::into_inner),
            fresh,
        );
        let mut retired = self.retired.write().unwrap_or_else(PoisonError::into_inner);
        if retired.len() == RETIRED_MAX {
            // Out of reach of polls, which might swallow the call of whoever still waits there.
            retired.remove(0).unblock();
        }
        // Whoever waits on the old server's queue shall come and wait on the new one's.
        old.unblock();
        retired.push(old);
        self.accept_restarts.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Replaces the server if its accept loop is gone without a word.
    pub(super) fn listen_again_if_deaf(&self) {
        let current = self.current();
        let looped = self.looped.load(Ordering::Acquire);
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        // The number of a closed descriptor is free again, for the spare too.
        let reused = spare.as_ref().map(AsRawFd::as_raw_fd) == Some(looped);
        drop(spare);
        if reused || (self.inode.is_some() && inode_of(looped) != self.inode) {
            // Without a descriptor to spare this fails; the next look tries again.
            let _ = self.restart(&current);
        }
    }

    /// Wakes whoever still waits on a server that was replaced: a poll may have swallowed the first call.
    pub(super) fn unblock_retired(&self) {
        let retired = self.retired.read().unwrap_or_else(PoisonError::into_inner);
        retired.iter().for_each(|server| server.unblock());
    }

    /// Refuses new connections from now on. On Linux this ends the accept loop too.
    pub(super) fn close(&self) {
        if let Ok(clone) = self.kept.try_clone() {
            let _ = TcpStream::from(OwnedFd::from(clone)).shutdown(Shutdown::Both);
        }
    }
}

/// Since Linux 6.2 the size of the folder tells; before, it is 0 and its entries are counted.
pub(super) fn open_descriptors() -> u64 {
    match std::fs::metadata("/proc/self/fd").map(|folder| folder.len()) {
        Ok(count) if count > 0 => count,
        _ => std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64),
    }
}

fn inode_of(descriptor: RawFd) -> Option<u64> {
    let metadata = std::fs::metadata(format!("/proc/self/fd/{descriptor}"));
    metadata.ok().map(|socket| socket.ino())
}

fn server_on(listener: TcpListener) -> io::Result<tiny_http::Server> {
    tiny_http::Server::from_listener(listener, None).map_err(|e| io::Error::other(e.to_string()))
}
