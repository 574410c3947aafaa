//! Standard output: on the log's own thread where it is the only output, else on one of its own.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::Error;
use super::file::{batch_end, count_lines};
use crate::clock::Clock;
use crate::worker::{self, Fill, FlushError, Guard, Handle, Job, Limits, Why};

/// Bytes that wait for a standard output beside a file.
const STDOUT_BYTES_MAX: usize = 1 << 20;
/// How long the end waits for it.
const STDOUT_STOP_WAIT: Duration = Duration::from_millis(200);

/// Counters of the outputs.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) sent: AtomicU64,
    pub(super) io_error: AtomicU64,
    pub(super) held: AtomicU64,
    pub(super) file_reopened: AtomicU64,
    pub(super) stdout_lost: AtomicU64,
    /// Handed to the thread of standard output, and neither shown nor lost so far.
    pub(super) stdout_waiting: AtomicU64,
    pub(super) stdout_closed: AtomicBool,
}

/// Where lines are shown.
pub(super) type Stream = Box<dyn Write + Send>;

/// Where lines for standard output go.
pub(super) enum Stdout {
    /// It is the only output: this thread writes it.
    Own(Screen),
    /// There is a file too: a thread of its own writes it.
    Apart(Handle<Vec<u8>>, Option<Guard>),
}

/// Standard output, until its reader goes away.
pub(super) struct Screen {
    stream: Option<Stream>,
    counts: Arc<Counts>,
}

impl Screen {
    pub(super) fn new(stream: Stream, counts: Arc<Counts>) -> Screen {
        Screen {
            stream: Some(stream),
            counts,
        }
    }

    /// A reader that has gone away is not asked again; other errors cost these lines.
    fn show(&mut self, bytes: &[u8]) -> Result<(), FlushError> {
        let lost = |counts: &Counts| {
            counts
                .stdout_lost
                .fetch_add(count_lines(bytes), Ordering::Relaxed)
        };
        let Some(stream) = &mut self.stream else {
            lost(&self.counts);
            return Err(FlushError::new("standard output is closed"));
        };
        let outcome = stream.write_all(bytes).and_then(|()| stream.flush());
        outcome.map_err(|error| {
            lost(&self.counts);
            if error.kind() == io::ErrorKind::BrokenPipe {
                self.stream = None;
                self.counts.stdout_closed.store(true, Ordering::Relaxed);
            }
            FlushError::new(format!("standard output: {error}"))
        })
    }
}

impl Job for Screen {
    type Item = Vec<u8>;

    fn take(&mut self, batch: Vec<u8>) -> Fill {
        // What went wrong is in the counters; the file is the measure of these lines.
        let _ = self.show(&batch);
        let shown = count_lines(&batch);
        let waiting = &self.counts.stdout_waiting;
        // At the stop all that wait are given up at once.
        let _ = waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
            Some(waiting.saturating_sub(shown))
        });
        Fill::Room
    }

    fn flush(&mut self, _why: Why) -> Result<(), FlushError> {
        Ok(())
    }

    fn weigh(batch: &Vec<u8>) -> usize {
        batch.capacity()
    }
}

impl Stdout {
    /// Shows lines, or hands them to the thread that does.
    pub(super) fn write(
        &mut self,
        bytes: &[u8],
        why: Why,
        counts: &Counts,
    ) -> Result<(), FlushError> {
        match self {
            Stdout::Own(_) if bytes.is_empty() => Ok(()),
            Stdout::Own(screen) => screen.show(bytes),
            Stdout::Apart(batches, guard) => {
                let mut start = 0;
                while start < bytes.len() {
                    let end = batch_end(bytes, start);
                    let batch = bytes[start..end].to_vec();
                    let lines = count_lines(&batch);
                    counts.stdout_waiting.fetch_add(lines, Ordering::Relaxed);
                    if batches.offer(batch).is_err() {
                        counts.stdout_waiting.fetch_sub(lines, Ordering::Relaxed);
                        counts.stdout_lost.fetch_add(lines, Ordering::Relaxed);
                    }
                    start = end;
                }
                if why == Why::Asked {
                    let _ = batches.flush(STDOUT_STOP_WAIT);
                }
                if why == Why::Stop
                    && let Some(guard) = guard.take()
                {
                    guard.stop(STDOUT_STOP_WAIT);
                    // Whoever still writes there writes for nobody's count.
                    let left = counts.stdout_waiting.swap(0, Ordering::Relaxed);
                    counts.stdout_lost.fetch_add(left, Ordering::Relaxed);
                }
                Ok(())
            }
        }
    }
}

/// Standard output that nobody reads blocks its writer for ever; the file must not wait for it.
pub(super) fn apart(screen: Screen, clock: Clock) -> Result<Stdout, Error> {
    let limits = Limits {
        queue_items_max: 64,
        queue_bytes_max: STDOUT_BYTES_MAX,
        ..Limits::default()
    };
    let (batches, guard) =
        worker::start("dd-stdout", limits, clock, screen).map_err(Error::Thread)?;
    Ok(Stdout::Apart(batches, Some(guard)))
}
