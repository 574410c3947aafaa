//! A trace that goes on on another thread.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex};

use super::fate::Fate;
use super::local::Local;
use super::running::{activate, innermost};
use super::sampling::Decision;
use super::spare::spare_span;
use super::tracer::Shared;
use super::{Entry, SpanContext};

/// An open span, as other threads may know it. They open its children through it; each thread's part goes
/// to the Agent in a chunk of its own, under one sampling decision.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    context: SpanContext,
    root_id: u64,
    service: String,
    baggage: Vec<(String, String)>,
    fate: Arc<Mutex<Decision>>,
}

/// A handle on this thread's innermost open span; `None` where no trace is active. From here on the sampling
/// of its trace is decided.
pub fn handle() -> Option<Handle> {
    innermost(|local| {
        let context = local.context();
        let decision = local.decide();
        let innermost = local.buffers.open.last();
        let said = innermost.map_or("", |span| &span.service);
        Handle {
            context,
            root_id: local.root_id,
            service: local.shared.who.service(said).to_string(),
            baggage: local.baggage.clone(),
            fate: local.fate.share(decision),
            shared: local.shared.clone(),
        }
    })
}

impl Handle {
    /// Opens a child of the handle's span on this thread and makes it this thread's active one.
    pub fn span(&self, name: impl Into<Cow<'static, str>>) -> Entry {
        let mut first = spare_span();
        first.name = name.into();
        first.parent_id = self.context.span_id;
        let local = Local {
            root_id: self.root_id,
            caller: Some(self.context.clone()),
            baggage: self.baggage.clone(),
            fate: Fate::Shared(self.fate.clone()),
            branch_of: Some(self.service.clone()),
            ..Local::new(self.shared.clone(), self.context.trace_id, first)
        };
        let entry = Entry::of(self.context.trace_id, local.entry_id);
        activate(local);
        entry
    }

    /// The ids of the handle's span, `(trace, span)`, for a log line.
    pub fn ids(&self) -> (u128, u64) {
        (self.context.trace_id, self.context.span_id)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}
