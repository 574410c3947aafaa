//! Something that happened while a span was open.

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};

/// A moment in a span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpanEvent {
    /// What happened.
    pub name: String,
    /// When, in nanoseconds since 1970.
    pub unix_ns: u64,
    /// What more there is to say.
    pub attributes: Vec<(String, EventValue)>,
}

/// A value of an event's attribute.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EventValue {
    /// A text.
    Text(String),
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Values of one kind.
    List(Vec<EventValue>),
}

impl From<&str> for EventValue {
    fn from(text: &str) -> EventValue {
        EventValue::Text(text.to_string())
    }
}

impl From<bool> for EventValue {
    fn from(is: bool) -> EventValue {
        EventValue::Bool(is)
    }
}

impl From<i64> for EventValue {
    fn from(number: i64) -> EventValue {
        EventValue::Int(number)
    }
}

impl From<f64> for EventValue {
    fn from(number: f64) -> EventValue {
        EventValue::Float(number)
    }
}

/// For Agents that do not take events of their own (`span_events` in `/info`): the tag `events`, a list in
/// JSON, as dd-trace-go (`ddtrace/tracer/span.go`) writes it then.
pub(super) fn to_json(events: &[SpanEvent]) -> String {
    // Texts and numbers always have a JSON form; what is not finite becomes null.
    serde_json::to_string(events).unwrap_or_default()
}

impl Serialize for SpanEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("time_unix_nano", &self.unix_ns)?;
        if !self.attributes.is_empty() {
            map.serialize_entry("attributes", &Attributes(&self.attributes))?;
        }
        map.end()
    }
}

struct Attributes<'a>(&'a [(String, EventValue)]);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl Serialize for EventValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            EventValue::Text(text) => serializer.serialize_str(text),
            EventValue::Bool(is) => serializer.serialize_bool(*is),
            EventValue::Int(number) => serializer.serialize_i64(*number),
            EventValue::Float(number) => serializer.serialize_f64(*number),
            EventValue::List(values) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                for value in values {
                    list.serialize_element(value)?;
                }
                list.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_a_list_in_json() {
        let attributes = vec![
            ("text".to_string(), "a\"b".into()),
            ("is".to_string(), true.into()),
            ("whole".to_string(), (-7_i64).into()),
            ("number".to_string(), 0.5.into()),
            ("list".to_string(), EventValue::List(vec![1_i64.into(), 2_i64.into()])),
        ];
        let bare = SpanEvent {
            name: "e".to_string(),
            unix_ns: 9,
            attributes: vec![],
        };
        let full = SpanEvent { attributes, ..bare.clone() };
        assert_eq!(to_json(&[]), "[]");
        assert_eq!(
            to_json(&[bare, full]),
            r#"[{"name":"e","time_unix_nano":9},{"name":"e","time_unix_nano":9,"attributes":{"text":"a\"b","is":true,"whole":-7,"number":0.5,"list":[1,2]}}]"#
        );
    }
}
