//! What the worker does: takes samples in, collects the handles, sends datagrams.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use super::aggregate::Aggregate;
use super::client::Shared;
use super::encode::Values;
use super::ledger::Reason;
use super::pack::Packer;
use super::sample::{Context, Prepared, Value};
use super::telemetry::{LineOf, Telemetry};
use super::transport::{Outcome, Transport};
use super::window::Windows;
use crate::worker::{Fill, FlushError, Job, Why};

/// Datagrams are sent early once they hold this much.
const SEND_EARLY_BYTES: usize = 64 << 10;

/// Datagrams that a receiver's buffer surely takes at once.
const BURST: u32 = 8;

/// A pause lasts about a millisecond, so a flush never waits much over a tenth of a second.
const PAUSE: Duration = Duration::from_millis(1);
const PAUSES_MAX: u32 = 100;

/// What callers queue.
#[derive(Debug)]
pub(super) enum Item {
    /// To be aggregated.
    Sample(Prepared),
    /// To be sent as it is: events, checks, counts with a rate, whatever has a timestamp.
    Line(LineOf, Vec<u8>),
}

/// The job of the thread `dd-dogstatsd`.
pub(super) struct Exporter {
    shared: Arc<Shared>,
    aggregate: Aggregate,
    packer: Packer,
    transport: Transport,
    windows: Windows,
    telemetry: Telemetry,
    /// What the last flush said; it holds until the next.
    said: Result<(), FlushError>,
    /// Why an early flush lost a datagram: the next flush that somebody waits for says so.
    lost: Option<FlushError>,
    /// Bytes ready at which to send before the flush; higher while nobody takes them.
    send_at_bytes: usize,
    pace: Pace,
}

impl Exporter {
    pub(super) fn new(
        shared: Arc<Shared>,
        aggregate: Aggregate,
        (packer, transport): (Packer, Transport),
        (windows, telemetry): (Windows, Telemetry),
    ) -> Exporter {
        Exporter {
            shared,
            aggregate,
            packer,
            transport,
            windows,
            telemetry,
            said: Ok(()),
            lost: None,
            send_at_bytes: SEND_EARLY_BYTES,
            pace: Pace::new(),
        }
    }

    /// Takes what the handles and the known series have gathered, sending as it comes. Callers who ask for
    /// handles meanwhile wait for no more than a list.
    fn collect(&mut self) -> Result<(), FlushError> {
        let shared = self.shared.clone();
        let cells = shared.series().cells();
        let mut outcome = Ok(());
        for cell in cells.counts {
            let (sum, samples) = cell.collect();
            let admitted = self.admit(&cell.context, samples);
            // Between a caller's two steps a sum comes without its sample, which the next window brings.
            if admitted || (sum != 0 && shared.enabled) {
                self.telemetry.context(cell.context.kind);
                self.packer
                    .push_metric(&cell.context, Values::Whole(sum), samples);
            }
            outcome = self.send_if_many().and(outcome);
        }
        for cell in cells.gauges {
            let (value, samples) = cell.collect();
            if self.admit(&cell.context, samples) {
                self.telemetry.context(cell.context.kind);
                self.packer
                    .push_metric(&cell.context, Values::Numbers(&[value]), samples);
            }
            outcome = self.send_if_many().and(outcome);
        }
        for cell in cells.values {
            let values = cell.collect();
            if self.admit(&cell.context, values.seen()) {
                self.telemetry.context(cell.context.kind);
                self.packer.push_sample(&cell.context, values);
            }
            outcome = self.send_if_many().and(outcome);
        }
        shared.known.collect(|context, held| {
            if self.admit(&context, held.samples()) {
                self.aggregate.add_held(context, held, &mut self.packer);
            }
        });
        outcome
    }

    fn send_if_many(&mut self) -> Result<(), FlushError> {
        if self.packer.ready_bytes() < self.send_at_bytes {
            return Ok(());
        }
        self.send_ready()
    }

    /// Books samples that nobody has counted before; says whether there are any to send.
    fn admit(&mut self, context: &Context, samples: u64) -> bool {
        if samples == 0 {
            return false;
        }
        self.telemetry.metrics(context.kind, samples);
        let tally = &self.shared.tally;
        tally.offer(samples);
        if self.shared.enabled {
            tally.hold(samples);
        } else {
            tally.refuse(Reason::Disabled, samples);
        }
        self.shared.enabled
    }

    /// Turns all that is held into datagrams, sending as they come so that the backlog, which is
    /// bounded, holds only what nobody takes.
    fn empty(&mut self) -> Result<(), FlushError> {
        let mut outcome = self.collect();
        for (context, held) in self.aggregate.drain() {
            self.telemetry.context(context.kind);
            held.pack(&context, &mut self.packer);
            outcome = self.send_if_many().and(outcome);
        }
        self.report();
        self.packer.close();
        outcome
    }

    fn report(&mut self) {
        let shared = &self.shared;
        let of = (shared.tally.refused(), self.transport.name());
        self.telemetry.report(of, &shared.globals, &mut self.packer);
    }

    /// Sends datagrams until none is left or nobody takes them.
    fn send_ready(&mut self) -> Result<(), FlushError> {
        let tally = &self.shared.tally;
        let mut failure = None;
        while let Some(datagram) = self.packer.first() {
            let (samples, bytes) = (datagram.samples, datagram.bytes.len());
            match self.transport.send(&datagram.bytes) {
                Outcome::Sent => {
                    tally.send(samples, bytes);
                    self.telemetry.sent(bytes);
                    if self.transport.address().needs_pace() {
                        self.pace.after_one();
                    }
                }
                Outcome::TooBig if self.packer.split_first() => continue,
                Outcome::TooBig => {
                    tally.give_up(Reason::TooBig, samples);
                    self.telemetry.dropped(bytes);
                }
                Outcome::Failed(error) => {
                    tally.give_up(Reason::NotSent, samples);
                    self.telemetry.dropped(bytes);
                    self.lost = Some(self.told(&error));
                    failure = Some(error);
                }
                Outcome::Busy(_) if self.pace.pause() => continue,
                Outcome::Busy(error) | Outcome::Absent(error) => {
                    failure = Some(error);
                    break;
                }
            }
            self.packer.pop();
        }
        self.packer.trim();
        self.send_at_bytes = self.packer.ready_bytes() + SEND_EARLY_BYTES;
        failure.map_or(Ok(()), |error| Err(self.told(&error)))
    }

    fn told(&self, error: &io::Error) -> FlushError {
        let address = self.transport.address();
        FlushError::new(format!(
            "cannot send to {address} (DD_DOGSTATSD_URL): {error}"
        ))
    }

    fn give_up_the_rest(&mut self) {
        while let Some(datagram) = self.packer.pop() {
            self.shared.tally.give_up(Reason::NotSent, datagram.samples);
        }
    }
}

impl Job for Exporter {
    type Item = Item;

    fn take(&mut self, item: Item) -> Fill {
        match item {
            Item::Sample(Prepared { context, value, .. }) => {
                self.shared.tally.hold(1);
                self.telemetry.metrics(context.kind, 1);
                self.aggregate.add(context, value, &mut self.packer);
            }
            Item::Line(of, line) => {
                self.shared.tally.hold(1);
                self.telemetry.line(of);
                self.packer.push(&line, 1);
            }
        }
        if self.aggregate.is_full() || self.packer.ready_bytes() >= self.send_at_bytes {
            Fill::Full
        } else {
            Fill::Room
        }
    }

    /// Ticks are many, so that one comes soon after the end of a window; only that one flushes.
    ///
    /// A flush because of many datagrams leaves the contexts alone: they wait for their time.
    fn flush(&mut self, why: Why) -> Result<(), FlushError> {
        if why == Why::Tick && !self.windows.has_ended() {
            return self.said.clone();
        }
        self.pace = Pace::new();
        if why == Why::Stop {
            // Calls from here on are told so; what is on its way into a table is booked as stopped.
            self.shared.stopped.store(true, Ordering::Relaxed);
        }
        let emptied = if why != Why::Full || self.aggregate.is_full() {
            self.empty()
        } else {
            Ok(())
        };
        let sent = self.send_ready();
        if why == Why::Stop {
            self.give_up_the_rest();
        }
        let lost = self.lost.take_if(|_| why != Why::Full);
        self.said = sent.and(emptied).and(lost.map_or(Ok(()), Err));
        self.said.clone()
    }

    fn weigh(item: &Item) -> usize {
        let heap = match item {
            Item::Sample(Prepared { context, value, .. }) => {
                let member = if let Value::Member(member) = value {
                    member.len()
                } else {
                    0
                };
                context.weight() + member
            }
            Item::Line(_, line) => line.capacity(),
        };
        size_of::<Item>() + heap
    }
}

impl Drop for Exporter {
    /// From here on nobody collects the handles.
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
    }
}

/// Gives a receiver time now and then, within a bound for the whole flush.
struct Pace {
    sent: u32,
    pauses: u32,
    /// Nobody sends here: a wait on it is a pause.
    silence: (Sender<()>, Receiver<()>),
}

impl Pace {
    fn new() -> Pace {
        Pace {
            sent: 0,
            pauses: 0,
            silence: mpsc::channel(),
        }
    }

    fn after_one(&mut self) {
        self.sent += 1;
        if self.sent.is_multiple_of(BURST) {
            self.pause();
        }
    }

    /// Waits a moment; says no once the flush has waited enough.
    fn pause(&mut self) -> bool {
        let may = self.pauses < PAUSES_MAX;
        if may {
            self.pauses += 1;
            let _ = self.silence.1.recv_timeout(PAUSE);
        }
        may
    }
}
