//! What the lines of a search have in common, each value a link that narrows the search to it.

use super::figure::grouped;
use super::html::{esc, html, pct};
use super::logs::Filter;
use super::piece;
use crate::agent::view::{Facet, Logs};

pub(super) fn section(out: &mut String, filter: &Filter<'_>, logs: &Logs) {
    if logs.facets.is_empty() {
        return;
    }
    let over = match logs.facet_lines < logs.matching {
        true => format!(
            "newest {} of {} lines found",
            grouped(logs.facet_lines),
            grouped(logs.matching)
        ),
        false => format!("{} found", piece::plural(logs.facet_lines, "line")),
    };
    let large = match logs.facet_lines_large {
        0 => String::new(),
        lines => format!(
            "; of {} over 64 KB status and service alone",
            piece::plural(lines, "line")
        ),
    };
    html!(
        out,
        "<details class=\"card facets\" data-key=\"facets\" open><summary><b>Facets</b> over the {over}{large}</summary><dl>"
    );
    for facet in &logs.facets {
        values(out, filter, facet);
    }
    out.push_str("</dl></details>");
}

fn values(out: &mut String, filter: &Filter<'_>, facet: &Facet) {
    html!(out, "<dt>{}</dt><dd>", esc(facet.key));
    for found in &facet.values {
        let term = term(facet.key, &found.value);
        let (q, current) = toggled(filter.q, &term);
        let current = if current {
            " aria-current=\"true\""
        } else {
            ""
        };
        let tone = match facet.key {
            "status" => piece::tone(&found.value),
            "http.status_code" => piece::status_tone(&found.value),
            _ => "",
        };
        html!(
            out,
            "<a href=\"/logs?level={}&amp;q={}\"{current}><span class=\"{tone}\">{}</span> <small>{}</small></a> ",
            filter.level,
            pct(&q),
            esc(piece::either(&found.value, "empty")),
            grouped(found.lines)
        );
    }
    if facet.others > 0 {
        html!(
            out,
            "<small>{} of other values</small>",
            grouped(facet.others)
        );
    }
    out.push_str("</dd>");
}

/// A value that a search would take apart, or for the beginning of one, stands in quotes.
fn term(key: &str, value: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./".contains(c);
    match key != "service" && !value.is_empty() && value.chars().all(plain) {
        true => format!("{key}:{value}"),
        false => format!("{key}:\"{value}\""),
    }
}

/// The search with the term, or without it where it has it; and whether it had.
fn toggled(q: &str, term: &str) -> (String, bool) {
    let with_blanks = format!(" {q} ");
    let there = format!(" {term} ");
    match with_blanks.contains(&there) {
        true => (
            with_blanks.replacen(&there, " ", 1).trim().to_string(),
            true,
        ),
        false => (format!("{q} {term}").trim().to_string(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::view::FacetValue;

    #[test]
    fn a_value_is_a_term_and_a_second_click_takes_it_away() {
        assert_eq!(term("http.status_code", "500"), "http.status_code:500");
        assert_eq!(
            term("service", "web"),
            "service:\"web\"",
            "the word alone finds parts"
        );
        assert_eq!(term("error.kind", "a b"), "error.kind:\"a b\"");
        assert_eq!(term("error.kind", "a*"), "error.kind:\"a*\"");
        assert_eq!(term("logger.name", ""), "logger.name:\"\"");
        assert_eq!(toggled("", "a:b"), ("a:b".into(), false));
        assert_eq!(toggled("x", "a:b"), ("x a:b".into(), false));
        assert_eq!(toggled("x a:b y", "a:b"), ("x y".into(), true));
        assert_eq!(toggled("a:bc", "a:b"), ("a:bc a:b".into(), false));
    }

    #[test]
    fn lines_that_were_too_large_are_said() {
        let logs = Logs {
            facets: vec![Facet::default()],
            facet_lines: 9,
            matching: 9,
            facet_lines_large: 2,
            ..Logs::default()
        };
        let filter = Filter {
            q: "",
            level: "",
            limit: 100,
        };
        let mut out = String::new();
        section(&mut out, &filter, &logs);
        let said =
            "over the 9 lines found; of 2 lines over 64 KB status and service alone</summary>";
        assert!(out.contains(said), "{out}");
    }

    #[test]
    fn how_many_lines_were_looked_at_is_said() {
        #[track_caller]
        fn check(rule: &str, (facet_lines, matching): (u64, u64), part: &str) {
            let facet = Facet {
                key: "error.kind",
                values: vec![FacetValue {
                    value: "<a b>".to_string(),
                    lines: 1_204,
                }],
                others: 7,
            };
            let logs = Logs {
                facets: vec![facet],
                facet_lines,
                matching,
                ..Logs::default()
            };
            let filter = Filter {
                q: "x",
                level: "warn",
                limit: 100,
            };
            let mut out = String::new();
            section(&mut out, &filter, &logs);
            let link = "/logs?level=warn&amp;q=x%20error.kind%3A%22%3Ca%20b%3E%22\">";
            let words = "<span class=\"\">&lt;a b&gt;</span> <small>1,204</small>";
            for part in [part, link, words, "7 of other values"] {
                assert!(out.contains(part), "{rule}: {part} is not in {out}");
            }
        }
        check("all", (1, 1), "over the 1 line found");
        check(
            "some",
            (5_000, 6_000),
            "over the newest 5,000 of 6,000 lines found",
        );
        let mut out = String::new();
        let filter = Filter {
            q: "",
            level: "",
            limit: 100,
        };
        section(&mut out, &filter, &Logs::default());
        assert_eq!(out, "", "no facets, no card");
    }
}
