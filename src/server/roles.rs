//! What the threads of a pool do while it runs.
//!
//! Every thread that waits on the crate's request queue costs futex calls, so one thread, the leader,
//! waits there and serves what it takes. A standby looks in each millisecond while there is traffic: it
//! helps with a backlog that the leader does not get through, and takes over the seat when the leader
//! is held by a slow handler. The rest are parked. So a fast service runs on one warm thread, and a
//! slow one on as many as it needs, up to the size of the pool.
//!
//! A request whose body is not here yet would hold its thread for as long as the client likes. It is served
//! on a thread of its own, of which there is a bounded number; further ones wait, and past a bound of
//! theirs they are answered 503. A reply that its client does not take leaves the pool as well (`slow.rs`), and
//! a connection has one thread at a time (`peers.rs`).

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use super::answer::Answerer;
use super::front::{Front, NUDGES_MAX, open_descriptors};
use super::peers::Peers;
use super::slow::Slow;
use super::{Options, Reply, Request, Serve};
use crate::clock::Clock;
use crate::threads;

/// How often the standby looks in while there is traffic.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(1);
/// Looks without need before the standby sleeps until it is called.
const CALM_LOOKS_MAX: u32 = 50;
/// Requests the leader serves between two looks; with that many or more it needs no help.
const BRISK_TURNS: u64 = 8;
/// Looks at a leader that serves few requests before it gets help.
const SLOW_LOOKS_MAX: u32 = 4;
/// After a stop, what arrives within this time of the last request is still answered.
const QUIET_BEFORE_END: Duration = Duration::from_millis(20);
/// How often new connections are looked after.
const CONNECTIONS_INTERVAL: Duration = Duration::from_millis(25);
/// Looks after new connections that go on when all seems quiet again: half a minute.
const LIVELY_LOOKS: u32 = 1_200;
/// Requests at one time whose body is still on its way.
const BODY_THREADS_MAX: usize = 64;
/// Further ones that wait for one of these threads.
const BODIES_WAITING_MAX: usize = 1_024;
/// No thread.
pub(super) const NOBODY: usize = usize::MAX;

/// Requests whose body is still on its way.
#[derive(Default)]
pub(super) struct Bodies {
    threads: usize,
    waiting: VecDeque<Request>,
}

/// What the threads of one pool share.
pub(super) struct Shared {
    pub(super) front: Front,
    /// Held from before a request is taken off the crate's queue until it is admitted.
    pub(super) intake: Mutex<()>,
    pub(super) peers: Peers,
    pub(super) slow: Slow,
    pub(super) serve: Arc<dyn Serve>,
    pub(super) answerer: Answerer,
    pub(super) clock: Clock,
    pub(super) leader: AtomicUsize,
    pub(super) leader_waits: AtomicBool,
    pub(super) turns: AtomicU64,
    pub(super) serving: AtomicUsize,
    /// The kernel's number of each thread, 0 where unknown.
    pub(super) tasks: Vec<AtomicU64>,
    pub(super) standby: AtomicUsize,
    pub(super) standby_sleeps: AtomicBool,
    pub(super) parked: Mutex<Vec<usize>>,
    pub(super) threads: OnceLock<Vec<Thread>>,
    pub(super) panics: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) bodies: Mutex<Bodies>,
    pub(super) options: Options,
    pub(super) stopping: AtomicBool,
    pub(super) stop_at_ns: AtomicU64,
}

impl Shared {
    pub(super) fn run(self: &Arc<Self>, id: usize) {
        if let Some(task) = self.tasks.get(id) {
            task.store(task_of_this_thread(), Ordering::Relaxed);
        }
        while !self.stopping.load(Ordering::Acquire) {
            if self.leader.load(Ordering::Acquire) == id {
                self.lead(id);
            } else if self.take_seat(&self.standby, NOBODY, id) {
                self.watch(id);
            } else {
                self.parked
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(id);
                // The seat may have become free in between; then nobody would call.
                if self.standby.load(Ordering::Acquire) != NOBODY {
                    thread::park();
                }
                self.parked
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .retain(|p| *p != id);
            }
        }
        self.drain();
    }

    /// Descriptors of all the process are counted, so one that closes may hide a connection that came:
    /// for a while after any came or went, one more is freed now and then. While a burst goes on, what should
    /// free one may itself wait behind others: each look goes on with half as many as the one before.
    pub(super) fn look_after_connections(&self) {
        let mut open = open_descriptors();
        let (mut lively_looks, mut freed) = (0_u32, 0);
        while !self.stopping.load(Ordering::Acquire) {
            let before = std::mem::replace(&mut open, open_descriptors());
            lively_looks = match open == before {
                true => lively_looks.saturating_sub(1),
                false => LIVELY_LOOKS,
            };
            let now_and_then = u64::from(lively_looks % 10 == 1);
            let came = open.saturating_sub(before).min(NUDGES_MAX);
            freed = came.max(freed / 2).max(now_and_then);
            self.front.free_waiting(freed);
            self.front.listen_again_if_deaf();
            self.front.unblock_retired();
            thread::park_timeout(CONNECTIONS_INTERVAL);
        }
    }

    fn take_seat(&self, seat: &AtomicUsize, from: usize, to: usize) -> bool {
        seat.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    fn call(&self, id: usize) {
        if let Some(thread) = self.threads.get().and_then(|threads| threads.get(id)) {
            thread.unpark();
        }
    }

    /// Waits for requests and serves them until the seat is lost.
    fn lead(self: &Arc<Self>, id: usize) {
        let mut server = self.front.current();
        while !self.stopping.load(Ordering::Acquire) {
            let received = self.receive(&server);
            if self.standby_sleeps.load(Ordering::SeqCst)
                && self.standby_sleeps.swap(false, Ordering::SeqCst)
            {
                self.call(self.standby.load(Ordering::Acquire));
            }
            match received {
                Ok(Some(request)) => {
                    self.serve(request);
                    self.turns.fetch_add(1, Ordering::Release);
                }
                Ok(None) => {}
                Err(error) => self.mend(&server, &error),
            }
            if self.leader.load(Ordering::Acquire) != id {
                return;
            }
            let current = self.front.current();
            if !Arc::ptr_eq(&server, &current) {
                server = current;
            }
        }
    }

    /// An error is either our own call to wake up or the end of the accept loop.
    fn mend(&self, server: &Arc<tiny_http::Server>, error: &io::Error) {
        let woken = error.kind() == io::ErrorKind::Other && error.to_string() == "thread unblocked";
        if woken {
            return;
        }
        // While descriptors are short this fails too; connections that end give some back.
        while !self.stopping.load(Ordering::Acquire) && self.front.restart(server).is_err() {
            thread::park_timeout(Duration::from_millis(100));
        }
    }

    /// Looks after the leader; leaves when it has taken the leader's seat or has helped out.
    fn watch(self: &Arc<Self>, id: usize) {
        let mut turns = self.turns.load(Ordering::Acquire);
        let (mut calm, mut slow) = (0, 0);
        while !self.stopping.load(Ordering::Acquire) {
            thread::park_timeout(LOOK_INTERVAL);
            let before = std::mem::replace(&mut turns, self.turns.load(Ordering::Acquire));
            let waits = self.leader_waits.load(Ordering::Acquire);
            let served = turns.wrapping_sub(before);
            let idle = waits && served == 0;
            let held = served == 0 && !waits;
            slow = if served < BRISK_TURNS && !idle {
                slow + 1
            } else {
                0
            };
            if slow >= SLOW_LOOKS_MAX || (held && self.leader_sleeps()) {
                if self.help() {
                    return;
                }
                let leader = self.leader.load(Ordering::Acquire);
                if held && self.take_seat(&self.leader, leader, id) {
                    return self.leave_standby();
                }
            }
            calm = if idle { calm + 1 } else { 0 };
            if calm >= CALM_LOOKS_MAX && !self.front.has_retired() {
                self.sleep_until_called();
                calm = 0;
            }
        }
    }

    /// Whether the leader waits in its handler. One that works, or that the machine has given no time, needs
    /// no second thread beside it at once: on a busy machine two would only take turns.
    fn leader_sleeps(&self) -> bool {
        let leader = self.leader.load(Ordering::Acquire);
        let task = self
            .tasks
            .get(leader)
            .map_or(0, |task| task.load(Ordering::Relaxed));
        let stat = fs::read_to_string(format!("/proc/self/task/{task}/stat")).unwrap_or_default();
        let state = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.chars().next());
        state != Some('R')
    }

    /// The leader calls with its next request. It stores and then looks, and so do we, both sequentially
    /// consistent: one of the two always sees the other.
    fn sleep_until_called(&self) {
        self.standby_sleeps.store(true, Ordering::SeqCst);
        if !self.leader_waits.load(Ordering::SeqCst) {
            self.standby_sleeps.store(false, Ordering::SeqCst);
        }
        while self.standby_sleeps.load(Ordering::SeqCst) && !self.stopping.load(Ordering::Acquire) {
            thread::park();
        }
    }

    /// Serves what is waiting, if anything is; another thread becomes standby meanwhile.
    fn help(self: &Arc<Self>) -> bool {
        let mut helped = false;
        loop {
            match self.poll() {
                Ok(Some(request)) => {
                    if !helped {
                        self.leave_standby();
                    }
                    helped = true;
                    self.serve(request);
                }
                Ok(None) => return helped,
                Err(error) => self.mend(&self.front.current(), &error),
            }
        }
    }

    fn leave_standby(&self) {
        self.standby.store(NOBODY, Ordering::Release);
        let next = self
            .parked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        if let Some(next) = next {
            self.call(next);
        }
    }

    /// After a stop: answers what has been read, until it falls silent or time is up.
    fn drain(self: &Arc<Self>) {
        let quiet_ns = u64::try_from(QUIET_BEFORE_END.as_nanos()).unwrap_or(u64::MAX);
        let mut last_ns = self.clock.mono_ns();
        loop {
            let now_ns = self.clock.mono_ns();
            if now_ns >= self.stop_at_ns.load(Ordering::Acquire) || now_ns > last_ns + quiet_ns {
                return;
            }
            match self.poll() {
                Ok(Some(request)) => {
                    self.serve(request);
                    last_ns = self.clock.mono_ns();
                }
                _ => thread::park_timeout(LOOK_INTERVAL),
            }
            let bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
            if bodies.threads > 0 || !self.slow.is_empty() {
                last_ns = self.clock.mono_ns();
            }
        }
    }

    pub(super) fn serve_apart(self: &Arc<Self>, request: Request) {
        let peer = request.peer();
        let mut bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        if bodies.threads < BODY_THREADS_MAX {
            bodies.threads += 1;
            drop(bodies);
            let shared = self.clone();
            let name = format!("{}-body", self.options.name);
            let run = move || {
                let _life = threads::born();
                shared.serve_bodies(request);
            };
            if thread::Builder::new().name(name).spawn(run).is_err() {
                // The request went with the closure; its drop answered 500.
                self.serve.passed_over(500);
                self.bodies
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .threads -= 1;
                self.hand_on(peer);
            }
        } else if bodies.waiting.len() < BODIES_WAITING_MAX {
            bodies.waiting.push_back(request);
        } else {
            drop(bodies);
            self.refused.fetch_add(1, Ordering::Relaxed);
            self.serve.passed_over(503);
            let reply = Reply::text(503, "too many bodies on their way\n");
            self.answerer.abandon(request, &reply);
            self.hand_on(peer);
        }
    }

    /// One thread's turn with bodies: this one, then those that wait.
    fn serve_bodies(&self, mut request: Request) {
        loop {
            let peer = request.peer();
            if self.serve_here(request) {
                self.hand_on(peer);
            }
            let mut bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
            match bodies.waiting.pop_front() {
                Some(next) => request = next,
                None => {
                    bodies.threads -= 1;
                    return;
                }
            }
        }
    }
}

/// `/proc/thread-self` leads to `<process>/task/<thread>`.
fn task_of_this_thread() -> u64 {
    let link = fs::read_link("/proc/thread-self").ok();
    let task = link
        .as_ref()
        .and_then(|link| link.file_name()?.to_str()?.parse().ok());
    task.unwrap_or(0)
}
