//! Labels and values of one sample.

use std::borrow::Cow;

use super::finding::{Collected, quoted};
use super::rules;
use crate::agent::decode::Sample;

/// Tags that the Agent or its configuration sets on all that a check sends.
const AGENT_TAGS: [&str; 4] = ["service", "host", "env", "endpoint"];

/// A series' name and labels as one text, whatever the order of the labels.
pub(super) fn key<'l>(
    name: &str,
    labels: impl Iterator<Item = &'l (&'l str, Cow<'l, str>)>,
) -> String {
    let mut labels: Vec<_> = labels.map(|(name, value)| (*name, &**value)).collect();
    labels.sort_unstable();
    let mut key = name.to_string();
    for (name, value) in labels {
        // No label's value holds a line break next to what is no name.
        key.push('\n');
        key.push_str(name);
        key.push('=');
        key.push_str(value);
        key.push('\0');
    }
    key
}

pub(super) fn labels(out: &mut Collected, line: usize, sample: &Sample<'_>) {
    for (at, (name, _)) in sample.labels.iter().enumerate() {
        if name.starts_with("__") {
            out.add(line, &rules::RESERVED_LABEL, quoted(name));
        }
        if sample.labels[..at].iter().any(|(other, _)| other == name) {
            out.add(line, &rules::DUPLICATE_LABEL, quoted(name));
        }
    }
}

/// Labels of a family's first sample that the Agent has as tags.
pub(super) fn agent_tags(out: &mut Collected, line: usize, sample: &Sample<'_>) {
    let tags = sample.labels.iter().map(|(name, _)| *name);
    for name in tags.filter(|name| AGENT_TAGS.contains(name)) {
        out.add(line, &rules::AGENT_TAG, quoted(name));
    }
}

pub(super) fn value(out: &mut Collected, line: usize, (sample, kind): (&Sample<'_>, &str)) {
    let name = sample.name;
    let said = || format!("{} is {}", quoted(name), sample.value);
    if !sample.value.is_finite() {
        out.add(line, &rules::NOT_FINITE, said());
    }
    let counts = match kind {
        "counter" => !name.ends_with("_created"),
        "histogram" | "gaugehistogram" => name.ends_with("_bucket") || name.ends_with("count"),
        "summary" => name.ends_with("_count"),
        _ => false,
    };
    if counts && sample.value < 0.0 {
        out.add(line, &rules::NEGATIVE, said());
    }
    // A time of this century: something else may be named so.
    if name.ends_with("_created") && (9e8..4e9).contains(&sample.value) {
        out.add(line, &rules::CREATED, said());
    }
}

/// The first backslash that stands before nothing it may stand before; `quote`: before a quote it may.
pub(super) fn escapes(out: &mut Collected, line: usize, (text, quote): (&str, bool)) {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            continue;
        }
        match chars.next() {
            Some('\\' | 'n') => {}
            Some('"') if quote => {}
            other => {
                let what = other.map(String::from).unwrap_or_default();
                out.add(line, &rules::BAD_ESCAPE, format!("`\\{what}`"));
                return;
            }
        }
    }
}
