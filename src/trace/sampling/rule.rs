//! Rules for whole traces.

use serde_json::{Map, Value};

use super::Subject;
use super::pattern::Pattern;
use super::rule_json::{Fields, read_list};

/// Which traces it is for, by their first span, and the share of them that is kept.
///
/// ```
/// use testapi::trace::Rule;
///
/// let (rules, problems) = Rule::list(r#"[{"resource":"GET /health*","sample_rate":0},{"sample_rate":7}]"#);
/// assert_eq!(rules[0].to_json().to_string(), r#"{"resource":"GET /health*","sample_rate":0.0}"#);
/// assert_eq!(rules.len(), 1);
/// assert_eq!(problems, ["rule 2: sample_rate 7: takes 0 to 1; rule left out"]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pattern: Pattern,
    rate: f64,
    provenance: Provenance,
}

/// Who wrote a rule (dd-trace-go, `internal/samplingrules/samplingrules.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Provenance {
    Local,
    Customer,
    Dynamic,
}

const KEYS: &[&str] = &[
    "service",
    "name",
    "resource",
    "tags",
    "sample_rate",
    "provenance",
];

impl Rule {
    /// Reads DD_TRACE_SAMPLING_RULES: the rules, and a text for each that is left out or not read whole.
    pub fn list(json: &str) -> (Vec<Rule>, Vec<String>) {
        read_list(json, KEYS, Rule::read)
    }

    fn read(fields: &Fields) -> Result<Rule, String> {
        let provenance = match fields
            .text("provenance")?
            .trim()
            .to_ascii_lowercase()
            .as_str()
        {
            "" | "local" | "default" => Provenance::Local,
            "customer" => Provenance::Customer,
            "dynamic" => Provenance::Dynamic,
            other => {
                return Err(format!(
                    "provenance {other:?}: takes local, customer or dynamic"
                ));
            }
        };
        Ok(Rule {
            pattern: fields.pattern()?,
            rate: fields.rate()?,
            provenance,
        })
    }

    /// The rule as it is written in such a list.
    pub fn to_json(&self) -> Value {
        let mut rule = Map::new();
        self.pattern.write(&mut rule);
        rule.insert("sample_rate".to_string(), self.rate.into());
        match self.provenance {
            Provenance::Local => None,
            Provenance::Customer => rule.insert("provenance".to_string(), "customer".into()),
            Provenance::Dynamic => rule.insert("provenance".to_string(), "dynamic".into()),
        };
        rule.into()
    }

    pub(super) fn fits(&self, subject: &Subject<'_>) -> bool {
        self.pattern.fits(subject)
    }

    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    /// `_dd.p.dm` of what it decides.
    pub(super) fn mechanism(&self) -> &'static str {
        match self.provenance {
            Provenance::Local => "-3",
            Provenance::Customer => "-11",
            Provenance::Dynamic => "-12",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, json: &str, read: &[&str], told: &[&str]) {
        let (rules, problems) = Rule::list(json);
        let written: Vec<String> = rules
            .iter()
            .map(|rule| rule.to_json().to_string())
            .collect();
        assert_eq!(written, read, "{rule}");
        assert_eq!(problems, told, "{rule}");
        let again = Rule::list(&format!("[{}]", written.join(",")));
        assert_eq!(
            again,
            (rules, vec![]),
            "{rule}: what is written is read the same"
        );
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn every_rule_of_a_list() {
        check("an empty list", "[]", &[], &[]);
        check(
            "nothing said keeps all",
            "[{}]",
            &[r#"{"sample_rate":1.0}"#],
            &[],
        );
        check(
            "all that can be said",
            r#"[{"service":"s*","name":"n?","resource":"GET /","tags":{"b":"2*","a":"x"},"sample_rate":0.25,"provenance":" Customer "}]"#,
            &[
                r#"{"name":"n?","provenance":"customer","resource":"GET /","sample_rate":0.25,"service":"s*","tags":{"a":"x","b":"2*"}}"#,
            ],
            &[],
        );
        check(
            "null says nothing",
            r#"[{"service":null,"tags":null,"sample_rate":null,"provenance":null}]"#,
            &[r#"{"sample_rate":1.0}"#],
            &[],
        );
        check(
            "a rate may be a text, a tag a number",
            r#"[{"sample_rate":" 0.5 ","tags":{"n":20},"provenance":"dynamic"}]"#,
            &[r#"{"provenance":"dynamic","sample_rate":0.5,"tags":{"n":"20"}}"#],
            &[],
        );
        check(
            "the limits of a rate",
            r#"[{"sample_rate":0},{"sample_rate":1},{"sample_rate":1.000001},{"sample_rate":-0.1}]"#,
            &[r#"{"sample_rate":0.0}"#, r#"{"sample_rate":1.0}"#],
            &[
                "rule 3: sample_rate 1.000001: takes 0 to 1; rule left out",
                "rule 4: sample_rate -0.1: takes 0 to 1; rule left out",
            ],
        );
        check(
            "one bad rule leaves the others",
            r#"[{"service":7},3,{"sample_rate":0.5},{"tags":["a"]},{"tags":{"a":["b"]}},{"sample_rate":"NaN"}]"#,
            &[r#"{"sample_rate":0.5}"#],
            &[
                "rule 1: service 7: takes a text; rule left out",
                "rule 2: 3: takes an object; rule left out",
                r#"rule 4: tags ["a"]: takes an object of texts; rule left out"#,
                r#"rule 5: tags {"a":["b"]}: takes an object of texts; rule left out"#,
                r#"rule 6: sample_rate "NaN": takes a number; rule left out"#,
            ],
        );
        check(
            "who wrote it must be known",
            r#"[{"provenance":"martian"}]"#,
            &[],
            &[r#"rule 1: provenance "martian": takes local, customer or dynamic; rule left out"#],
        );
        check(
            "a key that is not read is told, the rule holds",
            r#"[{"sample-rate":0.1,"service":"a"}]"#,
            &[r#"{"sample_rate":1.0,"service":"a"}"#],
            &[
                r#"rule 1: key "sample-rate" is not read; takes service, name, resource, tags, sample_rate, provenance"#,
            ],
        );
        check(
            "an object is no list",
            "{}",
            &[],
            &[
                r#""{}": takes a list of rules in JSON, [{"sample_rate":0.5}]: invalid type: map, expected a sequence at line 1 column 0"#,
            ],
        );
        check(
            "half a list is none",
            r#"[{"sample_rate":1}"#,
            &[],
            &[
                r#""[{\"sample_rate\":1}": takes a list of rules in JSON, [{"sample_rate":0.5}]: EOF while parsing a list at line 1 column 18"#,
            ],
        );
    }

    #[test]
    fn a_list_and_a_message_have_an_end() {
        let (rules, problems) = Rule::list(&format!("[{}]", ["{}"; 1_001].join(",")));
        assert_eq!(rules.len(), 1_000);
        assert_eq!(problems, ["1001 rules: takes 1000; the first 1000 hold"]);
        let (_, problems) = Rule::list(&format!(
            r#"[{{"service":["{}"]}}]"#,
            "\u{e9}".repeat(1_000)
        ));
        assert_eq!(
            problems[0].chars().count(),
            "rule 1: service : takes a text; rule left out".len() + 103
        );
    }

    #[test]
    fn who_wrote_it_is_told_as_a_mechanism() {
        for (provenance, mechanism) in [
            ("local", "-3"),
            ("default", "-3"),
            ("customer", "-11"),
            ("dynamic", "-12"),
        ] {
            let (rules, _) = Rule::list(&format!(r#"[{{"provenance":"{provenance}"}}]"#));
            assert_eq!(rules[0].mechanism(), mechanism, "{provenance}");
        }
    }
}
