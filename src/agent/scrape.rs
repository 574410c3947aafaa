//! Prometheus pages, fetched on every tick.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::options::StartError;
use super::queue::Queue;
use super::store::{Cargo, Scraped};
use crate::clock::Clock;
use crate::http::{Call, Client, Limits, Target};
use crate::worker::{Fill, FlushError, Job, Why};

const DEADLINE: Duration = Duration::from_secs(2);
/// Pages of large programs go over the client's own bound of 1 MiB.
const PAGE_BYTES_MAX: usize = 16 << 20;

/// What Prometheus asks for where it may have OpenMetrics (prometheus:scrape/scrape.go, `acceptHeader`).
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;q=0.5,\
     application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

/// Scrapes all pages on every tick.
pub(super) struct Scrape {
    pages: Vec<Page>,
    queue: Queue,
}

struct Page {
    url: Arc<str>,
    path: String,
    client: Client,
    clock: Clock,
}

impl Scrape {
    pub(super) fn new(urls: &[String], queue: Queue, clock: &Clock) -> Result<Scrape, StartError> {
        let page = |url: &String| {
            let (target, path) = parse(url).ok_or_else(|| StartError::Scrape(url.clone()))?;
            let limits = Limits {
                body_bytes_max: PAGE_BYTES_MAX,
                ..Limits::default()
            };
            let client = Client::with_limits(target, clock.clone(), limits);
            Ok(Page {
                url: url.as_str().into(),
                path,
                client,
                clock: clock.clone(),
            })
        };
        let pages = urls.iter().map(page).collect::<Result<_, StartError>>()?;
        Ok(Scrape { pages, queue })
    }
}

impl Job for Scrape {
    type Item = Infallible;

    fn take(&mut self, item: Infallible) -> Fill {
        match item {}
    }

    fn flush(&mut self, why: Why) -> Result<(), FlushError> {
        if why == Why::Stop {
            return Ok(());
        }
        let mut failed = None;
        for page in &mut self.pages {
            let (status, body) = page.fetch();
            if let Err(text) = &body {
                failed = Some(format!("{}: {text}", page.url));
            }
            self.queue.offer(Cargo::Scrape {
                url: page.url.clone(),
                status,
                page: body,
            });
        }
        failed.map_or(Ok(()), |text| Err(FlushError::new(text)))
    }
}

impl Page {
    fn fetch(&mut self) -> (u16, Result<Scraped, String>) {
        let call = Call {
            method: "GET",
            path: &self.path,
            headers: &[("Accept", ACCEPT)],
            body: &[],
        };
        let start_ns = self.clock.mono_ns();
        match self.client.exchange(&call, DEADLINE) {
            Ok(response) if response.status == 200 => {
                if let Some(coding) = foreign_coding(response.header("Content-Encoding")) {
                    return (
                        200,
                        Err(format!("Content-Encoding: {coding}, not asked for")),
                    );
                }
                let content_type = response.header("Content-Type").unwrap_or("").to_string();
                let page = Scraped {
                    content_type,
                    bytes: response.body,
                    duration_ns: self.clock.mono_ns().saturating_sub(start_ns),
                };
                (200, Ok(page))
            }
            Ok(response) => (
                response.status,
                Err(format!("answered {}", response.status)),
            ),
            Err(error) => (0, Err(error.to_string())),
        }
    }
}

/// A content coding other than none (RFC 9110, 8.4.1 and 12.5.3): what it left is no text.
fn foreign_coding(header: Option<&str>) -> Option<&str> {
    let coding = header?.trim();
    let none = coding.is_empty() || coding.eq_ignore_ascii_case("identity");
    (!none).then_some(coding)
}

/// `http://host[:port][/path]`, IPv6 in brackets.
fn parse(url: &str) -> Option<(Target, String)> {
    let rest = url.strip_prefix("http://")?;
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/metrics"),
    };
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => v6
            .split_once(']')
            .map(|(host, port)| (host, port.strip_prefix(':')))?,
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = port.map_or(Some(80), |port| port.parse().ok())?;
    let clean = path.bytes().all(|byte| byte.is_ascii_graphic());
    (!host.is_empty() && clean).then(|| (Target::Tcp(host.to_string(), port), path.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::page::Views;
    use crate::agent::view::{Query, Which};
    use crate::agent::{Agent, Guard, Options, api, start};
    use crate::server::{self, Reply, Request};
    use std::io::{Read, Write};
    use std::net::{TcpStream, UdpSocket};

    const LIMIT: Duration = Duration::from_secs(20);

    const OPEN: &str = "# HELP request_count Requests.\n# TYPE request_count counter\n\
        request_count_total{method=\"GET\",route=\"/a\",status=\"200\"} 5 # {trace_id=\"255\"} 0.1\n\
        request_count_total{method=\"GET\",route=\"/b\",status=\"200\"} 7\n# EOF\n";

    const HOSTILE: &str = "# HELP a <img src=x>\\d\n# TYPE a counter\n\
        a_total{b=\"\\\"><img src=x onerror=alert(1)>\"} 1\na{__c=\"</code><img>\"} 2\n<img> 1\n";

    /// An agent that scrapes a page whose type and text the path chooses.
    fn scraping(paths: &[&str]) -> (Agent, Guard, server::Guard) {
        let serve = |request: &mut Request| -> Reply {
            assert_eq!(request.header("Accept"), Some(ACCEPT));
            match request.path() {
                "/open" => Reply::new(200, "application/openmetrics-text; version=1.0.0", OPEN),
                "/no-end" => Reply::new(200, "application/openmetrics-text", "a 1\n"),
                "/text" => Reply::new(200, "text/plain; version=0.0.4", "a 1\n\n# EOF\n"),
                "/untold" => Reply::new(200, "text/html", "a 1\n\n# EOF\n"),
                "/hostile" => Reply::new(200, "text/plain", HOSTILE),
                "/gzip" => Reply::new(
                    200,
                    "text/plain; version=0.0.4",
                    b"\x1f\x8b\x08\0a\n".to_vec(),
                )
                .with_header("Content-Encoding", "gzip"),
                "/identity" => Reply::new(200, "text/plain; version=0.0.4", "a 1\n")
                    .with_header("Content-Encoding", "identity"),
                "/latin" => Reply::new(200, "text/plain", b"a{b=\"\xe9\"} 1\n".to_vec()),
                _ => Reply::text(500, "a 1\n"),
            }
        };
        let options = server::Options {
            name: "t-pages",
            bind: "127.0.0.1:0".to_string(),
            workers: 1,
        };
        let pages = server::start(&options, Arc::new(serve)).unwrap();
        let any = "127.0.0.1:0".to_string();
        let address = pages.address();
        let options = Options {
            receiver_bind: any.clone(),
            dogstatsd_bind: Some(any.clone()),
            page_bind: any,
            scrape: (paths.iter().map(|path| format!("http://{address}{path}"))).collect(),
            scrape_interval: Duration::from_secs(3_600),
            ..Options::default()
        };
        let (agent, guard) = start(options, Clock::system()).unwrap();
        (agent, guard, pages)
    }

    #[test]
    fn the_content_type_decides_how_a_page_is_read() {
        #[track_caller]
        fn check(path: &str, format: &str, samples: u64, error: &str) {
            let (agent, _guard, _pages) = scraping(&[path]);
            let _ = agent.scrape_now(LIMIT);
            let page = agent.raw_page("").unwrap();
            let seen = (page.format, page.samples, &*page.error);
            assert_eq!(seen, (format, samples, error), "{path}");
            assert!(page.url.ends_with(path) && page.duration_ns > 0);
            let row = &agent.payloads(&Query::default())[0];
            assert_eq!((&*row.error, row.points), (error, samples), "{path}");
        }
        let (text, open) = ("Prometheus text 0.0.4", "OpenMetrics 1.0");
        check("/open", open, 2, "");
        check("/no-end", open, 0, "line 1: no `# EOF` at the end");
        check("/text", text, 1, "");
        check("/untold", open, 0, "line 2: a blank line");
        check("/latin", text, 0, "the page is not UTF-8");
        check("/identity", text, 1, "");
    }

    #[test]
    fn a_page_in_a_coding_that_was_not_asked_for_is_told_so() {
        let (agent, _guard, _pages) = scraping(&["/gzip"]);
        let error = agent.scrape_now(LIMIT).unwrap_err().to_string();
        let page = agent.raw_page("").unwrap();
        let said = "Content-Encoding: gzip, not asked for";
        assert!(error.ends_with(said), "{error}");
        assert_eq!(
            (&*page.failure, page.findings.len(), &*page.text),
            (said, 0, "")
        );
        assert_eq!(agent.payloads(&Query::default())[0].error, said);
    }

    #[test]
    fn a_page_that_is_refused_is_told_and_has_no_text() {
        let (agent, _guard, _pages) = scraping(&["/x"]);
        assert!(agent.scrape_now(LIMIT).is_err());
        let page = agent.raw_page("").unwrap();
        assert_eq!((&*page.failure, &*page.text), ("answered 500", ""));
        let failing = agent.metrics().failing;
        let failing: Vec<_> = failing.iter().map(|f| (&*f.url, &*f.why)).collect();
        assert_eq!(failing, [(&*page.url, "answered 500")]);
        let shown = got(&agent, "/metrics", 200);
        assert!(shown.contains("every last scrape failed"), "{shown}");
        assert_eq!(agent.raw_page("http://elsewhere/"), None);
    }

    #[track_caller]
    fn got(agent: &Agent, target: &str, status: u16) -> String {
        let request = Request::made("GET", target, &[("Host", "localhost")], b"");
        let reply = api::serve(agent, &[], &request);
        assert_eq!(reply.status, status, "{target}");
        String::from_utf8(reply.body).unwrap()
    }

    #[test]
    fn a_hostile_page_is_shown_as_text_and_as_json() {
        let (agent, _guard, _pages) = scraping(&["/hostile"]);
        let before = got(&agent, "/api/metrics/raw", 404);
        assert_eq!(
            before.trim_end(),
            "{\"error\":\"no such page is scraped, or not yet\"}"
        );
        agent.scrape_now(LIMIT).unwrap();
        let json: serde_json::Value =
            serde_json::from_str(&got(&agent, "/api/metrics/raw", 200)).unwrap();
        assert_eq!(json["text"], HOSTILE);
        let findings = json["findings"].as_array().unwrap().iter();
        let rules: Vec<_> = findings.map(|f| (f["line"].as_u64(), &f["rule"])).collect();
        assert!(
            rules.contains(&(Some(5), &"unreadable-line".into())),
            "{rules:?}"
        );
        assert!(
            rules.contains(&(Some(4), &"reserved-label".into())),
            "{rules:?}"
        );
        let url = json["url"].as_str().unwrap().replace(':', "%3A");
        got(&agent, &format!("/api/metrics/raw?url={url}"), 200);
        got(&agent, "/metrics/raw?url=http%3A%2F%2Fa", 404);
        for page in ["/metrics/raw", "/metrics"] {
            let html = got(&agent, page, 200);
            assert!(!html.contains("<img"), "{page}: {html}");
        }
    }

    #[test]
    fn what_was_scraped_stands_beside_what_dogstatsd_brought() {
        let (agent, guard, _pages) = scraping(&["/open"]);
        let to = guard.addresses().dogstatsd.unwrap();
        let lines = "testapi.request_count:4|c|#env:dev,method:GET,route:/a,status:200\n\
                     testapi.request_count:1|c|#env:dev,method:GET,route:/a,status:200\n\
                     testapi.request_count:6|c|#env:dev,method:GET,route:/b,status:200\n";
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(lines.as_bytes(), to).unwrap();
        agent.settle(LIMIT).unwrap();
        agent.scrape_now(LIMIT).unwrap();
        let which = Which {
            name: "request_count_total".to_string(),
            ..Which::default()
        };
        let rows = agent.explain(&which).rows;
        let scraped = rows.iter().filter_map(|row| row.scraped.as_ref());
        let seen: Vec<_> = scraped
            .map(|scraped| {
                let beside = scraped.beside.as_ref().unwrap();
                (
                    &*scraped.sent_as,
                    &*beside.name,
                    beside.value,
                    beside.difference,
                )
            })
            .collect();
        let (sent, name) = ("TESTAPI.request_count.count", "testapi.request_count");
        assert_eq!(seen, [(sent, name, 5.0, 0.0), (sent, name, 6.0, 1.0)]);
        let exemplar = || agent.raw_page("").unwrap().exemplars.remove(0);
        assert_eq!(
            (&*exemplar().trace_id, exemplar().trace_held),
            ("255", false)
        );
        let span = br#"[[{"trace_id":255,"span_id":1,"name":"n","resource":"r","service":"s","start":1,"duration":1}]]"#;
        let mut receiver = TcpStream::connect(guard.addresses().receiver).unwrap();
        let head = format!(
            "POST /v0.4/traces HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            span.len()
        );
        receiver
            .write_all(&[head.as_bytes(), span].concat())
            .unwrap();
        let mut reply = String::new();
        receiver.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
        agent.settle(LIMIT).unwrap();
        assert!(exemplar().trace_held, "since its trace came");
    }

    #[track_caller]
    fn check(url: &str, expected: Option<(&str, u16, &str)>) {
        let expected = expected
            .map(|(host, port, path)| (Target::Tcp(host.to_string(), port), path.to_string()));
        assert_eq!(parse(url), expected, "{url}");
    }

    #[test]
    fn addresses_are_read() {
        check(
            "http://127.0.0.1:5000/metrics",
            Some(("127.0.0.1", 5000, "/metrics")),
        );
        check("http://localhost", Some(("localhost", 80, "/metrics")));
        check("http://[::1]:9/x?y=z", Some(("::1", 9, "/x?y=z")));
        check("http://[::1]", Some(("::1", 80, "/metrics")));
        check("https://localhost/metrics", None);
        check("http://:80/metrics", None);
        check("http://a:99999/", None);
        check("http://a/b c", None);
        check("", None);
    }
}
