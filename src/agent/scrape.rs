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
