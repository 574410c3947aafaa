//! Log lines.

use super::Var;
use crate::config::values::{boolean, set};

pub(super) const VARS: &[Var] = &[
    Var {
        name: "DD_LOGS_INJECTION",
        default: "true",
        takes: "true or false",
        help: "log lines carry the ids of the active span",
        read: |s, v| set(&mut s.logs_injection, boolean(v)),
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
        read: |s, v| {
            s.log_level_said = true;
            set(&mut s.log.level_min, v.parse().ok())
        },
    },
];
