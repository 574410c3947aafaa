//! Which spans a rule is for.

use std::io::Write;

use serde_json::{Map, Value};

use super::glob::Glob;
use super::{Subject, TagValue};

/// What service, name, resource and tags must look like; all of it must fit.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pattern {
    pub(super) service: Glob,
    pub(super) name: Glob,
    pub(super) resource: Glob,
    pub(super) tags: Vec<(String, Glob)>,
}

impl Pattern {
    pub(super) fn fits(&self, subject: &Subject<'_>) -> bool {
        self.service.fits(subject.service)
            && self.name.fits(subject.name)
            && self.resource.fits(subject.resource)
            && self
                .tags
                .iter()
                .all(|(key, glob)| glob.is_empty() || fits_tag(glob, (subject.tags)(key)))
    }

    /// Adds what is asked for, under the names that rules are written with.
    pub(super) fn write(&self, rule: &mut Map<String, Value>) {
        let texts = [
            ("service", &self.service),
            ("name", &self.name),
            ("resource", &self.resource),
        ];
        for (key, glob) in texts.into_iter().filter(|(_, glob)| !glob.is_empty()) {
            rule.insert(key.to_string(), glob.as_str().into());
        }
        if !self.tags.is_empty() {
            let pairs = self
                .tags
                .iter()
                .map(|(key, glob)| (key.clone(), glob.as_str().into()));
            rule.insert("tags".to_string(), Value::Object(pairs.collect()));
        }
    }
}

/// A tag that is not there fits nothing, not even `*`. A number is its digits where it is whole; one that
/// is not fits stars alone (system-tests, `test_trace_sampling.py`, `test_metric_mismatch_non_integer`).
fn fits_tag(glob: &Glob, value: Option<TagValue<'_>>) -> bool {
    match value {
        None => false,
        Some(TagValue::Text(text)) => glob.fits(text),
        Some(TagValue::Number(_)) if glob.fits_all() => true,
        Some(TagValue::Number(number)) => fits_whole(glob, number),
    }
}

fn fits_whole(glob: &Glob, number: f64) -> bool {
    if number.fract() != 0.0 {
        return false;
    }
    // The longest whole number has 309 digits and a sign. Adding 0 turns -0 into 0.
    let mut digits = [0; 310];
    let mut rest = &mut digits[..];
    let written = write!(rest, "{}", number + 0.0).map(|()| 310 - rest.len());
    written.is_ok_and(|end| str::from_utf8(&digits[..end]).is_ok_and(|text| glob.fits(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag<'a>(pairs: &[(&str, TagValue<'a>)], key: &str) -> Option<TagValue<'a>> {
        pairs
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| *value)
    }

    #[track_caller]
    fn check(rule: &str, pattern: [&str; 3], tags: &[(&str, &str)], fits: bool) {
        let pairs = [
            ("env", TagValue::Text("Dev")),
            ("empty", TagValue::Text("")),
            ("whole", TagValue::Number(20.0)),
            ("broken", TagValue::Number(20.5)),
            ("minus", TagValue::Number(-3.0)),
            ("zero", TagValue::Number(-0.0)),
            ("large", TagValue::Number(1e21)),
            ("largest", TagValue::Number(f64::MIN)),
            ("infinite", TagValue::Number(f64::INFINITY)),
            ("nan", TagValue::Number(f64::NAN)),
        ];
        let subject = Subject {
            tags: &|key| tag(&pairs, key),
            ..Subject::bare("shop", "http.request", "GET /a")
        };
        let [service, name, resource] = pattern.map(Glob::new);
        let tags = tags
            .iter()
            .map(|(key, glob)| (key.to_string(), Glob::new(glob)))
            .collect();
        let pattern = Pattern {
            service,
            name,
            resource,
            tags,
        };
        assert_eq!(pattern.fits(&subject), fits, "{rule}");
    }

    #[test]
    fn all_that_is_asked_must_fit() {
        const ALL: [&str; 3] = ["", "", ""];
        check("nothing is asked", ALL, &[], true);
        check("all three", ["SHOP", "http.*", "GET /?"], &[], true);
        check(
            "one of three does not",
            ["shop", "http.*", "POST *"],
            &[],
            false,
        );
        check("a tag", ALL, &[("env", "d?v")], true);
        check("another value", ALL, &[("env", "prod")], false);
        check("a tag that is not there", ALL, &[("team", "*")], false);
        check(
            "a tag that is not there, nothing asked",
            ALL,
            &[("team", "")],
            true,
        );
        check("a tag that is there", ALL, &[("env", "**")], true);
        check("an empty tag is there", ALL, &[("empty", "*")], true);
        check("an empty tag is no text", ALL, &[("empty", "?*")], false);
        check("two tags", ALL, &[("env", "dev"), ("whole", "2*")], true);
        check(
            "one of two tags does not",
            ALL,
            &[("env", "dev"), ("whole", "3*")],
            false,
        );
        check(
            "tags fit, the service does not",
            ["web", "", ""],
            &[("env", "dev")],
            false,
        );
    }

    #[test]
    fn numbers_are_their_digits_where_they_are_whole() {
        for (key, glob, fits) in [
            ("whole", "20", true),
            ("whole", "2?", true),
            ("whole", "20.0", false),
            ("whole", "***", true),
            ("broken", "20.5", false),
            ("broken", "2*", false),
            ("broken", "????", false),
            ("broken", "**", true),
            ("minus", "-3", true),
            ("minus", "3", false),
            ("zero", "0", true),
            ("large", "1000000000000000000000", true),
            ("largest", "-1797693*", true),
            ("infinite", "inf", false),
            ("infinite", "*", true),
            ("nan", "NaN", false),
        ] {
            check(&format!("{key} {glob}"), ["", "", ""], &[(key, glob)], fits);
        }
    }
}
