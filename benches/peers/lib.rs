//! Nothing to use; `cargo bench` runs `calls.rs` and `spans.rs`.
