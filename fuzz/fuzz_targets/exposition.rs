//! `cargo fuzz run exposition`: any bytes, held against `checks/exposition.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/exposition.rs"]
mod exposition;

fuzz_target!(|bytes: &[u8]| {
    exposition::check(bytes);
});
