//! What a person should hear of, told to whoever asks; this room writes no log.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Notices that wait to be asked for; the oldest go first.
const NOTICES_MAX: usize = 32;
/// Between two notices of one kind.
const INTERVAL_NS: u64 = 60_000_000_000;

/// What a notice is about; one a minute of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Rejected,
    Unsupported,
    TooLarge,
    Lost,
}

#[derive(Debug, Default)]
pub(super) struct Notices(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    waiting: VecDeque<String>,
    last_ns: [Option<u64>; 4],
}

impl Notices {
    /// Whether one of this kind is due; it counts as told then.
    pub(super) fn is_due(&self, kind: Kind, now_ns: u64) -> bool {
        let mut told = self.lock();
        let last = &mut told.last_ns[kind as usize];
        let due = last.is_none_or(|last| now_ns.saturating_sub(last) >= INTERVAL_NS);
        if due {
            *last = Some(now_ns);
        }
        due
    }

    pub(super) fn push(&self, text: String) {
        let mut told = self.lock();
        if told.waiting.len() == NOTICES_MAX {
            told.waiting.pop_front();
        }
        told.waiting.push_back(text);
    }

    /// The oldest that nobody has heard.
    pub(super) fn pop(&self) -> Option<String> {
        self.lock().waiting.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_minute_of_each_kind_and_no_more_than_fit() {
        let notices = Notices::default();
        for (kind, at_s, due) in [
            (Kind::Lost, 0, true),
            (Kind::Lost, 59, false),
            (Kind::Rejected, 59, true),
            (Kind::Lost, 60, true),
            (Kind::Lost, 119, false),
        ] {
            assert_eq!(
                notices.is_due(kind, at_s * 1_000_000_000),
                due,
                "{kind:?} {at_s}"
            );
        }
        assert_eq!(notices.pop(), None);
        (0..40).for_each(|n| notices.push(n.to_string()));
        let heard: Vec<String> = std::iter::from_fn(|| notices.pop()).collect();
        assert_eq!((heard.len(), heard[0].as_str()), (32, "8"));
    }
}
