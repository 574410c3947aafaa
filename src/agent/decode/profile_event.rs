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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::decode::made::EVENT;

    const TIMES: &str = r#""start":"2026-11-22T10:48:21Z","end":"2026-11-22T12:48:22.5+02:00""#;

    #[track_caller]
    fn check(rule: &str, event: &str, expected: Result<ProfileEvent, &str>) {
        let read = profile_event(event.as_bytes()).map_err(|error| error.to_string());
        assert_eq!(read, expected.map_err(String::from), "{rule}");
        for end in 0..event.trim_end().len() {
            assert!(
                profile_event(&event.as_bytes()[..end]).is_err(),
                "{rule}: {end}"
            );
        }
    }

    #[test]
    fn an_event_is_read() {
        let pair = |(key, value): (&str, &str)| (key.to_string(), value.to_string());
        let tags = [
            ("service", "web"),
            ("env", "dev"),
            ("version", "1.0"),
            ("language", "native"),
            ("host", "h"),
            ("process_id", "7"),
        ];
        let whole = ProfileEvent {
            attachments: vec!["profile.pprof".to_string()],
            tags: tags.map(pair).to_vec(),
            start_unix_us: 1_795_344_501_237_265,
            end_unix_us: 1_795_344_505_975_857,
            family: "native".to_string(),
            version: "4".to_string(),
            endpoints: vec![("GET /b".to_string(), 5), ("GET /a".to_string(), 2)],
            left_out: 0,
        };
        check("all", EVENT, Ok(whole));
        let times = ProfileEvent {
            start_unix_us: 1_795_344_501_000_000,
            end_unix_us: 1_795_344_502_500_000,
            ..ProfileEvent::default()
        };
        check("times alone", &format!("{{{TIMES}}}"), Ok(times.clone()));
        let null = format!(r#"{{{TIMES},"endpoint_counts":null,"internal":{{"a":[1]}}}}"#);
        check("null, and what is not known", &null, Ok(times.clone()));
        let odd = format!(r#"{{{TIMES},"tags_profiler":" a:b:c ,,d,"}}"#);
        let tags = [("a", "b:c"), ("d", "")].map(pair).to_vec();
        check("odd tags", &odd, Ok(ProfileEvent { tags, ..times }));
    }

    #[test]
    fn what_is_not_in_order_is_named() {
        let at = |start: &str| format!(r#"{{"start":"{start}","end":"2026-11-22T10:48:22Z"}}"#);
        let refused = |rule, start: &str| {
            check(
                rule,
                &at(start),
                Err(&format!("start {start:?} is no RFC 3339 time")),
            );
        };
        refused("a word", "yesterday");
        refused("no zone", "2026-11-22T10:48:21");
        refused("ten digits", "2026-11-22T10:48:21.0123456789Z");
        refused("a comma", "2026-11-22T10:48:21,5Z");
        refused("unicode", "2026-11-22T10:48:21\u{e9}\u{e9}Z");
        assert!(profile_event(at("2026-11-22T10:48:21.123456789Z").as_bytes()).is_ok());
        let starts = |event: &str, expected: &str| {
            let error = profile_event(event.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        starts("", "not the JSON expected: EOF");
        starts("[]", "not the JSON expected: ");
        starts(
            r#"{"end":"2026-11-22T10:48:22Z"}"#,
            "not the JSON expected: missing field `start`",
        );
        starts(
            &format!(r#"{{{TIMES},"endpoint_counts":{{"a":-1}}}}"#),
            "not the JSON expected: invalid value",
        );
        let named = |count: usize| {
            format!(
                r#"{{{TIMES},"attachments":[{}"a"]}}"#,
                "\"a\",".repeat(count - 1)
            )
        };
        assert!(profile_event(named(64).as_bytes()).is_ok());
        starts(&named(65), "65 attachments named, at most 64 are read");
        let long = |bytes: usize| format!("{{{TIMES}}}{}", " ".repeat(bytes - TIMES.len() - 2));
        assert!(profile_event(long(1 << 20).as_bytes()).is_ok());
        starts(
            &long((1 << 20) + 1),
            "1048577 bytes, at most 1048576 are read",
        );
    }

    #[test]
    fn tags_and_endpoints_are_bounded() {
        let tags = "a:b,".repeat(1_001);
        let counts: Vec<String> = (0..1_002).map(|at| format!("\"{at}\":{at}")).collect();
        let event = format!(
            r#"{{{TIMES},"tags_profiler":"{tags}","endpoint_counts":{{{}}}}}"#,
            counts.join(",")
        );
        let read = profile_event(event.as_bytes()).unwrap();
        assert_eq!(
            (read.tags.len(), read.endpoints.len(), read.left_out),
            (1_000, 1_000, 3)
        );
        assert_eq!(read.endpoints[0], ("1001".to_string(), 1_001));
    }
}
