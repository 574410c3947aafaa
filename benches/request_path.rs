//! The telemetry of a request, and its handler, without a socket: the same request over and over on one
//! thread, every exporter on. For a count of instructions that does not depend on the machine's mood:
//!
//!   valgrind --tool=callgrind target/release/examples/request_path 20000
//!
//! `request_path COUNT [TARGET]`; the environment names the agent and the log file, as for `testapi`.

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use testapi::api::Api;
use testapi::app::{parse_settings, start_exporters};
use testapi::clock::Clock;
use testapi::process;
use testapi::server::{Request, Serve};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let count = arguments
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(200_000_u32);
    let target = arguments
        .next()
        .unwrap_or_else(|| "/logging/debug".to_string());
    let (pairs, _) = process::environment();
    let pairs = pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let (settings, problems) = parse_settings(pairs, &|path| path.exists());
    assert!(problems.is_empty(), "{problems:?}");
    let (services, guards) = start_exporters(&settings, Clock::system()).expect("exporters start");
    let api = Api::new(Arc::new(services));
    let headers = [("Host", "127.0.0.1:5000"), ("User-Agent", "request_path")];
    let mut request = Request::made("GET", &target, &headers, b"");
    let started = Instant::now();
    for _ in 0..count {
        black_box(api.serve(&mut request));
    }
    let ns = started.elapsed().as_nanos() / u128::from(count.max(1));
    let _ = writeln!(std::io::stdout(), "{ns} ns a request on its own thread");
    drop(guards);
}
