//! Rules for single spans, which are kept where their trace is dropped.

use serde_json::{Map, Value};

use super::Subject;
use super::knuth::keeps;
use super::limiter::Limiter;
use super::pattern::Pattern;
use super::rule_json::{Fields, read_list};

/// Which spans it is for, the share of them that is kept, and how many in a second.
///
/// ```
/// use testapi::trace::SpanRule;
///
/// let (rules, problems) = SpanRule::list(r#"[{"name":"db.*","max_per_second":50}]"#);
/// let written = r#"{"max_per_second":50.0,"name":"db.*","sample_rate":1.0}"#;
/// assert_eq!((rules[0].to_json().to_string().as_str(), problems), (written, vec![]));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SpanRule {
    pattern: Pattern,
    rate: f64,
    per_second_max: Option<f64>,
}

const KEYS: &[&str] = &[
    "service",
    "name",
    "resource",
    "tags",
    "sample_rate",
    "max_per_second",
];

impl SpanRule {
    /// Reads DD_SPAN_SAMPLING_RULES: the rules, and a text for each that is left out or not read whole.
    pub fn list(json: &str) -> (Vec<SpanRule>, Vec<String>) {
        read_list(json, KEYS, SpanRule::read)
    }

    fn read(fields: &Fields) -> Result<SpanRule, String> {
        Ok(SpanRule {
            pattern: fields.pattern()?,
            rate: fields.rate()?,
            // As for traces, 0 allows none and less than 0 all.
            per_second_max: fields.number("max_per_second")?.filter(|max| *max >= 0.0),
        })
    }

    /// The rule as it is written in such a list.
    pub fn to_json(&self) -> Value {
        let mut rule = Map::new();
        self.pattern.write(&mut rule);
        rule.insert("sample_rate".to_string(), self.rate.into());
        if let Some(max) = self.per_second_max {
            rule.insert("max_per_second".to_string(), max.into());
        }
        rule.into()
    }
}

/// A rule at work.
#[derive(Debug)]
pub(super) struct SpanRuleState {
    rule: SpanRule,
    limiter: Option<Limiter>,
}

impl SpanRuleState {
    pub(super) fn new(rule: SpanRule) -> SpanRuleState {
        let limiter = rule.per_second_max.map(Limiter::new);
        SpanRuleState { rule, limiter }
    }

    pub(super) fn fits(&self, subject: &Subject<'_>) -> bool {
        self.rule.pattern.fits(subject)
    }

    /// Whether the share that is kept has this span.
    pub(super) fn keeps(&self, span_id: u64) -> bool {
        keeps(span_id, self.rule.rate)
    }

    /// Whether one more is allowed in this second.
    pub(super) fn allows(&self, now_ns: u64) -> bool {
        self.limiter
            .as_ref()
            .is_none_or(|limiter| limiter.ask(now_ns).0)
    }

    /// What a span says that is kept so; mechanism 8 is this one (dd-trace-go, `internal/samplernames`).
    pub(super) fn say(&self, mut put: impl FnMut(&'static str, f64)) {
        put("_dd.span_sampling.mechanism", 8.0);
        put("_dd.span_sampling.rule_rate", self.rule.rate);
        if let Some(max) = self.rule.per_second_max {
            put("_dd.span_sampling.max_per_second", max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, json: &str, read: &[&str], told: &[&str]) {
        let (rules, problems) = SpanRule::list(json);
        let written: Vec<String> = rules
            .iter()
            .map(|rule| rule.to_json().to_string())
            .collect();
        assert_eq!(written, read, "{rule}");
        assert_eq!(problems, told, "{rule}");
        let again = SpanRule::list(&format!("[{}]", written.join(",")));
        assert_eq!(
            again,
            (rules, vec![]),
            "{rule}: what is written is read the same"
        );
    }

    #[test]
    fn every_rule_of_a_list() {
        check(
            "nothing said keeps all",
            "[{}]",
            &[r#"{"sample_rate":1.0}"#],
            &[],
        );
        check(
            "all that can be said",
            r#"[{"service":"s","name":"n","resource":"r","tags":{"a":"b"},"sample_rate":0.5,"max_per_second":2.5}]"#,
            &[
                r#"{"max_per_second":2.5,"name":"n","resource":"r","sample_rate":0.5,"service":"s","tags":{"a":"b"}}"#,
            ],
            &[],
        );
        check(
            "0 is none, less is no limit",
            r#"[{"max_per_second":0},{"max_per_second":-1}]"#,
            &[
                r#"{"max_per_second":0.0,"sample_rate":1.0}"#,
                r#"{"sample_rate":1.0}"#,
            ],
            &[],
        );
        check(
            "a limit is a number",
            r#"[{"max_per_second":[1]},{"sample_rate":2},{"provenance":"customer"}]"#,
            &[r#"{"sample_rate":1.0}"#],
            &[
                "rule 1: max_per_second [1]: takes a number; rule left out",
                "rule 2: sample_rate 2: takes 0 to 1; rule left out",
                r#"rule 3: key "provenance" is not read; takes service, name, resource, tags, sample_rate, max_per_second"#,
            ],
        );
    }

    #[test]
    fn a_rule_without_a_limit_allows_all() {
        let (rules, _) = SpanRule::list(r#"[{},{"max_per_second":1},{"max_per_second":0}]"#);
        let allowed = rules.into_iter().map(|rule| {
            let state = SpanRuleState::new(rule);
            (0..3).filter(|_| state.allows(0)).count()
        });
        assert_eq!(allowed.collect::<Vec<_>>(), [3, 1, 0]);
    }
}
