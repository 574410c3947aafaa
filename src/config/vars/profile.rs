//! The profiler.

use super::Var;
use crate::config::values::{boolean, seconds, seconds_in, set, tags, whole};

/// What a sample of allocations stands for, as in Go's and Datadog's own profilers.
const HEAP_EVERY_BYTES: usize = 512 << 10;

pub(super) const VARS: &[Var] = &[
    Var {
        name: "DD_PROFILING_ENABLED",
        default: "false",
        takes: "true, false or auto, which is true",
        help: "the service samples its own stacks and sends profiles to the Agent",
        read: |s, v| {
            let is_on = match v.eq_ignore_ascii_case("auto") {
                true => Some(true),
                false => boolean(v),
            };
            set(&mut s.profiling.enabled, is_on.map(Some))
        },
    },
    Var {
        name: "DD_PROFILING_UPLOAD_INTERVAL",
        default: "60",
        takes: "seconds, 0.1 to 3600",
        help: "time between two profiles; the first comes after ten seconds at most",
        read: |s, v| {
            let interval = seconds_in(v, 0.1..=3_600.0);
            set(&mut s.profiling.upload_interval, interval.map(Some))
        },
    },
    Var {
        name: "DD_PROFILING_UPLOAD_TIMEOUT",
        default: "10",
        takes: "seconds, 0.001 to 60, with or without an s behind them",
        help: "time for one profile, from connect to answer",
        // dd-trace-go reads a duration, `10s`; dd-trace-rb a number.
        read: |s, v| {
            let number = v.strip_suffix('s').unwrap_or(v);
            set(&mut s.profiling.options.timeout, seconds(number))
        },
    },
    Var {
        name: "DD_PROFILING_URL",
        default: "",
        takes: "http://host:port or unix:///path",
        help: "the Agent for profiles, where it is another than that for traces",
        read: |s, v| set(&mut s.profiling.agent, v.parse().ok().map(Some)),
    },
    Var {
        name: "DD_PROFILING_OUTPUT_DIR",
        default: "",
        takes: "the path of a folder",
        help: "profiles are written there too",
        read: |s, v| set(&mut s.profiling.options.output_dir, Some(Some(v.into()))),
    },
    Var {
        name: "DD_PROFILING_TAGS",
        default: "",
        takes: "key:value pairs, as DD_TAGS",
        help: "tags added to every profile",
        read: |s, v| set(&mut s.profiling.options.tags, Some(tags(v))),
    },
    Var {
        name: "DD_PROFILING_CODE_HOTSPOTS_COLLECTION_ENABLED",
        default: "true",
        takes: "true or false",
        help: "samples carry the ids of the span that was active",
        read: |s, v| set(&mut s.profiling.options.hotspots, boolean(v)),
    },
    Var {
        name: "DD_PROFILING_ENDPOINT_COLLECTION_ENABLED",
        default: "true",
        takes: "true or false",
        help: "samples carry the resource of the request that they belong to",
        read: |s, v| set(&mut s.profiling.options.endpoints, boolean(v)),
    },
    Var {
        name: "DD_PROFILING_ALLOCATION_ENABLED",
        default: "false",
        takes: "true or false",
        help: "samples of where memory is allocated, every 512 KiB, in a program built with --features count-allocations",
        read: |s, v| {
            let every = boolean(v).map(|on| if on { HEAP_EVERY_BYTES } else { 0 });
            set(&mut s.profiling.options.heap_every_bytes, every)
        },
    },
    Var {
        name: "TESTAPI_PROFILING_CPU_HZ",
        default: "99",
        takes: "1 to 1000",
        help: "samples for each second of CPU time that a thread uses",
        read: |s, v| {
            let hz = whole(v, 1, 1_000).map(|hz| hz as u32);
            set(&mut s.profiling.options.cpu_hz, hz)
        },
    },
    Var {
        name: "TESTAPI_PROFILING_WALL_HZ",
        default: "20",
        takes: "0 to 100",
        help: "samples for each second of a thread's life, busy or not; 0: none",
        read: |s, v| {
            let hz = whole(v, 0, 100).map(|hz| hz as u32);
            set(&mut s.profiling.options.wall_hz, hz)
        },
    },
];
