//! From a request to a reply: which page, which asset, and the headers of each.

use super::frame::{Frame, Page, document};
use super::html::esc;
use super::look::{At, Look};
use super::piece::{ROWS_MAX, fnv1a};
use super::views::Views;
use super::{
    errors, explain, logs, metrics, overview, payloads, profile, profiles, raw, settings, traces,
    waterfall,
};
use crate::agent::trace_id::parse_trace_id;
use crate::agent::view::{Overview, Query, Which};
use crate::server::{Method, Reply, Request};

/// Nothing but what this page serves itself: no inline script or style, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

const CSS: Asset = Asset::new("text/css; charset=utf-8", include_str!("app.css"));
const JS: Asset = Asset::new("text/javascript; charset=utf-8", include_str!("app.js"));

const LIMIT: usize = 100;

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
    let path = request.path();
    let path = path.strip_suffix('/').unwrap_or(path);
    let page = Page::ALL
        .into_iter()
        .find(|page| page.path().trim_end_matches('/') == path);
    if path == "/metrics/raw" {
        return raw_page(views, &overview, request);
    }
    if path.starts_with("/profiles/") {
        return profile(views, &overview, request);
    }
    let Some(page) = page else {
        return trace(views, &overview, request).unwrap_or_else(|| missing(&overview, path));
    };
    let which = Which::of(|key| request.query_value(key));
    if page == Page::Metrics && !which.name.is_empty() {
        return explained(views, &overview, &which);
    }
    let frame = Frame {
        page,
        title: page.name().to_string(),
        crumbs: String::new(),
        q: &ask.query.q,
        kept: &[("limit", &ask.limit), ("level", &ask.level)],
        search: None,
        still: false,
        main: content(views, page, &overview, &ask),
    };
    guarded(Reply::html(200, document(&frame, &overview)))
}

fn content(views: &dyn Views, page: Page, overview: &Overview, ask: &Ask) -> String {
    let (now, query, settings) = (overview.now_unix_us, &ask.query, views.settings());
    match page {
        Page::Overview => overview::main(overview, &settings),
        Page::Traces => traces::main(now, query, &views.traces(query), &settings),
        Page::Metrics => metrics::main(now, &query.q, &views.metrics(), &settings),
        Page::Logs => {
            let rows = views.logs(&ask.log_query());
            logs::main(now, &ask.log_filter(), &rows, &settings)
        }
        Page::Errors => errors::main(now, &query.q, &views.errors()),
        Page::Profiles => profiles::main(now, &query.q, &views.profiles(), &settings),
        Page::Payloads => payloads::main(now, query, &views.payloads(query), &settings),
        Page::Settings => settings::main(now, &settings),
    }
}

fn trace(views: &dyn Views, overview: &Overview, request: &Request) -> Option<Reply> {
    let id = parse_trace_id(request.path().strip_prefix("/traces/")?)?;
    let trace = views.trace(id)?;
    let span_id = request.query_value("span").unwrap_or_default();
    let frame = Frame {
        page: Page::Traces,
        title: trace.row.resource.clone(),
        crumbs: waterfall::crumbs(&trace),
        q: "",
        kept: &[],
        search: None,
        still: false,
        main: waterfall::main(&trace, &span_id, overview.now_unix_us),
    };
    Some(guarded(Reply::html(200, document(&frame, overview))))
}

fn profile(views: &dyn Views, overview: &Overview, request: &Request) -> Reply {
    let held = Look::of(request).and_then(|look| Some((views.flame(&look.query())?, look)));
    let Some((flame, look)) = held else {
        const NOT_HELD: &str = "This profile, or the one it is compared with, is not held: it never \
             arrived, or a bound was reached and the oldest were let go.";
        return not_here(overview, Page::Profiles, request.path(), NOT_HELD);
    };
    let (path, pairs, at) = (look.path(), look.pairs(), At(&look.at).to_string());
    let kept: Vec<(&str, &str)> = pairs
        .iter()
        .filter(|(key, _)| *key != "q")
        .map(|(key, value)| (*key, value.as_str()))
        .chain([("at", at.as_str())])
        .collect();
    let frame = Frame {
        page: Page::Profiles,
        title: profile::title(&flame),
        crumbs: profile::crumbs(&flame),
        q: &look.q,
        kept: &kept,
        search: Some((&path, "Mark frames: part of a function or file")),
        still: true,
        main: profile::main(&flame, &look, &views.profiles()),
    };
    guarded(Reply::html(200, document(&frame, overview)))
}

fn explained(views: &dyn Views, overview: &Overview, which: &Which) -> Reply {
    let mut rows = views.explain(which).rows;
    rows.retain(|row| row.explained.is_some());
    let Some(first) = rows.first() else {
        const NOT_HELD: &str = "No DogStatsD metric of this name, type and tags is held: it never \
             arrived, or a bound was reached and the quietest were let go.";
        return not_here(overview, Page::Metrics, &which.name, NOT_HELD);
    };
    let frame = Frame {
        page: Page::Metrics,
        title: first.name.clone(),
        crumbs: explain::crumbs(first),
        q: "",
        kept: &[],
        search: None,
        still: false,
        main: explain::main(overview.now_unix_us, &rows),
    };
    guarded(Reply::html(200, document(&frame, overview)))
}

fn raw_page(views: &dyn Views, overview: &Overview, request: &Request) -> Reply {
    let url = request.query_value("url").unwrap_or_default();
    let Some(page) = views.raw_page(&url) else {
        const NOT_SCRAPED: &str =
            "No page of this address is held: the agent is told with --scrape what to scrape.";
        return not_here(overview, Page::Metrics, &url, NOT_SCRAPED);
    };
    let from = request.query_value("from");
    let from = from.and_then(|text| text.parse().ok()).unwrap_or(1);
    let frame = Frame {
        page: Page::Metrics,
        title: page.url.clone(),
        crumbs: raw::crumbs(&page),
        q: "",
        kept: &[],
        search: None,
        still: false,
        main: raw::main(overview.now_unix_us, &page, from, &views.settings()),
    };
    guarded(Reply::html(200, document(&frame, overview)))
}

fn missing(overview: &Overview, path: &str) -> Reply {
    const NOT_HELD: &str = "This trace is not held: it never arrived, or a bound was reached and \
         the oldest were let go.";
    let (page, why) = match path.starts_with("/traces/") {
        true => (Page::Traces, NOT_HELD),
        false => (Page::Overview, "There is no such page."),
    };
    not_here(overview, page, path, why)
}

fn not_here(overview: &Overview, page: Page, asked: &str, why: &str) -> Reply {
    let (asked, back, name) = (esc(asked), page.path(), page.name());
    let main = format!(
        "<section class=\"card empty\"><h2>Not here</h2><p><code>{asked}</code></p><p>{why}</p>\
         <p><a href=\"{back}\">Back to {name}</a></p></section>"
    );
    let frame = Frame {
        page,
        title: "Not here".to_string(),
        crumbs: String::new(),
        q: "",
        kept: &[],
        search: None,
        still: false,
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

/// A search is typed by a person, and every page shows it again.
const QUERY_BYTES_MAX: usize = 500;

impl Ask {
    fn of(request: &Request) -> Ask {
        let value = |key| {
            let mut text = request.query_value(key).unwrap_or_default();
            text.truncate(text.floor_char_boundary(QUERY_BYTES_MAX));
            text
        };
        let limit = value("limit").parse().unwrap_or(LIMIT).clamp(1, ROWS_MAX);
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
