//! A context to headers.

use super::super::SpanContext;
use super::{Propagation, Style, b3, baggage, datadog, tracecontext};

/// Headers of an outgoing request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Injected {
    /// Names in lower case, and values that any HTTP client may send as they are.
    pub headers: Vec<(&'static str, String)>,
    /// `_dd.propagation_error`: what kept a tag from being told.
    pub error: Option<&'static str>,
}

impl Propagation {
    /// Writes a context, where it has both ids, and baggage, in each style asked for.
    pub fn inject(&self, context: &SpanContext, baggage: &[(String, String)]) -> Injected {
        // Datadog writes five, the others fewer.
        let headers = Vec::with_capacity(4 * self.inject.len());
        let mut injected = Injected {
            headers,
            error: None,
        };
        let has_ids = context.trace_id as u64 != 0 && context.span_id != 0;
        let headers = &mut injected.headers;
        for style in self.inject.iter().copied() {
            match style {
                Style::Baggage => baggage::inject(baggage, self.baggage_limits(), headers),
                _ if !has_ids => {}
                Style::Datadog => {
                    injected.error = datadog::inject(context, self.tags_bytes_max, headers);
                }
                Style::TraceContext => tracecontext::inject(context, headers),
                Style::B3Single => b3::inject_single(context, headers),
                Style::B3Multi => b3::inject_multi(context, headers),
            }
        }
        injected
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::{Extracted, Priority};
    use super::super::headers::is_printable;
    use super::*;

    fn all() -> Propagation {
        let styles = Style::list("tracecontext,datadog,b3,b3multi,baggage").unwrap();
        Propagation {
            extract: styles.clone(),
            inject: styles,
            ..Propagation::default()
        }
    }

    fn read(propagation: &Propagation, headers: &[(&'static str, String)]) -> Extracted {
        propagation.extract(|name| {
            headers
                .iter()
                .filter(move |(n, _)| *n == name)
                .map(|(_, value)| value.as_str())
        })
    }

    fn context() -> SpanContext {
        SpanContext {
            trace_id: 7,
            span_id: 5,
            priority: Some(Priority::AUTO_KEEP),
            ..SpanContext::default()
        }
    }

    #[test]
    fn styles_are_written_in_their_order() {
        let names = |styles: &str| {
            let propagation = Propagation {
                inject: Style::list(styles).unwrap(),
                ..Propagation::default()
            };
            let baggage = [("a".to_string(), "1".to_string())];
            let injected = propagation.inject(&context(), &baggage);
            let names: Vec<_> = injected.headers.iter().map(|(name, _)| *name).collect();
            names.join(" ")
        };
        let datadog = "x-datadog-trace-id x-datadog-parent-id x-datadog-sampling-priority";
        assert_eq!(names("datadog"), datadog);
        assert_eq!(names("tracecontext"), "traceparent tracestate");
        assert_eq!(
            names("b3multi,b3"),
            "x-b3-traceid x-b3-spanid x-b3-sampled b3"
        );
        assert_eq!(names("baggage,datadog"), format!("baggage {datadog}"));
        assert_eq!(names("none"), "");
    }

    #[test]
    fn what_is_no_context_is_not_written_but_baggage_is() {
        let baggage = [("a".to_string(), "1".to_string())];
        for (trace_id, span_id) in [(0, 5), (7, 0), (7 << 64, 5)] {
            let context = SpanContext {
                trace_id,
                span_id,
                ..context()
            };
            let injected = all().inject(&context, &baggage);
            assert_eq!(injected.headers, [("baggage", "a=1".to_string())]);
        }
        assert_eq!(
            all().inject(&SpanContext::default(), &[]),
            Injected::default()
        );
    }

    #[test]
    fn an_error_says_what_was_not_told() {
        for (value, error) in [
            ("1".to_string(), None),
            ("a,b".to_string(), Some("encoding_error")),
            ("x".repeat(513), Some("inject_max_size")),
        ] {
            let tags = vec![("_dd.p.a".to_string(), value)];
            let context = SpanContext { tags, ..context() };
            assert_eq!(all().inject(&context, &[]).error, error);
        }
    }

    fn hostile() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ -~]{0,20}",
            "[a\r\n\0,;:=~%\u{e9} \t-]{0,20}",
            "(dd=s:2;|a=1,|x){0,300}",
            any::<String>(),
        ]
    }

    fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
        let key = prop_oneof![hostile(), "_dd\\.p\\.[a-z]{1,4}"];
        prop::collection::vec((key, hostile()), 0..8)
    }

    prop_compose! {
        fn any_context()(
            trace_id in any::<u128>(), span_id in any::<u64>(), priority in any::<Option<i32>>(),
            origin in prop::option::of(hostile()), tags in pairs(), state in hostile(),
        ) -> SpanContext {
            let priority = priority.map(Priority);
            SpanContext { trace_id, span_id, priority, origin, tags, state, datadog_parent_id: None }
        }
    }

    proptest! {
        #[test]
        fn whatever_a_context_holds_each_header_stays_one_value_within_its_limit(
            context in any_context(), baggage in pairs(),
        ) {
            for (name, value) in all().inject(&context, &baggage).headers {
                let bytes_max = match name {
                    "x-datadog-tags" => 512,
                    "tracestate" => 4_096,
                    "baggage" => 8_192,
                    _ => 200,
                };
                prop_assert!(is_printable(&value), "{name}: {value:?}");
                prop_assert!((1..=bytes_max).contains(&value.len()), "{name}: {}", value.len());
            }
        }

        #[test]
        fn ids_and_decision_come_back_whatever_else_there_is(context in any_context()) {
            for style in ["datadog", "tracecontext", "b3", "b3multi"] {
                let styles = Style::list(style).unwrap();
                let one = Propagation { extract: styles.clone(), inject: styles, ..all() };
                // The upper half is a tag to Datadog, and goes with the others where they are too many.
                let tags = if style == "datadog" { Vec::new() } else { context.tags.clone() };
                let context = SpanContext { tags, ..context.clone() };
                let headers = one.inject(&context, &[]).headers;
                let parent = read(&one, &headers).parent;
                let ids = parent.as_ref().map(|parent| (parent.trace_id, parent.span_id));
                let has_ids = context.trace_id as u64 != 0 && context.span_id != 0;
                prop_assert_eq!(ids, has_ids.then_some((context.trace_id, context.span_id)));
                let keeps = |context: &SpanContext| context.priority.is_some_and(Priority::keeps);
                if let Some(parent) = parent {
                    prop_assert_eq!(keeps(&parent), keeps(&context), "{}", style);
                }
            }
        }

        #[test]
        fn baggage_comes_back_the_same(baggage in pairs()) {
            let mut unique: Vec<(String, String)> = Vec::new();
            for (key, value) in baggage {
                let is_new = unique.iter().all(|(there, _)| *there != key);
                if is_new && !key.is_empty() && !value.is_empty() {
                    unique.push((key, value));
                }
            }
            let headers = all().inject(&SpanContext::default(), &unique).headers;
            let read = read(&all(), &headers).baggage;
            let told = headers.first().map_or(0, |(_, list)| list.split(',').count());
            prop_assert_eq!(&read[..], &unique[..told]);
        }

        #[test]
        fn whatever_comes_is_read_within_the_limits_and_can_be_told_again(
            values in prop::collection::vec(hostile(), 0..3), parent in any::<bool>(),
        ) {
            let good = "00-640cfd8d00000000112210f47de98115-00000000deadbeef-01";
            let extracted = all().extract(|name| {
                let good = (parent && name == "traceparent").then_some(good);
                let others = values.iter().map(String::as_str).filter(move |_| good.is_none());
                good.into_iter().chain(others)
            });
            let bytes: usize = extracted.baggage.iter().map(|(key, value)| key.len() + value.len()).sum();
            prop_assert!(extracted.baggage.len() <= 64 && bytes <= 3 * 8_192);
            if let Some(parent) = extracted.parent {
                prop_assert!(parent.state.len() <= 4_096 && is_printable(&parent.state));
                let injected = all().inject(&parent, &extracted.baggage);
                prop_assert_eq!(injected.error, None);
            }
        }
    }
}
