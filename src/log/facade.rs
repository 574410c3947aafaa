//! Records of libraries: what they say through the crate `log` becomes lines like all others.
//!
//! That crate has one place for a logger in a process, and so has this room: of several apps in one process
//! the one that started last has it. Nothing in this library speaks through that crate, so the log never
//! feeds itself.

use std::fmt;
use std::sync::{OnceLock, PoisonError, RwLock, TryLockError};
use std::time::Duration;

use log_facade as facade;
use log_facade::kv;

use super::Logger;
use super::counts::does_this_thread_write;
use super::record::{Level, Record, Value};

static CURRENT: RwLock<Option<Logger>> = RwLock::new(None);

/// How long a library that asks for a flush waits.
const FLUSH_WAIT: Duration = Duration::from_millis(200);

/// The process's logger is not ours: somebody else has set one for the crate `log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken;

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("records of libraries go to another logger of this process")
    }
}

impl std::error::Error for Taken {}

/// Makes this logger the process's own: it takes the records of libraries from its least level on, and
/// [`current`] gives it. It takes the place of one that was installed before.
///
/// # Errors
/// [`Taken`]: libraries speak to a logger that is not this room's; [`current`] gives this one all the same.
pub fn install(logger: &Logger) -> Result<(), Taken> {
    *CURRENT.write().unwrap_or_else(PoisonError::into_inner) = Some(logger.clone());
    if !is_ours() {
        return Err(Taken);
    }
    facade::set_max_level(filter(logger.level_min()));
    Ok(())
}

/// The crate's place is given once a process; from then on the door looks who is behind it.
fn is_ours() -> bool {
    static OURS: OnceLock<bool> = OnceLock::new();
    static DOOR: Door = Door;
    *OURS.get_or_init(|| facade::set_logger(&DOOR).is_ok())
}

/// Takes the logger's place away, where it is still its own: before it ends.
pub fn uninstall(logger: &Logger) {
    let mut current = CURRENT.write().unwrap_or_else(PoisonError::into_inner);
    if current.as_ref().is_some_and(|now| now.is_same(logger)) {
        *current = None;
        if is_ours() {
            facade::set_max_level(facade::LevelFilter::Off);
        }
    }
}

/// The process's logger, where there is one. Never waits: while one takes another's place there is none.
pub fn current() -> Option<Logger> {
    match CURRENT.try_read() {
        Ok(current) => current.clone(),
        Err(TryLockError::Poisoned(current)) => current.into_inner().clone(),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Stands behind the crate's own place, and hands on to whoever is current.
struct Door;

impl facade::Log for Door {
    fn enabled(&self, asked: &facade::Metadata<'_>) -> bool {
        let is_on = |logger: Logger| logger.is_on(level(asked.level()));
        current().is_some_and(is_on)
    }

    fn log(&self, record: &facade::Record<'_>) {
        let Some(logger) = current().filter(|logger| logger.is_on(level(record.level()))) else {
            return;
        };
        let text;
        let message = match record.args().as_str() {
            Some(message) => message,
            None => {
                text = record.args().to_string();
                &text
            }
        };
        let mut pairs = Pairs::default();
        // Those before the one that cannot be read stand.
        let _ = record.key_values().visit(&mut pairs);
        let thread = std::thread::current();
        logger.log(&Record {
            logger: record.target(),
            thread: thread.name().unwrap_or(""),
            fields: &pairs.fields(),
            ..Record::new(level(record.level()), message)
        });
    }

    fn flush(&self) {
        if let Some(logger) = current()
            && !does_this_thread_write()
        {
            // Whoever asks is told nothing; what was not written is in the ledger.
            let _ = logger.flush(FLUSH_WAIT);
        }
    }
}

fn level(level: facade::Level) -> Level {
    match level {
        facade::Level::Error => Level::Error,
        facade::Level::Warn => Level::Warn,
        facade::Level::Info => Level::Info,
        facade::Level::Debug | facade::Level::Trace => Level::Debug,
    }
}

/// That crate knows nothing worse than an error.
fn filter(level_min: Level) -> facade::LevelFilter {
    match level_min {
        Level::Debug => facade::LevelFilter::Trace,
        Level::Info => facade::LevelFilter::Info,
        Level::Warn => facade::LevelFilter::Warn,
        Level::Error => facade::LevelFilter::Error,
        Level::Critical => facade::LevelFilter::Off,
    }
}

/// Key-values of one record.
#[derive(Default)]
struct Pairs(Vec<(String, Kept)>);

enum Kept {
    Bool(bool),
    U64(u64),
    I64(i64),
    F64(f64),
    Text(String),
}

impl<'kvs> kv::VisitSource<'kvs> for Pairs {
    fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        let mut kept = Kept::Text(String::new());
        value.visit(&mut kept)?;
        self.0.push((key.to_string(), kept));
        Ok(())
    }
}

impl<'v> kv::VisitValue<'v> for &mut Kept {
    fn visit_any(&mut self, value: kv::Value<'_>) -> Result<(), kv::Error> {
        **self = Kept::Text(value.to_string());
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        **self = Kept::Bool(value);
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        **self = Kept::U64(value);
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        **self = Kept::I64(value);
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        **self = Kept::F64(value);
        Ok(())
    }
}

impl Pairs {
    fn fields(&self) -> Vec<(&str, Value<'_>)> {
        self.0
            .iter()
            .map(|(name, kept)| (name.as_str(), kept.value()))
            .collect()
    }
}

impl Kept {
    fn value(&self) -> Value<'_> {
        match self {
            Kept::Bool(value) => Value::Bool(*value),
            Kept::U64(value) => Value::U64(*value),
            Kept::I64(value) => Value::I64(*value),
            Kept::F64(value) => Value::F64(*value),
            Kept::Text(text) => Value::Str(text),
        }
    }
}
