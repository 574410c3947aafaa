//! Pieces that several pages are made of.

use super::figure::{self, Figure};
use super::html::{esc, html};

/// The most rows that a page shows.
pub(super) const ROWS_MAX: usize = 1_000;

/// A figure with its unit muted.
pub(super) fn figure(out: &mut String, figure: &Figure) {
    html!(
        out,
        "<span class=\"fig\">{}</span><span class=\"unit\"> {}</span>",
        figure.digits,
        figure.unit
    );
}

/// A table cell with a figure, right aligned.
pub(super) fn figure_cell(out: &mut String, value: &Figure) {
    out.push_str("<td class=\"num\">");
    figure(out, value);
    out.push_str("</td>");
}

/// A table cell with a count, right aligned; a zero is muted.
pub(super) fn count_cell(out: &mut String, count: u64) {
    let zero = if count == 0 { " zero" } else { "" };
    html!(
        out,
        "<td class=\"num{zero}\">{}</td>",
        figure::grouped(count)
    );
}

/// A time: relative, the absolute one on hover.
pub(super) fn when(out: &mut String, now_unix_us: u64, then_unix_us: u64) {
    let text = figure::ago(now_unix_us, then_unix_us);
    match then_unix_us {
        0 => html!(out, "<span class=\"muted\">{text}</span>"),
        _ => html!(
            out,
            "<time title=\"{}\">{text}</time>",
            figure::date_time(then_unix_us)
        ),
    }
}

/// A table cell with a time.
pub(super) fn when_cell(out: &mut String, now_unix_us: u64, then_unix_us: u64) {
    out.push_str("<td class=\"when\">");
    when(out, now_unix_us, then_unix_us);
    out.push_str("</td>");
}

/// Opens a table in a box that scrolls, so that a narrow window never scrolls the page sideways.
/// A column is its name and its class.
pub(super) fn table(out: &mut String, label: &str, columns: &[(&str, &str)]) {
    html!(
        out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table aria-label=\"{0}\"><thead><tr>",
        esc(label)
    );
    for (name, class) in columns {
        html!(
            out,
            "<th scope=\"col\" class=\"{class}\">{}</th>",
            esc(name)
        );
    }
    out.push_str("</tr></thead><tbody>");
}

/// Closes what [`table`] opened.
pub(super) fn table_end(out: &mut String) {
    out.push_str("</tbody></table></div>");
}

/// Tags or labels, each on its own ground.
pub(super) fn tags(out: &mut String, tags: &[String]) {
    if tags.is_empty() {
        return;
    }
    out.push_str("<span class=\"tags\">");
    for tag in tags {
        html!(out, "<code class=\"tag\">{}</code> ", esc(tag));
    }
    out.push_str("</span>");
}

/// The first text, or the second where the first is empty.
pub(super) fn either<'a>(text: &'a str, or: &'a str) -> &'a str {
    if text.is_empty() { or } else { text }
}

/// A table cell with a word in the colour of its state.
pub(super) fn word_cell(out: &mut String, tone: &str, word: &str) {
    html!(out, "<td class=\"{tone}\">{}</td>", esc(word));
}

/// A table cell with a service behind the dot of its hue.
pub(super) fn service_cell(out: &mut String, service: &str) {
    html!(
        out,
        "<td><i class=\"dot {}\"></i>{}</td>",
        hue(service),
        esc(service)
    );
}

/// What stands in place of a list when a search finds nothing of what is held.
pub(super) fn no_match(out: &mut String, held: u64, word: &str, path: &str) {
    html!(
        out,
        "<section class=\"card empty\"><h2>No {word} matches</h2>\
         <p>{} held. <a href=\"{path}\">Show all</a></p></section>",
        plural(held, word)
    );
}

/// A link to more rows of the same search, up to the most that a page shows.
pub(super) fn more(out: &mut String, limit: usize, search: &str) {
    if limit < ROWS_MAX {
        let limit = (limit * 5).min(ROWS_MAX);
        let text = figure::grouped(limit as u64);
        html!(
            out,
            " · <a href=\"{search}&amp;limit={limit}\">show {text}</a>"
        );
    }
}

/// A stack trace, folded. `key` keeps it open when the page is renewed.
pub(super) fn stack(out: &mut String, key: &str, text: &str) {
    html!(
        out,
        "<details data-key=\"{}\"><summary>stack, {} lines</summary><pre class=\"stack\">{}</pre></details>",
        esc(key),
        figure::grouped(text.lines().count() as u64),
        esc(text)
    );
}

/// A heading with muted words beside it.
pub(super) fn heading(out: &mut String, title: &str, beside: &str) {
    html!(
        out,
        "<h2>{} <small>{}</small></h2>",
        esc(title),
        esc(beside)
    );
}

/// A heading that a link on the page leads to.
pub(super) fn heading_with_anchor(out: &mut String, title: &'static str, beside: &str) {
    html!(
        out,
        "<h2 id=\"{}\">{title} <small>{}</small></h2>",
        anchor(title),
        esc(beside)
    );
}

/// Where a link to the heading of this title leads.
pub(super) fn anchor(title: &'static str) -> String {
    title.to_ascii_lowercase().replace(' ', "-")
}

/// Names and values, the names in one column.
pub(super) fn pairs<'a>(out: &mut String, pairs: impl Iterator<Item = (&'a str, String)>) {
    out.push_str("<dl class=\"pairs\">");
    for (name, value) in pairs {
        html!(out, "<dt>{}</dt><dd>{}</dd>", esc(name), esc(value));
    }
    out.push_str("</dl>");
}

/// One of four muted hues for a service: the same in every trace and after every restart.
pub(super) fn hue(service: &str) -> &'static str {
    ["s0", "s1", "s2", "s3"][(fnv1a(service.as_bytes()) >> 32) as usize % 4]
}

/// FNV-1a with 64 bits, after draft-eastlake-fnv; also names the version of an asset.
pub(super) const fn fnv1a(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

/// `1 span`, `2 spans`.
pub(super) fn plural(count: u64, word: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {word}{s}", figure::grouped(count))
}

/// The colour class of a state word, a log status or an alert type.
pub(super) fn tone(word: &str) -> &'static str {
    match word {
        "healthy" | "ok" | "success" | "agrees" => "ok",
        "look" | "warn" | "warning" => "warn",
        "emergency" | "alert" | "critical" | "error" => "err",
        "notice" | "info" => "info",
        _ => "muted",
    }
}

/// The colour class of an HTTP status.
pub(super) fn status_tone(status: &str) -> &'static str {
    match status.as_bytes().first() {
        Some(b'5') => "err",
        Some(b'4') => "warn",
        _ => "muted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fnv1a_gives_the_published_values() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn words_follow_the_count() {
        assert_eq!(
            [plural(0, "span"), plural(1, "span"), plural(1_204, "span")],
            ["0 spans", "1 span", "1,204 spans"]
        );
    }
}
