//! What goes wrong: errors and panics reach Error Tracking whole, a client's mistakes do not.

use serde_json::{Value, json};
use testapi::agent::decode::{Span, traces_v04};

use crate::support::{FakeAgent, Program, ask, get};

/// The spans of one request, flushed by the end of the program.
fn entries(agent: &FakeAgent) -> Vec<Span> {
    let seen = agent.seen();
    let chunks = seen.payloads().flat_map(|p| traces_v04(&p.body).unwrap());
    chunks.map(|mut chunk| chunk.remove(0)).collect()
}

fn served(calls: impl Fn(&Program)) -> Vec<Span> {
    let agent = FakeAgent::start();
    let program = Program::serve(&agent.env());
    calls(&program);
    let ended = program.terminate();
    assert_eq!(ended.code, Some(0), "{:#?}", ended.stderr);
    entries(&agent)
}

/// Frames are two lines each: `0: function`, then `    at file:line:column`.
#[track_caller]
fn check_stack(stack: &str, function: &str) {
    let mut lines = stack.lines();
    let (first, place) = (lines.next().unwrap(), lines.next().unwrap());
    assert!(
        first.starts_with("0: ") && first.contains(function),
        "{stack}"
    );
    let place = place.strip_prefix("    at src/").expect(stack);
    let mut parts = place.split(':');
    assert!(parts.next().unwrap().ends_with(".rs"), "{stack}");
    assert!(parts.next().unwrap().parse::<u32>().unwrap() > 0, "{stack}");
    for noise in ["std::", "core::panicking", "rust_begin_unwind", "/rustc/"] {
        assert!(!stack.contains(noise), "{noise} in {stack}");
    }
}

#[test]
fn an_error_and_a_panic_reach_error_tracking_and_the_server_goes_on() {
    let spans = served(|program| {
        let to = program.address();
        assert_eq!(get(to, "/server_error/").status, 500);
        for _ in 0..3 {
            assert_eq!(get(to, "/panic/").status, 500);
        }
        assert_eq!(get(to, "/status/503").status, 503);
        assert_eq!(get(to, "/health").status, 200);
    });
    let of = |route: &str| {
        let of_route = spans.iter().filter(move |s| s.tag("http.route") == route);
        of_route.collect::<Vec<_>>()
    };
    let failed = of("/server_error/")[0];
    assert_eq!((failed.error, failed.tag("http.status_code")), (1, "500"));
    assert_eq!(
        failed.tag("error.type"),
        "testapi::api::handlers::errors::OrderError"
    );
    assert_eq!(
        failed.tag("error.message"),
        "cannot price order \"three apples\": invalid digit found in string"
    );
    let stack = failed.tag("error.stack");
    let chain = "testapi::api::handlers::errors::OrderError: cannot price order \"three apples\"\n\
                 caused by: invalid digit found in string\n";
    check_stack(stack.strip_prefix(chain).expect(stack), "server_error");
    let panics = of("/panic/");
    assert_eq!(panics.len(), 3);
    for panicked in panics {
        assert_eq!((panicked.error, panicked.tag("error.type")), (1, "panic"));
        let message = panicked.tag("error.message");
        let place = "a panic, asked for by /panic/ (src/api/handlers/errors.rs:";
        assert!(message.starts_with(place), "{message}");
        check_stack(panicked.tag("error.stack"), "panic");
    }
    let asked = of("/status/{code}")[0];
    assert_eq!(
        (asked.error, asked.tag("error.message")),
        (1, "asked to answer 503")
    );
    let (chain, frames) = asked.tag("error.stack").split_once('\n').unwrap();
    assert!(
        chain.ends_with("AskedStatus: asked to answer 503"),
        "{chain}"
    );
    check_stack(frames, "status");
    assert_eq!(of("/health")[0].error, 0);
}

#[test]
fn a_clients_mistake_is_no_error_of_ours() {
    let spans = served(|program| {
        let to = program.address();
        assert_eq!(get(to, "/no/such/route").status, 404);
        assert_eq!(get(to, "/status/404").status, 404);
        assert_eq!(get(to, "/sdmetrics/gauge/ten").status, 400);
        assert_eq!(ask(to, "POST /health HTTP/1.1", &[], b"x").status, 405);
    });
    let mut seen: Vec<_> = spans
        .iter()
        .map(|s| (&*s.resource, s.tag("http.status_code"), s.tag("http.route")))
        .collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            (
                "GET /sdmetrics/gauge/{value}",
                "400",
                "/sdmetrics/gauge/{value}"
            ),
            ("GET /status/{code}", "404", "/status/{code}"),
            // A path that no route takes is shown nowhere: anybody can make one up.
            ("GET 404", "404", ""),
            ("POST /health", "405", "/health"),
        ]
    );
    for span in &spans {
        assert_eq!((span.error, span.tag("error.type")), (0, ""), "{span:?}");
    }
}

#[track_caller]
fn check_segment(program: &Program, path: &str, [segment, got, takes]: [&str; 3]) {
    let reply = get(program.address(), path);
    let expected = json!({
        "error": "bad request", "segment": segment, "got": got, "takes": takes,
    });
    assert_eq!((reply.status, reply.json()), (400, expected), "{path}");
    assert_eq!(reply.header("Content-Type"), Some("application/json"));
}

#[test]
fn every_bad_segment_is_told_what_it_takes() {
    let agent = FakeAgent::start();
    let program = Program::serve(&agent.env());
    let check = |path: &str, segment: &str, got: &str, takes: &str| {
        check_segment(&program, path, [segment, got, takes]);
    };
    let levels = "debug, info, warning, error or critical";
    check("/logging/loud", "level", "loud", levels);
    check(
        "/status/199",
        "code",
        "199",
        "a whole number from 200 to 599",
    );
    check(
        "/status/600",
        "code",
        "600",
        "a whole number from 200 to 599",
    );
    check("/sdmetrics/increment/1.5", "value", "1.5", "a whole number");
    check("/sdmetrics/decrement/x", "value", "x", "a whole number");
    for kind in ["gauge", "histogram", "distribution"] {
        for bad in ["NaN", "inf", "1e999", "ten"] {
            let path = format!("/sdmetrics/{kind}/{bad}");
            check(&path, "value", bad, "a finite number");
        }
    }
    let day = "milliseconds from 0 to 86400000";
    check("/sdmetrics/timer/-1", "ms", "-1", day);
    check("/sdmetrics/timer/86400001", "ms", "86400001", day);
    let statuses = "ok, warning, critical or unknown";
    check("/sdmetrics/check/fine", "status", "fine", statuses);
    let hundred = "a whole number from 1 to 100";
    for name in ["times", "different"] {
        for bad in ["0", "101", "-1", "1.5", "ten", ""] {
            let path = format!("/sdmetrics/set/ana?{name}={bad}");
            check(&path, name, bad, hundred);
        }
    }
    let both = "/sdmetrics/set/ana?times=2&different=3";
    check(
        both,
        "different",
        "3",
        "one of times and different, not both",
    );
    let rate = "a number over 0 and up to 1";
    check("/sdmetrics/set/ana?times=2&rate=2", "rate", "2", rate);
    check("/sdmetrics/gauge/1?rate=0", "rate", "0", rate);
}

#[test]
fn every_number_out_of_bounds_is_told_the_bounds() {
    let agent = FakeAgent::start();
    let program = Program::serve(&agent.env());
    let check = |path: &str, segment: &str, got: &str, takes: &str| {
        check_segment(&program, path, [segment, got, takes]);
    };
    let exact = "a whole number from 0 to 9007199254740992";
    check("/prometheus_counter_inc/a/-1", "value", "-1", exact);
    check(
        "/trace/nested/0",
        "depth",
        "0",
        "a whole number from 1 to 100",
    );
    check(
        "/trace/nested/101",
        "depth",
        "101",
        "a whole number from 1 to 100",
    );
    check(
        "/trace/fanout/1001",
        "n",
        "1001",
        "a whole number from 1 to 1000",
    );
    check(
        "/slow/10001",
        "ms",
        "10001",
        "a whole number from 0 to 10000",
    );
    check(
        "/cpu/%D9%A1",
        "ms",
        "\u{661}",
        "a whole number from 0 to 10000",
    );
    assert_eq!(program.terminate().code, Some(0));
}

#[test]
fn other_methods_are_told_what_is_allowed() {
    let agent = FakeAgent::start();
    let program = Program::serve(&agent.env());
    let to = program.address();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        for path in ["/health", "/metrics", "/style.css"] {
            let reply = ask(to, &format!("{method} {path} HTTP/1.1"), &[], b"");
            let body = json!({ "error": "method not allowed", "allowed": ["GET", "HEAD"] });
            assert_eq!((reply.status, reply.json()), (405, body), "{method} {path}");
            assert_eq!(reply.header("Allow"), Some("GET, HEAD"), "{method}");
        }
    }
    let reply = ask(to, "HEAD /health HTTP/1.1", &[], b"");
    assert_eq!((reply.status, &*reply.body), (200, ""));
    assert_ne!(reply.header("Content-Length"), Some("0"));
    let reply = get(to, "/no/such/route");
    let body = json!({ "error": "no such route", "routes": "/" });
    assert_eq!((reply.status, reply.json()), (404, body));
    assert_eq!(program.terminate().code, Some(0));
}

#[test]
fn the_list_of_routes_comes_as_json_too() {
    let agent = FakeAgent::start();
    let program = Program::serve(&agent.env());
    let headers = [("Accept", "application/json")];
    let reply = ask(program.address(), "GET / HTTP/1.1", &headers, b"");
    let body = reply.json();
    let routes: Vec<&str> = body["routes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|route| route["route"].as_str().unwrap())
        .collect();
    let expected: Vec<&str> = testapi::app::ROUTES.iter().map(|r| r.pattern).collect();
    assert_eq!(routes, expected);
    assert_eq!(body["nothing else"], Value::Null);
}

#[test]
fn a_host_that_names_nothing_fails_nobody() {
    let spans = served(|program| {
        let to = program.address();
        for host in ["", "x@", "@"] {
            let reply = ask(to, "GET /status/200 HTTP/1.1", &[("Host", host)], b"");
            assert_eq!(reply.status, 200, "{host:?}");
        }
    });
    let urls: Vec<&str> = spans.iter().map(|span| span.tag("http.url")).collect();
    assert_eq!(
        urls,
        ["http://localhost/status/200", "/status/200", "/status/200"]
    );
}
