//! Nothing to use; `cargo bench` runs `calls.rs`, `spans.rs`, `metrics.rs` and `logs.rs`.
