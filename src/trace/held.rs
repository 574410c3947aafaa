//! What waits for the Agent, bounded in bytes: while it is away, the newest stays, and errors longest.

use std::collections::VecDeque;

use super::chunks::Chunks;
use super::options::BATCH_BYTES;
use super::tally::{Class, End, Tally};

/// Chunks that are sent together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) chunks: Chunks,
    /// How often it was handed over without an answer that says what became of it.
    pub(super) tries: u32,
    /// How often it could not even be sent whole.
    pub(super) stalls: u32,
}

impl Batch {
    /// Two halves of one that is too long.
    pub(super) fn halves(self) -> (Batch, Batch) {
        let Batch {
            chunks,
            tries,
            stalls,
        } = self;
        let of = |chunks| Batch {
            chunks,
            tries,
            stalls,
        };
        let (first, rest) = chunks.halves();
        (of(first), of(rest))
    }
}

#[derive(Debug)]
pub(super) struct Held {
    batches: VecDeque<Batch>,
    bytes: usize,
    bytes_max: usize,
    /// Memory of the last batch.
    spare: Chunks,
}

impl Held {
    pub(super) fn new(bytes_max: usize) -> Held {
        Held {
            batches: VecDeque::new(),
            bytes: 0,
            bytes_max,
            spare: Chunks::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Takes chunks in and leaves `load` empty. What has no room drives out what is worth less or older.
    pub(super) fn take(&mut self, load: &mut Chunks, tally: &Tally) {
        if load.is_empty() {
            return;
        }
        tally.took(load.spans());
        self.bytes += load.bytes().len();
        match self.batches.back_mut() {
            Some(last)
                if last.tries == 0
                    && last.chunks.bytes().len() + load.bytes().len() <= BATCH_BYTES =>
            {
                last.chunks.append(load);
                load.clear(2 * BATCH_BYTES);
            }
            _ => {
                let chunks = std::mem::replace(load, std::mem::take(&mut self.spare));
                self.batches.push_back(Batch {
                    chunks,
                    ..Batch::default()
                });
            }
        }
        if self.bytes > self.bytes_max {
            self.make_room(tally);
        }
    }

    /// A little more than is needed, so that the next few need not ask again.
    fn make_room(&mut self, tally: &Tally) {
        let aim = self.bytes_max - self.bytes_max / 8;
        for class in Class::ALL {
            for batch in &mut self.batches {
                if self.bytes <= aim {
                    break;
                }
                let (bytes, spans) = batch.chunks.thin_out(class, self.bytes - aim);
                self.bytes -= bytes;
                tally.ended(End::BufferFull, spans);
            }
        }
        self.batches.retain(|batch| !batch.chunks.is_empty());
        // What was thinned out is to be free, too.
        self.batches
            .iter_mut()
            .for_each(|batch| batch.chunks.shrink());
    }

    /// The oldest, no longer than that if its chunks allow; it is no longer held then.
    pub(super) fn next(&mut self, bytes_max: usize) -> Option<Batch> {
        let mut batch = self.batches.pop_front()?;
        while batch.chunks.bytes().len() > bytes_max && batch.chunks.len() > 1 {
            let (first, rest) = batch.halves();
            self.batches.push_front(rest);
            batch = first;
        }
        self.bytes -= batch.chunks.bytes().len();
        Some(batch)
    }

    /// Back where it came from.
    pub(super) fn put_back(&mut self, batch: Batch) {
        self.bytes += batch.chunks.bytes().len();
        self.batches.push_front(batch);
    }

    /// Memory for the next batch.
    pub(super) fn recycle(&mut self, mut chunks: Chunks) {
        chunks.clear(2 * BATCH_BYTES);
        self.spare = chunks;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(class: Class, count: usize, bytes: usize) -> Chunks {
        let mut chunks = Chunks::default();
        (0..count).for_each(|_| chunks.push(&[&vec![0xc0; bytes]], 1, class));
        chunks
    }

    fn left(held: &mut Held) -> (usize, u64) {
        let mut left = (0, 0);
        while let Some(batch) = held.next(usize::MAX) {
            left = (
                left.0 + batch.chunks.bytes().len(),
                left.1 + batch.chunks.spans(),
            );
        }
        left
    }

    #[test]
    fn what_is_worth_more_drives_out_what_is_worth_less() {
        let (mut held, tally) = (Held::new(1_000), Tally::default());
        held.take(&mut load(Class::Error, 4, 100), &tally);
        held.take(&mut load(Class::Kept, 4, 100), &tally);
        held.take(&mut load(Class::Dropped, 4, 100), &tally);
        // 1,200 bytes: down to 875, from what is dropped anyway.
        assert_eq!(tally.ledger().dropped[2], ("buffer_full", 4));
        held.take(&mut load(Class::Error, 8, 100), &tally);
        let ledger = tally.ledger();
        // 875 and no more: nothing that is kept fits beside the errors, and four of those are too many.
        assert_eq!(ledger.dropped[2], ("buffer_full", 12), "{ledger:?}");
        assert_eq!(left(&mut held), (800, 8));
        assert!(held.is_empty() && held.bytes == 0);
    }

    #[test]
    fn a_batch_that_was_tried_is_left_as_it_was() {
        let (mut held, tally) = (Held::new(1_000), Tally::default());
        let mut small = load(Class::Kept, 1, 10);
        held.take(&mut small, &tally);
        assert!(small.is_empty());
        let mut batch = held.next(usize::MAX).unwrap();
        batch.tries = 1;
        held.put_back(batch);
        held.take(&mut load(Class::Kept, 1, 10), &tally);
        held.take(&mut load(Class::Kept, 1, 10), &tally);
        let counts: Vec<usize> = std::iter::from_fn(|| held.next(usize::MAX))
            .map(|b| b.chunks.len())
            .collect();
        assert_eq!(counts, [1, 2]);
        held.take(&mut Chunks::default(), &tally);
        assert!(held.is_empty());
    }

    #[test]
    fn a_batch_is_no_longer_than_may_be_sent() {
        let (mut held, tally) = (Held::new(10_000), Tally::default());
        held.take(&mut load(Class::Kept, 7, 100), &tally);
        let counts = std::iter::from_fn(|| held.next(250)).map(|batch| batch.chunks.len());
        assert_eq!(counts.collect::<Vec<_>>(), [1, 2, 2, 2]);
        held.take(&mut load(Class::Kept, 1, 300), &tally);
        assert_eq!(
            held.next(250).map(|batch| batch.chunks.len()),
            Some(1),
            "one cannot be cut"
        );
    }
}
