//! The card around the flame graph: what its colours mean, what a search finds, what fills the width.

use super::amount::{change, percent, worded};
use super::html::{esc, html};
use super::icicle::{self, Drawing, Search};
use super::look::Look;
use super::origin::{Origin, clipped};
use super::piece;
use crate::agent::view::Flame;

pub(super) fn card(out: &mut String, flame: &Flame, look: &Look) {
    let drawing = Drawing::of(&flame.root, &look.at, flame.base.is_some());
    out.push_str("<section class=\"card flush flame\" id=\"flame\">");
    legend(out, flame);
    found(out, flame, look);
    filled(out, flame, look, &drawing);
    out.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Flame graph\">",
    );
    icicle::svg(out, flame, look, &drawing);
    out.push_str("</div>");
    let width = match flame.base.is_some() {
        true => "As wide as its share of both uploads together",
        false => "As wide as its share",
    };
    html!(
        out,
        "<p class=\"foot\">{width}, callees below their callers. "
    );
    match drawing.left_out {
        0 => out.push_str("Every frame is drawn.</p></section>"),
        left_out => html!(
            out,
            "{} left out as too small to be drawn; a click on a frame shows more of it.</p></section>",
            piece::plural(left_out, "frame")
        ),
    }
}

/// What the colours mean.
fn legend(out: &mut String, flame: &Flame) {
    out.push_str("<p class=\"legend\">");
    if flame.base.is_some() {
        for (class, words) in [
            ("grew2", "doubled, or new"),
            ("grew1", "grew"),
            ("same", "within 5 %"),
            ("shrank1", "shrank"),
            ("shrank2", "halved, or gone"),
        ] {
            html!(out, "<span><i class=\"swatch {class}\"></i>{words}</span>");
        }
    } else {
        for (origin, sum) in icicle::origins(flame) {
            let (class, words) = (origin.class(), origin.words());
            html!(
                out,
                "<span><i class=\"swatch {class}\"></i>{words} <span class=\"fig\">{}</span><span class=\"unit\"> %</span></span>",
                percent(sum, flame.root.total).digits
            );
        }
        out.push_str("<span class=\"muted\">what each ran itself</span>");
    }
    out.push_str("</p>");
}

/// What the search says.
fn found(out: &mut String, flame: &Flame, look: &Look) {
    let Some(search) = Search::of(&look.q) else {
        return;
    };
    let (frames, sum) = search.sum(&flame.root);
    let part = percent(sum, flame.root.total);
    html!(
        out,
        "<p class=\"said\" role=\"status\"><i class=\"swatch hit\"></i><b>{}</b> in {}: {} together, {} %. <a href=\"{}#flame\" data-soft>Clear</a></p>",
        esc(&look.q),
        piece::plural(frames, "frame"),
        worded(sum, &flame.value.unit),
        part.digits,
        look.with(|look| look.q.clear())
    );
}

/// The frame that fills the width, in words: a tooltip cannot be had by touch.
fn filled(out: &mut String, flame: &Flame, look: &Look, drawing: &Drawing<'_>) {
    if drawing.at().is_empty() {
        return;
    }
    let (node, unit) = (drawing.filled, &flame.value.unit);
    let origin = Origin::of(&node.name, &node.file, &flame.row.service);
    html!(
        out,
        "<p class=\"said\"><b>{}</b> <small>{}{}{}</small> total {}, {} % · own {}, {} %",
        esc(clipped(&node.name, 300)),
        esc(icicle::place(node)),
        if node.file.is_empty() { "" } else { " · " },
        origin.words(),
        worded(node.total, unit),
        percent(node.total, flame.root.total).digits,
        worded(node.own, unit),
        percent(node.own, flame.root.total).digits
    );
    if flame.base.is_some() {
        let (words, class) = change(node.total, node.base_total);
        html!(out, " · <b class=\"{class}\">{words}</b>");
    }
    html!(
        out,
        " · <a href=\"{}#flame\" data-soft>Show all</a></p>",
        look.anew(|_| ())
    );
}
