//! How the exporters stand.

use serde_json::{Value, json};

use crate::api::{Fault, Services};
use crate::server::{Params, Reply, Request, Watch};

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
            "server": {
                "replies": server.replies,
                "write_failed": server.write_failed,
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
