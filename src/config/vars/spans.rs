//! Spans: what they say, and what the tracer says of itself.

use super::Var;
use crate::config::values::{boolean, header_name, set, whole, words};
use crate::trace::web::{HeaderTags, ServiceMapping, repository_url};

pub(super) const VARS: &[Var] = &[
    Var {
        name: "DD_TRACE_128_BIT_TRACEID_GENERATION_ENABLED",
        default: "true",
        takes: "true or false",
        help: "trace ids of 128 bits; false: 64",
        read: |s, v| set(&mut s.trace.spans.wide_trace_ids, boolean(v)),
    },
    Var {
        name: "DD_TRACE_128_BIT_TRACEID_LOGGING_ENABLED",
        default: "true",
        takes: "true or false",
        help: "log lines tell all 128 bits of a trace id, in hex; false: the lower 64, in decimal",
        read: |s, v| set(&mut s.wide_log_ids, boolean(v)),
    },
    Var {
        name: "DD_TRACE_PARTIAL_FLUSH_ENABLED",
        default: "true",
        takes: "true or false",
        help: "send finished spans of a trace that still runs",
        read: |s, v| set(&mut s.partial_flush, boolean(v)),
    },
    Var {
        name: "DD_TRACE_PARTIAL_FLUSH_MIN_SPANS",
        default: "300",
        takes: "1 to 10000",
        help: "finished spans that are sent so",
        read: |s, v| set(&mut s.partial_flush_spans, whole(v, 1, 10_000)),
    },
    Var {
        name: "DD_TRACE_HTTP_SERVER_ERROR_STATUSES",
        default: "500-599",
        takes: "statuses and ranges, separated by commas",
        help: "answers that are errors of the server's span",
        read: |s, v| set(&mut s.trace.web.server_errors, v.parse().ok()),
    },
    Var {
        name: "DD_TRACE_HTTP_CLIENT_ERROR_STATUSES",
        default: "400-499",
        takes: "statuses and ranges, separated by commas",
        help: "answers that are errors of a calling span",
        read: |s, v| set(&mut s.trace.web.client_errors, v.parse().ok()),
    },
    Var {
        name: "DD_HTTP_SERVER_TAG_QUERY_STRING",
        default: "true",
        takes: "true or false",
        help: "http.url holds the query",
        read: |s, v| set(&mut s.query.kept, boolean(v)),
    },
    Var {
        name: "DD_TRACE_OBFUSCATION_QUERY_STRING_REGEXP",
        default: "a built-in table",
        takes: "nothing, which switches it off; no regular expressions, see DD_TRACE_HTTP_URL_QUERY_STRING_ALLOWLIST",
        help: "what looks like a secret in a query is left out",
        read: |s, v| v.is_empty() && set(&mut s.query.redacted, Some(false)),
    },
    Var {
        name: "DD_TRACE_HTTP_URL_QUERY_STRING_ALLOWLIST",
        default: "",
        takes: "names of parameters, separated by commas",
        help: "the only parameters of a query that http.url holds; they are not looked through for secrets",
        read: |s, v| set(&mut s.query.only, Some(words(v))),
    },
    Var {
        name: "DD_TRACE_CLIENT_IP_ENABLED",
        default: "false",
        takes: "true or false",
        help: "spans tell the client's address",
        read: |s, v| set(&mut s.trace.web.client_ip, boolean(v)),
    },
    Var {
        name: "DD_TRACE_CLIENT_IP_HEADER",
        default: "",
        takes: "a header's name",
        help: "the one header that tells the client's address",
        read: |s, v| set(&mut s.trace.web.client_ip_header, header_name(v).map(Some)),
    },
    Var {
        name: "DD_TRACE_HEADER_TAGS",
        default: "",
        takes: "headers, or header:tag, separated by commas",
        help: "headers of requests and replies that become tags",
        read: |s, v| {
            let (tags, problems) = HeaderTags::parse(v);
            s.trace.web.header_tags = tags;
            s.note("DD_TRACE_HEADER_TAGS", problems);
            true
        },
    },
    Var {
        name: "DD_SERVICE_MAPPING",
        default: "",
        takes: "from:to, separated by commas",
        help: "other names for services",
        read: |s, v| {
            let (mapping, problems) = ServiceMapping::parse(v);
            s.trace.spans.service_mapping = mapping;
            s.note("DD_SERVICE_MAPPING", problems);
            true
        },
    },
    Var {
        name: "DD_TRACE_BAGGAGE_TAG_KEYS",
        default: "user.id,account.id,session.id",
        takes: "keys, separated by commas; * is all, nothing none",
        help: "keys of baggage that the entry span has as tags",
        read: |s, v| set(&mut s.trace.spans.baggage_tag_keys, Some(words(v))),
    },
    Var {
        name: "DD_TRACE_REPORT_HOSTNAME",
        default: "false",
        takes: "true or false",
        help: "spans tell the host's name",
        read: |s, v| set(&mut s.report_hostname, boolean(v)),
    },
    Var {
        name: "DD_GIT_REPOSITORY_URL",
        default: "",
        takes: "a URL",
        help: "where the source is; credentials in it are left out",
        read: |s, v| set(&mut s.trace.spans.repository_url, Some(repository_url(v))),
    },
    Var {
        name: "DD_GIT_COMMIT_SHA",
        default: "",
        takes: "a commit's hash",
        help: "which source this is",
        read: |s, v| set(&mut s.trace.spans.commit_sha, Some(v.to_string())),
    },
    Var {
        name: "DD_TRACE_STARTUP_LOGS",
        default: "true",
        takes: "true or false",
        help: "one line at the start says what holds, one more where the Agent is not there",
        read: |s, v| set(&mut s.startup_logs, boolean(v)),
    },
    Var {
        name: "DD_LOG_LEVEL",
        default: "info",
        takes: "debug, info, warning, error or critical",
        help: "as DD_TRACE_LOG_LEVEL, which wins",
        read: |s, v| set(&mut s.tracer_level, v.parse().ok()),
    },
    Var {
        name: "DD_TRACE_LOG_LEVEL",
        default: "info",
        takes: "debug, info, warning, error or critical",
        help: "lowest level at which the tracer tells of itself; the lines at the start have DD_TRACE_STARTUP_LOGS",
        read: |s, v| set(&mut s.tracer_level, v.parse().ok()),
    },
    Var {
        name: "DD_TRACE_DEBUG",
        default: "false",
        takes: "true or false",
        help: "the tracer tells what it sends, and the log is written from debug on; never a payload",
        read: |s, v| match boolean(v) {
            Some(is_on) => {
                s.set_debug(is_on);
                true
            }
            None => false,
        },
    },
    Var {
        name: "DD_TRACE_HEALTH_METRICS_ENABLED",
        default: "true",
        takes: "true or false",
        help: "the tracer counts what it does, as datadog.tracer.* over DogStatsD",
        read: |s, v| set(&mut s.health_metrics, boolean(v)),
    },
    Var {
        name: "DD_INSTRUMENTATION_TELEMETRY_ENABLED",
        default: "false",
        takes: "false alone: this tracer sends Datadog nothing about itself",
        help: "there is no such telemetry here",
        read: |_, v| boolean(v) == Some(false),
    },
    Var {
        name: "DD_REMOTE_CONFIGURATION_ENABLED",
        default: "false",
        takes: "false alone: nobody changes settings from afar",
        help: "there is no remote configuration here",
        read: |_, v| boolean(v) == Some(false),
    },
];
