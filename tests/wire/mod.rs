//! What leaves the library, exactly, and what the agent's own decoders make of it.

mod agent_rules;
mod captures;
mod conservation;
mod dogstatsd;
mod faults;
mod gunicorn;
mod log;
mod log_hostile;
mod log_libraries;
mod log_rotation;
mod prometheus;
mod replay;
mod rig;
mod spans;
mod system_tests;
mod trace_faults;
mod traces;
