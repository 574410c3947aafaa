//! Whether a trace is kept: asked once, as late as may be; and what the next process is told.

use super::SpanContext;
use super::local::Local;
use super::open::Open;
use super::sampling::{Decision, Subject, TagValue, rate_text};

impl Local {
    /// Keep or drop, by what is known of the entry span now; from then on it stands.
    pub(super) fn decide(&mut self) -> Decision {
        if let Some(decision) = self.fate.decided() {
            return decision;
        }
        let told = self.caller.as_ref().and_then(|caller| caller.priority);
        let decision = match (told, self.buffers.open.first()) {
            (Some(priority), _) => Decision::inherited(priority),
            (None, Some(entry)) => self.as_subject(entry, |subject| {
                let now_ns = self.shared.joint.clock.mono_ns();
                self.shared
                    .joint
                    .sampler
                    .decide(self.trace_id, now_ns, subject)
            }),
            // A trace has its entry span for as long as it is here.
            (None, None) => Decision::default(),
        };
        self.fate.set(decision);
        decision
    }

    /// A person's word, over whatever was decided.
    pub(super) fn decide_by_hand(&mut self, keep: bool) {
        let before = self.fate.decided().unwrap_or_default();
        self.fate.set(before.manual(keep));
    }

    pub(super) fn as_subject<R>(&self, span: &Open, see: impl FnOnce(&Subject<'_>) -> R) -> R {
        let service = self.service_of(span);
        let common = self.shared.who.common(service, true);
        let tags = |key: &str| {
            let text = span.meta.text(key).map(TagValue::Text);
            let number = || span.metrics.number(key).map(TagValue::Number);
            text.or_else(number)
                .or_else(|| common.text(key).map(TagValue::Text))
        };
        see(&Subject {
            service,
            name: &span.name,
            resource: span.resource(),
            tags: &tags,
        })
    }

    /// What the next process is told, in the name of the innermost open span.
    pub(super) fn context(&mut self) -> SpanContext {
        let decision = self.decide();
        let caller = self.caller.as_ref();
        let mut tags = caller.map(|caller| caller.tags.clone()).unwrap_or_default();
        if !decision.mechanism.is_empty() {
            tags.retain(|(key, _)| key != "_dd.p.dm" && key != "_dd.p.ksr");
            if decision.priority.keeps() {
                tags.push(("_dd.p.dm".to_string(), decision.mechanism.to_string()));
            }
        }
        if let Some(rate) = decision.knuth_rate() {
            let mut text = String::new();
            rate_text(rate, &mut text);
            tags.push(("_dd.p.ksr".to_string(), text));
        }
        SpanContext {
            trace_id: self.trace_id,
            span_id: self.buffers.open.last().map_or(0, |span| span.span_id),
            priority: Some(decision.priority),
            origin: caller.and_then(|caller| caller.origin.clone()),
            tags,
            state: caller
                .map(|caller| caller.state.clone())
                .unwrap_or_default(),
            datadog_parent_id: None,
        }
    }
}
