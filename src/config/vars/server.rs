//! The API, and its server's own metrics.

use super::Var;
use crate::config::values::{boolean, set, whole};

pub(super) const VARS: &[Var] = &[
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
