//! What a Prometheus counter, a look-up by labels, an observation and a page cost, and how often they
//! allocate: this registry beside rust-prometheus, prometheus-client and metrics-exporter-prometheus. In
//! turns, so that all have the machine's mood.
//!
//!   cargo bench --manifest-path benches/peers/Cargo.toml --bench metrics

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

#[path = "../counting.rs"]
mod counting;
mod metric_pages;
mod metric_peers;
mod rounds;

use rounds::{Cost, cost, median_cost};

const ROUNDS: usize = 51;

/// A client, and the work that is measured: so many calls.
struct Subject {
    client: &'static str,
    work: Box<dyn Fn(u64) + Sync>,
}

impl Subject {
    fn new(client: &'static str, work: impl Fn(u64) + Sync + 'static) -> Subject {
        let work = Box::new(work);
        Subject { client, work }
    }
}

struct Row {
    what: &'static str,
    /// Threads at once.
    threads: &'static [usize],
    calls: u64,
    ns_max: f64,
    subjects: fn() -> Vec<Subject>,
}

const TABLE: [Row; 4] = [
    Row {
        what: "counter, handle",
        threads: &[1, 2],
        calls: 400_000,
        ns_max: 2.6,
        subjects: metric_peers::counters,
    },
    Row {
        what: "counter, 3 labels of 100 sets",
        threads: &[1, 2],
        calls: 20_000,
        ns_max: 15.0,
        subjects: metric_peers::look_ups,
    },
    Row {
        what: "histogram, handle, 11 bounds",
        threads: &[1, 2],
        calls: 50_000,
        ns_max: 8.0,
        subjects: metric_peers::histograms,
    },
    Row {
        what: "page",
        threads: &[1],
        calls: 10,
        ns_max: 40_000.0,
        subjects: metric_pages::pages,
    },
];

fn main() {
    metric_peers::install();
    for row in &TABLE {
        let subjects = (row.subjects)();
        for &threads in row.threads {
            let start = Start {
                threads,
                arrived: AtomicUsize::new(0),
            };
            measure(row, &subjects, &start);
        }
    }
}

/// A line that all threads cross together, awake.
struct Start {
    threads: usize,
    arrived: AtomicUsize,
}

impl Start {
    fn wait(&self) {
        let mine = self.arrived.fetch_add(1, Ordering::AcqRel) + 1;
        let all = mine.next_multiple_of(self.threads);
        while self.arrived.load(Ordering::Acquire) < all {
            std::hint::spin_loop();
        }
    }
}

/// What a thread has measured, and when.
#[derive(Clone, Copy)]
struct Round {
    cost: Cost,
    from: Instant,
    to: Instant,
}

/// A round each of every subject, as one thread sees them.
type Rounds = Vec<Vec<Round>>;

fn measure(row: &Row, subjects: &[Subject], start: &Start) {
    let by_thread: Vec<Rounds> = thread::scope(|scope| {
        let others: Vec<_> = (1..start.threads)
            .map(|_| scope.spawn(|| rounds(row, subjects, start)))
            .collect();
        let mut all = vec![rounds(row, subjects, start)];
        let others = others.into_iter().map(|other| other.join());
        all.extend(others.map(|rounds| rounds.expect("a round does not panic")));
        all
    });
    for (at, subject) in subjects.iter().enumerate() {
        // The first is for warming up.
        let costs: Vec<Cost> = (1..=ROUNDS)
            .filter_map(|round| {
                together(by_thread.iter().map(|rounds| rounds[at][round]).collect())
            })
            .collect();
        print(row, subject.client, start.threads, &costs);
    }
}

/// This thread's part.
fn rounds(row: &Row, subjects: &[Subject], start: &Start) -> Rounds {
    let mut rounds = vec![Vec::new(); subjects.len()];
    for _ in 0..=ROUNDS {
        for (rounds, subject) in rounds.iter_mut().zip(subjects) {
            start.wait();
            let from = Instant::now();
            let cost = cost(row.calls, || (subject.work)(row.calls));
            let to = Instant::now();
            rounds.push(Round { cost, from, to });
            start.wait();
            metric_peers::upkeep();
        }
    }
    rounds
}

/// The mean of all threads; none of a round that one of them spent half waiting for a core.
fn together(of: Vec<Round>) -> Option<Cost> {
    let from = of.iter().map(|round| round.from);
    let to = of.iter().map(|round| round.to);
    let whole = to.clone().max()?.duration_since(from.clone().min()?);
    let shared = to.min()?.saturating_duration_since(from.max()?);
    let mean = |what: fn(&Cost) -> f64| {
        of.iter().map(|round| what(&round.cost)).sum::<f64>() / of.len() as f64
    };
    (shared >= whole / 2).then(|| Cost {
        ns: mean(|cost| cost.ns),
        allocations: mean(|cost| cost.allocations),
    })
}

fn print(row: &Row, client: &str, threads: usize, costs: &[Cost]) {
    let (what, rounds) = (row.what, costs.len());
    assert!(
        rounds > ROUNDS / 2,
        "{what}: the threads do not run at once, the machine is busy"
    );
    let Cost { ns, allocations } = median_cost(costs);
    let time = |ns: f64| {
        if row.ns_max < 1_000.0 {
            format!("{ns:.1} ns")
        } else {
            format!("{:.1} us", ns / 1e3)
        }
    };
    let (time, at_most) = (time(ns), time(row.ns_max));
    println!(
        "{what:30} {client:44} {threads} at once {time:>9} {allocations:8.2} allocations \
         (at most {at_most}, 0; {rounds} rounds)"
    );
}
