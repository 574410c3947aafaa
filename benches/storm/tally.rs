//! What happened, and what should not have.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// Different failures that are kept.
const FAILURES_MAX: usize = 40;

/// Shared by all threads. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    order: Vec<String>,
    sums: BTreeMap<String, u64>,
    failures: BTreeMap<String, u64>,
}

impl Tally {
    pub(crate) fn add(&self, what: &str, more: u64) {
        self.with(|inner| {
            if !inner.sums.contains_key(what) {
                inner.order.push(what.to_string());
            }
            *inner.sums.entry(what.to_string()).or_default() += more;
        });
    }

    pub(crate) fn fail(&self, what: String) {
        self.with(|inner| {
            let known = inner.failures.contains_key(&what);
            if known || inner.failures.len() < FAILURES_MAX {
                *inner.failures.entry(what).or_default() += 1;
            }
        });
    }

    /// Two counts of the same thing.
    pub(crate) fn same(&self, what: &str, (expected, found): (u64, u64)) {
        self.add(what, found);
        if expected != found {
            self.fail(format!("{what}: {found}, expected {expected}"));
        }
    }

    pub(crate) fn holds(&self) -> bool {
        self.with(|inner| inner.failures.is_empty())
    }

    pub(crate) fn table(&self) -> String {
        self.with(|inner| {
            let mut text = String::new();
            for what in &inner.order {
                let _ = writeln!(text, "{what:<48}{:>14}", inner.sums[what]);
            }
            for (what, times) in &inner.failures {
                let _ = writeln!(text, "FAILED, {times} times: {what}");
            }
            text
        })
    }

    fn with<R>(&self, look: impl FnOnce(&mut Inner) -> R) -> R {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
