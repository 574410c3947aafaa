//! `cargo fuzz run metrics_page`: any bytes, held against `checks/metrics_page.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/metrics_page.rs"]
mod metrics_page;

fuzz_target!(|bytes: &[u8]| {
    metrics_page::check(bytes);
});
