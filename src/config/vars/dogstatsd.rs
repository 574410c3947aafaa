//! DogStatsD.

use super::Var;
use crate::config::values::{boolean, cardinality, host, port, set, whole, window};

pub(super) const VARS: &[Var] = &[
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
];
