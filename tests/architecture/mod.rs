//! The plan of the house, read from the source: a plan that nobody checks is wrong within a month.
//!
//! The scan is by hand and knows just enough Rust: comments, texts and what stands under `#[cfg(test)]`
//! are blanked out, the rest is looked through for paths.

mod rooms;
mod source;
