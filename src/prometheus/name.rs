//! Names: which are allowed, and which a family keeps from others.

use super::Error;
use super::kind::Kind;

/// Ends by which scrapers know a kind (Prometheus docs, "Metric and label naming"; OpenMetrics 1.0,
/// "MetricFamily").
const ENDINGS: [(&str, Kind); 3] = [
    ("_total", Kind::Counter),
    ("_bucket", Kind::Histogram),
    ("_info", Kind::Info),
];

/// The family's name without what its kind adds to it: `x` of a counter `x_total`.
pub(super) fn base(name: &str, kind: Kind) -> &str {
    match kind.suffix() {
        "" => name,
        suffix => name.strip_suffix(suffix).unwrap_or(name),
    }
}

/// The names that a family writes in either format.
pub(super) fn claims(base: &str, kind: Kind) -> Vec<String> {
    let claim = |end: &&str| [base, end].concat();
    kind.claims().iter().map(claim).collect()
}

/// Of a metric or a label.
pub(super) const NAME_BYTES_MAX: usize = 200;
/// Of one family; each is part of each line.
pub(super) const LABELS_MAX: usize = 30;

/// `name` is what the caller said.
pub(super) fn check(name: &str, kind: Kind, labels: &[&str]) -> Result<(), Error> {
    let base = base(name, kind);
    if !is_name(base, ":_") {
        return Err(Error::Name(name.to_string()));
    }
    let misleads = |(ending, _): &&(&str, Kind)| base.ends_with(ending);
    if let Some((ending, _)) = ENDINGS.iter().find(misleads) {
        let family = name.to_string();
        return Err(Error::Ending { family, ending });
    }
    if labels.len() > LABELS_MAX {
        return Err(Error::Labels(name.to_string()));
    }
    for (at, &label) in labels.iter().enumerate() {
        let (family, named) = (name.to_string(), label.to_string());
        if !is_name(label, "_") || label.starts_with("__") || matches!(label, "le" | "quantile") {
            return Err(Error::Label {
                family,
                label: named,
            });
        }
        if labels[..at].contains(&label) {
            return Err(Error::LabelTwice {
                family,
                label: named,
            });
        }
    }
    Ok(())
}

fn is_name(name: &str, signs: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || signs.contains(c);
    let fits = name.len() <= NAME_BYTES_MAX;
    fits && name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_are_checked() {
        let (longest, longer) = ("x".repeat(200), "x".repeat(201));
        let many: Vec<String> = (0..=LABELS_MAX).map(|n| format!("l{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let rows: [(&str, &str, &[&str], bool); 27] = [
            ("the longest name", &longest, &[], true),
            ("a byte longer", &longer, &[], false),
            ("the longest label", "a", &[&longest], true),
            ("a byte longer", "a", &[&longer], false),
            ("the most labels", "a", &many[1..], true),
            ("one more", "a", &many, false),
            ("a plain name", "a", &[], true),
            ("colons in names", "a:b_1", &[], true),
            ("the empty name", "", &[], false),
            ("a digit first", "1a", &[], false),
            ("a hyphen", "a-b", &[], false),
            ("a letter beyond ASCII", "é", &[], false),
            ("a line feed", "a\nb", &[], false),
            ("a counter's end", "a_total", &[], false),
            ("a bucket's end", "a_bucket", &[], false),
            ("an info's end", "a_info", &[], false),
            ("a count may be a gauge", "thread_count", &[], true),
            ("one underscore before a label", "a", &["_x"], true),
            ("two are reserved", "a", &["__x"], false),
            ("a colon in a label", "a", &["x:y"], false),
            ("an empty label", "a", &[""], false),
            ("le is the bucket's", "a", &["le"], false),
            ("quantile is the summary's", "a", &["quantile"], false),
            ("a quote in a label", "a", &["x\""], false),
            ("a letter beyond ASCII in a label", "a", &["é"], false),
            ("two labels", "a", &["x", "y"], true),
            ("the same label twice", "a", &["x", "y", "x"], false),
        ];
        for (rule, name, labels, good) in rows {
            let outcome = check(name, Kind::Gauge, labels);
            assert_eq!(outcome.is_ok(), good, "{rule}: {outcome:?}");
        }
    }

    #[test]
    fn errors_have_the_name_that_was_given() {
        let said = |name, kind| check(name, kind, &[]).unwrap_err().to_string();
        assert!(said("_total", Kind::Counter).starts_with("metric name \"_total\": "));
        assert!(said("x_info", Kind::Counter).starts_with("metric name x_info: _info at its end"));
    }

    #[test]
    fn what_a_kind_adds_is_not_added_twice() {
        let rows = [
            ("a", Kind::Counter, "a"),
            ("a_total", Kind::Counter, "a"),
            ("a_total", Kind::Gauge, "a_total"),
            ("a_info", Kind::Info, "a"),
            ("_total", Kind::Counter, ""),
        ];
        for (name, kind, expected) in rows {
            assert_eq!(base(name, kind), expected, "{name}");
        }
    }
}
