//! One profile, or all that are held: what it covers, whose samples are shown, the flame graph.

use super::amount::{binary, change, worded};
use super::figure::{Figure, date_time, duration, grouped};
use super::html::{esc, html};
use super::look::Look;
use super::origin::clipped;
use super::piece;
use super::profiles::{about, clock, cpu, download, endpoints, family, length};
use super::{flame, functions, shares};
use crate::agent::view::{Flame, ProfileRow, Profiles};

/// Uploads that one may be compared with.
const BASES_MAX: usize = 50;

pub(super) fn title(flame: &Flame) -> String {
    let service = piece::either(&flame.row.service, "profile");
    match flame.row.id {
        0 => "All profiles".to_string(),
        id => format!("{service}, profile {id}"),
    }
}

pub(super) fn crumbs(flame: &Flame) -> String {
    let mut out = String::from(
        "<a class=\"muted\" href=\"/profiles\">Profiles</a><span class=\"muted\">/</span>",
    );
    match flame.row.id {
        0 => out.push_str("<h1>All held</h1>"),
        id => html!(
            out,
            "<h1>{}</h1><span class=\"chip\">upload {id}</span>",
            esc(piece::either(&flame.row.service, "not said"))
        ),
    }
    out
}

pub(super) fn main(flame: &Flame, look: &Look, held: &Profiles) -> String {
    let mut out = String::from("<div class=\"profile\">");
    facts(&mut out, flame);
    for finding in &flame.row.findings {
        html!(out, "<p class=\"note warn\">look: {}</p>", esc(finding));
    }
    out.push_str("<div class=\"looks\">");
    tabs(&mut out, flame, look);
    compare(&mut out, look, held);
    out.push_str("</div>");
    if let Some(base) = &flame.base {
        compared(&mut out, flame, look, base);
    }
    shares::filters(&mut out, flame, look);
    if flame.root.total <= 0 && flame.base_total <= 0 {
        no_sample(&mut out, flame, look);
    } else {
        flame::card(&mut out, flame, look);
        functions::card(&mut out, flame, look);
    }
    shares::traces(&mut out, flame, look);
    out.push_str("</div>");
    out
}

fn facts(out: &mut String, flame: &Flame) {
    let row = &flame.row;
    out.push_str("<section class=\"card strip\"><dl>");
    let length = length(row);
    let span = format!(
        "<time title=\"{}\">{}</time> – <time title=\"{}\">{}</time> UTC <span class=\"unit\">{} {}</span>",
        date_time(row.start_unix_us),
        clock(row.start_unix_us),
        date_time(row.end_unix_us),
        clock(row.end_unix_us),
        length.digits,
        length.unit
    );
    fact(out, "covers", &span);
    if let Some(cores) = cpu(row) {
        fact(
            out,
            "CPU",
            &format!("{cores} <span class=\"unit\">cores</span>"),
        );
    }
    let samples = match flame.samples == row.samples {
        true => grouped(row.samples),
        false => format!("{} of {}", grouped(flame.samples), grouped(row.samples)),
    };
    fact(out, "samples", &samples);
    let Figure { digits, unit } = binary(row.bytes);
    fact(
        out,
        "size",
        &format!("{digits} <span class=\"unit\">{unit}</span>"),
    );
    let about = about(row);
    for (name, text) in [
        ("env, version", about.as_str()),
        ("language", family(row)),
        ("host", &row.host),
        ("process", &row.process_id),
    ] {
        if !text.is_empty() {
            fact(out, name, &esc(text).to_string());
        }
    }
    if !row.endpoints.is_empty() {
        let mut text = String::new();
        endpoints(&mut text, row, 3);
        fact(out, "asked for most", &text);
    }
    if row.id != 0 && !row.attachments.is_empty() {
        fact(out, "download", &attachments(row));
    }
    out.push_str("</dl>");
    all_tags(out, row);
    out.push_str("</section>");
}

/// `html` is ready to be shown.
fn fact(out: &mut String, name: &str, html: &str) {
    html!(out, "<div><dt>{name}</dt><dd>{html}</dd></div>");
}

fn attachments(row: &ProfileRow) -> String {
    let mut out = String::new();
    for (name, bytes) in &row.attachments {
        let Figure { digits, unit } = binary(*bytes);
        html!(
            out,
            "<a href=\"{}\" download>{}</a> <span class=\"unit\">{digits} {unit}</span> ",
            download(row, name),
            esc(name)
        );
    }
    out
}

fn all_tags(out: &mut String, row: &ProfileRow) {
    if row.tags.is_empty() {
        return;
    }
    html!(
        out,
        "<details data-key=\"tags\"><summary>{}</summary>",
        piece::plural(row.tags.len() as u64, "tag")
    );
    let pairs = row
        .tags
        .iter()
        .map(|(key, value)| (key.as_str(), esc(value).to_string()));
    piece::pairs(out, pairs);
    out.push_str("</details>");
}

fn tabs(out: &mut String, flame: &Flame, look: &Look) {
    out.push_str("<nav class=\"tabs\" aria-label=\"Sample types\">");
    for value in &flame.row.values {
        let current = if value.name == flame.value.name {
            " aria-current=\"true\""
        } else {
            ""
        };
        let link = look.anew(|look| look.value.clone_from(&value.name));
        html!(
            out,
            "<a href=\"{link}\"{current}>{} <span class=\"unit\">{}</span></a>",
            esc(&value.name),
            worded(value.total, &value.unit)
        );
    }
    out.push_str("</nav>");
}

/// A form to choose the upload that this one is held against.
fn compare(out: &mut String, look: &Look, held: &Profiles) {
    let others = || held.rows.iter().filter(|row| row.id != look.upload);
    if look.upload == 0 || others().next().is_none() {
        return;
    }
    html!(
        out,
        "<form class=\"compare\" method=\"get\" action=\"{}\">",
        look.path()
    );
    for (key, value) in look.pairs() {
        if key != "base" && !value.is_empty() {
            html!(
                out,
                "<input type=\"hidden\" name=\"{key}\" value=\"{}\">",
                esc(value)
            );
        }
    }
    out.push_str("<label>Compare with <select name=\"base\"><option value=\"\">nothing</option>");
    for row in others().take(BASES_MAX) {
        let chosen = if row.id == look.base { " selected" } else { "" };
        let service = clipped(piece::either(&row.service, "not said"), 40);
        let cores = cpu(row)
            .map(|cores| format!(", {cores} cores"))
            .unwrap_or_default();
        html!(
            out,
            "<option value=\"{0}\"{chosen}>upload {0}, {1}, {2} – {3}{cores}</option>",
            row.id,
            esc(service),
            clock(row.start_unix_us),
            clock(row.end_unix_us)
        );
    }
    out.push_str("</select></label> <button>Compare</button></form>");
}

fn compared(out: &mut String, flame: &Flame, look: &Look, base: &ProfileRow) {
    let (words, class) = change(flame.root.total, flame.base_total);
    let unit = &flame.value.unit;
    html!(
        out,
        "<p class=\"note\">Compared with <a href=\"/profiles/{0}\">upload {0}</a>, {1} – {2}: {3}, before {4}, \
         <b class=\"{class}\">{words}</b>. <a href=\"{5}\">Show without</a></p>",
        base.id,
        clock(base.start_unix_us),
        clock(base.end_unix_us),
        worded(flame.root.total, unit),
        worded(flame.base_total, unit),
        look.anew(|look| look.base = 0)
    );
    let [now_us, base_us] =
        [&flame.row, base].map(|row| row.end_unix_us.saturating_sub(row.start_unix_us));
    if now_us.abs_diff(base_us) > base_us / 20 {
        let [now, before] = [now_us, base_us].map(|us| duration(us.saturating_mul(1_000)));
        html!(
            out,
            "<p class=\"note warn\">look: this one covers {} {}, that one {} {}; a sum over a longer time is larger.</p>",
            now.digits,
            now.unit,
            before.digits,
            before.unit
        );
    }
}

fn no_sample(out: &mut String, flame: &Flame, look: &Look) {
    let reset = Look {
        upload: look.upload,
        ..Look::default()
    };
    html!(
        out,
        "<section class=\"card empty\"><h2>No sample of {} matches</h2><p>{} held. <a href=\"{}\">Show all</a></p></section>",
        esc(&flame.value.name),
        piece::plural(flame.row.samples, "sample"),
        reset.link()
    );
}
