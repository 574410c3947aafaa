//! The loggers that are measured, each used as its own documentation has it.

use std::fs::File;
use std::io::{self, LineWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use slog::{Drain, o};
use slog_async::OverflowStrategy;
use testapi::clock::Clock;
use testapi::identity::Identity;
use testapi::log::{self, Level, Logger, Options, Record, Value};
use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;

use super::{LINES, MESSAGE, Served};

pub(crate) trait Peer {
    fn name(&self) -> &'static str;
    /// Says these lines, one call each.
    fn log(&self, lines: &[Served]);
    /// Waits until so many lines in all are in the file.
    fn flush(&self, lines: u64);
}

pub(crate) struct Ours(Logger);

impl Ours {
    pub(crate) fn start(file: PathBuf) -> Ours {
        let identity = Identity {
            env: "bench".into(),
            version: "1".into(),
            ..Identity::of_process("shop")
        };
        let options = Options {
            file: Some(file),
            stdout: false,
            ..Options::default()
        };
        let (logger, guard) =
            log::start(options, &identity, Clock::system()).expect("a file and a thread");
        std::mem::forget(guard);
        Ours(logger)
    }
}

impl Peer for Ours {
    fn name(&self) -> &'static str {
        "testapi"
    }

    fn log(&self, lines: &[Served]) {
        for served in lines {
            self.0.log(&Record {
                logger: "api",
                trace_id: served.trace_id,
                span_id: served.span_id,
                fields: &[
                    ("http.method", Value::Str(served.method)),
                    ("http.route", Value::Str(served.route)),
                    ("http.status_code", Value::U64(served.status)),
                    ("duration", Value::U64(served.duration)),
                ],
                ..Record::new(Level::Info, MESSAGE)
            });
        }
    }

    fn flush(&self, _lines: u64) {
        let flushed = self.0.flush(Duration::from_secs(10));
        flushed.expect("the file takes it");
    }
}

/// Lines that a writing thread has put into its file.
#[derive(Clone, Default)]
struct Written(Arc<AtomicU64>);

impl Written {
    /// Asks until it is so, for ten seconds or somewhat more.
    fn wait(&self, lines: u64) {
        for _ in 0..50_000 {
            if self.0.load(Ordering::Acquire) >= lines {
                return;
            }
            thread::park_timeout(Duration::from_micros(200));
        }
        panic!("of {lines} lines some do not arrive");
    }
}

/// A file that says how many lines it has got; each comes in one write.
struct Counted {
    file: File,
    written: Written,
}

impl Write for Counted {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let count = self.file.write(text)?;
        if text[..count].ends_with(b"\n") {
            self.written.0.fetch_add(1, Ordering::Release);
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn create(file: &Path) -> File {
    File::create(file).expect("the folder is ours to write")
}

fn counted(file: &Path) -> (Counted, Written) {
    let written = Written::default();
    let counted = Counted {
        file: create(file),
        written: written.clone(),
    };
    (counted, written)
}

/// tracing-subscriber, with its lines as flat as ours; it has no place for what a process always says.
pub(crate) struct Tracing {
    name: &'static str,
    dispatch: Dispatch,
    /// Where a thread writes.
    written: Option<Written>,
}

impl Tracing {
    pub(crate) fn direct(file: &Path) -> Tracing {
        Tracing {
            name: "tracing-subscriber, file in a Mutex",
            dispatch: json(Mutex::new(create(file))),
            written: None,
        }
    }

    pub(crate) fn non_blocking(file: &Path) -> Tracing {
        let (file, written) = counted(file);
        let (writer, guard) = tracing_appender::non_blocking(file);
        std::mem::forget(guard);
        Tracing {
            name: "tracing-subscriber, tracing-appender",
            dispatch: json(writer),
            written: Some(written),
        }
    }
}

fn json(writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static) -> Dispatch {
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(writer);
    Dispatch::new(subscriber.finish())
}

impl Peer for Tracing {
    fn name(&self) -> &'static str {
        self.name
    }

    fn log(&self, lines: &[Served]) {
        tracing::dispatcher::with_default(&self.dispatch, || {
            for served in lines {
                tracing::info!(
                    target: "api",
                    {
                        dd.trace_id = served.trace_id as u64,
                        dd.span_id = served.span_id,
                        http.method = served.method,
                        http.route = served.route,
                        http.status_code = served.status,
                        duration = served.duration,
                    },
                    "{MESSAGE}"
                );
            }
        });
    }

    fn flush(&self, lines: u64) {
        if let Some(written) = &self.written {
            written.wait(lines);
        }
    }
}

/// slog-json, with what a process always says in its root logger.
pub(crate) struct Slog {
    name: &'static str,
    logger: slog::Logger,
    /// Where a thread writes.
    written: Option<Written>,
}

impl Slog {
    pub(crate) fn direct(file: &Path) -> Slog {
        let drain = slog_json::Json::default(LineWriter::new(create(file)));
        Slog {
            name: "slog-json, file in a Mutex",
            logger: root(Mutex::new(drain).fuse()),
            written: None,
        }
    }

    pub(crate) fn queued(file: &Path) -> Slog {
        let (file, written) = counted(file);
        let drain = slog_json::Json::default(LineWriter::new(file)).fuse();
        // As many as are said between two flushes; it queues 128 unless it is told.
        let queue = slog_async::Async::new(drain)
            .chan_size(LINES as usize)
            .overflow_strategy(OverflowStrategy::DropAndReport);
        Slog {
            name: "slog-json, slog-async",
            logger: root(queue.build().fuse()),
            written: Some(written),
        }
    }
}

fn root<D>(drain: D) -> slog::Logger
where
    D: Drain<Ok = (), Err = slog::Never> + Send + Sync + 'static,
    D: std::panic::UnwindSafe + std::panic::RefUnwindSafe,
{
    let always = o!(
        "service" => "shop", "ddsource" => "rust", "logger.name" => "api",
        "dd.service" => "shop", "dd.env" => "bench", "dd.version" => "1",
    );
    slog::Logger::root(drain, always)
}

impl Peer for Slog {
    fn name(&self) -> &'static str {
        self.name
    }

    fn log(&self, lines: &[Served]) {
        for served in lines {
            slog::info!(
                self.logger, "{MESSAGE}";
                "dd.trace_id" => served.trace_id as u64,
                "dd.span_id" => served.span_id,
                "http.method" => served.method,
                "http.route" => served.route,
                "http.status_code" => served.status,
                "duration" => served.duration,
            );
        }
    }

    fn flush(&self, lines: u64) {
        if let Some(written) = &self.written {
            written.wait(lines);
        }
    }
}
