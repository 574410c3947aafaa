//! Keep or drop: the rules a user wrote, the rates the Agent asks for, and spans kept out of dropped traces.
//!
//! A trace is decided once, late enough for its resource and tags to be known: by what the caller decided,
//! else by the first of DD_TRACE_SAMPLING_RULES that fits, else by DD_TRACE_SAMPLE_RATE, else by the Agent's
//! rate for service and environment, else it is kept. A person's own word goes above all of these.
//!
//! Invariant: what is decided depends on the trace id alone, not on who asks, so that all processes of one
//! trace that go by the same rate agree without a word; only a rate limit makes an exception, and says so.
//!
//! Follows dd-trace-go, `ddtrace/tracer/sampler.go` and `internal/samplingrules`, and libdatadog,
//! `libdd-sampling`; cases in DataDog/system-tests, `tests/parametric/test_trace_sampling.py`,
//! `test_sampling_span_tags.py` and `test_span_sampling.py`.

mod agent_rates;
mod counts;
mod decision;
mod glob;
mod knuth;
mod limiter;
mod options;
mod pattern;
mod rule;
mod rule_json;
mod sampler;
mod span_rule;
mod subject;

pub use counts::SamplingCounts;
pub use options::SamplingOptions;
pub use rule::Rule;
pub use span_rule::SpanRule;

pub(in crate::trace) use decision::Decision;
pub(in crate::trace) use knuth::rate_text;
pub(in crate::trace) use sampler::Sampler;
pub(in crate::trace) use subject::{Subject, TagValue};
