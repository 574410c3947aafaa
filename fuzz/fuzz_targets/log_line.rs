//! `cargo fuzz run log_line`: any bytes, held against `checks/log_line.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/log_line.rs"]
mod log_line;

fuzz_target!(|bytes: &[u8]| {
    log_line::check(bytes);
});
