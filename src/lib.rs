//! Every kind of Datadog telemetry from a synchronous Rust service: traces, DogStatsD, Prometheus, JSON
//! logs, and a local agent that takes and shows them without an account.
//!
//! A room is a folder or file with one front door. In reading order:
//!
//! - [`clock`], [`identity`]: what time it is, who we are
//! - [`threads`]: who is told of a thread's birth
//! - [`worker`]: the one background thread that every exporter is built on
//! - [`http`]: one exchange as a client, under one deadline
//! - [`dogstatsd`], [`trace`], [`prometheus`], [`log`], [`profile`]: the exporters, which never name one another
//! - [`gunicorn`]: the server's own metrics under gunicorn's names, over DogStatsD
//! - [`server`]: sockets in, plain requests to plain replies
//! - [`api`]: the demo's routes and the telemetry of a request
//! - [`agent`]: the local agent; it shares no code with the exporters it decodes
//! - [`config`]: the table of names, and typed options made from it
//! - [`app`]: start, wire, stop
//! - [`process`]: what a `main` does around that: its environment, its signals
//!
//! To take the exporters without the command line: `default-features = false`.

pub mod clock;
pub mod identity;
pub mod threads;
pub mod worker;

pub mod http;

pub mod dogstatsd;
pub mod log;
pub mod profile;
pub mod prometheus;
pub mod trace;

pub mod gunicorn;

pub mod server;

pub mod api;

pub mod agent;

pub mod config;

pub mod app;
pub mod process;
