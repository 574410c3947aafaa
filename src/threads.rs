//! Births of threads: rooms that start threads say so here, and who wants to know hands in a watcher.
//!
//! Invariant: without a watcher a birth costs one uncontended lock, and nothing is kept.
//!
//! One watcher a process, for what watches threads (signals, timers) is the process's own. It learns of
//! threads that begin after it was handed in.
//!
//! ```
//! use std::any::Any;
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU64, Ordering};
//! use testapi::threads::{self, Watcher};
//!
//! #[derive(Default)]
//! struct Count(Arc<AtomicU64>);
//! impl Watcher for Count {
//!     fn born(&self) -> Box<dyn Any> {
//!         self.0.fetch_add(1, Ordering::Relaxed);
//!         Box::new(())
//!     }
//! }
//!
//! let births = Arc::new(AtomicU64::new(0));
//! let watch = threads::watch(Arc::new(Count(births.clone()))).unwrap();
//! std::thread::spawn(|| { let _life = threads::born(); }).join().unwrap();
//! drop(watch);
//! std::thread::spawn(|| { let _life = threads::born(); }).join().unwrap();
//! assert_eq!(births.load(Ordering::Relaxed), 1);
//! ```

use std::any::Any;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// Is told of threads.
pub trait Watcher: Send + Sync {
    /// Called on a thread that has just begun. What it gives is dropped on that thread when it ends.
    fn born(&self) -> Box<dyn Any>;
}

static WATCHER: RwLock<Option<Arc<dyn Watcher>>> = RwLock::new(None);

/// While this is held, its watcher is told.
#[must_use = "dropping it ends the watch"]
pub struct Watch(());

/// Hands in the watcher; `None` where there is one already.
pub fn watch(watcher: Arc<dyn Watcher>) -> Option<Watch> {
    let mut current = WATCHER.write().unwrap_or_else(PoisonError::into_inner);
    if current.is_some() {
        return None;
    }
    *current = Some(watcher);
    Some(Watch(()))
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut current = WATCHER.write().unwrap_or_else(PoisonError::into_inner);
        let watcher = current.take();
        drop(current);
        drop(watcher);
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

/// The rest of a thread's life.
#[must_use = "the watcher takes its drop for the thread's end"]
pub struct Life {
    _watched: Option<Box<dyn Any>>,
}

/// To be called first on every new thread, and held until it ends.
pub fn born() -> Life {
    let watcher = WATCHER
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    Life {
        _watched: watcher.map(|watcher| watcher.born()),
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Life")
    }
}
