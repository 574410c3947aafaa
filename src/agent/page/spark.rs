//! Lines and bars as SVG. The policy of the page forbids inline styles, so every position and width
//! is an SVG attribute.

use super::html::{esc, html};

/// What the shapes count in; the drawing is stretched to its box.
const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 40.0;

/// A line over its area. `class` gives the colour, `label` what a screen reader says.
pub(super) fn line(out: &mut String, class: &str, label: &str, values: &[f64]) {
    let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let low = finite
        .iter()
        .copied()
        .fold(f64::INFINITY, f64::min)
        .min(0.0);
    let high = finite.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    html!(
        out,
        "<svg class=\"spark {class}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" \
         role=\"img\" aria-label=\"{}\">",
        esc(label)
    );
    if finite.is_empty() || high <= low {
        let flat = HEIGHT - 1.0;
        html!(out, "<path class=\"flat\" d=\"M0 {flat}H{WIDTH}\"/></svg>");
        return;
    }
    let points = path(&finite, low, high);
    html!(
        out,
        "<path class=\"area\" d=\"M0 {HEIGHT}L{points}V{HEIGHT}Z\"/><path class=\"stroke\" d=\"M{points}\"/></svg>"
    );
}

/// `x y` pairs from the left edge to the right one.
fn path(values: &[f64], low: f64, high: f64) -> String {
    let step = WIDTH / (values.len().max(2) - 1) as f64;
    let mut out = String::new();
    for (at, value) in values.iter().chain(single(values)).enumerate() {
        let height = (value - low) / (high - low) * (HEIGHT - 4.0);
        let glue = if at == 0 { "" } else { "L" };
        html!(
            out,
            "{glue}{:.1} {:.1}",
            step * at as f64,
            HEIGHT - 1.0 - height
        );
    }
    out
}

/// A single value is drawn as a level line: itself once more at the right edge.
fn single(values: &[f64]) -> &[f64] {
    if values.len() == 1 { values } else { &[] }
}

/// A bar in a row of 100 %: from `start` for `width`, both as shares of 1.
pub(super) fn bar(out: &mut String, class: &str, start: f64, width: f64) {
    out.push_str("<svg class=\"bar\" aria-hidden=\"true\">");
    rect(out, class, start, width);
}

/// The same over the lines that the head of the table defines once for all rows.
pub(super) fn lane(out: &mut String, class: &str, start: f64, width: f64) {
    out.push_str(
        "<svg class=\"bar\" aria-hidden=\"true\"><use class=\"gridlines\" href=\"#gridlines\"/>",
    );
    rect(out, class, start, width);
}

fn rect(out: &mut String, class: &str, start: f64, width: f64) {
    let width = clamp(width).max(0.004);
    let start = clamp(start).min(1.0 - width);
    html!(
        out,
        "<rect class=\"{class}\" x=\"{:.2}%\" width=\"{:.2}%\" height=\"100%\" rx=\"3\"/></svg>",
        start * 100.0,
        width * 100.0
    );
}

fn clamp(share: f64) -> f64 {
    if share.is_nan() {
        0.0
    } else {
        share.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_line(rule: &str, values: &[f64], part: &str) {
        let mut out = String::new();
        line(&mut out, "plain", "l", values);
        assert!(out.contains(part), "{rule}: {out}");
    }

    #[track_caller]
    fn check_bar(rule: &str, start: f64, width: f64, part: &str) {
        let mut out = String::new();
        bar(&mut out, "s0", start, width);
        assert!(out.contains(part), "{rule}: {out}");
    }

    #[test]
    fn a_line_for_any_values() {
        check_line("none is a ground line", &[], "d=\"M0 39H120\"");
        check_line("zeros are a ground line", &[0.0, 0.0], "d=\"M0 39H120\"");
        check_line("one is a level line", &[5.0], "d=\"M0.0 3.0L120.0 3.0\"");
        check_line(
            "many span the width",
            &[0.0, 5.0, 10.0],
            "d=\"M0.0 39.0L60.0 21.0L120.0 3.0\"",
        );
        check_line(
            "what is no number is left out",
            &[f64::NAN, 1.0, f64::INFINITY, 2.0],
            "M0.0 21.0L120.0 3.0",
        );
        check_line(
            "below zero moves the ground",
            &[-1.0, 1.0],
            "M0.0 39.0L120.0 3.0",
        );
    }

    #[test]
    fn a_bar_stays_in_its_row() {
        check_bar("a part", 0.25, 0.5, "x=\"25.00%\" width=\"50.00%\"");
        check_bar(
            "nothing is still seen",
            0.0,
            0.0,
            "x=\"0.00%\" width=\"0.40%\"",
        );
        check_bar("past the end", 2.0, 0.0, "x=\"99.60%\" width=\"0.40%\"");
        check_bar("0 / 0", f64::NAN, f64::NAN, "x=\"0.00%\" width=\"0.40%\"");
    }
}
