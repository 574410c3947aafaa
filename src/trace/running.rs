//! The traces that run on this thread, innermost last.

use std::cell::RefCell;
use std::time::Duration;

use super::local::Local;

/// Traces inside one another. An entry span that nobody ends, because its guard was forgotten, would stay
/// for ever: the outermost ends where it would be one too many.
const DEPTH_MAX: usize = 16;
/// So does one in which nothing has begun or ended for so long, when the next trace begins.
const IDLE_MAX: Duration = Duration::from_secs(600);

thread_local! {
    static ACTIVE: RefCell<All> = const { RefCell::new(All(Vec::new())) };
}

struct All(Vec<Local>);

impl Drop for All {
    /// The thread ends with traces that nobody ended. Their spans cannot be sent any more: the buffers of
    /// this thread may be gone before this is.
    fn drop(&mut self) {
        self.0.drain(..).for_each(Local::lose);
    }
}

/// Nothing where the thread is about to end, or where a caller's own code runs inside this room's.
fn with_all<R>(see: impl FnOnce(&mut Vec<Local>) -> R) -> Option<R> {
    let seen = ACTIVE.try_with(|all| all.try_borrow_mut().ok().map(|mut all| see(&mut all.0)));
    seen.ok().flatten()
}

/// Makes a trace this thread's innermost, after the ends of those that were forgotten.
pub(super) fn activate(local: Local) {
    let idle_ns = IDLE_MAX.as_nanos() as u64;
    let stale = |outer: &Local| local.start_mono_ns.saturating_sub(outer.touched_ns) > idle_ns;
    while let Some(forgotten) = with_all(|all| {
        let crowded = (all.len() >= DEPTH_MAX).then_some(0);
        let at = crowded.or_else(|| all.iter().position(&stale))?;
        Some(all.remove(at))
    })
    .flatten()
    {
        forgotten.shared.joint.tally.callers.abandoned();
        forgotten.finish();
    }
    let shared = local.shared.clone();
    if with_all(|all| all.push(local)).is_some() {
        shared.joint.tally.callers.began();
    }
}

/// Ends the trace of this entry span, whether or not it is the innermost.
pub(super) fn end(entry_id: u64) {
    let local = with_all(|all| {
        let at = all.iter().rposition(|local| local.entry_id == entry_id)?;
        Some(all.remove(at))
    });
    if let Some(local) = local.flatten() {
        local.finish();
    }
}

/// The innermost trace.
pub(super) fn innermost<R>(see: impl FnOnce(&mut Local) -> R) -> Option<R> {
    with_all(|all| all.last_mut().map(see)).flatten()
}

/// The trace in which this span is open, and its place there.
pub(super) fn owner<R>(span_id: u64, see: impl FnOnce(&mut Local, usize) -> R) -> Option<R> {
    with_all(|all| {
        all.iter_mut()
            .rev()
            .find_map(|local| {
                let open = &local.buffers.open;
                let at = open.iter().rposition(|open| open.span_id == span_id)?;
                Some((local, at))
            })
            .map(|(local, at)| see(local, at))
    })
    .flatten()
}
