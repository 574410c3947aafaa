//! `cargo fuzz run pprof`: any bytes, held against `checks/pprof.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/pprof.rs"]
mod pprof;

fuzz_target!(|bytes: &[u8]| {
    pprof::check(bytes);
});
