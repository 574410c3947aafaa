//! What a tracer may be told.

use std::time::Duration;

use super::propagation::Propagation;
use super::sampling::SamplingOptions;
use super::web::{ServiceMapping, WebOptions};
use crate::http::Target;
use crate::worker::TrayLimits;

/// How spans are made and sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// False: no spans, no sends, no headers.
    pub enabled: bool,
    /// The Agent.
    pub agent: Target,
    /// Time between two payloads.
    pub flush_interval: Duration,
    /// Over connect, write and read of one payload.
    pub timeout: Duration,
    /// Memory for bytes that wait: three eighths of it for the thread that sends, three for the Agent, and the
    /// rest for what is between the two. While the Agent is away the oldest traces go first; errors go
    /// last, and what their sampling drops goes before anything else.
    pub buffer_bytes_max: usize,
    /// Longest payload. The Agent takes 25 MiB, or what its `/info` says.
    pub payload_bytes_max: usize,
    /// What a span says besides what it is told.
    pub spans: SpanOptions,
    /// Keep or drop.
    pub sampling: SamplingOptions,
    /// Headers between processes.
    pub propagation: Propagation,
    /// What a server's span says of its request; heeded by whoever opens it.
    pub web: WebOptions,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            enabled: true,
            agent: Target::Tcp("127.0.0.1".to_string(), 8126),
            flush_interval: Duration::from_secs(1),
            timeout: Duration::from_secs(2),
            buffer_bytes_max: 8 << 20,
            payload_bytes_max: 4 << 20,
            spans: SpanOptions::default(),
            sampling: SamplingOptions::default(),
            propagation: Propagation::default(),
            web: WebOptions::default(),
        }
    }
}

/// A batch is closed for sending at this size.
pub(super) const BATCH_BYTES: usize = 1 << 20;

impl Options {
    pub(super) fn limits(&self) -> TrayLimits {
        TrayLimits {
            bytes_max: self.queue_bytes_max(),
            call_bytes: BATCH_BYTES.min(self.queue_bytes_max() / 2),
            flush_interval: self.flush_interval,
        }
    }

    /// For finished chunks that the thread has not taken in yet.
    pub(super) fn queue_bytes_max(&self) -> usize {
        self.buffer_bytes_max / 8 * 3
    }

    /// For those that it has, and that the Agent has not.
    pub(super) fn held_bytes_max(&self) -> usize {
        self.buffer_bytes_max / 8 * 3
    }

    /// No longer than what may wait.
    pub(super) fn payload_bytes_max(&self) -> usize {
        self.payload_bytes_max.min(self.queue_bytes_max())
    }
}

/// What a span says besides what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanOptions {
    /// Finished spans of a trace that are sent while it still runs; `None` sends it whole.
    pub partial_flush_spans: Option<u32>,
    /// Trace ids of 128 bits, of 64 otherwise.
    pub wide_trace_ids: bool,
    /// Other names for services.
    pub service_mapping: ServiceMapping,
    /// Keys of baggage that the entry span gets as tags `baggage.<key>`; `*` stands for all.
    pub baggage_tag_keys: Vec<String>,
    /// `_dd.git.repository_url`, without credentials; or empty.
    pub repository_url: String,
    /// `_dd.git.commit.sha`, or empty.
    pub commit_sha: String,
    /// `_dd.hostname`, or empty.
    pub hostname: String,
}

impl Default for SpanOptions {
    fn default() -> SpanOptions {
        let keys = ["user.id", "account.id", "session.id"];
        SpanOptions {
            partial_flush_spans: Some(300),
            wide_trace_ids: true,
            service_mapping: ServiceMapping::default(),
            baggage_tag_keys: keys.map(str::to_string).to_vec(),
            repository_url: String::new(),
            commit_sha: String::new(),
            hostname: String::new(),
        }
    }
}
