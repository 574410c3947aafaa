//! Every kind of Datadog telemetry from a synchronous Rust service.

pub mod clock;
pub mod identity;

pub mod worker;

pub mod http;

pub mod dogstatsd;

pub mod trace;

pub mod prometheus;

pub mod log;

pub mod server;

pub mod api;

pub mod agent;

pub mod config;
