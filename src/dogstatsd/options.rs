//! What a client may be told.

use std::time::Duration;

use super::{Address, Cardinality};

/// Settings of one client, all bounds with their unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Off, everything is counted as `disabled` and nothing is sent.
    pub enabled: bool,
    /// Where the Agent listens.
    pub address: Address,
    /// Time between two flushes. Should divide the Agent's ten seconds: up to these, flushes come 300
    /// ms before the wall clock's multiples of it, so that each lands whole in one bucket.
    pub flush_interval: Duration,
    /// Contexts between two flushes; those beyond share one a metric, tagged `overflow:true`.
    /// As many handles may exist, and 5,000 in any case.
    pub contexts_max: usize,
    /// Members of one set; at the bound they are sent early.
    pub set_members_max: usize,
    /// Values of one histogram, distribution or timing between two flushes; beyond, a fair sample of so many
    /// goes out with the rate that makes the Agent count them all.
    pub values_max: usize,
    /// Samples that wait for the worker.
    pub queue_items_max: usize,
    /// Bytes of these samples.
    pub queue_bytes_max: usize,
    /// Bytes of datagrams that wait for an Agent.
    pub backlog_bytes_max: usize,
    /// Bytes of one datagram: 1432 over UDP and 8192 over a Unix socket, if nothing is said.
    pub datagram_bytes_max: Option<usize>,
    /// Whether the client tells of itself every ten seconds, as `datadog.dogstatsd.client.*`.
    pub telemetry: bool,
    /// How many tags the Agent shall add by itself (DD_CARDINALITY).
    pub cardinality: Option<Cardinality>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            enabled: true,
            address: Address::default(),
            flush_interval: Duration::from_secs(2),
            contexts_max: 5_000,
            set_members_max: 10_000,
            values_max: 1_024,
            queue_items_max: 16_384,
            queue_bytes_max: 1 << 20,
            backlog_bytes_max: 1 << 20,
            datagram_bytes_max: None,
            telemetry: true,
            cardinality: None,
        }
    }
}
