//! The program, from its command line to its last line.

mod agent;
mod agentless;
mod command_line;
mod descriptors;
mod end_to_end;
mod errors;
mod gunicorn;
mod hangup;
mod libraries;
mod metrics;
mod panics;
mod profiles;
