//! Headers to a context: which style wins, and what becomes of the others.
//!
//! As in dd-trace-go, `ddtrace/tracer/textmap.go` (`chainedPropagator.Extract`), but that a style whose
//! headers are malformed is passed over as if they were absent, as in dd-trace-py.

use super::super::{Extracted, SpanContext, SpanLink};
use super::headers::Headers;
use super::{Behavior, Propagation, Style, b3, baggage, datadog, tracecontext, tracestate};

impl Propagation {
    /// Reads a request's headers; `values` gives every value of a name in lower case, in order.
    ///
    /// The first style that has a context gives the parent. A later one of another trace becomes a link;
    /// W3C's of the same trace adds what other vendors said, and its span is the parent, being the nearest.
    pub fn extract<'a, V: Iterator<Item = &'a str>>(
        &self,
        values: impl Fn(&'static str) -> V,
    ) -> Extracted {
        if self.behavior == Behavior::Ignore {
            return Extracted::default();
        }
        let mut extracted = self.contexts(&values);
        if self.extract.contains(&Style::Baggage) {
            extracted.baggage = baggage::extract(&values, self.baggage_limits());
        }
        extracted
    }

    fn contexts<'a>(&self, headers: &impl Headers<'a>) -> Extracted {
        let mut links = Vec::new();
        let mut chosen: Option<Chosen> = None;
        for style in self.extract.iter().copied() {
            let Some((context, error)) = self.read(style, headers) else {
                continue;
            };
            match &mut chosen {
                None => chosen = Some(Chosen::new(style, context, error)),
                Some(chosen) if !is_same_trace(&chosen.context, &context) => {
                    let given_up = Chosen::new(style, context, error);
                    links.extend(given_up.link("terminated_context", headers));
                }
                Some(chosen) => chosen.join(style, context),
            }
            if self.extract_first {
                break;
            }
        }
        let Some(chosen) = chosen else {
            return Extracted::default();
        };
        let error = chosen.error;
        let (parent, links) = if self.behavior == Behavior::Restart {
            let link = chosen.link("propagation_behavior_extract", headers);
            (None, link.into_iter().collect())
        } else {
            (Some(chosen.parent()), links)
        };
        Extracted {
            parent,
            links,
            error,
            baggage: Vec::new(),
        }
    }

    fn read<'a>(
        &self,
        style: Style,
        headers: &impl Headers<'a>,
    ) -> Option<(SpanContext, Option<&'static str>)> {
        let context = match style {
            Style::Datadog => return datadog::extract(headers, self.tags_bytes_max),
            Style::TraceContext => tracecontext::extract(headers),
            Style::B3Single => b3::extract_single(headers),
            Style::B3Multi => b3::extract_multi(headers),
            Style::Baggage => None,
        };
        context.map(|context| (context, None))
    }

    pub(super) fn baggage_limits(&self) -> baggage::Limits {
        baggage::Limits {
            items: self.baggage_items_max,
            bytes: self.baggage_bytes_max,
        }
    }
}

/// A context, and where it was found.
struct Chosen {
    context: SpanContext,
    style: Style,
    error: Option<&'static str>,
    /// Whether `tracestate` is of its trace.
    has_state: bool,
}

impl Chosen {
    fn new(style: Style, context: SpanContext, error: Option<&'static str>) -> Chosen {
        let has_state = style == Style::TraceContext;
        Chosen {
            context,
            style,
            error,
            has_state,
        }
    }

    /// Takes over what the headers of another style know better of the same trace.
    fn join(&mut self, style: Style, other: SpanContext) {
        let context = &mut self.context;
        context.trace_id |= other.trace_id;
        if style != Style::TraceContext {
            return;
        }
        self.has_state = true;
        context.state = other.state;
        if context.span_id != other.span_id {
            let is_datadog = self.style == Style::Datadog && context.span_id != 0;
            let by_datadog = is_datadog.then_some(context.span_id);
            context.datadog_parent_id = other.datadog_parent_id.or(by_datadog);
            context.span_id = other.span_id;
        }
    }

    /// Where Datadog's own headers name the parent too, there is nothing to say of the last Datadog span. Where
    /// W3C's stand alone, it is told as they have it (dd-trace-py, `ddtrace/propagation/http.py`).
    fn parent(self) -> SpanContext {
        let mut context = self.context;
        let told = context.datadog_parent_id;
        let is_alone = self.style == Style::TraceContext;
        context.datadog_parent_id = told.filter(|id| is_alone || *id != context.span_id);
        context
    }

    /// None to the context of a synthetic test, which has no span.
    fn link<'a>(&self, reason: &str, headers: &impl Headers<'a>) -> Option<SpanLink> {
        let context = &self.context;
        let attributes = [("reason", reason), ("context_headers", self.style.word())];
        let attributes = attributes.map(|(key, value)| (key.to_string(), value.to_string()));
        let state = self.has_state.then(|| tracestate::as_it_came(headers));
        let flags = context.priority.map(|priority| u32::from(priority.keeps()));
        (context.span_id != 0).then(|| SpanLink {
            trace_id: context.trace_id,
            span_id: context.span_id,
            attributes: attributes.to_vec(),
            state: state.unwrap_or_default(),
            flags,
        })
    }
}

/// Not every header has room for 128 bits, or tells them: where one has no upper half, the lower ones decide.
fn is_same_trace(one: &SpanContext, other: &SpanContext) -> bool {
    let differ = one.trace_id ^ other.trace_id;
    let is_narrow = one.trace_id >> 64 == 0 || other.trace_id >> 64 == 0;
    differ == 0 || (differ as u64 == 0 && is_narrow)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::super::super::Priority;
    use super::*;

    type Lines<'a> = &'a [(&'static str, &'a str)];

    fn of(styles: &str) -> Propagation {
        Propagation {
            extract: Style::list(styles).unwrap(),
            ..Propagation::default()
        }
    }

    fn read(propagation: &Propagation, lines: Lines<'_>) -> Extracted {
        propagation.extract(|name| {
            lines
                .iter()
                .filter(move |(n, _)| *n == name)
                .map(|(_, v)| *v)
        })
    }

    /// One trace in three notations, of three callers: 5 by Datadog, 6 by W3C, 7 by B3.
    const ALL: Lines<'static> = &[
        ("x-datadog-trace-id", "1234567890123456789"),
        ("x-datadog-parent-id", "5"),
        ("x-datadog-sampling-priority", "2"),
        ("x-datadog-origin", "rum"),
        ("x-datadog-tags", "_dd.p.dm=-4,_dd.p.tid=640cfd8d00000000"),
        (
            "traceparent",
            "00-640cfd8d00000000112210f47de98115-0000000000000006-01",
        ),
        (
            "tracestate",
            "dd=s:1;o:ci;p:0000000000000009;t.dm:-1,other=1",
        ),
        ("b3", "640cfd8d00000000112210f47de98115-0000000000000007-0"),
        ("baggage", "a=1"),
    ];
    const ID: u128 = 0x640c_fd8d_0000_0000_1122_10f4_7de9_8115;

    /// Caller, its last Datadog span, priority, origin, decision maker, what others say.
    type Seen<'a> = (u64, Option<u64>, i32, &'a str, &'a str, &'a str);

    #[track_caller]
    fn check(rule: &str, styles: &str, expected: Seen<'_>) {
        let extracted = read(&of(styles), ALL);
        let context = extracted.parent.unwrap();
        let seen = (
            context.span_id,
            context.datadog_parent_id,
            context.priority.map_or(99, |priority| priority.0),
            context.origin.as_deref().unwrap_or(""),
            context.tags.first().map_or("", |(_, value)| value),
            context.state.as_str(),
        );
        assert_eq!((context.trace_id, seen), (ID, expected), "{rule}");
        assert_eq!((extracted.links, extracted.error), (vec![], None), "{rule}");
    }

    #[test]
    fn the_first_style_wins_and_w3c_adds_what_it_knows_better() {
        check("Datadog alone", "datadog", (5, None, 2, "rum", "-4", ""));
        check(
            "W3C alone",
            "tracecontext",
            (6, Some(9), 1, "ci", "-1", "other=1"),
        );
        check("B3 alone", "b3", (7, None, 0, "", "", ""));
        check(
            "Datadog, then W3C",
            "datadog,tracecontext",
            (6, Some(9), 2, "rum", "-4", "other=1"),
        );
        check(
            "W3C, then Datadog",
            "tracecontext,datadog",
            (6, Some(9), 1, "ci", "-1", "other=1"),
        );
        check(
            "Datadog, then B3",
            "datadog,b3",
            (5, None, 2, "rum", "-4", ""),
        );
        check(
            "B3, then W3C",
            "b3,tracecontext",
            (6, Some(9), 0, "", "", "other=1"),
        );
        check(
            "all",
            "datadog,b3,tracecontext",
            (6, Some(9), 2, "rum", "-4", "other=1"),
        );
        check(
            "baggage is no context",
            "baggage,datadog",
            (5, None, 2, "rum", "-4", ""),
        );
    }

    #[test]
    fn extract_first_looks_no_further() {
        let first = Propagation {
            extract_first: true,
            ..of("b3multi,datadog,tracecontext,baggage")
        };
        let extracted = read(&first, ALL);
        let context = extracted.parent.unwrap();
        assert_eq!((context.span_id, context.state.as_str()), (5, ""));
        assert_eq!(extracted.baggage.len(), 1, "which is not of the context");
    }

    #[track_caller]
    fn check_last(
        rule: &str,
        datadog: &str,
        (parent, state): (&str, &str),
        expected: (u64, Option<u64>),
    ) {
        let lines = [
            ("x-datadog-trace-id", "7"),
            ("x-datadog-parent-id", datadog),
            ("x-datadog-origin", "synthetics"),
            ("traceparent", parent),
            ("tracestate", state),
        ];
        let context = read(&of("datadog,tracecontext"), &lines).parent.unwrap();
        assert_eq!(
            (context.span_id, context.datadog_parent_id),
            expected,
            "{rule}"
        );
    }

    #[test]
    fn the_last_datadog_span_is_told_where_datadogs_headers_do_not() {
        let six = "00-00000000000000000000000000000007-0000000000000006-01";
        let (ours, other) = ("dd=s:1;p:0000000000000006", "dd=p:0000000000000009");
        check_last("one caller", "6", (six, ours), (6, None));
        check_last(
            "one caller, another before it",
            "6",
            (six, other),
            (6, None),
        );
        check_last("two callers", "5", (six, other), (6, Some(9)));
        check_last("two callers, W3C's ours", "5", (six, ours), (6, None));
        check_last("no word on the last", "5", (six, "a=1"), (6, Some(5)));
        check_last("no caller by Datadog", "0", (six, "a=1"), (6, None));
        check_last("W3C's malformed", "5", (&six[1..], other), (5, None));
        let lines = [("traceparent", six), ("tracestate", ours)];
        let context = read(&of("tracecontext"), &lines).parent.unwrap();
        assert_eq!(
            (context.span_id, context.datadog_parent_id),
            (6, Some(6)),
            "W3C alone"
        );
    }

    #[track_caller]
    fn check_same(rule: &str, datadog_high: &str, w3c_high: &str, expected: (u128, usize)) {
        let parent = format!("00-{w3c_high}0000000000000007-0000000000000005-01");
        let lines = [
            ("x-datadog-trace-id", "7"),
            ("x-datadog-parent-id", "5"),
            ("x-datadog-tags", datadog_high),
            ("traceparent", parent.as_str()),
        ];
        let extracted = read(&of("datadog,tracecontext"), &lines);
        let seen = (extracted.parent.unwrap().trace_id, extracted.links.len());
        assert_eq!(seen, expected, "{rule}");
    }

    #[test]
    fn an_upper_half_that_is_not_told_makes_no_other_trace() {
        let wide = (0x640c_fd8d_0000_0000 << 64) | 7;
        let tid = "_dd.p.tid=640cfd8d00000000";
        let (high, none, other) = ("640cfd8d00000000", "0000000000000000", "640cfd8d00000001");
        check_same("both", tid, high, (wide, 0));
        check_same("neither", "", none, (7, 0));
        check_same("W3C alone", "", high, (wide, 0));
        check_same("Datadog alone", tid, none, (wide, 0));
        check_same("two", tid, other, (wide, 1));
    }

    fn attributes(reason: &str, headers: &str) -> Vec<(String, String)> {
        let pairs = [("reason", reason), ("context_headers", headers)];
        pairs
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .to_vec()
    }

    #[test]
    fn contexts_of_other_traces_become_links() {
        let lines = [
            ("x-datadog-trace-id", "7"),
            ("x-datadog-parent-id", "5"),
            (
                "traceparent",
                "00-00000000000000010000000000000002-0000000000000006-00",
            ),
            ("tracestate", "other=1 , dd=s:-1"),
            ("x-b3-traceid", "8"),
            ("x-b3-spanid", "9"),
        ];
        let extracted = read(&of("datadog,tracecontext,b3multi"), &lines);
        let parent = extracted.parent.unwrap();
        assert_eq!(
            (parent.trace_id, parent.span_id, parent.state.as_str()),
            (7, 5, "")
        );
        let by_w3c = SpanLink {
            trace_id: (1 << 64) | 2,
            span_id: 6,
            attributes: attributes("terminated_context", "tracecontext"),
            state: "other=1,dd=s:-1".to_string(),
            flags: Some(0),
        };
        let by_b3 = SpanLink {
            trace_id: 8,
            span_id: 9,
            attributes: attributes("terminated_context", "b3multi"),
            ..SpanLink::default()
        };
        assert_eq!(extracted.links, [by_w3c, by_b3]);
        let reversed = read(&of("b3multi,datadog"), &lines);
        let told: Vec<_> = reversed
            .links
            .iter()
            .map(|link| (link.trace_id, link.flags))
            .collect();
        assert_eq!(told, [(7, None)], "flags only where something was decided");
    }

    #[test]
    fn a_restart_links_to_the_parent_that_would_have_been() {
        let restart = Propagation {
            behavior: Behavior::Restart,
            ..Propagation::default()
        };
        let mut lines = ALL.to_vec();
        let extracted = read(&restart, &lines);
        let link = SpanLink {
            trace_id: ID,
            span_id: 6,
            attributes: attributes("propagation_behavior_extract", "datadog"),
            state: "dd=s:1;o:ci;p:0000000000000009;t.dm:-1,other=1".to_string(),
            flags: Some(1),
        };
        let baggage = vec![("a".to_string(), "1".to_string())];
        let expected = Extracted {
            links: vec![link],
            baggage: baggage.clone(),
            ..Extracted::default()
        };
        assert_eq!(extracted, expected);
        lines[5].1 = "00-00000000000000010000000000000002-0000000000000006-01";
        let extracted = read(&restart, &lines);
        assert_eq!(extracted.links.len(), 1, "not to others");
        assert_eq!(
            (
                extracted.links[0].span_id,
                extracted.links[0].state.as_str()
            ),
            (5, "")
        );
        let test = [
            ("x-datadog-trace-id", "7"),
            ("x-datadog-parent-id", "0"),
            ("x-datadog-origin", "synthetics"),
            ("baggage", "a=1"),
        ];
        let nobody = Extracted {
            baggage,
            ..Extracted::default()
        };
        assert_eq!(read(&restart, &ALL[8..]), nobody, "nothing to link to");
        assert_eq!(read(&restart, &test), nobody, "no span to link to");
    }

    #[test]
    fn what_is_ignored_is_not_read() {
        let ignore = Propagation {
            behavior: Behavior::Ignore,
            ..Propagation::default()
        };
        for propagation in [ignore, of("none")] {
            let nobody_asks = |name: &'static str| -> std::iter::Empty<&str> { panic!("{name}") };
            assert_eq!(propagation.extract(nobody_asks), Extracted::default());
        }
    }

    #[test]
    fn a_malformed_style_is_passed_over() {
        let mut lines = ALL.to_vec();
        lines[0].1 = "0x7";
        let parent = read(&of("datadog,tracecontext"), &lines).parent.unwrap();
        assert_eq!((parent.span_id, parent.priority), (6, Some(Priority(1))));
        lines.push((
            "traceparent",
            "00-00000000000000010000000000000002-0000000000000006-01",
        ));
        assert_eq!(
            read(&of("datadog,tracecontext"), &lines),
            Extracted::default(),
            "two callers"
        );
    }

    #[test]
    fn an_error_is_that_of_the_context_chosen() {
        let mut lines = ALL.to_vec();
        for (tags, error) in [
            ("_dd.p.dm", "decoding_error"),
            (&*"x".repeat(513), "extract_max_size"),
        ] {
            lines[4].1 = tags;
            assert_eq!(read(&of("datadog,tracecontext"), &lines).error, Some(error));
            assert_eq!(read(&of("tracecontext,datadog"), &lines).error, None);
            let restart = Propagation {
                behavior: Behavior::Restart,
                ..of("datadog")
            };
            assert_eq!(read(&restart, &lines).error, Some(error));
        }
    }

    #[test]
    fn baggage_is_read_where_it_is_asked_for() {
        let a = [("a".to_string(), "1".to_string())];
        for (styles, expected) in [
            ("datadog,baggage", &a[..]),
            ("baggage", &a),
            ("datadog", &[]),
        ] {
            let extracted = read(&of(styles), ALL);
            assert_eq!(extracted.baggage, expected, "{styles}");
            assert_eq!(extracted.parent.is_some(), styles != "baggage", "{styles}");
        }
    }

    #[test]
    fn a_request_without_headers_costs_one_look_a_style() {
        for (styles, expected) in [
            (
                "datadog,tracecontext,baggage",
                &["x-datadog-trace-id", "traceparent", "baggage"][..],
            ),
            ("b3,b3multi", &["b3", "x-b3-traceid"]),
            ("none", &[]),
        ] {
            let asked = RefCell::new(Vec::new());
            let nothing = |name| {
                asked.borrow_mut().push(name);
                std::iter::empty()
            };
            assert_eq!(of(styles).extract(nothing), Extracted::default());
            assert_eq!(asked.into_inner(), expected);
        }
    }
}
