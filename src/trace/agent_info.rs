//! What an Agent says of itself in `/info` (datadog-agent, `pkg/trace/api/info.go`).

use serde_json::Value;

/// The parts of `/info` that change what is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentInfo {
    /// Its version, or empty.
    pub version: String,
    /// Longest payload that it takes, where it says so.
    pub request_bytes_max: Option<usize>,
    /// Whether it takes span events as such.
    pub span_events: bool,
    /// Whether `/v0.4/traces` is among its endpoints; true where it lists none.
    pub takes_traces: bool,
}

/// Reads an answer's body; `None` where it is none.
pub(super) fn read(body: &[u8]) -> Option<AgentInfo> {
    let info: Value = serde_json::from_slice(body).ok()?;
    let fields = info.as_object()?;
    let endpoints = fields.get("endpoints").and_then(Value::as_array);
    let bytes = fields
        .get("config")
        .and_then(|config| config.get("max_request_bytes"));
    let is_traces = |endpoint: &Value| endpoint.as_str() == Some("/v0.4/traces");
    Some(AgentInfo {
        version: version(fields.get("version")),
        request_bytes_max: bytes.and_then(whole).filter(|bytes| *bytes > 0),
        span_events: fields.get("span_events") == Some(&Value::Bool(true)),
        takes_traces: endpoints.is_none_or(|endpoints| endpoints.iter().any(is_traces)),
    })
}

fn version(value: Option<&Value>) -> String {
    let text = value.and_then(Value::as_str).unwrap_or("");
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// Go's encoder writes a large number with an exponent where the Agent holds it as a float.
fn whole(value: &Value) -> Option<usize> {
    let number = value
        .as_f64()
        .filter(|number| (0.0..1e15).contains(number))?;
    Some(number as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, body: &str, expected: Option<AgentInfo>) {
        assert_eq!(read(body.as_bytes()), expected, "{rule}");
    }

    #[test]
    fn every_part_is_read_and_nonsense_counts_as_not_said() {
        let old = AgentInfo {
            takes_traces: true,
            ..AgentInfo::default()
        };
        check("nothing said", "{}", Some(old.clone()));
        check("no object", "[]", None);
        check("no JSON", "404 page not found", None);
        check(
            "all of it",
            r#"{"version":"7.70.1","endpoints":["/v0.3/traces","/v0.4/traces"],"span_events":true,"config":{"max_request_bytes":26214400}}"#,
            Some(AgentInfo {
                version: "7.70.1".to_string(),
                request_bytes_max: Some(26_214_400),
                span_events: true,
                takes_traces: true,
            }),
        );
        check(
            "another's endpoints",
            r#"{"endpoints":["/v0.7/traces"],"config":{"max_request_bytes":2.62144e7}}"#,
            Some(AgentInfo {
                request_bytes_max: Some(26_214_400),
                takes_traces: false,
                ..old.clone()
            }),
        );
        for odd in ["0", "-1", "\"x\"", "1e300", "null"] {
            let body = format!("{{\"version\":7,\"config\":{{\"max_request_bytes\":{odd}}}}}");
            check(odd, &body, Some(old.clone()));
        }
    }
}
