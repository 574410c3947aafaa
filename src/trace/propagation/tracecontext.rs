//! W3C Trace Context: `traceparent`, section 3.2, with Datadog's part of `tracestate`.

use std::fmt::Write;

use super::super::{Priority, SpanContext};
use super::headers::{Headers, trimmed};
use super::number::{is_trace_id, lower_hex};
use super::tags::{self, DECISION};
use super::tracestate::{self, State};

const NAME: &str = "traceparent";

/// The caller's context.
pub(super) fn extract<'a>(headers: &impl Headers<'a>) -> Option<SpanContext> {
    let mut lines = headers.all(NAME);
    let (trace_id, span_id, is_sampled) = read_parent(trimmed(lines.next()?))?;
    // Two callers are none: nobody can say which is right.
    if lines.next().is_some() {
        return None;
    }
    let mut state = tracestate::read(headers);
    let priority = settle(is_sampled, &mut state);
    Some(SpanContext {
        trace_id,
        span_id,
        priority: Some(priority),
        origin: state.origin,
        tags: state.tags,
        state: state.others,
        datadog_parent_id: state.datadog_parent_id,
    })
}

fn read_parent(text: &str) -> Option<(u128, u64, bool)> {
    let mut parts = text.split('-');
    let (version, trace, parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let version = lower_hex(version, 2).filter(|version| *version != 0xff)?;
    if version == 0 && parts.next().is_some() {
        return None;
    }
    let trace_id = lower_hex(trace, 32).filter(is_trace_id)?;
    let span_id = lower_hex(parent, 16).filter(|id| *id != 0)? as u64;
    Some((trace_id, span_id, lower_hex(flags, 2)? & 1 == 1))
}

/// The flag is what every hop keeps; a decision of `dd` that contradicts it is stale, and with it goes who
/// made it (system-tests, `tests/parametric/test_headers_tracestate_dd.py`).
fn settle(is_sampled: bool, state: &mut State) -> Priority {
    match state.priority {
        Some(told) if (told > 0) == is_sampled => Priority(told),
        Some(_) if is_sampled => {
            tags::set(&mut state.tags, DECISION.to_string(), "-0".to_string());
            Priority::AUTO_KEEP
        }
        Some(_) => {
            state.tags.retain(|(key, _)| key != DECISION);
            Priority::AUTO_REJECT
        }
        None if is_sampled => Priority::AUTO_KEEP,
        None => Priority::AUTO_REJECT,
    }
}

/// Appends both headers.
pub(super) fn inject(context: &SpanContext, headers: &mut Vec<(&'static str, String)>) {
    let SpanContext {
        trace_id,
        span_id,
        priority,
        ..
    } = context;
    let sampled = u8::from(priority.is_some_and(Priority::keeps));
    let mut value = String::with_capacity(55);
    // Writing to a text cannot fail.
    let _ = write!(value, "00-{trace_id:032x}-{span_id:016x}-{sampled:02x}");
    headers.push((NAME, value));
    tracestate::inject(context, headers);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-640cfd8d00000000112210f47de98115-00000000deadbeef-01";
    const ID: u128 = 0x640c_fd8d_0000_0000_1122_10f4_7de9_8115;

    fn read(lines: &[(&str, &str)]) -> Option<SpanContext> {
        extract(&|name| {
            lines
                .iter()
                .filter(move |(n, _)| *n == name)
                .map(|(_, value)| *value)
        })
    }

    #[track_caller]
    fn check(rule: &str, parent: &str, expected: Option<i32>) {
        let seen = read(&[("traceparent", parent)]);
        let seen = seen.map(|c| (c.trace_id, c.span_id, c.priority.map(|p| p.0)));
        assert_eq!(
            seen,
            expected.map(|priority| (ID, 0xdead_beef, Some(priority))),
            "{rule}"
        );
    }

    #[test]
    fn a_parent_has_four_parts_of_one_length_each() {
        check("sampled", PARENT, Some(1));
        check("not sampled", &PARENT.replace("f-01", "f-00"), Some(0));
        check("other flags", &PARENT.replace("f-01", "f-fe"), Some(0));
        check(
            "sampled among others",
            &PARENT.replace("f-01", "f-ff"),
            Some(1),
        );
        check("space around", &format!(" \t{PARENT}\t "), Some(1));
        check("a later version", &format!("cc{}", &PARENT[2..]), Some(1));
        check(
            "a later version may be longer",
            &format!("cc{}-what", &PARENT[2..]),
            Some(1),
        );
        check(
            "but not as it likes",
            &format!("cc{}.what", &PARENT[2..]),
            None,
        );
        check("version 00 may not", &format!("{PARENT}-what"), None);
        check("version 00 may not, by a byte", &format!("{PARENT}-"), None);
        check("version ff", &format!("ff{}", &PARENT[2..]), None);
        check("a version too long", &format!("0{PARENT}"), None);
        check("a version too short", &PARENT[1..], None);
        check("capitals", &PARENT.to_uppercase(), None);
        check(
            "no trace",
            "00-00000000000000000000000000000000-00000000deadbeef-01",
            None,
        );
        check(
            "no lower half",
            "00-640cfd8d000000000000000000000000-00000000deadbeef-01",
            None,
        );
        check(
            "no span",
            "00-640cfd8d00000000112210f47de98115-0000000000000000-01",
            None,
        );
        check("a trace too short", &PARENT.replace("-6", "-"), None);
        check("a trace too long", &PARENT.replace("-6", "-66"), None);
        check("a span too short", &PARENT.replace("-0", "-"), None);
        check(
            "bad digits in the trace",
            &PARENT.replace("640c", "640g"),
            None,
        );
        check(
            "bad digits in the span",
            &PARENT.replace("beef", "beet"),
            None,
        );
        check(
            "bad digits in the flags",
            &PARENT.replace("f-01", "f-0."),
            None,
        );
        check("flags too short", &PARENT.replace("f-01", "f-1"), None);
        check("three parts", &PARENT[..52], None);
        check("empty", "", None);
        assert_eq!(read(&[]), None, "absent");
    }

    #[test]
    fn two_parents_are_none() {
        for other in [
            PARENT,
            "00-00000000000000000000000000000007-0000000000000008-01",
            "",
        ] {
            assert_eq!(
                read(&[("traceparent", PARENT), ("traceparent", other)]),
                None,
                "{other}"
            );
        }
    }

    #[track_caller]
    fn check_decision(
        rule: &str,
        (flags, dd): (&str, &str),
        priority: i32,
        decision: Option<&str>,
    ) {
        let parent = format!("{}-{flags}", &PARENT[..52]);
        let lines = [("traceparent", parent.as_str()), ("tracestate", dd)];
        let context = read(&lines).unwrap();
        let told = context.tags.iter().find(|(key, _)| key == "_dd.p.dm");
        let told = told.map(|(_, value)| value.as_str());
        assert_eq!(
            (context.priority, told),
            (Some(Priority(priority)), decision),
            "{rule}"
        );
    }

    #[test]
    fn the_flag_is_stronger_than_a_decision_that_contradicts_it() {
        check_decision("both keep", ("01", "dd=s:2;t.dm:-4"), 2, Some("-4"));
        check_decision(
            "only the flag keeps",
            ("01", "dd=s:-1;t.dm:-4"),
            1,
            Some("-0"),
        );
        check_decision(
            "zero does not keep",
            ("01", "dd=t.dm:-4;s:0"),
            1,
            Some("-0"),
        );
        check_decision("nobody is told to keep", ("01", "dd=s:0"), 1, Some("-0"));
        check_decision("the flag alone", ("01", "dd=t.dm:-4"), 1, Some("-4"));
        check_decision("no part of ours", ("01", "other=1"), 1, None);
        check_decision("both drop", ("00", "dd=s:-1"), -1, None);
        check_decision("only the flag drops", ("00", "dd=s:2;t.dm:-4"), 0, None);
        check_decision("the flag alone drops", ("00", ""), 0, None);
    }

    #[test]
    fn a_hostile_state_costs_the_state_and_not_the_trace() {
        let long = format!("dd=s:2;o:rum,{}", "a=1,".repeat(1 << 18));
        let context = read(&[("traceparent", PARENT), ("tracestate", &long)]).unwrap();
        let expected = SpanContext {
            trace_id: ID,
            span_id: 0xdead_beef,
            priority: Some(Priority(1)),
            ..SpanContext::default()
        };
        assert_eq!(context, expected);
    }

    #[test]
    fn a_context_has_exactly_these_headers_and_comes_back_the_same() {
        let context = SpanContext {
            trace_id: ID,
            span_id: 0xdead_beef,
            priority: Some(Priority::USER_KEEP),
            origin: Some("rum".to_string()),
            tags: vec![("_dd.p.dm".to_string(), "-4".to_string())],
            state: "other=1".to_string(),
            datadog_parent_id: None,
        };
        let mut headers = Vec::new();
        inject(&context, &mut headers);
        let lines: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let state = "dd=s:2;o:rum;p:00000000deadbeef;t.dm:-4,other=1";
        assert_eq!(lines, [("traceparent", PARENT), ("tracestate", state)]);
        let expected = SpanContext {
            datadog_parent_id: Some(0xdead_beef),
            ..context
        };
        assert_eq!(read(&lines), Some(expected));
    }
}
