//! Every leaf of one JSON object under its dotted path, without building the object.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// A leaf. Arrays count as leaves, as JSON text.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::agent) enum Leaf<'a> {
    Text(Cow<'a, str>),
    Int(i128),
    Float(f64),
    Bool(bool),
    Null,
}

impl Leaf<'_> {
    /// As text, which for most is there already.
    pub(in crate::agent) fn text(&self) -> Cow<'_, str> {
        match self {
            Leaf::Text(text) => Cow::Borrowed(text),
            other => Cow::Owned(other.to_string()),
        }
    }
}

impl fmt::Display for Leaf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Leaf::Text(text) => f.write_str(text),
            Leaf::Int(value) => value.fmt(f),
            Leaf::Float(value) => value.fmt(f),
            Leaf::Bool(value) => value.fmt(f),
            Leaf::Null => f.write_str("null"),
        }
    }
}

/// Calls `see` with path and leaf; `{"a":{"b":1}}` and `{"a.b":1}` are the same.
///
/// # Errors
/// When the text is not one JSON object.
pub(in crate::agent) fn each_leaf<'a>(
    text: &'a str,
    mut see: impl FnMut(&str, Leaf<'a>),
) -> Result<(), serde_json::Error> {
    let mut path = String::new();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.deserialize_map(Walk {
        path: &mut path,
        see: &mut see,
    })?;
    deserializer.end()
}

struct Walk<'w, F> {
    path: &'w mut String,
    see: &'w mut F,
}

impl<'a, F: FnMut(&str, Leaf<'a>)> DeserializeSeed<'a> for Walk<'_, F> {
    type Value = ();
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a, F: FnMut(&str, Leaf<'a>)> Walk<'_, F> {
    fn leaf<E>(self, leaf: Leaf<'a>) -> Result<(), E> {
        (self.see)(self.path, leaf);
        Ok(())
    }
}

impl<'a, F: FnMut(&str, Leaf<'a>)> Visitor<'a> for Walk<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let length = self.path.len();
        while let Some(Key(key)) = map.next_key::<Key<'a>>()? {
            if length > 0 {
                self.path.push('.');
            }
            self.path.push_str(&key);
            map.next_value_seed(Walk {
                path: self.path,
                see: self.see,
            })?;
            self.path.truncate(length);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<serde_json::Value>()? {
            items.push(item);
        }
        let text = serde_json::Value::Array(items).to_string();
        self.leaf(Leaf::Text(text.into()))
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<(), E> {
        self.leaf(Leaf::Text(text.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.leaf(Leaf::Text(text.to_string().into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.leaf(Leaf::Int(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.leaf(Leaf::Int(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.leaf(Leaf::Float(value))
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.leaf(Leaf::Bool(value))
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.leaf(Leaf::Null)
    }
}

#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
