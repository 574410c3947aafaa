//! Finds a value by words, without a lock and without an allocation.
//!
//! Invariant: nothing is ever taken out and nothing moves. So what was found can be lent for as long as
//! the table lives, and an empty slot on the way means that what was looked for is not there.

use std::hash::{BuildHasher, Hasher};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use foldhash::fast::RandomState;

/// A value that is found by its words.
pub(super) trait Keyed {
    fn is(&self, words: &[&str]) -> bool;
}

/// Slots of the first level; each further one has eight times as many.
const FIRST_SLOTS: usize = 256;
const GROWTH: usize = 8;
/// 64 to 2^27 slots: more than memory has room for.
const LEVELS: usize = 8;
/// Slots looked at on each level. Few: a level that is half full sends the rest to the next.
const PROBES: usize = 3;

type Level<V> = Box<[OnceLock<(u64, V)>]>;

/// Values by their words. Many read while one adds.
pub(super) struct Table<V> {
    levels: [OnceLock<Level<V>>; LEVELS],
    hasher: RandomState,
    adding: Mutex<usize>,
}

/// The right to add, and how many there are.
pub(super) struct Adding<'a, V> {
    table: &'a Table<V>,
    count: MutexGuard<'a, usize>,
}

impl<V: Keyed> Table<V> {
    pub(super) fn new() -> Table<V> {
        Table {
            levels: Default::default(),
            hasher: RandomState::default(),
            adding: Mutex::new(0),
        }
    }

    /// The value of these words.
    #[inline]
    pub(super) fn find(&self, words: &[&str]) -> Option<&V> {
        let hash = self.hash(words);
        for level in &self.levels {
            for slot in path(hash, level.get()?) {
                let (held, value) = slot.get()?;
                if *held == hash && value.is(words) {
                    return Some(value);
                }
            }
        }
        None
    }

    /// Lengths go in last and at once: a word's own end would cost a step more for each.
    #[inline]
    fn hash(&self, words: &[&str]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        let mut lengths = words.len() as u64;
        for word in words {
            hasher.write(word.as_bytes());
            lengths = lengths.rotate_left(11) ^ word.len() as u64;
        }
        hasher.write_u64(lengths);
        hasher.finish()
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
        let hash = self.table.hash(words);
        for (at, level) in self.table.levels.iter().enumerate() {
            let slots = FIRST_SLOTS * GROWTH.pow(at as u32);
            let level = level.get_or_init(|| (0..slots).map(|_| OnceLock::new()).collect());
            if let Some(free) = path(hash, level).find(|slot| slot.get().is_none()) {
                *self.count += 1;
                return Some(&free.get_or_init(|| (hash, value)).1);
            }
        }
        None
    }
}

/// The slots where a hash may be, in the order in which they are filled.
#[inline]
fn path<S>(hash: u64, level: &[S]) -> impl Iterator<Item = &S> {
    let mask = level.len() - 1;
    let start = hash as usize;
    (0..PROBES).map(move |step| &level[start.wrapping_add(step) & mask])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    impl Keyed for String {
        fn is(&self, words: &[&str]) -> bool {
            self.split(' ').eq(words.iter().copied())
        }
    }

    #[test]
    fn all_that_was_added_is_found_and_nothing_else() {
        let table: Table<String> = Table::new();
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
        let table: Table<String> = Table::new();
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
