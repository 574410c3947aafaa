//! Standard output: on the log's own thread where it is the only output, else on one of its own.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::Error;
use super::counts::{Counts, this_thread_writes};
use super::held::{BATCH_BYTES_MAX, Held, batch_end, count_lines};
use crate::clock::Clock;
use crate::worker::{self, AskError, Fill, FlushError, Guard, Handle, Job, Limits, Why};

/// Bytes that wait for a standard output beside a file.
const STDOUT_BYTES_MAX: usize = 1 << 20;
/// Between two tries of one that does not block and is full, and how many there are before the next tick.
const FULL_WAIT: Duration = Duration::from_millis(2);
const FULL_WAITS_MAX: u32 = 20;
/// How long the end waits for it.
const STDOUT_STOP_WAIT: Duration = Duration::from_millis(200);

/// Where lines are shown.
pub(super) type Stream = Box<dyn Write + Send>;

/// The process's own, without the buffer in front of it: which part of a line is out must be known.
pub(super) fn stdout() -> Result<Stream, Error> {
    let copy = io::stdout().as_fd().try_clone_to_owned();
    let file = copy.map_err(|source| Error::Open {
        path: "/dev/stdout".into(),
        source,
    })?;
    Ok(Box::new(File::from(file)))
}

/// Standard output, until its reader goes away.
pub(super) struct Screen {
    stream: Option<Stream>,
    failing: bool,
    held: Held,
    counts: Arc<Counts>,
}

impl Screen {
    pub(super) fn new(stream: Stream, held_bytes_max: usize, counts: Arc<Counts>) -> Screen {
        Screen {
            stream: Some(stream),
            failing: false,
            held: Held::new(held_bytes_max),
            counts,
        }
    }

    pub(super) fn held(&mut self) -> &mut Held {
        &mut self.held
    }

    /// Whether its reader has gone away.
    pub(super) fn is_closed(&self) -> bool {
        self.stream.is_none()
    }

    /// Whether the last write failed.
    pub(super) fn is_failing(&self) -> bool {
        self.failing
    }

    /// Writes what is held. A reader that has gone away is not asked again; after other errors the next
    /// call goes on where this one ended.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let outcome = self.write_held();
        self.failing = outcome.is_err();
        if let Err(error) = &outcome
            && error.kind() == io::ErrorKind::BrokenPipe
        {
            self.stream = None;
            self.counts.stdout_closed.store(true, Ordering::Relaxed);
            self.held.give_up();
        }
        self.held.settle();
        outcome
    }

    fn write_held(&mut self) -> io::Result<()> {
        let mut waits = 0;
        while !self.held.is_empty() {
            let stream = self.stream.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
            let before = self.held.left_bytes();
            let outcome = self.held.write_batch(stream, BATCH_BYTES_MAX);
            match outcome {
                // Somebody who shares the pipe has set it not to block. Its reader may be at work all the same.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    waits = if self.held.left_bytes() < before {
                        0
                    } else {
                        waits + 1
                    };
                    if waits > FULL_WAITS_MAX {
                        return Err(error);
                    }
                    thread::park_timeout(FULL_WAIT);
                }
                outcome => drop(outcome?),
            }
        }
        Ok(())
    }
}

/// Standard output that nobody reads blocks its writer for ever; the file must not wait for it.
pub(super) struct Beside {
    batches: Handle<Vec<u8>>,
    guard: Option<Guard>,
    /// The last wait was in vain, and nothing has been read since.
    stuck: bool,
    counts: Arc<Counts>,
}

impl Beside {
    pub(super) fn start(
        stream: Stream,
        counts: &Arc<Counts>,
        clock: Clock,
    ) -> Result<Beside, Error> {
        let limits = Limits {
            queue_items_max: 64,
            queue_bytes_max: STDOUT_BYTES_MAX,
            ..Limits::default()
        };
        let shower = Shower {
            screen: Screen::new(stream, STDOUT_BYTES_MAX, counts.clone()),
            settled: (0, 0),
        };
        let (batches, guard) =
            worker::start("dd-stdout", limits, clock, shower).map_err(Error::Thread)?;
        Ok(Beside {
            batches,
            guard: Some(guard),
            stuck: false,
            counts: counts.clone(),
        })
    }

    /// Hands lines over, and never waits.
    pub(super) fn show(&mut self, text: &[u8]) {
        let waiting = &self.counts.stdout_waiting;
        if waiting.load(Ordering::Relaxed) == 0 {
            self.stuck = false;
        }
        let mut start = 0;
        while start < text.len() {
            let end = batch_end(text, start, BATCH_BYTES_MAX);
            let batch = text[start..end].to_vec();
            let lines = count_lines(&batch);
            waiting.fetch_add(lines, Ordering::Relaxed);
            if self.batches.offer(batch).is_err() {
                waiting.fetch_sub(lines, Ordering::Relaxed);
                self.counts.stdout_lost.fetch_add(lines, Ordering::Relaxed);
            }
            start = end;
        }
    }

    /// Waits a little for the reader where somebody waits for us.
    pub(super) fn wait(&mut self, why: Why) {
        if why == Why::Asked && !self.stuck {
            self.stuck = self.batches.flush(STDOUT_STOP_WAIT) == Err(AskError::Deadline);
        }
        if why == Why::Stop
            && let Some(guard) = self.guard.take()
        {
            guard.stop(STDOUT_STOP_WAIT);
            // Whoever still writes there writes for nobody's count.
            let left = self.counts.stdout_waiting.swap(0, Ordering::Relaxed);
            self.counts.stdout_lost.fetch_add(left, Ordering::Relaxed);
        }
    }
}

/// A screen on a thread of its own. The file is the measure of its lines, so what goes wrong here is counted
/// and no more.
struct Shower {
    screen: Screen,
    /// Lines shown and lines lost, as far as they have been counted.
    settled: (u64, u64),
}

impl Job for Shower {
    type Item = Vec<u8>;

    fn take(&mut self, mut batch: Vec<u8>) -> Fill {
        this_thread_writes();
        self.screen.held.push(&mut batch);
        // A reader that was slow is asked again with the next tick or batch.
        let _ = self.screen.write();
        self.count();
        Fill::Room
    }

    fn flush(&mut self, why: Why) -> Result<(), FlushError> {
        this_thread_writes();
        let outcome = self.screen.write();
        if why == Why::Stop {
            self.screen.held.give_up();
        }
        self.count();
        outcome.map_err(|error| FlushError::new(format!("standard output: {error}")))
    }

    fn weigh(batch: &Vec<u8>) -> usize {
        batch.capacity()
    }
}

impl Shower {
    fn count(&mut self) {
        let counts = &self.screen.counts;
        let lines = self.screen.held.lines();
        let (sent, dropped) = (lines.sent, lines.dropped.total());
        let mut lost = dropped - self.settled.1;
        let settled = sent - self.settled.0 + lost;
        self.settled = (sent, dropped);
        let subtract = |waiting: u64| Some(waiting.saturating_sub(settled));
        let order = Ordering::Relaxed;
        let waiting = counts.stdout_waiting.fetch_update(order, order, subtract);
        // After the stop nothing waits: all has been counted as lost.
        lost = lost.min(waiting.unwrap_or(0));
        counts.stdout_lost.fetch_add(lost, Ordering::Relaxed);
    }
}
