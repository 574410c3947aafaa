//! One value many threads change: a few copies, each thread with its own as far as they go.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Few enough to read quickly, enough that a pool's threads seldom meet.
pub(super) const STRIPES: usize = 8;

/// The stripe of this thread, handed out in turn.
pub(super) fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    const NONE: usize = usize::MAX;
    thread_local!(static STRIPE: Cell<usize> = const { Cell::new(NONE) });
    STRIPE.with(|own| {
        if own.get() == NONE {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
        }
        own.get()
    })
}

/// The copies. Who changes one holds its lock for a moment; nobody but the worker ever waits for it.
#[derive(Debug, Default)]
pub(super) struct Stripes<T>([Stripe<T>; STRIPES]);

/// As wide as two cache lines, because processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe<T>(Mutex<T>);

impl<T> Stripes<T> {
    /// This thread's copy, or the next that is free; nothing where all are taken.
    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let first = stripe();
        for step in 0..STRIPES {
            match self.0[(first + step) % STRIPES].0.try_lock() {
                Ok(copy) => return Some(copy),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        None
    }

    /// One copy after another, each locked until the next.
    pub(super) fn each(&self) -> impl Iterator<Item = MutexGuard<'_, T>> {
        let copies = self.0.iter();
        copies.map(|stripe| stripe.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_copy_is_passed_by() {
        let stripes: Stripes<u32> = Stripes::default();
        let mut held: Vec<_> = (0..STRIPES).map(|_| stripes.try_lock().unwrap()).collect();
        held.iter_mut().for_each(|copy| **copy += 1);
        assert!(stripes.try_lock().is_none(), "all are taken");
        held.clear();
        assert!(stripes.each().all(|copy| *copy == 1));
    }
}
