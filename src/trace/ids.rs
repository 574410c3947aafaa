//! Ids of traces and spans.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher, RandomState};

use fastrand::Rng;

/// A source of ids, one a thread: seeded by the system, and stirred with the time of each draw, so that a
/// process and its fork part at the first id either draws.
#[derive(Debug)]
pub(super) struct Ids(Rng);

thread_local! {
    static IDS: RefCell<Ids> = RefCell::new(Ids::seeded());
}

/// An id for a span that starts now. 63 bits, for consumers that read it signed; never 0, which the
/// Agent drops.
pub(super) fn new_span_id(mono_ns: u64) -> u64 {
    IDS.with_borrow_mut(|ids| ids.draw(mono_ns))
}

/// Upper half: seconds since 1970 and 32 zero bits, as all Datadog tracers have it, or 0 where traces of
/// 64 bits are asked for; lower half random.
pub(super) fn new_trace_id(is_wide: bool, unix_ns: u64, mono_ns: u64) -> u128 {
    let seconds = (unix_ns / 1_000_000_000) & 0xffff_ffff;
    let high = if is_wide {
        u128::from(seconds) << 96
    } else {
        0
    };
    high | u128::from(new_span_id(mono_ns))
}

impl Ids {
    fn seeded() -> Ids {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        Ids(Rng::with_seed(hasher.finish()))
    }

    fn draw(&mut self, mono_ns: u64) -> u64 {
        // Spread over all bits: times of two processes differ in few.
        let stirred = mono_ns.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0.seed(self.0.get_seed() ^ stirred);
        self.0.u64(1..=i64::MAX as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_as_every_datadog_tracer_makes_them() {
        let at = 1_795_344_502_613_894_164;
        let id = new_trace_id(true, at, 1);
        assert_eq!(format!("{:016x}", (id >> 64) as u64), "6b02c87600000000");
        assert_eq!(new_trace_id(false, at, 1) >> 64, 0);
        for now_ns in 0..1_000 {
            assert!((1..=i64::MAX as u64).contains(&new_span_id(now_ns)));
        }
    }

    #[test]
    fn a_fork_draws_other_ids_than_its_parent() {
        let (mut parent, mut child) = (Ids(Rng::with_seed(7)), Ids(Rng::with_seed(7)));
        assert_eq!(parent.draw(1_000), child.draw(1_000), "one state, one time");
        let of_parent: Vec<u64> = (2_000..2_100).map(|now_ns| parent.draw(now_ns)).collect();
        let of_child: Vec<u64> = (2_001..2_101).map(|now_ns| child.draw(now_ns)).collect();
        assert!(of_parent.iter().all(|id| !of_child.contains(id)));
    }

    #[test]
    fn no_two_ids_are_alike() {
        let mut ids: Vec<u64> = (0..100_000).map(|_| new_span_id(5)).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 100_000);
    }
}
