//! The JSON API, and who may ask for it and for the page.

use serde::Serialize;
use serde_json::json;

use super::asking::Agent;
use super::page::{self, Views};
use super::profile_api;
use super::trace_id::parse_trace_id;
use super::view::{Query, Which};
use crate::server::{Method, Reply, Request};

/// A page of another site must not be able to read this one, nor run anything in it.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
     form-action 'self'";

/// Answers API and page. `hosts` are names besides localhost.
pub(super) fn serve(agent: &Agent, hosts: &[String], request: &Request) -> Reply {
    let reply = match refusal(hosts, request) {
        Some((status, text)) => problem(status, &text),
        None if request.path().starts_with("/api/") => api(agent, request),
        None => page::render(agent, request),
    };
    let headers = [
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
        ("Content-Security-Policy", CONTENT_POLICY),
        ("Referrer-Policy", "no-referrer"),
    ];
    headers
        .into_iter()
        .fold(reply, |reply, (name, value)| match reply.header(name) {
            Some(_) => reply,
            None => reply.with_header(name, value),
        })
}

fn refusal(hosts: &[String], request: &Request) -> Option<(u16, String)> {
    let host = request.header("Host").unwrap_or("");
    let name = without_port(host);
    let local = ["localhost", "127.0.0.1", "[::1]"];
    let mut names = local.into_iter().chain(hosts.iter().map(String::as_str));
    if !names.any(|known| known.eq_ignore_ascii_case(name)) {
        let text =
            format!("host {host:?} is not known here: start the agent with --host and that name");
        return Some((421, text));
    }
    let reading = matches!(request.method(), Method::Get | Method::Head);
    (!reading).then(|| (405, "only GET and HEAD are served here".to_string()))
}

/// Longest search that is read.
const QUERY_BYTES_MAX: usize = 500;

/// DNS rebinding gets past a loopback bind, but not past the name in `Host`.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

fn api(agent: &Agent, request: &Request) -> Reply {
    let query = query(request);
    match request.path() {
        "/api/overview" => shown(&agent.overview()),
        "/api/traces" => shown(&agent.traces(&query)),
        "/api/metrics" => shown(&agent.explain(&Which::of(|key| request.query_value(key)))),
        "/api/metrics/raw" => {
            let url = request.query_value("url").unwrap_or_default();
            match agent.raw_page(&url) {
                Some(page) => shown(&page),
                None => problem(404, "no such page is scraped, or not yet"),
            }
        }
        "/api/logs" => shown(&agent.whole_logs(&query)),
        "/api/errors" => shown(&agent.errors()),
        "/api/payloads" => shown(&agent.payloads(&query)),
        "/api/counts" => shown(&agent.counts()),
        "/api/profiles" => shown(&agent.profiles()),
        path if path.starts_with("/api/profiles/") => profile_api::answer(agent, request),
        path => {
            let id = path.strip_prefix("/api/traces/").and_then(parse_trace_id);
            match id.and_then(|id| agent.whole_trace(id)) {
                Some(trace) => shown(&trace),
                None if path.starts_with("/api/traces/") => problem(404, "no such trace is held"),
                None => problem(404, "no such path"),
            }
        }
    }
}

fn query(request: &Request) -> Query {
    let number = |key| {
        request
            .query_value(key)
            .and_then(|value| value.parse().ok())
            .unwrap_or(0)
    };
    Query {
        q: short(request.query_value("q").unwrap_or_default()),
        since: number("since"),
        limit: usize::try_from(number("limit")).unwrap_or(usize::MAX),
    }
}

/// A search is typed by a person; what is longer is no search.
pub(super) fn short(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(QUERY_BYTES_MAX));
    text
}

pub(super) fn shown(value: &impl Serialize) -> Reply {
    Reply::json(200, value)
}

pub(super) fn problem(status: u16, text: &str) -> Reply {
    Reply::json(status, &json!({ "error": text }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_its_name_without_the_port() {
        for (host, expected) in [
            ("localhost:8127", "localhost"),
            ("localhost", "localhost"),
            ("[::1]:8127", "[::1]"),
            ("[::1]", "[::1]"),
            ("", ""),
            (":80", ""),
        ] {
            assert_eq!(without_port(host), expected, "{host}");
        }
    }

    #[test]
    fn a_stranger_is_refused_with_the_reason() {
        #[track_caller]
        fn check(rule: &str, method: &str, host: &str, expected: Option<u16>) {
            let request = Request::made(method, "/", &[("Host", host)], b"");
            let told = refusal(&["demo.local".to_string()], &request);
            assert_eq!(told.map(|(status, _)| status), expected, "{rule}");
        }
        check("localhost", "GET", "localhost:8127", None);
        check("any case", "HEAD", "LOCALHOST", None);
        check("loopback", "GET", "127.0.0.1:1", None);
        check("IPv6 loopback", "GET", "[::1]:1", None);
        check("a name that was given", "GET", "demo.local:8127", None);
        check("a rebound name", "GET", "evil.example:8127", Some(421));
        check("no host", "GET", "", Some(421));
        check("a longer name", "GET", "localhost.evil.example", Some(421));
        check("writing", "POST", "localhost", Some(405));
    }
}
