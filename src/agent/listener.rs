//! DogStatsD datagrams over UDP and Unix sockets.
//!
//! A datagram that finds the kernel's buffer full is lost without a trace, so between two receives
//! the thread only copies the bytes and offers them.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::asking::Until;
use super::queue::Queue;
use super::store::Cargo;
use crate::worker::AskError;

/// The largest UDP datagram fits.
const DATAGRAM_BYTES_MAX: usize = 64 << 10;
/// How long a thread may be deaf to its stop.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(100);
/// How long to wait for a word before it is said again.
const SAY_AGAIN: Duration = Duration::from_millis(200);
/// Datagrams still taken after the stop.
const LAST_DATAGRAMS_MAX: usize = 65_536;

/// Owns one socket's thread. Dropping it stops the thread.
pub(super) struct Listener {
    stop: Arc<AtomicBool>,
    ping: Arc<Ping>,
    thread: Option<JoinHandle<()>>,
    path: Option<PathBuf>,
}

/// Sends a datagram that only the listener knows, and waits until it came through: all that was
/// sent to the socket before has then been received.
pub(super) struct Ping {
    to: PingTo,
    word: [u8; 24],
    seen: Mutex<Receiver<()>>,
}

enum PingTo {
    Udp(UdpSocket, SocketAddr),
    Unix(UnixDatagram, PathBuf),
}

enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

/// Binds a UDP address and listens.
pub(super) fn udp(bind: &str, queue: Queue) -> io::Result<(Listener, SocketAddr)> {
    let socket = UdpSocket::bind(bind)?;
    socket.set_read_timeout(Some(RECEIVE_TIMEOUT))?;
    let address = socket.local_addr()?;
    let loopback = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let to = SocketAddr::new(loopback, address.port());
    let from = UdpSocket::bind(SocketAddr::new(loopback, 0))?;
    let listener = listen(
        "agent-udp",
        Socket::Udp(socket),
        PingTo::Udp(from, to),
        queue,
    )?;
    Ok((listener, address))
}

/// Binds a Unix datagram socket and listens. A socket file that nobody listens to is replaced.
pub(super) fn unix(path: &Path, queue: Queue) -> io::Result<Listener> {
    let socket = match UnixDatagram::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_stale(path) => {
            std::fs::remove_file(path)?;
            UnixDatagram::bind(path)?
        }
        bound => bound?,
    };
    socket.set_read_timeout(Some(RECEIVE_TIMEOUT))?;
    let to = PingTo::Unix(UnixDatagram::unbound()?, path.to_path_buf());
    let mut listener = listen("agent-uds", Socket::Unix(socket), to, queue)?;
    listener.path = Some(path.to_path_buf());
    Ok(listener)
}

fn is_stale(path: &Path) -> bool {
    let asked = UnixDatagram::unbound().and_then(|socket| socket.connect(path));
    asked.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

fn listen(name: &str, socket: Socket, to: PingTo, queue: Queue) -> io::Result<Listener> {
    let stop = Arc::new(AtomicBool::new(false));
    let (tell, seen) = mpsc::channel();
    let ping = Arc::new(Ping {
        to,
        word: secret_word(),
        seen: Mutex::new(seen),
    });
    let (word, stopped) = (ping.word, stop.clone());
    let thread = thread::Builder::new()
        .name(name.to_string())
        .spawn(move || {
            let mut ear = Ear {
                socket,
                queue,
                word,
                tell,
            };
            ear.hear(&stopped);
            ear.hear_the_rest();
        })?;
    Ok(Listener {
        stop,
        ping,
        thread: Some(thread),
        path: None,
    })
}

impl Listener {
    pub(super) fn ping(&self) -> Arc<Ping> {
        self.ping.clone()
    }

    /// Takes what the socket still holds, then ends the thread.
    pub(super) fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Wakes the thread; if it is lost the receive timeout does.
        let _ = self.ping.send();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if let Some(path) = self.path.take() {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Ping {
    /// Waits until the word came through.
    pub(super) fn wait(&self, until: &Until<'_>) -> Result<(), AskError> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // A word of an earlier wait that gave up may still lie here.
        while seen.try_recv().is_ok() {}
        loop {
            let left = until.left();
            // A flood may cost the word itself: say it again.
            let _ = self.send();
            match seen.recv_timeout(left.min(SAY_AGAIN)) {
                Ok(()) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => return Err(AskError::Stopped),
                Err(RecvTimeoutError::Timeout) if left <= SAY_AGAIN => {
                    return Err(AskError::Deadline);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn send(&self) -> io::Result<usize> {
        match &self.to {
            PingTo::Udp(socket, to) => socket.send_to(&self.word, to),
            PingTo::Unix(socket, to) => socket.send_to(&self.word, to),
        }
    }
}

struct Ear {
    socket: Socket,
    queue: Queue,
    word: [u8; 24],
    tell: Sender<()>,
}

impl Ear {
    /// Looks at the flag after every datagram: in a flood there is no other moment.
    fn hear(&mut self, stopped: &AtomicBool) {
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        while !stopped.load(Ordering::Acquire) {
            match self.receive(&mut buffer) {
                Ok((length, _)) if buffer[..length] == self.word => {
                    let _ = self.tell.send(());
                }
                Ok((length, from)) => {
                    self.queue.offer(Cargo::Datagram {
                        bytes: buffer[..length].to_vec(),
                        from,
                    });
                }
                Err(error) if timed_out(&error) => {}
                // Say, a peer's ICMP refusal; never spin on one that stays.
                Err(_) => thread::park_timeout(Duration::from_millis(1)),
            }
        }
    }

    fn hear_the_rest(&mut self) {
        let _ = match &self.socket {
            Socket::Udp(socket) => socket.set_nonblocking(true),
            Socket::Unix(socket) => socket.set_nonblocking(true),
        };
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        for _ in 0..LAST_DATAGRAMS_MAX {
            let Ok((length, from)) = self.receive(&mut buffer) else {
                return;
            };
            if buffer[..length] != self.word {
                self.queue.offer(Cargo::Datagram {
                    bytes: buffer[..length].to_vec(),
                    from,
                });
            }
        }
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Option<SocketAddr>)> {
        match &self.socket {
            Socket::Udp(socket) => socket
                .recv_from(buffer)
                .map(|(length, from)| (length, Some(from))),
            Socket::Unix(socket) => socket.recv(buffer).map(|length| (length, None)),
        }
    }
}

fn timed_out(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// No client sends this by chance: 128 bits that the standard library drew.
fn secret_word() -> [u8; 24] {
    let mut word = *b"\0agent??????????????????";
    for (at, salt) in [(8, 1_u8), (16, 2)] {
        let drawn = RandomState::new().hash_one(salt);
        word[at..at + 8].copy_from_slice(&drawn.to_le_bytes());
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::store::{Bounds, Store, StoreJob};
    use crate::clock::Clock;
    use crate::worker::{self, Limits};

    /// No word and no pause comes through: only the flag can end it.
    #[test]
    fn a_flood_does_not_hide_the_stop() {
        let store = Arc::new(Store::new(&Bounds::default(), ""));
        let (clock, lines_waiting_bytes) = (Clock::system(), Arc::default());
        let job = StoreJob {
            store: store.clone(),
            clock: clock.clone(),
            lines_waiting_bytes: Arc::clone(&lines_waiting_bytes),
        };
        let (handle, _guard) =
            worker::start("t-listen", Limits::default(), clock.clone(), job).unwrap();
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        ours.set_read_timeout(Some(RECEIVE_TIMEOUT)).unwrap();
        let (tell, _seen) = mpsc::channel();
        let mut ear = Ear {
            socket: Socket::Unix(ours),
            queue: Queue {
                handle,
                store,
                clock,
                lines_waiting_bytes,
            },
            word: secret_word(),
            tell,
        };
        let (stopped, ended) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                for sent in 0_u32..1_000_000 {
                    theirs.send(b"a:1|c").unwrap();
                    stopped.fetch_or(sent == 100, Ordering::AcqRel);
                    if ended.load(Ordering::Acquire) {
                        return;
                    }
                }
                panic!("still deaf to the stop after a million datagrams");
            });
            ear.hear(&stopped);
            ended.store(true, Ordering::Release);
            ear.hear_the_rest();
        });
    }
}
