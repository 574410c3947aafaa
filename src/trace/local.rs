//! The trace that runs on this thread: its open spans, and its finished ones as bytes.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::SpanContext;
use super::encode::{Common, META_KEY_BYTES_MAX, WireSpan, cut, encode_array_head, encode_span};
use super::sampler::Decision;
use super::span::Shared;
use crate::identity::Identity;

/// Spans of one local trace that are kept; further ones are dropped and counted.
pub(super) const SPANS_PER_CHUNK_MAX: u32 = 10_000;
/// What a buffer keeps for the next span, whatever the last one took.
const SPARE_BYTES_MAX: usize = 16 << 10;
/// A tag's key or value; most are constants.
pub(super) type Text = Cow<'static, str>;

/// What every span says alike, for as long as the process runs.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) service: String,
    pub(super) env: String,
    /// Tags of every span, and those that only the first of a trace has.
    every: Common,
    first: Common,
}

impl Who {
    pub(super) fn new(identity: &Identity) -> Who {
        let known = [("env", &*identity.env), ("version", &*identity.version)];
        let mut tags: Vec<_> = known.into_iter().filter(|(_, v)| !v.is_empty()).collect();
        let every = Common::new(&tags, &[]);
        tags.push(("language", "rust"));
        tags.push(("runtime-id", &identity.runtime_id));
        // Tags for the Agent itself go with DogStatsD, where it takes them out.
        let own = identity
            .tags
            .iter()
            .filter(|(key, _)| !key.starts_with("dd.internal."));
        tags.extend(own.map(|(key, value)| (key.as_str(), value.as_str())));
        let numbers = [
            ("_dd.top_level", 1.0),
            ("_dd.measured", 1.0),
            ("process_id", f64::from(identity.process_id)),
        ];
        Who {
            service: identity.service.clone(),
            env: identity.env.clone(),
            every,
            first: Common::new(&tags, &numbers),
        }
    }
}

/// One open span.
#[derive(Default)]
pub(super) struct Open {
    pub(super) span_id: u64,
    pub(super) parent_id: u64,
    pub(super) name: &'static str,
    pub(super) resource: String,
    pub(super) kind: &'static str,
    pub(super) start_mono_ns: u64,
    pub(super) error: bool,
    pub(super) meta: Vec<(Text, Text)>,
    pub(super) metrics: Vec<(Text, f64)>,
}

/// All of one trace that runs on this thread.
pub(super) struct Local {
    pub(super) shared: Arc<Shared>,
    pub(super) trace_id: u128,
    pub(super) parent: Option<SpanContext>,
    pub(super) decision: Decision,
    pub(super) start_unix_ns: u64,
    pub(super) start_mono_ns: u64,
    /// `[0]` is the entry span.
    pub(super) open: Vec<Open>,
    /// Finished children, encoded.
    pub(super) children: Vec<u8>,
    pub(super) children_count: u32,
    /// The trace that was active before, if a trace was entered inside another.
    pub(super) outer: Option<Box<Local>>,
}

thread_local! {
    pub(super) static ACTIVE: RefCell<Option<Box<Local>>> = const { RefCell::new(None) };
    /// An entry span in the making.
    static OUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// Spans of finished traces, kept for their buffers.
    static SPARE: RefCell<Vec<Open>> = const { RefCell::new(Vec::new()) };
}

/// Takes the trace of this entry span out, whether or not it is the innermost.
pub(super) fn take_local(active: &mut Option<Box<Local>>, entry_id: u64) -> Option<Box<Local>> {
    let is_own = |local: &Local| {
        local
            .open
            .first()
            .is_some_and(|open| open.span_id == entry_id)
    };
    if active.as_deref().is_some_and(is_own) {
        let mut own = active.take()?;
        *active = own.outer.take();
        return Some(own);
    }
    take_local(&mut active.as_mut()?.outer, entry_id)
}

impl Local {
    pub(super) fn close_innermost(&mut self, now_ns: u64) {
        let Some(span) = self.open.pop() else {
            return;
        };
        let bytes_max = self.shared.payload_bytes_max;
        if self.children_count >= SPANS_PER_CHUNK_MAX || self.children.len() >= bytes_max {
            self.shared.spans_over_limit.fetch_add(1, Ordering::Relaxed);
        } else {
            let mut children = std::mem::take(&mut self.children);
            let every = &self.shared.identity.every;
            self.encode(&mut children, (&span, every), now_ns);
            self.children = children;
            self.children_count += 1;
        }
        keep(span);
    }

    pub(super) fn finish(mut self) {
        let now_ns = self.shared.clock.mono_ns();
        while self.open.len() > 1 {
            self.close_innermost(now_ns);
        }
        let Some(mut entry) = self.open.pop() else {
            return;
        };
        self.say_about_the_trace(&mut entry);
        let spans = self.children_count + 1;
        self.shared.tally.offered(spans);
        OUT.with_borrow_mut(|out| {
            out.clear();
            encode_array_head(out, spans);
            self.encode(out, (&entry, &self.shared.identity.first), now_ns);
            self.offer(out, spans);
            out.shrink_to(SPARE_BYTES_MAX);
        });
        keep(entry);
    }

    fn offer(&self, first: &[u8], spans: u32) {
        let shared = &self.shared;
        let bytes = first.len() + self.children.len();
        if bytes > shared.payload_bytes_max {
            return shared.tally.callers.too_large(spans);
        }
        let laid = shared.exporter.offer(bytes, |chunks| {
            chunks.push(&[first, &self.children], spans);
        });
        if let Err(dropped) = laid {
            shared.tally.callers.refused(dropped, spans);
        }
    }

    /// What is known of this trace alone stands on its first span.
    fn say_about_the_trace(&self, entry: &mut Open) {
        if let Some(parent) = &self.parent {
            for (key, value) in &parent.tags {
                put(&mut entry.meta, key.clone().into(), value.clone().into());
            }
            if let Some(origin) = &parent.origin {
                put(&mut entry.meta, "_dd.origin".into(), origin.clone().into());
            }
        }
        let Decision {
            priority,
            mechanism,
            rate,
        } = self.decision;
        if !mechanism.is_empty() {
            put(&mut entry.metrics, "_dd.agent_psr".into(), rate);
            if priority.keeps() {
                put(&mut entry.meta, "_dd.p.dm".into(), mechanism.into());
            }
        }
        let high = (self.trace_id >> 64) as u64;
        if high != 0 {
            put(&mut entry.meta, "_dd.p.tid".into(), hex(high).into());
        }
        let priority = f64::from(priority.0);
        put(&mut entry.metrics, "_sampling_priority_v1".into(), priority);
    }

    fn encode(&self, out: &mut Vec<u8>, (span, common): (&Open, &Common), now_ns: u64) {
        let since_start_ns = span.start_mono_ns.saturating_sub(self.start_mono_ns);
        encode_span(
            out,
            &WireSpan {
                service: &self.shared.identity.service,
                name: span.name,
                resource: &span.resource,
                kind: span.kind,
                trace_id: self.trace_id as u64,
                span_id: span.span_id,
                parent_id: span.parent_id,
                // One reading of the wall clock a trace: a jump in between cannot tear it apart.
                start_unix_ns: self.start_unix_ns.saturating_add(since_start_ns),
                duration_ns: now_ns.saturating_sub(span.start_mono_ns),
                error: span.error,
                meta: &span.meta,
                metrics: &span.metrics,
                common,
            },
        );
    }
}

pub(super) fn with_local<R>(see: impl FnOnce(&mut Local) -> R) -> Option<R> {
    ACTIVE.with_borrow_mut(|active| active.as_deref_mut().map(see))
}

pub(super) fn with_span(span_id: u64, change: impl FnOnce(&mut Open)) {
    with_local(|local| {
        if let Some(span) = local.open.iter_mut().rfind(|open| open.span_id == span_id) {
            change(span);
        }
    });
}

pub(super) fn put<V>(pairs: &mut Vec<(Text, V)>, mut key: Text, value: V) {
    // As the wire has it: two keys that become one there are one here.
    if key.len() > META_KEY_BYTES_MAX {
        key = cut(&key, META_KEY_BYTES_MAX).to_string().into();
    }
    match pairs.iter_mut().find(|(kept, _)| *kept == key) {
        Some(pair) => pair.1 = value,
        None => pairs.push((key, value)),
    }
}

/// As `{:016x}`, without the machinery of formatting.
fn hex(id: u64) -> String {
    let digit = |nibble: u64| char::from(b"0123456789abcdef"[(nibble & 15) as usize]);
    (0..16)
        .rev()
        .map(|place| digit(id >> (4 * place)))
        .collect()
}

pub(super) fn spare(name: &'static str, start_mono_ns: u64) -> Open {
    let mut open = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
    open.name = name;
    open.start_mono_ns = start_mono_ns;
    open
}

fn keep(mut span: Open) {
    span.meta.clear();
    span.metrics.clear();
    span.resource.clear();
    span.resource.shrink_to(SPARE_BYTES_MAX);
    (span.error, span.kind) = (false, "");
    SPARE.with_borrow_mut(|spares| {
        if spares.len() < 32 {
            spares.push(span);
        }
    });
}

/// Upper half: seconds since 1970 and 32 zero bits, as all Datadog tracers have it; lower half random.
pub(super) fn new_trace_id(unix_ns: u64) -> u128 {
    let seconds = (unix_ns / 1_000_000_000) & 0xffff_ffff;
    (u128::from(seconds) << 96) | u128::from(new_span_id())
}

/// 63 bits, for consumers that read it signed; never 0, which the Agent drops.
pub(super) fn new_span_id() -> u64 {
    fastrand::u64(1..=i64::MAX as u64)
}
