//! The one background thread: a bounded queue, a tick, a flush, a stop, caught panics, counters.
//!
//! A room supplies a [`Job`]; everything about threads and queues exists once, here.
//!
//! Invariants:
//! - [`Handle::offer`] never blocks: what does not fit is dropped and counted.
//! - The ledger balances at rest: `offered = taken + dropped_full + dropped_stopped + pending`.
//! - Stop travels on its own channel, never through the bounded queue, so it cannot be lost.
//! - A panic in a job is caught and counted, and the thread lives on.
//!
//! A burst costs one wake-up, not one an item: when the queue was empty the first item wakes the
//! thread, which then lingers a few milliseconds and takes all that has come meanwhile.
//!
//! ```
//! use std::time::Duration;
//! use testapi::clock::Clock;
//! use testapi::worker::{self, Fill, FlushError, Job, Limits, Why};
//!
//! struct Sum(u64);
//! impl Job for Sum {
//!     type Item = u64;
//!     fn take(&mut self, item: u64) -> Fill {
//!         self.0 += item;
//!         Fill::Room
//!     }
//!     fn flush(&mut self, _why: Why) -> Result<(), FlushError> {
//!         if self.0 == 6 { Ok(()) } else { Err(FlushError::new(format!("sum is {}", self.0))) }
//!     }
//! }
//!
//! let (handle, guard) = worker::start("dd-sum", Limits::default(), Clock::system(), Sum(0))?;
//! for item in [1, 2, 3] {
//!     handle.offer(item).unwrap();
//! }
//! assert_eq!(handle.flush(Duration::from_secs(5)), Ok(()));
//! let stopped = guard.stop(Duration::from_secs(5));
//! assert_eq!((stopped.left, stopped.joined), (0, true));
//! # Ok::<(), std::io::Error>(())
//! ```

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{self as channel, Receiver, RecvTimeoutError, Sender, TrySendError};

use crate::clock::Clock;

/// What a room does on its background thread.
pub trait Job: Send + 'static {
    /// What is queued. A job that only ticks uses [`std::convert::Infallible`].
    type Item: Send + 'static;

    /// Takes one item in. [`Fill::Full`] asks for a flush before the next item.
    fn take(&mut self, item: Self::Item) -> Fill;

    /// Sends what is held. An error is counted and kept as [`Stats::last_error`].
    ///
    /// # Errors
    /// Whatever kept the job from sending; it decides itself what it still holds afterwards.
    fn flush(&mut self, why: Why) -> Result<(), FlushError>;

    /// Bytes that one queued item holds, for [`Limits::queue_bytes_max`].
    fn weigh(_item: &Self::Item) -> usize {
        size_of::<Self::Item>()
    }
}

/// Whether a job has room for more after an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// More may come before the next flush.
    Room,
    /// Flush now.
    Full,
}

/// Why a flush happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The flush interval has passed.
    Tick,
    /// The job said [`Fill::Full`].
    Full,
    /// Somebody called [`Handle::flush`].
    Asked,
    /// The last flush before the thread ends.
    Stop,
}

/// A flush that did not send everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlushError(String);

impl FlushError {
    /// Keeps the text of what went wrong.
    pub fn new(what: impl fmt::Display) -> FlushError {
        FlushError(what.to_string())
    }
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FlushError {}

/// Bounds of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Items that may wait in the queue; one more is dropped.
    pub queue_items_max: usize,
    /// Bytes that the queued items may hold, as [`Job::weigh`] says; one item over is dropped.
    pub queue_bytes_max: usize,
    /// Time between two flushes.
    pub flush_interval: Duration,
    /// After the first item of a burst, how long to let more arrive before taking them all.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            queue_items_max: 8_192,
            queue_bytes_max: 8 << 20,
            flush_interval: Duration::from_secs(1),
            linger: Duration::from_millis(5),
        }
    }
}

/// Why an offered item was not queued. Already counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// The queue is at one of its bounds.
    Full,
    /// The worker has been stopped.
    Stopped,
}

/// Why a flush that was asked for did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskError {
    /// No answer within the deadline.
    Deadline,
    /// The worker has been stopped.
    Stopped,
    /// The job could not send.
    Flush(FlushError),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AskError::Deadline => f.write_str("no answer within the deadline"),
            AskError::Stopped => f.write_str("the worker has been stopped"),
            AskError::Flush(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AskError {}

/// Counters of one worker, the same for every room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Items that were offered.
    pub offered: u64,
    /// Items that the job took.
    pub taken: u64,
    /// Items refused because the queue was at a bound.
    pub dropped_full: u64,
    /// Items refused after the stop.
    pub dropped_stopped: u64,
    /// Items still queued.
    pub pending: u64,
    /// Flushes that succeeded.
    pub flushed: u64,
    /// Flushes that failed.
    pub flush_failed: u64,
    /// Panics caught in the job.
    pub panics: u64,
    /// What the last flush said, if it failed. Cleared by the next that succeeds.
    pub last_error: Option<String>,
}

/// Where every item of an exporter went, in the exporter's own unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// What the unit is: `spans`, `samples`, `lines`.
    pub unit: &'static str,
    /// Handed in.
    pub offered: u64,
    /// Handed to the socket or the file.
    pub sent: u64,
    /// Given up, by reason.
    pub dropped: Vec<(&'static str, u64)>,
    /// Still held.
    pub pending: u64,
}

impl Ledger {
    /// Whether every item is accounted for. True at rest; a reading in flight may be off by what moves.
    pub fn balances(&self) -> bool {
        self.offered == self.sent + self.dropped_total() + self.pending
    }

    /// All drops together.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().map(|(_, count)| count).sum()
    }
}

/// Offers items to a worker. Cheap to clone; dropping all handles does not stop the worker.
pub struct Handle<T> {
    queue: Sender<T>,
    control: Sender<Control>,
    shared: Arc<Shared>,
    weigh: fn(&T) -> usize,
}

/// Owns a worker's thread. Dropping it stops the worker within two seconds.
#[must_use = "dropping the guard stops the worker at once"]
pub struct Guard {
    name: &'static str,
    control: Sender<Control>,
    done: Receiver<()>,
    thread: Option<thread::JoinHandle<()>>,
    shared: Arc<Shared>,
}

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Items left in the queue, never taken.
    pub left: u64,
    /// Whether the last flush succeeded.
    pub flushed: bool,
    /// Whether the thread ended within the deadline.
    pub joined: bool,
}

#[derive(Default)]
struct Shared {
    offered: AtomicU64,
    taken: AtomicU64,
    dropped_full: AtomicU64,
    dropped_stopped: AtomicU64,
    flushed: AtomicU64,
    flush_failed: AtomicU64,
    panics: AtomicU64,
    queue_bytes: AtomicUsize,
    queue_bytes_max: usize,
    stopped: AtomicBool,
    last_flush_ok: AtomicBool,
    last_error: Mutex<Option<String>>,
}

enum Control {
    Flush(Sender<Result<(), FlushError>>),
    Wake,
    Stop(Duration),
}

/// Starts a job on a thread of its own. `name` takes at most 15 bytes, all that Linux keeps.
///
/// # Errors
/// When the system refuses another thread.
pub fn start<J: Job>(
    name: &'static str,
    limits: Limits,
    clock: Clock,
    job: J,
) -> io::Result<(Handle<J::Item>, Guard)> {
    assert!(
        name.len() <= 15,
        "Linux cuts thread names at 15 bytes: {name}"
    );
    let (queue, items) = channel::bounded(limits.queue_items_max.max(1));
    let (control, orders) = channel::unbounded();
    let (done_sender, done) = channel::bounded(1);
    let shared = Arc::new(Shared {
        queue_bytes_max: limits.queue_bytes_max,
        last_flush_ok: AtomicBool::new(true),
        ..Shared::default()
    });
    let mut runner = Runner {
        job,
        items,
        orders,
        limits,
        clock,
        shared: shared.clone(),
    };
    let thread = thread::Builder::new()
        .name(name.to_string())
        .spawn(move || {
            runner.run();
            let _ = done_sender.send(());
        })?;
    let handle = Handle {
        queue,
        control: control.clone(),
        shared: shared.clone(),
        weigh: J::weigh,
    };
    Ok((
        handle,
        Guard {
            name,
            control,
            done,
            thread: Some(thread),
            shared,
        },
    ))
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Handle {
            queue: self.queue.clone(),
            control: self.control.clone(),
            shared: self.shared.clone(),
            weigh: self.weigh,
        }
    }
}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("pending", &self.queue.len())
            .finish_non_exhaustive()
    }
}

impl<T> Handle<T> {
    /// Queues an item, or drops and counts it. Never blocks.
    ///
    /// # Errors
    /// [`Dropped`] says why the item is gone.
    pub fn offer(&self, item: T) -> Result<(), Dropped> {
        let shared = &*self.shared;
        let offered = shared.offered.fetch_add(1, Ordering::Relaxed);
        if shared.stopped.load(Ordering::Acquire) {
            shared.dropped_stopped.fetch_add(1, Ordering::Relaxed);
            return Err(Dropped::Stopped);
        }
        let bytes = (self.weigh)(&item);
        let held = shared.queue_bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = held.saturating_add(bytes) <= shared.queue_bytes_max;
        let sent = if fits {
            self.queue.try_send(item)
        } else {
            Err(TrySendError::Full(item))
        };
        let Err(error) = sent else {
            self.hurry_when_crowded(offered, held);
            return Ok(());
        };
        shared.queue_bytes.fetch_sub(bytes, Ordering::Relaxed);
        let (counter, dropped) = match error {
            TrySendError::Full(_) => (&shared.dropped_full, Dropped::Full),
            TrySendError::Disconnected(_) => (&shared.dropped_stopped, Dropped::Stopped),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        Err(dropped)
    }

    /// Cuts the worker's linger short once the queue is half full; looks only now and then.
    fn hurry_when_crowded(&self, offered: u64, held_bytes: usize) {
        if !offered.is_multiple_of(128) {
            return;
        }
        let items_max = self.queue.capacity().unwrap_or(usize::MAX);
        if self.queue.len() * 2 > items_max || held_bytes > self.shared.queue_bytes_max / 2 {
            let _ = self.control.send(Control::Wake);
        }
    }

    /// Takes in what is queued now, flushes, and waits for the answer.
    ///
    /// # Errors
    /// [`AskError`]: no answer in time, no worker, or the job's own failure.
    pub fn flush(&self, deadline: Duration) -> Result<(), AskError> {
        if self.shared.stopped.load(Ordering::Acquire) {
            return Err(AskError::Stopped);
        }
        let (reply, answer) = channel::bounded(1);
        self.control
            .send(Control::Flush(reply))
            .map_err(|_| AskError::Stopped)?;
        match answer.recv_timeout(deadline) {
            Ok(outcome) => outcome.map_err(AskError::Flush),
            Err(RecvTimeoutError::Timeout) => Err(AskError::Deadline),
            Err(RecvTimeoutError::Disconnected) => Err(AskError::Stopped),
        }
    }

    /// The worker's counters as they stand.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }
}

impl Shared {
    fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // Outcomes before offers: a reading in flight then shows too many pending, never too few.
        let taken = read(&self.taken);
        let dropped_full = read(&self.dropped_full);
        let dropped_stopped = read(&self.dropped_stopped);
        let offered = read(&self.offered);
        Stats {
            offered,
            taken,
            dropped_full,
            dropped_stopped,
            pending: offered.saturating_sub(taken + dropped_full + dropped_stopped),
            flushed: read(&self.flushed),
            flush_failed: read(&self.flush_failed),
            panics: read(&self.panics),
            last_error: self
                .last_error
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }
}

impl Guard {
    /// The worker's thread name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Drains, flushes once more and ends the thread. What is not done by the deadline is left.
    pub fn stop(mut self, deadline: Duration) -> Stopped {
        self.end(deadline)
    }

    fn end(&mut self, deadline: Duration) -> Stopped {
        let _ = self.control.send(Control::Stop(deadline));
        let joined = self.done.recv_timeout(deadline).is_ok();
        match self.thread.take() {
            Some(thread) if joined => drop(thread.join()),
            _ => {}
        }
        Stopped {
            left: self.shared.stats().pending,
            flushed: joined && self.shared.last_flush_ok.load(Ordering::Relaxed),
            joined,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.end(Duration::from_secs(2));
        }
    }
}

struct Runner<J: Job> {
    job: J,
    items: Receiver<J::Item>,
    orders: Receiver<Control>,
    limits: Limits,
    clock: Clock,
    shared: Arc<Shared>,
}

enum Next {
    Go,
    End,
}

impl<J: Job> Runner<J> {
    fn run(&mut self) {
        let interval_ns = u64::try_from(self.limits.flush_interval.as_nanos()).unwrap_or(u64::MAX);
        let mut tick_at_ns = self.clock.mono_ns().saturating_add(interval_ns);
        loop {
            let until_tick = tick_at_ns.saturating_sub(self.clock.mono_ns());
            if let Next::End = self.wait(Duration::from_nanos(until_tick)) {
                return;
            }
            self.drain_until(tick_at_ns);
            let now_ns = self.clock.mono_ns();
            if now_ns >= tick_at_ns {
                let _ = self.flush(Why::Tick);
                // The next tick keeps its phase; ticks missed during a long flush are not made up.
                let missed = (now_ns - tick_at_ns) / interval_ns.max(1);
                tick_at_ns = tick_at_ns.saturating_add((missed + 1).saturating_mul(interval_ns));
            }
        }
    }

    /// Sleeps until an item, an order or the tick; after a first item lets more gather.
    fn wait(&mut self, until_tick: Duration) -> Next {
        channel::select! {
            recv(self.orders) -> order => return self.obey(order),
            recv(self.items) -> item => if let Ok(item) = item {
                self.take(item);
            } else {
                // Every handle is gone: only orders can come now.
                return match self.orders.recv_timeout(until_tick) {
                    Err(RecvTimeoutError::Timeout) => Next::Go,
                    Ok(order) => self.obey(Ok(order)),
                    Err(RecvTimeoutError::Disconnected) => Next::End,
                };
            },
            default(until_tick) => return Next::Go,
        }
        match self.orders.recv_timeout(self.limits.linger.min(until_tick)) {
            Ok(order) => self.obey(Ok(order)),
            Err(_) => Next::Go,
        }
    }

    fn obey(&mut self, order: Result<Control, channel::RecvError>) -> Next {
        match order {
            Ok(Control::Wake) => Next::Go,
            Ok(Control::Flush(reply)) => {
                // Only what is queued now, or a busy caller could keep the answer away for ever.
                self.drain(self.items.len() as u64);
                let outcome = self.flush(Why::Asked);
                let _ = reply.send(outcome);
                Next::Go
            }
            Ok(Control::Stop(deadline)) => {
                self.stop(deadline);
                Next::End
            }
            Err(_) => {
                self.stop(Duration::from_secs(2));
                Next::End
            }
        }
    }

    fn stop(&mut self, deadline: Duration) {
        self.shared.stopped.store(true, Ordering::Release);
        let deadline_ns = u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX);
        let end_ns = self.clock.mono_ns().saturating_add(deadline_ns);
        while !self.items.is_empty() && self.clock.mono_ns() < end_ns {
            self.drain(1_024);
        }
        let _ = self.flush(Why::Stop);
        // An offer that passed the check just before the stop may still have come in.
        if !self.items.is_empty() && self.clock.mono_ns() < end_ns {
            self.drain(self.items.len() as u64);
            let _ = self.flush(Why::Stop);
        }
    }

    /// Takes what is queued, but looks up now and then: callers who are faster than the job never let
    /// the queue run empty, and must not keep ticks and orders away for ever.
    fn drain_until(&mut self, tick_at_ns: u64) {
        loop {
            self.drain(1_024);
            let due = self.clock.mono_ns() >= tick_at_ns;
            if due || self.items.is_empty() || !self.orders.is_empty() {
                return;
            }
        }
    }

    fn drain(&mut self, items_max: u64) {
        for _ in 0..items_max {
            match self.items.try_recv() {
                Ok(item) => self.take(item),
                Err(_) => return,
            }
        }
    }

    fn take(&mut self, item: J::Item) {
        self.shared
            .queue_bytes
            .fetch_sub(J::weigh(&item), Ordering::Relaxed);
        let fill = catch_unwind(AssertUnwindSafe(|| self.job.take(item)));
        self.shared.taken.fetch_add(1, Ordering::Relaxed);
        match fill {
            Ok(Fill::Room) => {}
            Ok(Fill::Full) => drop(self.flush(Why::Full)),
            Err(panic) => self.note_panic(&*panic),
        }
    }

    fn flush(&mut self, why: Why) -> Result<(), FlushError> {
        let outcome = match catch_unwind(AssertUnwindSafe(|| self.job.flush(why))) {
            Ok(outcome) => outcome,
            Err(panic) => {
                self.note_panic(&*panic);
                Err(FlushError::new(format!("panic: {}", panic_text(&*panic))))
            }
        };
        let counter = if outcome.is_ok() {
            &self.shared.flushed
        } else {
            &self.shared.flush_failed
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.shared
            .last_flush_ok
            .store(outcome.is_ok(), Ordering::Relaxed);
        let error = outcome.as_ref().err().map(ToString::to_string);
        *self
            .shared
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = error;
        outcome
    }

    fn note_panic(&self, panic: &(dyn Any + Send)) {
        self.shared.panics.fetch_add(1, Ordering::Relaxed);
        let text = format!("panic: {}", panic_text(panic));
        *self
            .shared
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(text);
    }
}

/// The text of a caught panic, where it has one.
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panic without text")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    /// Adds up items; panics on 13, is full on 7, fails to flush while `broken`.
    struct Adder {
        sum: Arc<AtomicU64>,
        flushes: Arc<Mutex<Vec<Why>>>,
        broken: Arc<AtomicBool>,
        gate: Option<Receiver<()>>,
    }

    #[derive(Clone, Default)]
    struct Seen {
        sum: Arc<AtomicU64>,
        flushes: Arc<Mutex<Vec<Why>>>,
        broken: Arc<AtomicBool>,
    }

    impl Seen {
        fn job(&self, gate: Option<Receiver<()>>) -> Adder {
            let Seen {
                sum,
                flushes,
                broken,
            } = self.clone();
            Adder {
                sum,
                flushes,
                broken,
                gate,
            }
        }
    }

    impl Job for Adder {
        type Item = u64;
        fn take(&mut self, item: u64) -> Fill {
            if let Some(gate) = &self.gate {
                let _ = gate.recv();
            }
            assert_ne!(item, 13, "thirteen");
            self.sum.fetch_add(item, Ordering::SeqCst);
            if item == 7 { Fill::Full } else { Fill::Room }
        }
        fn flush(&mut self, why: Why) -> Result<(), FlushError> {
            self.flushes.lock().unwrap().push(why);
            if self.broken.load(Ordering::SeqCst) {
                return Err(FlushError::new("broken"));
            }
            Ok(())
        }
    }

    fn limits(items: usize, bytes: usize) -> Limits {
        Limits {
            queue_items_max: items,
            queue_bytes_max: bytes,
            flush_interval: Duration::from_secs(3_600),
            linger: Duration::from_millis(1),
        }
    }

    #[test]
    fn a_flush_that_is_asked_for_sees_every_item_offered_before() {
        let seen = Seen::default();
        let (handle, guard) =
            start("t-ask", limits(64, 4_096), Clock::system(), seen.job(None)).unwrap();
        for item in 1..=10 {
            handle.offer(item).unwrap();
        }
        handle.flush(DEADLINE).unwrap();
        assert_eq!(seen.sum.load(Ordering::SeqCst), 55);
        // 7 was full, so one flush came before the one that was asked for.
        assert_eq!(*seen.flushes.lock().unwrap(), [Why::Full, Why::Asked]);
        let stopped = guard.stop(DEADLINE);
        assert_eq!(
            stopped,
            Stopped {
                left: 0,
                flushed: true,
                joined: true
            }
        );
    }

    #[test]
    fn a_full_queue_drops_and_counts_by_items_and_by_bytes() {
        let seen = Seen::default();
        let (open, gate) = channel::unbounded();
        let (handle, guard) = start(
            "t-full",
            limits(4, 1 << 20),
            Clock::system(),
            seen.job(Some(gate)),
        )
        .unwrap();
        let refused = (0..100)
            .filter(|_| handle.offer(1) == Err(Dropped::Full))
            .count();
        // Four fit the queue and at most one is in the job's hands.
        assert!((95..=96).contains(&refused), "{refused}");
        drop(open);
        handle.flush(DEADLINE).unwrap();
        let stats = handle.stats();
        assert_eq!(stats.offered, stats.taken + stats.dropped_full);
        assert_eq!((stats.dropped_full as usize, stats.pending), (refused, 0));
        drop(guard);

        let (open, gate) = channel::unbounded();
        let (handle, _guard) = start(
            "t-bytes",
            limits(1_000, 32),
            Clock::system(),
            seen.job(Some(gate)),
        )
        .unwrap();
        let kept = (0..100).filter(|_| handle.offer(1).is_ok()).count();
        assert!(
            (4..=5).contains(&kept),
            "four items of eight bytes fit 32: {kept}"
        );
        drop(open);
    }

    #[test]
    fn a_panic_is_counted_and_the_thread_lives_on() {
        let seen = Seen::default();
        let (handle, guard) = start(
            "t-panic",
            limits(64, 4_096),
            Clock::system(),
            seen.job(None),
        )
        .unwrap();
        for item in [1, 13, 2] {
            handle.offer(item).unwrap();
        }
        handle.flush(DEADLINE).unwrap();
        let stats = handle.stats();
        assert_eq!(
            (stats.panics, stats.taken, seen.sum.load(Ordering::SeqCst)),
            (1, 3, 3)
        );
        assert!(guard.stop(DEADLINE).joined);
    }

    #[test]
    fn a_failed_flush_is_told_counted_and_remembered_until_one_succeeds() {
        let seen = Seen::default();
        let (handle, guard) =
            start("t-fail", limits(64, 4_096), Clock::system(), seen.job(None)).unwrap();
        seen.broken.store(true, Ordering::SeqCst);
        assert_eq!(
            handle.flush(DEADLINE),
            Err(AskError::Flush(FlushError::new("broken")))
        );
        assert_eq!(handle.stats().last_error.as_deref(), Some("broken"));
        seen.broken.store(false, Ordering::SeqCst);
        handle.flush(DEADLINE).unwrap();
        assert_eq!(handle.stats().last_error, None);
        assert_eq!(
            (handle.stats().flushed, handle.stats().flush_failed),
            (1, 1)
        );
        drop(guard);
    }

    #[test]
    fn a_stop_passes_a_full_queue_and_what_comes_later_is_counted() {
        let seen = Seen::default();
        let (handle, guard) =
            start("t-stop", limits(4, 4_096), Clock::system(), seen.job(None)).unwrap();
        while handle.offer(1).is_ok() && handle.stats().offered < 10_000 {}
        let stopped = guard.stop(DEADLINE);
        assert_eq!((stopped.left, stopped.joined), (0, true));
        assert_eq!(seen.flushes.lock().unwrap().last(), Some(&Why::Stop));
        assert_eq!(handle.offer(1), Err(Dropped::Stopped));
        let stats = handle.stats();
        assert_eq!(
            stats.offered,
            stats.taken + stats.dropped_full + stats.dropped_stopped
        );
        assert_eq!(handle.flush(DEADLINE), Err(AskError::Stopped));
    }

    #[test]
    fn a_job_that_hangs_does_not_hold_the_stop_past_its_deadline() {
        let seen = Seen::default();
        let (open, gate) = channel::unbounded::<()>();
        let (handle, guard) = start(
            "t-hang",
            limits(4, 4_096),
            Clock::system(),
            seen.job(Some(gate)),
        )
        .unwrap();
        handle.offer(1).unwrap();
        handle.offer(1).unwrap();
        let stopped = guard.stop(Duration::from_millis(50));
        assert!(!stopped.joined && stopped.left >= 1, "{stopped:?}");
        drop(open);
    }

    #[test]
    fn it_ticks_without_items_and_after_all_handles_are_gone() {
        let seen = Seen::default();
        let quick = Limits {
            flush_interval: Duration::from_millis(2),
            ..limits(4, 64)
        };
        let (handle, guard) = start("t-tick", quick, Clock::system(), seen.job(None)).unwrap();
        drop(handle);
        while seen.flushes.lock().unwrap().len() < 3 {
            thread::yield_now();
        }
        assert!(guard.stop(DEADLINE).joined);
    }

    /// Puts a new item into its own queue for each that it takes.
    struct Endless(Arc<std::sync::OnceLock<Handle<u64>>>);

    impl Job for Endless {
        type Item = u64;
        fn take(&mut self, item: u64) -> Fill {
            if let Some(queue) = self.0.get() {
                let _ = queue.offer(item);
            }
            Fill::Room
        }
        fn flush(&mut self, _why: Why) -> Result<(), FlushError> {
            Ok(())
        }
    }

    #[test]
    fn a_queue_that_never_runs_empty_keeps_no_order_away() {
        let queue = Arc::new(std::sync::OnceLock::new());
        let limits = Limits::default();
        let job = Endless(queue.clone());
        let (handle, guard) = start("t-endless", limits, Clock::system(), job).unwrap();
        queue.set(handle.clone()).unwrap();
        handle.offer(1).unwrap();
        while handle.stats().taken < 10_000 {
            thread::yield_now();
        }
        assert_eq!(handle.flush(DEADLINE), Ok(()));
        let stopped = guard.stop(DEADLINE);
        assert_eq!((stopped.left, stopped.joined), (0, true));
    }
}
