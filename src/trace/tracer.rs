//! The tracer: opens the first span of a trace in this process.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::chunks::Chunks;
use super::exporter::Exporter;
use super::ids::new_trace_id;
use super::joint::Joint;
use super::local::Local;
use super::notices::Notices;
use super::options::{Options, SpanOptions};
use super::propagation::Propagation;
use super::running::activate;
use super::sampling::{Sampler, SamplingCounts};
use super::spare::spare_span;
use super::tally::{Tally, TraceCounts};
use super::told::{AgentState, Told};
use super::watch::{SpanWatch, Watched};
use super::web::WebOptions;
use super::who::Who;
use super::{Entry, Extracted};
use crate::clock::Clock;
use crate::identity::Identity;
use crate::worker::{AskError, Guard, Ledger, Stats, Tray, start_tray};

/// Opens entry spans. Cheap to clone.
///
/// Several may live side by side in one process: nothing here is global, and a span belongs to the tracer
/// that opened its trace.
#[derive(Clone, Debug)]
pub struct Tracer(Arc<Shared>);

/// What every trace of one tracer shares.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) enabled: bool,
    pub(super) queue_bytes_max: usize,
    pub(super) spans: SpanOptions,
    pub(super) who: Who,
    pub(super) propagation: Propagation,
    pub(super) web: WebOptions,
    pub(super) exporter: Tray<Chunks>,
    pub(super) joint: Arc<Joint>,
    pub(super) watch: Watched,
}

impl Shared {
    /// Longest chunk that can be sent.
    pub(super) fn payload_bytes_max(&self) -> usize {
        self.joint.told.payload_bytes_max()
    }
}

/// Starts the exporter's thread, `dd-trace`.
///
/// # Errors
/// When the system refuses a thread.
pub fn start(options: Options, identity: &Identity, clock: Clock) -> io::Result<(Tracer, Guard)> {
    let (service, env) = (&identity.service, &identity.env);
    let joint = Arc::new(Joint {
        sampler: Sampler::new(options.sampling.clone(), service, env),
        tally: Tally::default(),
        told: Told::new(options.payload_bytes_max()),
        notices: Notices::default(),
        clock: clock.clone(),
    });
    let (limits, told) = (options.limits(), options.clone());
    let job = Exporter::new(options, identity, joint.clone());
    let (exporter, guard) = start_tray("dd-trace", limits, clock, job)?;
    let shared = Shared {
        enabled: told.enabled,
        queue_bytes_max: told.queue_bytes_max(),
        who: Who::new(identity, &told.spans),
        spans: told.spans,
        propagation: told.propagation,
        web: told.web,
        exporter,
        joint,
        watch: Watched::default(),
    };
    Ok((Tracer(Arc::new(shared)), guard))
}

/// What an entry span starts with.
#[derive(Clone, Debug, Default)]
pub struct EntryOptions<'a> {
    /// Operation, `http.request`.
    pub name: Cow<'static, str>,
    /// What is asked for, `GET /users/{id}`; may be set later.
    pub resource: &'a str,
    /// `web`, `worker`, ...; `type` on the wire.
    pub kind: &'static str,
    /// What the caller's headers say, where a request brought any.
    pub caller: Extracted,
}

impl Tracer {
    /// Opens an entry span and makes it this thread's active one.
    pub fn enter(&self, options: EntryOptions<'_>) -> Entry {
        let shared = &self.0;
        if !shared.enabled {
            return Entry::of(0, 0);
        }
        let Extracted {
            parent,
            links,
            baggage,
            error,
        } = options.caller;
        let mut entry = spare_span();
        entry.name = options.name;
        entry.kind = options.kind.into();
        entry.resource.push_str(options.resource);
        entry.parent_id = parent.as_ref().map_or(0, |parent| parent.span_id);
        entry.links = links;
        entry.metrics.put_number("_dd.top_level", 1.0);
        entry.metrics.put_number("_dd.measured", 1.0);
        if let Some(error) = error {
            entry.meta.put_text("_dd.propagation_error", error);
        }
        for (key, value) in &baggage {
            let keys = &shared.spans.baggage_tag_keys;
            if keys.iter().any(|wanted| wanted == key || wanted == "*") {
                entry.meta.put_text(&["baggage.", key].concat(), value);
            }
        }
        let mut local = Local::new(shared.clone(), 0, entry);
        local.trace_id = match &parent {
            Some(parent) => parent.trace_id,
            None => {
                let (unix_ns, mono_ns) = (local.start_unix_ns, local.start_mono_ns);
                new_trace_id(shared.spans.wide_trace_ids, unix_ns, mono_ns)
            }
        };
        (local.caller, local.baggage) = (parent, baggage);
        let entry = Entry::of(local.trace_id, local.entry_id);
        activate(local);
        entry
    }

    /// Reads a caller's headers; `values` gives every value of a name in lower case, in order. Nothing
    /// where tracing is off.
    pub fn extract<'a, V: Iterator<Item = &'a str>>(
        &self,
        values: impl Fn(&'static str) -> V,
    ) -> Extracted {
        match self.0.enabled {
            true => self.0.propagation.extract(values),
            false => Extracted::default(),
        }
    }

    /// Whether spans are made and sent at all.
    pub fn is_enabled(&self) -> bool {
        self.0.enabled
    }

    /// What a server's span is to say of its request.
    pub fn web(&self) -> &WebOptions {
        &self.0.web
    }

    /// What became of finished traces, by sampling.
    pub fn sampling(&self) -> SamplingCounts {
        self.0.joint.sampler.counts()
    }

    /// What the tracer did so far.
    pub fn counts(&self) -> TraceCounts {
        self.0.joint.tally.counts()
    }

    /// Where every span went.
    pub fn ledger(&self) -> Ledger {
        self.0.joint.tally.ledger()
    }

    /// Counters of the exporter's thread.
    pub fn stats(&self) -> Stats {
        self.0.exporter.stats()
    }

    /// How the Agent was found the last time.
    pub fn agent(&self) -> AgentState {
        self.0.joint.told.agent()
    }

    /// What a person should hear of, the oldest first, each once: what the Agent refused and why, what was
    /// lost. At most one of a kind a minute.
    pub fn notice(&self) -> Option<String> {
        self.0.joint.notices.pop()
    }

    /// Has spans told from now on; false where somebody is told already, who goes on being told.
    pub fn watch_spans(&self, watch: Arc<dyn SpanWatch>) -> bool {
        self.0.watch.set(watch)
    }

    /// Sends what is finished and waits for the Agent's answer.
    ///
    /// # Errors
    /// As [`Handle::flush`](crate::worker::Handle::flush).
    pub fn flush(&self, deadline: Duration) -> Result<(), AskError> {
        self.0.exporter.flush(deadline)
    }
}
