//! The list of routes, as a page or as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::api::{Fault, ROUTES, Services};
use crate::server::{Params, Reply, Request};

pub(in crate::api) fn page(_: &Services, request: &Request, _: &Params) -> Result<Reply, Fault> {
    if prefers_json(request.header("accept").unwrap_or("")) {
        let routes: Vec<Value> = ROUTES
            .iter()
            .map(|r| json!({ "route": r.pattern, "emits": r.purpose, "try": r.example }))
            .collect();
        return Ok(Reply::json(200, &json!({ "routes": routes })));
    }
    let mut html = String::from(HEAD);
    for route in ROUTES {
        // All three are constants of this program; only the pattern's braces are not plain text.
        let _ = writeln!(
            html,
            "<tr><td><a href=\"{example}\">{pattern}</a></td><td>{purpose}</td></tr>",
            example = route.example,
            pattern = route.pattern,
            purpose = route.purpose,
        );
    }
    html.push_str("</tbody></table>");
    html.push_str(WHY_ONE);
    html.push_str("</main></body></html>\n");
    Ok(Reply::html(200, html).with_header("Content-Security-Policy", POLICY))
}

pub(in crate::api) fn style(_: &Services, _: &Request, _: &Params) -> Result<Reply, Fault> {
    Ok(Reply::new(200, "text/css; charset=utf-8", STYLE))
}

/// Which of the two the client names with the higher weight; a page where it names neither.
fn prefers_json(accept: &str) -> bool {
    let weight = |wanted: &str| {
        accept
            .split(',')
            .filter_map(|item| {
                let (kind, rest) = item.trim().split_once(';').unwrap_or((item.trim(), ""));
                let q = rest
                    .trim()
                    .strip_prefix("q=")
                    .map_or(Some(1.0), |q| q.parse::<f32>().ok());
                kind.eq_ignore_ascii_case(wanted).then_some(q).flatten()
            })
            .fold(0.0, f32::max)
    };
    weight("application/json") > weight("text/html")
}

const POLICY: &str =
    "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'";

const HEAD: &str = "<!doctype html>
<html lang=\"en\"><head><meta charset=\"utf-8\"><title>testapi</title>
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<link rel=\"stylesheet\" href=\"/style.css\"></head><body><main>
<h1>testapi</h1>
<p>Every route emits one kind of Datadog telemetry and says in its reply what it was.</p>
<table><thead><tr><th scope=\"col\">route</th><th scope=\"col\">emits</th></tr></thead><tbody>
";

/// The tag makes it a set of its own, which no other request adds to; the first link's visitor is one of
/// the second's, so that both within 10 seconds are still ten.
const WHY_ONE: &str = "<h2>Why does a set send 1?</h2>
<p>The Agent counts distinct members in 10 seconds and then forgets them; the value is a member's name, not a number.
Send some, then look at testapi.set on the local agent's page, under Metrics. (The client here makes one line of a member
that comes ten times within two seconds; of ten lines the Agent would make the same.)</p>
<p><a class=\"try\" href=\"/sdmetrics/set/visitor-1?times=10&amp;tags=from:you\">same visitor x10</a> the set stays 1</p>
<p><a class=\"try\" href=\"/sdmetrics/set/visitor?different=10&amp;tags=from:you\">10 different visitors</a> it becomes 10</p>
";

const STYLE: &str = ":root{color-scheme:light dark;--bg:#f7f7f5;--surface:#fff;--line:#e4e2dc;--text:#1c1c1a;--muted:#6d6b65;--accent:#4f46c8}
@media (prefers-color-scheme:dark){:root{--bg:#121315;--surface:#191b1e;--line:#2b2e33;--text:#e9e7e2;--muted:#98968f;--accent:#a59bff}}
body{margin:0;background:var(--bg);color:var(--text);font:13px/1.5 system-ui,sans-serif}
main{max-width:920px;margin:24px auto;padding:0 16px}
h1{font-size:22px;margin:0 0 4px}h2{font-size:15px;margin:24px 0 4px}p{color:var(--muted);margin:0 0 16px}
table{width:100%;border-collapse:collapse;background:var(--surface);border:1px solid var(--line);border-radius:8px}
th{font-weight:400;color:var(--muted);font-size:12px;text-align:left}
th,td{padding:8px 12px;border-bottom:1px solid var(--line);vertical-align:top}
tr:last-child td{border-bottom:0}
td a{overflow-wrap:anywhere}a{color:var(--accent);font-family:ui-monospace,monospace;text-decoration:none}a:hover,a:focus-visible{text-decoration:underline}
a.try{display:inline-block;margin:0 4px 0 0;padding:3px 9px;font-family:inherit;background:var(--surface);border:1px solid var(--line);border-radius:6px}
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_comes_to_those_who_ask_for_it() {
        for (accept, json) in [
            ("", false),
            ("*/*", false),
            ("application/json", true),
            ("text/html,application/json;q=0.9", false),
            ("text/html;q=0.1, application/json;q=0.2", true),
            ("application/json;q=zero", false),
        ] {
            assert_eq!(prefers_json(accept), json, "{accept:?}");
        }
    }

    #[test]
    fn its_links_lead_to_routes() {
        let router = ROUTES
            .iter()
            .fold(crate::server::Router::new(), |router, route| {
                router.route(route.pattern, ())
            });
        let links: Vec<&str> = WHY_ONE
            .split("href=\"")
            .skip(1)
            .filter_map(|rest| rest.split('?').next())
            .collect();
        assert_eq!(links.len(), 2);
        for link in links {
            let pattern = router.find(link).map(|found| found.pattern);
            assert_eq!(pattern, Some("/sdmetrics/set/{member}"), "{link}");
        }
    }

    #[test]
    fn every_route_stands_in_the_table_once_with_an_example_that_leads_to_it() {
        let router = ROUTES
            .iter()
            .fold(crate::server::Router::new(), |router, route| {
                router.route(route.pattern, ())
            });
        for route in ROUTES {
            assert_eq!(
                router.find(route.example).map(|f| f.pattern),
                Some(route.pattern)
            );
        }
    }
}
