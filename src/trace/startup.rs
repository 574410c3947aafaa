//! What a tracer says of itself when it starts, as other Datadog tracers do: one line that says what holds,
//! and one more where the Agent is not there.
//!
//! The words are those of dd-trace-go (`ddtrace/tracer/log.go`), which people and scripts search for;
//! `profiling_enabled` is one of dd-trace-java (`StatusLogger`) and dd-trace-js, for the Go tracer has none.

use serde_json::{Map, Value, json};

use super::options::Options;
use super::propagation::Style;
use super::told::AgentState;
use super::{Rule, SpanRule};
use crate::identity::Identity;

/// What a tracer cannot know by itself.
#[derive(Clone, Debug, Default)]
pub struct StartUp<'a> {
    /// Where DogStatsD goes, or empty.
    pub dogstatsd: &'a str,
    /// Whether it tells what it sends.
    pub debug: bool,
    /// Whether log lines carry ids.
    pub logs_injection: bool,
    /// Whether the process profiles itself.
    pub profiling: bool,
    /// Whether its samples carry ids of spans.
    pub hotspots: bool,
    /// Whether they carry resources.
    pub endpoints: bool,
    /// Settings that were not taken, in words.
    pub config_errors: &'a [String],
}

/// The line that says what holds.
pub fn configuration(
    options: &Options,
    identity: &Identity,
    (agent, more): (&AgentState, &StartUp<'_>),
) -> String {
    let (agent_error, info) = match agent {
        AgentState::Unknown => ("not asked yet", None),
        AgentState::Unreachable(error) => (error.as_str(), None),
        AgentState::Reachable(info) => ("", info.as_ref()),
    };
    let tags = identity
        .tags
        .iter()
        .map(|(key, value)| (key.clone(), json!(value)));
    let mut fields = json!({
        "os_name": std::env::consts::OS,
        "architecture": std::env::consts::ARCH,
        "version": env!("CARGO_PKG_VERSION"),
        "lang": "rust",
        "lang_version": env!("CARGO_PKG_RUST_VERSION"),
        "env": identity.env,
        "service": identity.service,
        "dd_version": identity.version,
        "runtime_id": identity.runtime_id,
        "tags": tags.collect::<Map<String, Value>>(),
        "enabled": options.enabled,
        "agent_url": options.agent.to_string(),
        "agent_error": agent_error,
        "dogstatsd_url": more.dogstatsd,
        "debug": more.debug,
        "logs_injection": more.logs_injection,
        "profiling_enabled": more.profiling,
        "profiler_code_hotspots_enabled": more.profiling && more.hotspots,
        "profiler_endpoints_enabled": more.profiling && more.endpoints,
        "config_errors": more.config_errors,
    });
    if let Some(fields) = fields.as_object_mut() {
        fields.extend(of_spans(options));
        fields.insert(
            "agent_version".into(),
            info.map_or(Value::Null, |i| json!(i.version)),
        );
    }
    format!("DATADOG TRACER CONFIGURATION {fields}")
}

fn of_spans(options: &Options) -> Map<String, Value> {
    let Options {
        spans,
        sampling,
        propagation,
        web,
        ..
    } = options;
    let styles = |styles: &[Style]| match styles {
        [] => "none".to_string(),
        _ => styles
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(","),
    };
    let fields = json!({
        "sample_rate": sampling.rate,
        "sampling_rules": sampling.rules.iter().map(Rule::to_json).collect::<Vec<_>>(),
        "span_sampling_rules": sampling.span_rules.iter().map(SpanRule::to_json).collect::<Vec<_>>(),
        "sample_rate_limit": sampling.per_second_max,
        "propagation_style_extract": styles(&propagation.extract),
        "propagation_style_inject": styles(&propagation.inject),
        "partial_flush_enabled": spans.partial_flush_spans.is_some(),
        "partial_flush_min_spans": spans.partial_flush_spans,
        "service_mapping": spans.service_mapping.to_string(),
        "http_server_error_statuses": web.server_errors.to_string(),
        "client_ip_enabled": web.client_ip,
        "flush_interval_seconds": options.flush_interval.as_secs_f64(),
        "buffer_bytes_max": options.buffer_bytes_max,
        "payload_bytes_max": options.payload_bytes_max,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The line for an Agent that is not there; the error names where.
pub fn diagnostics(error: &str) -> String {
    format!("DATADOG TRACER DIAGNOSTICS Agent not reachable: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(agent: &AgentState, more: &StartUp<'_>) -> Value {
        let identity = Identity {
            env: "dev".to_string(),
            tags: vec![("team".to_string(), "a".to_string())],
            ..Identity::of_process("shop")
        };
        let line = configuration(&Options::default(), &identity, (agent, more));
        let json = line.strip_prefix("DATADOG TRACER CONFIGURATION ").unwrap();
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_line_says_what_holds_and_what_was_not_taken() {
        let errors = ["DD_TRACE_ENABLED=\"maybe\": takes true or false; kept true".to_string()];
        let more = StartUp {
            config_errors: &errors,
            ..StartUp::default()
        };
        let seen = fields(&AgentState::Reachable(None), &more);
        for (key, value) in [
            ("service", json!("shop")),
            ("env", json!("dev")),
            ("lang", json!("rust")),
            ("agent_url", json!("http://127.0.0.1:8126")),
            ("agent_error", json!("")),
            ("sample_rate", Value::Null),
            ("partial_flush_min_spans", json!(300)),
            (
                "propagation_style_inject",
                json!("datadog,tracecontext,baggage"),
            ),
            ("tags", json!({ "team": "a" })),
            ("config_errors", json!(errors)),
        ] {
            assert_eq!(seen[key], value, "{key}");
        }
        let away = AgentState::Unreachable("refused".to_string());
        assert_eq!(fields(&away, &StartUp::default())["agent_error"], "refused");
        for (profiling, hotspots, endpoints) in [
            (false, true, true),
            (true, true, false),
            (true, false, true),
        ] {
            let more = StartUp {
                profiling,
                hotspots,
                endpoints,
                ..StartUp::default()
            };
            let seen = fields(&away, &more);
            for (key, holds) in [
                ("profiling_enabled", profiling),
                ("profiler_code_hotspots_enabled", profiling && hotspots),
                ("profiler_endpoints_enabled", profiling && endpoints),
            ] {
                assert_eq!(seen[key], holds, "{key}");
            }
        }
        assert_eq!(
            diagnostics("refused"),
            "DATADOG TRACER DIAGNOSTICS Agent not reachable: refused"
        );
    }
}
