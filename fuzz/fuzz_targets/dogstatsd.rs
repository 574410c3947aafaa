//! `cargo fuzz run dogstatsd`: any bytes, held against `checks/dogstatsd.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/dogstatsd.rs"]
mod dogstatsd;

fuzz_target!(|bytes: &[u8]| {
    dogstatsd::check(bytes);
});
