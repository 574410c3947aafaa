//! Looks, summed up by stack, thread and span.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use super::period::{Period, Sample, Stack, Thread};
use super::slot::Endpoints;

/// Different stacks that one upload holds.
const STACKS_MAX: usize = 16_384;
/// Different stacks in different spans on different threads.
const SAMPLES_MAX: usize = 65_536;
/// Local roots whose endpoint is known; endpoints that are counted.
const ROOTS_MAX: usize = 65_536;
const ENDPOINTS_MAX: usize = 2_000;

/// What a look adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct More {
    pub(super) cpu_samples: u64,
    pub(super) cpu_ns: u64,
    pub(super) wall_ns: u64,
    pub(super) allocations: u64,
    pub(super) allocated_bytes: u64,
}

/// Where it adds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// Index from [`Tally::thread`].
    pub(super) thread: u32,
    pub(super) addresses: &'a [u64],
    pub(super) span_id: u64,
    pub(super) root_id: u64,
}

/// Sums since the last upload.
#[derive(Debug, Default)]
pub(super) struct Tally {
    threads: Vec<Thread>,
    thread_of: HashMap<usize, u32>,
    stacks: HashMap<Stack, u32>,
    samples: Vec<Sample>,
    sample_of: HashMap<(u32, u32, u64, u64), u32>,
    endpoints: HashMap<u64, String>,
    endpoint_counts: BTreeMap<String, u64>,
    taken: u64,
}

impl Tally {
    /// The index of a thread: `value` tells one from another.
    pub(super) fn thread(&mut self, value: usize, id: u64, name: &str) -> u32 {
        let threads = &mut self.threads;
        *self.thread_of.entry(value).or_insert_with(|| {
            threads.push(Thread {
                id,
                name: name.to_string(),
            });
            (threads.len() - 1) as u32
        })
    }

    /// Adds a look; false where nothing more fits.
    pub(super) fn add(&mut self, place: Place<'_>, more: More) -> bool {
        let Some(stack) = self.stack(place.addresses) else {
            return false;
        };
        let key = (place.thread, stack, place.span_id, place.root_id);
        let at = match self.sample_of.entry(key) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(_) if self.samples.len() >= SAMPLES_MAX => return false,
            Entry::Vacant(new) => {
                self.samples.push(Sample {
                    thread: place.thread,
                    stack,
                    span_id: place.span_id,
                    root_id: place.root_id,
                    ..Sample::default()
                });
                *new.insert((self.samples.len() - 1) as u32)
            }
        };
        let sample = &mut self.samples[at as usize];
        sample.cpu_samples += more.cpu_samples;
        sample.cpu_ns += more.cpu_ns;
        sample.wall_ns += more.wall_ns;
        sample.allocations += more.allocations;
        sample.allocated_bytes += more.allocated_bytes;
        true
    }

    /// A look that was added is to be accounted for by the upload.
    pub(super) fn count(&mut self) {
        self.taken += 1;
    }

    /// Whether an upload would have nothing to say.
    pub(super) fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.endpoint_counts.is_empty() && self.taken == 0
    }

    fn stack(&mut self, addresses: &[u64]) -> Option<u32> {
        if let Some(known) = self.stacks.get(addresses) {
            return Some(*known);
        }
        if self.stacks.len() >= STACKS_MAX {
            return None;
        }
        let next = self.stacks.len() as u32;
        self.stacks.insert(addresses.to_vec(), next);
        Some(next)
    }

    /// Adds what was asked for.
    pub(super) fn add_endpoints(&mut self, more: Endpoints) {
        for (endpoint, count) in more.counts {
            let known = self.endpoint_counts.len();
            match self.endpoint_counts.get_mut(&endpoint) {
                Some(total) => *total += count,
                None if known < ENDPOINTS_MAX => {
                    self.endpoint_counts.insert(endpoint, count);
                }
                None => {}
            }
        }
        let room = ROOTS_MAX.saturating_sub(self.endpoints.len());
        self.endpoints.extend(more.of_roots.into_iter().take(room));
    }

    /// All of it, for an upload; nothing is left.
    pub(super) fn take(&mut self, (start_unix_ns, end_unix_ns): (u64, u64)) -> Period {
        let all = std::mem::take(self);
        let mut stacks = vec![Stack::new(); all.stacks.len()];
        for (stack, at) in all.stacks {
            stacks[at as usize] = stack;
        }
        Period {
            start_unix_ns,
            end_unix_ns,
            cpu_period_ns: 0,
            threads: all.threads,
            stacks,
            samples: all.samples,
            endpoints: all.endpoints,
            endpoint_counts: all.endpoint_counts,
            taken: all.taken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(thread: u32, addresses: &[u64], span_id: u64) -> Place<'_> {
        Place {
            thread,
            addresses,
            span_id,
            root_id: span_id,
        }
    }

    const CPU: More = More {
        cpu_samples: 1,
        cpu_ns: 10,
        wall_ns: 0,
        allocations: 0,
        allocated_bytes: 0,
    };

    #[test]
    fn looks_are_summed_up_by_stack_thread_and_span() {
        let mut tally = Tally::default();
        let (a, b) = (tally.thread(7, 70, "a"), tally.thread(8, 80, "b"));
        assert_eq!((a, b, tally.thread(7, 70, "a")), (0, 1, 0));
        let wall = More {
            wall_ns: 5,
            ..More::default()
        };
        for (thread, stack, span, more) in [
            (a, &[1, 2][..], 9, CPU),
            (a, &[1, 2], 9, wall),
            (a, &[1, 2], 0, CPU),
            (b, &[1, 2], 9, CPU),
            (a, &[1], 9, CPU),
            (a, &[1, 2], 9, CPU),
            (a, &[], 0, CPU),
        ] {
            assert!(tally.add(place(thread, stack, span), more));
            tally.count();
        }
        let period = tally.take((100, 200));
        let sample = |thread, stack, span_id, cpu_samples, wall_ns| Sample {
            thread,
            stack,
            span_id,
            root_id: span_id,
            cpu_samples,
            cpu_ns: cpu_samples * 10,
            wall_ns,
            ..Sample::default()
        };
        let expected = [
            sample(0, 0, 9, 2, 5),
            sample(0, 0, 0, 1, 0),
            sample(1, 0, 9, 1, 0),
            sample(0, 1, 9, 1, 0),
            sample(0, 2, 0, 1, 0),
        ];
        assert_eq!(period.samples, expected);
        assert_eq!(period.stacks, [vec![1, 2], vec![1], vec![]]);
        assert_eq!((period.taken, period.start_unix_ns), (7, 100));
        assert_eq!(tally.take((0, 0)), Period::default(), "nothing is left");
    }

    #[test]
    fn what_is_more_than_the_bounds_is_refused() {
        let mut tally = Tally::default();
        for address in 0..STACKS_MAX as u64 {
            assert!(tally.add(place(0, &[address], 0), CPU));
        }
        assert!(!tally.add(place(0, &[u64::MAX], 0), CPU), "one stack more");
        assert!(tally.add(place(0, &[3], 0), CPU), "a known one");
        for span in 1..=(SAMPLES_MAX - STACKS_MAX) as u64 {
            assert!(tally.add(place(0, &[3], span), CPU));
        }
        assert!(!tally.add(place(0, &[3], u64::MAX), CPU), "one sample more");
        assert!(tally.add(place(0, &[3], 5), CPU), "a known one");
    }

    #[test]
    fn endpoints_are_counted_and_kept_for_the_roots_that_were_sampled() {
        let mut tally = Tally::default();
        for _ in 0..2 {
            tally.add_endpoints(Endpoints {
                counts: [("GET /x".to_string(), 2)].into_iter().collect(),
                of_roots: vec![(5, "GET /x".to_string())],
            });
        }
        let period = tally.take((0, 0));
        assert_eq!(period.endpoint_counts, [("GET /x".to_string(), 4)].into());
        assert_eq!(period.endpoints, [(5, "GET /x".to_string())].into());
    }
}
