//! The threads that are watched.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fs;
use std::io;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::slot::{self, Hold, Slot, THREADS_MAX, UNKNOWN};
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
    /// What a thread keeps that this registry refused; no value of a slot.
    refusal: usize,
}

#[derive(Debug, Default)]
struct List {
    watched: Vec<Entry>,
    /// Places that were taken back while somebody still wrote there.
    retiring: Vec<usize>,
    /// Threads that could not be watched at the last survey; each counts once.
    refused: HashSet<u64>,
}

/// Counts registries down from the highest number: values of slots never come so far.
static REFUSALS: AtomicUsize = AtomicUsize::new(usize::MAX);

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
    /// Its CPU time when it came to be watched.
    pub(super) cpu_from_ns: u64,
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

/// The calling thread's slot, if it is watched now, to write to its ring. Neither allocates nor locks.
pub(super) fn own_hold() -> Option<Hold> {
    let value = OWN.try_with(Cell::get).ok()?;
    slot::hold(value).filter(|_| value != 0)
}

impl Watcher for Arc<Registry> {
    /// Nothing more for a thread that is watched already.
    fn born(&self) -> Box<dyn Any> {
        let is_watched = OWN.try_with(|own| own.get() != 0 && slot::is_current(own.get()));
        match is_watched {
            Ok(false) => Box::new(self.watch_here().ok()),
            _ => Box::new(()),
        }
    }
}

impl Registry {
    pub(super) fn new(cpu_period_ns: u64) -> Registry {
        Registry {
            list: Mutex::default(),
            cpu_period_ns,
            closed: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            refusal: REFUSALS.fetch_sub(1, Ordering::Relaxed),
        }
    }

    /// The calling thread's slot, if it is watched; from now on it is, if that can be.
    pub(super) fn own(self: &Arc<Self>) -> Option<&'static Slot> {
        let value = OWN.try_with(Cell::get).ok()?;
        if value != 0 && slot::is_current(value) {
            return Some(slot::slot(value % THREADS_MAX));
        }
        match value == self.refusal || self.closed.load(Ordering::Relaxed) {
            true => None,
            false => self.own_from_now_on(),
        }
    }

    #[cold]
    fn own_from_now_on(self: &Arc<Self>) -> Option<&'static Slot> {
        let life = self.watch_here();
        let value = life.as_ref().map_or(self.refusal, |life| life.value);
        // A thread that is about to end is not watched any more.
        LIFE.try_with(|own| {
            let before = own.replace(life.ok());
            drop(before);
        })
        .ok()?;
        let _ = OWN.try_with(|own| own.set(value));
        slot::is_current(value).then(|| slot::slot(value % THREADS_MAX))
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
            cpu_from_ns: 0,
            is_ours: true,
            has_ended: false,
        };
        self.add(&mut list, new, (this.block, this.stack))
    }

    /// Watches threads of this process that nobody reported, while they work; forgets those that have ended.
    pub(super) fn find_others(&self) {
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        let Ok(tasks) = fs::read_dir("/proc/self/task") else {
            return;
        };
        let tids: Vec<u64> = tasks
            .filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        let mut list = self.lock();
        list.end(|watched| !watched.is_ours && !tids.contains(&watched.tid));
        list.release_quiet();
        let known: HashSet<u64> = list
            .watched
            .iter()
            .filter(|entry| !entry.seen.has_ended)
            .map(|entry| entry.seen.tid)
            .collect();
        let mut refused = HashSet::new();
        for tid in tids.into_iter().filter(|tid| !known.contains(tid)) {
            let new = Watched {
                at: 0,
                value: 0,
                tid,
                name: "".into(),
                cpu_from_ns: 0,
                is_ours: false,
                has_ended: false,
            };
            match self.add(&mut list, new, (UNKNOWN, (0, 0))) {
                Ok(_) => {}
                // It has ended meanwhile.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                Err(_) => drop(refused.insert(tid)),
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
        new.at = slot::claim().ok_or(io::ErrorKind::QuotaExceeded)?;
        if !new.is_ours {
            new.name = name_of(new.tid);
        }
        let slot = new.slot();
        new.cpu_from_ns = stack::thread_cpu_ns(new.tid).unwrap_or(0);
        slot.cpu_seen_ns.store(new.cpu_from_ns, Ordering::Relaxed);
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
                list.retiring.push(new.at);
                list.release_quiet();
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
        list.retiring.push(gone.seen.at);
        list.release_quiet();
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

impl List {
    /// Gives places back to which nobody writes any more.
    fn release_quiet(&mut self) {
        self.retiring.retain(|at| {
            let is_quiet = slot::slot(*at).is_quiet();
            if is_quiet {
                slot::release(*at);
            }
            !is_quiet
        });
    }

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
