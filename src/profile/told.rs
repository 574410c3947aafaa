//! What a person should hear of uploads, told to whoever asks; this room writes no log.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Notices that wait to be asked for; the oldest go first.
const NOTICES_MAX: usize = 32;

/// Written by the uploader, read by all.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    notices: VecDeque<String>,
    last_error: Option<String>,
}

impl Told {
    pub(super) fn push_notice(&self, text: String) {
        let mut said = self.lock();
        if said.notices.len() == NOTICES_MAX {
            said.notices.pop_front();
        }
        said.notices.push_back(text);
    }

    /// The oldest that nobody has heard.
    pub(super) fn pop_notice(&self) -> Option<String> {
        self.lock().notices.pop_front()
    }

    pub(super) fn set_last_error(&self, error: Option<String>) {
        self.lock().last_error = error;
    }

    /// Why the last upload did not arrive, if it did not.
    pub(super) fn last_error(&self) -> Option<String> {
        self.lock().last_error.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_heard_once_and_no_more_wait_than_fit() {
        let told = Told::default();
        assert_eq!((told.pop_notice(), told.last_error()), (None, None));
        (0..40).for_each(|n| told.push_notice(n.to_string()));
        let heard: Vec<String> = std::iter::from_fn(|| told.pop_notice()).collect();
        assert_eq!((heard.len(), heard[0].as_str()), (NOTICES_MAX, "8"));
        told.set_last_error(Some("a".to_string()));
        assert_eq!(told.last_error().as_deref(), Some("a"));
        told.set_last_error(None);
        assert_eq!(told.last_error(), None);
    }
}
