//! Whether one trace is kept, for all of its threads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::sampling::Decision;

/// Decided when it must be: a context leaves, or the first of its spans do. From then on it stands, unless
/// a person overrules it.
#[derive(Clone, Debug, Default)]
pub(super) enum Fate {
    #[default]
    Undecided,
    Own(Decision),
    /// Once another thread has a part in the trace.
    Shared(Arc<Mutex<Decision>>),
}

impl Fate {
    pub(super) fn decided(&self) -> Option<Decision> {
        match self {
            Fate::Undecided => None,
            Fate::Own(decision) => Some(*decision),
            Fate::Shared(shared) => Some(*lock(shared)),
        }
    }

    pub(super) fn set(&mut self, decision: Decision) {
        match self {
            Fate::Shared(shared) => *lock(shared) = decision,
            own => *own = Fate::Own(decision),
        }
    }

    /// For another thread; what either decides holds for both.
    pub(super) fn share(&mut self, decision: Decision) -> Arc<Mutex<Decision>> {
        if let Fate::Shared(shared) = self {
            return shared.clone();
        }
        let shared = Arc::new(Mutex::new(decision));
        *self = Fate::Shared(shared.clone());
        shared
    }
}

fn lock(decision: &Mutex<Decision>) -> MutexGuard<'_, Decision> {
    decision.lock().unwrap_or_else(PoisonError::into_inner)
}
