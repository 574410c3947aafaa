//! Panics: captured in the hook, where the stack still stands; told to the request that caused them.
//!
//! After `catch_unwind` the stack is gone, so the hook parks message, place and frames in a
//! thread-local and the request's middleware picks them up. Panics of other threads are critical records, or
//! go to stderr where no log takes them, at most one a second: the HTTP crate underneath panics once for each
//! connection that is reset early, and a flood is a way to fill a disk.

use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::panic::{self, PanicHookInfo};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fault::Failure;
use super::frames;
use crate::clock::Clock;
use crate::log::{self, Level, Reader, Record, Stderr};
use crate::worker::panic_text;

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static CAUGHT: RefCell<Option<Failure>> = const { RefCell::new(None) };
}

static STDERR: OnceLock<Stderr> = OnceLock::new();

/// Sets the hook, once a process; later calls do nothing. What the log does not take goes to this stderr.
pub fn install(stderr: Stderr) {
    if STDERR.set(stderr).is_ok() {
        panic::set_hook(Box::new(on_panic));
    }
}

fn on_panic(info: &PanicHookInfo<'_>) {
    let place = info
        .location()
        .map_or_else(String::new, ToString::to_string);
    let message = panic_text(info.payload());
    if !WATCHED.get() {
        return tell_sparsely(message, &place);
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

fn tell_sparsely(message: &str, place: &str) {
    static SPARSE: Sparse = Sparse::new();
    let Some(silent) = SPARSE.admit(Clock::system().unix_ns() / 1_000_000_000) else {
        return;
    };
    let silent = match silent {
        0 => String::new(),
        count => format!(" (and {count} more since the last)"),
    };
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed");
    let said = format!("thread {name} panicked at {place}: {message}{silent}");
    let stack = frames::render(&Backtrace::force_capture());
    tell(&Record {
        logger: "testapi",
        thread: name,
        error_kind: Some("panic"),
        error_message: Some(&format!("{message} ({place})")),
        error_stack: Some(&stack),
        ..Record::new(Level::Critical, &said)
    });
}

/// Lets one a second through, and counts the others.
struct Sparse {
    last_second: AtomicU64,
    silent: AtomicU64,
}

impl Sparse {
    const fn new() -> Sparse {
        Sparse {
            last_second: AtomicU64::new(0),
            silent: AtomicU64::new(0),
        }
    }

    /// How many were not let through since the last that was; `None` for one more of them.
    fn admit(&self, second: u64) -> Option<u64> {
        if self.last_second.swap(second, Ordering::Relaxed) == second {
            self.silent.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.silent.swap(0, Ordering::Relaxed))
    }
}

/// To the log, which writes it at once; to stderr where it does not, and where a person looks on.
fn tell(record: &Record<'_>) {
    let logger = log::current().filter(|logger| logger.is_on(record.level));
    let written = logger.is_some_and(|logger| logger.log_now(record).is_ok());
    if let Some(stderr) = STDERR.get()
        && (!written || stderr.reader() == Reader::Person)
    {
        stderr.say(record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    #[test]
    fn a_panic_comes_back_with_its_message_and_its_place() {
        install(Stderr::new(&Identity::default(), Clock::system()));
        let failure = watch(|| panic!("number {}", 7)).unwrap_err();
        assert_eq!((failure.status, failure.kind.as_str()), (500, "panic"));
        assert!(
            failure.message.starts_with("number 7 (src/api/panics.rs:"),
            "{}",
            failure.message
        );
        assert_eq!(watch(|| 5), Ok(5));
    }

    #[test]
    fn one_a_second_is_let_through_and_the_next_tells_of_the_others() {
        let sparse = Sparse::new();
        for (second, expected) in [
            (1, Some(0)),
            (1, None),
            (1, None),
            (2, Some(2)),
            (3, Some(0)),
            (3, None),
        ] {
            assert_eq!(sparse.admit(second), expected, "{second}");
        }
    }
}
