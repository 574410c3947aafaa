//! Texts to values; nothing where a text is not one.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::dogstatsd::Cardinality;

pub(super) fn set<T>(field: &mut T, value: Option<T>) -> bool {
    value.map(|value| *field = value).is_some()
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

pub(super) fn cardinality(text: &str) -> Option<Cardinality> {
    match text.to_ascii_lowercase().as_str() {
        "none" => Some(Cardinality::None),
        "low" => Some(Cardinality::Low),
        "orchestrator" => Some(Cardinality::Orchestrator),
        "high" => Some(Cardinality::High),
        _ => None,
    }
}

pub(super) fn host(text: &str) -> Option<String> {
    let bare = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:%".contains(&b);
    (!bare.is_empty() && bare.bytes().all(plain)).then(|| bare.to_string())
}

pub(super) fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

pub(super) fn whole(text: &str, min: usize, max: usize) -> Option<usize> {
    text.parse()
        .ok()
        .filter(|number| (min..=max).contains(number))
}

/// A window that fits the Agent's ten seconds a whole number of times.
pub(super) fn window(text: &str) -> Option<Duration> {
    let seconds = whole(text, 1, 10)?;
    (10 % seconds == 0).then(|| Duration::from_secs(seconds as u64))
}

pub(super) fn seconds(text: &str) -> Option<Duration> {
    seconds_in(text, 0.001..=60.0)
}

pub(super) fn seconds_in(text: &str, range: RangeInclusive<f64>) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    range
        .contains(&seconds)
        .then(|| Duration::from_secs_f64(seconds))
}

/// Split at the first colon; no colon is an empty value; an empty key is skipped.
pub(super) fn tags(text: &str) -> Vec<(String, String)> {
    let separator = if text.contains(',') { ',' } else { ' ' };
    text.split(separator)
        .map(|pair| pair.trim().split_once(':').unwrap_or((pair.trim(), "")))
        .map(|(key, value)| (key.trim().to_string(), value.trim().to_string()))
        .filter(|(key, _)| !key.is_empty())
        .collect()
}

/// A share, 0 to 1.
pub(super) fn share(text: &str) -> Option<f64> {
    let share: f64 = text.parse().ok()?;
    (0.0..=1.0).contains(&share).then_some(share)
}

pub(super) fn at_least_zero(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    (number >= 0.0 && number.is_finite()).then_some(number)
}

/// Words between commas.
pub(super) fn words(text: &str) -> Vec<String> {
    let words = text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    words.map(str::to_string).collect()
}

/// A name that a header can have, in lower case.
pub(super) fn header_name(text: &str) -> Option<String> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    (!text.is_empty() && text.bytes().all(is_token)).then(|| text.to_ascii_lowercase())
}
