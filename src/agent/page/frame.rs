//! What stands around every page: the head, the rail, the top bar.

use super::figure::grouped;
use super::html::{esc, html};
use super::piece::plural;
use crate::agent::view::{Overview, Rail};

/// The pages of the rail, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Overview,
    Traces,
    Metrics,
    Logs,
    Errors,
    Profiles,
    Payloads,
    Settings,
}

impl Page {
    pub(super) const ALL: [Page; 8] = [
        Page::Overview,
        Page::Traces,
        Page::Metrics,
        Page::Logs,
        Page::Errors,
        Page::Profiles,
        Page::Payloads,
        Page::Settings,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Page::Overview => "Overview",
            Page::Traces => "Traces",
            Page::Metrics => "Metrics",
            Page::Logs => "Logs",
            Page::Errors => "Errors",
            Page::Profiles => "Profiles",
            Page::Payloads => "Payloads",
            Page::Settings => "Settings",
        }
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Page::Overview => "/",
            Page::Traces => "/traces",
            Page::Metrics => "/metrics",
            Page::Logs => "/logs",
            Page::Errors => "/errors",
            Page::Profiles => "/profiles",
            Page::Payloads => "/payloads",
            Page::Settings => "/settings",
        }
    }

    /// The page its search looks in, and what may be asked there.
    fn search(self) -> (Page, &'static str) {
        match self {
            Page::Overview | Page::Traces | Page::Settings => (
                Page::Traces,
                "Search traces: service:web status:error -health",
            ),
            Page::Logs => (self, "Search logs: service:web trace_id:123 timeout"),
            Page::Metrics => (self, "Search metrics: name, type or tag"),
            Page::Errors => (self, "Search errors: type, message, service"),
            Page::Profiles => (self, "Search profiles: service, version, family, endpoint"),
            Page::Payloads => (self, "Search payloads: traces, udp, python"),
        }
    }

    fn figure(self, rail: &Rail) -> (String, &'static str) {
        match self {
            Page::Overview | Page::Settings => (String::new(), ""),
            Page::Traces => (grouped(rail.traces), ""),
            Page::Metrics => (grouped(rail.metrics), ""),
            Page::Logs => (grouped(rail.logs), ""),
            Page::Errors if rail.errors > 0 => (grouped(rail.errors), "err"),
            Page::Errors => ("0".to_string(), ""),
            Page::Profiles => (grouped(rail.profiles), ""),
            Page::Payloads if rail.payload_findings > 0 => {
                (plural(rail.payload_findings, "finding"), "warn")
            }
            Page::Payloads => (String::new(), ""),
        }
    }
}

/// One document.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    /// Which entry of the rail is marked.
    pub(super) page: Page,
    /// The document's title.
    pub(super) title: String,
    /// HTML at the left of the top bar; empty for the page's name.
    pub(super) crumbs: String,
    /// What the search box holds.
    pub(super) q: &'a str,
    /// What a new search keeps, by name.
    pub(super) kept: &'a [(&'static str, &'a str)],
    /// Where a search within what is shown goes, and what may be asked there; nothing for the page's own.
    pub(super) search: Option<(&'a str, &'a str)>,
    /// Whether it stays as it is: what is shown no longer changes.
    pub(super) still: bool,
    /// The content.
    pub(super) main: String,
}

/// The whole document.
pub(super) fn document(frame: &Frame<'_>, overview: &Overview) -> String {
    let mut out = String::with_capacity(frame.main.len() + 6_000);
    let name = frame.page.name();
    let refresh_ms = match frame.page {
        _ if frame.still => 0,
        Page::Logs => 1_000,
        _ => 2_000,
    };
    html!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{} · local agent</title><link rel=\"icon\" href=\"data:,\">\
         <link rel=\"stylesheet\" href=\"/assets/app.css\"><script src=\"/assets/app.js\"></script></head>\
         <body data-page=\"{}\" data-refresh=\"{refresh_ms}\"><a class=\"skip\" href=\"#main\">Skip to content</a>",
        esc(&frame.title),
        name.to_ascii_lowercase()
    );
    rail(&mut out, frame.page, &overview.rail);
    top(&mut out, frame);
    html!(
        out,
        "<main id=\"main\" tabindex=\"-1\">{}</main></body></html>\n",
        frame.main
    );
    out
}

fn rail(out: &mut String, marked: Page, rail: &Rail) {
    const VERSION: &str = concat!(
        env!("CARGO_PKG_VERSION_MAJOR"),
        ".",
        env!("CARGO_PKG_VERSION_MINOR")
    );
    html!(
        out,
        "<nav class=\"rail\" id=\"rail\" aria-label=\"Pages\"><p class=\"brand\"><b>local agent</b> {VERSION}</p><ul>"
    );
    for page in Page::ALL {
        entry(out, page, page == marked, page.figure(rail));
    }
    // Read out only when it changes, so it holds what is news and not what ticks.
    html!(
        out,
        "</ul><p class=\"sr\" role=\"status\" aria-live=\"polite\">{}, {}</p></nav>",
        plural(rail.errors, "issue"),
        plural(rail.payload_findings, "payload finding")
    );
}

fn entry(out: &mut String, page: Page, marked: bool, (text, tone): (String, &str)) {
    let current = if marked { " aria-current=\"page\"" } else { "" };
    let class = if page == Page::Settings {
        " class=\"apart\""
    } else {
        ""
    };
    let (name, path) = (page.name(), page.path());
    html!(
        out,
        "<li{class}><a href=\"{path}\"{current}><span>{name}</span><span class=\"count {tone}\">{text}</span></a></li>"
    );
}

fn top(out: &mut String, frame: &Frame<'_>) {
    out.push_str("<header class=\"top\"><div class=\"crumbs\" id=\"crumbs\">");
    match frame.crumbs.is_empty() {
        true => html!(out, "<h1>{}</h1>", frame.page.name()),
        false => out.push_str(&frame.crumbs),
    }
    let (page, hint) = frame.page.search();
    let (target, hint) = frame.search.unwrap_or((page.path(), hint));
    html!(
        out,
        "</div><form role=\"search\" method=\"get\" action=\"{}\">\
         <input type=\"search\" name=\"q\" id=\"q\" value=\"{}\" placeholder=\"{hint}\" aria-label=\"{hint}\" \
         autocomplete=\"off\" spellcheck=\"false\">",
        target,
        esc(frame.q)
    );
    for (name, value) in frame.kept.iter().filter(|(_, value)| !value.is_empty()) {
        html!(
            out,
            "<input type=\"hidden\" name=\"{name}\" value=\"{}\">",
            esc(value)
        );
    }
    // The script puts Pause, the theme and the list of keys here.
    out.push_str("<button>Search</button></form><div class=\"tools\" id=\"tools\"></div></header>");
}
