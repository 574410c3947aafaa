//! The server's own metrics, from the command line to the wire.

use std::collections::BTreeMap;
use std::process::Command;

use testapi::agent::decode::{Kind, Message, Values, datagram};

use crate::support::{FakeAgent, Folder, Program, Seen, ask, for_a_person, get};

/// Sums of all counts, by name.
fn counts(seen: &Seen) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for bytes in &seen.datagrams {
        for message in datagram(bytes) {
            let Ok(Message::Metric(metric)) = message else {
                panic!("{message:?}");
            };
            if let (Kind::Count, Values::Numbers(values)) = (metric.kind, &metric.values) {
                *sums.entry(metric.name.to_string()).or_default() += values.iter().sum::<f64>();
            }
        }
    }
    sums
}

fn values(seen: &Seen, prefix: &str) -> usize {
    let lines = seen.lines();
    let of_name = lines.iter().filter_map(|line| line.strip_prefix(prefix));
    let values = of_name.map(|rest| rest.split('|').next().unwrap().split(':').count());
    values.sum()
}

fn with(agent: &FakeAgent, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut env = agent.env();
    env.push(("DD_ORIGIN_DETECTION_ENABLED".into(), "false".into()));
    env.extend(more.iter().map(|(n, v)| (n.to_string(), v.to_string())));
    env
}

/// What the calls below count.
const COUNTS: [(&str, f64); 10] = [
    ("gunicorn.log.critical", 1.0),
    // /status/503 and /server_error/ wrote an access line with a stack each.
    ("gunicorn.log.error", 1.0),
    ("gunicorn.log.exception", 2.0),
    ("gunicorn.log.warning", 3.0),
    ("gunicorn.request.status.200", 6.0),
    ("gunicorn.request.status.400", 1.0),
    ("gunicorn.request.status.404", 1.0),
    ("gunicorn.request.status.405", 1.0),
    ("gunicorn.request.status.500", 1.0),
    ("gunicorn.request.status.503", 1.0),
];

/// Each kind of request and of log line, and a head that the server refuses.
fn call_all(program: &Program) {
    let to = program.address();
    for path in [
        "/health",
        "/metrics",
        "/style.css",
        "/status/404",
        "/status/503",
        "/server_error/",
        "/logging/warning",
        "/logging/error",
        "/logging/critical",
    ] {
        get(to, path);
    }
    assert_eq!(ask(to, "POST /health HTTP/1.1", &[], b"").status, 405);
    let twice = [("Host", "a"), ("host", "b")];
    assert_eq!(ask(to, "GET / HTTP/1.1", &twice, b"").status, 400);
}

#[track_caller]
fn check(prefix: &str, seen: &Seen, tags: &str) {
    let mut expected: BTreeMap<String, f64> = COUNTS
        .iter()
        .map(|(name, sum)| (format!("{prefix}{name}"), *sum))
        .collect();
    expected.insert(format!("{prefix}gunicorn.requests"), 11.0);
    assert_eq!(counts(seen), expected);
    for line in seen.lines() {
        assert!(line.starts_with(&format!("{prefix}gunicorn.")), "{line}");
        let told = line.split("|#").nth(1).unwrap();
        let told = told
            .replace("state:idle,", "")
            .replace("state:working,", "");
        assert_eq!(told, tags, "{line}");
    }
    // Ten were served; the refused head has no time.
    assert_eq!(
        values(seen, &format!("{prefix}gunicorn.request.duration:")),
        10
    );
}

#[test]
fn flags_lead_the_servers_metrics_to_an_agent_of_their_own() {
    let (agent, statsd) = (FakeAgent::start(), FakeAgent::start());
    let host = statsd.addresses().0.to_string();
    let args = [
        "serve",
        "--bind",
        "127.0.0.1:0",
        "--workers",
        "4",
        "--statsd-host",
        &host,
        "--statsd-prefix",
        "s",
        "--dogstatsd-tags",
        "team:a,zone:b",
        "--enable-backlog-metric",
    ];
    let program = Program::start(&args, &with(&agent, &[]));
    call_all(&program);
    // Two windows: an idle pool is told all the same.
    let tags = "service:testapi,state:idle,team:a,version:0.1.0,zone:b";
    let idle = format!("s.gunicorn.workers:4|g|#{tags}");
    statsd.wait_for("idle workers in two windows", |seen| {
        let told = seen.lines().iter().filter(|line| **line == idle).count();
        (told >= 2).then_some(())
    });
    let health = get(program.address(), "/health").json();
    assert_eq!(
        health["exporters"]["gunicorn"]["error"],
        serde_json::Value::Null
    );
    let ended = program.terminate();
    assert_eq!(ended.code, Some(0), "{:#?}", ended.stderr);
    let seen = statsd.seen();
    let busy = idle.replace(":4|", ":0|").replace("idle", "working");
    assert!(seen.lines().contains(&busy), "{:#?}", seen.lines());
    assert!(
        values(&seen, "s.gunicorn.backlog:") >= 3,
        "{:#?}",
        seen.lines()
    );
    let mut counted = counts(&seen);
    assert_eq!(counted.remove("s.gunicorn.requests"), Some(12.0));
    assert_eq!(counted.remove("s.gunicorn.request.status.200"), Some(7.0));
    let others = agent.seen().lines();
    assert!(
        others.iter().all(|line| !line.contains("gunicorn")),
        "{others:#?}"
    );
    assert!(
        others
            .iter()
            .any(|line| line.starts_with("testapi.request_count:"))
    );
}

#[test]
fn the_environment_says_it_too_and_a_unix_socket_takes_it() {
    let folder = Folder::new();
    let (path, log) = (folder.file("dsd.socket"), folder.file("api.log"));
    let (agent, statsd) = (FakeAgent::start(), FakeAgent::with_unix(&path));
    let url = format!("unix://{}", path.display());
    let env = with(
        &agent,
        &[
            ("TESTAPI_STATSD_HOST", &url),
            ("TESTAPI_DOGSTATSD_TAGS", "service:web"),
            ("DD_DOGSTATSD_DISABLE", "true"),
            // Lines that go nowhere are not counted.
            ("TESTAPI_LOG_FILE", log.to_str().unwrap()),
        ],
    );
    let program = Program::serve(&env);
    call_all(&program);
    let ended = program.terminate();
    assert_eq!(ended.code, Some(0), "{:#?}", ended.stderr);
    let seen = statsd.wait_for("the last flush", |seen| {
        let told = counts(seen).contains_key("gunicorn.requests");
        told.then(|| seen.clone())
    });
    check("", &seen, "service:web,version:0.1.0");
    assert_eq!(
        values(&seen, "gunicorn.backlog:"),
        0,
        "it was not asked for"
    );
    let others = agent.seen().lines();
    assert_eq!(others, [""; 0], "the API's own are switched off");
}

#[track_caller]
fn refused(args: &[&str], said: &str) {
    for command in [&[][..], &["serve"]] {
        let mut program = Command::new(Program::PATH);
        let output = program
            .env_clear()
            .args(command)
            .args(args)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(for_a_person(&text), format!("testapi: {said}"), "{args:?}");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn bad_values_end_with_2_and_what_is_allowed() {
    let takes = "takes host:port or unix:///path";
    for bad in [
        "",
        "agent",
        "agent:0",
        "agent:70000",
        ":8125",
        "tcp://a:1",
        "unix://",
    ] {
        let said = format!("--statsd-host {bad:?}: {takes}");
        refused(&["--statsd-host", bad], &said);
    }
    let host = ["--statsd-host", "127.0.0.1:1"];
    let takes = "takes a letter, then letters, digits, _ and dots, up to 172 bytes";
    for bad in [".", "my-shop", "9", "a b"] {
        let said = format!("--statsd-prefix {bad:?}: {takes}");
        refused(&[host[0], host[1], "--statsd-prefix", bad], &said);
    }
    let takes = "takes key:value pairs, separated by commas, without pipes and @";
    for bad in ["a", "a:", ":b", "a:b,", "a:b|c"] {
        let said = format!("--dogstatsd-tags {bad:?}: {takes}");
        refused(&[host[0], host[1], "--dogstatsd-tags", bad], &said);
    }
    let long = format!("a:{}", "x".repeat(1_432));
    let mut program = Command::new(Program::PATH);
    program
        .env_clear()
        .args(host)
        .args(["--dogstatsd-tags", &long]);
    let output = program.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("TESTAPI_DOGSTATSD_TAGS") && text.contains("1432"),
        "{text}"
    );
}

#[test]
fn flags_without_a_host_end_with_2() {
    for args in [
        &["--statsd-prefix", "shop"][..],
        &["--dogstatsd-tags", "a:1"],
        &["--enable-backlog-metric"],
    ] {
        let said = format!("{} needs --statsd-host or TESTAPI_STATSD_HOST", args[0]);
        refused(args, &said);
    }
}

#[test]
fn settings_without_a_host_are_told_and_the_api_serves_all_the_same() {
    let agent = FakeAgent::start();
    let env = with(
        &agent,
        &[
            ("TESTAPI_STATSD_PREFIX", "shop"),
            ("TESTAPI_DOGSTATSD_TAGS", "a"),
            ("TESTAPI_ENABLE_BACKLOG_METRIC", "true"),
        ],
    );
    let program = Program::serve(&env);
    let health = get(program.address(), "/health").json();
    assert_eq!(health["exporters"]["gunicorn"], serde_json::Value::Null);
    let ended = program.terminate();
    assert_eq!(ended.code, Some(0));
    let of_host = "has no effect without TESTAPI_STATSD_HOST or --statsd-host";
    assert_eq!(
        ended.stderr[..3],
        [
            "testapi: TESTAPI_DOGSTATSD_TAGS=\"a\": takes key:value pairs, separated by commas, \
             without pipes and @; kept it unset"
                .to_string(),
            format!("testapi: TESTAPI_STATSD_PREFIX {of_host}"),
            format!("testapi: TESTAPI_ENABLE_BACKLOG_METRIC {of_host}"),
        ]
    );
    let lines = agent.seen().lines();
    assert!(
        lines.iter().all(|line| !line.contains("gunicorn")),
        "{lines:#?}"
    );
}

#[test]
fn a_flag_for_the_host_gives_the_environments_settings_their_meaning() {
    let (agent, statsd) = (FakeAgent::start(), FakeAgent::start());
    let host = statsd.addresses().0.to_string();
    let env = with(
        &agent,
        &[
            ("TESTAPI_STATSD_HOST", "127.0.0.1:1"),
            ("TESTAPI_STATSD_PREFIX", "shop"),
        ],
    );
    let args = ["--bind", "127.0.0.1:0", "--statsd-host", &host];
    let program = Program::start(&args, &env);
    get(program.address(), "/health");
    assert_eq!(program.terminate().code, Some(0));
    let counted = counts(&statsd.seen());
    assert_eq!(
        counted.get("shop.gunicorn.requests"),
        Some(&1.0),
        "{counted:?}"
    );
}
