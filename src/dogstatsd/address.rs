//! Where to send: the address and its text.

use std::fmt;
use std::net::Ipv6Addr;
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
    /// The path of a Unix socket: a datagram socket, or a stream where that is what listens.
    Unix(PathBuf),
    /// The path of a Unix datagram socket.
    UnixDatagram(PathBuf),
    /// The path of a Unix stream socket.
    UnixStream(PathBuf),
}

impl Default for Address {
    /// Where an Agent on the same host listens.
    fn default() -> Address {
        Address::Udp("127.0.0.1".to_string(), 8125)
    }
}

impl FromStr for Address {
    type Err = Error;

    /// Takes `udp://host:port`, `host:port`, `unix:///path`, `unixgram:///path` and
    /// `unixstream:///path`.
    fn from_str(text: &str) -> Result<Address, Error> {
        let refused = || Error::Address(text.to_string());
        for (scheme, address) in UNIX_SCHEMES {
            match text.strip_prefix(scheme) {
                Some("") => return Err(refused()),
                Some(path) => return Ok(address(path.into())),
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

type OfPath = fn(PathBuf) -> Address;

/// The schemes that datadog-go and datadogpy read (`statsd/uds.go`, `dogstatsd/base.py`).
const UNIX_SCHEMES: [(&str, OfPath); 3] = [
    ("unix://", Address::Unix),
    ("unixgram://", Address::UnixDatagram),
    ("unixstream://", Address::UnixStream),
];

fn is_host_name(host: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    !host.is_empty() && host.chars().all(allowed)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Udp(host, port) if host.contains(':') => write!(f, "udp://[{host}]:{port}"),
            Address::Udp(host, port) => write!(f, "udp://{host}:{port}"),
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
            Address::UnixDatagram(path) => write!(f, "unixgram://{}", path.display()),
            Address::UnixStream(path) => write!(f, "unixstream://{}", path.display()),
        }
    }
}

impl Address {
    /// Bytes a payload may have: 1432 pass an Ethernet frame whole, 8192 is the Agent's buffer
    /// (datadog-go, `statsd/statsdex.go`).
    pub(super) fn datagram_bytes_max(&self) -> usize {
        match self {
            Address::Udp(..) => 1_432,
            Address::Unix(_) | Address::UnixDatagram(_) | Address::UnixStream(_) => 8_192,
        }
    }

    /// UDP drops silently what the receiver's buffer cannot take; a Unix socket says so.
    pub(super) fn needs_pace(&self) -> bool {
        matches!(self, Address::Udp(..))
    }
}

#[cfg(test)]
mod tests {
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
        let unix = |path: &str| Some(Address::Unix(path.into()));
        let datagram = |path: &str| Some(Address::UnixDatagram(path.into()));
        let stream = |path: &str| Some(Address::UnixStream(path.into()));
        check("udp", "udp://agent:8125", udp("agent", 8125));
        check("no scheme", "127.0.0.1:1", udp("127.0.0.1", 1));
        check("greatest port", "a-b_c.d:65535", udp("a-b_c.d", 65_535));
        check("IPv6", "udp://[::1]:8125", udp("::1", 8125));
        check("IPv6, no scheme", "[fe80::1]:9", udp("fe80::1", 9));
        check("unix", "unix:///run/dsd.socket", unix("/run/dsd.socket"));
        check("unixgram", "unixgram:///run/a b:c", datagram("/run/a b:c"));
        check("unixstream", "unixstream:///run/a", stream("/run/a"));
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
            "unixstream://",
            "tcp://agent:8125",
            "udp://agent:8125/path",
            "udp://a b:8125",
        ] {
            check("refused", text, None);
        }
    }
}
