//! Settings that all tracers read alike: the cases of DataDog/system-tests,
//! `tests/parametric/test_config_consistency.py`.
//!
//! Left out: `Test_Stable_Config_Default` and `Test_Stable_Config_Rules`, which are about files of settings
//! that are not read here. DD_TRACE_LOG_DIRECTORY is not read either, as the tracer writes no log of its own:
//! its case is held for the program's log, TESTAPI_LOG_FILE.

use testapi::agent::decode::Span;
use testapi::config::{self, Settings};
use testapi::dogstatsd::Address;
use testapi::http::Target;
use testapi::trace::EntryOptions;

use crate::support::{Folder, Program, get};
use crate::wire::rig::Rig;

fn settings(env: &[(&str, &str)]) -> Settings {
    let (settings, problems) = config::parse(env.iter().copied(), &|_| false);
    assert_eq!(problems, [], "{env:?}");
    settings
}

/// Traces of one span each, of these services; an empty one is DD_SERVICE.
#[track_caller]
fn spans_of(env: &[(&str, &str)], services: &[&str]) -> Vec<Span> {
    let rig = Rig::of(env);
    for service in services {
        let mut entry = rig.tracer.enter(EntryOptions {
            name: "bake".into(),
            ..EntryOptions::default()
        });
        if !service.is_empty() {
            entry.set_service(service);
        }
        entry.finish();
    }
    rig.chunks().into_iter().flatten().collect()
}

/// The value of a tag that is there, be it empty.
fn tag<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    let found = span.meta.iter().find(|(name, _)| name == key);
    found.map(|(_, value)| value.as_str())
}

#[test]
fn test_tracing_enabled() {
    assert_eq!(spans_of(&[], &[""]).len(), 1);
    assert_eq!(spans_of(&[("DD_TRACE_ENABLED", "true")], &[""]).len(), 1);
}

#[test]
fn test_tracing_disabled() {
    assert_eq!(spans_of(&[("DD_TRACE_ENABLED", "false")], &[""]), []);
}

#[test]
fn test_trace_log_directory_configured_with_existing_directory() {
    let folder = Folder::new();
    let log = folder.file("api.log");
    let env = [
        (
            "TESTAPI_LOG_FILE".to_string(),
            log.to_str().unwrap().to_string(),
        ),
        ("DD_TRACE_ENABLED".to_string(), "false".to_string()),
    ];
    let program = Program::serve(&env);
    assert_eq!(get(program.address(), "/health").status, 200);
    program.terminate();
    assert!(!std::fs::read_to_string(log).unwrap().is_empty());
}

#[test]
fn test_default_config() {
    let spans = spans_of(&[], &[""]);
    assert_eq!(spans[0].service, "testapi");
    // A service that says no version says its own, as Node's tracer does; theirs leave that one out here.
    assert_eq!(tag(&spans[0], "version"), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(tag(&spans[0], "env"), None);
}

#[test]
fn test_specific_version() {
    let env = [("DD_SERVICE", "bakery"), ("DD_VERSION", "3.4.5")];
    let spans = spans_of(&env, &["", "the mill"]);
    let seen: Vec<_> = spans
        .iter()
        .map(|span| (span.service.as_str(), tag(span, "version")))
        .collect();
    assert_eq!(seen, [("bakery", Some("3.4.5")), ("the mill", None)]);
}

#[test]
fn test_specific_env() {
    assert_eq!(
        tag(&spans_of(&[("DD_ENV", "night")], &[""])[0], "env"),
        Some("night")
    );
}

/// Host and port say something else.
fn agent(url: &str) -> Target {
    let env = [
        ("DD_TRACE_AGENT_URL", url),
        ("DD_AGENT_HOST", "other.example.org"),
        ("DD_TRACE_AGENT_PORT", "4444"),
    ];
    settings(&env).trace().agent
}

#[test]
fn test_dd_trace_agent_unix_url_nonexistent() {
    assert_eq!(
        agent("unix:///run/nobody/apm.socket"),
        Target::Unix("/run/nobody/apm.socket".into())
    );
}

#[test]
fn test_dd_trace_agent_http_url_nonexistent() {
    assert_eq!(
        agent("http://nobody.invalid:7777/"),
        Target::Tcp("nobody.invalid".into(), 7_777)
    );
}

#[test]
fn test_dd_trace_agent_http_url_ipv6() {
    assert_eq!(agent("http://[::1]:7777"), Target::Tcp("::1".into(), 7_777));
}

#[test]
fn test_dd_agent_host_ipv6() {
    let env = [
        ("DD_TRACE_AGENT_URL", ""),
        ("DD_AGENT_HOST", "[::1]"),
        ("DD_TRACE_AGENT_PORT", "7777"),
    ];
    let agent = settings(&env).trace().agent;
    assert_eq!(agent, Target::Tcp("::1".into(), 7_777));
    assert_eq!(agent.to_string(), "http://[::1]:7777");
}

#[test]
fn test_default_trace_rate_limit() {
    let sampling = settings(&[("DD_TRACE_SAMPLE_RATE", "1")]).trace().sampling;
    assert_eq!((sampling.rate, sampling.per_second_max), (Some(1.0), 100.0));
}

/// Priorities of so many traces within one second.
#[track_caller]
fn priorities(env: &[(&str, &str)], traces: usize) -> Vec<f64> {
    let spans = spans_of(env, &[""].repeat(traces));
    spans
        .iter()
        .map(|span| span.metric("_sampling_priority_v1").unwrap())
        .collect()
}

const RATE_AND_RULE: [(&str, &str); 2] = [
    ("DD_TRACE_SAMPLE_RATE", "1"),
    ("DD_TRACE_SAMPLING_RULES", r#"[{"sample_rate":1}]"#),
];

#[test]
fn test_setting_trace_rate_limit_strict() {
    let [rate, rule] = RATE_AND_RULE;
    assert_eq!(
        priorities(&[("DD_TRACE_RATE_LIMIT", "1"), rate, rule], 2),
        [2.0, -1.0]
    );
}

#[test]
fn test_trace_rate_limit_without_trace_sample_rate() {
    assert_eq!(priorities(&[("DD_TRACE_RATE_LIMIT", "1")], 2), [1.0, 1.0]);
}

#[test]
fn test_setting_trace_rate_limit() {
    let [rate, rule] = RATE_AND_RULE;
    let seen = priorities(&[("DD_TRACE_RATE_LIMIT", "2"), rate, rule], 5);
    assert_eq!(seen, [2.0, 2.0, -1.0, -1.0, -1.0]);
}

#[test]
fn test_comma_space_tag_separation() {
    for (said, sent) in [
        ("oven:hot,tray:2", &[("oven", "hot"), ("tray", "2")][..]),
        ("oven:hot tray:2", &[("oven", "hot"), ("tray", "2")]),
        (
            "env:night oven:hot tray:2 shelf:",
            &[
                ("env", "night"),
                ("oven", "hot"),
                ("tray", "2"),
                ("shelf", ""),
            ],
        ),
        (
            "env:night,oven:hot,tray:2,shelf:",
            &[
                ("env", "night"),
                ("oven", "hot"),
                ("tray", "2"),
                ("shelf", ""),
            ],
        ),
        (
            "env:night,oven:hot tray:2 shelf:",
            &[("env", "night"), ("oven", "hot tray:2 shelf:")],
        ),
        (
            "env:night    oven :hot tray: two shelf:",
            &[
                ("env", "night"),
                ("oven", ""),
                ("tray", ""),
                ("two", ""),
                ("shelf", ""),
            ],
        ),
        (
            "env :night, oven : hot tray:2 shelf:",
            &[("env", "night"), ("oven", "hot tray:2 shelf:")],
        ),
        (
            "env:night:shift oven:hot tray",
            &[("env", "night:shift"), ("oven", "hot"), ("tray", "")],
        ),
        (
            "env:night:  , ,   Oven:Hot:Air ",
            &[("env", "night:"), ("Oven", "Hot:Air")],
        ),
        (
            "oven:hot,tray,shelf",
            &[("oven", "hot"), ("tray", ""), ("shelf", "")],
        ),
        ("oven,7", &[("oven", ""), ("7", "")]),
        ("oven:hot:air:on", &[("oven", "hot:air:on")]),
    ] {
        let spans = spans_of(&[("DD_TAGS", said)], &[""]);
        for (key, value) in sent {
            assert_eq!(tag(&spans[0], key), Some(*value), "{said:?}: {key}");
        }
    }
}

#[test]
fn test_dd_service_override() {
    let env = [
        ("DD_TAGS", "service:shop,env:day,version:9.9"),
        ("DD_SERVICE", "bakery"),
        ("DD_ENV", "night"),
        ("DD_VERSION", "3.4.5"),
    ];
    let span = &spans_of(&env, &[""])[0];
    assert_eq!(span.service, "bakery");
    assert_eq!(
        (tag(span, "env"), tag(span, "version")),
        (Some("night"), Some("3.4.5"))
    );
}

fn dogstatsd(env: &[(&str, &str)]) -> Address {
    settings(env).dogstatsd().address
}

#[test]
fn test_dogstatsd_default() {
    let env = [("DD_AGENT_HOST", "localhost")];
    assert_eq!(dogstatsd(&env), Address::Udp("localhost".into(), 8_125));
}

#[test]
fn test_dogstatsd_custom_ip_address() {
    let env = [("DD_DOGSTATSD_HOST", "10.20.30.40")];
    assert_eq!(dogstatsd(&env), Address::Udp("10.20.30.40".into(), 8_125));
}

#[test]
fn test_dogstatsd_custom_hostname() {
    let env = [
        ("DD_AGENT_HOST", "agent.example.org"),
        ("DD_DOGSTATSD_HOST", "127.0.0.7"),
    ];
    assert_eq!(dogstatsd(&env), Address::Udp("127.0.0.7".into(), 8_125));
}

#[test]
fn test_dogstatsd_custom_port() {
    let env = [("DD_DOGSTATSD_PORT", "8199")];
    assert_eq!(dogstatsd(&env), Address::Udp("127.0.0.1".into(), 8_199));
}
