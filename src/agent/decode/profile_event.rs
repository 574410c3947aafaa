//! `event.json` of an upload of profiles: what it covers, who sent it, and what else is attached.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::date::unix_us;

/// Bytes of an event. Those of tracers have a few thousand.
const EVENT_BYTES_MAX: usize = 1 << 20;
/// Attachments that are named.
const NAMED_MAX: usize = 64;
/// Tags, and endpoints: what is over is counted.
const ENTRIES_MAX: usize = 1_000;

/// What the event says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileEvent {
    /// File names of the other parts, as it names them.
    pub attachments: Vec<String>,
    /// `tags_profiler`, split at its commas and each at its first colon; at most 1,000.
    pub tags: Vec<(String, String)>,
    /// Begin of what it covers.
    pub start_unix_us: u64,
    /// Its end.
    pub end_unix_us: u64,
    /// `native`, `python`, ... or empty.
    pub family: String,
    /// Of the event's own format, `4`, or empty.
    pub version: String,
    /// How often each endpoint was asked for, most frequent first; at most 1,000.
    pub endpoints: Vec<(String, u64)>,
    /// Tags and endpoints that were left out.
    pub left_out: u64,
}

/// Why an event could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProfileEventError {
    /// More than 1,048,576 bytes.
    Large(usize),
    /// Not the JSON that was expected, and why.
    Json(String),
    /// This field is no RFC 3339 time; holds the text.
    Time(&'static str, String),
    /// It names more than 64 attachments.
    Attachments(usize),
}

impl fmt::Display for ProfileEventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProfileEventError::Large(bytes) => {
                write!(f, "{bytes} bytes, at most {EVENT_BYTES_MAX} are read")
            }
            ProfileEventError::Json(why) => write!(f, "not the JSON expected: {why}"),
            ProfileEventError::Time(field, text) => {
                write!(f, "{field} {text:?} is no RFC 3339 time")
            }
            ProfileEventError::Attachments(named) => {
                write!(f, "{named} attachments named, at most {NAMED_MAX} are read")
            }
        }
    }
}

impl std::error::Error for ProfileEventError {}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    attachments: Vec<String>,
    #[serde(default)]
    tags_profiler: String,
    start: String,
    end: String,
    #[serde(default)]
    family: String,
    #[serde(default)]
    version: String,
    endpoint_counts: Option<BTreeMap<String, u64>>,
}

/// Reads an event; fields that are not shown here are passed over.
///
/// # Errors
/// [`ProfileEventError`], which names the field.
pub fn profile_event(bytes: &[u8]) -> Result<ProfileEvent, ProfileEventError> {
    if bytes.len() > EVENT_BYTES_MAX {
        return Err(ProfileEventError::Large(bytes.len()));
    }
    let wire: Wire =
        serde_json::from_slice(bytes).map_err(|why| ProfileEventError::Json(why.to_string()))?;
    if wire.attachments.len() > NAMED_MAX {
        return Err(ProfileEventError::Attachments(wire.attachments.len()));
    }
    let mut endpoints: Vec<_> = wire
        .endpoint_counts
        .unwrap_or_default()
        .into_iter()
        .collect();
    endpoints.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut tags = tags(&wire.tags_profiler);
    let over = |length: usize| length.saturating_sub(ENTRIES_MAX) as u64;
    let left_out = over(endpoints.len()) + over(tags.len());
    endpoints.truncate(ENTRIES_MAX);
    tags.truncate(ENTRIES_MAX);
    Ok(ProfileEvent {
        start_unix_us: time("start", &wire.start)?,
        end_unix_us: time("end", &wire.end)?,
        attachments: wire.attachments,
        family: wire.family,
        version: wire.version,
        tags,
        endpoints,
        left_out,
    })
}

impl ProfileEvent {
    /// Value of the first tag of that key, or empty.
    pub fn tag(&self, key: &str) -> &str {
        let found = self.tags.iter().find(|(name, _)| name == key);
        found.map_or("", |(_, value)| value)
    }
}

fn tags(text: &str) -> Vec<(String, String)> {
    let words = text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    let pair = |word: &str| {
        let (key, value) = word.split_once(':').unwrap_or((word, ""));
        (key.to_string(), value.to_string())
    };
    words.map(pair).collect()
}

/// RFC 3339 in UTC or with a zone, and up to nine digits of a second's fraction.
fn time(field: &'static str, text: &str) -> Result<u64, ProfileEventError> {
    let fraction = text.split_once('.').map_or("", |(_, rest)| rest);
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    let zoned =
        text.ends_with(['Z', 'z']) || text.get(19..).is_some_and(|t| t.contains(['+', '-']));
    let read = unix_us(text).filter(|_| digits <= 9 && zoned && !text.contains(','));
    read.ok_or_else(|| {
        let shown = text.floor_char_boundary(60);
        ProfileEventError::Time(field, text[..shown].to_string())
    })
}
