//! Where a client connects, and its text.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a client connects. Parses from and prints as `http://host:port` or `unix:///path`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A host name or address (IPv6 without brackets) and a port.
    Tcp(String, u16),
    /// The path of a Unix stream socket.
    Unix(PathBuf),
}

/// A text that is not a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseTargetError {
    text: String,
    why: &'static str,
}

impl fmt::Display for ParseTargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ParseTargetError { text, why } = self;
        write!(f, "{text:?}: {why}; takes http://host:port or unix:///path")
    }
}

impl std::error::Error for ParseTargetError {}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Tcp(host, port) if host.contains(':') => write!(f, "http://[{host}]:{port}"),
            Target::Tcp(host, port) => write!(f, "http://{host}:{port}"),
            Target::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

impl FromStr for Target {
    type Err = ParseTargetError;

    fn from_str(text: &str) -> Result<Target, ParseTargetError> {
        let refuse = |why| {
            Err(ParseTargetError {
                text: text.to_string(),
                why,
            })
        };
        if let Some(path) = text.strip_prefix("unix://") {
            return match path {
                _ if path.len() > 107 => refuse("a socket's path has at most 107 bytes"),
                _ if path.contains('\0') => refuse("a socket's path holds no NUL"),
                _ if path.starts_with('/') => Ok(Target::Unix(PathBuf::from(path))),
                _ => refuse("a socket's path is absolute"),
            };
        }
        if text.starts_with("https://") {
            return refuse("TLS is not spoken here");
        }
        let rest = text.strip_prefix("http://").unwrap_or(text);
        if rest.contains("://") {
            return refuse("unknown scheme");
        }
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match authority.strip_prefix('[').and_then(|a| a.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => match port.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None => return refuse("after ] comes :port"),
            },
            None => match authority.rsplit_once(':') {
                Some((host, _)) if host.contains(':') => {
                    return refuse("an IPv6 address stands in brackets");
                }
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = match port {
            None => 80,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => match digits.parse() {
                Ok(port) if port > 0 => port,
                _ => return refuse("a port is 1 to 65535"),
            },
            Some(_) => return refuse("a port is a number"),
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:%".contains(&b);
        if host.is_empty() || !host.bytes().all(plain) {
            return refuse("not a host name or address");
        }
        Ok(Target::Tcp(host.to_string(), port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, text: &str, expected: Result<&str, &str>) {
        let parsed = text.parse::<Target>();
        match (&parsed, expected) {
            (Ok(target), Ok(printed)) => {
                assert_eq!(target.to_string(), printed, "{rule}");
                assert_eq!(
                    printed.parse::<Target>().as_ref(),
                    Ok(target),
                    "{rule}: round trip"
                );
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{rule}: {error}"),
            _ => panic!("{rule}: {parsed:?} but expected {expected:?}"),
        }
    }

    #[test]
    fn every_form_of_an_address_parses_and_prints() {
        check(
            "host and port",
            "http://localhost:8126",
            Ok("http://localhost:8126"),
        );
        check(
            "a slash at the end",
            "http://localhost:8126/",
            Ok("http://localhost:8126"),
        );
        check("no scheme", "10.0.0.1:8126", Ok("http://10.0.0.1:8126"));
        check("no port is 80", "http://agent", Ok("http://agent:80"));
        check(
            "IPv6 in brackets",
            "http://[::1]:8126",
            Ok("http://[::1]:8126"),
        );
        check(
            "IPv6 without port",
            "http://[fe80::1%eth0]",
            Ok("http://[fe80::1%eth0]:80"),
        );
        check(
            "a socket",
            "unix:///var/run/datadog/apm.socket",
            Ok("unix:///var/run/datadog/apm.socket"),
        );
        check("IPv6 without brackets", "http://::1:8126", Err("brackets"));
        check("TLS", "https://agent:8126", Err("TLS"));
        check("another scheme", "ftp://agent", Err("scheme"));
        check("port 0", "agent:0", Err("1 to 65535"));
        check("port too large", "agent:65536", Err("1 to 65535"));
        check("port with a sign", "agent:+80", Err("a number"));
        check("no port after the colon", "agent:", Err("1 to 65535"));
        check("a path", "http://agent:8126/x", Err("a number"));
        check("a header in the host", "a\r\nb:80", Err("host name"));
        check("nothing", "", Err("host name"));
        check("a relative socket", "unix://apm.socket", Err("absolute"));
        check(
            "a socket's path too long",
            &format!("unix:///{}", "x".repeat(107)),
            Err("107"),
        );
    }
}
