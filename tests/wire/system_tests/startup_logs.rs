//! What the program says of itself when it starts: the cases of DataDog/system-tests,
//! `tests/parametric/test_startup_logs.py`. Other tracers say it on stderr; here it is a record of the log.

use std::fs;

use serde_json::Value;

use crate::support::{FakeAgent, Folder, Program};

/// Messages of a program's log. It was started, looked for its Agent with this outcome, and was stopped.
#[track_caller]
fn messages(env: &[(String, String)], outcome: &str) -> Vec<String> {
    let folder = Folder::new();
    let log = folder.file("api.log");
    let mut env = env.to_vec();
    env.extend(pairs(&[
        ("TESTAPI_LOG_FILE", log.to_str().unwrap()),
        ("DD_TRACE_WRITER_INTERVAL_SECONDS", "0.05"),
    ]));
    let program = Program::serve(&env);
    program.wait_for(&format!("testapi: agent {outcome}"));
    program.terminate();
    let log = fs::read_to_string(log).unwrap();
    let message = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap();
        record["message"].as_str().unwrap().to_string()
    };
    log.lines().map(message).collect()
}

fn pairs(env: &[(&str, &str)]) -> Vec<(String, String)> {
    env.iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

/// The same with an Agent that answers.
#[track_caller]
fn messages_with_agent(env: &[(&str, &str)]) -> Vec<String> {
    let agent = FakeAgent::start();
    messages(&[agent.env(), pairs(env)].concat(), "reachable")
}

/// What the lines say that begin so.
fn rests<'a>(messages: &'a [String], start: &str) -> Vec<&'a str> {
    messages
        .iter()
        .filter_map(|message| message.strip_prefix(start))
        .collect()
}

const CONFIGURATION: &str = "DATADOG TRACER CONFIGURATION ";
const DIAGNOSTICS: &str = "DATADOG TRACER DIAGNOSTICS ";

#[test]
fn test_startup_logs_default() {
    let messages = messages_with_agent(&[]);
    assert_eq!(rests(&messages, CONFIGURATION).len(), 1, "{messages:#?}");
    assert_eq!(rests(&messages, DIAGNOSTICS), [""; 0]);
}

#[test]
fn test_startup_logs_enabled() {
    let rule = r#"[{"name":"bake*","sample_rate":0.5}]"#;
    let messages = messages_with_agent(&[
        ("DD_TRACE_STARTUP_LOGS", "true"),
        ("DD_SERVICE", "bakery"),
        ("DD_TRACE_SAMPLING_RULES", rule),
    ]);
    let said: Value = serde_json::from_str(rests(&messages, CONFIGURATION)[0]).unwrap();
    assert_eq!(
        (&said["service"], &said["agent_error"]),
        (&"bakery".into(), &"".into())
    );
    assert_eq!(said["sampling_rules"].to_string(), rule);
}

#[test]
fn test_startup_logs_disabled() {
    let messages = messages_with_agent(&[("DD_TRACE_STARTUP_LOGS", "false")]);
    assert!(
        !messages.iter().any(|message| message.contains("DATADOG")),
        "{messages:#?}"
    );
}

#[test]
fn test_startup_logs_diagnostic_agent_unreachable() {
    let url = "http://nobody.invalid:8126";
    let env = pairs(&[
        ("DD_TRACE_STARTUP_LOGS", "true"),
        ("DD_TRACE_AGENT_URL", url),
    ]);
    let messages = messages(&env, "unreachable");
    let said: Value = serde_json::from_str(rests(&messages, CONFIGURATION)[0]).unwrap();
    assert_eq!(said["agent_url"], url);
    assert_ne!(said["agent_error"], "");
    let told = rests(&messages, DIAGNOSTICS);
    assert_eq!(told.len(), 1, "{messages:#?}");
    assert!(
        told[0].starts_with(&format!("Agent not reachable: {url}: ")),
        "{told:?}"
    );
}
