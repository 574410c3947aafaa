//! Datagrams to a socket: connected late, never blocking, one more try after a peer came back.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::str::FromStr;

use super::Error;

/// Where the Agent listens. Its text form reads back as the same address.
///
/// ```
/// use testapi::dogstatsd::Address;
///
/// let address: Address = "[::1]:8125".parse()?;
/// assert_eq!(address, Address::Udp("::1".into(), 8125));
/// assert_eq!(address.to_string(), "udp://[::1]:8125");
/// # Ok::<(), testapi::dogstatsd::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host name or address (IPv6 without brackets) and a port.
    Udp(String, u16),
    /// The path of a Unix datagram socket.
    UnixDatagram(PathBuf),
}

impl Default for Address {
    /// Where an Agent on the same host listens.
    fn default() -> Address {
        Address::Udp("127.0.0.1".to_string(), 8125)
    }
}

impl FromStr for Address {
    type Err = Error;

    /// Takes `udp://host:port`, `host:port`, `unix:///path` and `unixgram:///path`.
    fn from_str(text: &str) -> Result<Address, Error> {
        let refused = || Error::Address(text.to_string());
        for scheme in ["unix://", "unixgram://"] {
            match text.strip_prefix(scheme) {
                Some("") => return Err(refused()),
                Some(path) => return Ok(Address::UnixDatagram(path.into())),
                None => {}
            }
        }
        let place = text.strip_prefix("udp://").unwrap_or(text);
        let (host, port) = place.rsplit_once(':').ok_or_else(refused)?;
        let bare = match host.strip_prefix('[') {
            Some(rest) => rest
                .strip_suffix(']')
                .filter(|host| host.parse::<Ipv6Addr>().is_ok()),
            None => Some(host).filter(|host| is_host_name(host)),
        };
        match (bare, port.parse()) {
            (Some(host), Ok(port)) if port > 0 => Ok(Address::Udp(host.to_string(), port)),
            _ => Err(refused()),
        }
    }
}

fn is_host_name(host: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    !host.is_empty() && host.chars().all(allowed)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Udp(host, port) if host.contains(':') => write!(f, "udp://[{host}]:{port}"),
            Address::Udp(host, port) => write!(f, "udp://{host}:{port}"),
            Address::UnixDatagram(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

impl Address {
    /// Bytes a datagram may have: 1432 pass an Ethernet frame whole, 8192 is the Agent's buffer
    /// (datadog-go, `statsd/statsdex.go`).
    pub(super) fn datagram_bytes_max(&self) -> usize {
        match self {
            Address::Udp(..) => 1_432,
            Address::UnixDatagram(_) => 8_192,
        }
    }

    /// UDP drops silently what the receiver's buffer cannot take; a Unix socket says so.
    pub(super) fn needs_pace(&self) -> bool {
        matches!(self, Address::Udp(..))
    }

    fn connect(&self) -> io::Result<Socket> {
        match self {
            Address::Udp(host, port) => connect_udp(host, *port).map(Socket::Udp),
            Address::UnixDatagram(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                socket.connect(path)?;
                Ok(Socket::Unix(socket))
            }
        }
    }
}

/// IPv4 first: an Agent on `localhost` listens there, and UDP would not tell at once.
fn connect_udp(host: &str, port: u16) -> io::Result<UdpSocket> {
    let mut found: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    let mut outcome = Err(io::Error::new(
        ErrorKind::NotFound,
        "no address for this name",
    ));
    for peer in found {
        let own = match peer {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        outcome = UdpSocket::bind(own).and_then(|socket| {
            socket.set_nonblocking(true)?;
            socket.connect(peer)?;
            Ok(socket)
        });
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl Socket {
    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Udp(socket) => socket.send(bytes),
            Socket::Unix(socket) => socket.send(bytes),
        }
    }
}

/// What became of a datagram.
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
    socket: Option<Socket>,
}

impl Transport {
    /// Connects with the first datagram, so it does not matter who starts first.
    pub(super) fn new(address: Address) -> Transport {
        Transport {
            address,
            socket: None,
        }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Hands one datagram to the socket.
    ///
    /// A connected UDP socket tells of a refused datagram with the next send, which then sends
    /// nothing; a Unix socket whose peer restarted stays dead. Both want one more try at once.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Outcome {
        match self.try_send(bytes) {
            Outcome::Absent(_) if self.socket.take().is_some() => self.try_send(bytes),
            outcome => outcome,
        }
    }

    fn try_send(&mut self, bytes: &[u8]) -> Outcome {
        let socket = match self
            .socket
            .take()
            .map_or_else(|| self.address.connect(), Ok)
        {
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

/// The two errors that std has no kind for, by number: too long, and no buffer space.
const EMSGSIZE: i32 = if cfg!(target_os = "linux") { 90 } else { 40 };
const ENOBUFS: i32 = if cfg!(target_os = "linux") { 105 } else { 55 };

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
            | ErrorKind::BrokenPipe,
            _,
        ) => Outcome::Absent(error),
        _ => Outcome::Failed(error),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[track_caller]
    fn check(rule: &str, text: &str, address: Option<Address>) {
        match (text.parse::<Address>(), address) {
            (Ok(read), Some(address)) => {
                assert_eq!(read, address, "{rule}");
                assert_eq!(read.to_string().parse(), Ok(address), "{rule}: read back");
            }
            (Err(error), None) => assert_eq!(error, Error::Address(text.to_string()), "{rule}"),
            (read, _) => panic!("{rule}: {text} gave {read:?}"),
        }
    }

    #[test]
    fn addresses() {
        let udp = |host: &str, port| Some(Address::Udp(host.to_string(), port));
        let unix = |path: &str| Some(Address::UnixDatagram(path.into()));
        check("udp", "udp://agent:8125", udp("agent", 8125));
        check("no scheme", "127.0.0.1:1", udp("127.0.0.1", 1));
        check("greatest port", "a-b_c.d:65535", udp("a-b_c.d", 65_535));
        check("IPv6", "udp://[::1]:8125", udp("::1", 8125));
        check("IPv6, no scheme", "[fe80::1]:9", udp("fe80::1", 9));
        check("unix", "unix:///run/dsd.socket", unix("/run/dsd.socket"));
        check("unixgram", "unixgram:///run/a b:c", unix("/run/a b:c"));
        check("relative path", "unix://dsd.socket", unix("dsd.socket"));
        for text in [
            "",
            ":8125",
            "udp://",
            "agent",
            "udp://agent:",
            "agent:0",
            "agent:65536",
            "agent:x",
            "::1:8125",
            "[::1]",
            "[agent]:8125",
            "[::1:8125",
            "unix://",
            "unixgram://",
            "unixstream:///run/a",
            "tcp://agent:8125",
            "udp://agent:8125/path",
            "udp://a b:8125",
        ] {
            check("refused", text, None);
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
        let mut transport = Transport::new(Address::Udp("127.0.0.1".into(), place.port()));
        assert!(matches!(transport.send(b"one"), Outcome::Sent));
        assert_eq!(received(&agent), "one");
        drop(agent);
        assert!(matches!(transport.send(b"nobody hears"), Outcome::Sent));
        // The refusal of that one comes with the next send, which would be lost without a retry.
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
        let mut transport = Transport::new(Address::UnixDatagram(path.clone()));
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
}
