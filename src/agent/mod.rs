//! The local agent: takes what a Datadog Agent takes, keeps it in memory, shows it.

pub mod decode;
pub mod page;
pub mod view;
