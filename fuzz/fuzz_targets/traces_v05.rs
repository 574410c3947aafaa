//! `cargo fuzz run traces_v05`: any bytes, held against `checks/traces_v05.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/traces_v05.rs"]
mod traces_v05;

fuzz_target!(|bytes: &[u8]| {
    traces_v05::check(bytes);
});
