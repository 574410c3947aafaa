//! `cargo fuzz run log_record`: any bytes, held against `checks/log_record.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/log_record.rs"]
mod log_record;

fuzz_target!(|bytes: &[u8]| {
    log_record::check(bytes);
});
