//! `cargo fuzz run multipart`: any bytes, held against `checks/multipart.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/multipart.rs"]
mod multipart;

fuzz_target!(|bytes: &[u8]| {
    multipart::check(bytes);
});
