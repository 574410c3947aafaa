//! Which sample names belong to which family.

use std::collections::HashMap;

use super::format::Format;

/// Every ending of either format, longest first where one ends in another.
const ENDINGS: [&str; 9] = [
    "", "_total", "_created", "_bucket", "_gcount", "_count", "_gsum", "_sum", "_info",
];

/// What samples of a type have behind the family's name.
pub(in crate::agent) fn endings(kind: &str, format: Format) -> &'static [&'static str] {
    match (format, kind) {
        (_, "summary") if format == Format::Text => &["", "_sum", "_count"],
        (_, "histogram") if format == Format::Text => &["_bucket", "_sum", "_count"],
        (Format::OpenMetrics, "counter") => &["_total", "_created"],
        (Format::OpenMetrics, "summary") => &["", "_sum", "_count", "_created"],
        (Format::OpenMetrics, "histogram") => &["_bucket", "_sum", "_count", "_created"],
        (Format::OpenMetrics, "gaugehistogram") => &["_bucket", "_gsum", "_gcount"],
        (Format::OpenMetrics, "info") => &["_info"],
        _ => &[""],
    }
}

/// Family and type of a sample among those that are declared.
pub(in crate::agent) fn family_of<'n, 't>(
    name: &'n str,
    types: &HashMap<&str, &'t str>,
    format: Format,
) -> Option<(&'n str, &'t str)> {
    ENDINGS.iter().find_map(|ending| {
        let family = name.strip_suffix(ending)?;
        let kind = *types.get(family)?;
        endings(kind, format)
            .contains(ending)
            .then_some((family, kind))
    })
}

/// Declared family, type and ending of a sample whose name has an ending of any type, its own or not.
pub(in crate::agent) fn declared<'n, 't>(
    name: &'n str,
    types: &HashMap<&str, &'t str>,
) -> Option<(&'n str, &'t str, &'static str)> {
    ENDINGS.iter().find_map(|ending| {
        let family = name.strip_suffix(ending)?;
        Some((family, *types.get(family)?, *ending))
    })
}

/// Families of an OpenMetrics page, as they come.
#[derive(Default)]
pub(super) struct Families<'a> {
    /// The one whose lines are being read.
    name: &'a str,
    described: [bool; 3],
    sampled: bool,
    /// All so far, with their types.
    seen: HashMap<&'a str, &'a str>,
}

/// Lines that describe a family.
#[derive(Clone, Copy)]
pub(super) enum Descriptor<'a> {
    Help,
    Type(&'a str),
    Unit(&'a str),
}

impl<'a> Families<'a> {
    /// A `HELP`, `TYPE` or `UNIT` line.
    pub(super) fn describe(
        &mut self,
        name: &'a str,
        descriptor: Descriptor<'a>,
    ) -> Result<(), &'static str> {
        if name != self.name || self.seen.is_empty() {
            self.open(name)?;
        }
        if self.sampled {
            return Err("HELP, TYPE or UNIT after a sample of its family");
        }
        let slot = match descriptor {
            Descriptor::Help => 0,
            Descriptor::Type(_) => 1,
            Descriptor::Unit(_) => 2,
        };
        if std::mem::replace(&mut self.described[slot], true) {
            return Err("HELP, TYPE or UNIT twice for one family");
        }
        match descriptor {
            Descriptor::Type(kind) => {
                let clash = |ending: &&str| {
                    !ending.is_empty() && self.seen.contains_key(&*format!("{name}{ending}"))
                };
                if endings(kind, Format::OpenMetrics).iter().any(clash) {
                    return Err("a sample of this family would have the name of another family");
                }
                self.seen.insert(name, kind);
                Ok(())
            }
            Descriptor::Unit(unit) => {
                let fits = name
                    .strip_suffix(unit)
                    .is_some_and(|rest| unit.is_empty() || rest.ends_with('_'));
                fits.then_some(())
                    .ok_or("UNIT is not what the family's name ends in")
            }
            Descriptor::Help => Ok(()),
        }
    }

    /// A sample; gives the type of its family.
    pub(super) fn sample(&mut self, name: &'a str) -> Result<&'a str, &'static str> {
        let open = (!self.seen.is_empty()).then_some(self.name);
        if let Some(ending) = open.and_then(|family| name.strip_prefix(family)) {
            let kind = self.seen.get(self.name).copied().unwrap_or("unknown");
            if endings(kind, Format::OpenMetrics).contains(&ending) {
                self.sampled = true;
                return Ok(kind);
            }
            if ending.is_empty() {
                return Err(match kind {
                    "counter" => "a counter's sample without `_total`",
                    _ => "a sample without the ending that its type has",
                });
            }
        }
        self.open(name)?;
        self.sampled = true;
        Ok("unknown")
    }

    fn open(&mut self, name: &'a str) -> Result<(), &'static str> {
        if self.seen.contains_key(name) {
            return Err("a family that goes on after another one");
        }
        if family_of(name, &self.seen, Format::OpenMetrics).is_some() {
            return Err("a sample away from its family");
        }
        self.seen.insert(name, "unknown");
        self.name = name;
        self.described = [false; 3];
        self.sampled = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        rule: &str,
        (name, kind): (&str, &'static str),
        format: Format,
        expected: Option<&str>,
    ) {
        let types = HashMap::from([("a", kind)]);
        let found = family_of(name, &types, format);
        assert_eq!(
            found.map(|(family, _)| family),
            expected,
            "{rule}: {name} of a {kind}"
        );
    }

    #[test]
    fn a_sample_finds_its_family_by_its_ending() {
        let (text, open) = (Format::Text, Format::OpenMetrics);
        check(
            "0.0.4 names counters whole",
            ("a", "counter"),
            text,
            Some("a"),
        );
        check("and no other way", ("a_total", "counter"), text, None);
        check(
            "OpenMetrics without total",
            ("a_total", "counter"),
            open,
            Some("a"),
        );
        check("a bare one is none", ("a", "counter"), open, None);
        check("created", ("a_created", "histogram"), open, Some("a"));
        check(
            "in 0.0.4 of its own",
            ("a_created", "histogram"),
            text,
            None,
        );
        check("a bucket", ("a_bucket", "histogram"), text, Some("a"));
        check(
            "a histogram has no bare sample",
            ("a", "histogram"),
            text,
            None,
        );
        check("a quantile", ("a", "summary"), open, Some("a"));
        check(
            "gcount before count",
            ("a_gcount", "gaugehistogram"),
            open,
            Some("a"),
        );
        check("info", ("a_info", "info"), open, Some("a"));
        check("a gauge", ("a_sum", "gauge"), open, None);
        check("another name", ("b", "gauge"), open, None);
    }
}
