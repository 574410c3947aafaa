//! Why a DogStatsD line could not be read.

use std::fmt;

/// Why a line could not be read. Holds the line and what is wrong in it, each cut to 120 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    line: String,
    reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    NotUtf8,
    NoColon,
    NoName,
    NoType,
    NoValue,
    UnknownType(String),
    Value(String),
    NotFinite(String),
    Rate(String),
    RateRange(String),
    Timestamp(String),
    TimestampType,
    EventHead,
    EventLength,
    EventTitle,
    CheckFields,
    CheckName,
    CheckStatus(String),
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::NotUtf8 => f.write_str("not UTF-8")?,
            Reason::NoColon => f.write_str("no `:` between name and value")?,
            Reason::NoName => f.write_str("empty name")?,
            Reason::NoType => f.write_str("no `|` before a type")?,
            Reason::NoValue => f.write_str("empty value")?,
            Reason::UnknownType(v) => write!(f, "type `{v}` is none of c g ms h d s")?,
            Reason::Value(v) => write!(f, "value `{v}` is not a number")?,
            Reason::NotFinite(v) => write!(f, "value `{v}` is refused by the Agent")?,
            Reason::Rate(v) => write!(f, "sample rate `{v}` is not a number")?,
            Reason::RateRange(v) => write!(
                f,
                "sample rate `{v}`: the Agent multiplies by 1/rate, which is no number above 0"
            )?,
            Reason::Timestamp(v) => write!(f, "timestamp `{v}` is not a whole number above 0")?,
            Reason::TimestampType => f.write_str("only counts and gauges take a timestamp")?,
            Reason::EventHead => f.write_str("an event begins `_e{title bytes,text bytes}:`")?,
            Reason::EventLength => f.write_str("an event is shorter than its lengths say")?,
            Reason::EventTitle => f.write_str("an event needs a title")?,
            Reason::CheckFields => f.write_str("a service check is `_sc|name|status`")?,
            Reason::CheckName => f.write_str("a service check needs a name")?,
            Reason::CheckStatus(v) => write!(f, "status `{v}` is none of 0 1 2 3")?,
        }
        write!(f, " in `{}`", self.line)
    }
}

impl std::error::Error for LineError {}

impl LineError {
    pub(super) fn new(line: &[u8], reason: Reason) -> LineError {
        LineError {
            line: shortened(line),
            reason: reason.shortened(),
        }
    }
}

impl Reason {
    /// What it quotes is a part of the line, and as little to be trusted.
    fn shortened(mut self) -> Reason {
        if let Reason::UnknownType(text)
        | Reason::Value(text)
        | Reason::NotFinite(text)
        | Reason::Rate(text)
        | Reason::RateRange(text)
        | Reason::Timestamp(text)
        | Reason::CheckStatus(text) = &mut self
        {
            *text = shortened(text.as_bytes());
        }
        self
    }
}

fn shortened(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(120)]);
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
