//! What decoded data may take in memory, counted before it is taken: a byte on the wire can be eight there.

use std::collections::HashMap;

use super::pprof::PprofError;

/// Entries that a list begins with.
const FIRST: usize = 4;
/// A key, a place, and the map's own byte of each.
const ENTRY_BYTES: usize = size_of::<(u64, u32)>() + 1;

/// Bytes that are left.
#[derive(Debug)]
pub(super) struct Room {
    bytes_max: usize,
    left: usize,
}

impl Room {
    /// Of so many bytes, some of which are taken.
    pub(super) fn new(bytes_max: usize, taken: usize) -> Room {
        Room {
            bytes_max,
            left: bytes_max.saturating_sub(taken),
        }
    }

    /// Lists grow to twice what they hold, or by half of what is left: none takes the room of all others.
    pub(super) fn push<T>(&mut self, list: &mut Vec<T>, item: T) -> Result<(), PprofError> {
        if list.len() == list.capacity() {
            let half = self.left / 2 / size_of::<T>();
            let more = list.capacity().max(FIRST).min(half).max(1);
            self.take(more * size_of::<T>())?;
            list.reserve_exact(more);
        }
        list.push(item);
        Ok(())
    }

    pub(super) fn push_str(&mut self, all: &mut String, text: &str) -> Result<(), PprofError> {
        let free = all.capacity() - all.len();
        if text.len() > free {
            let more = all.capacity().min(self.left / 2).max(text.len() - free);
            self.take(more)?;
            all.reserve_exact(free + more);
        }
        all.push_str(text);
        Ok(())
    }

    /// Gives what stood there.
    pub(super) fn insert(
        &mut self,
        map: &mut HashMap<u64, u32>,
        (id, place): (u64, u32),
    ) -> Result<Option<u32>, PprofError> {
        if map.len() == map.capacity() {
            // Seven of eight entries are used before a map takes twice as many.
            self.take((map.capacity().max(FIRST) * 8).div_ceil(7) * ENTRY_BYTES)?;
        }
        Ok(map.insert(id, place))
    }

    fn take(&mut self, bytes: usize) -> Result<(), PprofError> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or(PprofError::Large(self.bytes_max))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of a kind fit into 100 bytes, of which 20 are taken, and what is left then.
    #[track_caller]
    fn check(
        rule: &str,
        mut one_more: impl FnMut(&mut Room) -> Result<(), PprofError>,
        expected: (usize, usize),
    ) {
        let mut room = Room::new(100, 20);
        let mut fits = 0;
        let error = loop {
            match one_more(&mut room) {
                Ok(()) => fits += 1,
                Err(error) => break error,
            }
        };
        assert_eq!((fits, room.left), expected, "{rule}");
        assert_eq!(error, PprofError::Large(100), "{rule}");
    }

    #[test]
    fn what_does_not_fit_is_not_taken() {
        let mut words: Vec<u32> = Vec::new();
        check("4 bytes", |room| room.push(&mut words, 7), (20, 0));
        assert!(words.capacity() <= 20);
        let mut wide: Vec<[u8; 30]> = Vec::new();
        check("30 bytes", |room| room.push(&mut wide, [0; 30]), (2, 20));
        let mut text = String::new();
        check("a text", |room| room.push_str(&mut text, "abc"), (26, 2));
        assert!(text.capacity() <= 80);
        let mut empty = String::new();
        let long = "a".repeat(81);
        check("long", |room| room.push_str(&mut empty, &long), (0, 80));
        let mut map = HashMap::new();
        let whole = |room: &mut Room| room.insert(&mut map, (1, 1)).map(drop);
        check("a map", whole, (0, 80));
        let mut room = Room::new(10, 20);
        assert_eq!(room.push(&mut words, 1), Err(PprofError::Large(10)));
    }
}
