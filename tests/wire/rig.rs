//! A tracer as settings make it, with an Agent that only records and a clock that is moved by hand.

use std::cell::Cell;
use std::time::Duration;

use testapi::agent::decode::{Span, traces_v04};
use testapi::clock::{Clock, Hand};
use testapi::config::{self, Settings};
use testapi::trace::{self, Extracted, Tracer};
use testapi::worker::Guard;

use crate::support::{DEADLINE, FakeAgent};

pub(crate) const START: u64 = 1_795_344_502_616_000_000;

pub(crate) struct Rig {
    pub(crate) tracer: Tracer,
    pub(crate) agent: FakeAgent,
    pub(crate) hand: Hand,
    seen: Cell<usize>,
    _guard: Guard,
}

impl Rig {
    /// As the environment says it.
    #[track_caller]
    pub(crate) fn of(env: &[(&str, &str)]) -> Rig {
        let (settings, _) = config::parse(env.iter().copied(), &|_| false);
        Rig::with(&settings)
    }

    #[track_caller]
    pub(crate) fn with(settings: &Settings) -> Rig {
        let agent = FakeAgent::start();
        let options = trace::Options {
            agent: format!("http://{}", agent.addresses().1).parse().unwrap(),
            // Only what is asked for is sent.
            flush_interval: Duration::from_secs(3_600),
            ..settings.trace()
        };
        let (clock, hand) = Clock::manual(START);
        let (tracer, guard) = trace::start(options, &settings.identity(), clock).unwrap();
        Rig {
            tracer,
            agent,
            hand,
            seen: Cell::new(0),
            _guard: guard,
        }
    }

    /// The chunks that were sent since the last call, and before it what is finished now.
    #[track_caller]
    pub(crate) fn chunks(&self) -> Vec<Vec<Span>> {
        self.tracer.flush(DEADLINE).unwrap();
        let seen = self.agent.seen();
        let payloads: Vec<_> = seen.payloads().collect();
        let fresh = &payloads[self.seen.replace(payloads.len())..];
        let chunks = fresh
            .iter()
            .map(|payload| traces_v04(&payload.body).unwrap());
        chunks.flatten().collect()
    }
}

/// What these headers say.
pub(crate) fn caller_of(tracer: &Tracer, headers: &[(&str, &str)]) -> Extracted {
    tracer.extract(|name| {
        let values = headers
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name));
        values.map(|(_, value)| *value)
    })
}
