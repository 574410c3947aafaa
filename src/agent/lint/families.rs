//! Families of a page as they come: what describes them, and whether they stand in one piece.

use std::collections::HashMap;

use super::finding::{Collected, Rule, quoted};
use super::rules;
use crate::agent::decode::{Format, declared, family_of};

/// A family, declared or not.
#[derive(Debug, Default)]
pub(super) struct Family<'a> {
    pub(super) kind: Option<&'a str>,
    first_line: usize,
    type_line: usize,
    help: bool,
    unit: bool,
    sampled: bool,
    closed: bool,
    /// Something worse than a missing TYPE was said of it.
    told: bool,
}

/// All so far.
pub(super) struct Families<'a> {
    format: Format,
    all: HashMap<&'a str, Family<'a>>,
    types: HashMap<&'a str, &'a str>,
    current: Option<&'a str>,
}

/// What a descriptor says.
#[derive(Clone, Copy)]
pub(super) enum Says<'a> {
    Help,
    Type(&'a str),
    Unit(&'a str),
}

impl<'a> Families<'a> {
    pub(super) fn new(format: Format) -> Families<'a> {
        Families {
            format,
            all: HashMap::new(),
            types: HashMap::new(),
            current: None,
        }
    }

    pub(super) fn describe(
        &mut self,
        out: &mut Collected,
        (line, name): (usize, &'a str),
        says: Says<'a>,
    ) {
        let family = self.enter(out, line, name);
        let (word, twice, rule) = match says {
            Says::Help => (
                "HELP",
                std::mem::replace(&mut family.help, true),
                &rules::DUPLICATE_HELP,
            ),
            Says::Type(_) => ("TYPE", family.kind.is_some(), &rules::DUPLICATE_TYPE),
            Says::Unit(_) => (
                "UNIT",
                std::mem::replace(&mut family.unit, true),
                &rules::DUPLICATE_UNIT,
            ),
        };
        if twice {
            out.add(line, rule, format!("a second {word} of {}", quoted(name)));
        } else if family.sampled {
            let what = format!("{word} of {} behind its first sample", quoted(name));
            out.add(line, &rules::LATE_DESCRIPTION, what);
        }
        match says {
            Says::Help => {}
            Says::Type(kind) if !twice => {
                family.kind = Some(kind);
                family.type_line = line;
                self.types.insert(name, kind);
                self.typed(out, (line, name), kind);
            }
            Says::Type(_) => {}
            Says::Unit(unit) => {
                let rest = name.strip_suffix(unit);
                let fits = rest.is_some_and(|rest| unit.is_empty() || rest.ends_with('_'));
                if !fits {
                    let what = format!("UNIT {} of {}", quoted(unit), quoted(name));
                    out.add(line, &rules::UNIT_NOT_SUFFIX, what);
                }
            }
        }
    }

    fn typed(&self, out: &mut Collected, (line, name): (usize, &str), kind: &str) {
        let total = name.ends_with("_total");
        let mut say = |rule: &Rule| out.add(line, rule, format!("TYPE {} {kind}", quoted(name)));
        match kind {
            "counter" if total && self.format == Format::OpenMetrics => {
                say(&rules::TYPE_WITH_TOTAL);
            }
            "counter" => {}
            _ if total => say(&rules::TOTAL_OF_NO_COUNTER),
            _ => {}
        }
        if matches!(kind, "untyped" | "unknown") {
            say(&rules::NO_TYPE);
        }
    }

    /// Family and type of a sample; an undeclared one is its own family.
    pub(super) fn sample(
        &mut self,
        out: &mut Collected,
        (line, name): (usize, &'a str),
    ) -> (&'a str, &'a str) {
        let found = family_of(name, &self.types, self.format);
        let told = found.is_none() && self.foreign(out, line, name);
        let (name, kind) = found.unwrap_or((name, ""));
        let family = self.enter(out, line, name);
        family.sampled = true;
        family.told |= told;
        (name, kind)
    }

    /// Whether a sample that has no family looks as if it belonged to one.
    fn foreign(&mut self, out: &mut Collected, line: usize, name: &'a str) -> bool {
        let Some((base, kind, ending)) = declared(name, &self.types) else {
            return false;
        };
        let what = format!("TYPE {}, sample {}", quoted(base), quoted(name));
        let declared = self.all.get_mut(base);
        let first = declared.as_ref().is_some_and(|family| !family.told);
        let type_line = declared.as_ref().map_or(line, |family| family.type_line);
        if let Some(family) = declared {
            family.told = true;
        }
        match (kind, ending) {
            ("counter", "_total") if self.format == Format::Text => {
                if first {
                    out.add(type_line, &rules::COUNTER_TYPE_NAME, what);
                }
            }
            ("counter", "") if base.ends_with("_total") => {
                out.add(line, &rules::TYPE_WITH_TOTAL, what);
            }
            ("counter", "") => out.add(line, &rules::COUNTER_WITHOUT_TOTAL, what),
            // 0.0.4 has it as a gauge of its own.
            (_, "_created") if self.format == Format::Text => return false,
            _ => out.add(line, &rules::FOREIGN_ENDING, what),
        }
        true
    }

    fn enter(&mut self, out: &mut Collected, line: usize, name: &'a str) -> &mut Family<'a> {
        let left = self
            .current
            .replace(name)
            .filter(|current| *current != name);
        if let Some(left) = left.and_then(|left| self.all.get_mut(left)) {
            left.closed = true;
        }
        let family = self.all.entry(name).or_insert_with(|| Family {
            first_line: line,
            ..Family::default()
        });
        if std::mem::take(&mut family.closed) {
            let what = format!("{} goes on behind other lines", quoted(name));
            out.add(line, &rules::INTERLEAVED, what);
        }
        family
    }

    /// What can be said of families only once all is read.
    pub(super) fn end(&self, out: &mut Collected) {
        let mut all: Vec<_> = self.all.iter().collect();
        all.sort_unstable_by_key(|(_, family)| family.first_line);
        for (name, family) in all {
            let line = family.first_line;
            if !base_unit(name) {
                out.add(line, &rules::NOT_BASE_UNIT, quoted(name));
            }
            if family.told || !family.sampled {
                continue;
            }
            if family.kind.is_none() {
                out.add(line, &rules::NO_TYPE, quoted(name));
            }
            if !family.help {
                out.add(line, &rules::NO_HELP, quoted(name));
            }
            let bare = family.kind == Some("counter") && !name.ends_with("_total");
            if bare && self.format == Format::Text {
                out.add(line, &rules::COUNTER_WITHOUT_TOTAL, quoted(name));
            }
        }
    }
}

/// promtool's list of units and abbreviations that are no base units, as far as they end a name.
const OTHER_UNITS: [&str; 24] = [
    "milliseconds",
    "microseconds",
    "nanoseconds",
    "millis",
    "ms",
    "us",
    "ns",
    "minutes",
    "hours",
    "days",
    "weeks",
    "kilobytes",
    "megabytes",
    "gigabytes",
    "kibibytes",
    "mebibytes",
    "gibibytes",
    "kb",
    "mb",
    "gb",
    "bits",
    "percent",
    "percentage",
    "fahrenheit",
];

fn base_unit(family: &str) -> bool {
    let ending = ["_total", "_created"];
    let name = ending.iter().find_map(|ending| family.strip_suffix(ending));
    let last = name.unwrap_or(family).rsplit('_').next().unwrap_or("");
    !OTHER_UNITS.contains(&last)
}
