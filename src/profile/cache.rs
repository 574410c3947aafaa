//! What was found out about addresses, kept from one profile to the next within a bound.

use std::collections::HashMap;

/// Addresses that are kept.
pub(super) const ADDRESSES_MAX: usize = 16_384;

/// One entry an address. When it is full, what the current round has not asked for goes, all at once; if that
/// makes no room, the round has more addresses than are kept, and a new one is not kept.
#[derive(Debug)]
pub(super) struct Cache<V> {
    entries: HashMap<u64, (V, u64)>,
    round: u64,
    swept_in: u64,
}

impl<V: Clone> Cache<V> {
    pub(super) fn new() -> Cache<V> {
        Cache {
            entries: HashMap::new(),
            round: 0,
            swept_in: 0,
        }
    }

    /// The next profile begins.
    pub(super) fn begin_round(&mut self) {
        self.round += 1;
    }

    pub(super) fn get(&mut self, address: u64) -> Option<V> {
        let (value, used_in) = self.entries.get_mut(&address)?;
        *used_in = self.round;
        Some(value.clone())
    }

    pub(super) fn put(&mut self, address: u64, value: V) {
        if self.entries.len() >= ADDRESSES_MAX && self.swept_in != self.round {
            let round = self.round;
            self.entries.retain(|_, (_, used_in)| *used_in == round);
            self.swept_in = round;
        }
        if self.entries.len() < ADDRESSES_MAX {
            self.entries.insert(address, (value, self.round));
        }
    }

    /// Puts another value in the place of each.
    pub(super) fn replace(&mut self, mut with: impl FnMut(V) -> V) {
        for (value, _) in self.entries.values_mut() {
            *value = with(value.clone());
        }
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_round_does_not_ask_for_makes_room() {
        const MAX: u64 = ADDRESSES_MAX as u64;
        let mut cache = Cache::new();
        cache.begin_round();
        assert_eq!((cache.get(1), cache.len()), (None, 0));
        (0..MAX).for_each(|address| cache.put(address, address * 2));
        cache.put(MAX, 7);
        assert_eq!(
            (cache.get(MAX), cache.get(MAX - 1)),
            (None, Some(MAX * 2 - 2))
        );

        cache.begin_round();
        assert_eq!(cache.get(3), Some(6));
        cache.put(MAX, 7);
        assert_eq!(
            (cache.get(MAX), cache.get(3), cache.get(4)),
            (Some(7), Some(6), None)
        );
        assert_eq!(cache.len(), 2);

        (MAX + 1..3 * MAX).for_each(|address| cache.put(address, 0));
        assert_eq!(cache.len(), ADDRESSES_MAX);
        cache.replace(|value| value + 1);
        assert_eq!(cache.get(3), Some(7));
        cache.clear();
        assert_eq!(cache.len(), 0);
    }
}
