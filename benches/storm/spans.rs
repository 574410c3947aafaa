//! Threads that nobody reported, and some that are, which open spans and end, well or badly.

use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::{Duration, Instant};

use testapi::api::Services;
use testapi::threads;
use testapi::trace::{self, EntryOptions, Extracted};

use crate::tally::Tally;
use crate::weather::work;

/// Opens spans on threads of all kinds until the time is over.
pub(crate) fn open(services: &Services, time: Duration, tally: &Tally) {
    let started = Instant::now();
    let mut count = 0;
    while started.elapsed() < time {
        thread::scope(|scope| {
            for number in count..count + 4 {
                scope.spawn(move || live(services, number));
            }
        });
        count += 4;
    }
    tally.add("threads that opened spans", count);
}

fn live(services: &Services, number: u64) {
    let _life = number.is_multiple_of(2).then(threads::born);
    let ended = panic::catch_unwind(AssertUnwindSafe(|| {
        let mut entry = services.tracer.enter(EntryOptions {
            name: "storm.entry".into(),
            resource: "GET /storm",
            kind: "web",
            caller: Extracted::default(),
        });
        entry.set_meta("storm.number", number.to_string());
        let child = trace::span("storm.inner");
        work(Duration::from_micros(300));
        if let Some(handle) = trace::handle() {
            thread::scope(|scope| {
                scope.spawn(|| {
                    let _other = handle.span("storm.elsewhere");
                    work(Duration::from_micros(300));
                });
            });
        }
        if number.is_multiple_of(5) {
            // The hook is not asked: the log is about requests.
            panic::resume_unwind(Box::new("a thread's end"));
        }
        drop(child);
    }));
    drop(ended);
}
