//! What work costs a thread, and the middle of many rounds.

use std::time::Instant;

use crate::counting;

/// Of one call.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) ns: f64,
    pub(crate) allocations: f64,
}

pub(crate) fn cost(calls: u64, work: impl FnOnce()) -> Cost {
    let (before, started) = (counting::allocations(), Instant::now());
    work();
    let ns = started.elapsed().as_nanos() as f64;
    let allocations = (counting::allocations() - before) as f64;
    let calls = calls as f64;
    Cost {
        ns: ns / calls,
        allocations: allocations / calls,
    }
}

/// Of the times and of the allocations, each for itself.
pub(crate) fn median_cost(costs: &[Cost]) -> Cost {
    Cost {
        ns: median(costs.iter().map(|cost| cost.ns).collect()),
        allocations: median(costs.iter().map(|cost| cost.allocations).collect()),
    }
}

pub(crate) fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}
