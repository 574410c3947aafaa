//! Headers that every upload has.

use crate::identity::Identity;

/// As libdatadog sends them (`profile_exporter.rs`), and what the Agent reads of containers (datadog-agent,
/// `pkg/trace/api/internal/header`). There is one upload a minute, so no connection is kept.
pub(super) fn of(identity: &Identity) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("DD-EVP-ORIGIN", env!("CARGO_PKG_NAME").to_string()),
        (
            "DD-EVP-ORIGIN-VERSION",
            env!("CARGO_PKG_VERSION").to_string(),
        ),
        ("Connection", "close".to_string()),
    ];
    let optional = [
        ("Datadog-Container-ID", &identity.container_id),
        ("Datadog-Entity-ID", &identity.entity_id),
        ("Datadog-External-Env", &identity.external_env),
    ];
    for (name, value) in optional {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            headers.push((name, value.clone()));
        }
    }
    headers
}
