//! Who we are, and where the Agent is.

use super::Var;
use crate::config::values::{boolean, host, set, tags};

pub(super) const VARS: &[Var] = &[
    Var {
        name: "OTEL_SERVICE_NAME",
        default: "",
        takes: "a name",
        help: "as DD_SERVICE, which wins",
        read: |s, v| {
            s.service_said = true;
            set(&mut s.service, Some(v.to_string()))
        },
    },
    Var {
        name: "DD_SERVICE",
        default: "testapi",
        takes: "a name",
        help: "service of every span, metric and log line",
        read: |s, v| {
            s.service_said = true;
            set(&mut s.service, Some(v.to_string()))
        },
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
        read: |s, v| {
            s.version_said = true;
            set(&mut s.version, Some(v.to_string()))
        },
    },
    Var {
        name: "DD_TAGS",
        default: "",
        takes: "key:value pairs, separated by commas, or by spaces if there is no comma",
        help: "tags added to every metric and span",
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
        name: "DD_AGENT_HOST",
        default: "127.0.0.1",
        takes: "a host name or address",
        help: "the Agent's host, for traces and DogStatsD",
        read: |s, v| set(&mut s.agent_host, host(v).map(Some)),
    },
];
