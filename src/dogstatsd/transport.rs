//! Payloads to a socket: connected late, never blocking, one more try after a peer came back.

use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;

use super::Address;
use super::name::Name;
use crate::clock::Clock;

/// What became of a payload.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The socket took it.
    Sent,
    /// The socket is full: try again soon.
    Busy(io::Error),
    /// Nobody is there: try again at the next flush.
    Absent(io::Error),
    /// No socket of this kind takes so much.
    TooBig,
    /// Lost.
    Failed(io::Error),
}

/// One socket to one address.
#[derive(Debug)]
pub(super) struct Transport {
    address: Address,
    /// Host and port of the address; without meaning for a path.
    name: Name,
    socket: Option<Socket>,
}

impl Transport {
    /// Connects with the first payload, so it does not matter who starts first.
    pub(super) fn new(address: Address, clock: Clock) -> Transport {
        let name = match &address {
            Address::Udp(host, port) => Name::new(host, *port, clock),
            _ => Name::new("", 0, clock),
        };
        Transport::with(address, name)
    }

    /// With a name that may have a resolver of its own.
    pub(super) fn with(address: Address, name: Name) -> Transport {
        Transport {
            address,
            name,
            socket: None,
        }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// What datadog-go calls this way of sending (`statsd/statsd.go`).
    pub(super) fn name(&self) -> &'static str {
        match (&self.address, &self.socket) {
            (Address::Udp(..), _) => "udp",
            (Address::UnixStream(_), _) | (_, Some(Socket::Stream(..))) => "uds-stream",
            (Address::Unix(_) | Address::UnixDatagram(_), _) => "uds",
        }
    }

    /// Hands one payload to the socket.
    ///
    /// A connected UDP socket tells of a refused datagram later than its send, from another machine with
    /// the next one, which then sends nothing; a Unix socket whose peer restarted stays dead; a stream that took a part of a frame
    /// is of no more use. All want one more try at once.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Outcome {
        self.follow_name();
        let outcome = self.try_send(bytes);
        let in_vain = matches!(outcome, Outcome::Absent(_) | Outcome::Failed(_));
        self.name.note(!in_vain);
        match outcome {
            Outcome::Absent(_) if self.socket.take().is_some() => self.send_again(bytes),
            outcome => outcome,
        }
    }

    /// Leaves an address that the name no longer has.
    fn follow_name(&mut self) {
        if let Some(Socket::Udp(_, peer)) = &self.socket
            && let Ok(found) = self.name.addresses()
            && !found.contains(peer)
        {
            self.socket = None;
        }
    }

    /// A frame that tears twice would tear for ever, and keep all others waiting.
    fn send_again(&mut self, bytes: &[u8]) -> Outcome {
        match self.try_send(bytes) {
            Outcome::Absent(error) if error.kind() == TORN => {
                self.socket = None;
                Outcome::Failed(error)
            }
            outcome => outcome,
        }
    }

    fn try_send(&mut self, bytes: &[u8]) -> Outcome {
        let open = self.socket.take();
        let mut socket = match open.map_or_else(|| connect(&self.address, &mut self.name), Ok) {
            Ok(socket) => socket,
            Err(error) => return Outcome::Absent(error),
        };
        let sent = socket.send(bytes);
        self.socket = Some(socket);
        let Err(error) = sent else {
            return Outcome::Sent;
        };
        match outcome_of(error) {
            Outcome::Failed(error) => {
                self.socket = None;
                Outcome::Failed(error)
            }
            outcome => outcome,
        }
    }
}

fn connect(address: &Address, name: &mut Name) -> io::Result<Socket> {
    match address {
        Address::Udp(..) => name.addresses().and_then(connect_udp),
        Address::UnixDatagram(path) => connect_datagram(path),
        Address::UnixStream(path) => connect_stream(path),
        // The kernel says EPROTOTYPE where a socket of the other type listens.
        Address::Unix(path) => match connect_datagram(path) {
            Err(error) if error.raw_os_error() == Some(EPROTOTYPE) => connect_stream(path),
            outcome => outcome,
        },
    }
}

fn connect_datagram(path: &Path) -> io::Result<Socket> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect(path)?;
    Ok(Socket::Datagram(socket))
}

fn connect_stream(path: &Path) -> io::Result<Socket> {
    let socket = until_connected(|| UnixStream::connect(path))?;
    socket.set_nonblocking(true)?;
    Ok(Socket::Stream(socket, Vec::new()))
}

/// A signal interrupts a connect that waits for room in the peer's queue.
fn until_connected<S>(mut connect: impl FnMut() -> io::Result<S>) -> io::Result<S> {
    loop {
        match connect() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

fn connect_udp(peers: &[SocketAddr]) -> io::Result<Socket> {
    let mut outcome = Err(ErrorKind::NotFound.into());
    for peer in peers {
        let own = match peer {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        outcome = UdpSocket::bind(own).and_then(|socket| {
            socket.set_nonblocking(true)?;
            socket.connect(peer)?;
            Ok(Socket::Udp(socket, *peer))
        });
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket, SocketAddr),
    Datagram(UnixDatagram),
    /// With the frame that is written, kept for its room.
    Stream(UnixStream, Vec<u8>),
}

impl Socket {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Socket::Udp(socket, peer) => {
                socket.send(bytes)?;
                // On this machine a refusal is here before `send` returns, and would else be told with the
                // next datagram, this one lost.
                match peer.ip().is_loopback().then(|| socket.take_error()) {
                    Some(Ok(Some(refused))) => Err(refused),
                    _ => Ok(()),
                }
            }
            Socket::Datagram(socket) => socket.send(bytes).map(drop),
            Socket::Stream(socket, frame) => send_frame(socket, frame, bytes),
        }
    }
}

/// The length in four bytes, little-endian, then the payload. The Agent takes a length of 0 for the
/// end (datadog-agent, `comp/dogstatsd/listeners/uds_common.go`), so an empty payload is no frame.
fn send_frame(socket: &mut UnixStream, frame: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let length = u32::try_from(bytes.len()).map_err(|_| ErrorKind::FileTooLarge)?;
    frame.clear();
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(bytes);
    // One call, as after half a frame no other frame can follow on this connection.
    if socket.write(frame)? == frame.len() {
        Ok(())
    } else {
        Err(io::Error::new(TORN, "took only a part of the frame"))
    }
}

/// Says that a stream took a part of a frame.
const TORN: ErrorKind = ErrorKind::WriteZero;

/// The errors that std has no kind for, by number: too long, no buffer space, another type of socket.
const EMSGSIZE: i32 = if cfg!(target_os = "linux") { 90 } else { 40 };
const ENOBUFS: i32 = if cfg!(target_os = "linux") { 105 } else { 55 };
const EPROTOTYPE: i32 = if cfg!(target_os = "linux") { 91 } else { 41 };

fn outcome_of(error: io::Error) -> Outcome {
    match (error.kind(), error.raw_os_error()) {
        (_, Some(EMSGSIZE)) => Outcome::TooBig,
        (_, Some(ENOBUFS)) | (ErrorKind::WouldBlock | ErrorKind::Interrupted, _) => {
            Outcome::Busy(error)
        }
        (
            ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::NotConnected
            | ErrorKind::NotFound
            | ErrorKind::BrokenPipe
            | TORN,
            _,
        ) => Outcome::Absent(error),
        _ => Outcome::Failed(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;

    fn lazy(address: Address) -> Transport {
        Transport::new(address, Clock::system())
    }

    /// A path of its own, removed at the end.
    struct Place(PathBuf);

    impl Place {
        fn new() -> Place {
            let name = format!("dogstatsd-{}-{}", std::process::id(), fastrand::u64(..));
            Place(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn received(agent: &UdpSocket) -> String {
        let wait = Some(Duration::from_secs(5));
        agent.set_read_timeout(wait).unwrap();
        let mut bytes = [0; 65_536];
        let length = agent.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    #[test]
    fn a_refused_datagram_is_sent_again_at_once() {
        let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let place = agent.local_addr().unwrap();
        let mut transport = lazy(Address::Udp("127.0.0.1".into(), place.port()));
        assert!(matches!(transport.send(b"one"), Outcome::Sent));
        assert_eq!(received(&agent), "one");
        drop(agent);
        // A refusal comes after the send, and what was refused is kept for later.
        assert!(matches!(
            transport.send(b"nobody hears"),
            Outcome::Absent(_)
        ));
        let agent = UdpSocket::bind(place).unwrap();
        assert!(matches!(transport.send(b"two"), Outcome::Sent));
        assert_eq!(received(&agent), "two");
        assert!(matches!(transport.send(&[0; 65_508]), Outcome::TooBig));
        assert!(matches!(transport.send(b"still open"), Outcome::Sent));
        assert_eq!(received(&agent), "still open");
    }

    #[test]
    fn a_unix_socket_may_come_late_stall_and_come_again() {
        let name = format!("dogstatsd-{}-{}", std::process::id(), fastrand::u64(..));
        let path = std::env::temp_dir().join(name);
        let mut transport = lazy(Address::UnixDatagram(path.clone()));
        assert!(matches!(transport.send(b"early"), Outcome::Absent(_)));

        let agent = UnixDatagram::bind(&path).unwrap();
        let mut sent = 0;
        while matches!(transport.send(b"more"), Outcome::Sent) {
            sent += 1;
        }
        assert!(
            matches!(transport.send(b"more"), Outcome::Busy(_)),
            "after {sent}"
        );
        let mut bytes = [0; 16];
        assert_eq!(agent.recv(&mut bytes).unwrap(), 4);
        assert!(
            matches!(transport.send(b"more"), Outcome::Sent),
            "room again"
        );

        drop(agent);
        assert!(matches!(transport.send(b"gone"), Outcome::Absent(_)));
        std::fs::remove_file(&path).unwrap();
        let agent = UnixDatagram::bind(&path).unwrap();
        assert!(matches!(transport.send(b"back"), Outcome::Sent));
        assert_eq!(agent.recv(&mut bytes).unwrap(), 4);
        assert_eq!(&bytes[..4], b"back");
        std::fs::remove_file(&path).unwrap();
    }

    /// The frames of one connection until its end, and the bytes of a torn one.
    fn frames(connection: &mut UnixStream) -> (Vec<Vec<u8>>, usize) {
        let wait = Some(Duration::from_secs(5));
        connection.set_read_timeout(wait).unwrap();
        let mut all = Vec::new();
        connection.read_to_end(&mut all).unwrap();
        let (mut rest, mut frames) = (&all[..], Vec::new());
        while let Some((head, tail)) = rest.split_first_chunk() {
            let length = u32::from_le_bytes(*head) as usize;
            if tail.len() < length {
                break;
            }
            frames.push(tail[..length].to_vec());
            rest = &tail[length..];
        }
        (frames, rest.len())
    }

    #[test]
    fn a_stream_has_frames_with_their_length_and_none_that_is_empty() {
        let place = Place::new();
        let mut transport = lazy(Address::UnixStream(place.0.clone()));
        assert!(matches!(transport.send(b"early"), Outcome::Absent(_)));
        let agent = UnixListener::bind(&place.0).unwrap();
        for bytes in [&b"one"[..], b"", &[b'x'; 8_192]] {
            assert!(matches!(transport.send(bytes), Outcome::Sent));
        }
        let (mut connection, _) = agent.accept().unwrap();
        let mut start = [0; 11];
        connection.read_exact(&mut start).unwrap();
        assert_eq!(start, *b"\x03\0\0\0one\0\x20\0\0", "no frame between");
        drop(connection);
        // The peer is gone: the same frame goes to the next connection.
        assert!(matches!(transport.send(b"two"), Outcome::Sent));
        let (mut connection, _) = agent.accept().unwrap();
        drop(transport);
        assert_eq!(frames(&mut connection), (vec![b"two".to_vec()], 0));
    }

    #[test]
    fn a_torn_frame_is_sent_again_whole_on_another_connection() {
        let place = Place::new();
        let agent = UnixListener::bind(&place.0).unwrap();
        let mut transport = lazy(Address::UnixStream(place.0.clone()));
        // More than half of what a connection holds: it takes one whole and a part of the next.
        let payload = |n: u8| vec![n; 150_000];
        for n in 1..=2 {
            assert!(matches!(transport.send(&payload(n)), Outcome::Sent));
        }
        let (mut first, _) = agent.accept().unwrap();
        let (mut second, _) = agent.accept().unwrap();
        let (whole, torn) = frames(&mut first);
        assert_eq!(whole, [payload(1)]);
        assert!(torn > 0, "a part of the second frame");
        assert!(
            matches!(transport.send(&vec![0; 8 << 20]), Outcome::Failed(_)),
            "torn twice"
        );
        assert_eq!(frames(&mut second).0, [payload(2)]);
        assert!(matches!(transport.send(b"next"), Outcome::Sent));
        drop(transport);
        let (mut torn_again, _) = agent.accept().unwrap();
        assert_eq!(frames(&mut torn_again).0, Vec::<Vec<u8>>::new());
        let (mut last, _) = agent.accept().unwrap();
        assert_eq!(frames(&mut last), (vec![b"next".to_vec()], 0));
    }

    #[test]
    fn a_stream_that_nobody_reads_is_busy_and_keeps_its_frames() {
        let place = Place::new();
        let agent = UnixListener::bind(&place.0).unwrap();
        let mut transport = lazy(Address::UnixStream(place.0.clone()));
        let frame = [b'x'; 1_000];
        let mut sent = 0;
        while matches!(transport.send(&frame), Outcome::Sent) {
            sent += 1;
        }
        assert!(matches!(transport.send(&frame), Outcome::Busy(_)));
        drop(transport);
        let (mut connection, _) = agent.accept().unwrap();
        let (whole, torn) = frames(&mut connection);
        assert_eq!((whole.len(), torn), (sent, 0));
    }

    #[test]
    fn a_unix_address_takes_whichever_type_listens() {
        let place = Place::new();
        let mut transport = lazy(Address::Unix(place.0.clone()));
        assert!(matches!(transport.send(b"early"), Outcome::Absent(_)));
        let agent = UnixDatagram::bind(&place.0).unwrap();
        assert!(matches!(transport.send(b"one"), Outcome::Sent));
        assert_eq!(transport.name(), "uds");
        let mut bytes = [0; 16];
        assert_eq!(agent.recv(&mut bytes).unwrap(), 3);
        drop(agent);
        std::fs::remove_file(&place.0).unwrap();
        let agent = UnixListener::bind(&place.0).unwrap();
        assert!(matches!(transport.send(b"two"), Outcome::Sent));
        assert_eq!(transport.name(), "uds-stream");
        let (mut connection, _) = agent.accept().unwrap();
        drop(transport);
        assert_eq!(frames(&mut connection), (vec![b"two".to_vec()], 0));

        let mut other = lazy(Address::UnixDatagram(place.0.clone()));
        assert!(matches!(other.send(b"x"), Outcome::Absent(_)), "held");
    }

    #[test]
    fn a_name_that_moves_takes_the_datagrams_along() {
        let agents = ["127.0.0.1:0", "[::1]:0"].map(|place| UdpSocket::bind(place).unwrap());
        let places = agents.each_ref().map(|agent| agent.local_addr().unwrap());
        let (clock, hand) = Clock::manual(0);
        let mut answers = vec![
            Err(ErrorKind::TimedOut.into()),
            Ok(vec![places[1]]),
            Err(ErrorKind::TimedOut.into()),
            Ok(vec![places[0], places[1]]),
            Ok(vec![places[0]]),
        ];
        let look_up = move |_: &str, _| answers.pop().unwrap();
        let name = Name::with("agent", 8125, clock, Box::new(look_up));
        let mut transport = Transport::with(Address::Udp("agent".into(), 8125), name);
        for (rule, at) in [
            ("found", 0),
            ("still among those found", 0),
            ("kept while the look-up fails", 0),
            ("moved, to IPv6", 1),
            ("kept there too", 1),
        ] {
            assert!(matches!(transport.send(rule.as_bytes()), Outcome::Sent));
            assert_eq!(received(&agents[at]), rule);
            hand.advance_ns(30_000_000_000);
        }
    }

    #[test]
    fn what_the_system_says_decides_what_becomes_of_a_payload() {
        #[track_caller]
        fn check(rule: &str, number: i32, expected: &str) {
            let outcome = format!("{:?}", outcome_of(io::Error::from_raw_os_error(number)));
            let kind = outcome.split('(').next().unwrap();
            assert_eq!(kind, expected, "{rule}: {outcome}");
        }
        check("EAGAIN: the queue is full", libc(11, 35), "Busy");
        check("EINTR: a signal came", 4, "Busy");
        check("ENOBUFS: no memory for it now", ENOBUFS, "Busy");
        check("EMSGSIZE: cut it", EMSGSIZE, "TooBig");
        check("ECONNREFUSED: nobody there", libc(111, 61), "Absent");
        check("ECONNRESET: it went away", libc(104, 54), "Absent");
        check("ENOTCONN: it came back", libc(107, 57), "Absent");
        check("ENOENT: not there so far", 2, "Absent");
        check("EPIPE: the stream has ended", 32, "Absent");
        check("EPERM: a firewall", 1, "Failed");
        check("EACCES: no right to send there", 13, "Failed");
        check("ENETUNREACH: no route", libc(101, 51), "Failed");
        check("EHOSTUNREACH: no such host", libc(113, 65), "Failed");
    }

    #[test]
    fn a_connect_that_signals_interrupt_goes_on() {
        let mut says = vec![
            Ok("there"),
            Err(ErrorKind::Interrupted),
            Err(ErrorKind::Interrupted),
        ];
        let mut connect = || until_connected(|| Ok(says.pop().unwrap()?));
        assert_eq!(connect().unwrap(), "there");
        let mut tries = 0;
        let refused = until_connected(|| {
            tries += 1;
            io::Result::<()>::Err(ErrorKind::ConnectionRefused.into())
        });
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert_eq!(tries, 1, "only a signal is a reason to try again");
    }

    /// A number of Linux, and that of the BSDs and macOS.
    fn libc(linux: i32, other: i32) -> i32 {
        if cfg!(target_os = "linux") {
            linux
        } else {
            other
        }
    }

    #[test]
    fn a_refused_send_costs_its_payload_and_three_ask_for_the_name_again() {
        let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let place = agent.local_addr().unwrap();
        let (clock, hand) = Clock::manual(0);
        let (told, asked) = std::sync::mpsc::channel();
        let look_up = move |_: &str, _| {
            told.send(()).unwrap();
            Ok(vec![place])
        };
        let name = Name::with("agent", 8125, clock, Box::new(look_up));
        let mut transport = Transport::with(Address::Udp("agent".into(), 8125), name);
        assert!(matches!(transport.send(b"one"), Outcome::Sent));
        for _ in 0..3 {
            // A socket without a peer: the system refuses each send, as with a firewall.
            let stray = UdpSocket::bind("127.0.0.1:0").unwrap();
            transport.socket = Some(Socket::Udp(stray, place));
            assert!(matches!(transport.send(b"lost"), Outcome::Failed(_)));
            assert!(transport.socket.is_none(), "another socket next time");
        }
        assert_eq!(asked.try_iter().count(), 1);
        hand.advance_ns(1_000_000_000);
        assert!(matches!(transport.send(b"two"), Outcome::Sent));
        assert_eq!(asked.try_iter().count(), 1, "before its time");
        assert_eq!([received(&agent), received(&agent)], ["one", "two"]);
    }
}
