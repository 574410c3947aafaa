//! What a program does around the rooms: it reads its environment once, and hears signals.
//!
//! Invariant: only a `main` calls this. Rooms are handed values.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// What a shell reports of a program that a second signal ended (128 + SIGINT).
const LEFT_AT_ONCE: i32 = 130;

/// The environment as pairs, and the names of those whose value is not Unicode: no setting can be that.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub fn environment() -> (Vec<(String, String)>, Vec<String>) {
    let (mut pairs, mut unreadable) = (Vec::new(), Vec::new());
    for (name, value) in std::env::vars_os() {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => pairs.push((name, value)),
            (Ok(name), Err(_)) => unreadable.push(name),
            _ => {}
        }
    }
    (pairs, unreadable)
}

/// True from the first SIGTERM or SIGINT on; a second leaves at once, with exit code 130.
///
/// # Errors
/// When the system refuses a handler.
pub fn stop_signal() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // In this order: the first arms what the second then finds armed.
        signal_hook::flag::register_conditional_shutdown(signal, LEFT_AT_ONCE, stop.clone())?;
        signal_hook::flag::register(signal, stop.clone())?;
    }
    Ok(stop)
}

/// True from a SIGHUP on, until somebody sets it back. Without this call the signal ends the program, as it
/// should when its terminal is closed.
///
/// # Errors
/// When the system refuses a handler.
pub fn hangup_signal() -> io::Result<Arc<AtomicBool>> {
    let hangup = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGHUP, hangup.clone())?;
    Ok(hangup)
}
