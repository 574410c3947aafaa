//! The thread's side: wait, take, tick, flush, obey.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crossbeam_channel::{self as channel, Receiver, RecvTimeoutError, Sender};

use super::stats::Shared;
use super::{Fill, FlushError, Job, Limits, Why, panic_text};
use crate::clock::Clock;

/// Orders to a worker; they never pass through its queue.
pub(super) enum Control {
    Flush(Sender<Result<(), FlushError>>),
    Wake,
    Full,
    Stop(Duration),
}

/// Items after which the counters are told of them.
const UNSETTLED_ITEMS_MAX: u64 = 64;

/// A job on its thread.
pub(super) struct Runner<J: Job> {
    pub(super) job: J,
    pub(super) items: Receiver<J::Item>,
    pub(super) orders: Receiver<Control>,
    pub(super) limits: Limits,
    pub(super) clock: Clock,
    pub(super) shared: Arc<Shared>,
    /// Items taken, and what they weighed, since the counters were last told.
    pub(super) unsettled_items: u64,
    pub(super) unsettled_bytes: usize,
}

enum Next {
    Go,
    End,
}

impl<J: Job> Runner<J> {
    pub(super) fn run(&mut self) {
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
                // Who looks during the linger finds the books in order.
                self.settle();
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
            Ok(Control::Full) => {
                let _ = self.flush(Why::Full);
                Next::Go
            }
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
                Err(_) => break,
            }
        }
        self.settle();
    }

    fn take(&mut self, item: J::Item) {
        self.unsettled_items += 1;
        self.unsettled_bytes += J::weigh(&item);
        if self.unsettled_items == UNSETTLED_ITEMS_MAX {
            self.settle();
        }
        let fill = catch_unwind(AssertUnwindSafe(|| self.job.take(item)));
        match fill {
            Ok(Fill::Room) => {}
            Ok(Fill::Full) => drop(self.flush(Why::Full)),
            Err(panic) => self.note_panic(&*panic),
        }
    }

    /// Tells the counters of the items taken since the last time: callers write next to one of them, and
    /// each write of ours costs one of theirs.
    fn settle(&mut self) {
        let (items, bytes) = (self.unsettled_items, self.unsettled_bytes);
        (self.unsettled_items, self.unsettled_bytes) = (0, 0);
        if items > 0 {
            self.shared
                .queue_bytes
                .0
                .fetch_sub(bytes, Ordering::Relaxed);
            self.shared
                .thread
                .0
                .taken
                .fetch_add(items, Ordering::Relaxed);
        }
    }

    fn flush(&mut self, why: Why) -> Result<(), FlushError> {
        self.settle();
        let outcome = match catch_unwind(AssertUnwindSafe(|| self.job.flush(why))) {
            Ok(outcome) => outcome,
            Err(panic) => {
                self.note_panic(&*panic);
                Err(FlushError::new(format!("panic: {}", panic_text(&*panic))))
            }
        };
        let counter = if outcome.is_ok() {
            &self.shared.thread.0.flushed
        } else {
            &self.shared.thread.0.flush_failed
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
        self.shared.thread.0.panics.fetch_add(1, Ordering::Relaxed);
        let text = format!("panic: {}", panic_text(panic));
        *self
            .shared
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(text);
    }
}
