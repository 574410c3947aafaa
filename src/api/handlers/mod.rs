//! The handlers, one file a feature. Each says in its reply what it emitted.

pub(super) mod errors;
pub(super) mod health;
pub(super) mod index;
pub(super) mod load;
pub(super) mod logging;
pub(super) mod prometheus;
pub(super) mod sdmetrics;
pub(super) mod tracing;
