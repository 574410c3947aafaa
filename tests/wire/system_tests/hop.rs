//! One hop of a trace: a request comes in with headers, is served in a span, and another goes out.

use testapi::agent::decode::Span;
use testapi::trace::{self, EntryOptions};

use crate::wire::rig::{Rig, caller_of};

/// What a hop left behind.
pub(super) struct Hop {
    /// As sent to the Agent.
    pub(super) span: Span,
    sent: Vec<(&'static str, String)>,
}

/// The parts of a `traceparent`.
#[derive(Debug, PartialEq)]
pub(super) struct Parent<'a> {
    pub(super) trace: &'a str,
    pub(super) span: &'a str,
    pub(super) flags: &'a str,
}

impl Hop {
    /// With a tracer of its own.
    #[track_caller]
    pub(super) fn of(env: &[(&str, &str)], lines: &[(&str, &str)]) -> Hop {
        Hop::over(&Rig::of(env), lines)
    }

    #[track_caller]
    pub(super) fn over(rig: &Rig, lines: &[(&str, &str)]) -> Hop {
        let entry = rig.tracer.enter(EntryOptions {
            name: "parcel.forward".into(),
            caller: caller_of(&rig.tracer, lines),
            ..EntryOptions::default()
        });
        let sent = trace::headers();
        entry.finish();
        let mut chunks = rig.chunks();
        assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), [1]);
        let span = chunks.remove(0).remove(0);
        Hop { span, sent }
    }

    /// The value of a header that goes out.
    #[track_caller]
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.sent.iter().filter(|(n, _)| *n == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} twice: {:?}", self.sent);
        value
    }

    /// Names of the headers that go out.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.sent.iter().map(|(name, _)| *name).collect()
    }

    /// A decimal header that goes out.
    #[track_caller]
    pub(super) fn number(&self, name: &str) -> u64 {
        self.header(name).unwrap_or_default().parse().unwrap()
    }

    /// Pairs of `x-datadog-tags`.
    #[track_caller]
    pub(super) fn tags(&self) -> Vec<&str> {
        let list = self.header("x-datadog-tags").unwrap_or_default();
        list.split(',').filter(|pair| !pair.is_empty()).collect()
    }

    /// The `traceparent` that goes out, whose form is right.
    #[track_caller]
    pub(super) fn parent(&self) -> Parent<'_> {
        let text = self.header("traceparent").unwrap_or_default();
        let parts: Vec<&str> = text.split('-').collect();
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        assert_eq!((parts[0], &*lengths), ("00", &[2, 32, 16, 2][..]), "{text}");
        let digits = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let is_nothing = |part: &str| part.bytes().all(|b| b == b'0');
        assert!(parts.iter().all(|part| digits(part)), "{text}");
        assert!(!is_nothing(parts[1]) && !is_nothing(parts[2]), "{text}");
        Parent {
            trace: parts[1],
            span: parts[2],
            flags: parts[3],
        }
    }

    /// Members of the `tracestate` that goes out; the first is ours.
    #[track_caller]
    pub(super) fn state(&self) -> Vec<&str> {
        let members: Vec<&str> = self
            .header("tracestate")
            .unwrap_or_default()
            .split(',')
            .collect();
        assert!(members[0].starts_with("dd="), "{members:?}");
        members
    }

    /// What our member of `tracestate` holds.
    #[track_caller]
    pub(super) fn dd(&self) -> Vec<&str> {
        self.state()[0][3..].split(';').collect()
    }

    /// That both ids of Datadog's headers are those of the span.
    #[track_caller]
    pub(super) fn tells_its_span(&self) {
        let told = ["x-datadog-trace-id", "x-datadog-parent-id"].map(|name| self.number(name));
        assert_eq!(told, [self.span.trace_id, self.span.span_id]);
    }

    /// That `traceparent` and Datadog's headers tell the same span.
    #[track_caller]
    pub(super) fn tells_its_span_twice(&self) {
        self.tells_its_span();
        let Parent { trace, span, .. } = self.parent();
        let ids = [&trace[16..], span].map(|id| u64::from_str_radix(id, 16).unwrap());
        assert_eq!(ids, [self.span.trace_id, self.span.span_id]);
    }

    pub(super) fn priority(&self) -> f64 {
        self.span.metric("_sampling_priority_v1").unwrap()
    }
}
