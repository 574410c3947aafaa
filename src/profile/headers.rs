//! Headers that every upload has.

use crate::identity::Identity;

/// As libdatadog sends them (`profile_exporter.rs`), and whose container it is. There is one upload a minute, so no connection is kept.
pub(super) fn of(identity: &Identity) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("DD-EVP-ORIGIN", env!("CARGO_PKG_NAME").to_string()),
        (
            "DD-EVP-ORIGIN-VERSION",
            env!("CARGO_PKG_VERSION").to_string(),
        ),
        ("Connection", "close".to_string()),
    ];
    let origin = identity.origin_headers();
    headers.extend(origin.map(|(name, value)| (name, value.to_string())));
    headers
}
