//! From a request to a reply: which page, which asset, and the headers of each.

use super::frame::{Frame, Page, document};
use super::html::{esc, html};
use super::piece::fnv1a;
use super::views::Views;
use super::{errors, logs, metrics, overview, payloads, settings, traces, waterfall};
use crate::agent::view::{Overview, Query};
use crate::server::{Method, Reply, Request};

/// Nothing but what this page serves itself: no inline script or style, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

const CSS: Asset = Asset::new("text/css; charset=utf-8", include_str!("app.css"));
const JS: Asset = Asset::new("text/javascript; charset=utf-8", include_str!("app.js"));

const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;

/// Answers a request for a page or an asset. The caller has checked its `Host`.
pub fn render(views: &dyn Views, request: &Request) -> Reply {
    if !matches!(request.method(), Method::Get | Method::Head) {
        let reply = Reply::text(405, "this page is only read: GET or HEAD\n");
        return guarded(reply.with_header("Allow", "GET, HEAD"));
    }
    match request.path() {
        "/assets/app.css" => CSS.reply(request),
        "/assets/app.js" => JS.reply(request),
        _ => page(views, request),
    }
}

fn page(views: &dyn Views, request: &Request) -> Reply {
    let overview = views.overview();
    let ask = Ask::of(request);
    let query = &ask.query;
    let now = overview.now_unix_us;
    let path = request.path();
    let path = path.strip_suffix('/').unwrap_or(path);
    let (page, main) = match path {
        "" => (Page::Overview, overview::main(&overview, &views.settings())),
        "/traces" => (
            Page::Traces,
            traces::main(now, query, &views.traces(query), &views.settings()),
        ),
        "/metrics" => (
            Page::Metrics,
            metrics::main(now, &query.q, &views.metrics(), &views.settings()),
        ),
        "/logs" => (
            Page::Logs,
            logs::main(
                now,
                &ask.log_filter(),
                &views.logs(&ask.log_query()),
                &views.settings(),
            ),
        ),
        "/errors" => (Page::Errors, errors::main(now, &query.q, &views.errors())),
        "/payloads" => (
            Page::Payloads,
            payloads::main(now, query, &views.payloads(query), &views.settings()),
        ),
        "/settings" => (Page::Settings, settings::main(now, &views.settings())),
        _ => return trace(views, &overview, request).unwrap_or_else(|| missing(&overview, path)),
    };
    let frame = Frame {
        page,
        title: page.name().to_string(),
        crumbs: String::new(),
        q: &query.q,
        kept: &[("limit", &ask.limit), ("level", &ask.level)],
        main,
    };
    guarded(Reply::html(200, document(&frame, &overview)))
}

fn trace(views: &dyn Views, overview: &Overview, request: &Request) -> Option<Reply> {
    let id = request.path().strip_prefix("/traces/")?.parse().ok()?;
    let trace = views.trace(id)?;
    let span_id = request.query_value("span").unwrap_or_default();
    let frame = Frame {
        page: Page::Traces,
        title: trace.row.resource.clone(),
        crumbs: waterfall::crumbs(&trace),
        q: "",
        kept: &[],
        main: waterfall::main(&trace, &span_id, overview.now_unix_us),
    };
    Some(guarded(Reply::html(200, document(&frame, overview))))
}

fn missing(overview: &Overview, path: &str) -> Reply {
    let mut main = String::new();
    let (page, why) = match path.strip_prefix("/traces/") {
        Some(_) => (
            Page::Traces,
            "This trace is not held: it never arrived, or a bound was reached and the oldest were let go.",
        ),
        None => (Page::Overview, "There is no such page."),
    };
    html!(
        main,
        "<section class=\"card empty\"><h2>Not here</h2><p><code>{}</code></p><p>{why}</p>\
         <p><a href=\"{}\">Back to {}</a></p></section>",
        esc(path),
        page.path(),
        page.name()
    );
    let frame = Frame {
        page,
        title: "Not here".to_string(),
        crumbs: String::new(),
        q: "",
        kept: &[],
        main,
    };
    guarded(Reply::html(404, document(&frame, overview)))
}

/// What the query string asks for.
struct Ask {
    query: Query,
    limit: String,
    level: String,
}

impl Ask {
    fn of(request: &Request) -> Ask {
        let value = |key| request.query_value(key).unwrap_or_default();
        let limit = value("limit").parse().unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
        let level = value("level");
        Ask {
            query: Query {
                q: value("q").trim().to_string(),
                since: value("since").parse().unwrap_or(0),
                limit,
            },
            limit: if limit == LIMIT {
                String::new()
            } else {
                limit.to_string()
            },
            level: logs::known_level(&level).unwrap_or("").to_string(),
        }
    }

    fn log_filter(&self) -> logs::Filter<'_> {
        logs::Filter {
            q: &self.query.q,
            level: &self.level,
            limit: self.query.limit,
        }
    }

    fn log_query(&self) -> Query {
        let mut query = self.query.clone();
        if !self.level.is_empty() {
            query.q = format!("{} status:{}", query.q, self.level)
                .trim()
                .to_string();
        }
        query
    }
}

fn guarded(reply: Reply) -> Reply {
    reply
        .with_header("Content-Security-Policy", POLICY)
        .with_header("X-Content-Type-Options", "nosniff")
        .with_header("Referrer-Policy", "no-referrer")
        .with_header("Cache-Control", "no-store")
}

/// A file that is part of the program.
struct Asset {
    content_type: &'static str,
    text: &'static str,
    version: u64,
}

impl Asset {
    const fn new(content_type: &'static str, text: &'static str) -> Asset {
        Asset {
            content_type,
            text,
            version: fnv1a(text.as_bytes()),
        }
    }

    /// 304 where the browser's copy is the same (RFC 9110, 13.1.2).
    fn reply(&self, request: &Request) -> Reply {
        let tag = format!("\"{:016x}\"", self.version);
        let known = request.header("If-None-Match").is_some_and(|held| {
            held.split(',')
                .map(|one| one.trim().trim_start_matches("W/"))
                .any(|one| one == tag || one == "*")
        });
        let reply = match known {
            true => Reply::new(304, self.content_type, ""),
            false => Reply::new(200, self.content_type, self.text),
        };
        reply
            .with_header("ETag", tag)
            .with_header("Cache-Control", "no-cache")
            .with_header("X-Content-Type-Options", "nosniff")
    }
}
