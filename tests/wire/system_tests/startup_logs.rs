//! What the program says of itself when it starts: the cases of DataDog/system-tests,
//! `tests/parametric/test_startup_logs.py`. Their logs are on stderr; ours are the log's own lines.

use std::fs;

use crate::support::{FakeAgent, Folder, Program};

/// The log of a program that was started, found no Agent or one, and was stopped.
#[track_caller]
fn log(agent: &[(String, String)], env: &[(&str, &str)], until: &str) -> String {
    let folder = Folder::new();
    let log = folder.file("api.log");
    let mut all = agent.to_vec();
    all.push(("TESTAPI_LOG_FILE".into(), log.to_str().unwrap().into()));
    all.push(("DD_TRACE_WRITER_INTERVAL_SECONDS".into(), "0.05".into()));
    all.extend(
        env.iter()
            .map(|(name, value)| (name.to_string(), value.to_string())),
    );
    let program = Program::serve(&all);
    program.wait_for(until);
    program.terminate();
    fs::read_to_string(log).unwrap()
}

const CONFIGURATION: &str = "DATADOG TRACER CONFIGURATION";

#[track_caller]
fn log_with_agent(env: &[(&str, &str)]) -> String {
    log(&FakeAgent::start().env(), env, "testapi: agent reachable")
}

#[test]
fn test_startup_logs_default() {
    let log = log_with_agent(&[]);
    assert_eq!(log.matches(CONFIGURATION).count(), 1, "{log}");
}

#[test]
fn test_startup_logs_enabled() {
    let log = log_with_agent(&[("DD_TRACE_STARTUP_LOGS", "true"), ("DD_SERVICE", "bakery")]);
    let line = log
        .lines()
        .find(|line| line.contains(CONFIGURATION))
        .unwrap();
    assert!(line.contains("bakery"), "{line}");
}

#[test]
fn test_startup_logs_disabled() {
    let log = log_with_agent(&[("DD_TRACE_STARTUP_LOGS", "false")]);
    assert!(!log.contains("DATADOG"), "{log}");
}

#[test]
fn test_startup_logs_diagnostic_agent_unreachable() {
    let env = [
        ("DD_TRACE_STARTUP_LOGS", "true"),
        ("DD_TRACE_AGENT_URL", "http://nobody.invalid:8126"),
    ];
    let log = log(&[], &env, "testapi: agent unreachable");
    let line = log
        .lines()
        .find(|line| line.contains("DIAGNOSTICS"))
        .unwrap();
    assert!(line.contains("nobody.invalid:8126"), "{line}");
}
