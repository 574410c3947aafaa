//! Finds a value by words, without a lock and without an allocation.
//!
//! Invariant: nothing is ever taken out and nothing moves. So what was found can be lent for as long as
//! the table lives, and an empty slot on the way means that what was looked for is not there.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::words::{Seeds, Wanted};

/// A value that is found by its words.
pub(super) trait Keyed {
    fn is(&self, wanted: &Wanted<'_>) -> bool;
}

/// Slots of the first level where there are labels: a family holds fewer series as a rule, and what is found
/// at the first probe is found soonest.
const FIRST_SLOTS: usize = 256;
/// Each further level has so many times as many.
const GROWTH: usize = 8;
/// 256 to 2^20 slots. Whatever does not fit is not added: names that were made to meet cost no more memory.
const LEVELS: usize = 5;
/// Slots looked at on each level. Few: a level that is half full sends the rest to the next.
const PROBES: usize = 3;
/// And on the last, which has no next.
const LAST_PROBES: usize = 64;

type Level<V> = Box<[OnceLock<(u64, V)>]>;

/// Values by their words. Many read while one adds.
pub(super) struct Table<V> {
    levels: [OnceLock<Level<V>>; LEVELS],
    first_slots: usize,
    seeds: Seeds,
    adding: Mutex<usize>,
}

/// The right to add, and how many there are.
pub(super) struct Adding<'a, V> {
    table: &'a Table<V>,
    count: MutexGuard<'a, usize>,
}

impl<V: Keyed> Table<V> {
    /// For words of which there are so many in a key.
    pub(super) fn new(words: usize) -> Table<V> {
        Table {
            levels: Default::default(),
            first_slots: if words == 0 { 1 } else { FIRST_SLOTS },
            seeds: Seeds::draw(),
            adding: Mutex::new(0),
        }
    }

    /// The value of these words.
    #[inline(always)]
    pub(super) fn find(&self, words: &[&str]) -> Option<&V> {
        let wanted = Wanted::new(words, &self.seeds);
        for (at, level) in self.levels.iter().enumerate() {
            for slot in path(wanted.hash, at, level.get()?) {
                let (held, value) = slot.get()?;
                if *held == wanted.hash && value.is(&wanted) {
                    return Some(value);
                }
            }
        }
        None
    }

    /// Waits for whoever adds now.
    pub(super) fn adding(&self) -> Adding<'_, V> {
        Adding {
            table: self,
            count: self.adding.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

impl<'a, V: Keyed> Adding<'a, V> {
    pub(super) fn count(&self) -> usize {
        *self.count
    }

    /// Adds a value whose words are not there yet. `None` where no slot is left on its path.
    pub(super) fn add(&mut self, words: &[&str], value: V) -> Option<&'a V> {
        let hash = Wanted::new(words, &self.table.seeds).hash;
        for (at, level) in self.table.levels.iter().enumerate() {
            let slots = self.table.first_slots * GROWTH.pow(at as u32);
            let level = level.get_or_init(|| (0..slots).map(|_| OnceLock::new()).collect());
            if let Some(free) = path(hash, at, level).find(|slot| slot.get().is_none()) {
                *self.count += 1;
                return Some(&free.get_or_init(|| (hash, value)).1);
            }
        }
        None
    }
}

/// The slots where a hash may be, in the order in which they are filled.
#[inline(always)]
fn path<S>(hash: u64, at: usize, level: &[S]) -> impl Iterator<Item = &S> {
    let mask = level.len() - 1;
    let start = hash as usize;
    let probes = if at == LEVELS - 1 {
        LAST_PROBES
    } else {
        PROBES
    };
    (0..probes).map(move |step| &level[start.wrapping_add(step) & mask])
}

#[cfg(test)]
mod tests {
    use super::super::words::Words;
    use super::*;
    use std::thread;

    impl Keyed for String {
        fn is(&self, wanted: &Wanted<'_>) -> bool {
            let words: Vec<&str> = self.split(' ').collect();
            Words::new(&words).are(wanted)
        }
    }

    #[test]
    fn all_that_was_added_is_found_and_nothing_else() {
        let table: Table<String> = Table::new(1);
        for n in 0..5_000 {
            let (a, b) = (n.to_string(), (n % 7).to_string());
            let words = [a.as_str(), b.as_str()];
            assert!(table.find(&words).is_none());
            table.adding().add(&words, format!("{a} {b}")).unwrap();
        }
        assert_eq!(table.adding().count(), 5_000);
        for n in 0..5_000 {
            let (a, b) = (n.to_string(), (n % 7).to_string());
            assert_eq!(table.find(&[&a, &b]), Some(&format!("{a} {b}")));
            assert_eq!(table.find(&[&b, &a, ""]), None);
        }
    }

    #[test]
    fn who_looks_while_another_adds_finds_what_was_there() {
        let table: Table<String> = Table::new(1);
        table.adding().add(&["first"], "first".into()).unwrap();
        thread::scope(|scope| {
            let adder = scope.spawn(|| {
                for n in 0..2_000 {
                    let word = n.to_string();
                    table.adding().add(&[&word], word.clone()).unwrap();
                    assert_eq!(table.find(&[&word]), Some(&word));
                }
            });
            while !adder.is_finished() {
                assert!(table.find(&["first"]).is_some() && table.find(&["none"]).is_none());
            }
        });
    }
}
