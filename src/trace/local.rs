//! One trace, as far as it runs on this thread: its open spans, and its finished ones as bytes.

use std::cell::RefCell;
use std::sync::Arc;

use super::encode::{WireSpan, encode_array_head, encode_span};
use super::event;
use super::fate::Fate;
use super::open::{Open, Text};
use super::sampling::{Decision, rate_text};
use super::spare::{Buffers, SPARE_BYTES_MAX, keep_buffers, keep_span, spare_buffers, spare_span};
use super::tags::VALUE_BYTES_MAX;
use super::tally::Class;
use super::tracer::Shared;
use super::{SpanContext, ids};

/// Finished spans of one trace that wait for its end, and open ones; further ones are dropped and counted.
pub(super) const SPANS_MAX: u32 = 10_000;

/// All of one trace that runs on this thread.
pub(super) struct Local {
    pub(super) shared: Arc<Shared>,
    pub(super) trace_id: u128,
    /// Tells it from the others of its thread.
    pub(super) entry_id: u64,
    /// The span with which it entered this process, maybe on another thread.
    pub(super) root_id: u64,
    /// The span that called, here or in another process.
    pub(super) caller: Option<SpanContext>,
    pub(super) baggage: Vec<(String, String)>,
    pub(super) fate: Fate,
    pub(super) start_unix_ns: u64,
    pub(super) start_mono_ns: u64,
    /// When a span last began or ended.
    pub(super) touched_ns: u64,
    /// The service that called, for a part of a trace that runs on another thread.
    pub(super) branch_of: Option<String>,
    /// `open[0]` is the entry span.
    pub(super) buffers: Buffers,
}

thread_local! {
    /// A chunk in the making.
    static OUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Local {
    /// A trace whose entry span opens now.
    pub(super) fn new(shared: Arc<Shared>, trace_id: u128, mut entry: Box<Open>) -> Local {
        let (start_unix_ns, start_mono_ns) =
            (shared.joint.clock.unix_ns(), shared.joint.clock.mono_ns());
        entry.span_id = ids::new_span_id(start_mono_ns);
        entry.start_mono_ns = start_mono_ns;
        let entry_id = entry.span_id;
        let mut buffers = spare_buffers();
        buffers.open.push(entry);
        Local {
            shared,
            trace_id,
            entry_id,
            root_id: entry_id,
            caller: None,
            baggage: Vec::new(),
            fate: Fate::Undecided,
            start_unix_ns,
            start_mono_ns,
            touched_ns: start_mono_ns,
            branch_of: None,
            buffers,
        }
    }

    /// Opens a child of the innermost open span; nothing where too many are open.
    pub(super) fn open_span(&mut self, name: Text) -> Option<u64> {
        let open = &mut self.buffers.open;
        if open.len() >= SPANS_MAX as usize {
            self.shared.joint.tally.callers.trace_too_long();
            return None;
        }
        let now_ns = self.shared.joint.clock.mono_ns();
        let mut child = spare_span();
        child.name = name;
        child.span_id = ids::new_span_id(now_ns);
        child.parent_id = open.last().map_or(0, |parent| parent.span_id);
        child.start_mono_ns = now_ns;
        self.touched_ns = now_ns;
        let span_id = child.span_id;
        open.push(child);
        Some(span_id)
    }

    /// Ends this child and all that it left open.
    pub(super) fn close_down_to(&mut self, at: usize) {
        let now_ns = self.shared.joint.clock.mono_ns();
        self.touched_ns = now_ns;
        while self.buffers.open.len() > at.max(1) {
            self.close_innermost(now_ns);
        }
    }

    fn close_innermost(&mut self, now_ns: u64) {
        let Some(mut span) = self.buffers.open.pop() else {
            return;
        };
        let parent = self.buffers.open.last();
        if parent.is_some_and(|parent| self.service_of(parent) != self.service_of(&span)) {
            span.metrics.put_number("_dd.top_level", 1.0);
        }
        self.ready(&mut span);
        let finished = &self.buffers.finished;
        let bytes = finished.len_bytes();
        let flushes_at = self.shared.spans.partial_flush_spans;
        let is_long = bytes > self.shared.payload_bytes_max() / 2;
        match flushes_at {
            Some(spans) if finished.spans() + 1 >= spans || is_long => {
                let decision = self.decide();
                self.send(span, decision, now_ns);
                self.buffers.finished.clear();
            }
            // What is there leaves with the entry span, which has half a payload's room.
            None if finished.spans() >= SPANS_MAX || is_long => {
                self.shared.joint.tally.callers.trace_too_long();
                keep_span(span);
            }
            _ => self.add(span, now_ns),
        }
    }

    /// What the wire wants said in tags.
    fn ready(&self, span: &mut Open) {
        if !span.events.is_empty() && !self.shared.joint.told.native_events() {
            let mut json = event::to_json(&span.events);
            // A tag that is cut is no JSON any more.
            while json.len() > VALUE_BYTES_MAX && span.events.pop().is_some() {
                span.count_more("_dd.span_events.dropped");
                json = event::to_json(&span.events);
            }
            span.meta.put_text("events", &json);
            span.events.clear();
        }
    }

    fn add(&mut self, mut span: Box<Open>, now_ns: u64) {
        let mut finished = std::mem::take(&mut self.buffers.finished);
        let from = finished.len_bytes();
        let is_error = span.error;
        finished.add(|out| self.encode(out, &span, (false, now_ns)), is_error);
        if let Some(rule) = self.span_rule(&span) {
            self.shared
                .joint
                .sampler
                .say_alone(rule, |key, number| span.metrics.put_number(key, number));
            finished.or_alone(from, rule, |out| self.encode(out, &span, (false, now_ns)));
        }
        self.buffers.finished = finished;
        keep_span(span);
    }

    fn span_rule(&self, span: &Open) -> Option<usize> {
        let sampler = &self.shared.joint.sampler;
        if !sampler.has_span_rules() {
            return None;
        }
        self.as_subject(span, |subject| sampler.span_rule(span.span_id, subject))
    }

    /// Ends the trace here. What is still open ends with it.
    pub(super) fn finish(mut self) {
        let decision = self.decide();
        let now_ns = self.shared.joint.clock.mono_ns();
        while self.buffers.open.len() > 1 {
            self.close_innermost(now_ns);
        }
        let Some(mut entry) = self.buffers.open.pop() else {
            return;
        };
        match &self.branch_of {
            Some(caller) if caller != self.service_of(&entry) => {
                entry.metrics.put_number("_dd.top_level", 1.0);
            }
            Some(_) => {}
            None => self.shared.joint.sampler.count(&decision),
        }
        self.ready(&mut entry);
        self.shared.joint.tally.callers.ended();
        if self.root_id == self.entry_id
            && let Some(watch) = self.shared.watch.get()
        {
            watch.root_ended(self.root_id, &entry.kind, entry.resource());
        }
        self.send(entry, decision, now_ns);
        keep_buffers(self.buffers);
    }

    /// Gives all of it up, counted.
    pub(super) fn lose(self) {
        let callers = &self.shared.joint.tally.callers;
        let spans = self.buffers.open.len() as u32 + self.buffers.finished.spans();
        callers.abandoned();
        callers.finished(spans);
        callers.lost(spans);
        callers.ended();
    }

    /// Sends what is finished, this span in front.
    fn send(&mut self, mut first: Box<Open>, decision: Decision, now_ns: u64) {
        self.say_about_the_trace(&mut first, &decision);
        let (shared, finished) = (&*self.shared, &self.buffers.finished);
        let spans = finished.spans() + 1;
        let class = match decision.priority.keeps() {
            _ if first.error || finished.has_error() => Class::Error,
            true => Class::Kept,
            false => Class::Dropped,
        };
        let callers = &shared.joint.tally.callers;
        callers.finished(spans);
        let sent = OUT.try_with(|out| {
            let Ok(mut out) = out.try_borrow_mut() else {
                return callers.lost(spans);
            };
            out.clear();
            encode_array_head(&mut out, spans);
            if decision.priority.keeps() || !shared.joint.sampler.has_span_rules() {
                self.encode(&mut out, &first, (true, now_ns));
                self.offer((&out, finished.bytes()), spans, class);
            } else {
                let kept = self.encode_dropped(&mut out, &mut first, now_ns);
                let class = if kept > 0 {
                    class.max(Class::Kept)
                } else {
                    class
                };
                self.offer((&out, &[]), spans, class);
            }
            out.shrink_to(SPARE_BYTES_MAX);
        });
        if sent.is_err() {
            callers.lost(spans);
        }
        keep_span(first);
    }

    /// A chunk that its own sampling drops, but whose spans may be kept one by one.
    fn encode_dropped(&self, out: &mut Vec<u8>, first: &mut Open, now_ns: u64) -> u64 {
        let sampler = &self.shared.joint.sampler;
        let allowed = |rule: usize| sampler.span_allowed(rule, now_ns);
        let mut kept = 0;
        if let Some(rule) = self.span_rule(first)
            && allowed(rule)
        {
            sampler.say_alone(rule, |key, number| first.metrics.put_number(key, number));
            kept = 1;
        }
        self.encode(out, first, (true, now_ns));
        kept + self.buffers.finished.write_dropped(out, allowed)
    }

    fn offer(&self, (first, rest): (&[u8], &[u8]), spans: u32, class: Class) {
        let shared = &self.shared;
        let bytes = first.len() + rest.len();
        if bytes > shared.payload_bytes_max() {
            return shared.joint.tally.callers.too_large(spans);
        }
        let share = class.share_of(shared.queue_bytes_max);
        let laid = shared.exporter.offer_within(share, bytes, |chunks| {
            chunks.push(&[first, rest], spans, class);
        });
        if let Err(dropped) = laid {
            shared.joint.tally.callers.refused(dropped, spans);
        }
    }

    /// What is known of this trace alone stands on the first span of each of its chunks.
    fn say_about_the_trace(&self, first: &mut Open, decision: &Decision) {
        if let Some(caller) = &self.caller {
            for (key, value) in &caller.tags {
                first.meta.put_text(key, value);
            }
            if let Some(origin) = &caller.origin {
                first.meta.put_text("_dd.origin", origin);
            }
            if let Some(id) = caller
                .datadog_parent_id
                .filter(|_| first.span_id == self.entry_id)
            {
                first.meta.put_text("_dd.parent_id", hex(id, &mut [0; 16]));
            }
        }
        say_decision(first, decision);
        let high = (self.trace_id >> 64) as u64;
        if high != 0 {
            first.meta.put_text("_dd.p.tid", hex(high, &mut [0; 16]));
        }
        first
            .metrics
            .put_number("_dd.tracer_kr", self.shared.joint.told.keep_rate());
    }

    fn encode(&self, out: &mut Vec<u8>, span: &Open, (is_first, now_ns): (bool, u64)) {
        let who = &self.shared.who;
        let service = who.service(&span.service);
        let since_start_ns = span.start_mono_ns.saturating_sub(self.start_mono_ns);
        encode_span(
            out,
            &WireSpan {
                service,
                name: &span.name,
                resource: span.resource(),
                kind: &span.kind,
                trace_id: self.trace_id as u64,
                span_id: span.span_id,
                parent_id: span.parent_id,
                // One reading of the wall clock a trace: a jump in between cannot tear it apart.
                start_unix_ns: self.start_unix_ns.saturating_add(since_start_ns),
                duration_ns: now_ns.saturating_sub(span.start_mono_ns),
                error: span.error,
                meta: &span.meta,
                metrics: &span.metrics,
                common: who.common(service, is_first),
                links: &span.links,
                events: &span.events,
            },
        );
    }

    pub(super) fn service_of<'a>(&'a self, span: &'a Open) -> &'a str {
        self.shared.who.service(&span.service)
    }
}

fn say_decision(first: &mut Open, decision: &Decision) {
    if !decision.mechanism.is_empty() {
        // A person may have overruled the caller's rate.
        first.meta.remove("_dd.p.ksr");
        if decision.priority.keeps() {
            first.meta.put_text("_dd.p.dm", decision.mechanism);
        } else {
            // The caller's own word, where a person here overruled it.
            first.meta.remove("_dd.p.dm");
        }
    }
    for (key, rate) in [
        ("_dd.agent_psr", decision.agent_rate),
        ("_dd.rule_psr", decision.rule_rate),
        ("_dd.limit_psr", decision.limit_rate),
    ] {
        if let Some(rate) = rate {
            first.metrics.put_number(key, rate);
        }
    }
    if let Some(rate) = decision.knuth_rate() {
        with_rate_text(rate, |text| first.meta.put_text("_dd.p.ksr", text));
    }
    let priority = f64::from(decision.priority.0);
    first.metrics.put_number("_sampling_priority_v1", priority);
}

/// One rate holds for most traces: it is written out where it is another than this thread's last.
fn with_rate_text(rate: f64, see: impl FnOnce(&str)) {
    thread_local! {
        static LAST: RefCell<(f64, String)> = const { RefCell::new((f64::NAN, String::new())) };
    }
    let _ = LAST.try_with(|last| {
        let (of, text) = &mut *last.borrow_mut();
        if *of != rate {
            text.clear();
            rate_text(rate, text);
            *of = rate;
        }
        see(text);
    });
}

/// As `{:016x}`, without the machinery of formatting.
pub(super) fn hex(id: u64, into: &mut [u8; 16]) -> &str {
    for (place, digit) in into.iter_mut().rev().enumerate() {
        *digit = b"0123456789abcdef"[(id >> (4 * place) & 15) as usize];
    }
    std::str::from_utf8(into).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_sixteen_digits() {
        for (id, text) in [
            (0, "0000000000000000"),
            (0xdead_beef, "00000000deadbeef"),
            (u64::MAX, "ffffffffffffffff"),
            (0x640c_fd8d_0000_0000, "640cfd8d00000000"),
        ] {
            assert_eq!(hex(id, &mut [0; 16]), text);
        }
    }
}
