//! Headers that every payload has.

use crate::identity::Identity;

/// As the Agent reads them (datadog-agent, `pkg/trace/api/internal/header`); dd-trace-go lists them too
/// (`ddtrace/tracer/transport.go`).
pub(super) fn of(identity: &Identity) -> Vec<(&'static str, String)> {
    let interpreter = format!("rustc-{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    let mut headers = vec![
        ("Content-Type", "application/msgpack".to_string()),
        ("Datadog-Meta-Lang", "rust".to_string()),
        (
            "Datadog-Meta-Lang-Version",
            env!("CARGO_PKG_RUST_VERSION").to_string(),
        ),
        ("Datadog-Meta-Lang-Interpreter", interpreter),
        (
            "Datadog-Meta-Tracer-Version",
            env!("CARGO_PKG_VERSION").to_string(),
        ),
        ("Datadog-Client-Computed-Top-Level", "yes".to_string()),
        // Without it an Agent that is too busy says 200 to what it throws away.
        ("Datadog-Send-Real-Http-Status", "1".to_string()),
    ];
    let origin = identity.origin_headers();
    headers.extend(origin.map(|(name, value)| (name, value.to_string())));
    headers
}
