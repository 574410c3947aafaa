//! What one log line costs the thread that says it, and the whole process, and how often it allocates there:
//! this logger beside tracing-subscriber and slog, each writing JSON to a file of its own. In turns, so that
//! all have the machine's mood. All lines are read back: each is JSON, and none is missing.
//!
//!   cargo bench --manifest-path benches/peers/Cargo.toml --bench logs

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use cpu_time::ProcessTime;

#[path = "../counting.rs"]
mod counting;
mod log_peers;
mod rounds;

use log_peers::{Ours, Peer, Slog, Tracing};
use rounds::{Cost, cost, median, median_cost};

const ROUNDS: u64 = 31;
/// Between two flushes: less than any of them queues, enough that all their writers are at work meanwhile.
const LINES: u64 = 2_000;
const NS_MAX: u64 = 200;

/// What a service says of a request, beside the ids of its trace.
struct Served {
    trace_id: u128,
    span_id: u64,
    method: &'static str,
    route: &'static str,
    status: u64,
    /// The number of the line, so that one that is missing is missed.
    duration: u64,
}

const MESSAGE: &str = "request served";

fn served(at: u64) -> Served {
    let odd = at.wrapping_mul(2).wrapping_add(1);
    let span_id = odd.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Served {
        trace_id: (0x6720_0000_u128 << 96) | u128::from(span_id.rotate_left(17)),
        span_id,
        method: ["GET", "POST"][at as usize % 2],
        route: ["/cart/{id}/items", "/logging/debug", "/"][at as usize % 3],
        status: [200, 200, 404, 503][at as usize % 4],
        duration: at,
    }
}

/// A folder that goes away with the bench.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let name = format!("testapi-bench-logs-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("the temporary folder is ours to write");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn main() {
    let folder = Folder::new();
    let path = |at: usize| folder.0.join(format!("{at}.json"));
    let peers: [Box<dyn Peer>; 5] = [
        Box::new(Ours::start(path(0))),
        Box::new(Tracing::direct(&path(1))),
        Box::new(Tracing::non_blocking(&path(2))),
        Box::new(Slog::direct(&path(3))),
        Box::new(Slog::queued(&path(4))),
    ];
    let mut costs = vec![Vec::new(); peers.len()];
    let mut cpu_ns = vec![Vec::new(); peers.len()];
    for round in 0..=ROUNDS {
        for (at, peer) in peers.iter().enumerate() {
            let (said, used) = batch(&**peer, round * LINES..(round + 1) * LINES);
            // The first is for warming up.
            if round > 0 {
                costs[at].push(said);
                cpu_ns[at].push(used);
            }
        }
    }
    for (at, peer) in peers.iter().enumerate() {
        let Cost { ns, allocations } = median_cost(&costs[at]);
        let (name, cpu_ns) = (peer.name(), median(cpu_ns[at].clone()));
        let bytes = check(name, &path(at));
        println!(
            "{name:44} {ns:6.0} ns {allocations:6.2} allocations (at most {NS_MAX}, 0) \
             {cpu_ns:6.0} ns of all threads, a line of {bytes} bytes"
        );
    }
}

/// The cost of a line to its caller, and its CPU time until it is in the file.
fn batch(peer: &dyn Peer, lines: Range<u64>) -> (Cost, f64) {
    let end = lines.end;
    let lines: Vec<Served> = lines.map(served).collect();
    let before = ProcessTime::now();
    let said = cost(LINES, || peer.log(&lines));
    peer.flush(end);
    let used = before.elapsed().as_nanos() as f64;
    (said, used / LINES as f64)
}

/// Reads the file back: every line that was logged, in its order. Says how long a line is.
fn check(name: &str, file: &Path) -> usize {
    let text = fs::read_to_string(file).expect("it is there");
    assert!(text.ends_with('\n'), "{name}");
    let mut count = 0;
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
        let said = served(count);
        assert_eq!(line["duration"], said.duration, "{name}: {line}");
        assert_eq!(line["http.route"], said.route, "{name}: {line}");
        assert_eq!(line["http.status_code"], said.status, "{name}: {line}");
        count += 1;
    }
    assert_eq!(count, (ROUNDS + 1) * LINES, "{name}");
    text.len() / count as usize
}
