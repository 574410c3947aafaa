//! The addresses of a host name: looked up on the worker's thread, and again now and then.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use crate::clock::Clock;

/// An address is believed for so long.
const REFRESH: Duration = Duration::from_secs(30);

/// Errors in a row after which it is looked up before its time, but not more often than this.
const ERRORS_MAX: u32 = 3;
const REFRESH_AFTER_ERRORS: Duration = Duration::from_secs(1);

/// The system's resolver, or that of a test.
pub(super) type LookUp = Box<dyn FnMut(&str, u16) -> io::Result<Vec<SocketAddr>> + Send>;

/// A host, a port, and the addresses last found for them.
pub(super) struct Name {
    host: String,
    port: u16,
    look_up: LookUp,
    clock: Clock,
    found: Vec<SocketAddr>,
    looked_up_ns: Option<u64>,
    errors: u32,
}

impl Name {
    pub(super) fn new(host: &str, port: u16, clock: Clock) -> Name {
        let system = |host: &str, port| (host, port).to_socket_addrs().map(Iterator::collect);
        Name::with(host, port, clock, Box::new(system))
    }

    pub(super) fn with(host: &str, port: u16, clock: Clock, look_up: LookUp) -> Name {
        Name {
            host: host.to_string(),
            port,
            look_up,
            clock,
            found: Vec::new(),
            looked_up_ns: None,
            errors: 0,
        }
    }

    /// The addresses to try, in this order, after a look-up if one is due. IPv4 first: an Agent on
    /// `localhost` listens there, and UDP would not tell at once.
    ///
    /// # Errors
    /// The look-up failed and no address was known before.
    pub(super) fn addresses(&mut self) -> io::Result<&[SocketAddr]> {
        if self.is_due() {
            self.looked_up_ns = Some(self.clock.mono_ns());
            self.errors = 0;
            match (self.look_up)(&self.host, self.port) {
                Ok(found) if !found.is_empty() => {
                    self.found = found;
                    self.found.sort_by_key(SocketAddr::is_ipv6);
                }
                Err(error) if self.found.is_empty() => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        if self.found.is_empty() {
            let text = "no address for this name";
            return Err(io::Error::new(ErrorKind::NotFound, text));
        }
        Ok(&self.found)
    }

    /// What became of a first try.
    pub(super) fn note(&mut self, well: bool) {
        self.errors = if well { 0 } else { self.errors + 1 };
    }

    fn is_due(&self) -> bool {
        let Some(then_ns) = self.looked_up_ns.filter(|_| !self.found.is_empty()) else {
            return true;
        };
        let long_ago = |time: Duration| {
            let passed_ns = self.clock.mono_ns().saturating_sub(then_ns);
            Duration::from_nanos(passed_ns) >= time
        };
        // An address in digits never changes.
        let is_name = self.host.parse::<IpAddr>().is_err();
        let doubted = self.errors >= ERRORS_MAX && long_ago(REFRESH_AFTER_ERRORS);
        is_name && (doubted || long_ago(REFRESH))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Name")
            .field("host", &self.host)
            .field("found", &self.found)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What the resolver says next, and how often it was asked.
    #[derive(Clone, Default)]
    struct Resolver(Arc<Mutex<(Vec<&'static str>, u32)>>);

    impl Resolver {
        fn says(&self, addresses: &[&'static str]) {
            self.0.lock().unwrap().0 = addresses.to_vec();
        }

        /// An address that cannot be read stands for an error.
        fn look_up(&self) -> LookUp {
            let shared = self.0.clone();
            Box::new(move |host, port| {
                assert_eq!((host, port), ("agent", 8125));
                let mut shared = shared.lock().unwrap();
                shared.1 += 1;
                let read = |text: &&str| text.parse().map_err(io::Error::other);
                shared.0.iter().map(read).collect()
            })
        }
    }

    #[test]
    fn a_name_is_looked_up_again_after_its_time_or_three_errors() {
        let (clock, hand) = Clock::manual(0);
        let resolver = Resolver::default();
        let mut name = Name::with("agent", 8125, clock, resolver.look_up());
        let mut check =
            |rule: &str, says: &[&'static str], (ms, errors): (u32, u32), expected: &str, asked| {
                resolver.says(says);
                hand.advance_ns(u64::from(ms) * 1_000_000_u64);
                (0..errors).for_each(|_| name.note(false));
                let found = match name.addresses() {
                    Ok(found) => found[0].to_string(),
                    Err(error) => error.kind().to_string(),
                };
                assert_eq!(found, expected, "{rule}");
                assert_eq!(resolver.0.lock().unwrap().1, asked, "{rule}: times asked");
                if errors == 2 {
                    name.note(true);
                }
            };
        let (one, two) = ("10.0.0.1:1", "10.0.0.2:1");
        check("an error at first", &["no"], (0, 0), "other error", 1);
        check("none at first", &[], (0, 0), "entity not found", 2);
        check("IPv4 first", &["[::1]:1", one], (0, 0), one, 3);
        check("held", &[two], (29_999, 0), one, 3);
        check("after 30 s", &[two], (1, 0), two, 4);
        check("a failure keeps the old", &["no"], (30_000, 0), two, 5);
        check("so does an empty answer", &[], (30_000, 0), two, 6);
        check("no second look at once", &[one], (0, 0), two, 6);
        check("two errors, then none", &[one], (2_000, 2), two, 6);
        check("one more is not in a row", &[one], (0, 1), two, 6);
        check("three are", &[one], (0, 2), one, 7);
        check("three more at once", &[two], (999, 3), one, 7);
        check("and a second later", &[two], (1, 0), two, 8);
    }

    #[test]
    fn digits_are_looked_up_once() {
        let (clock, hand) = Clock::manual(0);
        let once = |_: &str, port| Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]);
        let mut name = Name::with("127.0.0.1", 8125, clock, Box::new(once));
        name.addresses().unwrap();
        hand.advance_ns(60_000_000_000);
        assert!(!name.is_due());
    }
}
