//! From a request to its reply, on whichever thread.

use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, TryLockError};

use super::front::RETIRED_INTERVAL;
use super::peers::Admitted;
use super::roles::Shared;
use super::{Reply, Request};

impl Shared {
    /// The leader's next request. Whoever takes one off the crate's queue holds `intake` until the request is
    /// admitted: two of one connection that overtook each other there would wait for one another for good.
    ///
    /// Connections of a time before the last accept error still bring requests, to the server of that time.
    pub(super) fn receive(&self, server: &tiny_http::Server) -> io::Result<Option<Request>> {
        let _intake = self.intake.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock: who held it before may have taken the call that told of one.
        if let Some(request) = self.peers.ready() {
            return Ok(Some(request));
        }
        self.leader_waits.store(true, Ordering::SeqCst);
        let received = if self.front.has_retired() {
            match self.front.poll_retired() {
                Some(wire) => Ok(Some(wire)),
                None => server.recv_timeout(RETIRED_INTERVAL),
            }
        } else {
            server.recv().map(Some)
        };
        self.leader_waits.store(false, Ordering::SeqCst);
        Ok(received?.and_then(|wire| self.admit(wire)))
    }

    /// A request that is waiting somewhere, if there is one; and whether an accept loop has just died.
    pub(super) fn poll(&self) -> io::Result<Option<Request>> {
        if let Some(request) = self.peers.ready() {
            return Ok(Some(request));
        }
        let _intake = match self.intake.try_lock() {
            Ok(intake) => intake,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Whoever waits there takes what comes.
            Err(TryLockError::WouldBlock) => return Ok(None),
        };
        while let Some(wire) = self.front.poll()? {
            if let Some(request) = self.admit(wire) {
                return Ok(Some(request));
            }
        }
        // The call that told of one may just have been taken off the queue.
        Ok(self.peers.ready())
    }

    fn admit(&self, wire: tiny_http::Request) -> Option<Request> {
        match self.peers.admit(Request::from_wire(wire)) {
            Admitted::Now(request) => Some(request),
            Admitted::Waits => None,
            Admitted::TooMany(request) => {
                self.answerer.shun(request.peer());
                self.answerer.drop_unanswered(request);
                None
            }
        }
    }

    /// On a thread of the pool: this request and those of its connection that have come meanwhile.
    pub(super) fn serve(self: &Arc<Self>, request: Request) {
        let mut next = Some(request);
        while let Some(request) = next.take() {
            if request.unread_body().is_some() {
                return self.serve_apart(request);
            }
            let peer = request.peer();
            self.serving.fetch_add(1, Ordering::Relaxed);
            let ended = self.serve_here(request);
            self.serving.fetch_sub(1, Ordering::Relaxed);
            if ended {
                next = self.peers.next(peer);
            }
        }
    }

    /// On a thread that is not of the pool: the connection's next request goes to the pool.
    pub(super) fn hand_on(&self, peer: Option<SocketAddr>) {
        if let Some(next) = self.peers.next(peer) {
            self.peers.hand_back(next);
            self.front.current().unblock();
        }
    }

    /// Whether the turn has ended: not if the reply is still to be written.
    pub(super) fn serve_here(&self, mut request: Request) -> bool {
        if self.answerer.is_shunned(request.peer()) {
            self.answerer.drop_unanswered(request);
            return true;
        }
        let unsent = if let Some(why) = request.fault() {
            self.refused.fetch_add(1, Ordering::Relaxed);
            self.serve.passed_over(400);
            // What follows on this connection may be part of what this head hid.
            self.answerer.shun(request.peer());
            let reply = Reply::text(400, format!("{why}\n"));
            self.answerer.answer(request, &reply, true)
        } else {
            let served = catch_unwind(AssertUnwindSafe(|| self.serve.serve(&mut request)));
            let reply = served.unwrap_or_else(|panic| self.reply_to_panic(&*panic));
            let last = self.stopping.load(Ordering::Acquire);
            self.answerer.answer(request, &reply, last)
        };
        let Some(unsent) = unsent else {
            return true;
        };
        self.write_later(unsent);
        false
    }

    fn reply_to_panic(&self, _panic: &(dyn Any + Send)) -> Reply {
        self.panics.fetch_add(1, Ordering::Relaxed);
        self.serve.passed_over(500);
        Reply::text(500, "internal server error\n")
    }
}
