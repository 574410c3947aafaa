//! Panics: captured in the hook, where the stack still stands; told to the request that caused them.
//!
//! After `catch_unwind` the stack is gone, so the hook parks message, place and frames in a
//! thread-local and the request's middleware picks them up. Panics of other threads go to stderr, at most
//! one a second: the HTTP crate underneath panics once for each connection that is reset early, and
//! a flood on stderr is a way to fill a disk.

use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::io::Write;
use std::panic::{self, PanicHookInfo};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fault::Failure;
use super::frames;
use crate::clock::Clock;
use crate::worker::panic_text;

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static CAUGHT: RefCell<Option<Failure>> = const { RefCell::new(None) };
}

/// Sets the hook, once a process; later calls do nothing.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| panic::set_hook(Box::new(on_panic)));
}

fn on_panic(info: &PanicHookInfo<'_>) {
    let place = info
        .location()
        .map_or_else(String::new, ToString::to_string);
    let message = panic_text(info.payload());
    if !WATCHED.get() {
        return print_sparsely(message, &place);
    }
    let failure = Failure {
        status: 500,
        kind: "panic".to_string(),
        message: format!("{message} ({place})"),
        stack: frames::render(&Backtrace::force_capture()),
    };
    CAUGHT.set(Some(failure));
}

/// Runs a handler; a panic inside is caught and comes back as a failure.
pub(super) fn watch<R>(run: impl FnOnce() -> R) -> Result<R, Failure> {
    let before = WATCHED.replace(true);
    let outcome = panic::catch_unwind(panic::AssertUnwindSafe(run));
    WATCHED.set(before);
    outcome.map_err(|payload| {
        CAUGHT.take().unwrap_or_else(|| Failure {
            status: 500,
            kind: "panic".to_string(),
            message: panic_text(&*payload).to_string(),
            stack: String::new(),
        })
    })
}

fn print_sparsely(message: &str, place: &str) {
    static LAST_SECOND: AtomicU64 = AtomicU64::new(0);
    static SILENT: AtomicU64 = AtomicU64::new(0);
    let second = Clock::system().unix_ns() / 1_000_000_000;
    if LAST_SECOND.swap(second, Ordering::Relaxed) == second {
        SILENT.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let thread = std::thread::current();
    let silent = match SILENT.swap(0, Ordering::Relaxed) {
        0 => String::new(),
        count => format!(" (and {count} more since the last)"),
    };
    let name = thread.name().unwrap_or("unnamed");
    // Written, not printed: a closed stderr must not panic inside a panic.
    let _ = writeln!(
        std::io::stderr(),
        "thread {name} panicked at {place}: {message}{silent}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_comes_back_with_its_message_and_its_place() {
        install();
        let failure = watch(|| panic!("number {}", 7)).unwrap_err();
        assert_eq!((failure.status, failure.kind.as_str()), (500, "panic"));
        assert!(
            failure.message.starts_with("number 7 (src/api/panics.rs:"),
            "{}",
            failure.message
        );
        assert_eq!(watch(|| 5), Ok(5));
    }
}
