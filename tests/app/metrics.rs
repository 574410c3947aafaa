//! The page of metrics over HTTP: its format, how it is packed, the trace behind an observation, its bound.

use testapi::agent::decode::{self, Exposition, exposition_as, traces_v04};

use crate::support::{FakeAgent, Program, Reply, ask, get};

const OPENMETRICS: (&str, &str) = ("Accept", "application/openmetrics-text");

fn page(program: &Program, headers: &[(&str, &str)]) -> Reply {
    let reply = ask(program.address(), "GET /metrics HTTP/1.1", headers, b"");
    assert_eq!(reply.status, 200);
    reply
}

#[track_caller]
fn read(reply: &Reply) -> Exposition<'_> {
    let content_type = reply.header("content-type").unwrap();
    let format = decode::Format::of_content_type(content_type).unwrap();
    exposition_as(&reply.body, format).unwrap_or_else(|error| panic!("{error}\n{}", reply.body))
}

#[test]
fn a_scraper_gets_the_format_it_asks_for_and_packed_if_it_says_so() {
    let agent = FakeAgent::start();
    let program = Program::serve(&agent.env());
    let (text, openmetrics) = (
        "text/plain; version=0.0.4; charset=utf-8",
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    );
    type Headers = &'static [(&'static str, &'static str)];
    let rows: [(&str, Headers, &str, Option<&str>); 5] = [
        ("nothing is asked for", &[], text, None),
        ("OpenMetrics", &[OPENMETRICS], openmetrics, None),
        (
            "two headers",
            &[("Accept", "text/plain;q=0.1"), OPENMETRICS],
            openmetrics,
            None,
        ),
        (
            "packed",
            &[("Accept-Encoding", "gzip, deflate")],
            text,
            Some("gzip"),
        ),
        ("not packed", &[("Accept-Encoding", "gzip;q=0")], text, None),
    ];
    for (rule, headers, content_type, encoding) in rows {
        let reply = page(&program, headers);
        assert_eq!(reply.header("content-type"), Some(content_type), "{rule}");
        assert_eq!(reply.header("content-encoding"), encoding, "{rule}");
        assert_eq!(
            reply.header("vary"),
            Some("Accept, Accept-Encoding"),
            "{rule}"
        );
        if encoding.is_none() {
            let read = read(&reply);
            assert!(
                read.samples.iter().any(|s| s.name == "process_threads"),
                "{rule}"
            );
        }
    }
    assert_eq!(program.terminate().code, Some(0));
}

#[test]
fn a_bucket_names_the_trace_of_one_of_its_requests() {
    let agent = FakeAgent::start();
    let program = Program::serve(&agent.env());
    assert_eq!(get(program.address(), "/logging/info").status, 200);
    let reply = page(&program, &[OPENMETRICS]);
    let read = read(&reply);
    let [(at, exemplar)] = &read.exemplars[..] else {
        panic!("{:?}", read.exemplars)
    };
    assert_eq!(read.samples[*at].name, "request_latency_seconds_bucket");
    let label = |name: &str| {
        let found = exemplar.labels.iter().find(|(held, _)| *held == name);
        found.map(|(_, value)| value.to_string()).unwrap()
    };
    let ids = (label("trace_id"), label("span_id"));
    assert_eq!(program.terminate().code, Some(0));
    let seen = agent.seen();
    let spans = seen
        .payloads()
        .flat_map(|payload| traces_v04(&payload.body).unwrap());
    let spans: Vec<_> = spans.flatten().collect();
    let upper = |tid: &str| format!("{tid}{:016x}", spans[0].trace_id);
    let expected = (
        upper(spans[0].tag("_dd.p.tid")),
        format!("{:016x}", spans[0].span_id),
    );
    assert_eq!(ids, expected);
}

#[test]
fn a_trace_that_is_dropped_is_nobodys_exemplar() {
    let agent = FakeAgent::start();
    let mut env = agent.env();
    env.push(("DD_TRACE_SAMPLE_RATE".to_string(), "0".to_string()));
    let program = Program::serve(&env);
    assert_eq!(get(program.address(), "/logging/info").status, 200);
    let reply = page(&program, &[OPENMETRICS]);
    let read = read(&reply);
    assert!(read.exemplars.is_empty(), "{:?}", read.exemplars);
    assert_eq!(program.terminate().code, Some(0));
}

#[test]
fn label_sets_over_the_setting_are_one_and_counted() {
    let agent = FakeAgent::start();
    let mut env = agent.env();
    env.push(("TESTAPI_METRICS_SERIES_MAX".to_string(), "20".to_string()));
    let program = Program::serve(&env);
    for number in 0..25 {
        let path = format!("/prometheus_counter_inc/type{number}/2");
        assert_eq!(get(program.address(), &path).status, 200);
    }
    let reply = page(&program, &[]);
    let read = read(&reply);
    let sum = |label: &str| -> f64 {
        let custom = read
            .samples
            .iter()
            .filter(|s| s.name == "custom_metric_total");
        let of = custom.filter(|s| label.is_empty() || s.labels[0].1 == label);
        of.map(|sample| sample.value).sum()
    };
    assert_eq!((sum(""), sum("type0"), sum("overflow")), (50.0, 2.0, 10.0));
    let refused = read
        .samples
        .iter()
        .find(|s| s.name == "exposition_series_refused_total");
    let refused = refused.expect("five were refused");
    assert_eq!(refused.labels, [("family", "custom_metric".into())]);
    assert_eq!(refused.value, 5.0);
    assert_eq!(program.terminate().code, Some(0));
}

#[test]
fn what_the_exporters_were_handed_and_lost_is_on_the_page() {
    let agent = FakeAgent::start();
    let mut env = agent.env();
    env.push(("TESTAPI_LOG_FILE".to_string(), "/dev/full".to_string()));
    let program = Program::serve(&env);
    for _ in 0..3 {
        assert_eq!(get(program.address(), "/logging/error").status, 200);
    }
    let sum = |read: &Exposition<'_>, name: &str, labels: &[(&str, &str)]| -> f64 {
        let has = |sample: &&decode::Sample<'_>| {
            let holds = |(key, value): &(&str, &str)| {
                sample.labels.iter().any(|(k, v)| k == key && v == value)
            };
            sample.name == name && labels.iter().all(holds)
        };
        read.samples
            .iter()
            .filter(has)
            .map(|sample| sample.value)
            .sum()
    };
    let reply = page(&program, &[OPENMETRICS]);
    let shown = read(&reply);
    let logs = [("pipeline", "logs")];
    let pending = sum(&shown, "telemetry_items_pending", &logs);
    assert!(
        pending >= 6.0,
        "three lines and their access lines wait: {pending}"
    );
    assert_eq!(sum(&shown, "telemetry_items_total", &logs), 0.0);
    assert_eq!(sum(&shown, "log_lines_dropped_total", &[]), 0.0);
    program.terminate();
}
