//! What the client says about itself, every ten seconds: `datadog.dogstatsd.client.*`, by the names and with
//! the tags of datadog-go (`statsd/telemetry.go`), by which the Agent's own diagnosis goes too. Datadog does
//! not bill them.

use std::time::Duration;

use super::encode::Values;
use super::pack::Packer;
use super::sample::{Context, Kind};
use super::tags::GlobalTags;
use crate::clock::Clock;

/// Between two reports.
const INTERVAL: Duration = Duration::from_secs(10);

/// Datagrams or frames, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Packets {
    pub(super) count: u64,
    pub(super) bytes: u64,
}

impl Packets {
    pub(super) fn add(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes as u64;
    }
}

/// What a queued line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineOf {
    Metric(Kind),
    Event,
    Check,
}

/// Counts since the last report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    metrics: [u64; Kind::ALL.len()],
    contexts: [u64; Kind::ALL.len()],
    events: u64,
    checks: u64,
    sent: Packets,
    dropped_writer: Packets,
}

/// Counts for the next report, kept by the worker alone.
#[derive(Debug)]
pub(super) struct Telemetry {
    clock: Clock,
    enabled: bool,
    due_ns: u64,
    counts: Counts,
    /// Samples refused by the queue, as of the last report.
    refused: u64,
}

impl Telemetry {
    pub(super) fn new(enabled: bool, clock: Clock) -> Telemetry {
        let mut telemetry = Telemetry {
            clock,
            enabled,
            due_ns: 0,
            counts: Counts::default(),
            refused: 0,
        };
        telemetry.wait();
        telemetry
    }

    fn wait(&mut self) {
        let interval_ns = u64::try_from(INTERVAL.as_nanos()).unwrap_or(u64::MAX);
        self.due_ns = self.clock.mono_ns().saturating_add(interval_ns);
    }

    /// Samples of one type came in.
    pub(super) fn metrics(&mut self, kind: Kind, samples: u64) {
        self.counts.metrics[kind as usize] += samples;
    }

    /// A line came in that is sent as it is.
    pub(super) fn line(&mut self, of: LineOf) {
        match of {
            LineOf::Metric(kind) => self.metrics(kind, 1),
            LineOf::Event => self.counts.events += 1,
            LineOf::Check => self.counts.checks += 1,
        }
    }

    /// A context is sent, with all that it has gathered.
    pub(super) fn context(&mut self, kind: Kind) {
        self.counts.contexts[kind as usize] += 1;
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        self.counts.sent.add(bytes);
    }

    /// A datagram that the socket did not take, for good.
    pub(super) fn dropped(&mut self, bytes: usize) {
        self.counts.dropped_writer.add(bytes);
    }

    /// Packs a report if it is time for one. `refused` are the samples that the queue has not taken since
    /// the start, `transport` is one of `udp`, `uds` and `uds-stream`.
    pub(super) fn report(
        &mut self,
        (refused, transport): (u64, &str),
        globals: &GlobalTags,
        packer: &mut Packer,
    ) {
        if !self.enabled || self.clock.mono_ns() < self.due_ns {
            return;
        }
        self.wait();
        let Counts {
            metrics,
            contexts,
            events,
            checks,
            sent,
            dropped_writer,
        } = std::mem::take(&mut self.counts);
        let dropped_queue = packer.take_dropped();
        let on_receive = refused - std::mem::replace(&mut self.refused, refused);
        let tags = [
            ("client", "rust"),
            ("client_version", env!("CARGO_PKG_VERSION")),
            ("client_transport", transport),
        ];
        let all = globals.with(&tags);
        let mut say = |name: &str, tags: String, value: u64| {
            let name = format!("datadog.dogstatsd.client.{name}");
            // Good names all, which `Context::new` leaves as they are.
            if let (1.., Ok(context)) = (value, Context::new(Kind::Count, &name, tags)) {
                packer.push_metric(&context, Values::Whole(value.into()), 0);
            }
        };
        for (name, value) in [
            ("metrics", metrics.iter().sum()),
            ("events", events),
            ("service_checks", checks),
            ("metric_dropped_on_receive", on_receive),
            ("packets_sent", sent.count),
            (
                "packets_dropped",
                dropped_queue.count + dropped_writer.count,
            ),
            ("packets_dropped_queue", dropped_queue.count),
            ("packets_dropped_writer", dropped_writer.count),
            ("bytes_sent", sent.bytes),
            ("bytes_dropped", dropped_queue.bytes + dropped_writer.bytes),
            ("bytes_dropped_queue", dropped_queue.bytes),
            ("bytes_dropped_writer", dropped_writer.bytes),
            ("aggregated_context", contexts.iter().sum()),
        ] {
            say(name, all.clone(), value);
        }
        for kind in Kind::ALL {
            let [first, second, third] = tags;
            let of_type = globals.with(&[first, second, third, ("metrics_type", kind.word())]);
            say("metrics_by_type", of_type.clone(), metrics[kind as usize]);
            say(
                "aggregated_context_by_type",
                of_type,
                contexts[kind as usize],
            );
        }
    }
}
