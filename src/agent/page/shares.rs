//! Which routes, threads and traces have how much of a profile, each a link to its samples alone.

use super::amount::{amount, percent, share, worded};
use super::figure::grouped;
use super::functions;
use super::html::{esc, html, pct};
use super::look::Look;
use super::origin::clipped;
use super::piece;
use super::spark;
use crate::agent::view::{Flame, Share, TraceShare};

/// Routes and threads that are shown, and those that may be unfolded.
const SHARES_SHOWN: usize = 6;
const SHARES_MAX: usize = 200;
const NAME_CHARS_MAX: usize = 80;

pub(super) fn filters(out: &mut String, flame: &Flame, look: &Look) {
    out.push_str("<section class=\"card shares\"><dl>");
    let route = |share: &Share| {
        let chosen = share.name == look.route;
        let name = if chosen {
            String::new()
        } else {
            share.name.clone()
        };
        (chosen, look.anew(|look| look.route = name))
    };
    shares(
        out,
        flame,
        ("route", "no route"),
        (&flame.routes, &look.route),
        &route,
    );
    let thread = |share: &Share| {
        let chosen = share.name == look.thread;
        let name = if chosen {
            String::new()
        } else {
            share.name.clone()
        };
        (chosen, look.anew(|look| look.thread = name))
    };
    shares(
        out,
        flame,
        ("thread", "no thread"),
        (&flame.threads, &look.thread),
        &thread,
    );
    if look.trace != 0 {
        html!(
            out,
            "<dt>trace</dt><dd><a href=\"/traces/{0}\">back to trace {0}</a> <a class=\"share\" aria-current=\"true\" \
             href=\"{1}\">only its samples ✕</a></dd>",
            look.trace,
            look.anew(|look| look.trace = 0)
        );
    }
    out.push_str("</dl></section>");
}

/// One row of values to choose from. A name that is chosen is shown even where it has no sample.
fn shares(
    out: &mut String,
    flame: &Flame,
    (key, none): (&str, &str),
    (shares, chosen): (&[Share], &str),
    link: &dyn Fn(&Share) -> (bool, String),
) {
    let whole = shares
        .iter()
        .fold(0_i64, |sum, share| sum.saturating_add(share.total.max(0)));
    let absent = Share {
        name: chosen.to_string(),
        total: 0,
    };
    let missing = !chosen.is_empty() && shares.iter().all(|share| share.name != chosen);
    let all: Vec<&Share> = missing
        .then_some(&absent)
        .into_iter()
        .chain(shares)
        .collect();
    if all.is_empty() {
        return;
    }
    html!(out, "<dt>{key}</dt><dd>");
    let far = all
        .iter()
        .position(|share| !chosen.is_empty() && share.name == chosen);
    let shown = SHARES_SHOWN.max(far.map_or(0, |at| at + 1)).min(all.len());
    for share in &all[..shown] {
        chip(out, flame, none, (share, whole), link);
    }
    let rest = &all[shown..];
    if !rest.is_empty() {
        html!(
            out,
            "<details data-key=\"{key}\"><summary>{} more</summary>",
            grouped(rest.len() as u64)
        );
        for share in rest.iter().take(SHARES_MAX) {
            chip(out, flame, none, (share, whole), link);
        }
        out.push_str("</details>");
    }
    out.push_str("</dd>");
}

fn chip(
    out: &mut String,
    flame: &Flame,
    none: &str,
    (of, whole): (&Share, i64),
    link: &dyn Fn(&Share) -> (bool, String),
) {
    let (value, part) = (
        worded(of.total, &flame.value.unit),
        percent(of.total, whole),
    );
    let inside = format!(
        "<span class=\"name\">{}</span> <span class=\"fig\">{}</span><span class=\"unit\"> %</span>",
        esc(clipped(piece::either(&of.name, none), NAME_CHARS_MAX)),
        part.digits
    );
    // What has no name cannot be asked for.
    if of.name.is_empty() {
        html!(out, "<span class=\"share\" title=\"{value}\">{inside}");
    } else {
        let (chosen, href) = link(of);
        let current = if chosen { " aria-current=\"true\"" } else { "" };
        let title = if chosen {
            "show all again"
        } else {
            "only these"
        };
        html!(
            out,
            "<a class=\"share\"{current} href=\"{href}\" title=\"{value}; {title}\">{inside}"
        );
        if chosen {
            out.push_str(" ✕");
        }
    }
    spark::bar(out, "accent", 0.0, share(of.total, whole));
    out.push_str(if of.name.is_empty() {
        "</span>"
    } else {
        "</a>"
    });
}

pub(super) fn traces(out: &mut String, flame: &Flame, look: &Look) {
    if flame.traces.is_empty() {
        return;
    }
    piece::heading(
        out,
        "Traces with the most of it",
        "by their local root span",
    );
    out.push_str("<section class=\"card flush\">");
    let columns = [
        ("route", "wide"),
        ("trace", ""),
        ("total", "num"),
        ("%", "num"),
        ("", "part"),
        ("", ""),
    ];
    piece::table(out, "Traces with the most of it", &columns);
    for row in &flame.traces {
        trace_line(out, flame, look, row);
    }
    piece::table_end(out);
    out.push_str("</section>");
}

fn trace_line(out: &mut String, flame: &Flame, look: &Look, row: &TraceShare) {
    html!(
        out,
        "<tr><th scope=\"row\" class=\"wide\">{}</th>",
        esc(clipped(piece::either(&row.route, "no route"), 200))
    );
    match row.trace_id.as_str() {
        "" => html!(
            out,
            "<td class=\"muted\">span <code>{}</code>, its trace is not held</td>",
            esc(&row.root_span_id)
        ),
        id => html!(
            out,
            "<td><a href=\"/traces/{0}?span={1}\"><code>{2}</code></a></td>",
            pct(id),
            pct(&row.root_span_id),
            esc(id)
        ),
    }
    piece::figure_cell(out, &amount(row.total, &flame.value.unit));
    functions::share_cells(out, "accent", row.total, flame.root.total);
    match row.trace_id.parse() {
        Ok(id) if look.trace != id => html!(
            out,
            "<td><a href=\"{}\">only these samples</a></td></tr>",
            look.anew(|look| look.trace = id)
        ),
        _ => out.push_str("<td></td></tr>"),
    }
}
