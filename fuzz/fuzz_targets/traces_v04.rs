//! `cargo fuzz run traces_v04`: any bytes, held against `checks/traces_v04.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/traces_v04.rs"]
mod traces_v04;

fuzz_target!(|bytes: &[u8]| {
    traces_v04::check(bytes);
});
