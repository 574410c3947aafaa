//! How many connections wait to be accepted, as Linux tells it in /proc.
//!
//! Of a listening socket the column `rx_queue` is the length of its accept queue (Linux,
//! `net/ipv4/tcp_ipv4.c`, `get_tcp4_sock`; `man 5 proc` for the columns).

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// `TCP_LISTEN` of the kernel's `include/net/tcp_states.h`.
const LISTENS: &str = "0A";

/// Listening sockets stand first, so ours is found long before.
const TABLE_BYTES_MAX: u64 = 4 << 20;

/// The accept queue of one listening socket.
#[derive(Debug)]
pub struct Backlog {
    table: PathBuf,
    address: SocketAddr,
}

/// Why the accept queue cannot be told.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unreadable {
    /// The table is not there, or may not be read.
    Table(PathBuf, io::Error),
    /// The table has no listening socket of this address.
    Socket(PathBuf, SocketAddr),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Table(path, error) => {
                write!(f, "cannot read {}: {error}", path.display())
            }
            Unreadable::Socket(path, address) => {
                write!(f, "{} has no row that listens on {address}", path.display())
            }
        }
    }
}

impl std::error::Error for Unreadable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Unreadable::Table(_, error) => Some(error),
            Unreadable::Socket(..) => None,
        }
    }
}

impl Backlog {
    /// Of the socket that listens here; looks at once whether it can be told.
    ///
    /// # Errors
    /// [`Unreadable`]
    pub fn of(address: SocketAddr) -> Result<Backlog, Unreadable> {
        Backlog::in_proc(Path::new("/proc"), address)
    }

    fn in_proc(proc: &Path, address: SocketAddr) -> Result<Backlog, Unreadable> {
        let table = if address.is_ipv4() { "tcp" } else { "tcp6" };
        let table = proc.join("net").join(table);
        let backlog = Backlog { table, address };
        backlog.waiting()?;
        Ok(backlog)
    }

    /// Connections that wait to be accepted.
    ///
    /// # Errors
    /// [`Unreadable`]
    pub fn waiting(&self) -> Result<u64, Unreadable> {
        let unreadable = |error| Unreadable::Table(self.table.clone(), error);
        let file = File::open(&self.table).map_err(unreadable)?;
        let found = waiting_in(BufReader::new(file.take(TABLE_BYTES_MAX)), self.address);
        found
            .map_err(unreadable)?
            .ok_or_else(|| Unreadable::Socket(self.table.clone(), self.address))
    }
}

fn waiting_in(table: impl BufRead, address: SocketAddr) -> io::Result<Option<u64>> {
    for line in table.lines() {
        if let Some((listens_on, waiting)) = row(&line?)
            && listens_on == (address.ip(), address.port())
        {
            return Ok(Some(waiting));
        }
    }
    Ok(None)
}

/// Address and queue of a row that listens.
fn row(line: &str) -> Option<((IpAddr, u16), u64)> {
    let mut columns = line.split_ascii_whitespace();
    let (local, state, queues) = (columns.nth(1)?, columns.nth(1)?, columns.next()?);
    if state != LISTENS {
        return None;
    }
    let (ip, port) = local.split_once(':')?;
    let (_, received) = queues.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let waiting = u64::from_str_radix(received, 16).ok()?;
    Some(((ip_of(ip)?, port), waiting))
}

/// Words of 32 bits, each as the machine holds it.
fn ip_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = hex.get(at * 8..at * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let bytes: [u8; 16] = words.as_flattened().try_into().ok()?;
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    const TITLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when \
                         retrnsmt   uid  timeout inode";
    const REST: &str = "00:00000000 00000000     0        0 311128 4 000000001d3f7e35 100 0 0 10 0";

    #[track_caller]
    fn check(rule: &str, columns: &str, address: &str, expected: Option<u64>) {
        let table = format!("{TITLE}\n   0: {columns} {REST}\n");
        let found = waiting_in(table.as_bytes(), address.parse().unwrap()).unwrap();
        assert_eq!(found, expected, "{rule}");
    }

    /// Rows as a machine of low end first writes them.
    #[test]
    #[cfg(target_endian = "little")]
    fn rows_of_the_kernels_tables() {
        let ours = "127.0.0.1:5000";
        let empty = "0100007F:1388 00000000:0000 0A 00000000:00000000";
        check("nobody waits", empty, ours, Some(0));
        let three = "0100007F:1388 00000000:0000 0A 00000000:00000003";
        check("three wait", three, ours, Some(3));
        let hex = "0100007F:1388 00000000:0000 0A 00000000:00000080";
        check("in hex", hex, ours, Some(128));
        let sent = "0100007F:1388 00000000:0000 0A 00000080:00000001";
        check("the second of the two queues", sent, ours, Some(1));
        let open = "0100007F:1388 0100007F:DDFE 01 00000000:00000009";
        check("a connection does not listen", open, ours, None);
        check("another port", three, "127.0.0.1:5001", None);
        check("another address", three, "127.0.0.2:5000", None);
        check("every address is another", three, "0.0.0.0:5000", None);
        let any = "00000000:1388 00000000:0000 0A 00000000:00000002";
        check("every address", any, "0.0.0.0:5000", Some(2));
        let any6 = "00000000000000000000000000000000:1388 \
                    00000000000000000000000000000000:0000 0A 00000000:00000004";
        check("every address of IPv6", any6, "[::]:5000", Some(4));
        let one6 = "00000000000000000000000001000000:1388 \
                    00000000000000000000000000000000:0000 0A 00000000:00000005";
        check("one of IPv6", one6, "[::1]:5000", Some(5));
        let words = "B80D0120000000000000000001000000:1388 \
                     00000000000000000000000000000000:0000 0A 00000000:00000006";
        check("each word by itself", words, "[2001:db8::1]:5000", Some(6));
        for (rule, columns) in [
            ("no columns", ""),
            ("no port", "0100007F 00000000:0000 0A 00000000:00000001"),
            ("an address too short", "00007F:1388 00000000:0000 0A 0:1"),
            (
                "not hex",
                "0100007G:1388 00000000:0000 0A 00000000:00000001",
            ),
            ("one queue", "0100007F:1388 00000000:0000 0A 00000001"),
        ] {
            check(rule, columns, ours, None);
        }
    }

    #[test]
    fn a_row_that_is_cut_tells_nothing() {
        let whole = "0: 0100007F:1388 00000000:0000 0A 00000000:00000003";
        for end in 0..=whole.rfind(':').unwrap() + 1 {
            assert_eq!(row(&whole[..end]), None, "{:?}", &whole[..end]);
        }
        assert_eq!(row(whole).map(|(_, waiting)| waiting), Some(3));
    }

    #[test]
    fn the_first_row_that_listens_counts() {
        let row = |columns: &str| format!("   0: {columns} {REST}\n");
        let table = [
            row("00000000:07E8 00000000:0000 0A 00000000:00000007"),
            row("0100007F:1388 00000000:0000 0A 00000000:00000002"),
            row("0100007F:1388 0100007F:DDFE 01 00000000:00000009"),
        ]
        .concat();
        let found = waiting_in(table.as_bytes(), "127.0.0.1:5000".parse().unwrap());
        let expected = cfg!(target_endian = "little").then_some(2);
        assert_eq!(found.unwrap(), expected);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_kernel_tells_who_waits() {
        // Addresses of this test's own: nobody else gets its port when it is free again.
        for bind in ["127.0.0.7:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(bind) else {
                continue;
            };
            let address = listener.local_addr().unwrap();
            let backlog = Backlog::of(address).unwrap();
            assert_eq!(backlog.waiting().unwrap(), 0);
            let waiting = [(); 3].map(|()| TcpStream::connect(address).unwrap());
            // The last word of a handshake may still be on its way.
            while backlog.waiting().unwrap() < 3 {
                std::thread::yield_now();
            }
            let _ = listener.accept().unwrap();
            assert_eq!(backlog.waiting().unwrap(), 2);
            drop((listener, waiting));
            // A program that another test starts has all descriptors until its own first step.
            let gone = loop {
                match backlog.waiting() {
                    Ok(_) => std::thread::yield_now(),
                    Err(error) => break error.to_string(),
                }
            };
            assert!(
                gone.ends_with(&format!("has no row that listens on {address}")),
                "{gone}"
            );
        }
    }

    #[test]
    fn where_there_is_no_table_the_error_names_it() {
        let address = "127.0.0.1:5000".parse().unwrap();
        let error = Backlog::in_proc(Path::new("/nowhere"), address).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("cannot read /nowhere/net/tcp: No such file"),
            "{text}"
        );
        let address = "[::1]:5000".parse().unwrap();
        let error = Backlog::in_proc(Path::new("/nowhere"), address).unwrap_err();
        assert!(error.to_string().contains("/nowhere/net/tcp6: "), "{error}");
        assert!(!fs::exists("/nowhere").unwrap());
    }
}
