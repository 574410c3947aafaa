//! The client: checks and cleans on the caller's thread, offers to the worker, never waits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::encode::{Message, Origin, encode, encode_sample};
use super::job::Item;
use super::known::Known;
use super::ledger::{Reason, Tally};
use super::sample::{Context, Kind, Prepared, Value};
use super::series::Series;
use super::tags::GlobalTags;
use super::telemetry::LineOf;
use super::{Error, Event, Sample, ServiceCheck};
use crate::worker::{self, AskError, Dropped, Ledger, Stats};

/// Sends samples, events and checks. Cheap to clone; all clones share one worker.
#[derive(Clone, Debug)]
pub struct Client(pub(super) Arc<Core>);

/// What a client and its handles share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) queue: worker::Handle<Item>,
    pub(super) shared: Arc<Shared>,
}

/// What callers and the worker share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) enabled: bool,
    pub(super) tally: Arc<Tally>,
    pub(super) stopped: AtomicBool,
    pub(super) globals: GlobalTags,
    pub(super) origin: Origin,
    pub(super) datagram_bytes_max: usize,
    /// What the origin takes of each line.
    pub(super) origin_bytes: usize,
    pub(super) handles_max: usize,
    pub(super) values_max: usize,
    pub(super) known: Known,
    pub(super) series: Mutex<Series>,
}

/// What became of a call so far.
enum Made {
    /// To be queued.
    Item(Item),
    /// Added to a series that is now known.
    Kept,
    /// It lost the draw of its rate.
    Lost,
}

/// Calls for one sample. Each says `Err` if the sample cannot be sent; it is counted already, so a
/// caller may ignore that.
impl Client {
    /// Adds to a count.
    ///
    /// # Errors
    /// [`Error`]
    pub fn count(&self, name: &str, value: i64, tags: &[(&str, &str)]) -> Result<(), Error> {
        self.offer(&Sample::count(name, value).tags(tags))
    }

    /// Sets a gauge.
    ///
    /// # Errors
    /// [`Error`]
    pub fn gauge(&self, name: &str, value: f64, tags: &[(&str, &str)]) -> Result<(), Error> {
        self.offer(&Sample::gauge(name, value).tags(tags))
    }

    /// Puts a member into a set: the Agent counts different members.
    ///
    /// # Errors
    /// [`Error`]
    pub fn set(&self, name: &str, member: &str, tags: &[(&str, &str)]) -> Result<(), Error> {
        self.offer(&Sample::set(name, member).tags(tags))
    }

    /// Adds a value to a histogram.
    ///
    /// # Errors
    /// [`Error`]
    pub fn histogram(&self, name: &str, value: f64, tags: &[(&str, &str)]) -> Result<(), Error> {
        self.offer(&Sample::histogram(name, value).tags(tags))
    }

    /// Adds a value to a distribution.
    ///
    /// # Errors
    /// [`Error`]
    pub fn distribution(&self, name: &str, value: f64, tags: &[(&str, &str)]) -> Result<(), Error> {
        self.offer(&Sample::distribution(name, value).tags(tags))
    }

    /// Adds a duration to a timing.
    ///
    /// # Errors
    /// [`Error`]
    pub fn timing(&self, name: &str, took: Duration, tags: &[(&str, &str)]) -> Result<(), Error> {
        self.offer(&Sample::timing(name, took).tags(tags))
    }

    /// Any sample, with a rate or a time if it has one.
    ///
    /// # Errors
    /// [`Error`]
    pub fn offer(&self, sample: &Sample<'_>) -> Result<(), Error> {
        let shared = &self.0.shared;
        let is_on = shared.enabled && !shared.stopped.load(Ordering::Relaxed);
        let call = sample.call().filter(|_| is_on);
        let one_in = sample.one_in();
        let drawn = one_in <= 1 || fastrand::u32(..one_in) == 0;
        match &call {
            Some(call) if drawn && shared.known.add(call) => return Ok(()),
            Some(call) if !drawn && shared.known.knows(call) => {
                self.0.drop_sample(Reason::Sampled);
                return Ok(());
            }
            _ => {}
        }
        self.0.queue(|| {
            let prepared = sample.prepare(&shared.globals)?;
            shared.check_fits(prepared.line_bytes_min() + shared.origin_bytes)?;
            Ok(match &call {
                _ if !drawn && prepared.context.one_in > 1 => Made::Lost,
                Some(call) if shared.known.learn(call, &prepared.context) => Made::Kept,
                _ => Made::Item(prepared.into_item(&shared.origin)),
            })
        })
    }

    /// Sends an event.
    ///
    /// # Errors
    /// [`Error`]
    pub fn event(&self, event: &Event<'_>) -> Result<(), Error> {
        self.queue_line(LineOf::Event, &Message::Event(event), event.tags)
    }

    /// Sends the verdict of a check.
    ///
    /// # Errors
    /// [`Error`]
    pub fn check(&self, check: &ServiceCheck<'_>) -> Result<(), Error> {
        self.queue_line(LineOf::Check, &Message::Check(check), check.tags)
    }

    fn queue_line(
        &self,
        of: LineOf,
        message: &Message<'_>,
        tags: &[(&str, &str)],
    ) -> Result<(), Error> {
        let shared = &self.0.shared;
        self.0.queue(|| {
            let mut line = Vec::new();
            encode(
                &mut line,
                message,
                &shared.globals.with(tags),
                &shared.origin,
            )?;
            shared.check_fits(line.len())?;
            Ok(Made::Item(Item::Line(of, line)))
        })
    }
}

/// What the client says about itself.
impl Client {
    /// Sends all that was offered before, and waits for the answer.
    ///
    /// # Errors
    /// [`AskError`]: no answer in time, no worker, or nobody who took the datagrams.
    pub fn flush(&self, deadline: Duration) -> Result<(), AskError> {
        self.0.queue.flush(deadline)
    }

    /// Where every sample, event and check went. A line of five samples counts as five.
    pub fn ledger(&self) -> Ledger {
        let shared = &self.0.shared;
        let waiting = shared.series().waiting() + shared.known.waiting();
        let mut dropped = shared.tally.dropped();
        let mut pending = self.0.queue.stats().pending + shared.tally.held();
        if shared.stopped.load(Ordering::Relaxed) {
            add_to(
                &mut dropped,
                Reason::NAMES[Reason::Stopped as usize],
                waiting,
            );
        } else {
            pending += waiting;
        }
        Ledger {
            unit: "samples",
            offered: shared.tally.offered() + waiting,
            sent: shared.tally.sent(),
            dropped,
            pending,
        }
    }

    /// Counters of the worker; its items are single calls, without those of handles.
    pub fn stats(&self) -> Stats {
        self.0.queue.stats()
    }

    /// What the last flush said, if it failed.
    pub fn last_error(&self) -> Option<String> {
        self.stats().last_error
    }

    /// Datagrams that the socket took.
    pub fn datagrams_sent(&self) -> u64 {
        self.0.shared.tally.datagrams()
    }

    /// Bytes of these datagrams.
    pub fn bytes_sent(&self) -> u64 {
        self.0.shared.tally.bytes()
    }
}

fn add_to(dropped: &mut Vec<(&'static str, u64)>, reason: &'static str, count: u64) {
    match dropped.iter_mut().find(|(name, _)| *name == reason) {
        Some((_, dropped)) => *dropped += count,
        None if count > 0 => dropped.push((reason, count)),
        None => {}
    }
}

impl Core {
    /// The context of a handle, which must fit a datagram.
    pub(super) fn context(
        &self,
        kind: Kind,
        name: &str,
        tags: &[(&str, &str)],
    ) -> Result<Context, Error> {
        let shared = &self.shared;
        let context = Context::new(kind, name, shared.globals.with(tags))?;
        shared.check_fits(context.line_bytes_min(1) + shared.origin_bytes)?;
        Ok(context)
    }

    /// Books one sample and queues what `make` gives.
    fn queue(&self, make: impl FnOnce() -> Result<Made, Error>) -> Result<(), Error> {
        if !self.shared.enabled {
            self.drop_sample(Reason::Disabled);
            return Ok(());
        }
        let item = match make() {
            Ok(Made::Item(item)) => item,
            Ok(Made::Kept) => return Ok(()),
            Ok(Made::Lost) => {
                self.drop_sample(Reason::Sampled);
                return Ok(());
            }
            Err(error) => {
                self.drop_sample(match error {
                    Error::TooBig(..) => Reason::TooBig,
                    _ => Reason::Invalid,
                });
                return Err(error);
            }
        };
        self.shared.tally.offer(1);
        self.queue.offer(item).map_err(|dropped| {
            let reason = match dropped {
                Dropped::Full => Reason::QueueFull,
                Dropped::Stopped => Reason::Stopped,
            };
            self.shared.tally.refuse(reason, 1);
            Error::Dropped(dropped)
        })
    }

    /// Books one sample that goes no further.
    pub(super) fn drop_sample(&self, reason: Reason) {
        self.shared.tally.offer(1);
        self.shared.tally.refuse(reason, 1);
    }

    /// Queues one sample of a handle whose own buffers are all taken.
    pub(super) fn queue_value(&self, context: &Context, value: Value) {
        let (context, unix_s) = (context.clone(), None);
        let item = Item::Sample(Prepared {
            context,
            value,
            unix_s,
        });
        // Counted, whatever becomes of it.
        let _ = self.queue(|| Ok(Made::Item(item)));
    }
}

impl Shared {
    /// Refused here, what no datagram holds takes no room until the flush.
    fn check_fits(&self, line_bytes: usize) -> Result<(), Error> {
        let max = self.datagram_bytes_max;
        let fits = line_bytes <= max;
        fits.then_some(()).ok_or(Error::TooBig(line_bytes, max))
    }

    pub(super) fn series(&self) -> MutexGuard<'_, Series> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Prepared {
    /// Counts with a rate and all that has a timestamp travel alone; the rest is aggregated.
    fn into_item(self, origin: &Origin) -> Item {
        let alone = self.context.kind == Kind::Count && self.context.one_in > 1;
        if self.unix_s.is_none() && !alone {
            return Item::Sample(self);
        }
        let mut line = Vec::new();
        encode_sample(&mut line, &self, origin);
        Item::Line(LineOf::Metric(self.context.kind), line)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::io;
    use std::net::UdpSocket;
    use std::os::unix::net::UnixDatagram;
    use std::path::PathBuf;
    use std::thread;

    use super::*;
    use crate::clock::Clock;
    use crate::dogstatsd::reading::{self, Read};
    use crate::dogstatsd::{Address, Options, Status, start};
    use crate::identity::Identity;
    use crate::worker::Guard;

    const DEADLINE: Duration = Duration::from_secs(10);

    /// Flushes only when asked, to a socket path of its own.
    fn options() -> (Options, PathBuf) {
        let name = format!("dogstatsd-{}-{}", std::process::id(), fastrand::u64(..));
        let path = std::env::temp_dir().join(name);
        let options = Options {
            address: Address::UnixDatagram(path.clone()),
            flush_interval: Duration::from_secs(3_600),
            ..Options::default()
        };
        (options, path)
    }

    fn started(options: Options) -> (Client, Guard) {
        start(options, &Identity::default(), Clock::system()).unwrap()
    }

    /// Reads until the event `end`.
    fn read_all(agent: &UnixDatagram) -> Vec<Read> {
        agent.set_read_timeout(Some(DEADLINE)).unwrap();
        let (mut all, mut bytes) = (Vec::new(), vec![0; 65_536]);
        while all.last().is_none_or(|read: &Read| read.kind != "event") {
            let length = agent.recv(&mut bytes).unwrap();
            assert!(length <= 8_192, "a datagram of {length} bytes");
            all.extend(reading::datagram(&bytes[..length]).unwrap());
        }
        all
    }

    /// Samples that each value of a line stands for.
    fn weight_of(read: &Read) -> u64 {
        let rate = read.fields.iter().find(|(key, _)| key == "@");
        rate.map_or(1, |(_, rate)| (1.0 / rate.parse::<f64>().unwrap()) as u64)
    }

    #[track_caller]
    fn check_ledger(rule: &str, client: &Client, dropped: &[(&'static str, u64)]) {
        let ledger = client.ledger();
        assert!(ledger.balances(), "{rule}: {ledger:?}");
        assert_eq!(ledger.dropped, dropped, "{rule}");
    }

    fn offer_much(client: &Client, thread: u64) {
        let count = client.count_handle("handle.count", &[]).unwrap();
        let timing = client.timing_handle("handle.timing", &[]).unwrap();
        for i in 0..1_000 {
            count.add(1);
            count.add(-2);
            timing.record(Duration::from_millis(i % 10));
            client
                .count("count", 3, &[("thread", &(thread % 2).to_string())])
                .unwrap();
            client
                .set("set", &format!("member {}", i % 100), &[])
                .unwrap();
            client.distribution("distribution", 0.5, &[]).unwrap();
            if i % 300 == 0 {
                // A reader that is slow to wake makes this an error, but loses nothing.
                let _ = client.flush(DEADLINE);
            }
        }
    }

    #[test]
    fn nothing_is_lost_between_threads_and_flushes() {
        let (options, path) = options();
        let agent = UnixDatagram::bind(&path).unwrap();
        let (client, guard) = started(options);
        let all = thread::scope(|scope| {
            let reader = scope.spawn(|| read_all(&agent));
            let callers: Vec<_> = (0..4)
                .map(|thread| {
                    scope.spawn({
                        let client = &client;
                        move || offer_much(client, thread)
                    })
                })
                .collect();
            callers
                .into_iter()
                .for_each(|caller| caller.join().unwrap());
            while client.flush(DEADLINE).is_err() {}
            client.event(&Event::new("end", "")).unwrap();
            while client.flush(DEADLINE).is_err() {}
            reader.join().unwrap()
        });
        let (mut sums, mut values) = (BTreeMap::<&str, f64>::new(), BTreeMap::<&str, usize>::new());
        let mut members = BTreeSet::new();
        for read in &all {
            let numbers = read
                .values
                .iter()
                .filter_map(|value| value.parse::<f64>().ok());
            *sums.entry(&read.name).or_default() += numbers.sum::<f64>();
            let weight = weight_of(read) as usize;
            *values.entry(&read.name).or_default() += read.values.len() * weight;
            if read.name == "set" {
                members.extend(&read.values);
            }
        }
        assert_eq!((sums["handle.count"], sums["count"]), (-4_000.0, 12_000.0));
        assert_eq!(values["handle.timing"], 4_000);
        assert_eq!(values["distribution"], 4_000);
        assert_eq!(members.len(), 100, "as many as were different");
        let ledger = client.ledger();
        assert_eq!(
            (ledger.offered, ledger.sent, ledger.pending),
            (24_001, 24_001, 0)
        );
        check_ledger("at rest", &client, &[]);
        assert!(client.datagrams_sent() > 0 && client.bytes_sent() > 0);
        assert!(guard.stop(DEADLINE).flushed);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_flush_between_two_steps_of_a_count_loses_nothing() {
        let (options, path) = options();
        let agent = UnixDatagram::bind(&path).unwrap();
        let (client, _guard) = started(options);
        let count = client.count_handle("n", &[]).unwrap();
        let done = AtomicBool::new(false);
        let all = thread::scope(|scope| {
            let reader = scope.spawn(|| read_all(&agent));
            scope.spawn(|| {
                (0..200_000).for_each(|_| count.add(2));
                done.store(true, Ordering::Relaxed);
            });
            while !done.load(Ordering::Relaxed) {
                let _ = client.flush(DEADLINE);
            }
            while client.flush(DEADLINE).is_err() {}
            client.event(&Event::new("end", "")).unwrap();
            while client.flush(DEADLINE).is_err() {}
            reader.join().unwrap()
        });
        let counted = all.iter().filter(|read| read.name == "n");
        let values = counted.map(|read| read.values[0].parse::<i64>().unwrap());
        assert_eq!(values.sum::<i64>(), 400_000);
        assert_eq!(client.ledger().sent, 200_001);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_backlog_is_bounded_only_while_nobody_reads() {
        let (mut options, path) = options();
        options.backlog_bytes_max = 64 << 10;
        let agent = UnixDatagram::bind(&path).unwrap();
        let (client, _guard) = started(options);
        let handles: Vec<_> = (0..50)
            .map(|n| client.timing_handle(&format!("t{n}"), &[]).unwrap())
            .collect();
        for handle in &handles {
            (0..1_000).for_each(|n| handle.record(Duration::from_nanos(1_234_567 + n)));
        }
        (0..5_000).for_each(|n| client.set("s", &format!("a member of {n}"), &[]).unwrap());
        thread::scope(|scope| {
            let reader = scope.spawn(|| read_all(&agent));
            while client.flush(DEADLINE).is_err() {}
            client.event(&Event::new("end", "")).unwrap();
            while client.flush(DEADLINE).is_err() {}
            let all = reader.join().unwrap();
            assert_eq!(all.iter().filter(|read| read.name == "s").count(), 5_000);
        });
        check_ledger("all sent", &client, &[]);
        assert_eq!(client.ledger().sent, 55_001);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn an_absent_agent_is_waited_for_within_a_bound() {
        let (options, path) = options();
        let (client, guard) = started(options);
        client.count("early", 1, &[]).unwrap();
        let error = client.flush(DEADLINE).unwrap_err().to_string();
        assert!(
            error.contains(&format!("cannot send to unixgram://{}", path.display())),
            "{error}"
        );
        assert_eq!(client.last_error(), Some(error));
        assert_eq!(client.ledger().pending, 1);
        check_ledger("held, not lost", &client, &[]);
        let agent = UnixDatagram::bind(&path).unwrap();
        client.event(&Event::new("end", "")).unwrap();
        client.flush(DEADLINE).unwrap();
        assert_eq!(read_all(&agent)[0].name, "early");
        assert_eq!(client.last_error(), None);

        drop(agent);
        client.count("late", 1, &[]).unwrap();
        assert!(!guard.stop(DEADLINE).flushed);
        check_ledger("given up with the stop", &client, &[("not_sent", 1)]);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_no_datagram_holds_is_refused_at_the_door() {
        let line = "name:x|s|#k:v,service:shop|c:ci-1|card:low\n";
        for (rule, bytes_max, fits) in [
            ("at the limit", line.len(), true),
            ("one over", line.len() - 1, false),
        ] {
            let (mut options, path) = options();
            options.datagram_bytes_max = Some(bytes_max);
            options.cardinality = Some(crate::dogstatsd::Cardinality::Low);
            let identity = Identity {
                service: "shop".into(),
                entity_id: Some("ci-1".into()),
                ..Identity::default()
            };
            let agent = UnixDatagram::bind(&path).unwrap();
            let (client, _guard) = start(options, &identity, Clock::system()).unwrap();
            let told = client.set("name", "x", &[("k", "v")]);
            let refusal = Err(Error::TooBig(line.len(), bytes_max));
            assert_eq!(told, if fits { Ok(()) } else { refusal }, "{rule}");
            client.flush(DEADLINE).unwrap();
            let dropped = if fits { vec![] } else { vec![("too_big", 1)] };
            check_ledger(rule, &client, &dropped);
            assert_eq!(
                client.bytes_sent(),
                if fits { line.len() as u64 } else { 0 }
            );
            drop(agent);
            std::fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn every_drop_has_a_reason() {
        let (mut options, path) = options();
        options.backlog_bytes_max = 2_000;
        options.datagram_bytes_max = Some(1_000);
        options.contexts_max = 2;
        let (client, guard) = started(options);
        let long = "x".repeat(990);
        client.gauge("nan", f64::NAN, &[]).unwrap_err();
        client.event(&Event::new("", "no title")).unwrap_err();
        client
            .check(&ServiceCheck::new("", Status::Ok))
            .unwrap_err();
        let mut refused = vec![("invalid", 3)];
        check_ledger("refused at the door", &client, &refused);
        client.set("s", &long, &[]).unwrap();
        client.set("too.long", &long, &[]).unwrap_err();
        let event = Event::new("e", &long);
        client.event(&event).unwrap_err();
        refused.push(("too_big", 2));
        check_ledger("longer than a datagram", &client, &refused);
        client.count_handle("h", &[("long", &long)]).unwrap_err();
        check_ledger("a handle is no sample", &client, &refused);
        client.flush(DEADLINE).unwrap_err();
        for member in 0..10 {
            client
                .set("s", &format!("{}{member}", &long[1..]), &[])
                .unwrap();
        }
        client.flush(DEADLINE).unwrap_err();
        refused.insert(1, ("backlog_full", 9));
        check_ledger("two datagrams fit the backlog", &client, &refused);

        let count = client.count_handle("handle", &[("a", "1")]).unwrap();
        let timing = client.timing_handle("handle", &[]).unwrap();
        for n in 2..5_000 {
            client.count_handle(&format!("h{n}"), &[]).unwrap();
        }
        assert_eq!(
            client.count_handle("other", &[]).unwrap_err(),
            Error::Handles(5_000)
        );
        client.count_handle("handle", &[("a", "1")]).unwrap();
        guard.stop(DEADLINE);
        count.add(5);
        let lost = 20_000;
        (0..lost).for_each(|_| timing.record(DEADLINE));
        let error = client.count("n", 1, &[]).unwrap_err();
        assert_eq!(error, Error::Dropped(Dropped::Stopped));
        refused.insert(2, ("stopped", lost + 2));
        refused.push(("not_sent", 2));
        check_ledger("after the stop", &client, &refused);
        assert!(!path.exists(), "a client never binds the Agent's path");
    }

    #[test]
    fn a_rate_sends_about_one_in_n_and_books_the_others() {
        let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
        agent.set_read_timeout(Some(DEADLINE)).unwrap();
        let (mut options, _) = options();
        options.address = Address::Udp("127.0.0.1".into(), agent.local_addr().unwrap().port());
        let (client, _guard) = started(options);
        for _ in 0..200 {
            client
                .offer(&Sample::histogram("h", 1.0).rate(0.25))
                .unwrap();
        }
        client.flush(DEADLINE).unwrap();
        let mut bytes = [0; 2_048];
        let length = agent.recv(&mut bytes).unwrap();
        let read = reading::datagram(&bytes[..length]).unwrap().remove(0);
        let sent = read.values.len() as u64;
        assert_eq!(read.fields, [("@".to_string(), "0.25".to_string())]);
        assert!((10..=100).contains(&sent), "about 50 of 200: {sent}");
        assert_eq!(client.ledger().sent, sent);
        check_ledger("drawn by lot", &client, &[("sampled", 200 - sent)]);
    }

    #[test]
    fn what_the_socket_finds_too_long_goes_in_parts() {
        // More than any UDP datagram holds: 65,507 bytes over IPv4.
        let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
        agent.set_read_timeout(Some(DEADLINE)).unwrap();
        let (mut options, _) = options();
        options.address = Address::Udp("127.0.0.1".into(), agent.local_addr().unwrap().port());
        options.datagram_bytes_max = Some(100_000);
        let (client, _guard) = started(options);
        let long = "x".repeat(10_000);
        for n in 0..8 {
            client.set("s", &format!("{n}{long}"), &[]).unwrap();
        }
        client.set("t", &"x".repeat(70_000), &[]).unwrap();
        client.flush(DEADLINE).unwrap();
        assert_eq!(client.ledger().sent, 8);
        check_ledger("one line is too long", &client, &[("too_big", 1)]);
        let mut bytes = vec![0; 1 << 17];
        let lengths = [(); 2].map(|()| agent.recv(&mut bytes).unwrap());
        assert_eq!(lengths, [40_024, 40_024], "two of four lines");
        assert_eq!(client.datagrams_sent(), 2);
    }

    #[test]
    fn a_window_ends_by_the_wall_clock_and_what_waits_for_it_is_pending() {
        let (mut options, path) = options();
        options.flush_interval = Duration::from_secs(2);
        let agent = UnixDatagram::bind(&path).unwrap();
        agent.set_read_timeout(Some(DEADLINE)).unwrap();
        let (clock, hand) = Clock::manual(1_700_000_000_000_000_000);
        let (client, _guard) = start(options, &Identity::default(), clock).unwrap();
        // Once it answers, the worker has begun to count its ticks.
        client.flush(DEADLINE).unwrap();
        client.count("n", 1, &[]).unwrap();
        hand.advance_ns(1_699_000_000);
        while client.stats().flushed < 2 || client.stats().pending > 0 {
            thread::yield_now();
        }
        let ledger = client.ledger();
        assert_eq!(
            (ledger.sent, ledger.pending),
            (0, 1),
            "the tick was too early"
        );
        hand.advance_ns(1_000_000);
        assert_eq!(agent.recv(&mut [0; 16]).unwrap(), b"n:1|c\n".len());
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn an_error_stays_until_the_next_window_says_otherwise() {
        let (mut options, path) = options();
        options.flush_interval = Duration::from_secs(2);
        let (clock, hand) = Clock::manual(1_700_000_000_000_000_000);
        let (client, _guard) = start(options, &Identity::default(), clock).unwrap();
        client.count("n", 1, &[]).unwrap();
        let error = client.flush(DEADLINE).unwrap_err().to_string();
        hand.advance_ns(100_000_000);
        while client.stats().flush_failed < 2 {
            thread::yield_now();
        }
        assert_eq!(client.last_error(), Some(error), "a tick within the window");
        assert!(!path.exists());
    }

    #[test]
    fn more_contexts_than_the_bound_cost_no_sample() {
        let (mut options, path) = options();
        (
            options.contexts_max,
            options.values_max,
            options.set_members_max,
        ) = (2, 1, 1);
        let agent = UnixDatagram::bind(&path).unwrap();
        let (client, _guard) = started(options);
        for i in 0..10 {
            client.gauge(&format!("g{i}"), 1.0, &[]).unwrap();
            client.count("n", 1, &[("i", &i.to_string())]).unwrap();
            client.histogram("h", 1.0, &[]).unwrap();
            client.set("s", "a", &[]).unwrap();
        }
        client.flush(DEADLINE).unwrap();
        client.event(&Event::new("end", "")).unwrap();
        client.flush(DEADLINE).unwrap();
        let all = read_all(&agent);
        let named = |name: &'static str| all.iter().filter(move |read| read.name.starts_with(name));
        assert_eq!(named("g").count(), 10, "each metric keeps a context");
        assert_eq!(named("s").count(), 10);
        let weight = |read: &Read| read.values.len() as u64 * weight_of(read);
        assert_eq!(named("h").map(weight).sum::<u64>(), 10);
        let counted: u64 = named("n")
            .map(|read| read.values[0].parse::<u64>().unwrap())
            .sum();
        assert_eq!(counted, 10);
        assert!(named("n").any(|read| read.tags == ["overflow:true"]));
        check_ledger("all sent", &client, &[]);
        assert_eq!(client.ledger().sent, 41);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_client_switched_off_sends_nothing() {
        let (mut options, path) = options();
        options.enabled = false;
        let agent = UnixDatagram::bind(&path).unwrap();
        agent.set_nonblocking(true).unwrap();
        let (client, guard) = started(options);
        client.count("n", 1, &[]).unwrap();
        client.count_handle("n", &[]).unwrap().add(1);
        client.timing_handle("t", &[]).unwrap().record(DEADLINE);
        client.flush(DEADLINE).unwrap();
        check_ledger("all disabled", &client, &[("disabled", 3)]);
        assert!(guard.stop(DEADLINE).flushed);
        let nothing = agent.recv(&mut [0; 16]).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        std::fs::remove_file(path).unwrap();
    }
}
