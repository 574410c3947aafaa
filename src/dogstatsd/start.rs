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

/// Starts the thread `dd-dogstatsd` and gives a client to it. Does not look for the Agent yet.
///
/// # Errors
/// When the system refuses another thread.
pub fn start(options: Options, identity: &Identity, clock: Clock) -> io::Result<(Client, Guard)> {
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
        handles_max: options.contexts_max,
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
    let transport = Transport::new(options.address, clock.clone());
    let windows = Windows::new(options.flush_interval, clock.clone());
    let telemetry = Telemetry::new(options.telemetry && options.enabled, clock.clone());
    let out = (packer, transport);
    let exporter = Exporter::new(shared.clone(), aggregate, out, (windows, telemetry));
    let (queue, guard) = worker::start("dd-dogstatsd", limits, clock, exporter)?;
    Ok((Client(Arc::new(Core { queue, shared })), guard))
}
