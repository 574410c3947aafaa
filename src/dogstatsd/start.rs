//! From options to a running client.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::aggregate::{Aggregate, BYTES_MAX, Bounds};
use super::client::{Core, Shared};
use super::encode::Origin;
use super::job::Exporter;
use super::known::{self, Known};
use super::ledger::Tally;
use super::pack::Packer;
use super::stripes::STRIPES;
use super::tags::GlobalTags;
use super::telemetry::Telemetry;
use super::transport::Transport;
use super::window::Windows;
use super::{Client, Options};
use crate::clock::Clock;
use crate::identity::Identity;
use crate::worker::{self, Guard, Limits};

/// Bytes of all tables of known series.
const KNOWN_BYTES_MAX: usize = 8 << 20;

/// Handles that there is room for, however few contexts a window may have: they are made by the program,
/// not by its callers' words.
const HANDLES_MAX_LEAST: usize = 5_000;

/// Starts the thread `dd-dogstatsd` and gives a client to it. Does not look for the Agent yet.
///
/// # Errors
/// When the system refuses another thread.
pub fn start(options: Options, identity: &Identity, clock: Clock) -> io::Result<(Client, Guard)> {
    let transport = Transport::new(options.address.clone(), clock.clone());
    start_on(transport, options, identity, clock)
}

fn start_on(
    transport: Transport,
    options: Options,
    identity: &Identity,
    clock: Clock,
) -> io::Result<(Client, Guard)> {
    let globals = GlobalTags::of(identity);
    let origin = Origin::of(identity, options.cardinality);
    let tally = Arc::new(Tally::default());
    let bytes_max = options.datagram_bytes_max;
    let bytes_max = bytes_max.unwrap_or_else(|| options.address.datagram_bytes_max());
    let backlog = options.backlog_bytes_max;
    let packer = Packer::new(bytes_max, backlog, origin.clone(), tally.clone());
    let bounds = Bounds {
        contexts_max: options.contexts_max,
        set_members_max: options.set_members_max,
        values_max: options.values_max.max(1),
        bytes_max: BYTES_MAX,
    };
    let aggregate = Aggregate::new(bounds, globals.with(&[("overflow", "true")]));
    let shared = Arc::new(Shared {
        enabled: options.enabled,
        tally,
        stopped: AtomicBool::new(false),
        globals,
        datagram_bytes_max: bytes_max,
        origin_bytes: origin.bytes(),
        origin,
        handles_max: options.contexts_max.max(HANDLES_MAX_LEAST),
        values_max: bounds.values_max,
        known: Known::new(known::Bounds {
            series_max: options.contexts_max,
            bytes_max: KNOWN_BYTES_MAX / STRIPES,
            values_max: bounds.values_max,
        }),
        series: Default::default(),
    });
    let limits = Limits {
        queue_items_max: options.queue_items_max,
        queue_bytes_max: options.queue_bytes_max,
        flush_interval: Windows::tick(options.flush_interval),
        ..Limits::default()
    };
    let windows = Windows::new(options.flush_interval, clock.clone());
    let telemetry = Telemetry::new(options.telemetry && options.enabled, clock.clone());
    let out = (packer, transport);
    let exporter = Exporter::new(shared.clone(), aggregate, out, (windows, telemetry));
    let (queue, guard) = worker::start("dd-dogstatsd", limits, clock, exporter)?;
    Ok((Client(Arc::new(Core { queue, shared })), guard))
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, UdpSocket};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use super::super::name::{LookUp, Name};
    use super::*;
    use crate::clock::Hand;
    use crate::dogstatsd::Address;
    use crate::worker::AskError;

    const DEADLINE: Duration = Duration::from_secs(10);

    type Answer = io::Result<Vec<SocketAddr>>;

    /// A client whose resolver says what the test says, when the test says it.
    struct Resolved {
        client: Client,
        guard: Guard,
        hand: Hand,
        /// Answers, each given once.
        says: Sender<Answer>,
        /// Questions so far.
        asked: Receiver<()>,
        agent: UdpSocket,
    }

    impl Resolved {
        fn new() -> Resolved {
            let ((tell, asked), (says, heard)) = (channel(), channel::<Answer>());
            Resolved::with((says, asked), move || {
                tell.send(()).unwrap();
                heard.recv().unwrap()
            })
        }

        fn with(
            (says, asked): (Sender<Answer>, Receiver<()>),
            mut answer: impl FnMut() -> Answer + Send + 'static,
        ) -> Resolved {
            let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
            agent.set_read_timeout(Some(DEADLINE)).unwrap();
            let (clock, hand) = Clock::manual(1_700_000_000_000_000_000);
            let look_up: LookUp = Box::new(move |_, _| answer());
            let name = Name::with("agent", 8125, clock.clone(), look_up);
            let options = Options {
                address: Address::Udp("agent".into(), 8125),
                flush_interval: Duration::from_secs(3_600),
                telemetry: false,
                ..Options::default()
            };
            let transport = Transport::with(options.address.clone(), name);
            let (client, guard) =
                start_on(transport, options, &Identity::default(), clock).unwrap();
            Resolved {
                client,
                guard,
                hand,
                says,
                asked,
                agent,
            }
        }

        fn place(&self) -> SocketAddr {
            self.agent.local_addr().unwrap()
        }

        fn received(&self) -> String {
            let mut bytes = [0; 8_192];
            let length = self.agent.recv(&mut bytes).unwrap();
            String::from_utf8(bytes[..length].to_vec()).unwrap()
        }

        #[track_caller]
        fn check(&self, rule: &str, (sent, pending): (u64, u64)) {
            let ledger = self.client.ledger();
            assert!(ledger.balances(), "{rule}: {ledger:?}");
            assert_eq!((ledger.sent, ledger.pending), (sent, pending), "{rule}");
            assert!(ledger.dropped.is_empty(), "{rule}: {ledger:?}");
        }
    }

    #[test]
    fn a_resolver_that_hangs_holds_no_caller() {
        let pair = Resolved::new();
        pair.client.count("n", 1, &[]).unwrap();
        let answer = pair.client.flush(Duration::ZERO);
        assert_eq!(answer, Err(AskError::Deadline), "who asks may wait");
        pair.asked.recv_timeout(DEADLINE).unwrap();
        for _ in 0..50_000 {
            pair.client.count("n", 1, &[]).unwrap();
        }
        pair.check("while it hangs", (0, 50_001));
        pair.says.send(Ok(vec![pair.place()])).unwrap();
        pair.client.flush(DEADLINE).unwrap();
        let sums = [pair.received(), pair.received()].map(|line| {
            let value = line.strip_prefix("n:").and_then(|s| s.strip_suffix("|c\n"));
            value.unwrap().parse::<u64>().unwrap()
        });
        assert_eq!(sums.iter().sum::<u64>(), 50_001);
        pair.check("all sent", (50_001, 0));
    }

    #[test]
    fn a_resolver_that_fails_loses_nothing_and_is_told() {
        let pair = Resolved::new();
        for (n, answer) in [Err(io::Error::other("SERVFAIL")), Ok(Vec::new())]
            .into_iter()
            .enumerate()
        {
            pair.client.count("n", 1, &[]).unwrap();
            pair.says.send(answer).unwrap();
            let error = pair.client.flush(DEADLINE).unwrap_err().to_string();
            let why = ["SERVFAIL", "no address for this name"][n];
            assert_eq!(
                error,
                format!("cannot send to udp://agent:8125 (DD_DOGSTATSD_URL): {why}")
            );
            pair.check("held", (0, n as u64 + 1));
        }
        pair.says.send(Ok(vec![pair.place()])).unwrap();
        pair.client.flush(DEADLINE).unwrap();
        assert_eq!([pair.received(), pair.received()], ["n:1|c\n", "n:1|c\n"]);
        pair.check("sent", (2, 0));
    }

    /// Without a route the system says ENETUNREACH, with one EACCES: no socket of ours may broadcast.
    #[test]
    fn an_address_that_cannot_be_reached_is_looked_up_again_and_nothing_is_lost() {
        let pair = Resolved::new();
        pair.client.count("n", 1, &[]).unwrap();
        let nowhere = SocketAddr::from(([255, 255, 255, 255], 8125));
        pair.says.send(Ok(vec![nowhere])).unwrap();
        for _ in 0..3 {
            pair.client.flush(DEADLINE).unwrap_err();
            pair.check("held", (0, 1));
        }
        assert_eq!(pair.asked.try_iter().count(), 1, "not in between");
        pair.says.send(Ok(vec![pair.place()])).unwrap();
        pair.hand.advance_ns(1_000_000_000);
        pair.client.flush(DEADLINE).unwrap();
        assert_eq!(pair.received(), "n:1|c\n");
        pair.check("sent", (1, 0));
    }

    #[test]
    fn a_panic_while_sending_is_counted_and_loses_nothing() {
        let (says, heard) = channel::<Answer>();
        let pair = Resolved::with((says, channel().1), move || {
            heard.try_recv().expect("a resolver with a fault")
        });
        pair.client.count("n", 1, &[]).unwrap();
        let error = pair.client.flush(DEADLINE).unwrap_err().to_string();
        assert!(
            error.starts_with("panic: a resolver with a fault"),
            "{error}"
        );
        assert_eq!(pair.client.stats().panics, 1);
        pair.check("held", (0, 1));
        pair.says.send(Ok(vec![pair.place()])).unwrap();
        pair.client.flush(DEADLINE).unwrap();
        assert_eq!(pair.received(), "n:1|c\n");
        assert_eq!(pair.client.last_error(), None);
        pair.check("sent", (1, 0));
        assert!(pair.guard.stop(DEADLINE).flushed);
    }
}
