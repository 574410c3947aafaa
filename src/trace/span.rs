//! Spans of the current thread, as their callers hold them.

use std::borrow::Cow;
use std::marker::PhantomData;

use super::open::Open;
use super::{SpanContext, SpanEvent, SpanLink, running};

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

/// An open entry span: the first of a trace on its thread. Finishes when dropped, also while a panic unwinds.
#[must_use = "a span that is dropped at once measures nothing"]
#[derive(Debug)]
pub struct Entry {
    trace_id: u128,
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

/// Opens a child of this thread's innermost open span.
pub fn span(name: impl Into<Cow<'static, str>>) -> Child {
    Child {
        span_id: running::open(name.into()).unwrap_or(0),
        here: PhantomData,
    }
}

/// The ids of this thread's innermost open span, `(trace, span)`, for a log line.
pub fn active_ids() -> Option<(u128, u64)> {
    running::innermost(|local| {
        let span = local.buffers.open.last();
        (local.trace_id, span.map_or(0, |span| span.span_id))
    })
}

/// The context of this thread's innermost open span, for another process. From here on the sampling of its
/// trace is decided; see [`headers`] for an outgoing request.
pub fn active() -> Option<SpanContext> {
    running::innermost(|local| local.context())
}

/// Headers that tell an outgoing request's receiver of this thread's innermost open span, in the styles of
/// its tracer; none where no trace is active.
pub fn headers() -> Vec<(&'static str, String)> {
    let injected = running::innermost(|local| {
        let context = local.context();
        let injected = local.shared.propagation.inject(&context, &local.baggage);
        if let (Some(error), Some(entry)) = (injected.error, local.buffers.open.first_mut()) {
            entry.meta.put_text("_dd.propagation_error", error);
        }
        injected.headers
    });
    injected.unwrap_or_default()
}

fn change(span_id: u64, change: impl FnOnce(&mut Open)) {
    running::owner(span_id, |local, at| change(&mut local.buffers.open[at]));
}

fn set_meta(span_id: u64, key: &str, value: &str) {
    running::owner(span_id, |local, at| match key {
        // As in other tracers: not a tag, but a person's word on the whole trace.
        "manual.keep" | "manual.drop" => {
            if is_true(value) {
                local.decide_by_hand(key == "manual.keep");
            }
        }
        _ => local.buffers.open[at].meta.put_text(key, value),
    });
}

fn is_true(value: &str) -> bool {
    !["", "0", "f", "false"]
        .iter()
        .any(|no| value.eq_ignore_ascii_case(no))
}

macro_rules! span_methods {
    ($guard:ident) => {
        impl $guard {
            /// Sets a text tag; a key that is already there gets the new value. `manual.keep` and
            /// `manual.drop` do what [`keep_trace`](Self::keep_trace) and [`drop_trace`](Self::drop_trace) do.
            pub fn set_meta(&mut self, key: impl AsRef<str>, value: impl AsRef<str>) {
                set_meta(self.span_id, key.as_ref(), value.as_ref());
            }

            /// Sets a number tag. What is not finite is left out on the wire.
            pub fn set_metric(&mut self, key: impl AsRef<str>, value: f64) {
                change(self.span_id, |span| {
                    span.metrics.put_number(key.as_ref(), value)
                });
            }

            /// Sets what is asked for, `GET /users/{id}`. The span's name stands for it otherwise.
            pub fn set_resource(&mut self, resource: &str) {
                change(self.span_id, |span| span.set_resource(resource));
            }

            /// Sets the service that the span belongs to, where it is not the tracer's own.
            pub fn set_service(&mut self, service: &str) {
                change(self.span_id, |span| span.set_service(service));
            }

            /// Marks the span as failed, with all that Error Tracking needs.
            pub fn set_error(&mut self, error: &ErrorTags<'_>) {
                change(self.span_id, |span| span.set_error(error));
            }

            /// Names another span that this one has to do with. At most 128 a span are kept.
            pub fn add_link(&mut self, link: SpanLink) {
                change(self.span_id, |span| span.add_link(link));
            }

            /// Notes something that happened. At most 128 a span are kept.
            pub fn add_event(&mut self, event: SpanEvent) {
                change(self.span_id, |span| span.add_event(event));
            }

            /// Keeps the whole trace, whatever was decided. Before its context leaves the process, or
            /// those who have it go on with the old decision.
            pub fn keep_trace(&mut self) {
                running::owner(self.span_id, |local, _| local.decide_by_hand(true));
            }

            /// Drops the whole trace, as [`keep_trace`](Self::keep_trace) keeps it.
            pub fn drop_trace(&mut self) {
                running::owner(self.span_id, |local, _| local.decide_by_hand(false));
            }

            /// The same with the resource set.
            pub fn resource(mut self, resource: &str) -> Self {
                self.set_resource(resource);
                self
            }

            /// The same with the service set.
            pub fn service(mut self, service: &str) -> Self {
                self.set_service(service);
                self
            }

            /// The same as a span of this kind (`type` on the wire): `web`, `http`, `sql`, `worker`, ...
            pub fn kind(self, kind: impl Into<Cow<'static, str>>) -> Self {
                change(self.span_id, |span| span.kind = kind.into());
                self
            }

            /// Ends the span.
            pub fn finish(self) {}
        }
    };
}

span_methods!(Entry);
span_methods!(Child);

impl Entry {
    pub(super) fn of(trace_id: u128, span_id: u64) -> Entry {
        Entry {
            trace_id,
            span_id,
            here: PhantomData,
        }
    }

    /// The ids of this span, `(trace, span)`; zeros where tracing is off.
    pub fn ids(&self) -> (u128, u64) {
        (self.trace_id, self.span_id)
    }

    /// Whether the trace is kept, as far as its own process can tell: decided now, if it was not before, and
    /// from now on it stands. False where tracing is off.
    pub fn is_kept(&self) -> bool {
        let kept = running::owner(self.span_id, |local, _| local.decide().priority.keeps());
        kept.unwrap_or(false)
    }

    /// Time since the span was opened, in nanoseconds.
    pub fn elapsed_ns(&self) -> u64 {
        let elapsed = running::owner(self.span_id, |local, at| {
            let now_ns = local.shared.joint.clock.mono_ns();
            now_ns.saturating_sub(local.buffers.open[at].start_mono_ns)
        });
        elapsed.unwrap_or(0)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.span_id != 0 {
            running::end(self.span_id);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // One that outlived its parent was closed with it.
        if self.span_id != 0 {
            running::close(self.span_id);
        }
    }
}
