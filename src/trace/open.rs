//! One open span.

use std::borrow::Cow;

use super::event::SpanEvent;
use super::spare::SPARE_BYTES_MAX;
use super::tags::Tags;
use super::{ErrorTags, SpanLink};

/// A name; most are constants.
pub(super) type Text = Cow<'static, str>;

/// Longest stack that is sent: with the Agent's limit on a value in mind, older ones included.
const STACK_BYTES_MAX: usize = 20_000;
/// Links and events of one span that are kept; further ones are counted in a tag.
const EXTRAS_MAX: usize = 128;

/// One open span. Its memory is used again by the next.
#[derive(Default)]
pub(super) struct Open {
    pub(super) span_id: u64,
    pub(super) parent_id: u64,
    pub(super) name: Text,
    /// Empty is the tracer's own.
    pub(super) service: String,
    /// Empty is the name.
    pub(super) resource: String,
    pub(super) kind: Text,
    pub(super) start_mono_ns: u64,
    pub(super) error: bool,
    pub(super) meta: Tags,
    pub(super) metrics: Tags,
    pub(super) links: Vec<SpanLink>,
    pub(super) events: Vec<SpanEvent>,
}

impl Open {
    /// What is asked for; the name where nobody said.
    pub(super) fn resource(&self) -> &str {
        match self.resource.as_str() {
            "" => &self.name,
            said => said,
        }
    }

    pub(super) fn set_resource(&mut self, resource: &str) {
        rewrite(&mut self.resource, resource);
    }

    pub(super) fn set_service(&mut self, service: &str) {
        rewrite(&mut self.service, service);
    }

    pub(super) fn set_error(&mut self, error: &ErrorTags<'_>) {
        self.error = true;
        let stack = super::encode::cut(error.stack, STACK_BYTES_MAX);
        self.meta.put_text("error.type", error.kind);
        self.meta.put_text("error.message", error.message);
        self.meta.put_text("error.stack", stack);
    }

    pub(super) fn add_link(&mut self, link: SpanLink) {
        match self.links.len() < EXTRAS_MAX {
            true => self.links.push(link),
            false => self.count_more("_dd.span_links.dropped"),
        }
    }

    pub(super) fn add_event(&mut self, event: SpanEvent) {
        match self.events.len() < EXTRAS_MAX {
            true => self.events.push(event.sound()),
            false => self.count_more("_dd.span_events.dropped"),
        }
    }

    pub(super) fn count_more(&mut self, key: &str) {
        let count = self.metrics.number(key).unwrap_or(0.0);
        self.metrics.put_number(key, count + 1.0);
    }

    pub(super) fn clear(&mut self) {
        self.meta.clear(SPARE_BYTES_MAX);
        self.metrics.clear(SPARE_BYTES_MAX);
        for text in [&mut self.resource, &mut self.service] {
            text.clear();
            text.shrink_to(SPARE_BYTES_MAX);
        }
        self.links.clear();
        self.events.clear();
        self.name = Text::Borrowed("");
        self.kind = Text::Borrowed("");
        (self.span_id, self.parent_id, self.error) = (0, 0, false);
    }
}

fn rewrite(kept: &mut String, text: &str) {
    kept.clear();
    kept.push_str(text);
}
