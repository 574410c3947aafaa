//! The functions of a profile, wherever they stand on a stack.

use super::amount::{amount, change, percent, share};
use super::figure::grouped;
use super::html::{esc, html};
use super::look::{Look, Sort};
use super::origin::{Origin, clipped, short_file};
use super::piece;
use super::spark;
use crate::agent::view::{Flame, FunctionRow};

/// Characters of a name; generic ones can be longer than any screen.
const NAME_CHARS_MAX: usize = 240;

pub(super) fn card(out: &mut String, flame: &Flame, look: &Look) {
    piece::heading(out, "Functions", "wherever they stand on a stack");
    out.push_str("<section class=\"card flush\" id=\"functions\">");
    head(out, flame, look);
    for row in sorted(&flame.functions, look.sort) {
        line(out, flame, look, row);
    }
    piece::table_end(out);
    let listed = piece::plural(flame.functions.len() as u64, "function");
    match flame.functions_left {
        0 => html!(out, "<p class=\"foot\">{listed}</p>"),
        left => html!(
            out,
            "<p class=\"foot\">the {listed} with the largest share of their own; {} more are not listed</p>",
            grouped(left)
        ),
    }
    out.push_str("</section>");
}

fn sorted(rows: &[FunctionRow], sort: Sort) -> Vec<&FunctionRow> {
    let mut rows: Vec<&FunctionRow> = rows.iter().collect();
    match sort {
        Sort::Own => rows.sort_by_key(|row| std::cmp::Reverse((row.own, row.total))),
        Sort::Total => rows.sort_by_key(|row| std::cmp::Reverse((row.total, row.own))),
        Sort::Name => rows.sort_by_key(|row| (row.name.to_lowercase(), &row.file)),
    }
    rows
}

/// As [`piece::table`], but three of its names sort it.
fn head(out: &mut String, flame: &Flame, look: &Look) {
    out.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Functions\">\
         <table class=\"functions\" aria-label=\"Functions\"><thead><tr>",
    );
    let compared = flame.base.is_some();
    sorting(out, look, Sort::Name);
    for sort in [Sort::Own, Sort::Total] {
        sorting(out, look, sort);
        out.push_str(
            "<th scope=\"col\" class=\"num\">%</th><th scope=\"col\" class=\"part\"></th>",
        );
        if compared {
            out.push_str(
                "<th scope=\"col\" class=\"num\">before</th><th scope=\"col\" class=\"num\">change</th>",
            );
        }
    }
    out.push_str("</tr></thead><tbody>");
}

fn sorting(out: &mut String, look: &Look, sort: Sort) {
    let (word, class) = match sort {
        Sort::Name => ("function", "wide"),
        _ => (sort.key(), "num"),
    };
    let (aria, mark) = match (look.sort == sort, sort) {
        (false, _) => ("", ""),
        (true, Sort::Name) => (" aria-sort=\"ascending\"", " ▴"),
        (true, _) => (" aria-sort=\"descending\"", " ▾"),
    };
    let link = look.with(|look| look.sort = sort);
    html!(
        out,
        "<th scope=\"col\" class=\"{class}\"{aria}><a href=\"{link}#functions\" data-soft>{word}{mark}</a></th>"
    );
}

fn line(out: &mut String, flame: &Flame, look: &Look, row: &FunctionRow) {
    let origin = Origin::of(&row.name, &row.file, &flame.row.service);
    let link = look.with(|look| look.q.clone_from(&row.name));
    let found = !look.q.is_empty() && look.q == row.name;
    let current = if found { " aria-current=\"true\"" } else { "" };
    html!(
        out,
        "<tr{current}><th scope=\"row\" class=\"wide\"><i class=\"dot {}\"></i>\
         <a class=\"name\" href=\"{link}#flame\" title=\"{}\">{}</a> <small>{}",
        origin.class(),
        esc(clipped(&row.name, 4 * NAME_CHARS_MAX)),
        esc(clipped(piece::either(&row.name, "no name"), NAME_CHARS_MAX)),
        origin.words()
    );
    if !row.file.is_empty() {
        let file = clipped(short_file(&row.file), NAME_CHARS_MAX);
        html!(
            out,
            " · <span title=\"{}\">{}</span>",
            esc(clipped(&row.file, 4 * NAME_CHARS_MAX)),
            esc(file)
        );
    }
    out.push_str("</small></th>");
    for (value, base) in [(row.own, row.base_own), (row.total, row.base_total)] {
        piece::figure_cell(out, &amount(value, &flame.value.unit));
        share_cells(out, origin.class(), value, flame.root.total);
        if flame.base.is_some() {
            piece::figure_cell(out, &amount(base, &flame.value.unit));
            let (words, class) = change(value, base);
            html!(out, "<td class=\"num {class}\">{words}</td>");
        }
    }
    out.push_str("</tr>");
}

/// A share in percent, and its bar.
pub(super) fn share_cells(out: &mut String, class: &str, value: i64, whole: i64) {
    html!(
        out,
        "<td class=\"num\">{}</td><td class=\"part\">",
        percent(value, whole).digits
    );
    if value > 0 {
        spark::bar(out, class, 0.0, share(value, whole));
    }
    out.push_str("</td>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, sort: Sort, names: &str) {
        let row = |name: &str, own, total| FunctionRow {
            name: name.to_string(),
            own,
            total,
            ..FunctionRow::default()
        };
        let rows = [row("b", 1, 9), row("C", 5, 5), row("a", 3, 9)];
        let seen: Vec<&str> = sorted(&rows, sort).iter().map(|row| &*row.name).collect();
        assert_eq!(seen.join(" "), names, "{rule}");
    }

    #[test]
    fn rows_are_sorted() {
        check("by what is their own", Sort::Own, "C a b");
        check("by all, then own", Sort::Total, "a b C");
        check("by name, in any case", Sort::Name, "a b C");
    }
}
