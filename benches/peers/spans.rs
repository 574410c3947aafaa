//! What one span costs the thread that makes it, from its start until it is handed over, and how often it
//! allocates: this tracer beside Datadog's own crate, datadog-opentelemetry, and tracing-datadog, all of them
//! with their own exporters, sending to an Agent that answers. In turns, so that all have the machine's mood.
//!
//!   cargo bench --manifest-path benches/peers/Cargo.toml --bench spans

use std::hint::black_box;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[path = "../answering.rs"]
mod answering;
#[path = "../counting.rs"]
mod counting;
mod rounds;
mod span_peers;

use rounds::{Cost, cost, median_cost};
use span_peers::{Official, Ours, Peer, TracingDatadog};

const ROUNDS: usize = 21;
/// Traces before each measurement.
const WARM_UP: u64 = 20;
const CHILDREN: u64 = 20;

/// What a server's span says.
const SERVER: [(&str, &str); 12] = [
    ("span.kind", "server"),
    ("component", "tiny_http"),
    ("http.method", "GET"),
    ("http.url", "http://127.0.0.1:5000/cart/42/items?page=2"),
    ("http.route", "/cart/{id}/items"),
    (
        "http.useragent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)",
    ),
    ("http.client_ip", "203.0.113.7"),
    ("network.client.ip", "10.0.0.7"),
    ("http.host", "127.0.0.1:5000"),
    ("http.version", "1.1"),
    ("team", "checkout"),
    ("http.status_code", "200"),
];

/// What a child says: three texts, and the number of rows.
const CHILD: [(&str, &str); 3] = [
    ("db.system", "postgresql"),
    ("db.operation", "select"),
    ("db.statement", "SELECT * FROM cart WHERE id = ?"),
];
const ROWS: (&str, f64) = ("db.rows", 3.0);

/// Traces that the Agent has heard of.
static TAKEN: AtomicU64 = AtomicU64::new(0);

fn mean(costs: impl Iterator<Item = Cost>) -> Cost {
    let zero = Cost {
        ns: 0.0,
        allocations: 0.0,
    };
    let (sum, count) = costs.fold((zero, 0.0), |(sum, count), cost| {
        let (ns, allocations) = (sum.ns + cost.ns, sum.allocations + cost.allocations);
        (Cost { ns, allocations }, count + 1.0)
    });
    Cost {
        ns: sum.ns / count,
        allocations: sum.allocations / count,
    }
}

/// What is measured, of how many traces at once: less than any of them buffers, and no more than a busy
/// server finishes between two payloads.
struct Row {
    what: &'static str,
    traces: u64,
    measure: fn(&dyn Peer, u64) -> Cost,
}

const TABLE: [Row; 3] = [
    Row {
        what: "server span, 12 tags",
        traces: 500,
        measure: |peer, traces| cost(traces, || peer.traces(traces, 0)),
    },
    Row {
        what: "child, 4 tags",
        traces: 500,
        measure: |peer, traces| mean((0..traces).map(|_| peer.children(CHILDREN))),
    },
    Row {
        what: "server span and 20 children, a span",
        traces: 100,
        measure: |peer, traces| cost(traces * (CHILDREN + 1), || peer.traces(traces, CHILDREN)),
    },
];

fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let agent: SocketAddr = listener.local_addr().expect("it is bound");
    let answers = move || {
        answering::answer_all(&listener, |traces| {
            TAKEN.fetch_add(traces, Ordering::Relaxed);
        })
    };
    thread::Builder::new()
        .spawn(answers)
        .expect("the system gives a thread");
    let peers: [Box<dyn Peer>; 3] = [
        Box::new(Ours::start(agent)),
        Box::new(Official::start(agent)),
        Box::new(TracingDatadog::start(agent)),
    ];
    for row in &TABLE {
        measure(row, &peers);
    }
}

fn measure(row: &Row, peers: &[Box<dyn Peer>]) {
    let mut costs = vec![Vec::new(); peers.len()];
    let mut taken = vec![0; peers.len()];
    for round in 0..=ROUNDS {
        for (at, peer) in peers.iter().enumerate() {
            let before = TAKEN.load(Ordering::Relaxed);
            // Whoever waited for the Agent starts with cold caches.
            (row.measure)(&**peer, WARM_UP);
            let cost = black_box((row.measure)(&**peer, row.traces));
            peer.flush();
            wait(&|| TAKEN.load(Ordering::Relaxed) - before >= row.traces + WARM_UP);
            // The first is for warming up.
            if round > 0 {
                costs[at].push(cost);
                taken[at] += TAKEN.load(Ordering::Relaxed) - before;
            }
        }
    }
    for ((peer, costs), taken) in peers.iter().zip(costs).zip(taken) {
        let Cost { ns, allocations } = median_cost(&costs);
        let share = taken as f64 * 100.0 / (ROUNDS as u64 * (row.traces + WARM_UP)) as f64;
        let (what, name) = (row.what, peer.name());
        println!(
            "{what:36} {name:22} {ns:5.0} ns {allocations:6.2} allocations {share:4.0} % arrived"
        );
    }
}

/// Asks until it is so, for at most five seconds.
fn wait(is_so: &dyn Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(5);
    while !is_so() && Instant::now() < end {
        thread::park_timeout(Duration::from_millis(5));
    }
}
