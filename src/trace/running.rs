//! The traces that run on this thread, innermost last.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use super::local::Local;
use super::open::Text;
use super::tracer::Shared;
use super::watch::Change;

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
        while let Some(local) = self.0.pop() {
            let change = change(&self.0, &[], &local.shared);
            local.lose();
            tell(change);
        }
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
    let mut left = None;
    while let Some(forgotten) = with_all(|all| {
        let crowded = (all.len() >= DEPTH_MAX).then_some(0);
        let at = crowded.or_else(|| all.iter().position(&stale))?;
        left = change(&all[..at], &all[at + 1..], &all[at].shared);
        Some(all.remove(at))
    })
    .flatten()
    {
        tell(left.take());
        forgotten.shared.joint.tally.callers.abandoned();
        forgotten.finish();
    }
    let shared = local.shared.clone();
    let change = with_all(|all| {
        all.push(local);
        change(all, &[], &shared)
    });
    if let Some(change) = change {
        shared.joint.tally.callers.began();
        tell(change);
    }
}

/// Ends the trace of this entry span, whether or not it is the innermost.
pub(super) fn end(entry_id: u64) {
    let mut left = None;
    let local = with_all(|all| {
        let at = all.iter().rposition(|local| local.entry_id == entry_id)?;
        left = change(&all[..at], &all[at + 1..], &all[at].shared);
        Some(all.remove(at))
    });
    if let Some(local) = local.flatten() {
        tell(left);
        local.finish();
    }
}

/// Opens a child of the innermost open span.
pub(super) fn open(name: Text) -> Option<u64> {
    let (span_id, change) = with_all(|all| {
        let span_id = all.last_mut()?.open_span(name)?;
        let shared = &all.last()?.shared;
        Some((span_id, change(all, &[], shared)))
    })
    .flatten()?;
    tell(change);
    Some(span_id)
}

/// Ends a child, and all that it left open, if it is still open itself.
pub(super) fn close(span_id: u64) {
    let change = with_all(|all| {
        let (place, at) = find(all, span_id)?;
        all[place].close_down_to(at);
        let (outer, inner) = all.split_at(place + 1);
        change(outer, inner, &outer[place].shared)
    });
    tell(change.flatten());
}

/// Where a trace of this tracer changes: the span that is the tracer's innermost then, unless one inside that
/// trace is so still. Each tracer's watcher knows its own spans alone.
#[inline]
fn change(outer: &[Local], inner: &[Local], shared: &Arc<Shared>) -> Option<Change> {
    match shared.watch.is_set() {
        true => seen(outer, inner, shared),
        false => None,
    }
}

#[inline(never)]
fn seen(outer: &[Local], inner: &[Local], shared: &Arc<Shared>) -> Option<Change> {
    let watch = shared.watch.get()?;
    let ours = |local: &&Local| Arc::ptr_eq(&local.shared, shared);
    if inner.iter().any(|local| ours(&local)) {
        return None;
    }
    let innermost = outer.iter().rev().find(ours);
    let ids = innermost.map(|local| {
        let span = local.buffers.open.last();
        (span.map_or(0, |span| span.span_id), local.root_id)
    });
    let (span_id, root_id) = ids.unwrap_or_default();
    Some(Change {
        watch,
        span_id,
        root_id,
    })
}

#[inline]
fn tell(change: Option<Change>) {
    if let Some(change) = change {
        change.tell();
    }
}

/// The place of the trace in which this span is open, and the span's place there.
fn find(all: &[Local], span_id: u64) -> Option<(usize, usize)> {
    let places = all.iter().enumerate().rev();
    places
        .map(|(place, local)| (place, &local.buffers.open))
        .find_map(|(place, open)| {
            let at = open.iter().rposition(|open| open.span_id == span_id)?;
            Some((place, at))
        })
}

/// The innermost trace.
pub(super) fn innermost<R>(see: impl FnOnce(&mut Local) -> R) -> Option<R> {
    with_all(|all| all.last_mut().map(see)).flatten()
}

/// The trace in which this span is open, and its place there.
pub(super) fn owner<R>(span_id: u64, see: impl FnOnce(&mut Local, usize) -> R) -> Option<R> {
    with_all(|all| {
        let (place, at) = find(all, span_id)?;
        Some(see(&mut all[place], at))
    })
    .flatten()
}
