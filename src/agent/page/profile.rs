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
        "<section class=\"card empty\"><h2>No sample of {} matches</h2><p>{} held. <a href=\"{}\">Show all</a></p>",
        esc(&flame.value.name),
        piece::plural(flame.row.samples, "sample"),
        reset.link()
    );
    if look.trace != 0 {
        out.push_str(
            "<p>The samples of a trace are found by its spans, so both must still be held.</p>",
        );
    }
    out.push_str("</section>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::view::{FlameNode, FunctionRow, Share, TraceShare, ValueTotal};
    use crate::server::Request;

    fn row(id: u64) -> ProfileRow {
        let value = |name: &str, unit: &str, total| ValueTotal {
            name: name.to_string(),
            unit: unit.to_string(),
            total,
        };
        ProfileRow {
            id,
            end_unix_us: 60_000_000,
            service: "web".to_string(),
            samples: 300,
            attachments: vec![("profile.pprof".to_string(), 2_048)],
            values: vec![
                value("cpu-time", "nanoseconds", 30_000_000_000),
                value("alloc-space", "bytes", 1_048_576),
            ],
            ..ProfileRow::default()
        }
    }

    fn node(name: &str, total: i64, children: Vec<FlameNode>) -> FlameNode {
        FlameNode {
            name: name.to_string(),
            file: "src/api.rs".to_string(),
            line: 7,
            total,
            children,
            ..FlameNode::default()
        }
    }

    /// Half of 30 s in `web::a`, a third of that in its only callee.
    fn flame(base: bool) -> Flame {
        let share = |name: &str, total| Share {
            name: name.to_string(),
            total,
        };
        let trace = |id: &str| TraceShare {
            root_span_id: "9".to_string(),
            trace_id: id.to_string(),
            route: "GET /".to_string(),
            total: 5_000_000_000,
        };
        let callee = node("web::b", 5_000_000_000, vec![]);
        let mut root = node(
            "",
            30_000_000_000,
            vec![node("web::a", 15_000_000_000, vec![callee])],
        );
        root.base_total = 20_000_000_000;
        root.children[0].base_total = 10_000_000_000;
        Flame {
            row: row(7),
            base: base.then(|| row(6)),
            value: row(7).values[0].clone(),
            samples: 300,
            base_total: if base { 20_000_000_000 } else { 0 },
            routes: vec![share("GET /", 20_000_000_000), share("", 10_000_000_000)],
            threads: vec![share("api-0", 30_000_000_000)],
            traces: vec![trace("255"), trace("")],
            functions: vec![FunctionRow {
                name: "web::a".to_string(),
                own: 10_000_000_000,
                total: 15_000_000_000,
                base_own: 10_000_000_000,
                base_total: 10_000_000_000,
                ..FunctionRow::default()
            }],
            root,
            ..Flame::default()
        }
    }

    fn page(query: &str, flame: &Flame) -> String {
        let target = format!("/profiles/7{query}");
        let look = Look::of(&Request::made("GET", &target, &[], b"")).unwrap();
        let held = Profiles {
            rows: vec![row(7), row(6)],
            ..Profiles::default()
        };
        main(flame, &look, &held)
    }

    #[track_caller]
    fn check(rule: &str, query: &str, part: &str) {
        let look_base = query.contains("base=");
        let html = page(query, &flame(look_base));
        assert!(html.contains(part), "{rule}: {html}");
    }

    #[test]
    fn a_profile_is_told_in_words() {
        check("time over time", "", "<dd>0.50 <span class=\"unit\">cores");
        check(
            "a download",
            "",
            "href=\"/api/profiles/7/profile.pprof\" download>",
        );
        check(
            "bytes by 1,024",
            "",
            "alloc-space <span class=\"unit\">1 MiB",
        );
        check(
            "the type that is shown",
            "",
            "aria-current=\"true\">cpu-time",
        );
        check(
            "another type keeps the rest",
            "?route=a",
            "?value=alloc-space&amp;route=a\">",
        );
        check(
            "a choice",
            "",
            "href=\"/profiles/7?route=GET%20%2F\" title=\"20 s; only these\"",
        );
        check(
            "a choice is undone",
            "?route=GET%20/",
            "href=\"/profiles/7\" title=\"20 s; show all again\"",
        );
        check(
            "one without samples is shown still",
            "?thread=gone",
            "gone</span> <span class=\"fig\">0<",
        );
        check(
            "no name, no link",
            "",
            "<span class=\"share\" title=\"10 s\">",
        );
    }

    #[test]
    fn a_frame_is_told_in_words() {
        check("every frame", "", "Every frame is drawn.");
        check("a frame", "", "href=\"/profiles/7?at=0.0#flame\"");
        check(
            "its tooltip",
            "",
            "web::b\nsrc/api.rs:7, own code\ntotal 5 s, 16.7 %\nown 0 ms, 0 %<",
        );
        check("a search", "?q=WEB", "in 2 frames: 15 s together, 50.0 %.");
        check("a search marks", "?q=web::b", "class=\"f own hit\"");
        check(
            "a frame that fills the width",
            "?at=0",
            "total 15 s, 50.0 % · own 0 ms, 0 %",
        );
        check("what stands above it", "?at=0", "class=\"f root above\"");
        check(
            "a function marks its frames",
            "",
            "href=\"/profiles/7?q=web%3A%3Aa#flame\"",
        );
        check(
            "a column sorts",
            "?at=0",
            "href=\"/profiles/7?sort=total&amp;at=0#functions\"",
        );
        check("the order", "?sort=name", "aria-sort=\"ascending\"");
        check("a trace", "", "href=\"/traces/255?span=9\"");
        check(
            "its samples",
            "",
            "href=\"/profiles/7?trace=255\">only these samples",
        );
        check(
            "a trace that is not held",
            "",
            "span <code>9</code>, its trace is not held",
        );
        check(
            "back to the trace",
            "?trace=255",
            "<a href=\"/traces/255\">back to trace 255</a>",
        );
        check("another upload", "", "<option value=\"6\">upload 6, web");
    }

    #[test]
    fn a_comparison_is_told_in_words() {
        check(
            "the sum",
            "?base=6",
            "30 s, before 20 s, <b class=\"grew1\">+50.0 %</b>",
        );
        check("a frame", "?base=6", "\nbefore 10 s, now +50.0 %<");
        check("its colour", "?base=6", "class=\"f grew1\"");
        check(
            "a function",
            "?base=6",
            "<td class=\"num grew1\">+50.0 %</td>",
        );
        check("the one chosen", "?base=6", "<option value=\"6\" selected>");
        check(
            "without",
            "?base=6&at=0",
            "<a href=\"/profiles/7\">Show without</a>",
        );
        let mut flame = flame(true);
        flame.row.end_unix_us *= 2;
        let html = page("?base=6", &flame);
        assert!(
            html.contains("this one covers 2 min, that one 60.0 s;"),
            "{html}"
        );
    }

    #[test]
    fn nothing_that_matches_has_a_way_out() {
        let mut flame = flame(false);
        flame.root = FlameNode::default();
        let html = page("?value=cpu-time&thread=x", &flame);
        assert!(html.contains("No sample of cpu-time matches"), "{html}");
        assert!(!html.contains("found by its spans"), "{html}");
        let of_trace = page("?value=cpu-time&trace=9", &flame);
        assert!(of_trace.contains("found by its spans"), "{of_trace}");
        assert!(
            html.contains("<a href=\"/profiles/7\">Show all</a>"),
            "{html}"
        );
        assert!(!html.contains("<svg class=\"icicle\""), "{html}");
    }

    #[test]
    fn a_page_of_a_huge_profile_stays_bounded() {
        let mut flame = flame(false);
        let long = "web::".repeat(100_000);
        let mut deep = node("", 1, vec![]);
        for _ in 0..9_000 {
            deep = node(&long[..500], 20_000_000_000, vec![deep]);
        }
        let leaf = |_| node(&long[..500], 1, vec![]);
        deep.children.extend((0..1_000).map(leaf));
        deep.name = long;
        flame.root.children = vec![deep];
        let html = page("", &flame);
        assert!(html.len() < 300_000, "{}", html.len());
        assert!(html.contains("frames left out"));
    }
}
