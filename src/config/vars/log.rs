//! Log lines.

use std::time::Duration;

use super::Var;
use crate::config::values::{boolean, set, whole};

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
        name: "TESTAPI_LOG_FILE_BYTES_MAX",
        default: "67108864",
        takes: "a whole number of bytes; 0 is no limit",
        help: "size at which the log file becomes `.1` and is begun anew",
        read: |s, v| set(&mut s.log.rotation.bytes_max, v.parse().ok()),
    },
    Var {
        name: "TESTAPI_LOG_FILE_AGE_MAX",
        default: "0",
        takes: "whole seconds up to a year, 31536000; 0 is no limit",
        help: "age at which the log file becomes `.1` and is begun anew",
        read: |s, v| {
            let seconds = whole(v, 0, 31_536_000);
            set(
                &mut s.log.rotation.age_max,
                seconds.map(|seconds| Duration::from_secs(seconds as u64)),
            )
        },
    },
    Var {
        name: "TESTAPI_LOG_FILES_KEPT",
        default: "4",
        takes: "a number from 1 to 100",
        help: "old log files that are kept, `.1` the newest",
        read: |s, v| set(&mut s.log.rotation.kept, whole(v, 1, 100)),
    },
    Var {
        name: "TESTAPI_LOG_QUEUE_BYTES_MAX",
        default: "8388608",
        takes: "bytes from 131072 to 1073741824",
        help: "log lines that may wait, and again as many while the file takes none",
        read: |s, v| set(&mut s.log.queue_bytes_max, whole(v, 128 << 10, 1 << 30)),
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
