//! What a sampler may be told.

use super::{Rule, SpanRule};

/// Keep or drop.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplingOptions {
    /// Share of traces that is kept, 0 to 1, of those that no rule fits; `None` leaves them to the Agent.
    pub rate: Option<f64>,
    /// The first that fits decides.
    pub rules: Vec<Rule>,
    /// Traces that rules and rate keep in one second; 0 is none, less than 0 is no limit. What is kept by
    /// the Agent's rate, the caller or a person does not count.
    pub per_second_max: f64,
    /// Spans that are kept out of traces that are dropped.
    pub span_rules: Vec<SpanRule>,
}

impl Default for SamplingOptions {
    fn default() -> SamplingOptions {
        SamplingOptions {
            rate: None,
            rules: Vec::new(),
            per_second_max: 100.0,
            span_rules: Vec::new(),
        }
    }
}
