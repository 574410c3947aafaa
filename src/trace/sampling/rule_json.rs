//! Rules as users write them: a JSON list of objects.

use serde_json::{Map, Value};

use super::glob::Glob;
use super::pattern::Pattern;

/// Rules of one list; each span may be held against every one of them.
const RULES_MAX: usize = 1_000;
/// Of a value in a message.
const SHOWN_CHARS_MAX: usize = 100;

/// One object of the list.
pub(super) struct Fields(Map<String, Value>);

/// Reads a list. A rule that cannot be read is left out and told, the others hold; what is no list holds
/// none. `keys` are those that are read.
pub(super) fn read_list<R>(
    json: &str,
    keys: &[&str],
    read: impl Fn(&Fields) -> Result<R, String>,
) -> (Vec<R>, Vec<String>) {
    let list: Vec<Value> = match serde_json::from_str(json) {
        Ok(list) => list,
        Err(error) => {
            let takes = "a list of rules in JSON, [{\"sample_rate\":0.5}]";
            return (
                Vec::new(),
                vec![format!("{}: takes {takes}: {error}", shown(&json.into()))],
            );
        }
    };
    let (mut rules, mut problems) = (Vec::new(), Vec::new());
    if list.len() > RULES_MAX {
        problems.push(format!(
            "{} rules: takes {RULES_MAX}; the first {RULES_MAX} hold",
            list.len()
        ));
    }
    for (number, value) in (1..=RULES_MAX).zip(list) {
        let Value::Object(fields) = value else {
            let value = shown(&value);
            problems.push(format!(
                "rule {number}: {value}: takes an object; rule left out"
            ));
            continue;
        };
        let unread = fields.keys().filter(|key| !keys.contains(&key.as_str()));
        problems.extend(unread.map(|key| {
            format!(
                "rule {number}: key {key:?} is not read; takes {}",
                keys.join(", ")
            )
        }));
        match read(&Fields(fields)) {
            Ok(rule) => rules.push(rule),
            Err(problem) => problems.push(format!("rule {number}: {problem}; rule left out")),
        }
    }
    (rules, problems)
}

impl Fields {
    /// Service, name, resource and tags.
    pub(super) fn pattern(&self) -> Result<Pattern, String> {
        Ok(Pattern {
            service: self.glob("service")?,
            name: self.glob("name")?,
            resource: self.glob("resource")?,
            tags: self.tags()?,
        })
    }

    /// `sample_rate`; a rule that says none keeps all.
    pub(super) fn rate(&self) -> Result<f64, String> {
        let rate = self.number("sample_rate")?.unwrap_or(1.0);
        if (0.0..=1.0).contains(&rate) {
            return Ok(rate);
        }
        Err(format!("sample_rate {rate}: takes 0 to 1"))
    }

    /// A number, or a text that is one, as dd-trace-go and dd-trace-py take it.
    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, String> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let takes = || format!("{key} {}: takes a number", shown(value));
        number
            .filter(|number| number.is_finite())
            .map(Some)
            .ok_or_else(takes)
    }

    pub(super) fn text(&self, key: &str) -> Result<&str, String> {
        match self.value(key) {
            None => Ok(""),
            Some(Value::String(text)) => Ok(text),
            Some(value) => Err(format!("{key} {}: takes a text", shown(value))),
        }
    }

    fn glob(&self, key: &str) -> Result<Glob, String> {
        self.text(key).map(Glob::new)
    }

    fn tags(&self) -> Result<Vec<(String, Glob)>, String> {
        let Some(value) = self.value("tags") else {
            return Ok(Vec::new());
        };
        let takes = || format!("tags {}: takes an object of texts", shown(value));
        let pairs = value.as_object().ok_or_else(takes)?.iter();
        let pairs = pairs.map(|(key, value)| match value {
            Value::String(text) => Ok((key.clone(), Glob::new(text))),
            Value::Number(number) => Ok((key.clone(), Glob::new(&number.to_string()))),
            _ => Err(takes()),
        });
        pairs.collect()
    }

    /// `null` says nothing.
    fn value(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }
}

/// A value for a message, as JSON, cut where it is long.
fn shown(value: &Value) -> String {
    let mut text = value.to_string();
    if let Some((end, _)) = text.char_indices().nth(SHOWN_CHARS_MAX) {
        text.truncate(end);
        text.push_str("...");
    }
    text
}
