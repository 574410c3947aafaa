//! Traces: how they are sent, which are kept, how they go from process to process.

use super::Var;
use crate::config::Settings;
use crate::config::values::{at_least_zero, boolean, port, seconds, set, share, whole};
use crate::trace::{Rule, Style};

pub(super) const VARS: &[Var] = &[
    Var {
        name: "DD_TRACE_AGENT_PORT",
        default: "8126",
        takes: "a port, 1 to 65535",
        help: "the Agent's port for traces",
        read: |s, v| set(&mut s.trace_port, port(v).map(Some)),
    },
    Var {
        name: "DD_TRACE_AGENT_URL",
        default: "",
        takes: "http://host:port or unix:///path",
        help: "the Agent for traces; wins over host and port",
        read: |s, v| set(&mut s.trace_url, v.parse().ok().map(Some)),
    },
    Var {
        name: "DD_TRACE_ENABLED",
        default: "true",
        takes: "true or false",
        help: "false: no spans, no headers, nothing sent",
        read: |s, v| set(&mut s.trace.enabled, boolean(v)),
    },
    Var {
        name: "DD_TRACE_AGENT_TIMEOUT",
        default: "2",
        takes: "seconds, 0.001 to 60",
        help: "as DD_TRACE_AGENT_TIMEOUT_SECONDS, which wins; the name that dd-trace-go reads",
        read: |s, v| set(&mut s.trace.timeout, seconds(v)),
    },
    Var {
        name: "DD_TRACE_AGENT_TIMEOUT_SECONDS",
        default: "2",
        takes: "seconds, 0.001 to 60",
        help: "time for one payload of traces, from connect to answer",
        read: |s, v| set(&mut s.trace.timeout, seconds(v)),
    },
    Var {
        name: "DD_TRACE_WRITER_INTERVAL_SECONDS",
        default: "1",
        takes: "seconds, 0.001 to 60",
        help: "time between two payloads of traces",
        read: |s, v| set(&mut s.trace.flush_interval, seconds(v)),
    },
    Var {
        name: "DD_TRACE_WRITER_BUFFER_SIZE_BYTES",
        default: "8388608",
        takes: "bytes, 65536 to 1073741824",
        help: "traces that wait for the thread that sends, or while the Agent is away",
        read: |s, v| set(&mut s.trace.buffer_bytes_max, whole(v, 65_536, 1 << 30)),
    },
    Var {
        name: "DD_TRACE_WRITER_MAX_PAYLOAD_SIZE_BYTES",
        default: "4194304",
        takes: "bytes, 65536 to 26214400",
        help: "longest payload of traces; what the Agent's /info allows where that is less",
        read: |s, v| set(&mut s.trace.payload_bytes_max, whole(v, 65_536, 25 << 20)),
    },
    Var {
        name: "DD_TRACE_SAMPLE_RATE",
        default: "",
        takes: "a number from 0 to 1",
        help: "share of traces that is kept, of those no rule fits; unset leaves them to the Agent's rates",
        read: |s, v| set(&mut s.trace.sampling.rate, share(v).map(Some)),
    },
    Var {
        name: "DD_TRACE_SAMPLING_RULES",
        default: "",
        takes: "a JSON list of {service, name, resource, tags, sample_rate}",
        help: "rules for whole traces, globs in them; the first that fits decides",
        read: |s, v| {
            let (rules, problems) = Rule::list(v);
            s.trace.sampling.rules = rules;
            s.note("DD_TRACE_SAMPLING_RULES", problems);
            true
        },
    },
    Var {
        name: "DD_TRACE_RATE_LIMIT",
        default: "100",
        takes: "traces a second, 0 or more",
        help: "traces that rules and DD_TRACE_SAMPLE_RATE keep in a second",
        read: |s, v| set(&mut s.trace.sampling.per_second_max, at_least_zero(v)),
    },
    Var {
        name: "DD_SPAN_SAMPLING_RULES_FILE",
        default: "",
        takes: "a path",
        help: "file with DD_SPAN_SAMPLING_RULES, which wins",
        read: |s, v| set(&mut s.span_rules_file, Some(Some(v.into()))),
    },
    Var {
        name: "DD_SPAN_SAMPLING_RULES",
        default: "",
        takes: "a JSON list of {service, name, resource, tags, sample_rate, max_per_second}",
        help: "spans that are kept out of traces that are dropped",
        read: |s, v| {
            s.say_span_rules("DD_SPAN_SAMPLING_RULES", v);
            s.span_rules_file = None;
            true
        },
    },
    Var {
        name: "OTEL_PROPAGATORS",
        default: "",
        takes: "datadog, tracecontext, b3, b3multi, baggage or none, separated by commas",
        help: "as DD_TRACE_PROPAGATION_STYLE, which wins",
        read: styles_both_ways,
    },
    Var {
        name: "DD_TRACE_PROPAGATION_STYLE",
        default: "datadog,tracecontext,baggage",
        takes: "datadog, tracecontext, b3, b3multi, baggage or none, separated by commas",
        help: "headers between services, read and written",
        read: styles_both_ways,
    },
    Var {
        name: "DD_TRACE_PROPAGATION_STYLE_EXTRACT",
        default: "datadog,tracecontext,baggage",
        takes: "datadog, tracecontext, b3, b3multi, baggage or none, separated by commas",
        help: "headers between services that are read; wins over DD_TRACE_PROPAGATION_STYLE",
        read: |s, v| set(&mut s.trace.propagation.extract, Style::list(v)),
    },
    Var {
        name: "DD_TRACE_PROPAGATION_STYLE_INJECT",
        default: "datadog,tracecontext,baggage",
        takes: "datadog, tracecontext, b3, b3multi, baggage or none, separated by commas",
        help: "headers between services that are written; wins over DD_TRACE_PROPAGATION_STYLE",
        read: |s, v| set(&mut s.trace.propagation.inject, Style::list(v)),
    },
    Var {
        name: "DD_TRACE_PROPAGATION_EXTRACT_FIRST",
        default: "false",
        takes: "true or false",
        help: "true: the first context found is taken, without a look at the others",
        read: |s, v| set(&mut s.trace.propagation.extract_first, boolean(v)),
    },
    Var {
        name: "DD_TRACE_PROPAGATION_BEHAVIOR_EXTRACT",
        default: "continue",
        takes: "continue, restart or ignore",
        help: "what becomes of a caller's context: go on with it, begin a linked trace, or read nothing",
        read: |s, v| set(&mut s.trace.propagation.behavior, v.parse().ok()),
    },
    Var {
        name: "DD_TRACE_X_DATADOG_TAGS_MAX_LENGTH",
        default: "512",
        takes: "bytes, 0 to 512",
        help: "longest x-datadog-tags; 0 neither reads nor writes it",
        read: |s, v| set(&mut s.trace.propagation.tags_bytes_max, whole(v, 0, 512)),
    },
    Var {
        name: "DD_TRACE_BAGGAGE_MAX_ITEMS",
        default: "64",
        takes: "0 to 1024",
        help: "items of baggage that are read and written",
        read: |s, v| {
            set(
                &mut s.trace.propagation.baggage_items_max,
                whole(v, 0, 1_024),
            )
        },
    },
    Var {
        name: "DD_TRACE_BAGGAGE_MAX_BYTES",
        default: "8192",
        takes: "bytes, 0 to 65536",
        help: "longest baggage header that is read and written",
        read: |s, v| {
            set(
                &mut s.trace.propagation.baggage_bytes_max,
                whole(v, 0, 65_536),
            )
        },
    },
];

fn styles_both_ways(settings: &mut Settings, text: &str) -> bool {
    let propagation = &mut settings.trace.propagation;
    set(&mut propagation.extract, Style::list(text))
        && set(&mut propagation.inject, Style::list(text))
}
