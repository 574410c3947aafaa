//! What is looked at once a second, as gunicorn's arbiter does: the workers, and who waits for one.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use super::{Backlog, Metrics};
use crate::worker::{self, Fill, FlushError, Guard, Job, Limits, Why};

/// gunicorn's arbiter looks once a second (`arbiter.py`, `sleep`). The client's window is longer, so
/// every window has a fresh value.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What the server's threads do at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    /// Ready to serve.
    pub idle: usize,
    /// Serving.
    pub working: usize,
}

impl Metrics {
    /// Looks at the server once, and then every second until the guard is stopped.
    ///
    /// # Errors
    /// When the system refuses another thread.
    pub fn watch(
        &self,
        workers: impl Fn() -> Workers + Send + 'static,
        backlog: Option<Backlog>,
    ) -> io::Result<Guard> {
        let look = Look {
            metrics: self.clone(),
            workers_name: self.0.prefix.name("workers"),
            backlog_name: self.0.prefix.name("backlog"),
            workers,
            backlog,
        };
        // What is in the way of the first look is in the way of the next, whose error is kept.
        let _ = look.once();
        let limits = Limits {
            queue_items_max: 1,
            flush_interval: LOOK_INTERVAL,
            ..Limits::default()
        };
        let clock = self.0.clock.clone();
        let (looks, guard) = worker::start("dd-gunicorn", limits, clock, look)?;
        // A second watch looks too; the first is the one that a flush waits for.
        let _ = self.0.looks.set(looks);
        Ok(guard)
    }
}

struct Look<F> {
    metrics: Metrics,
    workers_name: String,
    backlog_name: String,
    workers: F,
    backlog: Option<Backlog>,
}

impl<F: Fn() -> Workers> Look<F> {
    fn once(&self) -> Result<(), FlushError> {
        let client = &self.metrics.0.client;
        let Workers { idle, working } = (self.workers)();
        for (state, threads) in [("idle", idle), ("working", working)] {
            let tags = [("state", state)];
            let told = client.gauge(&self.workers_name, threads as f64, &tags);
            told.map_err(FlushError::new)?;
        }
        if let Some(backlog) = &self.backlog {
            let waiting = backlog.waiting().map_err(FlushError::new)?;
            let told = client.histogram(&self.backlog_name, waiting as f64, &[]);
            told.map_err(FlushError::new)?;
        }
        Ok(())
    }
}

impl<F: Fn() -> Workers + Send + 'static> Job for Look<F> {
    type Item = Infallible;

    fn take(&mut self, item: Infallible) -> Fill {
        match item {}
    }

    /// At the stop the pool has ended, and nobody works or idles there any more.
    fn flush(&mut self, why: Why) -> Result<(), FlushError> {
        if why == Why::Stop {
            Ok(())
        } else {
            self.once()
        }
    }
}
