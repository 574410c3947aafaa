//! Something that happened while a span was open.

use std::mem::discriminant;

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

impl SpanEvent {
    /// Without the attributes that no wire holds: numbers that are not finite, lists of lists and lists of
    /// several types (dd-trace-go, `ddtrace/tracer/span_event.go`).
    pub(super) fn sound(mut self) -> SpanEvent {
        self.attributes.retain(|(_, value)| value.is_sound());
        self
    }
}

impl EventValue {
    fn is_sound(&self) -> bool {
        match self {
            EventValue::Float(number) => number.is_finite(),
            EventValue::List(values) => {
                let is_list = |value: &EventValue| matches!(value, EventValue::List(_));
                let like_first =
                    |value| Some(discriminant(value)) == values.first().map(discriminant);
                values
                    .iter()
                    .all(|v| v.is_sound() && !is_list(v) && like_first(v))
            }
            EventValue::Text(_) | EventValue::Bool(_) | EventValue::Int(_) => true,
        }
    }
}

/// For Agents that do not take events of their own (`span_events` in `/info`): the tag `events`, a list in
/// JSON, as dd-trace-go (`ddtrace/tracer/span.go`) writes it then.
pub(super) fn to_json(events: &[SpanEvent]) -> String {
    // Texts and numbers always have a JSON form.
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
    fn what_no_wire_holds_is_left_out() {
        let list = |values: Vec<EventValue>| EventValue::List(values);
        for (value, kept) in [
            (EventValue::Float(f64::NAN), false),
            (EventValue::Float(f64::INFINITY), false),
            (list(vec![]), true),
            (list(vec![1_i64.into(), 2_i64.into()]), true),
            (list(vec![1_i64.into(), "a".into()]), false),
            (list(vec![1.5.into(), f64::NAN.into()]), false),
            (list(vec![list(vec![])]), false),
        ] {
            let attributes = vec![("a".to_string(), value.clone())];
            let event = SpanEvent {
                attributes,
                ..SpanEvent::default()
            };
            assert_eq!(!event.sound().attributes.is_empty(), kept, "{value:?}");
        }
    }

    #[test]
    fn events_are_a_list_in_json() {
        let attributes = vec![
            ("text".to_string(), "a\"b".into()),
            ("is".to_string(), true.into()),
            ("whole".to_string(), (-7_i64).into()),
            ("number".to_string(), 0.5.into()),
            (
                "list".to_string(),
                EventValue::List(vec![1_i64.into(), 2_i64.into()]),
            ),
        ];
        let bare = SpanEvent {
            name: "e".to_string(),
            unix_ns: 9,
            attributes: vec![],
        };
        let full = SpanEvent {
            attributes,
            ..bare.clone()
        };
        assert_eq!(to_json(&[]), "[]");
        assert_eq!(
            to_json(&[bare, full]),
            r#"[{"name":"e","time_unix_nano":9},{"name":"e","time_unix_nano":9,"attributes":{"text":"a\"b","is":true,"whole":-7,"number":0.5,"list":[1,2]}}]"#
        );
    }
}
