//! Words that many threads add to: each thread has a copy of its own as far as they go.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

const LINE_WORDS: usize = 16;

/// 128 bytes: two cache lines, because the prefetcher of current CPUs fetches them in pairs.
#[derive(Default)]
#[repr(align(128))]
struct Words([AtomicU64; LINE_WORDS]);

/// The same words once for each stripe; a thread writes to its own stripe alone. Cloning shares them.
#[derive(Clone)]
pub(super) struct Stripes {
    lines: Arc<[Words]>,
    lines_each: usize,
}

impl Stripes {
    /// Zeros, `words` of them in each stripe.
    pub(super) fn new(words: usize) -> Stripes {
        let lines_each = words.div_ceil(LINE_WORDS);
        let lines = (0..stripe_count() * lines_each).map(|_| Words::default());
        Stripes {
            lines: lines.collect(),
            lines_each,
        }
    }

    /// This thread's words.
    #[inline]
    pub(super) fn own(&self) -> Own<'_> {
        let start = stripe() * self.lines_each;
        Own(&self.lines[start..start + self.lines_each])
    }

    /// A word added up over all stripes.
    #[inline]
    pub(super) fn sum(&self, index: usize) -> u64 {
        self.each(index).fold(0, u64::wrapping_add)
    }

    /// A word that holds a float, added up over all stripes.
    pub(super) fn sum_f64(&self, index: usize) -> f64 {
        self.each(index).map(f64::from_bits).sum::<f64>() + 0.0
    }

    fn each(&self, index: usize) -> impl Iterator<Item = u64> {
        let stripes = self.lines.chunks_exact(self.lines_each);
        stripes.map(move |lines| Own(lines).word(index).load(Ordering::Relaxed))
    }
}

/// The words of one stripe.
pub(super) struct Own<'a>(&'a [Words]);

impl<'a> Own<'a> {
    #[inline]
    pub(super) fn word(&self, index: usize) -> &'a AtomicU64 {
        &self.0[index / LINE_WORDS].0[index % LINE_WORDS]
    }
}

/// Adds to a float that is kept as its bits.
#[inline]
pub(super) fn add_f64(bits: &AtomicU64, delta: f64) {
    let mut held = bits.load(Ordering::Relaxed);
    loop {
        let next = (f64::from_bits(held) + delta).to_bits();
        match bits.compare_exchange_weak(held, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => held = now,
        }
    }
}

/// Bounds the memory of one series on large machines.
const STRIPES_MAX: usize = 8;
/// Threads that live on each stripe.
static LIVING: [AtomicUsize; STRIPES_MAX] = [const { AtomicUsize::new(0) }; STRIPES_MAX];

/// The stripe of this thread: of those with the fewest threads the first. A thread that ends gives it back.
#[inline]
pub(super) fn stripe() -> usize {
    const NONE: usize = usize::MAX;
    thread_local!(static STRIPE: Cell<usize> = const { Cell::new(NONE) });
    STRIPE.with(|own| {
        if own.get() == NONE {
            own.set(take_stripe());
        }
        own.get()
    })
}

#[cold]
fn take_stripe() -> usize {
    struct Leave(usize);
    impl Drop for Leave {
        fn drop(&mut self) {
            LIVING[self.0].fetch_sub(1, Ordering::Relaxed);
        }
    }
    thread_local!(static LEAVE: Cell<Option<Leave>> = const { Cell::new(None) });
    let stripe = take_fewest(&LIVING[..stripe_count()]);
    // A thread that is ending already keeps its place on the count: one thread too many there.
    let _ = LEAVE.try_with(|leave| leave.set(Some(Leave(stripe))));
    stripe
}

fn take_fewest(living: &[AtomicUsize]) -> usize {
    let all = living.iter().enumerate();
    let fewest = all.min_by_key(|(_, living)| living.load(Ordering::Relaxed));
    let place = fewest.map_or(0, |(at, _)| at);
    living[place].fetch_add(1, Ordering::Relaxed);
    place
}

/// Twice as many as can write at once: a pool has more threads than the machine has cores, and two that
/// share a stripe wait for one another when both run.
pub(super) fn stripe_count() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        (2 * cores).min(STRIPES_MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn words_of_a_stripe_do_not_overlap() {
        for words in [1, LINE_WORDS, LINE_WORDS + 1] {
            let stripes = Stripes::new(words);
            let own = stripes.own();
            (0..words).for_each(|word| own.word(word).store(word as u64 + 1, Ordering::Relaxed));
            let sums: Vec<u64> = (0..words).map(|word| stripes.sum(word)).collect();
            assert_eq!(sums, (1..=words as u64).collect::<Vec<_>>());
        }
    }

    #[test]
    fn threads_that_meet_lose_no_count() {
        let stripes = Stripes::new(2);
        thread::scope(|scope| {
            for _ in 0..STRIPES_MAX + 1 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        stripes.own().word(0).fetch_add(1, Ordering::Relaxed);
                        add_f64(stripes.own().word(1), 0.5);
                    }
                });
            }
        });
        let threads = STRIPES_MAX as u64 + 1;
        assert_eq!(stripes.sum(0), threads * 1_000);
        assert_eq!(stripes.sum_f64(1), threads as f64 * 500.0);
    }

    #[test]
    fn a_place_is_taken_where_the_fewest_are() {
        let living: [AtomicUsize; 3] = [2, 1, 1].map(AtomicUsize::new);
        assert_eq!([(); 3].map(|()| take_fewest(&living)), [1, 2, 0]);
        let read = living.each_ref().map(|place| place.load(Ordering::Relaxed));
        assert_eq!(read, [3, 2, 2]);
    }

    #[test]
    fn threads_that_live_together_are_spread_and_keep_their_stripes() {
        let count = stripe_count();
        let barrier = Barrier::new(count);
        let alive = || {
            let first = stripe();
            barrier.wait();
            assert_eq!(first, stripe());
            barrier.wait();
            first
        };
        let seen: std::collections::BTreeSet<usize> = thread::scope(|scope| {
            let threads: Vec<_> = (0..count).map(|_| scope.spawn(alive)).collect();
            let joined = threads.into_iter().map(|thread| thread.join().unwrap());
            joined.collect()
        });
        assert!(seen.len() > 1 && seen.last() < Some(&count), "{seen:?}");
    }

    #[test]
    fn a_sum_of_nothing_has_no_sign() {
        assert_eq!(Stripes::new(1).sum_f64(0).to_bits(), 0.0_f64.to_bits());
    }
}
