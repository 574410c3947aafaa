//! A backtrace as an error's stack: our own frames, innermost first, each with function, file and line.
//!
//! Error Tracking groups by the top meaningful frame. The machinery of panics and of the runtime is
//! dropped from both ends, so that the same fault gives the same top frame wherever it was captured.

use std::backtrace::Backtrace;
use std::fmt::Write;

/// Frames that a stack keeps.
const FRAMES_MAX: usize = 50;

/// A frame of a backtrace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame<'a> {
    function: &'a str,
    place: &'a str,
}

/// The backtrace's frames from the fault outwards, up to where the request came in.
pub(super) fn render(backtrace: &Backtrace) -> String {
    render_text(&backtrace.to_string())
}

fn render_text(text: &str) -> String {
    let frames = parse(text);
    let own = frames
        .iter()
        .skip_while(|frame| is_capture(frame) || is_runtime(frame))
        .take_while(|frame| !is_entry(frame))
        .filter(|frame| !is_runtime(frame))
        .take(FRAMES_MAX);
    let mut stack = String::new();
    let mut own: Vec<Frame<'_>> = own.map(Frame::of_named).collect();
    // A closure and the function it stands in are one place to a reader.
    own.dedup_by(|outer, inner| outer.function == inner.function);
    for (number, Frame { function, place }) in own.into_iter().enumerate() {
        let _ = writeln!(stack, "{number}: {}\n    at {place}", function);
    }
    stack
}

/// std prints `  4: function` and, where debug information has it, `at file:line:column` below.
fn parse(text: &str) -> Vec<Frame<'_>> {
    let mut frames: Vec<Frame<'_>> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(place) = line.strip_prefix("at ") {
            if let Some(frame) = frames.last_mut() {
                frame.place = without_root(place);
            }
        } else if let Some((number, function)) = line.split_once(": ")
            && number.bytes().all(|b| b.is_ascii_digit())
        {
            frames.push(Frame {
                function,
                place: "unknown:0",
            });
        }
    }
    frames
}

/// Where the program was built is nobody's business, and differs from build to build.
fn without_root(place: &str) -> &str {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    place
        .strip_prefix(root)
        .or_else(|| place.strip_prefix("./"))
        .unwrap_or(place)
}

/// Frames are told by their file: the name of an inlined function may lack its path.
fn is_capture(frame: &Frame<'_>) -> bool {
    ["src/api/fault.rs", "src/api/panics.rs", "src/api/frames.rs"]
        .iter()
        .any(|file| frame.place.starts_with(file))
}

/// Where the request came in; what called that is the same for every request.
fn is_entry(frame: &Frame<'_>) -> bool {
    frame.place.starts_with("src/api/instrument.rs")
}

fn is_runtime(frame: &Frame<'_>) -> bool {
    let function = frame.function.trim_start_matches('<');
    let parts = [
        "std::",
        "core::",
        "alloc::",
        "__rust",
        "rust_begin_unwind",
        "start_thread",
        "clone3",
    ];
    parts.iter().any(|part| function.starts_with(part))
        || ["/rustc/", "/library/", "/rustlib/"]
            .iter()
            .any(|part| frame.place.contains(part))
}

impl<'a> Frame<'a> {
    /// Without what a build or a refactoring changes: the hash in `name::h0123456789abcdef`, and
    /// closures, which Error Tracking would group apart from their function.
    fn of_named(frame: &Frame<'a>) -> Frame<'a> {
        let mut function = frame.function;
        if let Some((name, hash)) = function.rsplit_once("::h")
            && hash.len() == 16
            && hash.bytes().all(|b| b.is_ascii_hexdigit())
        {
            function = name;
        }
        while let Some(outer) = function.strip_suffix("::{{closure}}") {
            function = outer;
        }
        Frame {
            function,
            place: frame.place,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANIC: &str = "   0: std::backtrace::Backtrace::force_capture
             at /rustc/59807616/library/std/src/backtrace.rs:312:9
   1: testapi::api::panics::install::{{closure}}
             at ./src/api/panics.rs:40:30
   2: __rustc::rust_begin_unwind
             at /rustc/59807616/library/std/src/panicking.rs:689:5
   3: core::panicking::panic_fmt
   4: testapi::api::handlers::errors::panic::h0123456789abcdef
             at ./src/api/handlers/errors.rs:41:5
   5: core::ops::function::FnOnce::call_once
             at /rustc/59807616/library/core/src/ops/function.rs:250:5
   6: testapi::api::instrument::Api::observe
             at ./src/api/instrument.rs:90:20
   7: std::sys::backtrace::__rust_begin_short_backtrace
";

    #[test]
    fn the_runtime_goes_and_the_fault_stays_on_top() {
        assert_eq!(
            render_text(PANIC),
            "0: testapi::api::handlers::errors::panic\n    at src/api/handlers/errors.rs:41:5\n"
        );
    }

    #[test]
    fn a_closure_is_its_function() {
        let text = "  0: shop::pay::{{closure}}\n      at src/shop.rs:7:30\n  1: shop::pay\n      at src/shop.rs:7:5\n  2: shop::main\n      at src/shop.rs:1:1\n";
        assert_eq!(
            render_text(text),
            "0: shop::pay\n    at src/shop.rs:7:30\n1: shop::main\n    at src/shop.rs:1:1\n"
        );
    }

    #[test]
    fn a_frame_without_a_place_says_so_and_no_frames_are_no_stack() {
        assert_eq!(
            render_text("  0: shop::pay\n"),
            "0: shop::pay\n    at unknown:0\n"
        );
        assert_eq!(render_text("disabled backtrace"), "");
    }
}
