//! Each route once, SIGTERM, and then everything that left the program, compared whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::sync::OnceLock;

use serde_json::Value;
use testapi::agent::decode::{
    Kind, LogLine, Message, Span, Status, Values, datagram, exposition, log_line, traces_v04,
};
use testapi::app::ROUTES;

use crate::support::{Ended, FakeAgent, Folder, Program, Reply, Seen, ask};

const AGENT: &str = "tests/1";
const DOWNSTREAM: &str = "/trace/nested/{depth}";

/// One run, looked at by all tests here.
struct Run {
    address: SocketAddr,
    process_id: u32,
    replies: Vec<Reply>,
    metrics_page: String,
    seen: Seen,
    log: String,
    ended: Ended,
}

fn run() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(run_once)
}

fn run_once() -> Run {
    let (agent, folder) = (FakeAgent::start(), Folder::new());
    let log = folder.file("api.log");
    let mut env = agent.env();
    for (name, value) in [
        ("TESTAPI_LOG_FILE", log.to_str().unwrap()),
        ("DD_TRACE_WRITER_INTERVAL_SECONDS", "0.05"),
        ("DD_ORIGIN_DETECTION_ENABLED", "false"),
        ("DD_SERVICE", "demo"),
        ("DD_ENV", "dev"),
        ("DD_VERSION", "9.1"),
        ("DD_TAGS", "team:a"),
    ] {
        env.push((name.to_string(), value.to_string()));
    }
    let program = Program::serve(&env);
    let (address, process_id) = (program.address(), program.id());
    // From here on the Agent's rates are known, so that all traces are decided alike.
    program.wait_for("testapi: agent reachable");
    let call = |path: &str| {
        let line = format!("GET {path} HTTP/1.1");
        ask(address, &line, &[("User-Agent", AGENT)], b"")
    };
    let replies = ROUTES.iter().map(|route| call(route.example)).collect();
    let metrics_page = call("/metrics").body;
    let ended = program.terminate();
    Run {
        address,
        process_id,
        replies,
        metrics_page,
        seen: agent.seen(),
        log: fs::read_to_string(log).unwrap(),
        ended,
    }
}

/// What one observed request should have been seen as.
struct Request {
    pattern: &'static str,
    path: &'static str,
    status: u16,
    user_agent: &'static str,
}

/// All routes but the two that are not observed, and the call that one of them makes.
fn requests() -> Vec<Request> {
    let observed = ROUTES.iter().filter(|route| route.observed);
    let mut all: Vec<Request> = observed
        .map(|route| Request {
            pattern: route.pattern,
            path: route.example,
            status: status_of(route.pattern),
            user_agent: AGENT,
        })
        .collect();
    all.push(Request {
        pattern: DOWNSTREAM,
        path: "/trace/nested/2",
        status: 200,
        user_agent: "testapi-downstream",
    });
    all
}

fn status_of(pattern: &str) -> u16 {
    match pattern {
        "/server_error/" | "/panic/" => 500,
        "/status/{code}" => 404,
        _ => 200,
    }
}

#[test]
fn every_route_answers() {
    let statuses: Vec<u16> = run().replies.iter().map(|reply| reply.status).collect();
    let expected: Vec<u16> = ROUTES
        .iter()
        .map(|route| status_of(route.pattern))
        .collect();
    assert_eq!(statuses, expected);
    for reply in &run().replies {
        assert_eq!(reply.header("X-Content-Type-Options"), Some("nosniff"));
    }
}

#[test]
fn the_end_is_clean() {
    let Ended { code, stderr, .. } = &run().ended;
    assert_eq!(*code, Some(0), "{stderr:#?}");
    let agent = run().seen.requests[0].header("Host").unwrap();
    let expected = [
        format!("testapi: listening on http://{}", run().address),
        format!("testapi: agent reachable: http://{agent}"),
        "testapi: stopped: everything was sent".to_string(),
    ];
    assert_eq!(stderr[..], expected);
}

/// Lines by context, whatever flush they came in: counts added up, values of the one timing that
/// differs with every run counted, all else as it is.
fn contexts(seen: &Seen) -> BTreeMap<String, String> {
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    let mut others = BTreeMap::new();
    for bytes in &seen.datagrams {
        assert!(bytes.len() <= 1_432 && bytes.ends_with(b"\n"));
        let text = str::from_utf8(bytes).unwrap();
        for (line, message) in text.lines().zip(datagram(bytes)) {
            let Message::Metric(metric) = message.unwrap() else {
                others.insert(line.to_string(), "once".to_string());
                continue;
            };
            let rest = line.split_once('|').unwrap().1;
            let key = format!("{}|{rest}", metric.name);
            match (metric.kind, metric.values) {
                (Kind::Count, Values::Numbers(values)) => {
                    *sums.entry(key).or_default() += values.iter().sum::<f64>();
                }
                (_, Values::Numbers(values)) if metric.name == "testapi.request.duration" => {
                    assert!(values.iter().all(|ms| (0.0..60_000.0).contains(ms)));
                    *sums.entry(key).or_default() += values.len() as f64;
                }
                (_, values) => {
                    let twice = others.insert(key, format!("{values:?}"));
                    assert_eq!(twice, None, "{line}");
                }
            }
        }
    }
    others.extend(sums.into_iter().map(|(key, sum)| (key, sum.to_string())));
    others
}

#[test]
fn every_metric_arrives_and_no_other() {
    let tags = "env:dev,service:demo,team:a,version:9.1";
    let mut expected: BTreeMap<String, String> = [
        ("testapi.count|c", "0"),
        ("testapi.gauge|g", "Numbers([36.6])"),
        ("testapi.set|s", "Member(\"ana\")"),
        ("testapi.histogram|h", "Numbers([12.5])"),
        ("testapi.distribution|d", "Numbers([12.5])"),
        ("testapi.timing|ms", "Numbers([12.5])"),
        ("_e{8,29}:deployed|asked for by /sdmetrics/event", "once"),
    ]
    .into_iter()
    .map(|(key, value)| (format!("{key}|#{tags}"), value.to_string()))
    .collect();
    let check = format!("_sc|testapi.check|1|#{tags}|m:asked for by /sdmetrics/check");
    expected.insert(check, "once".to_string());
    for Request {
        pattern, status, ..
    } in requests()
    {
        let count = if pattern == DOWNSTREAM { "2" } else { "1" };
        let (head, mid) = (
            format!("env:dev,method:GET,route:{pattern}"),
            "service:demo",
        );
        for key in [
            format!("testapi.request_count|c|#{head},{mid},status:{status},team:a,version:9.1"),
            format!("testapi.request.duration|ms|#{head},{mid},team:a,version:9.1"),
        ] {
            expected.insert(key, count.to_string());
        }
    }
    let mut seen = contexts(&run().seen);
    seen.retain(|context, _| !context.starts_with(OF_TRACER));
    assert_eq!(seen, expected);
}

const OF_TRACER: &str = "datadog.tracer.";

#[test]
fn the_tracer_counts_what_it_did() {
    let mut seen = contexts(&run().seen);
    seen.retain(|context, _| context.starts_with(OF_TRACER));
    let count = |name: &str, tags: &str| {
        let key = format!("{OF_TRACER}{name}|c|#env:dev,service:demo,{tags}team:a,version:9.1");
        seen.get(&key).map_or(0, |count| count.parse().unwrap())
    };
    let chunks = chunks();
    let spans: usize = chunks.values().map(Vec::len).sum();
    for name in ["spans_started", "spans_finished", "spans_sent"] {
        assert_eq!(count(name, ""), spans, "{name}: {seen:?}");
    }
    let payloads: Vec<_> = run().seen.payloads().collect();
    let bytes: usize = payloads.iter().map(|payload| payload.body.len()).sum();
    assert_eq!(count("flush_traces", ""), chunks.len());
    assert_eq!(count("api.requests", ""), payloads.len());
    // The head of each payload is not counted: one byte, or three.
    let heads = bytes - count("flush_bytes", "");
    assert!(
        (payloads.len()..=3 * payloads.len()).contains(&heads),
        "{heads}"
    );
    // An empty payload came before the first.
    assert_eq!(count("api.responses", "status:2xx,"), payloads.len() + 1);
    assert_eq!(count("api.errors", ""), 0);
}

#[test]
fn prometheus_has_counted_the_same() {
    let page = exposition(&run().metrics_page).unwrap();
    let mut counted = BTreeMap::new();
    for sample in &page.samples {
        if sample.name == "request_count_total" {
            let labels = sample.labels.iter().map(|(k, v)| format!("{k}={v}"));
            let labels: Vec<String> = labels.collect();
            assert_eq!(counted.insert(labels.join(" "), sample.value), None);
        }
    }
    let mut expected = BTreeMap::new();
    for Request {
        pattern, status, ..
    } in requests()
    {
        let labels = format!("method=GET route={pattern} status={status}");
        *expected.entry(labels).or_default() += 1.0;
    }
    assert_eq!(counted, expected);
    let find = |name: &str| page.samples.iter().find(|sample| sample.name == name);
    let custom = find("custom_metric_total").unwrap();
    assert_eq!(custom.labels, [("count_type", "apples".into())]);
    assert_eq!(custom.value, 3.0);
    assert_eq!(find("http_requests_in_flight").unwrap().value, 0.0);
    let kept = ["process_start_time_seconds", "testapi_build_info"];
    assert!(kept.iter().all(|name| find(name).is_some()));
}

/// The chunk of each request, by its URL.
fn chunks() -> BTreeMap<String, Vec<Span>> {
    let mut chunks = BTreeMap::new();
    for payload in run().seen.payloads() {
        let decoded = traces_v04(&payload.body).unwrap();
        let announced = payload.header("X-Datadog-Trace-Count").unwrap();
        assert_eq!(announced, decoded.len().to_string());
        for chunk in decoded {
            let url = chunk[0].tag("http.url").to_string();
            let twice = chunks.insert(url, chunk);
            assert!(twice.is_none(), "{twice:?}");
        }
    }
    chunks
}

#[test]
fn the_agent_is_asked_before_the_first_trace() {
    let [first, second] = &run().seen.requests[..2] else {
        panic!("two requests at least");
    };
    assert!(first.is_look() && second.is_probe(), "{first:?} {second:?}");
    assert_eq!(second.header("X-Datadog-Trace-Count"), Some("0"));
}

#[test]
fn every_server_span_arrives_with_all_it_should_say_and_nothing_else() {
    let (chunks, requests) = (chunks(), requests());
    assert_eq!(chunks.len(), requests.len());
    let runtime_id = chunks.values().next().unwrap()[0].tag("runtime-id");
    assert_eq!((runtime_id.len(), runtime_id.as_bytes()[14]), (36, b'4'));
    for request in requests {
        let url = format!("http://{}{}", run().address, request.path);
        let span = &chunks[&url][0];
        let status = request.status.to_string();
        let mut meta = BTreeMap::from([
            ("span.kind", "server"),
            ("component", "tiny_http"),
            ("language", "rust"),
            ("runtime-id", runtime_id),
            ("env", "dev"),
            ("version", "9.1"),
            ("team", "a"),
            ("http.method", "GET"),
            ("http.url", &url),
            ("http.route", request.pattern),
            ("http.status_code", &status),
            ("http.useragent", request.user_agent),
            ("_dd.p.dm", "-1"),
            ("_dd.p.ksr", "1"),
            ("_dd.p.tid", span.tag("_dd.p.tid")),
        ]);
        let tid = u64::from_str_radix(span.tag("_dd.p.tid"), 16).unwrap();
        // Seconds in the upper half, zeros in the lower.
        assert!(tid >> 32 > 1_700_000_000 && tid as u32 == 0, "{tid:x}");
        if request.status >= 500 {
            for key in ["error.type", "error.message", "error.stack"] {
                assert!(!span.tag(key).is_empty(), "{url}: {key}");
                meta.insert(key, span.tag(key));
            }
        }
        assert_eq!(as_map(&span.meta), meta, "{url}");
        let mut metrics = BTreeMap::from([
            ("_dd.agent_psr", 1.0),
            ("_sampling_priority_v1", 1.0),
            ("_dd.top_level", 1.0),
            ("_dd.measured", 1.0),
            ("_dd.tracer_kr", 1.0),
            ("process_id", f64::from(run().process_id)),
        ]);
        // The decision was made by the caller, whose chunk tells the rate.
        if request.user_agent != AGENT {
            metrics.remove("_dd.agent_psr");
        }
        let found: BTreeMap<&str, f64> = span.metrics.iter().map(|(k, v)| (&**k, *v)).collect();
        assert_eq!(found, metrics, "{url}");
        let rest = (&*span.service, &*span.name, &*span.resource, &*span.kind);
        let resource = format!("GET {}", request.pattern);
        assert_eq!(rest, ("demo", "http.request", &*resource, "web"));
        assert_eq!(span.error, i64::from(request.status >= 500), "{url}");
        assert!(span.start > 1_700_000_000_000_000_000 && span.duration > 0);
    }
}

fn as_map(pairs: &[(String, String)]) -> BTreeMap<&str, &str> {
    let map: BTreeMap<&str, &str> = pairs.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!(map.len(), pairs.len(), "no key twice: {pairs:?}");
    map
}

/// A child as sent: name, resource, its parent's resource, its number.
type Child = (
    &'static str,
    &'static str,
    &'static str,
    Option<(&'static str, f64)>,
);

fn children_of(path: &str) -> Vec<Child> {
    let level = |n| Some(("testapi.level", n));
    match path {
        "/trace/nested/3" => vec![
            ("testapi.nested", "nested 3", "nested 2", level(3.0)),
            ("testapi.nested", "nested 2", "nested 1", level(2.0)),
            (
                "testapi.nested",
                "nested 1",
                "GET /trace/nested/{depth}",
                level(1.0),
            ),
        ],
        "/trace/nested/2" => vec![
            ("testapi.nested", "nested 2", "nested 1", level(2.0)),
            (
                "testapi.nested",
                "nested 1",
                "GET /trace/nested/{depth}",
                level(1.0),
            ),
        ],
        "/trace/fanout/5" => vec![
            ("testapi.fanout", "fanout 1", "GET /trace/fanout/{n}", None),
            ("testapi.fanout", "fanout 2", "GET /trace/fanout/{n}", None),
            ("testapi.fanout", "fanout 3", "GET /trace/fanout/{n}", None),
            ("testapi.fanout", "fanout 4", "GET /trace/fanout/{n}", None),
            ("testapi.fanout", "fanout 5", "GET /trace/fanout/{n}", None),
        ],
        "/trace/linked/restocked" => vec![
            ("testapi.linked", "cause", "GET /trace/linked/{event}", None),
            (
                "testapi.linked",
                "effect",
                "GET /trace/linked/{event}",
                None,
            ),
        ],
        "/trace/downstream" => vec![(
            "http.client.request",
            "GET /trace/nested/2",
            "GET /trace/downstream",
            None,
        )],
        "/slow/50" => vec![(
            "testapi.sleep",
            "testapi.sleep",
            "GET /slow/{ms}",
            Some(("testapi.ms", 50.0)),
        )],
        "/cpu/20" => vec![(
            "testapi.burn",
            "testapi.burn",
            "GET /cpu/{ms}",
            Some(("testapi.ms", 20.0)),
        )],
        _ => Vec::new(),
    }
}

#[test]
fn every_child_stands_under_its_parent() {
    let chunks = chunks();
    let mut ids = BTreeSet::new();
    for request in requests() {
        let chunk = &chunks[&format!("http://{}{}", run().address, request.path)];
        let entry = &chunk[0];
        let children: Vec<_> = chunk[1..]
            .iter()
            .map(|span| {
                let parent = chunk.iter().find(|s| s.span_id == span.parent_id).unwrap();
                assert_eq!((span.trace_id, span.error), (entry.trace_id, 0));
                let kind = match span.tag("span.kind") {
                    "client" => "http",
                    _ => "",
                };
                assert_eq!((&*span.service, &*span.kind), ("demo", kind));
                let end = |s: &Span| s.start + s.duration;
                let inside = span.start >= parent.start && end(span) <= end(parent);
                assert!(inside, "{span:?} outlives {parent:?}");
                let number = span.metrics.first().map(|(k, v)| (&**k, *v));
                assert!(span.metrics.len() <= 1, "{:?}", span.metrics);
                (&*span.name, &*span.resource, &*parent.resource, number)
            })
            .collect();
        assert_eq!(children, children_of(request.path), "{}", request.path);
        for span in chunk {
            assert!(span.span_id > 0 && ids.insert(span.span_id));
        }
        // These say more: the call's own tags, and an event, which is a tag where an Agent does not know events.
        let others = ["/trace/downstream", "/trace/linked/restocked"];
        for span in chunk[1..]
            .iter()
            .filter(|_| !others.contains(&request.path))
        {
            let expected = BTreeMap::from([("env", "dev"), ("version", "9.1"), ("team", "a")]);
            assert_eq!(as_map(&span.meta), expected);
        }
    }
}

#[test]
fn one_trace_goes_through_two_requests() {
    let chunks = chunks();
    let url = |path: &str| format!("http://{}{path}", run().address);
    let caller = &chunks[&url("/trace/downstream")];
    let called = &chunks[&url("/trace/nested/2")][0];
    let client = &caller[1];
    let trace = (caller[0].trace_id, caller[0].tag("_dd.p.tid"));
    assert_eq!((called.trace_id, called.tag("_dd.p.tid")), trace);
    assert_eq!(called.parent_id, client.span_id);
    assert_eq!(
        as_map(&client.meta),
        BTreeMap::from([
            ("span.kind", "client"),
            ("component", "testapi"),
            ("http.method", "GET"),
            ("http.url", &*url("/trace/nested/2")),
            ("http.status_code", "200"),
            ("env", "dev"),
            ("version", "9.1"),
            ("team", "a"),
        ])
    );
    let traces: BTreeSet<u64> = chunks.values().map(|chunk| chunk[0].trace_id).collect();
    assert_eq!(
        traces.len(),
        chunks.len() - 1,
        "all others are of their own"
    );
    for (url, chunk) in &chunks {
        let has_parent = chunk[0].parent_id != 0;
        assert_eq!(has_parent, url.ends_with("/trace/nested/2"), "{url}");
    }
}

#[test]
fn every_request_has_one_access_line_with_the_ids_of_its_span() {
    let chunks = chunks();
    let lines: Vec<&str> = run().log.lines().collect();
    let of_access = |line: &&&str| log_line(line).logger == "testapi.access";
    let access: Vec<&str> = lines.iter().filter(of_access).copied().collect();
    assert_eq!(access.len(), requests().len());
    for request in requests() {
        let span = &chunks[&format!("http://{}{}", run().address, request.path)][0];
        let message = format!("GET {} {}", request.path, request.status);
        let mut of_request = access.iter().filter(|l| log_line(l).message == message);
        let line = of_request.next().unwrap_or_else(|| panic!("{message}"));
        assert_eq!(of_request.next(), None, "{message}");
        let json: Value = serde_json::from_str(line).unwrap();
        let trace_id = format!("{}{:016x}", span.tag("_dd.p.tid"), span.trace_id);
        assert_eq!(json["dd.trace_id"], trace_id);
        assert_eq!(json["dd.span_id"], span.span_id.to_string());
        check_access_line(&request, span, log_line(line));
    }
}

fn check_access_line(request: &Request, span: &Span, mut line: LogLine) {
    let status = request.status.to_string();
    let expected = BTreeMap::from([
        ("dd.env", "dev"),
        ("dd.service", "demo"),
        ("dd.version", "9.1"),
        ("ddsource", "rust"),
        ("http.method", "GET"),
        ("http.route", request.pattern),
        ("http.status_code", &status),
        ("http.url", request.path),
        ("http.useragent", request.user_agent),
        ("network.client.ip", "127.0.0.1"),
    ]);
    let mut fields = as_map(&line.fields);
    let duration: i64 = fields.remove("duration").unwrap().parse().unwrap();
    assert!(duration > 0 && duration <= span.duration, "{duration}");
    let thread = fields.remove("logger.thread_name").unwrap();
    assert!(thread.starts_with("api-"), "{thread}");
    assert_eq!(fields, expected);
    line.fields.clear();
    let time = line.time_unix_us.take().unwrap() as i64;
    let end = (span.start + span.duration) / 1_000;
    // The line's stamp is cut to the millisecond, and the wall clock may be slewed while the span lasts.
    assert!((span.start / 1_000 - 1_000..=end + 1_000).contains(&time));
    let whole = LogLine {
        json: true,
        status: match request.status {
            500.. => Status::Error,
            400..500 => Status::Warn,
            _ => Status::Info,
        },
        message: format!("GET {} {}", request.path, request.status),
        service: "demo".into(),
        logger: "testapi.access".into(),
        trace_id: span.trace_id,
        span_id: span.span_id,
        error_kind: span.tag("error.type").into(),
        error_message: span.tag("error.message").into(),
        error_stack: span.tag("error.stack").into(),
        http_status_code: status.clone(),
        ..LogLine::default()
    };
    assert_eq!(line, whole);
}

#[test]
fn all_other_lines_are_these() {
    let lines: Vec<LogLine> = run().log.lines().map(log_line).collect();
    let others: Vec<_> = lines
        .iter()
        .filter(|line| line.logger != "testapi.access")
        .map(|line| (&*line.logger, line.status, &*line.message))
        .collect();
    let agent = run().seen.requests[0].header("Host").unwrap();
    let (of_tracer, others): (Vec<_>, Vec<_>) = others
        .into_iter()
        .partition(|(logger, ..)| *logger == "testapi.tracer");
    let [("testapi.tracer", Status::Info, what_holds)] = of_tracer[..] else {
        panic!("one line says what holds: {of_tracer:?}");
    };
    assert!(
        what_holds.starts_with("DATADOG TRACER CONFIGURATION {"),
        "{what_holds}"
    );
    assert_eq!(
        others,
        [
            (
                "testapi",
                Status::Info,
                &*format!("listening on http://{}", run().address)
            ),
            (
                "testapi",
                Status::Info,
                &*format!("agent reachable: http://{agent}")
            ),
            (
                "testapi.demo",
                Status::Warn,
                "a record at level warning, asked for by /logging"
            ),
        ]
    );
    let demo = lines.iter().find(|l| l.logger == "testapi.demo").unwrap();
    let chunks = chunks();
    let span = &chunks[&format!("http://{}/logging/warning", run().address)][0];
    assert_eq!((demo.trace_id, demo.span_id), (span.trace_id, span.span_id));
}
