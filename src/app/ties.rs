//! Spans tied to stacks: what the tracer tells of, the profiler hears.

use crate::profile::Profiler;
use crate::trace::SpanWatch;

/// Tells a profiler of a tracer's spans.
pub(super) struct Ties(pub(super) Profiler);

/// Types of entry spans whose resource is a route: of others it may be anything, a person's data too. The same
/// as in dd-trace-go (`ddtrace/tracer/tracer.go`, `spanResourcePIISafe`).
const KINDS: [&str; 2] = ["web", "rpc"];

impl SpanWatch for Ties {
    fn active(&self, span_id: u64, local_root_id: u64) {
        self.0.set_active(span_id, local_root_id);
    }

    fn root_ended(&self, local_root_id: u64, kind: &str, resource: &str) {
        if KINDS.contains(&kind) {
            self.0.count_endpoint(local_root_id, resource);
        }
    }
}
