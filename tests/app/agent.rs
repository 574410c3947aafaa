//! `testapi agent` from outside: every door in, every page and every answer out.

use std::fs;
use std::net::{SocketAddr, UdpSocket};

use serde_json::{Value, json};

use crate::support::{DEADLINE, Folder, Program, Until, ask, env_of, get};

const V04: &[u8] = include_bytes!("../corpus/traces_v04.bin");
const V05: &[u8] = include_bytes!("../corpus/traces_v05.bin");
const LINES: &str = include_str!("../corpus/log_lines.jsonl");
const DATAGRAMS: &[u8] = include_bytes!("../corpus/dogstatsd.txt");

const MSGPACK: (&str, &str) = ("Content-Type", "application/msgpack");
const JSON: (&str, &str) = ("Content-Type", "application/json");

struct Agent {
    program: Program,
    receiver: SocketAddr,
    dogstatsd: SocketAddr,
    page: SocketAddr,
}

impl Agent {
    fn start(args: &[&str]) -> Agent {
        let any = "127.0.0.1:0";
        let mut all = vec!["agent", "--receiver-bind", any, "--page-bind", any];
        all.extend(["--dogstatsd-bind", any]);
        all.extend(args);
        let program = Program::start(&all, &[]);
        let address = |prefix: &str| program.wait_for(prefix).parse().unwrap();
        Agent {
            page: address("testapi: page      http://"),
            receiver: address("testapi: traces    DD_TRACE_AGENT_URL=http://"),
            dogstatsd: address("testapi: dogstatsd DD_DOGSTATSD_URL=udp://"),
            program,
        }
    }

    #[track_caller]
    fn post(&self, path: &str, kind: (&str, &str), body: &[u8]) -> (u16, String) {
        let reply = ask(
            self.receiver,
            &format!("POST {path} HTTP/1.1"),
            &[kind],
            body,
        );
        (reply.status, reply.body)
    }

    fn datagram(&self, bytes: &[u8]) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(bytes, self.dogstatsd).unwrap();
    }

    #[track_caller]
    fn shown(&self, path: &str) -> Value {
        let reply = get(self.page, path);
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        reply.json()
    }

    /// Points of traces, DogStatsD, Prometheus, logs and profiles, once they are these.
    #[track_caller]
    fn wait_for_points(&self, expected: [u64; 5]) -> Value {
        let until = Until::new(DEADLINE);
        until.some("all points", || {
            let overview = self.shown("/api/overview");
            let pipelines = overview["pipelines"].as_array().unwrap().iter();
            let points: Vec<u64> = pipelines.map(|p| p["points"].as_u64().unwrap()).collect();
            (points == expected).then_some(overview)
        })
    }
}

fn length(value: &Value) -> usize {
    value.as_array().unwrap().len()
}

#[test]
fn what_comes_in_at_every_door_is_shown() {
    let folder = Folder::new();
    let log = folder.file("app.log");
    fs::write(&log, LINES).unwrap();
    let agent = Agent::start(&["--tail", log.to_str().unwrap(), "--from-start"]);
    let rates = "{\"rate_by_service\":{\"service:,env:\":1}}\n".to_string();
    assert_eq!(
        agent.post("/v0.4/traces", MSGPACK, V04),
        (200, rates.clone())
    );
    assert_eq!(agent.post("/v0.5/traces", MSGPACK, V05), (200, rates));
    agent.datagram(DATAGRAMS);
    let overview = agent.wait_for_points([46, 14, 0, 4, 0]);
    assert_eq!(overview["rail"]["traces"], 4);
    let services = overview["services"].as_array().unwrap().iter();
    let services: Vec<_> = services.map(|s| (&s["name"], &s["requests"])).collect();
    assert_eq!(
        services,
        [(&json!("flask"), &json!(2)), (&json!("testapi"), &json!(2))]
    );
    assert_eq!(
        agent.shown("/api/counts")["server_spans"],
        json!({"flask": 2, "testapi": 2})
    );
    assert_eq!(length(&agent.shown("/api/metrics")["rows"]), 12);
    assert_eq!(agent.shown("/api/logs")["matching"], 4);
    assert_eq!(
        agent.shown("/api/errors")[0]["error_type"],
        "ZeroDivisionError"
    );
    let traces = agent.shown("/api/traces");
    assert_eq!(
        (length(&traces["rows"]), &traces["matching"]),
        (4, &json!(4))
    );
    for row in traces["rows"].as_array().unwrap() {
        let id = row["trace_id"].as_str().unwrap();
        let trace = agent.shown(&format!("/api/traces/{id}"));
        assert_eq!(trace["row"], *row);
        assert_eq!(length(&trace["spans"]) as u64, row["spans"]);
        assert_eq!(get(agent.page, &format!("/traces/{id}")).status, 200);
    }
    let payloads = agent.shown("/api/payloads?q=pipeline:traces");
    let whats: Vec<&Value> = payloads
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["what"])
        .collect();
    assert_eq!(whats, ["POST /v0.5/traces", "POST /v0.4/traces"]);
    assert_eq!(get(agent.page, "/api/traces/1").status, 404);
    assert_eq!(get(agent.page, "/api/nothing").status, 404);
    let info = get(agent.receiver, "/info").json();
    assert_eq!(info["config"]["statsd_port"], agent.dogstatsd.port());
    let ended = agent.program.terminate();
    assert_eq!(ended.code, Some(0), "{:#?}", ended.stderr);
}

#[test]
fn a_line_written_later_is_followed() {
    let folder = Folder::new();
    let log = folder.file("app.log");
    fs::write(&log, "{\"message\":\"old\"}\n").unwrap();
    let agent = Agent::start(&["--tail", log.to_str().unwrap()]);
    let written = Until::new(DEADLINE);
    // Only what comes after the first look is followed, and that cannot be seen from here.
    let rows = written.some("a new line", || {
        let mut file = fs::OpenOptions::new().append(true).open(&log).unwrap();
        std::io::Write::write_all(&mut file, b"{\"message\":\"new\"}\n").unwrap();
        let logs = agent.shown("/api/logs");
        (length(&logs["rows"]) > 0).then_some(logs["rows"].clone())
    });
    for row in rows.as_array().unwrap() {
        assert_eq!(row["message"], "new");
    }
}

#[test]
fn what_cannot_be_taken_is_refused_with_its_status() {
    let agent = Agent::start(&[]);
    #[track_caller]
    fn check(
        agent: &Agent,
        (path, kind, body): (&str, (&str, &str), &[u8]),
        expected: (u16, &str),
    ) {
        let (status, text) = agent.post(path, kind, body);
        assert_eq!(status, expected.0, "{path}: {text}");
        assert!(text.contains(expected.1), "{path}: {text}");
    }
    let text = ("Content-Type", "text/plain");
    let said = "Content-Type \"text/plain\": expected application/msgpack";
    check(&agent, ("/v0.4/traces", text, V04), (415, said));
    check(&agent, ("/v0.5/traces", text, V05), (415, said));
    check(
        &agent,
        ("/v0.5/traces", JSON, b"[]"),
        (415, "expected application/msgpack"),
    );
    check(&agent, ("/v0.4/traces", MSGPACK, &V04[..100]), (400, "\n"));
    check(&agent, ("/v0.4/traces", MSGPACK, b""), (400, "\n"));
    check(&agent, ("/v0.4/traces", JSON, b"[[{}]]"), (400, "trace_id"));
    check(&agent, ("/v0.5/traces", MSGPACK, V04), (400, "\n"));
    check(
        &agent,
        ("/v1.0/traces", MSGPACK, b"\x80"),
        (404, "no such endpoint"),
    );
    check(&agent, ("/", MSGPACK, b""), (404, "no such endpoint"));
    let reply = get(agent.receiver, "/v0.4/traces");
    assert_eq!(
        (reply.status, &*reply.body),
        (405, "/v0.4/traces takes PUT or POST\n")
    );
    let over = ((25 << 20) + 1).to_string();
    let headers = [MSGPACK, ("Content-Length", &over)];
    let reply = ask(agent.receiver, "POST /v0.4/traces HTTP/1.1", &headers, b"");
    assert_eq!(
        (reply.status, &*reply.body),
        (413, "body over 26214400 bytes\n")
    );
    // None of it was taken, all of it is listed.
    let overview = agent.shown("/api/overview");
    assert_eq!(overview["rail"]["traces"], 0);
    Until::new(DEADLINE).some("eleven refusals", || {
        let payloads = agent.shown("/api/payloads");
        let refused = payloads
            .as_array()
            .unwrap()
            .iter()
            .filter(|p| p["status"] != 200);
        (refused.count() == 11).then_some(())
    });
}

#[test]
fn strangers_are_kept_out() {
    let agent = Agent::start(&["--host", "demo.local"]);
    let statuses = |method: &str, path: &str, host: &str| {
        let headers = [("Host", host), ("Origin", "http://evil.example")];
        let reply = ask(
            agent.page,
            &format!("{method} {path} HTTP/1.1"),
            &headers,
            b"",
        );
        let cors = reply.head.to_ascii_lowercase().contains("access-control");
        assert!(!cors, "{path} for {host}: {}", reply.head);
        reply.status
    };
    for path in ["/", "/traces", "/api/overview", "/assets/app.js", "/none"] {
        for host in [
            "evil.example",
            "evil.example:8127",
            "localhost.evil.example",
            "",
        ] {
            assert_eq!(statuses("GET", path, host), 421, "{path} for {host:?}");
        }
        let found = if path == "/none" { 404 } else { 200 };
        for host in ["localhost:8127", "127.0.0.1", "[::1]:1", "demo.local"] {
            assert_eq!(statuses("GET", path, host), found, "{path} for {host}");
        }
        assert_eq!(statuses("POST", path, "localhost"), 405, "{path}");
        assert_eq!(statuses("OPTIONS", path, "localhost"), 405, "{path}");
    }
    let page = get(agent.page, "/");
    let policy = page.header("Content-Security-Policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'"),
        "{policy}"
    );
    assert_eq!(page.header("Cache-Control"), Some("no-store"));
}

/// Of a row's two buckets the one that holds so many samples: ten seconds may end meanwhile.
#[track_caller]
fn bucket(row: &Value, samples: u64) -> &Value {
    let mut buckets = ["current", "finished"].map(|name| &row[name]).into_iter();
    let found = buckets.find(|bucket| bucket["samples"] == samples);
    found.unwrap_or_else(|| panic!("no bucket of {samples}: {row:#}"))
}

#[test]
fn a_metric_is_explained_by_its_lines_and_its_bucket() {
    let agent = Agent::start(&[]);
    let lines = [
        "visitors:ana|s|#shop:b,env:dev",
        "visitors:42|s|#env:dev,shop:b",
        "visitors:ana|s|#env:dev,shop:b",
        "op:10:20:30|ms|@0.5",
        "hits:3|c|@0.5",
    ];
    agent.datagram(lines.join("\n").as_bytes());
    agent.wait_for_points([0, 7, 0, 0, 0]);
    let rows = agent.shown("/api/metrics?name=visitors&type=set&tags=shop:b,env:dev");
    assert_eq!(length(&rows["rows"]), 1);
    let row = &rows["rows"][0];
    let texts = row["lines"].as_array().unwrap().iter();
    let texts: Vec<&Value> = texts.map(|line| &line["text"]).collect();
    assert_eq!(texts, [lines[2], lines[1], lines[0]]);
    assert_eq!(row["lines"][0]["bytes"], lines[2].len());
    assert_eq!(row["lines"][0]["cut"], false);
    let set = bucket(row, 3);
    assert_eq!(set["members"], json!(["ana", "42"]));
    assert_eq!(set["total"], 2.0);
    assert_eq!(set["aggregates"], json!([["distinct", 2.0]]));
    assert_eq!(set["start_unix_us"].as_u64().unwrap() % 10_000_000, 0);
    let all = agent.shown("/api/metrics");
    assert_eq!(length(&all["rows"]), 3);
    let timing = bucket(&all["rows"][1], 3);
    let five = json!([
        ["avg", 20.0],
        ["count", 0.6],
        ["median", 20.0],
        ["95percentile", 30.0],
        ["max", 30.0],
    ]);
    assert_eq!(timing["aggregates"], five, "{all:#}");
    let count = bucket(&all["rows"][0], 1);
    assert_eq!(count["aggregates"], json!([["rate", 0.6]]));
    let page = get(agent.page, "/metrics").body;
    let link = "/metrics?name=visitors&amp;type=set&amp;tags=env%3Adev%2Cshop%3Ab";
    assert!(page.contains(&format!("href=\"{link}\"")), "{page}");
    let page = get(agent.page, &link.replace("&amp;", "&"));
    assert_eq!(page.status, 200);
    for part in [
        "<code>visitors:42|s|#env:dev,shop:b</code>",
        ">42</code>",
        "is a 1.",
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    assert_eq!(get(agent.page, "/metrics?name=visitor").status, 404);
}

#[test]
fn ten_visitors_are_ten_and_one_that_comes_ten_times_is_one() {
    let agent = Agent::start(&[]);
    let program = Program::serve(&env_of((agent.dogstatsd, agent.receiver)));
    let said = |query: &str| {
        let reply = get(program.address(), &format!("/sdmetrics/set/{query}"));
        assert_eq!(reply.status, 200, "{query}: {}", reply.body);
        reply.json()
    };
    let members = json!((1..=10).map(|n| format!("v-{n}")).collect::<Vec<_>>());
    let ten = json!({
        "emitted": "set", "metric": "testapi.set", "members": members, "times": 1,
        "tags": ["of:ten"], "rate": null, "taken": 10,
    });
    assert_eq!(said("v?different=10&tags=of:ten"), ten);
    let one = json!({
        "emitted": "set", "metric": "testapi.set", "members": ["v-1"], "times": 10,
        "tags": ["of:one"], "rate": null, "taken": 10,
    });
    assert_eq!(said("v-1?times=10&tags=of:one&rate=0.5"), one);
    let ended = program.terminate();
    assert_eq!(ended.code, Some(0), "{:#?}", ended.stderr);
    let members = |tag: &str| {
        let rows = agent.shown("/api/metrics?name=testapi.set")["rows"].clone();
        let rows = rows.as_array().unwrap().iter();
        let mut of = rows.filter(|row| row["tags"].as_array().unwrap().contains(&json!(tag)));
        of.next().map_or(json!([]), |row| row["members"].clone())
    };
    let until = Until::new(DEADLINE);
    let (ten, one) = until.some("both sets", || {
        let (ten, one) = (members("of:ten"), members("of:one"));
        (length(&ten) == 10 && length(&one) > 0).then_some((ten, one))
    });
    assert!(ten.as_array().unwrap().contains(&json!("v-10")), "{ten}");
    assert_eq!(one, json!(["v-1"]));
}

const EVIL: &str = "\"><img src=x onerror=alert(1)><script>alert(2)</script>'&";

fn evil_span(id: u64, parent: u64, kind: &str) -> Value {
    let evil = EVIL;
    json!({
        "trace_id": 77, "span_id": id, "parent_id": parent, "service": evil, "name": evil,
        "resource": evil, "type": kind, "start": 1_795_344_502_616_000_000_u64,
        "duration": 1_000, "error": 1,
        "meta": {
            "span.kind": "server", "http.status_code": evil, evil: evil, "env": evil,
            "version": evil, "error.type": evil, "error.message": evil, "error.stack": evil,
            "_dd.p.tid": evil,
        },
        "metrics": { evil: 1 },
    })
}

/// Whatever arrives, and wherever it is shown, it stays text.
#[test]
fn hostile_text_stays_text_on_every_page() {
    let evil = EVIL;
    let folder = Folder::new();
    let log = folder.file("evil.log");
    let line = json!({
        "message": evil, "service": evil, "logger.name": evil, "status": "error",
        "error.kind": evil, "error.message": evil, "error.stack": evil, evil: evil,
        "dd.trace_id": "77",
    });
    fs::write(&log, format!("{line}\n{evil}\n")).unwrap();
    let agent = Agent::start(&["--tail", log.to_str().unwrap(), "--from-start"]);
    let body = json!([[evil_span(1, 0, "web"), evil_span(2, 1, evil)]]).to_string();
    let headers = [JSON, ("User-Agent", evil), ("Datadog-Meta-Lang", evil)];
    let line = "POST /v0.4/traces HTTP/1.1";
    assert_eq!(
        ask(agent.receiver, line, &headers, body.as_bytes()).status,
        200
    );
    agent.datagram(format!("{evil}:1|c|#{evil}:{evil}\nvisitors:{evil}|s\n").as_bytes());
    let event = format!("_e{{{0},{0}}}:{evil}|{evil}|#{evil}\n", evil.len());
    agent.datagram(format!("{event}_sc|{evil}|2|m:{evil}\n").as_bytes());
    agent.wait_for_points([2, 4, 0, 2, 0]);
    let encoded: String = evil.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut escaped = 0;
    let metric = format!("/metrics?name={encoded}&type=count");
    for path in [
        "/",
        "/traces",
        "/metrics",
        &*metric,
        "/metrics?name=visitors",
        "/logs",
        "/errors",
        "/payloads",
        "/settings",
        "/traces/77",
        "/traces/77?span=1",
        "/traces/77?span=2",
        "/traces/78",
    ] {
        for query in ["", "q=", "level="] {
            let join = if path.contains('?') { '&' } else { '?' };
            let query = match query {
                "" => String::new(),
                name => format!("{join}{name}{encoded}"),
            };
            let reply = get(agent.page, &format!("{path}{query}"));
            let known = if path == "/traces/78" { 404 } else { 200 };
            assert_eq!(reply.status, known, "{path}");
            for live in ["<img", "<script>alert", "onerror=alert(1)>"] {
                let at = reply.body.find(live);
                let around = at.map(|at| &reply.body[at.saturating_sub(80)..at + 20]);
                assert_eq!(around, None, "{path}{query}");
            }
            escaped += reply.body.matches("&lt;img").count();
        }
    }
    assert!(escaped > 50, "it is shown, as text: {escaped}");
    let reply = get(agent.page, &format!("/{encoded}"));
    assert_eq!(reply.status, 404);
    assert!(!reply.body.contains("<img"), "{}", reply.body);
    // JSON needs no escape for it, but must not be taken for a page.
    let reply = get(agent.page, "/api/traces/77");
    assert_eq!(reply.header("Content-Type"), Some("application/json"));
    assert_eq!(reply.header("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(reply.json()["spans"][0]["name"], evil);
}
