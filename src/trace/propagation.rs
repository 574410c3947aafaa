//! Trace context in HTTP headers: Datadog's own and W3C's.

use std::fmt::Write;

use super::{Priority, SpanContext};

/// Longest `x-datadog-tags` that is read or written, the default of every tracer.
const TAGS_BYTES_MAX: usize = 512;
/// Longest `tracestate` that is read: eight times what W3C asks everybody to carry (section 3.3.1.5).
const STATE_BYTES_MAX: usize = 4_096;

/// Reads a context; Datadog's headers win over W3C's. What is malformed counts as absent.
pub fn extract<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<SpanContext> {
    extract_datadog(&header).or_else(|| extract_w3c(&header))
}

fn extract_datadog<'a>(header: &impl Fn(&str) -> Option<&'a str>) -> Option<SpanContext> {
    let low: u64 = header("x-datadog-trace-id")?
        .trim()
        .parse()
        .ok()
        .filter(|id| *id != 0)?;
    let origin = header("x-datadog-origin")
        .filter(|o| !o.is_empty())
        .map(str::to_string);
    let span_id: u64 =
        header("x-datadog-parent-id").map_or(Some(0), |id| id.trim().parse().ok())?;
    // Without a parent the context is only that of a synthetic test, which starts a trace itself.
    if span_id == 0
        && origin
            .as_deref()
            .is_none_or(|origin| !origin.starts_with("synthetics"))
    {
        return None;
    }
    let priority = header("x-datadog-sampling-priority").and_then(|p| p.trim().parse().ok());
    let mut tags = header("x-datadog-tags").map(split_tags).unwrap_or_default();
    let high = tags
        .iter()
        .position(|(key, _)| key == "_dd.p.tid")
        .map(|at| tags.remove(at).1);
    let high = high.and_then(|hex| lower_hex(&hex, 16)).unwrap_or(0);
    let trace_id = (high << 64) | u128::from(low);
    Some(SpanContext {
        trace_id,
        span_id,
        priority: priority.map(Priority),
        origin,
        tags,
        ..SpanContext::default()
    })
}

fn split_tags(text: &str) -> Vec<(String, String)> {
    if text.len() > TAGS_BYTES_MAX {
        return Vec::new();
    }
    text.split(',')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(key, value)| key.starts_with("_dd.p.") && !value.is_empty())
        .map(|(key, value)| (key.trim().to_string(), value.trim().to_string()))
        .collect()
}

fn lower_hex(text: &str, digits: usize) -> Option<u128> {
    let lower = text
        .bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    (text.len() == digits && lower)
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()
}

/// W3C Trace Context, section 3.2; `dd=` in tracestate carries the rest.
fn extract_w3c<'a>(header: &impl Fn(&str) -> Option<&'a str>) -> Option<SpanContext> {
    let mut parts = header("traceparent")?.trim().split('-');
    let (version, trace, parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let version = lower_hex(version, 2).filter(|v| *v != 0xff)?;
    if version == 0 && parts.next().is_some() {
        return None;
    }
    let trace_id = lower_hex(trace, 32).filter(|id| *id != 0)?;
    let span_id = lower_hex(parent, 16).filter(|id| *id != 0)? as u64;
    let sampled = lower_hex(flags, 2)? & 1 == 1;
    let mut context = SpanContext {
        trace_id,
        span_id,
        ..SpanContext::default()
    };
    let mut told = None;
    let state = header("tracestate").filter(|state| state.len() <= STATE_BYTES_MAX);
    let members = state.unwrap_or("").split(',').map(str::trim);
    for field in members
        .filter_map(|m| m.strip_prefix("dd="))
        .flat_map(|dd| dd.split(';'))
    {
        match field.split_once(':') {
            Some(("s", priority)) => told = priority.parse().ok(),
            Some(("o", origin)) => context.origin = Some(origin.replace('~', "=")),
            // The trace id holds it: kept as a tag it would be told twice, and might contradict.
            Some(("t.tid", _)) => {}
            Some((key, value)) if key.starts_with("t.") => {
                context
                    .tags
                    .push((format!("_dd.p.{}", &key[2..]), value.replace('~', "=")));
            }
            _ => {}
        }
    }
    // The flag is what every hop keeps; a `dd` decision that contradicts it is stale.
    context.priority = Some(match told {
        Some(priority) if (priority > 0) == sampled => Priority(priority),
        _ if sampled => Priority::AUTO_KEEP,
        _ => Priority::AUTO_REJECT,
    });
    Some(context)
}

/// Writes a context as headers of an outgoing request.
pub fn inject(context: &SpanContext) -> Vec<(&'static str, String)> {
    let SpanContext {
        trace_id,
        span_id,
        priority,
        origin,
        tags,
        ..
    } = context;
    let (high, low) = ((trace_id >> 64) as u64, *trace_id as u64);
    let mut headers = vec![
        ("x-datadog-trace-id", low.to_string()),
        ("x-datadog-parent-id", span_id.to_string()),
    ];
    let mut list = String::new();
    let mut state = String::from("dd=");
    if let Some(Priority(priority)) = priority {
        headers.push(("x-datadog-sampling-priority", priority.to_string()));
        let _ = write!(state, "s:{priority};");
    }
    if let Some(origin) = origin {
        headers.push(("x-datadog-origin", origin.replace(is_unsafe, "_")));
        let _ = write!(state, "o:{};", state_value(origin));
    }
    let _ = write!(state, "p:{span_id:016x}");
    for (key, value) in tags {
        let _ = write!(list, "{key}={},", value.replace(is_unsafe, "_"));
        let _ = write!(
            state,
            ";t.{}:{}",
            key.trim_start_matches("_dd.p."),
            state_value(value)
        );
    }
    if high != 0 {
        let _ = write!(list, "_dd.p.tid={high:016x},");
    }
    list.pop();
    if !list.is_empty() && list.len() <= TAGS_BYTES_MAX {
        headers.push(("x-datadog-tags", list));
    }
    let sampled = u8::from(priority.is_some_and(Priority::keeps));
    headers.push((
        "traceparent",
        format!("00-{trace_id:032x}-{span_id:016x}-{sampled:02x}"),
    ));
    headers.push(("tracestate", state));
    headers
}

fn is_unsafe(c: char) -> bool {
    !(' '..='~').contains(&c) || c == ','
}

/// Tracestate keeps `,` `;` `=` for itself; `=` travels as `~`.
fn state_value(value: &str) -> String {
    let safe = |c| {
        if c == ',' || c == ';' || c == '~' || !(' '..='~').contains(&c) {
            '_'
        } else {
            c
        }
    };
    value
        .chars()
        .map(safe)
        .map(|c| if c == '=' { '~' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, headers: &[(&str, &str)], expected: Option<(u128, u64, Option<i32>)>) {
        let found = extract(|name| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| *v));
        let seen = found
            .as_ref()
            .map(|c| (c.trace_id, c.span_id, c.priority.map(|p| p.0)));
        assert_eq!(seen, expected, "{rule}");
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn every_rule_of_a_header_has_its_context() {
        let id = ("x-datadog-trace-id", "1234567890123456789");
        let parent = ("x-datadog-parent-id", "987654321");
        let plain = 1_234_567_890_123_456_789;
        let wide = (0x640c_fd8d_0000_0000_u128 << 64) | plain;
        check("both ids", &[id, parent], Some((plain, 987_654_321, None)));
        check(
            "a priority",
            &[id, parent, ("x-datadog-sampling-priority", "-1")],
            Some((plain, 987_654_321, Some(-1))),
        );
        check(
            "the upper half",
            &[
                id,
                parent,
                ("x-datadog-tags", "_dd.p.dm=-4,_dd.p.tid=640cfd8d00000000"),
            ],
            Some((wide, 987_654_321, None)),
        );
        check(
            "an upper half in capitals is ignored",
            &[id, parent, ("x-datadog-tags", "_dd.p.tid=640CFD8D00000000")],
            Some((plain, 987_654_321, None)),
        );
        check(
            "tags too long",
            &[
                id,
                parent,
                (
                    "x-datadog-tags",
                    &format!("_dd.p.tid=640cfd8d00000000,{}", "x".repeat(512)),
                ),
            ],
            Some((plain, 987_654_321, None)),
        );
        check("no parent", &[id], None);
        check(
            "no parent, but synthetics",
            &[id, ("x-datadog-origin", "synthetics")],
            Some((plain, 0, None)),
        );
        check("id zero", &[("x-datadog-trace-id", "0"), parent], None);
        check(
            "id over 64 bits",
            &[("x-datadog-trace-id", "18446744073709551616"), parent],
            None,
        );
        check(
            "id not a number",
            &[("x-datadog-trace-id", "12ab"), parent],
            None,
        );
        let w3c = "00-640cfd8d00000000112210f47de98115-00000000deadbeef-01";
        let w3c_id = 0x640c_fd8d_0000_0000_1122_10f4_7de9_8115;
        check(
            "W3C",
            &[("traceparent", w3c)],
            Some((w3c_id, 0xdead_beef, Some(1))),
        );
        check(
            "W3C with a decision",
            &[
                ("traceparent", w3c),
                ("tracestate", "other=1,dd=s:2;o:rum;t.dm:-4"),
            ],
            Some((w3c_id, 0xdead_beef, Some(2))),
        );
        check(
            "a stale decision",
            &[("traceparent", w3c), ("tracestate", "dd=s:-1")],
            Some((w3c_id, 0xdead_beef, Some(1))),
        );
        check(
            "a state too long",
            &[
                ("traceparent", w3c),
                ("tracestate", &format!("dd=s:2;{}", "t.a:1;".repeat(682))),
            ],
            Some((w3c_id, 0xdead_beef, Some(1))),
        );
        check(
            "not sampled",
            &[("traceparent", &w3c.replace("-01", "-00"))],
            Some((w3c_id, 0xdead_beef, Some(0))),
        );
        check(
            "a later version may be longer",
            &[("traceparent", &format!("cc{}-what", &w3c[2..]))],
            Some((w3c_id, 0xdead_beef, Some(1))),
        );
        check(
            "version 00 may not",
            &[("traceparent", &format!("{w3c}-what"))],
            None,
        );
        check(
            "version ff",
            &[("traceparent", &format!("ff{}", &w3c[2..]))],
            None,
        );
        check("capitals", &[("traceparent", &w3c.to_uppercase())], None);
        check(
            "no span",
            &[(
                "traceparent",
                "00-640cfd8d00000000112210f47de98115-0000000000000000-01",
            )],
            None,
        );
        check(
            "Datadog wins",
            &[("traceparent", w3c), id, parent],
            Some((plain, 987_654_321, None)),
        );
        check("nothing", &[], None);
    }

    #[test]
    fn a_context_has_exactly_these_headers_and_comes_back_the_same() {
        let context = SpanContext {
            trace_id: 0x640c_fd8d_0000_0000_1122_10f4_7de9_8115,
            span_id: 0xdead_beef,
            priority: Some(Priority::AUTO_KEEP),
            origin: Some("rum".to_string()),
            tags: vec![("_dd.p.dm".to_string(), "-1".to_string())],
            ..SpanContext::default()
        };
        let headers = inject(&context);
        let text = |name: &str| {
            headers
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| v.as_str())
        };
        let expected = [
            ("x-datadog-trace-id", "1234567890123456789"),
            ("x-datadog-parent-id", "3735928559"),
            ("x-datadog-sampling-priority", "1"),
            ("x-datadog-origin", "rum"),
            ("x-datadog-tags", "_dd.p.dm=-1,_dd.p.tid=640cfd8d00000000"),
            (
                "traceparent",
                "00-640cfd8d00000000112210f47de98115-00000000deadbeef-01",
            ),
            ("tracestate", "dd=s:1;o:rum;p:00000000deadbeef;t.dm:-1"),
        ];
        assert_eq!(
            headers
                .iter()
                .map(|(n, v)| (*n, v.as_str()))
                .collect::<Vec<_>>(),
            expected
        );
        assert_eq!(extract(text).as_ref(), Some(&context));
        assert_eq!(extract_w3c(&text).as_ref(), Some(&context));
    }

    #[test]
    fn the_upper_half_is_told_once_whatever_the_state_says() {
        let headers = [
            (
                "traceparent",
                "00-640cfd8d00000000112210f47de98115-00000000deadbeef-01",
            ),
            ("tracestate", "dd=s:1;t.tid:1111111111111111;t.dm:-4"),
        ];
        let context =
            extract(|name| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| *v)).unwrap();
        let told = inject(&context);
        assert!(
            told.contains(&(
                "x-datadog-tags",
                "_dd.p.dm=-4,_dd.p.tid=640cfd8d00000000".to_string()
            )),
            "{told:?}"
        );
    }

    #[test]
    fn a_hostile_origin_cannot_add_a_header() {
        let origin = Some("a\r\nX-Evil: 1,b;c=d\u{e9}".to_string());
        let context = SpanContext {
            trace_id: 1,
            span_id: 2,
            origin,
            ..SpanContext::default()
        };
        for (name, value) in inject(&context) {
            assert!(
                value.bytes().all(|b| (b' '..=b'~').contains(&b)),
                "{name}: {value:?}"
            );
        }
    }
}
