//! How the exporters stand.

use serde_json::{Value, json};

use crate::api::{Fault, Services};
use crate::log::Logger;
use crate::profile::Profiler;
use crate::server::{Params, Reply, Request, Watch};
use crate::trace::{AgentState, Tracer};

pub(in crate::api) fn health(services: &Services, _: &Request, _: &Params) -> Result<Reply, Fault> {
    let up_ns = services.clock.mono_ns().saturating_sub(services.started_ns);
    let states = services.states();
    let exporters: serde_json::Map<String, Value> = states
        .iter()
        .map(|state| (state.name.to_string(), state.to_json()))
        .collect();
    let prometheus = services.registry.stats();
    let server = services.server.get().map(Watch::stats).unwrap_or_default();
    // The API serves whatever becomes of its telemetry, so it is healthy while it answers.
    Ok(Reply::json(
        200,
        &json!({
            "status": "ok",
            "uptime_seconds": up_ns / 1_000_000_000,
            "exporters": exporters,
            "tracer": tracer(&services.tracer),
            "log": log(&services.logger),
            "profiler": services.profiler.as_ref().map(profiler),
            "server": {
                "replies": server.replies,
                "write_failed": server.write_failed,
                "dropped": server.dropped,
                "refused": server.refused,
                "panics": server.panics,
                "abandoned": server.abandoned,
                "accept_restarts": server.accept_restarts,
            },
            "prometheus": {
                "families": prometheus.families,
                "series": prometheus.series,
                "series_refused": prometheus.series_refused,
                "observations_ignored": prometheus.observations_ignored,
            },
        }),
    ))
}

/// What sampling did and what it took; `null` where nothing is profiled.
fn profiler(profiler: &Profiler) -> Value {
    let counts = profiler.counts();
    json!({
        "threads": counts.threads,
        "threads_refused": counts.threads_refused,
        "looks": counts.looks,
        "looks_ns": counts.looks_ns,
    })
}

/// What became of lines by level, and of the file as a whole; the exporters' ledger has the reasons.
fn log(logger: &Logger) -> Value {
    let stats = logger.stats();
    let dropped = stats.dropped().pairs();
    let dropped: serde_json::Map<String, Value> = dropped
        .filter(|(_, count)| *count > 0)
        .map(|(level, count)| (level.status().to_string(), json!(count)))
        .collect();
    json!({
        "dropped": dropped,
        "lines_own": stats.lines_own,
        "file_rotated": stats.file_rotated,
        "file_rotate_failed": stats.file_rotate_failed,
        "file_reopened": stats.file_reopened,
        "file_reopen_failed": stats.file_reopen_failed,
        "stdout_lines_lost": stats.stdout_lines_lost,
        "stdout_closed": stats.stdout_closed,
    })
}

/// What the tracer did, and what its sampling dropped: that is no loss, and stands in no ledger.
fn tracer(tracer: &Tracer) -> Value {
    let (counts, sampling) = (tracer.counts(), tracer.sampling());
    let agent = match tracer.agent() {
        AgentState::Reachable(Some(info)) => json!({ "reachable": true, "version": info.version }),
        AgentState::Reachable(None) => json!({ "reachable": true }),
        AgentState::Unreachable(error) => json!({ "reachable": false, "error": error }),
        _ => Value::Null,
    };
    json!({
        "enabled": tracer.is_enabled(),
        "agent": agent,
        "spans_started": counts.spans_started,
        "spans_finished": counts.spans_finished,
        "traces_abandoned": counts.traces_abandoned,
        "traces_kept": sampling.kept,
        "traces_sampled_out": {
            "agent_rate": sampling.dropped_by_agent,
            "rule": sampling.dropped_by_rule,
            "rate_limit": sampling.dropped_by_limit,
            "manual": sampling.dropped_by_hand,
            "caller": sampling.dropped_by_caller,
        },
        "spans_kept_alone": sampling.spans_kept,
        "payloads": counts.payloads,
        "payload_bytes": counts.payload_bytes,
        "retries": counts.retries,
        "splits": counts.splits,
        "failed": counts.failed,
    })
}
