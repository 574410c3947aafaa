//! One request of each connection at a time.
//!
//! The crate hands the pipelined requests of one connection out as it reads them, and lets the later ones
//! wait inside their first write until the replies before them are out. A client that does not read would
//! hold as many threads as it has sent requests. So a request whose connection is still being served waits
//! here, and whoever ends the turn takes the next one or hands it back to the pool.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Request;

/// Requests of one connection that wait for its turn to end.
const WAITING_OF_ONE_MAX: usize = 4_096;
/// Of all connections together.
const WAITING_MAX: usize = 16_384;

/// What becomes of a request that has just come.
pub(super) enum Admitted {
    /// It is its connection's turn.
    Now(Request),
    /// It waits.
    Waits,
    /// Too many wait already.
    TooMany(Request),
}

#[derive(Default)]
pub(super) struct Peers {
    state: Mutex<State>,
    /// How many `ready` holds, to be asked without the lock.
    ready: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// Whose turn it is, and what of theirs waits.
    busy: HashMap<SocketAddr, VecDeque<Request>>,
    waiting: usize,
    /// Whose turn goes on as soon as a thread of the pool is free.
    ready: VecDeque<Request>,
}

impl Peers {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests of one connection come here in the order in which the crate has read them; see `intake`.
    pub(super) fn admit(&self, request: Request) -> Admitted {
        let Some(peer) = request.peer() else {
            return Admitted::Now(request);
        };
        let state = &mut *self.lock();
        let queue = match state.busy.entry(peer) {
            Entry::Occupied(busy) => busy.into_mut(),
            Entry::Vacant(free) => {
                free.insert(VecDeque::new());
                return Admitted::Now(request);
            }
        };
        let full = queue.len() >= WAITING_OF_ONE_MAX || state.waiting >= WAITING_MAX;
        // Until an unread body is read nothing more comes from there: at most one such exceeds the bound.
        if full && request.unread_body().is_none() {
            return Admitted::TooMany(request);
        }
        queue.push_back(request);
        state.waiting += 1;
        Admitted::Waits
    }

    /// Ends the turn: the next request of this connection has it, or nobody.
    pub(super) fn next(&self, peer: Option<SocketAddr>) -> Option<Request> {
        let state = &mut *self.lock();
        let Entry::Occupied(mut busy) = state.busy.entry(peer?) else {
            return None;
        };
        let next = busy.get_mut().pop_front();
        match next {
            Some(_) => state.waiting -= 1,
            None => drop(busy.remove()),
        }
        next
    }

    /// Keeps a request that has the turn until a thread of the pool asks.
    pub(super) fn hand_back(&self, request: Request) {
        let mut state = self.lock();
        state.ready.push_back(request);
        self.ready.store(state.ready.len(), Ordering::Release);
    }

    /// A request that was handed back; costs one load while there is none.
    pub(super) fn ready(&self) -> Option<Request> {
        if self.ready.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut state = self.lock();
        let request = state.ready.pop_front();
        self.ready.store(state.ready.len(), Ordering::Release);
        request
    }
}

impl Drop for Peers {
    /// A dropped request is answered 500 by the crate, which would wait for replies that nobody writes.
    fn drop(&mut self) {
        let state = std::mem::take(&mut *self.lock());
        let waiting = state.busy.into_values().flatten();
        for request in state.ready.into_iter().chain(waiting) {
            match request.unread_body() {
                None => request.hang_up(),
                // Its drop would read the body first.
                Some(_) => std::mem::forget(request),
            }
        }
    }
}
