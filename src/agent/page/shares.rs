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

/// Names to choose one of.
struct Choice<'a> {
    flame: &'a Flame,
    look: &'a Look,
    key: &'static str,
    shares: &'a [Share],
    chosen: &'a str,
    choose: fn(&mut Look, &str),
}

pub(super) fn filters(out: &mut String, flame: &Flame, look: &Look) {
    let routes = Choice {
        flame,
        look,
        key: "route",
        shares: &flame.routes,
        chosen: &look.route,
        choose: |look, name| look.route = name.to_string(),
    };
    let threads = Choice {
        key: "thread",
        shares: &flame.threads,
        chosen: &look.thread,
        choose: |look, name| look.thread = name.to_string(),
        ..routes
    };
    out.push_str("<section class=\"card shares\"><dl>");
    routes.row(out);
    threads.row(out);
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

impl Choice<'_> {
    /// A name that is chosen is shown even where it has no sample.
    fn row(&self, out: &mut String) {
        let (shares, chosen) = (self.shares, self.chosen);
        let whole = shares
            .iter()
            .fold(0_i64, |sum, share| sum.saturating_add(share.total.max(0)));
        let held = shares.iter().find(|share| share.name == chosen);
        let absent = Share {
            name: chosen.to_string(),
            total: held.map_or(0, |share| share.total),
        };
        let mut first = shares.iter().take(SHARES_MAX);
        let place = first.position(|share| share.name == chosen);
        let missing = place.is_none() && !chosen.is_empty();
        let all = missing.then_some(&absent).into_iter().chain(shares);
        let all: Vec<&Share> = all.take(SHARES_MAX).collect();
        if all.is_empty() {
            return;
        }
        let far = place.filter(|_| !chosen.is_empty()).map_or(0, |at| at + 1);
        let (shown, rest) = all.split_at(SHARES_SHOWN.max(far).min(all.len()));
        html!(out, "<dt>{}</dt><dd>", self.key);
        for share in shown {
            self.chip(out, share, whole);
        }
        let names = shares.len() + usize::from(missing && held.is_none());
        let more = names.saturating_sub(shown.len());
        if more > 0 {
            let (key, more) = (self.key, grouped(more as u64));
            html!(
                out,
                "<details data-key=\"{key}\"><summary>{more} more</summary>"
            );
            for share in rest {
                self.chip(out, share, whole);
            }
            out.push_str("</details>");
        }
        out.push_str("</dd>");
    }

    fn chip(&self, out: &mut String, of: &Share, whole: i64) {
        let value = worded(of.total, &self.flame.value.unit);
        let named = !of.name.is_empty();
        let chosen = named && of.name == self.chosen;
        // What has no name cannot be asked for.
        if named {
            let name = if chosen { "" } else { &of.name };
            let href = self.look.anew(|look| (self.choose)(look, name));
            let (current, title) = match chosen {
                true => (" aria-current=\"true\"", "show all again"),
                false => ("", "only these"),
            };
            html!(
                out,
                "<a class=\"share\"{current} href=\"{href}\" title=\"{value}; {title}\">"
            );
        } else {
            html!(out, "<span class=\"share\" title=\"{value}\">");
        }
        let none = format!("no {}", self.key);
        html!(
            out,
            "<span class=\"name\">{}</span> <span class=\"fig\">{}</span><span class=\"unit\"> %</span>",
            esc(clipped(piece::either(&of.name, &none), NAME_CHARS_MAX)),
            percent(of.total, whole).digits
        );
        out.push_str(if chosen { " ✕" } else { "" });
        spark::bar(out, "accent", 0.0, share(of.total, whole));
        out.push_str(if named { "</a>" } else { "</span>" });
    }
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
