//! Time spent waiting and time spent working.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::api::segment::{PAUSE_MS_MAX, whole};
use crate::api::{Fault, Services};
use crate::server::{Params, Reply, Request};
use crate::trace;

pub(in crate::api) fn slow(_: &Services, _: &Request, p: &Params) -> Result<Reply, Fault> {
    let ms = whole(p, "ms", 0, PAUSE_MS_MAX)?;
    let mut span = trace::span("testapi.sleep");
    span.set_metric("testapi.ms", ms as f64);
    let end = Instant::now() + Duration::from_millis(ms);
    // A park may end early: somebody may have called this thread for another reason.
    while let Some(left) = end
        .checked_duration_since(Instant::now())
        .filter(|l| !l.is_zero())
    {
        thread::park_timeout(left);
    }
    Ok(Reply::json(
        200,
        &json!({ "emitted": "a slow request", "slept_ms": ms }),
    ))
}

pub(in crate::api) fn cpu(_: &Services, _: &Request, p: &Params) -> Result<Reply, Fault> {
    let ms = whole(p, "ms", 0, PAUSE_MS_MAX)?;
    let mut span = trace::span("testapi.burn");
    span.set_metric("testapi.ms", ms as f64);
    let rounds = burn_cpu(Duration::from_millis(ms));
    Ok(Reply::json(
        200,
        &json!({ "emitted": "a busy request", "burnt_ms": ms, "rounds": rounds }),
    ))
}

/// Work that a profiler shall find under this name.
#[inline(never)]
fn burn_cpu(time: Duration) -> u64 {
    let start = Instant::now();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut rounds = 0;
    while start.elapsed() < time {
        for _ in 0..10_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
        }
        black_box(state);
        rounds += 1;
    }
    rounds
}
