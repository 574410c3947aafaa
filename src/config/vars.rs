//! The table.

use std::fmt::Write;

use super::Settings;
use super::values::{boolean, cardinality, host, port, seconds, set, tags, whole, window};

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Var {
    /// Its name in the environment.
    pub name: &'static str,
    /// What holds where nothing is said, as a user would write it.
    pub default: &'static str,
    /// What a value looks like.
    pub takes: &'static str,
    /// What it does, in one line.
    pub help: &'static str,
    /// Reads a value; false where it is not one.
    pub(super) read: fn(&mut Settings, &str) -> bool,
}

/// Every name that is read.
pub const VARS: &[Var] = &[
    Var {
        name: "DD_SERVICE",
        default: "testapi",
        takes: "a name",
        help: "service of every span, metric and log line",
        read: |s, v| set(&mut s.service, Some(v.to_string())),
    },
    Var {
        name: "DD_ENV",
        default: "",
        takes: "a name",
        help: "env tag of everything",
        read: |s, v| set(&mut s.env, Some(v.to_string())),
    },
    Var {
        name: "DD_VERSION",
        default: env!("CARGO_PKG_VERSION"),
        takes: "a version",
        help: "version tag of everything",
        read: |s, v| set(&mut s.version, Some(v.to_string())),
    },
    Var {
        name: "DD_TAGS",
        default: "",
        takes: "key:value pairs, separated by commas, or by spaces if there is no comma",
        help: "tags added to every metric and entry span",
        read: |s, v| {
            s.add_tags(tags(v));
            true
        },
    },
    Var {
        name: "DATADOG_TAGS",
        default: "",
        takes: "key:value pairs, as DD_TAGS",
        help: "as DD_TAGS, which wins where both have a key; the name that datadogpy reads",
        read: |s, v| {
            let mut more = tags(v);
            more.retain(|(key, _)| s.tags.iter().all(|(known, _)| known != key));
            s.add_tags(more);
            true
        },
    },
    Var {
        name: "DD_HOSTNAME",
        default: "the kernel's",
        takes: "a host name",
        help: "host this process says it runs on",
        read: |s, v| set(&mut s.hostname, Some(Some(v.to_string()))),
    },
    Var {
        name: "DD_ENTITY_ID",
        default: "",
        takes: "a pod's id",
        help: "tag dd.internal.entity_id, by which the Agent finds the pod",
        read: |s, v| set(&mut s.entity_id, Some(Some(v.to_string()))),
    },
    Var {
        name: "DD_EXTERNAL_ENV",
        default: "",
        takes: "what the admission controller wrote",
        help: "origin of the container, passed on to the Agent",
        read: |s, v| {
            let clean: String = v
                .chars()
                .filter(|c| (' '..='~').contains(c) && *c != '|')
                .collect();
            set(&mut s.external_env, Some(Some(clean)))
        },
    },
    Var {
        name: "DD_ORIGIN_DETECTION_ENABLED",
        default: "true",
        takes: "true or false",
        help: "tell the Agent which container this is",
        read: |s, v| set(&mut s.origin_detection, boolean(v)),
    },
    Var {
        name: "DATADOG_CARDINALITY",
        default: "",
        takes: "none, low, orchestrator or high",
        help: "as DD_CARDINALITY, which wins",
        read: |s, v| match cardinality(v) {
            Some(cardinality) => {
                s.set_cardinality(cardinality);
                true
            }
            None => false,
        },
    },
    Var {
        name: "DD_CARDINALITY",
        default: "the Agent's",
        takes: "none, low, orchestrator or high",
        help: "how many tags the Agent adds to DogStatsD metrics",
        read: |s, v| match cardinality(v) {
            Some(cardinality) => {
                s.set_cardinality(cardinality);
                true
            }
            None => false,
        },
    },
    Var {
        name: "DD_AGENT_HOST",
        default: "127.0.0.1",
        takes: "a host name or address",
        help: "the Agent's host, for traces and DogStatsD",
        read: |s, v| set(&mut s.agent_host, host(v).map(Some)),
    },
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
        name: "DD_TRACE_AGENT_TIMEOUT_SECONDS",
        default: "2",
        takes: "seconds, over 0 to 60",
        help: "time for one payload of traces, from connect to answer",
        read: |s, v| set(&mut s.trace.timeout, seconds(v)),
    },
    Var {
        name: "DD_TRACE_WRITER_INTERVAL_SECONDS",
        default: "1",
        takes: "seconds, over 0 to 60",
        help: "time between two payloads of traces",
        read: |s, v| match seconds(v) {
            Some(interval) => {
                s.set_trace_interval(interval);
                true
            }
            None => false,
        },
    },
    Var {
        name: "DD_TRACE_WRITER_BUFFER_SIZE_BYTES",
        default: "8388608",
        takes: "bytes, 65536 to 1073741824",
        help: "traces held while the Agent is away",
        read: |s, v| set(&mut s.trace.buffer_bytes_max, whole(v, 65_536, 1 << 30)),
    },
    Var {
        name: "DD_TRACE_WRITER_MAX_PAYLOAD_SIZE_BYTES",
        default: "4194304",
        takes: "bytes, 65536 to 26214400",
        help: "longest payload of traces",
        read: |s, v| set(&mut s.trace.payload_bytes_max, whole(v, 65_536, 25 << 20)),
    },
    Var {
        name: "DD_DOGSTATSD_URL",
        default: "",
        takes: "udp://host:port, unix:///path, unixgram:///path or unixstream:///path",
        help: "the Agent for DogStatsD; wins over host and port",
        read: |s, v| set(&mut s.dogstatsd_url, v.parse().ok().map(Some)),
    },
    Var {
        name: "DD_DOGSTATSD_HOST",
        default: "DD_AGENT_HOST",
        takes: "a host name or address",
        help: "the Agent's host for DogStatsD alone",
        read: |s, v| set(&mut s.dogstatsd_host, host(v).map(Some)),
    },
    Var {
        name: "DD_DOGSTATSD_PORT",
        default: "8125",
        takes: "a port, 1 to 65535",
        help: "the Agent's port for DogStatsD",
        read: |s, v| set(&mut s.dogstatsd_port, port(v).map(Some)),
    },
    Var {
        name: "DD_DOGSTATSD_SOCKET",
        default: "/var/run/datadog/dsd.socket if it is there",
        takes: "a path",
        help: "the Agent's Unix socket for DogStatsD, of either type; URL, host and port win over it",
        read: |s, v| set(&mut s.dogstatsd_socket, Some(Some(v.into()))),
    },
    Var {
        name: "DD_DOGSTATSD_DISABLE",
        default: "false",
        takes: "true or false",
        help: "true: the API's metrics are not sent; those of TESTAPI_STATSD_HOST are",
        read: |s, v| set(&mut s.dogstatsd.enabled, boolean(v).map(|off| !off)),
    },
    Var {
        name: "TESTAPI_DOGSTATSD_WINDOW",
        default: "2",
        takes: "1, 2, 5 or 10 seconds",
        help: "time that counts, gauges and sets are added up before they are sent; divides the Agent's ten seconds",
        read: |s, v| set(&mut s.dogstatsd.flush_interval, window(v)),
    },
    Var {
        name: "TESTAPI_DOGSTATSD_CONTEXTS",
        default: "5000",
        takes: "1 to 1000000",
        help: "series of callers' words in one window; those beyond share one a metric, tagged overflow:true",
        read: |s, v| set(&mut s.dogstatsd.contexts_max, whole(v, 1, 1_000_000)),
    },
    Var {
        name: "TESTAPI_DOGSTATSD_SET_MEMBERS",
        default: "10000",
        takes: "1 to 1000000",
        help: "members of one set in one window; at the bound they are sent early",
        read: |s, v| set(&mut s.dogstatsd.set_members_max, whole(v, 1, 1_000_000)),
    },
    Var {
        name: "TESTAPI_DOGSTATSD_VALUES",
        default: "1024",
        takes: "1 to 1000000",
        help: "values of one histogram, distribution or timing in one window; beyond, a fair sample stands for all",
        read: |s, v| set(&mut s.dogstatsd.values_max, whole(v, 1, 1_000_000)),
    },
    Var {
        name: "TESTAPI_DOGSTATSD_QUEUE_BYTES",
        default: "1048576",
        takes: "bytes, 65536 to 1073741824",
        help: "samples that wait for the thread that sends",
        read: |s, v| set(&mut s.dogstatsd.queue_bytes_max, whole(v, 65_536, 1 << 30)),
    },
    Var {
        name: "TESTAPI_DOGSTATSD_BACKLOG_BYTES",
        default: "1048576",
        takes: "bytes, 65536 to 1073741824",
        help: "datagrams that wait for an Agent that is away; the oldest go first",
        read: |s, v| {
            set(
                &mut s.dogstatsd.backlog_bytes_max,
                whole(v, 65_536, 1 << 30),
            )
        },
    },
    Var {
        name: "TESTAPI_DOGSTATSD_TELEMETRY",
        default: "true",
        takes: "true or false",
        help: "the client tells of itself every ten seconds, as datadog.dogstatsd.client.*",
        read: |s, v| set(&mut s.dogstatsd.telemetry, boolean(v)),
    },
    Var {
        name: "DD_LOGS_INJECTION",
        default: "true",
        takes: "true or false",
        help: "log lines carry the ids of the active span",
        read: |s, v| set(&mut s.logs_injection, boolean(v)),
    },
    Var {
        name: "TESTAPI_BIND",
        default: "127.0.0.1:5000",
        takes: "address:port",
        help: "where the API listens",
        read: |s, v| {
            set(
                &mut s.bind,
                v.rsplit_once(':').and_then(|(h, p)| {
                    let _ = p.parse::<u16>().ok()?;
                    (!h.is_empty()).then(|| v.to_string())
                }),
            )
        },
    },
    Var {
        name: "TESTAPI_WORKERS",
        default: "2 x cores, at least 4",
        takes: "1 to 1024",
        help: "threads that serve the API",
        read: |s, v| set(&mut s.workers, whole(v, 1, 1_024)),
    },
    Var {
        name: "TESTAPI_LOG_FILE",
        default: "",
        takes: "a path",
        help: "file that log lines are appended to",
        read: |s, v| set(&mut s.log.file, Some(Some(v.into()))),
    },
    Var {
        name: "TESTAPI_LOG_STDOUT",
        default: "true",
        takes: "true or false",
        help: "log lines go to stdout",
        read: |s, v| set(&mut s.log.stdout, boolean(v)),
    },
    Var {
        name: "TESTAPI_LOG_LEVEL",
        default: "info",
        takes: "debug, info, warning, error or critical",
        help: "lowest level that is written",
        read: |s, v| set(&mut s.log.level_min, v.parse().ok()),
    },
    Var {
        name: "TESTAPI_STATSD_HOST",
        default: "",
        takes: "host:port or unix:///path",
        help: "where the server's own metrics go, under gunicorn's names",
        read: |s, v| set(&mut s.statsd_host, v.parse().ok().map(Some)),
    },
    Var {
        name: "TESTAPI_STATSD_PREFIX",
        default: "",
        takes: "a letter, then letters, digits, _ and dots, up to 172 bytes",
        help: "what stands before gunicorn. in these names; it ends with one dot, said or not",
        read: |s, v| set(&mut s.gunicorn.prefix, v.parse().ok()),
    },
    Var {
        name: "TESTAPI_DOGSTATSD_TAGS",
        default: "",
        takes: "key:value pairs, separated by commas, without pipes and @",
        help: "tags added to each of gunicorn's metrics; for all metrics there is DD_TAGS",
        read: |s, v| set(&mut s.gunicorn.tags, v.parse().ok()),
    },
    Var {
        name: "TESTAPI_ENABLE_BACKLOG_METRIC",
        default: "false",
        takes: "true or false",
        help: "send gunicorn.backlog too: connections that wait to be accepted",
        read: |s, v| set(&mut s.gunicorn.backlog, boolean(v)),
    },
];

/// The table as text for `--help`.
pub fn help() -> String {
    let mut text = String::from("Environment:\n");
    for Var {
        name,
        default,
        takes,
        help,
        ..
    } in VARS
    {
        let default = if default.is_empty() { "unset" } else { default };
        let _ = writeln!(
            text,
            "  {name}\n          {help} ({takes}) [default: {default}]"
        );
    }
    text
}
