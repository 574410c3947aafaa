//! The rules of a page and of a reply.

use super::hostile::Hostile;
use super::render;
use crate::server::{Reply, Request};

const PAGES: [&str; 20] = [
    "/",
    "/traces?q=%22%3E%3Cimg%20src%3Dx%3E&limit=7",
    "/traces/7?span=%22%3E%3Cimg%3E",
    "/metrics",
    "/metrics?name=%22%3E%3Cimg%20src%3Dx%3E",
    "/metrics?name=x&type=set&tags=%22%3E%3Cimg%20src%3Dx%3E",
    "/metrics?name=%22%3E%3Cimg%20src%3Dx%3E&type=%3Cimg",
    "/metrics/raw?url=%22%3E%3Cimg%20src%3Dx%3E&from=%22%3E%3Cimg",
    "/metrics/raw",
    "/logs?q=%22%3E%3Cimg%20src%3Dx%3E&level=error",
    "/errors",
    "/profiles",
    "/profiles?q=%22%3E%3Cimg%20src%3Dx%3E",
    "/profiles/7?value=%22%3E%3Cimg&route=%22%3E%3Cimg%3E&thread=%3Cimg&q=%3Cimg%20src%3Dx&at=0.1&sort=name",
    "/profiles/7?base=6&at=0&q=%22%3E%3Cimg%20src%3Dx%3E&sort=total",
    "/profiles/all?trace=255&at=%22%3E%3Cimg",
    "/payloads",
    "/settings",
    "/%22%3E%3Cimg%20src=x%3E",
    "/\"><img src=x onerror=alert(1)>",
];

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

const HTML: &str = "text/html; charset=utf-8";
const PAGE: (u16, &str, Option<&str>) = (200, HTML, Some("no-store"));
const NOT_HERE: (u16, &str, Option<&str>) = (404, HTML, Some("no-store"));

#[test]
fn each_path_has_its_reply() {
    check_reply("the first page", "GET", "/", PAGE);
    check_reply("its head", "HEAD", "/", PAGE);
    check_reply("a trailing slash", "GET", "/logs/", PAGE);
    check_reply("a trace", "GET", "/traces/18446744073709551615", PAGE);
    check_reply(
        "an id over 64 bits",
        "GET",
        "/traces/18446744073709551616",
        NOT_HERE,
    );
    check_reply("an id that is none", "GET", "/traces/x", NOT_HERE);
    check_reply("an empty id", "GET", "/traces//", NOT_HERE);
    check_reply("a metric", "GET", "/metrics?name=x&type=set", PAGE);
    let other = "/metrics?name=x&type=none";
    check_reply("a metric that is not held", "GET", other, NOT_HERE);
    check_reply("no name, no metric", "GET", "/metrics?name=", PAGE);
    check_reply("a scraped page", "GET", "/metrics/raw?url=u&from=2", PAGE);
    check_reply("the profiles", "GET", "/profiles/", PAGE);
    check_reply("a profile", "GET", "/profiles/7", PAGE);
    check_reply("all profiles", "HEAD", "/profiles/all?trace=7", PAGE);
    check_reply("not held", "GET", "/profiles/404?q=a", NOT_HERE);
    check_reply("no upload", "GET", "/profiles/0", NOT_HERE);
    check_reply("a base that is none", "GET", "/profiles/7?base=x", NOT_HERE);
    check_reply("no such page", "GET", "/nowhere", NOT_HERE);
    check_reply("no such asset", "GET", "/assets/x.js", NOT_HERE);
    let css = (200, "text/css; charset=utf-8", Some("no-cache"));
    check_reply("style", "GET", "/assets/app.css", css);
    let js = (200, "text/javascript; charset=utf-8", Some("no-cache"));
    check_reply("script", "GET", "/assets/app.js", js);
    let text = (405, "text/plain; charset=utf-8", Some("no-store"));
    check_reply("writing", "POST", "/", text);
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
