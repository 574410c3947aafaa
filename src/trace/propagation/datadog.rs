//! Datadog's headers: ids in decimal, the upper half of a trace id among the tags.
//!
//! As dd-trace-go (`ddtrace/tracer/textmap.go`, `propagator`) and dd-trace-py (`ddtrace/propagation/http.py`,
//! `_DatadogMultiHeader`) have them.

use std::fmt::Write;

use super::super::{Priority, SpanContext};
use super::headers::{Headers, is_printable};
use super::number::{decimal, lower_hex};
use super::tags::{self, DECISION, PREFIX, TRACE_ID_HIGH};

pub(super) const TRACE_ID: &str = "x-datadog-trace-id";
const PARENT_ID: &str = "x-datadog-parent-id";
const PRIORITY: &str = "x-datadog-sampling-priority";
const ORIGIN: &str = "x-datadog-origin";
const TAGS: &str = "x-datadog-tags";

/// What every tracer takes at most, whatever is asked for.
const TAGS_BYTES_MAX: usize = 512;
/// Longest origin that is read or written: `tracestate` has no room for a longer one.
pub(super) const ORIGIN_BYTES_MAX: usize = 200;
/// Of tracers long gone, and never passed on (dd-trace-py, `_X_DATADOG_TAGS_EXTRACT_REJECT`).
const UPSTREAM_SERVICES: &str = "_dd.p.upstream_services";

/// The caller's context, and what was wrong with its tags.
pub(super) fn extract<'a>(
    headers: &impl Headers<'a>,
    tags_bytes_max: usize,
) -> Option<(SpanContext, Option<&'static str>)> {
    let low = decimal(headers.first(TRACE_ID)?).filter(|id| *id != 0)?;
    let span_id = headers.first(PARENT_ID).map_or(Some(0), decimal)?;
    let origin = headers
        .first(ORIGIN)
        .filter(|origin| origin.len() <= ORIGIN_BYTES_MAX);
    // Without a parent the context is only that of a synthetic test, which starts a trace itself.
    if span_id == 0 && !origin.is_some_and(|origin| origin.starts_with("synthetics")) {
        return None;
    }
    let priority = headers
        .first(PRIORITY)
        .and_then(|priority| priority.parse().ok());
    let (tags, error) = match headers.first(TAGS).filter(|_| tags_bytes_max > 0) {
        Some(text) if text.len() > tags_bytes_max.min(TAGS_BYTES_MAX) => {
            (Tags::default(), Some("extract_max_size"))
        }
        Some(text) => read_tags(text),
        None => (Tags::default(), None),
    };
    let context = SpanContext {
        trace_id: (tags.trace_id_high << 64) | u128::from(low),
        span_id,
        priority: priority.map(Priority),
        origin: origin.map(str::to_string),
        tags: tags.pairs,
        ..SpanContext::default()
    };
    Some((context, error))
}

#[derive(Default)]
struct Tags {
    trace_id_high: u128,
    pairs: Vec<(String, String)>,
}

/// One pair that cannot be read makes the list worthless; one that makes no sense goes alone.
fn read_tags(text: &str) -> (Tags, Option<&'static str>) {
    const ERROR: Option<&str> = Some("decoding_error");
    let (mut tags, mut error) = (Tags::default(), None);
    for pair in text.split(',') {
        let (key, value) = pair.split_once('=').unwrap_or_default();
        let (key, value) = (key.trim(), value.trim());
        if !tags::is_sound(key, value) {
            return (Tags::default(), ERROR);
        }
        match key {
            TRACE_ID_HIGH => tags.trace_id_high = lower_hex(value, 16).unwrap_or(0),
            DECISION if !tags::is_decision(value) => error = ERROR,
            UPSTREAM_SERVICES => {}
            _ if key.starts_with(PREFIX) => {
                tags::set(&mut tags.pairs, key.to_string(), value.to_string());
            }
            _ => {}
        }
    }
    (tags, error)
}

/// Appends the headers; says what kept a tag from being told.
pub(super) fn inject(
    context: &SpanContext,
    tags_bytes_max: usize,
    headers: &mut Vec<(&'static str, String)>,
) -> Option<&'static str> {
    headers.push((TRACE_ID, (context.trace_id as u64).to_string()));
    headers.push((PARENT_ID, context.span_id.to_string()));
    if let Some(Priority(priority)) = context.priority {
        headers.push((PRIORITY, priority.to_string()));
    }
    if let Some(origin) = sendable_origin(context) {
        headers.push((ORIGIN, printable(origin)));
    }
    if tags_bytes_max == 0 {
        return None;
    }
    let (list, error) = write_tags(context, tags_bytes_max.min(TAGS_BYTES_MAX));
    if !list.is_empty() {
        headers.push((TAGS, list));
    }
    error
}

/// An origin that is neither empty nor too long.
pub(super) fn sendable_origin(context: &SpanContext) -> Option<&str> {
    let origin = context.origin.as_deref();
    origin.filter(|origin| !origin.is_empty() && origin.len() <= ORIGIN_BYTES_MAX)
}

fn printable(text: &str) -> String {
    if is_printable(text) {
        return text.to_string();
    }
    text.replace(|c| !matches!(c, ' '..='~'), "_")
}

/// A list over the limit is not told at all: half a list would say something else.
fn write_tags(context: &SpanContext, bytes_max: usize) -> (String, Option<&'static str>) {
    let (mut list, mut error) = (String::with_capacity(64), None);
    for (key, value) in context
        .tags
        .iter()
        .filter(|(key, _)| key.starts_with(PREFIX))
    {
        if key == TRACE_ID_HIGH {
            continue;
        }
        if !tags::is_sound(key, value) {
            error = Some("encoding_error");
            continue;
        }
        if list.len() + key.len() + value.len() + 2 > bytes_max + 1 {
            return (String::new(), Some("inject_max_size"));
        }
        list.extend([key, "=", value, ","]);
    }
    let high = (context.trace_id >> 64) as u64;
    if high != 0 {
        // Writing to a text cannot fail.
        let _ = write!(list, "{TRACE_ID_HIGH}={high:016x},");
    }
    list.pop();
    if list.len() > bytes_max {
        (String::new(), Some("inject_max_size"))
    } else {
        (list, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: (&str, &str) = ("x-datadog-trace-id", "1234567890123456789");
    const PARENT: (&str, &str) = ("x-datadog-parent-id", "987654321");
    const PLAIN: u128 = 1_234_567_890_123_456_789;
    const WIDE: u128 = (0x640c_fd8d_0000_0000 << 64) | PLAIN;

    fn read(lines: &[(&str, &str)], max: usize) -> Option<(SpanContext, Option<&'static str>)> {
        extract(
            &|name| {
                lines
                    .iter()
                    .filter(move |(n, _)| *n == name)
                    .map(|(_, value)| *value)
            },
            max,
        )
    }

    #[track_caller]
    fn check(rule: &str, lines: &[(&str, &str)], expected: Option<(u128, u64, Option<i32>)>) {
        let found = read(lines, 512);
        let seen = found.map(|(c, _)| (c.trace_id, c.span_id, c.priority.map(|p| p.0)));
        assert_eq!(seen, expected, "{rule}");
    }

    #[test]
    fn ids_are_decimal_and_neither_may_be_missing() {
        let parent = 987_654_321;
        check("both", &[ID, PARENT], Some((PLAIN, parent, None)));
        check("nothing", &[], None);
        check("no trace", &[PARENT], None);
        check("no parent", &[ID], None);
        check("parent zero", &[ID, ("x-datadog-parent-id", "0")], None);
        check("trace zero", &[("x-datadog-trace-id", "0"), PARENT], None);
        check(
            "65 bits",
            &[("x-datadog-trace-id", "18446744073709551616"), PARENT],
            None,
        );
        check("hex", &[("x-datadog-trace-id", "12ab"), PARENT], None);
        check("a sign", &[("x-datadog-trace-id", "+12"), PARENT], None);
        check(
            "a parent that is no number",
            &[ID, ("x-datadog-parent-id", "-1")],
            None,
        );
        check(
            "space",
            &[("x-datadog-trace-id", " 7\t"), PARENT],
            Some((7, parent, None)),
        );
        check(
            "the first of two",
            &[ID, ("x-datadog-trace-id", "8"), PARENT],
            Some((PLAIN, parent, None)),
        );
        check(
            "blank ones aside",
            &[("x-datadog-trace-id", ""), ID, PARENT],
            Some((PLAIN, parent, None)),
        );
        for origin in ["synthetics", "synthetics-browser"] {
            let origin = ("x-datadog-origin", origin);
            check(
                "no parent, but synthetics",
                &[ID, origin],
                Some((PLAIN, 0, None)),
            );
            check("no trace, though synthetics", &[origin], None);
        }
        check(
            "no parent, of another origin",
            &[ID, ("x-datadog-origin", "rum")],
            None,
        );
    }

    #[test]
    fn a_priority_is_any_whole_number() {
        for (text, expected) in [
            ("2", Some(2)),
            ("-1", Some(-1)),
            ("0", Some(0)),
            ("128", Some(128)),
            ("1.5", None),
            ("keep", None),
            ("99999999999", None),
        ] {
            let priority = ("x-datadog-sampling-priority", text);
            check(
                text,
                &[ID, PARENT, priority],
                Some((PLAIN, 987_654_321, expected)),
            );
        }
    }

    /// `upper half|tags|error`, as read.
    #[track_caller]
    fn check_tags(rule: &str, text: &str, expected: &str) {
        let (context, error) = read(&[ID, PARENT, ("x-datadog-tags", text)], 512).unwrap();
        let tags: Vec<_> = context
            .tags
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        let high = context.trace_id >> 64;
        let seen = format!("{high:x}|{}|{}", tags.join(" "), error.unwrap_or_default());
        assert_eq!(seen, expected, "{rule}: {text}");
    }

    #[test]
    fn tags_are_a_list_of_pairs() {
        check_tags(
            "two",
            "_dd.p.dm=-4,_dd.p.a=b==",
            "0|_dd.p.dm=-4 _dd.p.a=b==|",
        );
        check_tags(
            "space",
            " _dd.p.dm = -4 , _dd.p.a=b== ",
            "0|_dd.p.dm=-4 _dd.p.a=b==|",
        );
        let upper = "640cfd8d00000000|_dd.p.dm=-4|";
        check_tags(
            "the upper half",
            "_dd.p.dm=-4,_dd.p.tid=640cfd8d00000000",
            upper,
        );
        check_tags(
            "only what is propagated",
            "dm=-4,_dd.q=1,_dd.p.dm=-4",
            "0|_dd.p.dm=-4|",
        );
        check_tags("upstream services", "_dd.p.upstream_services=a", "0||");
        check_tags(
            "the last of two",
            "_dd.p.dm=-1,_dd.p.dm=-4",
            "0|_dd.p.dm=-4|",
        );
        check_tags(
            "no decision",
            "_dd.p.dm=4,_dd.p.a=b",
            "0|_dd.p.a=b|decoding_error",
        );
        let bad = [
            "_dd.p.a",
            "_dd.p.a=",
            "=b",
            "a=b,",
            ",a=b",
            "a=b,,c=d",
            "_dd.p.a=\u{e9}",
            "a b=c",
        ];
        for text in bad {
            let text = format!("_dd.p.tid=640cfd8d00000000,{text}");
            check_tags("malformed", &text, "0||decoding_error");
        }
        for tid in [
            "640CFD8D00000000",
            "640cfd8d0000000",
            "640cfd8d000000001",
            "640cfd8d0000000g",
        ] {
            let text = format!("_dd.p.tid={tid},_dd.p.dm=-4");
            check_tags("a bad upper half", &text, "0|_dd.p.dm=-4|");
        }
    }

    #[test]
    fn tags_over_the_limit_are_not_read() {
        let list = |bytes: usize| {
            format!(
                "_dd.p.tid=640cfd8d00000000,_dd.p.a={}",
                "x".repeat(bytes - 35)
            )
        };
        for (max, bytes, id, error) in [
            (512, 512, WIDE, None),
            (512, 513, PLAIN, Some("extract_max_size")),
            (100, 100, WIDE, None),
            (100, 101, PLAIN, Some("extract_max_size")),
            (100_000, 513, PLAIN, Some("extract_max_size")),
            (512, 1 << 20, PLAIN, Some("extract_max_size")),
            (0, 100, PLAIN, None),
        ] {
            let text = list(bytes);
            assert_eq!(text.len(), bytes);
            let (context, found) = read(&[ID, PARENT, ("x-datadog-tags", &text)], max).unwrap();
            assert_eq!((context.trace_id, found), (id, error), "{max} {bytes}");
        }
    }

    #[test]
    fn an_origin_is_kept_whole_or_not_at_all() {
        let long = "x".repeat(201);
        for (origin, expected) in [
            ("synthetics;=web,z", Some("synthetics;=web,z")),
            (" rum ", Some("rum")),
            ("", None),
            (&long[1..], Some(&long[1..])),
            (&long, None),
        ] {
            let (context, _) = read(&[ID, PARENT, ("x-datadog-origin", origin)], 512).unwrap();
            assert_eq!(context.origin.as_deref(), expected);
        }
    }

    fn written(
        context: &SpanContext,
        max: usize,
    ) -> (Vec<(&'static str, String)>, Option<&'static str>) {
        let mut headers = Vec::new();
        let error = inject(context, max, &mut headers);
        (headers, error)
    }

    #[test]
    fn a_context_has_exactly_these_headers_and_comes_back_the_same() {
        let context = SpanContext {
            trace_id: WIDE,
            span_id: 0xdead_beef,
            priority: Some(Priority::USER_REJECT),
            origin: Some("rum".to_string()),
            tags: vec![("_dd.p.dm".to_string(), "-1".to_string())],
            ..SpanContext::default()
        };
        let (headers, error) = written(&context, 512);
        let lines: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        assert_eq!(
            lines,
            [
                ("x-datadog-trace-id", "1234567890123456789"),
                ("x-datadog-parent-id", "3735928559"),
                ("x-datadog-sampling-priority", "-1"),
                ("x-datadog-origin", "rum"),
                ("x-datadog-tags", "_dd.p.dm=-1,_dd.p.tid=640cfd8d00000000"),
            ]
        );
        assert_eq!(error, None);
        assert_eq!(read(&lines, 512), Some((context, None)));
        let bare = SpanContext {
            trace_id: 5,
            span_id: 6,
            ..SpanContext::default()
        };
        let expected = [("x-datadog-trace-id", "5"), ("x-datadog-parent-id", "6")];
        assert_eq!(
            written(&bare, 512).0,
            expected.map(|(name, value)| (name, value.to_string()))
        );
    }

    #[track_caller]
    fn check_list(
        rule: &str,
        tags: &[(&str, &str)],
        max: usize,
        expected: (Option<&str>, Option<&str>),
    ) {
        let context = SpanContext {
            trace_id: WIDE,
            span_id: 1,
            tags: tags
                .iter()
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .collect(),
            ..SpanContext::default()
        };
        let (headers, error) = written(&context, max);
        let list = headers.iter().find(|(name, _)| *name == "x-datadog-tags");
        assert_eq!(
            (list.map(|(_, list)| list.as_str()), error),
            expected,
            "{rule}"
        );
    }

    #[test]
    fn tags_are_told_whole_or_with_the_reason_why_not() {
        const TID: &str = "_dd.p.tid=640cfd8d00000000";
        let long = "x".repeat(512);
        let dm = ("_dd.p.dm", "-4");
        let with_dm = format!("_dd.p.dm=-4,{TID}");
        check_list("none of their own", &[], 512, (Some(TID), None));
        check_list(
            "told once",
            &[("_dd.p.tid", "1111111111111111")],
            512,
            (Some(TID), None),
        );
        check_list(
            "no tag of ours",
            &[("dm", "1"), dm],
            512,
            (Some(&with_dm), None),
        );
        for bad in [
            ("_dd.p.a", "b,c"),
            ("_dd.p.a", "\r\n"),
            ("_dd.p.a", ""),
            ("_dd.p.a b", "c"),
        ] {
            check_list(
                "a bad one goes alone",
                &[bad, dm],
                512,
                (Some(&with_dm), Some("encoding_error")),
            );
        }
        check_list("the limit", &[dm], 38, (Some(&with_dm), None));
        check_list(
            "the limit passed",
            &[dm],
            37,
            (None, Some("inject_max_size")),
        );
        check_list(
            "one alone too long",
            &[("_dd.p.a", &long)],
            512,
            (None, Some("inject_max_size")),
        );
        check_list(
            "no list is longer than 512",
            &[("_dd.p.a", &long)],
            9_999,
            (None, Some("inject_max_size")),
        );
        check_list("off", &[dm], 0, (None, None));
    }

    #[test]
    fn a_hostile_origin_stays_one_value() {
        let context = SpanContext {
            trace_id: 1,
            span_id: 2,
            origin: Some("a\r\nX-Evil: 1,b;c=d\u{e9}".to_string()),
            ..SpanContext::default()
        };
        let (headers, _) = written(&context, 512);
        assert_eq!(
            headers[2],
            ("x-datadog-origin", "a__X-Evil: 1,b;c=d_".to_string())
        );
    }
}
