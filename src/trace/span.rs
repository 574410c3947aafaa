//! Spans of the current thread.

use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::SpanContext;
use super::exporter::{Exporter, Options};
use super::local::{
    ACTIVE, Local, Text, Who, new_span_id, new_trace_id, put, spare, take_local, with_local,
    with_span,
};
use super::sampler::{Decision, Sampler};
use super::tally::{Chunks, Tally};
use crate::clock::Clock;
use crate::identity::Identity;
use crate::worker::{AskError, Guard, Ledger, Stats, Tray, start_tray};

/// Longest stack that is sent: with the Agent's limit on a value in mind, older ones included.
const STACK_BYTES_MAX: usize = 20_000;

/// Opens entry spans. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tracer(Arc<Shared>);

/// What every entry of one tracer shares.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) enabled: bool,
    pub(super) payload_bytes_max: usize,
    pub(super) identity: Who,
    pub(super) clock: Clock,
    pub(super) sampler: Arc<Sampler>,
    pub(super) exporter: Tray<Chunks>,
    pub(super) tally: Arc<Tally>,
    pub(super) spans_over_limit: AtomicU64,
}

/// Starts the exporter's thread, `dd-trace`.
///
/// # Errors
/// When the system refuses a thread.
pub fn start(options: Options, identity: &Identity, clock: Clock) -> io::Result<(Tracer, Guard)> {
    let sampler = Arc::new(Sampler::default());
    let tally = Arc::new(Tally::default());
    let enabled = options.enabled;
    let limits = options.limits();
    let payload_bytes_max = options.payload_bytes_max.min(options.buffer_bytes_max);
    let job = Exporter::new(
        options,
        identity,
        clock.clone(),
        (sampler.clone(), tally.clone()),
    );
    let (exporter, guard) = start_tray("dd-trace", limits, clock.clone(), job)?;
    let identity = Who::new(identity);
    let spans_over_limit = AtomicU64::new(0);
    let shared = Shared {
        enabled,
        payload_bytes_max,
        identity,
        clock,
        sampler,
        exporter,
        tally,
        spans_over_limit,
    };
    Ok((Tracer(Arc::new(shared)), guard))
}

/// What an entry span starts with.
#[derive(Clone, Debug, Default)]
pub struct EntryOptions<'a> {
    /// Operation, `http.request`.
    pub name: &'static str,
    /// What is asked for, `GET /users/{id}`; may be set later.
    pub resource: &'a str,
    /// `web`, `worker`, ...; `type` on the wire.
    pub kind: &'static str,
    /// The caller's context, where a request brought one.
    pub parent: Option<SpanContext>,
}

/// The three tags by which Error Tracking groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorTags<'a> {
    /// `error.type`: the error's type path, or `panic`.
    pub kind: &'a str,
    /// `error.message`.
    pub message: &'a str,
    /// `error.stack`: frames, one a line pair, the innermost first.
    pub stack: &'a str,
}

/// An open entry span. Finishes when dropped, also while a panic unwinds.
#[must_use = "a span that is dropped at once measures nothing"]
#[derive(Debug)]
pub struct Entry {
    span_id: u64,
    /// Spans belong to the thread they were opened on.
    here: PhantomData<*const ()>,
}

/// An open child span; does nothing where no trace is active. Finishes when dropped.
#[must_use = "a span that is dropped at once measures nothing"]
#[derive(Debug)]
pub struct Child {
    span_id: u64,
    here: PhantomData<*const ()>,
}

impl Tracer {
    /// Opens an entry span and makes it this thread's active one.
    pub fn enter(&self, options: EntryOptions<'_>) -> Entry {
        let shared = self.0.clone();
        if !shared.enabled {
            return Entry {
                span_id: 0,
                here: PhantomData,
            };
        }
        let (start_unix_ns, start_mono_ns) = (shared.clock.unix_ns(), shared.clock.mono_ns());
        let trace_id = match &options.parent {
            Some(parent) => parent.trace_id,
            None => new_trace_id(start_unix_ns),
        };
        let told = options.parent.as_ref().and_then(|parent| parent.priority);
        let decision = match told {
            Some(priority) => Decision {
                priority,
                mechanism: "",
                rate: 1.0,
            },
            None => {
                let Who { service, env, .. } = &shared.identity;
                shared.sampler.decide(trace_id, service, env)
            }
        };
        let span_id = new_span_id();
        let mut entry = spare(options.name, start_mono_ns);
        entry.span_id = span_id;
        entry.parent_id = options.parent.as_ref().map_or(0, |parent| parent.span_id);
        entry.kind = options.kind;
        entry.resource.push_str(options.resource);
        ACTIVE.with_borrow_mut(|active| {
            let outer = active.take();
            *active = Some(Box::new(Local {
                shared,
                trace_id,
                parent: options.parent,
                decision,
                start_unix_ns,
                start_mono_ns,
                open: vec![entry],
                children: Vec::new(),
                children_count: 0,
                outer,
            }));
        });
        Entry {
            span_id,
            here: PhantomData,
        }
    }

    /// Whether spans are made and sent at all.
    pub fn is_enabled(&self) -> bool {
        self.0.enabled
    }

    /// Where every span went.
    pub fn ledger(&self) -> Ledger {
        self.0
            .tally
            .ledger(self.0.spans_over_limit.load(Ordering::Relaxed))
    }

    /// Counters of the exporter's thread.
    pub fn stats(&self) -> Stats {
        self.0.exporter.stats()
    }

    /// Sends what is finished and waits for the Agent's answer.
    ///
    /// # Errors
    /// As [`Handle::flush`](crate::worker::Handle::flush).
    pub fn flush(&self, deadline: Duration) -> Result<(), AskError> {
        self.0.exporter.flush(deadline)
    }
}

/// Opens a child of this thread's innermost open span.
pub fn span(name: &'static str) -> Child {
    let span_id = with_local(|local| {
        let mut child = spare(name, local.shared.clock.mono_ns());
        child.span_id = new_span_id();
        child.parent_id = local.open.last().map_or(0, |parent| parent.span_id);
        child.resource.push_str(name);
        let span_id = child.span_id;
        local.open.push(child);
        span_id
    });
    Child {
        span_id: span_id.unwrap_or(0),
        here: PhantomData,
    }
}

/// The ids of this thread's innermost open span, `(trace, span)`, for a log line.
pub fn active_ids() -> Option<(u128, u64)> {
    with_local(|local| {
        let span = local.open.last();
        (local.trace_id, span.map_or(0, |span| span.span_id))
    })
}

/// The context of this thread's innermost open span, for an outgoing request.
pub fn active() -> Option<SpanContext> {
    with_local(|local| {
        let mut tags = local
            .parent
            .as_ref()
            .map(|p| p.tags.clone())
            .unwrap_or_default();
        let told = tags.iter().any(|(key, _)| key == "_dd.p.dm");
        if local.decision.priority.keeps() && !told && !local.decision.mechanism.is_empty() {
            tags.push(("_dd.p.dm".to_string(), local.decision.mechanism.to_string()));
        }
        SpanContext {
            trace_id: local.trace_id,
            span_id: local.open.last().map_or(0, |span| span.span_id),
            priority: Some(local.decision.priority),
            origin: local.parent.as_ref().and_then(|p| p.origin.clone()),
            tags,
            ..SpanContext::default()
        }
    })
}

macro_rules! span_setters {
    ($guard:ident) => {
        impl $guard {
            /// Sets a text tag; a key that is already there gets the new value.
            pub fn set_meta(&mut self, key: impl Into<Text>, value: impl Into<Text>) {
                with_span(self.span_id, |span| {
                    put(&mut span.meta, key.into(), value.into())
                });
            }

            /// Sets a number tag. What is not finite is left out on the wire.
            pub fn set_metric(&mut self, key: impl Into<Text>, value: f64) {
                with_span(self.span_id, |span| {
                    put(&mut span.metrics, key.into(), value)
                });
            }

            /// Sets what is asked for, `GET /users/{id}`.
            pub fn set_resource(&mut self, resource: &str) {
                with_span(self.span_id, |span| {
                    span.resource.clear();
                    span.resource.push_str(resource);
                });
            }

            /// Marks the span as failed, with all that Error Tracking needs.
            pub fn set_error(&mut self, error: &ErrorTags<'_>) {
                with_span(self.span_id, |span| {
                    span.error = true;
                    let stack = super::encode::cut(error.stack, STACK_BYTES_MAX);
                    for (key, value) in [
                        ("error.type", error.kind),
                        ("error.message", error.message),
                        ("error.stack", stack),
                    ] {
                        put(&mut span.meta, key.into(), value.to_string().into());
                    }
                });
            }
        }
    };
}

span_setters!(Entry);
span_setters!(Child);

impl Entry {
    /// The ids of this span, `(trace, span)`; zeros where tracing is off.
    pub fn ids(&self) -> (u128, u64) {
        let trace_id = with_local(|local| local.trace_id).unwrap_or(0);
        (if self.span_id == 0 { 0 } else { trace_id }, self.span_id)
    }

    /// Time since the span was opened, in nanoseconds.
    pub fn elapsed_ns(&self) -> u64 {
        with_local(|local| {
            local
                .shared
                .clock
                .mono_ns()
                .saturating_sub(local.start_mono_ns)
        })
        .unwrap_or(0)
    }

    /// Ends the span and hands the trace to the exporter.
    pub fn finish(self) {}
}

impl Child {
    /// Ends the span.
    pub fn finish(self) {}
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.span_id == 0 {
            return;
        }
        let local = ACTIVE.with_borrow_mut(|active| take_local(active, self.span_id));
        if let Some(local) = local {
            local.finish();
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let span_id = self.span_id;
        with_local(|local| {
            // A child that outlived its parent was closed with it.
            let at = local.open.iter().rposition(|open| open.span_id == span_id);
            if let Some(at) = at.filter(|at| *at > 0) {
                let now_ns = local.shared.clock.mono_ns();
                while local.open.len() > at {
                    local.close_innermost(now_ns);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::local::SPANS_PER_CHUNK_MAX;
    use super::*;

    fn tracer() -> (Tracer, Guard) {
        let identity = Identity {
            env: "dev".to_string(),
            ..Identity::of_process("s")
        };
        let agent = "http://127.0.0.1:1".parse().unwrap();
        start(
            Options {
                agent,
                ..Options::default()
            },
            &identity,
            Clock::system(),
        )
        .unwrap()
    }

    const ENTRY: EntryOptions<'static> = EntryOptions {
        name: "http.request",
        resource: "GET /",
        kind: "web",
        parent: None,
    };

    #[test]
    fn children_nest_and_close_with_their_parent() {
        let (tracer, _guard) = tracer();
        assert_eq!(active(), None);
        let entry = tracer.enter(ENTRY);
        let (trace_id, entry_id) = entry.ids();
        assert_eq!(
            active().map(|c| (c.trace_id, c.span_id)),
            Some((trace_id, entry_id))
        );
        let outer = span("outer");
        let inner = span("inner");
        let inner_id = active().map(|c| c.span_id);
        assert_ne!(inner_id, Some(entry_id));
        drop(outer);
        assert_eq!(
            active().map(|c| c.span_id),
            Some(entry_id),
            "inner was closed with outer"
        );
        drop(inner);
        drop(entry);
        assert_eq!(active(), None);
        assert_eq!(tracer.ledger().offered, 3);
        drop(span("no trace is active"));
        assert_eq!(tracer.ledger().offered, 3);
    }

    #[test]
    fn a_trace_inside_another_leaves_the_outer_one_as_it_was() {
        let (tracer, _guard) = tracer();
        let outer = tracer.enter(ENTRY);
        let inner = tracer.enter(ENTRY);
        assert_ne!(outer.ids().1, inner.ids().1);
        drop(inner);
        assert_eq!(active().map(|c| c.span_id), Some(outer.ids().1));
        let inner = tracer.enter(ENTRY);
        let inner_id = inner.ids().1;
        drop(outer);
        assert_eq!(
            active().map(|c| c.span_id),
            Some(inner_id),
            "each entry closes its own"
        );
    }

    #[test]
    fn a_panic_closes_what_was_open() {
        let (tracer, _guard) = tracer();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _entry = tracer.enter(ENTRY);
            let _child = span("child");
            panic!("on purpose");
        }));
        assert!(caught.is_err() && active().is_none());
        assert_eq!(tracer.ledger().offered, 2);
    }

    #[test]
    fn ids_are_as_every_datadog_tracer_makes_them() {
        let id = new_trace_id(1_795_344_502_613_894_164);
        assert_eq!(format!("{:016x}", (id >> 64) as u64), "6b02c87600000000");
        for _ in 0..1_000 {
            assert!((1..=i64::MAX as u64).contains(&new_span_id()));
        }
    }

    #[test]
    fn a_trace_that_no_payload_holds_is_counted_as_such() {
        let (tracer, guard) = tracer();
        let mut entry = tracer.enter(ENTRY);
        let text = "x".repeat(25_000);
        for n in 0..200 {
            entry.set_meta(format!("key{n}"), text.clone());
        }
        drop(entry);
        let ledger = tracer.ledger();
        assert!(
            ledger.balances() && ledger.dropped.contains(&("too_large", 1)),
            "{ledger:?}"
        );
        guard.stop(Duration::from_secs(10));
        tracer.enter(ENTRY).finish();
        let ledger = tracer.ledger();
        assert!(
            ledger.balances() && ledger.dropped.contains(&("stopped", 1)),
            "{ledger:?}"
        );
    }

    #[test]
    fn keys_longer_than_the_wire_takes_are_one_where_they_are_one_there() {
        let mut pairs: Vec<(Text, Text)> = Vec::new();
        for last in ["a", "b"] {
            put(
                &mut pairs,
                format!("{}{last}", "k".repeat(200)).into(),
                last.into(),
            );
        }
        assert_eq!(pairs, [("k".repeat(200).into(), "b".into())]);
    }

    #[test]
    fn a_trace_longer_than_its_limit_is_cut_and_counted() {
        let (tracer, _guard) = tracer();
        let entry = tracer.enter(ENTRY);
        for _ in 0..SPANS_PER_CHUNK_MAX + 5 {
            drop(span("child"));
        }
        drop(entry);
        let ledger = tracer.ledger();
        assert_eq!(ledger.offered, u64::from(SPANS_PER_CHUNK_MAX) + 6);
        assert!(
            ledger.balances() && ledger.dropped.contains(&("trace_too_long", 5)),
            "{ledger:?}"
        );
    }
}
