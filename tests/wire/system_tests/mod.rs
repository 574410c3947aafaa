//! Datadog's own tests of its tracers, told again in our words: a file and a test of each name here stand in
//! DataDog/system-tests, `tests/parametric/test_<file>.py`, where the rule is. `hop` is no test: one request in, one span, headers out.

mod config_consistency;
mod extract_behavior;
mod headers_b3;
mod headers_b3multi;
mod headers_baggage;
mod headers_datadog;
mod headers_none;
mod headers_precedence;
mod headers_tracecontext;
mod headers_tracestate_dd;
mod hop;
mod partial_flushing;
mod sampling_manual;
mod sampling_span_tags;
mod span_events;
mod span_links;
mod span_sampling;
mod startup_logs;
mod trace_sampling;
mod traceids_128_bit;
mod tracer;
