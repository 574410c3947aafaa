//! What the newest lines of a search have in common, field by field.

use std::collections::HashMap;

use super::logs::Line;
use crate::agent::decode::{Leaf, each_leaf};
use crate::agent::view::{Facet, FacetValue};

/// Lines that are looked into.
pub(crate) const LINES_MAX: usize = 5_000;
/// A larger line is not read again for its facets; what it was indexed by is counted.
const LINE_BYTES_MAX: usize = 64_000;
/// Values of one facet that are told apart, and that are shown.
const VALUES_MAX: usize = 1_000;
const VALUES_SHOWN_MAX: usize = 8;
/// A longer value is no facet (Datadog docs, "Log facets": values under 1,024 characters).
const VALUE_BYTES_MAX: usize = 200;

/// Facets in their order, each with the paths it is read from.
const FACETS: [(&str, &[&str]); 6] = [
    ("status", &[]),
    ("service", &[]),
    ("logger.name", &["logger.name", "logger"]),
    ("http.status_code", &["http.status_code"]),
    ("http.method", &["http.method"]),
    ("error.kind", &["error.kind", "error.type"]),
];

/// Every path under which the field `key`, in lower case, may stand.
pub(crate) fn paths(key: &str) -> &[&str] {
    let other_names = [
        ("error.message", &["error.message"][..]),
        ("message", &["message", "msg"]),
        ("msg", &["message", "msg"]),
        ("logger", &["logger.name", "logger"]),
        ("error.type", &["error.kind", "error.type"]),
    ];
    let facets = FACETS.iter().filter(|(_, paths)| !paths.is_empty());
    let mut known = facets.copied().chain(other_names);
    known
        .find(|(name, _)| *name == key)
        .map_or(&[], |(_, paths)| paths)
}

/// Counts the values of each facet.
#[derive(Default)]
pub(crate) struct Facets {
    lines: usize,
    large: u64,
    of: [Values; FACETS.len()],
}

#[derive(Default)]
struct Values {
    lines: HashMap<String, u64>,
    others: u64,
}

impl Values {
    fn see(&mut self, value: &str) {
        if let Some(lines) = self.lines.get_mut(value) {
            *lines += 1;
        } else if self.lines.len() < VALUES_MAX && value.len() <= VALUE_BYTES_MAX {
            self.lines.insert(value.to_string(), 1);
        } else {
            self.others += 1;
        }
    }
}

impl Facets {
    /// Looks into a line, newest first, while there are not enough.
    pub(crate) fn see(&mut self, line: &Line) {
        if self.lines == LINES_MAX {
            return;
        }
        self.lines += 1;
        self.of[0].see(line.status().name());
        if !line.service().is_empty() {
            self.of[1].see(line.service());
        }
        let text = line.text();
        if text.len() > LINE_BYTES_MAX {
            self.large += 1;
            return;
        }
        if !text.trim_start().starts_with('{') {
            return;
        }
        let mut seen: [Option<String>; FACETS.len()] = Default::default();
        let read = each_leaf(text, |path, leaf| {
            let at = FACETS.iter().position(|(_, paths)| paths.contains(&path));
            if let Some(at) = at
                && leaf != Leaf::Null
            {
                seen[at] = Some(leaf.text().into_owned());
            }
        });
        if read.is_err() {
            return;
        }
        for (values, value) in self.of.iter_mut().zip(&seen) {
            if let Some(value) = value {
                values.see(value);
            }
        }
    }

    /// The commonest values first; facets without one are left out. And of how many lines, and how many of
    /// them were too large to be read.
    pub(crate) fn view(self) -> (Vec<Facet>, u64, u64) {
        let facet = |((key, _), values): (&(&'static str, _), Values)| {
            let all: u64 = values.lines.values().sum();
            let mut shown: Vec<FacetValue> = (values.lines.into_iter())
                .map(|(value, lines)| FacetValue { value, lines })
                .collect();
            shown
                .sort_unstable_by(|a, b| b.lines.cmp(&a.lines).then_with(|| a.value.cmp(&b.value)));
            shown.truncate(VALUES_SHOWN_MAX);
            let of_shown: u64 = shown.iter().map(|value| value.lines).sum();
            Facet {
                key,
                values: shown,
                others: values.others + all - of_shown,
            }
        };
        let facets = FACETS.iter().zip(self.of).map(facet);
        let facets = facets.filter(|facet| !facet.values.is_empty() || facet.others > 0);
        (facets.collect(), self.lines as u64, self.large)
    }
}
