//! The caller's side: start, offer, ask for a flush, stop.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{self as channel, Receiver, RecvTimeoutError, Sender, TrySendError};

use super::runner::{Control, Runner};
use super::stats::Shared;
use super::{FlushError, Job, Limits, Stats};
use crate::clock::Clock;
use crate::threads;

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

/// Offers items to a worker. Cheap to clone; dropping all handles does not stop the worker.
pub struct Handle<T> {
    queue: Sender<T>,
    pub(super) control: Sender<Control>,
    pub(super) shared: Arc<Shared>,
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
    let shared = Arc::new(Shared::new(limits.queue_bytes_max));
    start_counting(name, limits, clock, (job, shared))
}

/// Starts a job that counts into these counters.
pub(super) fn start_counting<J: Job>(
    name: &'static str,
    limits: Limits,
    clock: Clock,
    (job, shared): (J, Arc<Shared>),
) -> io::Result<(Handle<J::Item>, Guard)> {
    assert!(
        name.len() <= 15,
        "Linux cuts thread names at 15 bytes: {name}"
    );
    let (queue, items) = channel::bounded(limits.queue_items_max.max(1));
    let (control, orders) = channel::unbounded();
    let (done_sender, done) = channel::bounded(1);
    let mut runner = Runner {
        job,
        items,
        orders,
        limits,
        clock,
        shared: shared.clone(),
        unsettled_items: 0,
        unsettled_bytes: 0,
    };
    let thread = thread::Builder::new()
        .name(name.to_string())
        .spawn(move || {
            let life = threads::born();
            runner.run();
            drop(life);
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
        let offered = shared.callers.0.offered.fetch_add(1, Ordering::Relaxed);
        if shared.stopped.load(Ordering::Acquire) {
            shared
                .callers
                .0
                .dropped_stopped
                .fetch_add(1, Ordering::Relaxed);
            return Err(Dropped::Stopped);
        }
        let bytes = (self.weigh)(&item);
        let held = shared.queue_bytes.0.fetch_add(bytes, Ordering::Relaxed);
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
        shared.queue_bytes.0.fetch_sub(bytes, Ordering::Relaxed);
        let (counter, dropped) = match error {
            TrySendError::Full(_) => (&shared.callers.0.dropped_full, Dropped::Full),
            TrySendError::Disconnected(_) => (&shared.callers.0.dropped_stopped, Dropped::Stopped),
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicU64};

    use super::super::{Fill, Why};
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
