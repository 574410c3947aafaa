//! A ring of records between a signal handler and the thread that empties it.
//!
//! One writer, the thread that the ring belongs to, and one reader. Neither waits for the other: what does
//! not fit is refused. A record is its length in words, then its words; nothing here allocates after
//! [`Ring::new`].

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// See the file's own words.
#[derive(Debug)]
pub(super) struct Ring {
    words: Box<[AtomicU64]>,
    /// Words written since the beginning of time; the writer's.
    written: AtomicUsize,
    /// Words read; the reader's.
    read: AtomicUsize,
}

impl Ring {
    /// Room for so many words, a power of two.
    pub(super) fn new(words: usize) -> Ring {
        assert!(words.is_power_of_two(), "{words} is no power of two");
        Ring {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            written: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
        }
    }

    /// Writes a record in two parts; false where it does not fit.
    pub(super) fn push(&self, head: &[u64], tail: &[u64]) -> bool {
        let written = self.written.load(Ordering::Relaxed);
        let taken = written.wrapping_sub(self.read.load(Ordering::Acquire));
        let needed = 1 + head.len() + tail.len();
        if self.words.len() - taken < needed {
            return false;
        }
        let length = [(needed - 1) as u64];
        let words = length.iter().chain(head).chain(tail);
        for (at, word) in words.enumerate() {
            self.at(written.wrapping_add(at))
                .store(*word, Ordering::Relaxed);
        }
        self.written
            .store(written.wrapping_add(needed), Ordering::Release);
        true
    }

    /// Takes the oldest record into `record`; false where there is none.
    pub(super) fn pop(&self, record: &mut Vec<u64>) -> bool {
        let read = self.read.load(Ordering::Relaxed);
        let held = self.written.load(Ordering::Acquire).wrapping_sub(read);
        if held == 0 {
            return false;
        }
        let length = self.at(read).load(Ordering::Relaxed) as usize;
        record.clear();
        // Cannot be, while there is one writer; and if it were, nothing worse than a loss is to come of it.
        if length >= held {
            self.clear();
            return false;
        }
        let words = (1..=length).map(|at| self.at(read.wrapping_add(at)).load(Ordering::Relaxed));
        record.extend(words);
        self.read
            .store(read.wrapping_add(1 + length), Ordering::Release);
        true
    }

    /// Throws away what is held; the reader's.
    pub(super) fn clear(&self) {
        let written = self.written.load(Ordering::Acquire);
        self.read.store(written, Ordering::Release);
    }

    fn at(&self, word: usize) -> &AtomicU64 {
        &self.words[word & (self.words.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pop(ring: &Ring) -> Option<Vec<u64>> {
        let mut record = vec![9; 3];
        ring.pop(&mut record).then_some(record)
    }

    #[test]
    fn records_come_out_as_they_went_in() {
        let ring = Ring::new(8);
        assert_eq!(pop(&ring), None, "nothing in an empty ring");
        assert!(ring.push(&[1, 2], &[3]));
        assert!(ring.push(&[4], &[]));
        assert_eq!(pop(&ring), Some(vec![1, 2, 3]));
        assert!(ring.push(&[], &[]), "an empty record is one");
        assert_eq!(pop(&ring), Some(vec![4]));
        assert_eq!(pop(&ring), Some(vec![]));
        assert_eq!(pop(&ring), None);
    }

    #[test]
    fn what_does_not_fit_is_refused_whole() {
        let ring = Ring::new(8);
        assert!(!ring.push(&[0; 8], &[]), "one word is the length");
        assert!(ring.push(&[1; 4], &[2; 3]), "exactly full");
        assert!(!ring.push(&[], &[]), "not one word more");
        assert_eq!(pop(&ring), Some(vec![1, 1, 1, 1, 2, 2, 2]));
        for round in 0..100 {
            assert!(
                ring.push(&[round], &[round + 1, round + 2]),
                "around the end"
            );
            assert_eq!(pop(&ring), Some(vec![round, round + 1, round + 2]));
        }
    }

    #[test]
    fn a_length_that_cannot_be_empties_the_ring() {
        let ring = Ring::new(8);
        assert!(ring.push(&[1], &[2]));
        ring.at(0).store(u64::MAX, Ordering::Relaxed);
        assert_eq!(pop(&ring), None);
        assert!(ring.push(&[3; 7], &[]), "all of it is free again");
        assert_eq!(pop(&ring), Some(vec![3; 7]));
        assert!(ring.push(&[4], &[]));
        ring.clear();
        assert_eq!(pop(&ring), None);
    }

    #[test]
    fn a_reader_beside_the_writer_sees_whole_records_in_order() {
        const RECORDS: u64 = 20_000;
        let ring = Ring::new(64);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..RECORDS {
                    let tail = [number; 5];
                    let tail = &tail[..(number % 6) as usize];
                    while !ring.push(&[number], tail) {
                        std::thread::yield_now();
                    }
                }
            });
            for number in 0..RECORDS {
                let record = loop {
                    match pop(&ring) {
                        Some(record) => break record,
                        None => std::thread::yield_now(),
                    }
                };
                assert_eq!(record, vec![number; 1 + (number % 6) as usize]);
            }
        });
    }
}
