//! What a mistake costs: a million different values of one tag, offered in a loop to a client whose Agent
//! takes everything. Says how much memory that took, and fails over 16 MiB or if a sample is unaccounted for.

use std::io::Write;
use std::net::UdpSocket;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use testapi::clock::Clock;
use testapi::dogstatsd::{self, Address, Options};
use testapi::identity::Identity;

const VALUES: u32 = 1_000_000;
const MEMORY_KIB_MAX: u64 = 16 << 10;

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}

fn main() -> ExitCode {
    let agent = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
    let port = agent.local_addr().map_or(0, |address| address.port());
    thread::Builder::new()
        .spawn(move || {
            let mut buffer = vec![0; 65_536];
            while agent.recv(&mut buffer).is_ok() {}
        })
        .expect("the system gives a thread");
    let options = Options {
        address: Address::Udp("127.0.0.1".into(), port),
        ..Options::default()
    };
    let (client, guard) = dogstatsd::start(options, &Identity::default(), Clock::system())
        .expect("the system gives a thread");
    let before = resident_kib();
    for value in 0..VALUES {
        let tag = value.to_string();
        let tags = [("request_id", tag.as_str())];
        // What has no room is counted; this loop is faster than any worker.
        let _ = match value % 4 {
            0 => client.count("n", 1, &tags),
            1 => client.histogram("h", 1.0, &tags),
            2 => client.gauge("g", 1.0, &tags),
            _ => client.set("s", &tag, &tags),
        };
    }
    let _ = client.flush(Duration::from_secs(10));
    let grown = resident_kib().saturating_sub(before);
    let flushed = guard.stop(Duration::from_secs(10)).flushed;
    let ledger = client.ledger();
    let _ = writeln!(
        std::io::stdout(),
        "{VALUES} values of one tag: {grown} KiB of memory ({MEMORY_KIB_MAX} at most), {ledger:?}"
    );
    let holds = grown < MEMORY_KIB_MAX && ledger.balances() && flushed;
    ExitCode::from(u8::from(!holds))
}
