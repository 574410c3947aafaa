//! Issues: errors that Error Tracking would show as one.

use super::html::{esc, html, pct};
use super::piece;
use crate::agent::view::ErrorGroup;

pub(super) fn main(now_unix_us: u64, q: &str, groups: &[ErrorGroup]) -> String {
    let mut out = String::new();
    let matching: Vec<&ErrorGroup> = groups.iter().filter(|group| fits(group, q)).collect();
    if matching.is_empty() {
        nothing(&mut out, groups.len() as u64);
        return out;
    }
    let (shown, ignored): (Vec<_>, Vec<_>) = matching
        .into_iter()
        .partition(|group| group.ignored_because.is_empty());
    if !shown.is_empty() {
        piece::heading(&mut out, "Issues", "grouped as Error Tracking would");
        table(&mut out, now_unix_us, "Issues", &shown);
    }
    if !ignored.is_empty() {
        let why = "these would never become an issue, with the reason";
        piece::heading(&mut out, "Error Tracking would ignore", why);
        table(&mut out, now_unix_us, "Ignored errors", &ignored);
    }
    out
}

/// Whether each word occurs; a leading `-` negates.
fn fits(group: &ErrorGroup, q: &str) -> bool {
    let text = [
        &group.service,
        &group.error_type,
        &group.message,
        &group.culprit,
        &group.resource,
        &group.ignored_because,
    ]
    .map(|part| part.to_lowercase())
    .join("\n");
    super::metrics::words_fit(&text, q)
}

fn nothing(out: &mut String, held: u64) {
    match held {
        0 => out.push_str(
            "<section class=\"card empty\"><h2>No error so far</h2><p>A span becomes an issue when it has \
             <code>error=1</code> and the three tags <code>error.type</code>, <code>error.message</code>, \
             <code>error.stack</code>.</p></section>",
        ),
        _ => piece::no_match(out, held, "issue", "/errors"),
    }
}

fn table(out: &mut String, now_unix_us: u64, label: &str, groups: &[&ErrorGroup]) {
    out.push_str("<section class=\"card flush\">");
    let columns = [
        ("issue", "wide"),
        ("service", ""),
        ("count", "num"),
        ("first seen", "when"),
        ("last seen", "when"),
        ("newest", ""),
    ];
    piece::table(out, label, &columns);
    for group in groups {
        line(out, group, now_unix_us);
    }
    piece::table_end(out);
    out.push_str("</section>");
}

fn line(out: &mut String, group: &ErrorGroup, now_unix_us: u64) {
    html!(
        out,
        "<tr id=\"e-{0}\" data-key=\"{0}\"><th scope=\"row\" class=\"wide\">",
        esc(&group.fingerprint)
    );
    title(out, group);
    for (class, text) in [("", &group.message), ("warn", &group.ignored_because)] {
        if !text.is_empty() {
            html!(out, "<p class=\"{class}\">{}</p>", esc(text));
        }
    }
    if !group.stack.is_empty() {
        piece::stack(out, &group.fingerprint, &group.stack);
    }
    out.push_str("</th>");
    piece::service_cell(out, &group.service);
    piece::count_cell(out, group.count);
    piece::when_cell(out, now_unix_us, group.first_seen_unix_us);
    piece::when_cell(out, now_unix_us, group.last_seen_unix_us);
    match group.trace_id.as_str() {
        "" => out.push_str("<td></td></tr>"),
        id => html!(
            out,
            "<td><a href=\"/traces/{}\">trace</a></td></tr>",
            pct(id)
        ),
    }
}

fn title(out: &mut String, group: &ErrorGroup) {
    let kind = piece::either(&group.error_type, "untyped");
    html!(out, "<b title=\"{}\">{}</b>", esc(kind), esc(short(kind)));
    if !group.resource.is_empty() {
        html!(
            out,
            " <span class=\"muted\">in {}</span>",
            esc(&group.resource)
        );
    }
    if !group.culprit.is_empty() {
        html!(
            out,
            "<code class=\"under\">{}</code>",
            esc(frame(&group.culprit))
        );
    }
}

/// The last name of a path such as `shop::cart::Error` or `java.lang.Exception`.
fn short(kind: &str) -> &str {
    let generic = kind.find('<').unwrap_or(kind.len());
    let at = kind[..generic].rfind([':', '.']).map_or(0, |at| at + 1);
    piece::either(&kind[at..], kind)
}

/// A frame without its number.
fn frame(culprit: &str) -> &str {
    match culprit.split_once(": ") {
        Some((number, rest)) if number.bytes().all(|b| b.is_ascii_digit()) => rest,
        _ => culprit,
    }
}

/// The start of a row on the overview: the issue, linked to its full entry.
pub(super) fn row_head(out: &mut String, group: &ErrorGroup) {
    html!(
        out,
        "<tr data-key=\"{0}\"><th scope=\"row\"><a class=\"plain\" href=\"/errors#e-{1}\">",
        esc(&group.fingerprint),
        pct(&group.fingerprint)
    );
    title(out, group);
    out.push_str("</a></th>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_shown_by_its_last_name() {
        for (kind, shown) in [
            ("shop::cart::Error", "Error"),
            ("java.lang.Exception", "Exception"),
            ("Box<dyn std::error::Error>", "Box<dyn std::error::Error>"),
            ("panic", "panic"),
            ("odd::", "odd::"),
            ("", ""),
        ] {
            assert_eq!(short(kind), shown, "{kind}");
        }
        assert_eq!(
            (frame("0: shop::pay"), frame("a: b"), frame("x")),
            ("shop::pay", "a: b", "x")
        );
    }
}
