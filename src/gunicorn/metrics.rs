//! Counts and times of requests and log lines.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::{Options, Prefix};
use crate::clock::Clock;
use crate::dogstatsd::{self, Client, CountHandle, TimingHandle};
use crate::identity::Identity;
use crate::worker::{AskError, Guard, Handle, Ledger, Stats};

/// How bad a log line was, in the words of gunicorn's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// `gunicorn.log.critical`.
    Critical,
    /// `gunicorn.log.error`.
    Error,
    /// `gunicorn.log.warning`.
    Warning,
    /// `gunicorn.log.exception`: an error with its stack. It is no `error` besides.
    Exception,
}

/// The last part of each name, in the order of [`Severity`].
const LOG_NAMES: [&str; 4] = ["log.critical", "log.error", "log.warning", "log.exception"];

/// Statuses of HTTP.
const STATUS_MIN: u16 = 100;
const STATUS_MAX: u16 = 599;

/// Why these metrics cannot be sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The system refused a thread.
    Thread(io::Error),
    /// A line would not fit: the tags are too long.
    Line(dogstatsd::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Thread(error) => write!(f, "cannot start a thread: {error}"),
            Error::Line(error) => write!(f, "the server's metrics do not fit a datagram: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Thread(error) => Some(error),
            Error::Line(error) => Some(error),
        }
    }
}

/// Counts and times under gunicorn's names. Cheap to clone; callers never wait.
#[derive(Clone, Debug)]
pub struct Metrics(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) client: Client,
    pub(super) prefix: Prefix,
    pub(super) clock: Clock,
    /// Who looks at the pool, once there is one.
    pub(super) looks: OnceLock<Handle<Infallible>>,
    backlog: bool,
    requests: CountHandle,
    duration: TimingHandle,
    lines: [CountHandle; 4],
    /// One a status, looked up when it first occurs.
    statuses: Vec<OnceLock<Option<CountHandle>>>,
}

/// Starts a client for these metrics alone.
///
/// # Errors
/// [`Error`]
pub fn start(
    options: Options,
    identity: &Identity,
    clock: Clock,
) -> Result<(Metrics, Guard), Error> {
    let identity = options.tags.over(identity);
    let started = dogstatsd::start(options.statsd, &identity, clock.clone());
    let (client, guard) = started.map_err(Error::Thread)?;
    let prefix = options.prefix;
    let count = |metric: &str| {
        let handle = client.count_handle(&prefix.name(metric), &[]);
        handle.map_err(Error::Line)
    };
    let [critical, error, warning, exception] = LOG_NAMES.map(count);
    let duration = client.timing_handle(&prefix.name("request.duration"), &[]);
    let inner = Inner {
        requests: count("requests")?,
        duration: duration.map_err(Error::Line)?,
        lines: [critical?, error?, warning?, exception?],
        statuses: (STATUS_MIN..=STATUS_MAX).map(|_| OnceLock::new()).collect(),
        looks: OnceLock::new(),
        backlog: options.backlog,
        clock,
        prefix,
        client,
    };
    // Of all names that of a status is the longest: where one fits, all do.
    let longest = inner.prefix.name("request.status.200");
    let fits = inner.client.count_handle(&longest, &[]);
    fits.map_err(Error::Line)?;
    Ok((Metrics(Arc::new(inner)), guard))
}

impl Metrics {
    /// A request was answered with this status after this time.
    pub fn request(&self, status: u16, took: Duration) {
        self.answered(status);
        self.0.duration.record(took);
    }

    /// A request was answered without being served: it has a status, and no time that would mean anything.
    pub fn answered(&self, status: u16) {
        self.0.requests.add(1);
        if let Some(count) = self.0.status(status) {
            count.add(1);
        }
    }

    /// A line was written to the log.
    pub fn logged(&self, severity: Severity) {
        self.0.lines[severity as usize].add(1);
    }

    /// Whether `gunicorn.backlog` was asked for.
    pub fn wants_backlog(&self) -> bool {
        self.0.backlog
    }

    /// Looks at the pool, sends all that was counted before, and waits for the answer.
    ///
    /// # Errors
    /// [`AskError`]
    pub fn flush(&self, deadline: Duration) -> Result<(), AskError> {
        let looked = match self.0.looks.get().map(|looks| looks.flush(deadline)) {
            // Nobody looks any more, and what was counted is sent all the same.
            None | Some(Err(AskError::Stopped)) => Ok(()),
            Some(looked) => looked,
        };
        self.0.client.flush(deadline).and(looked)
    }

    /// Where every sample went.
    pub fn ledger(&self) -> Ledger {
        self.0.client.ledger()
    }

    /// Counters of the client's worker. An error names the setting that leads here, and may be that of
    /// the last look at the pool.
    pub fn stats(&self) -> Stats {
        let stats = self.0.client.stats();
        let looks = self.0.looks.get().map(Handle::stats).unwrap_or_default();
        let named = |error: String| error.replace("(DD_DOGSTATSD_URL)", "(TESTAPI_STATSD_HOST)");
        Stats {
            last_error: stats.last_error.map(named).or(looks.last_error),
            panics: stats.panics + looks.panics,
            ..stats
        }
    }
}

impl Inner {
    /// What is no status leaves as a 500.
    fn status(&self, status: u16) -> Option<&CountHandle> {
        let known = (STATUS_MIN..=STATUS_MAX).contains(&status);
        let status = if known { status } else { 500 };
        let place = &self.statuses[usize::from(status - STATUS_MIN)];
        // There is room for a handle each, and the start has seen that the line fits.
        let look_up = || {
            let name = self.prefix.name(&format!("request.status.{status}"));
            self.client.count_handle(&name, &[]).ok()
        };
        place.get_or_init(look_up).as_ref()
    }
}
