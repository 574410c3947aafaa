//! Every page with every text hostile, and the rules of a reply.

use super::{Settings, Views, render};
use crate::agent::view::*;
use crate::server::{Reply, Request};

/// A tag, both quotes, an entity, a link that runs, NUL and a mark that turns the direction.
const HOSTILE: &str =
    "\"><img src=x onerror=alert(1)>' onclick='x' &lt; javascript:alert(1) \0 \u{202e}";

const PAGES: [&str; 10] = [
    "/",
    "/traces?q=%22%3E%3Cimg%20src%3Dx%3E&limit=7",
    "/traces/7?span=%22%3E%3Cimg%3E",
    "/metrics",
    "/logs?q=%22%3E%3Cimg%20src%3Dx%3E&level=error",
    "/errors",
    "/payloads",
    "/settings",
    "/%22%3E%3Cimg%20src=x%3E",
    "/\"><img src=x onerror=alert(1)>",
];

struct Hostile;

fn h() -> String {
    HOSTILE.to_string()
}

fn trace_row() -> TraceRow {
    TraceRow {
        trace_id: h(),
        trace_id_hex: h(),
        service: h(),
        name: h(),
        resource: h(),
        status_code: h(),
        duration_ns: u64::MAX,
        errors: 1,
        ..TraceRow::default()
    }
}

fn log_row() -> LogRow {
    LogRow {
        status: HOSTILE,
        service: h(),
        logger: h(),
        message: h(),
        trace_id: h(),
        span_id: h(),
        error_kind: h(),
        error_stack: h(),
        fields: vec![(h(), h())],
        time_unix_us: u64::MAX,
        ..LogRow::default()
    }
}

fn error(ignored_because: &str) -> ErrorGroup {
    ErrorGroup {
        fingerprint: h(),
        service: h(),
        error_type: h(),
        message: h(),
        culprit: h(),
        resource: h(),
        trace_id: h(),
        stack: h(),
        ignored_because: ignored_because.to_string(),
        ..ErrorGroup::default()
    }
}

fn metric(source: &'static str, kind: &str) -> MetricRow {
    MetricRow {
        name: h(),
        source,
        kind: kind.to_string(),
        tags: vec![h(), h()],
        value: f64::NAN,
        aggregates: vec![("p95", f64::INFINITY)],
        members: vec![h()],
        history: vec![f64::NAN, 1.0, f64::NEG_INFINITY],
        ..MetricRow::default()
    }
}

impl Views for Hostile {
    fn overview(&self) -> Overview {
        let service = Service {
            name: h(),
            env: h(),
            version: h(),
            language: h(),
            requests_per_second: f64::NAN,
            p99_ns: u64::MAX,
            ..Service::default()
        };
        let pipeline = Pipeline {
            name: "traces",
            decode_errors: 1,
            last_error: Some(h()),
            ..Pipeline::default()
        };
        Overview {
            services: vec![service; 5],
            pipelines: vec![pipeline],
            errors: vec![error("")],
            reconcile: vec![Count {
                counted_at: h(),
                count: 1,
                difference: Some(-1),
            }],
            ..Overview::default()
        }
    }

    fn traces(&self, _: &Query) -> Traces {
        Traces {
            rows: vec![trace_row()],
            matching: 9,
            ..Traces::default()
        }
    }

    fn trace(&self, _: u64) -> Option<Trace> {
        let span = Span {
            span_id: h(),
            parent_id: h(),
            depth: u32::MAX - 1,
            parent_missing: true,
            service: h(),
            name: h(),
            resource: h(),
            kind: h(),
            offset_ns: u64::MAX,
            error: true,
            meta: vec![(h(), h())],
            metrics: vec![(h(), f64::NAN)],
            error_type: h(),
            error_message: h(),
            error_stack: h(),
            ..Span::default()
        };
        Some(Trace {
            row: trace_row(),
            extent_ns: 0,
            spans: vec![span],
            logs: vec![log_row()],
        })
    }

    fn metrics(&self) -> Metrics {
        let kinds = [
            "count",
            "gauge",
            "set",
            "timing",
            "histogram",
            "distribution",
            HOSTILE,
        ];
        let mut rows: Vec<MetricRow> = kinds.iter().map(|k| metric("dogstatsd", k)).collect();
        rows.push(metric("prometheus", HOSTILE));
        Metrics {
            rows,
            overflow: 1,
            events: vec![EventRow {
                title: h(),
                text: h(),
                alert_type: h(),
                tags: vec![h()],
                ..EventRow::default()
            }],
            checks: vec![CheckRow {
                name: h(),
                status: HOSTILE,
                message: h(),
                tags: vec![h()],
                ..CheckRow::default()
            }],
        }
    }

    fn logs(&self, _: &Query) -> Logs {
        Logs {
            rows: vec![log_row()],
            matching: 9,
            ..Logs::default()
        }
    }

    fn errors(&self) -> Vec<ErrorGroup> {
        vec![error(""), error(HOSTILE)]
    }

    fn payloads(&self, _: &Query) -> Vec<PayloadRow> {
        vec![PayloadRow {
            pipeline: HOSTILE,
            what: h(),
            from: h(),
            error: h(),
            ..PayloadRow::default()
        }]
    }

    fn settings(&self) -> Settings {
        Settings {
            receiver: h(),
            dogstatsd: h(),
            page: h(),
            files: vec![h()],
            scrapes: vec![h()],
            started_unix_us: 0,
        }
    }
}

fn fetch(method: &str, target: &str, headers: &[(&str, &str)]) -> Reply {
    render(&Hostile, &Request::made(method, target, headers, b""))
}

/// A name and its attributes.
type Tag = (String, Vec<(String, String)>);

/// Reads the tags of a document as the HTML parser does, strictly: every value double-quoted, a
/// blank or the end of the tag after each. Gives tag names and attributes.
fn tags(html: &str) -> Result<Vec<Tag>, String> {
    let mut tags = Vec::new();
    for piece in html.split('<').skip(1) {
        let name_end = piece.find([' ', '>']).ok_or(piece)?;
        let (name, mut rest) = piece.split_at(name_end);
        let mut attributes = Vec::new();
        while !rest.starts_with('>') && !rest.starts_with("/>") {
            rest = rest.strip_prefix(' ').ok_or(rest)?;
            let key_end = rest.find(['=', ' ', '>']).ok_or(rest)?;
            let (key, tail) = rest.split_at(key_end);
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
            if key.is_empty() || !key.chars().all(plain) {
                return Err(format!("attribute {key:?} in <{piece}"));
            }
            (rest, attributes) = match tail.strip_prefix("=\"") {
                None => (tail, with(attributes, key, "")),
                Some(tail) => {
                    let (value, tail) = tail.split_once('"').ok_or(tail)?;
                    (tail, with(attributes, key, value))
                }
            };
        }
        tags.push((name.to_string(), attributes));
    }
    Ok(tags)
}

fn with(mut pairs: Vec<(String, String)>, key: &str, value: &str) -> Vec<(String, String)> {
    pairs.push((key.to_string(), value.to_string()));
    pairs
}

#[track_caller]
fn check_page(target: &str) {
    let reply = fetch("GET", target, &[]);
    let html = String::from_utf8(reply.body).unwrap();
    assert!(!html.contains("<img"), "{target}: a raw tag");
    assert!(
        !html.contains(['\0', '\u{202e}']),
        "{target}: an unseen character"
    );
    let tags = tags(&html).unwrap_or_else(|why| panic!("{target}: {why}"));
    assert!(tags.len() > 40, "{target}: {} tags", tags.len());
    for (name, attributes) in &tags {
        assert!(name != "style", "{target}: inline style");
        for (key, value) in attributes {
            assert!(
                !key.starts_with("on") && key != "style",
                "{target}: <{name} {key}>"
            );
            let own = ["/", "#", "data:,"]
                .iter()
                .any(|start| value.starts_with(start));
            assert!(
                key != "href" && key != "src" || own,
                "{target}: {key}={value:?}"
            );
        }
        let inline = name == "script" && !attributes.iter().any(|(key, _)| key == "src");
        assert!(!inline, "{target}: inline script");
    }
}

#[test]
fn hostile_text_is_only_text_on_every_page() {
    PAGES.into_iter().for_each(check_page);
}

/// Elements that HTML closes itself, and SVG shapes that close with a slash.
const VOID: [&str; 4] = ["meta", "link", "input", "!doctype"];

#[test]
fn every_element_is_closed_in_order() {
    for target in PAGES {
        let html = String::from_utf8(fetch("GET", target, &[]).body).unwrap();
        let mut open = Vec::new();
        for piece in html.split('<').skip(1) {
            let end = piece.find(['>', ' ']).unwrap();
            let closed = piece.split('>').next().unwrap().ends_with('/');
            match piece[..end].strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name), "{target}: {piece}"),
                None if closed || VOID.contains(&&piece[..end]) => {}
                None => open.push(&piece[..end]),
            }
        }
        assert!(open.is_empty(), "{target}: {open:?}");
    }
}

#[track_caller]
fn check_reply(rule: &str, method: &str, target: &str, expected: (u16, &str, Option<&str>)) {
    let reply = fetch(method, target, &[]);
    let seen = (
        reply.status,
        &*reply.content_type,
        reply.header("Cache-Control"),
    );
    assert_eq!(seen, expected, "{rule}");
    assert_eq!(
        reply.header("X-Content-Type-Options"),
        Some("nosniff"),
        "{rule}"
    );
}

#[test]
fn each_path_has_its_reply() {
    let html = "text/html; charset=utf-8";
    let page = (200, html, Some("no-store"));
    check_reply("the first page", "GET", "/", page);
    check_reply("its head", "HEAD", "/", page);
    check_reply("a trailing slash", "GET", "/logs/", page);
    check_reply("a trace", "GET", "/traces/18446744073709551615", page);
    check_reply(
        "an id over 64 bits",
        "GET",
        "/traces/18446744073709551616",
        (404, html, Some("no-store")),
    );
    check_reply(
        "an id that is none",
        "GET",
        "/traces/x",
        (404, html, Some("no-store")),
    );
    check_reply(
        "no such page",
        "GET",
        "/nowhere",
        (404, html, Some("no-store")),
    );
    check_reply(
        "no such asset",
        "GET",
        "/assets/x.js",
        (404, html, Some("no-store")),
    );
    check_reply(
        "style",
        "GET",
        "/assets/app.css",
        (200, "text/css; charset=utf-8", Some("no-cache")),
    );
    check_reply(
        "script",
        "GET",
        "/assets/app.js",
        (200, "text/javascript; charset=utf-8", Some("no-cache")),
    );
    check_reply(
        "writing",
        "POST",
        "/",
        (405, "text/plain; charset=utf-8", Some("no-store")),
    );
}

#[test]
fn a_page_allows_nothing_but_its_own() {
    let reply = fetch("GET", "/", &[]);
    assert_eq!(
        reply.header("Content-Security-Policy"),
        Some(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
             connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
        )
    );
    assert_eq!(reply.header("Referrer-Policy"), Some("no-referrer"));
}

#[test]
fn an_asset_that_is_held_is_not_sent_again() {
    let first = fetch("GET", "/assets/app.js", &[]);
    let tag = first.header("ETag").unwrap().to_string();
    assert_eq!((tag.len(), first.body.is_empty()), (18, false));
    let weak = format!("\"x\", W/{tag}");
    for (held, status) in [
        (&*tag, 304),
        (&weak, 304),
        ("*", 304),
        ("\"x\"", 200),
        ("", 200),
    ] {
        let reply = fetch("GET", "/assets/app.js", &[("If-None-Match", held)]);
        assert_eq!(
            (reply.status, reply.body.is_empty()),
            (status, status == 304),
            "{held}"
        );
        assert_eq!(reply.header("ETag"), Some(&*tag), "{held}");
    }
}

#[test]
fn the_assets_stay_small() {
    let size = |path| fetch("GET", path, &[]).body.len();
    assert!(size("/assets/app.css") + size("/assets/app.js") < 60_000);
}
