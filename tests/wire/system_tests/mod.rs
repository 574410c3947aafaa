//! Datadog's own tests of its tracers, told again in our words: a file and a test of each name here stand in
//! DataDog/system-tests, `tests/parametric/test_<file>.py`, where the rule is.

mod config_consistency;
mod partial_flushing;
mod sampling_manual;
mod sampling_span_tags;
mod span_events;
mod span_links;
mod span_sampling;
mod startup_logs;
mod trace_sampling;
mod tracer;
