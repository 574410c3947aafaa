//! The threads that are watched.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fs;
use std::io;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::slot::{self, Slot, THREADS_MAX, UNKNOWN};
use super::stack::{self, Timer};
use crate::threads::Watcher;

/// All threads of one profiler.
#[derive(Debug)]
pub(super) struct Registry {
    list: Mutex<List>,
    cpu_period_ns: u64,
    closed: AtomicBool,
    /// Threads that could not be watched.
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct List {
    watched: Vec<Entry>,
    free: Vec<usize>,
    used: usize,
    /// Threads that could not be watched at the last survey; each counts once.
    refused: HashSet<u64>,
}

#[derive(Debug)]
struct Entry {
    seen: Watched,
    /// Until the thread ends.
    timer: Option<Timer>,
}

/// One thread, as the sampler needs it.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    /// Its slot.
    pub(super) at: usize,
    /// What its signals carry; tells this use of the slot from others.
    pub(super) value: usize,
    pub(super) tid: u64,
    pub(super) name: Arc<str>,
    /// Whether it asked to be watched: if not, it is looked at only while it works.
    pub(super) is_ours: bool,
    pub(super) has_ended: bool,
}

impl Watched {
    pub(super) fn slot(&self) -> &'static Slot {
        slot::slot(self.at)
    }
}

/// A watched thread's life; dropped where it ends.
struct Life {
    registry: Arc<Registry>,
    value: usize,
    /// Ends on the thread on which it began.
    _here: PhantomData<*const ()>,
}

thread_local! {
    /// What this thread's signals carry, or 0.
    static OWN: Cell<usize> = const { Cell::new(0) };
    /// Of a thread that nobody reported: it is watched since its first span.
    static LIFE: RefCell<Option<Life>> = const { RefCell::new(None) };
}

/// The calling thread's slot, if it is watched now. Neither allocates nor locks.
pub(super) fn own_slot() -> Option<&'static Slot> {
    match OWN.try_with(Cell::get).ok()? {
        0 | REFUSED => None,
        value => slot::slot_of(value),
    }
}

impl Watcher for Arc<Registry> {
    fn born(&self) -> Box<dyn Any> {
        Box::new(self.watch_here().ok())
    }
}

impl Registry {
    pub(super) fn new(cpu_period_ns: u64) -> Registry {
        Registry {
            list: Mutex::default(),
            cpu_period_ns,
            closed: AtomicBool::new(false),
            refused: AtomicU64::new(0),
        }
    }

    /// The calling thread's slot, if it is watched; from now on it is, if that can be.
    pub(super) fn own(self: &Arc<Self>) -> Option<&'static Slot> {
        match own_slot() {
            None if OWN.try_with(Cell::get).ok()? != REFUSED => self.own_from_now_on(),
            known => known,
        }
    }

    #[cold]
    fn own_from_now_on(self: &Arc<Self>) -> Option<&'static Slot> {
        let life = self.watch_here();
        let value = life.as_ref().map_or(REFUSED, |life| life.value);
        // A thread that is about to end is not watched any more.
        LIFE.try_with(|own| {
            let before = own.replace(life.ok());
            drop(before);
        })
        .ok()?;
        let _ = OWN.try_with(|own| own.set(value));
        slot::slot_of(value)
    }

    /// Watches the calling thread until the drop.
    fn watch_here(self: &Arc<Self>) -> io::Result<Life> {
        let watched = self.add_here();
        if watched.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        let value = watched?;
        let _ = OWN.try_with(|own| own.set(value));
        Ok(Life {
            registry: self.clone(),
            value,
            _here: PhantomData,
        })
    }

    fn add_here(&self) -> io::Result<usize> {
        let this = stack::this_thread()?;
        let name = match std::thread::current().name() {
            Some(name) => name.into(),
            None => name_of(this.tid),
        };
        let mut list = self.lock();
        // It may have been found before it came to say so itself.
        list.end(|watched| watched.tid == this.tid);
        let new = Watched {
            at: 0,
            value: 0,
            tid: this.tid,
            name,
            is_ours: true,
            has_ended: false,
        };
        self.add(&mut list, new, (this.block, this.stack))
    }

    /// Watches threads of this process that nobody reported, while they work; forgets those that have ended.
    pub(super) fn find_others(&self) {
        let Ok(tasks) = fs::read_dir("/proc/self/task") else {
            return;
        };
        let tids: Vec<u64> = tasks
            .filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        let mut list = self.lock();
        list.end(|watched| !watched.is_ours && !tids.contains(&watched.tid));
        let mut refused = HashSet::new();
        for tid in tids {
            let is_known = |entry: &Entry| entry.seen.tid == tid && !entry.seen.has_ended;
            if list.watched.iter().any(is_known) {
                continue;
            }
            let new = Watched {
                at: 0,
                value: 0,
                tid,
                name: name_of(tid),
                is_ours: false,
                has_ended: false,
            };
            if self.add(&mut list, new, (UNKNOWN, (0, 0))).is_err() {
                refused.insert(tid);
            }
        }
        let new = refused.difference(&list.refused).count() as u64;
        self.refused.fetch_add(new, Ordering::Relaxed);
        list.refused = refused;
    }

    fn add(
        &self,
        list: &mut List,
        mut new: Watched,
        (owner, stack): (usize, (usize, usize)),
    ) -> io::Result<usize> {
        if self.closed.load(Ordering::Acquire) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let at = list.free.pop().or_else(|| {
            let next = list.used;
            list.used += usize::from(next < THREADS_MAX);
            (next < THREADS_MAX).then_some(next)
        });
        new.at = at.ok_or(io::ErrorKind::QuotaExceeded)?;
        let slot = new.slot();
        let cpu_ns = stack::thread_cpu_ns(new.tid).unwrap_or(0);
        slot.cpu_seen_ns.store(cpu_ns, Ordering::Relaxed);
        new.value = slot.give(new.at, owner, stack);
        match stack::arm(new.tid, new.value, self.cpu_period_ns) {
            Ok(timer) => {
                let value = new.value;
                list.watched.push(Entry {
                    seen: new,
                    timer: Some(timer),
                });
                Ok(value)
            }
            Err(error) => {
                slot.take_back();
                list.free.push(new.at);
                Err(error)
            }
        }
    }

    /// Threads as they stand. Those that have ended are told once more, and their slots may be used again
    /// after [`Registry::forget`].
    pub(super) fn watched(&self) -> Vec<Watched> {
        let list = self.lock();
        list.watched
            .iter()
            .map(|entry| entry.seen.clone())
            .collect()
    }

    /// The sampler has emptied the slot of a thread that had ended.
    pub(super) fn forget(&self, value: usize) {
        let mut list = self.lock();
        let Some(at) = list
            .watched
            .iter()
            .position(|entry| entry.seen.value == value)
        else {
            return;
        };
        let gone = list.watched.swap_remove(at);
        list.free.push(gone.seen.at);
    }

    /// No timer is left when this returns, and none comes any more.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.lock().end(|_| true);
    }

    /// Threads that could not be watched, so far: there were too many, or the system had no more timers.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No value of a slot: the thread cannot be watched, and need not try with every span.
const REFUSED: usize = usize::MAX;

impl List {
    fn end(&mut self, which: impl Fn(&Watched) -> bool) {
        for entry in &mut self.watched {
            if !entry.seen.has_ended && which(&entry.seen) {
                entry.timer = None;
                entry.seen.slot().take_back();
                entry.seen.has_ended = true;
            }
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let mut list = self.registry.lock();
        list.end(|watched| watched.value == self.value);
        drop(list);
        let _ = OWN.try_with(|own| {
            if own.get() == self.value {
                own.set(0);
            }
        });
    }
}

/// As the kernel has it: at most 15 bytes.
fn name_of(tid: u64) -> Arc<str> {
    let read = fs::read_to_string(format!("/proc/self/task/{tid}/comm"));
    read.as_deref().unwrap_or("").trim_end().into()
}
