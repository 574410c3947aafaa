//! What the sampling thread does: empties the rings, has it looked at threads that wait, hands on a period.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::armed::Armed;
use super::bounds;
use super::counts::Counts;
use super::figures::Figures;
use super::pace::Pace;
use super::period::Period;
use super::record::{CPU, HEAP, Head, WALL};
use super::registry::{Registry, Watched};
use super::slot::{THREADS_MAX, UNKNOWN};
use super::stack;
use super::tally::{More, Place, Tally};
use super::told::Told;
use super::turns::{Found, Standing, Turns};
use super::unwind;
use crate::clock::Clock;
use crate::worker::{Fill, FlushError, Handle, Job, Why};

/// How often threads that nobody reported are looked for, and endpoints are gathered.
const SURVEY_NS: u64 = 250_000_000;
/// A place of which nothing is known.
const NOWHERE: Place<'_> = Place {
    thread: 0,
    addresses: &[],
    span_id: 0,
    root_id: 0,
};
/// At the stop, time for an upload that is under way.
const UPLOAD_GRACE_NS: u64 = 300_000_000;
/// Looks for the stack of a thread that nobody reported, before it is given up.
const BOUNDS_TRIES_MAX: u32 = 20;

/// The thread's job.
pub(super) struct Sampler {
    registry: Arc<Registry>,
    counts: Arc<Counts>,
    figures: Arc<Figures>,
    told: Arc<Told>,
    is_refusal_told: bool,
    uploads: Handle<Box<Period>>,
    clock: Clock,
    pace: Pace,
    uploads_end_ns: Arc<AtomicU64>,
    tally: Tally,
    followed: HashMap<usize, Followed>,
    record: Vec<u64>,
    now_ns: u64,
    survey_at_ns: u64,
    wall_at_ns: u64,
    upload_at_ns: u64,
    since_unix_ns: u64,
    /// CPU time of the process, and how much of it samples speak for, since the start.
    process_from_ns: u64,
    told_ns: u64,
    _armed: Armed,
}

/// What is kept about a thread from one look to the next.
#[derive(Debug)]
struct Followed {
    turns: Turns,
    /// CPU time of the thread that samples have told of.
    cpu_told_ns: u64,
    bounds_tries: u32,
}

/// What a sampler needs to begin.
pub(super) struct Start {
    pub(super) registry: Arc<Registry>,
    pub(super) counts: Arc<Counts>,
    pub(super) figures: Arc<Figures>,
    pub(super) told: Arc<Told>,
    pub(super) uploads: Handle<Box<Period>>,
    pub(super) clock: Clock,
    pub(super) pace: Pace,
    /// To be brought forward before the uploader is stopped, which comes next.
    pub(super) uploads_end_ns: Arc<AtomicU64>,
    pub(super) armed: Armed,
}

impl Sampler {
    pub(super) fn new(start: Start) -> Sampler {
        let now_ns = start.clock.mono_ns();
        Sampler {
            registry: start.registry,
            counts: start.counts,
            figures: start.figures,
            told: start.told,
            is_refusal_told: false,
            uploads: start.uploads,
            pace: start.pace,
            uploads_end_ns: start.uploads_end_ns,
            tally: Tally::default(),
            followed: HashMap::new(),
            record: Vec::new(),
            now_ns,
            survey_at_ns: now_ns,
            wall_at_ns: now_ns,
            upload_at_ns: now_ns + start.pace.first_upload_ns,
            since_unix_ns: start.clock.unix_ns(),
            process_from_ns: stack::process_cpu_ns().unwrap_or(0),
            told_ns: 0,
            clock: start.clock,
            _armed: start.armed,
        }
    }

    /// `is_last` before what was gathered is handed on: nothing is left to the next survey then.
    fn look(&mut self, is_last: bool) {
        unwind::learn_libraries();
        self.now_ns = self.clock.mono_ns();
        let is_survey = is_last || self.now_ns >= self.survey_at_ns;
        if is_survey {
            self.survey_at_ns = self.now_ns + SURVEY_NS;
            self.registry.find_others();
            self.tell_refused();
        }
        let is_turn = self.pace.wall_period_ns > 0 && self.now_ns >= self.wall_at_ns;
        if is_turn {
            let period = self.pace.wall_period_ns;
            let missed = (self.now_ns - self.wall_at_ns) / period;
            self.wall_at_ns += (missed + 1) * period;
        }
        let watched = self.registry.watched();
        for thread in &watched {
            self.empty(thread);
            if is_survey || thread.has_ended {
                let endpoints = thread.slot().take_endpoints();
                self.tally.add_endpoints(endpoints);
            }
            if thread.has_ended {
                self.followed.remove(&thread.value);
                self.registry.forget(thread.value);
            } else if is_turn && thread.is_ours {
                self.take_turn(thread);
            }
        }
        self.learn_stacks(&watched);
        if is_survey {
            self.figures
                .threads
                .store(watched.len() as u64, Ordering::Relaxed);
        }
    }

    fn tell_refused(&mut self) {
        let refused = self.registry.refused();
        if refused > 0 && !std::mem::replace(&mut self.is_refusal_told, true) {
            self.told.push_notice(format!(
                "{refused} threads could not be watched: at most {THREADS_MAX} are, and each takes a timer \
                 (ulimit -i); their CPU time is not sampled"
            ));
        }
    }

    /// Takes in all looks of one thread.
    fn empty(&mut self, thread: &Watched) {
        let slot = thread.slot();
        let now_ns = self.now_ns;
        let followed = self.followed.entry(thread.value);
        followed.or_insert_with(|| Followed {
            turns: Turns::since(now_ns),
            cpu_told_ns: thread.cpu_from_ns,
            bounds_tries: 0,
        });
        let mut record = std::mem::take(&mut self.record);
        while slot.ring.pop(&mut record) {
            if let Some((head, addresses)) = Head::of(&record) {
                self.add(thread, head, addresses);
            }
        }
        self.record = record;
        let lost = slot.lost.swap(0, Ordering::Relaxed);
        Counts::add(&self.counts.offered, lost);
        Counts::add(&self.counts.ring_full, lost);
        self.figures.gather(slot);
    }

    fn add(&mut self, thread: &Watched, head: Head, addresses: &[u64]) {
        let mut more = More::default();
        match head.kind {
            CPU => {
                if let Some(followed) = self.followed.get_mut(&thread.value) {
                    followed.cpu_told_ns = head.cpu_ns;
                }
                more.cpu_samples = 1;
                more.cpu_ns = head.cpu_delta_ns;
            }
            WALL => {
                let Some(followed) = self.followed.get_mut(&thread.value) else {
                    return;
                };
                more.wall_ns = followed.turns.found(Found {
                    addresses: addresses.to_vec(),
                    span_id: head.span_id,
                    root_id: head.root_id,
                    cpu_ns: head.cpu_ns,
                });
            }
            HEAP => {
                // Only return addresses were found; the first stands for a place in front of itself.
                let mut place = addresses.to_vec();
                if let Some(first) = place.first_mut() {
                    *first -= 1;
                }
                more.allocations = head.cpu_delta_ns;
                more.allocated_bytes = head.cpu_ns;
                self.sum_up(thread, (head.span_id, head.root_id), (&place, more));
                return;
            }
            _ => return,
        }
        if self.sum_up(thread, (head.span_id, head.root_id), (addresses, more)) {
            self.told_ns += more.cpu_ns;
        }
    }

    /// One look, accounted for; false where nothing more fits.
    fn sum_up(
        &mut self,
        thread: &Watched,
        (span_id, root_id): (u64, u64),
        (addresses, more): (&[u64], More),
    ) -> bool {
        let index = self.tally.thread(thread.value, thread.tid, &thread.name);
        let is_tied = self.pace.hotspots;
        let place = Place {
            thread: index,
            addresses,
            span_id: if is_tied { span_id } else { 0 },
            root_id,
        };
        Counts::add(&self.counts.offered, 1);
        // Of two looks in one turn the first speaks for all the time; a sample of nothing would only be counted.
        let fits = more == More::default() || self.tally.add(place, more);
        match fits {
            true => self.tally.count(),
            false => Counts::add(&self.counts.crowded, 1),
        }
        fits
    }

    fn take_turn(&mut self, thread: &Watched) {
        let Some(mut followed) = self.followed.remove(&thread.value) else {
            return;
        };
        let standing = Standing {
            now_ns: self.now_ns,
            cpu_ns: stack::thread_cpu_ns(thread.tid).unwrap_or(0),
            span_id: thread.slot().span_id.load(Ordering::Relaxed),
        };
        if let Some((found, wall_ns)) = followed.turns.take(standing) {
            let more = More {
                wall_ns,
                ..More::default()
            };
            let ids = (found.span_id, found.root_id);
            self.sum_up(thread, ids, (&found.addresses, more));
        } else {
            // One that ends at this moment need not be looked at any more.
            let _ = stack::look_at(thread.tid, thread.value);
        }
        self.followed.insert(thread.value, followed);
    }

    /// Where threads that nobody reported have their stacks; until then of each look only the place is kept.
    fn learn_stacks(&mut self, watched: &[Watched]) {
        let mut maps = None;
        for thread in watched {
            let slot = thread.slot();
            let Some(followed) = self.followed.get_mut(&thread.value) else {
                continue;
            };
            let seen = slot.stack_seen.load(Ordering::Relaxed);
            let block = slot.owner.load(Ordering::Acquire);
            let is_known = thread.is_ours || slot.high.load(Ordering::Relaxed) != 0;
            if is_known || seen == 0 || block <= UNKNOWN {
                continue;
            }
            if followed.bounds_tries >= BOUNDS_TRIES_MAX {
                continue;
            }
            followed.bounds_tries += 1;
            let maps = maps.get_or_insert_with(bounds::mappings);
            if let Some((low, high)) = bounds::stack_around(maps, seen, block) {
                slot.low.store(low, Ordering::Relaxed);
                slot.high.store(high, Ordering::Release);
            }
        }
    }

    /// CPU time of a thread up to its last sample.
    fn told_of(&self, thread: &Watched) -> u64 {
        let followed = self.followed.get(&thread.value);
        followed.map_or(thread.cpu_from_ns, |followed| followed.cpu_told_ns)
    }

    /// CPU time of the process that no sample speaks for, and that no living thread will yet tell of: of threads
    /// that came and went between two surveys, of those that could not be watched, of each since its last sample
    /// where it has ended or the profiler has.
    fn add_rest(&mut self) {
        let Some(process_ns) = stack::process_cpu_ns() else {
            return;
        };
        let watched = self.registry.watched();
        let living = watched.iter().filter(|thread| !thread.has_ended);
        let to_come = living.filter_map(|thread| {
            let cpu_ns = stack::thread_cpu_ns(thread.tid)?;
            Some(cpu_ns.saturating_sub(self.told_of(thread)))
        });
        let to_come_ns: u64 = to_come.sum();
        let used_ns = process_ns.saturating_sub(self.process_from_ns);
        let rest_ns = used_ns.saturating_sub(self.told_ns + to_come_ns);
        if rest_ns == 0 {
            return;
        }
        let place = Place {
            thread: self.tally.thread(0, 0, "other threads"),
            ..NOWHERE
        };
        let more = More {
            cpu_samples: rest_ns / self.pace.cpu_period_ns,
            cpu_ns: rest_ns,
            ..More::default()
        };
        if self.tally.add(place, more) {
            self.told_ns += rest_ns;
        }
    }

    fn hand_on(&mut self) -> Result<(), FlushError> {
        self.add_rest();
        // A clock that was set back is no reason for an end before the start.
        let now_unix_ns = self.clock.unix_ns().max(self.since_unix_ns);
        let mut period = self.tally.take((self.since_unix_ns, now_unix_ns));
        period.cpu_period_ns = self.pace.cpu_period_ns;
        self.since_unix_ns = now_unix_ns;
        self.upload_at_ns = self.clock.mono_ns() + self.pace.upload_interval_ns;
        let taken = period.taken;
        self.uploads.offer(Box::new(period)).map_err(|_| {
            Counts::add(&self.counts.failed, taken);
            FlushError::new("the profile before this one is still being made")
        })
    }
}

impl Job for Sampler {
    type Item = Infallible;

    fn take(&mut self, item: Infallible) -> Fill {
        match item {}
    }

    fn flush(&mut self, why: Why) -> Result<(), FlushError> {
        if why == Why::Stop {
            stack::sample_heap_every(0);
            let end_ns = self.clock.mono_ns() + UPLOAD_GRACE_NS;
            self.uploads_end_ns.store(end_ns, Ordering::Relaxed);
            self.registry.close();
        }
        let is_due = self.clock.mono_ns() >= self.upload_at_ns;
        self.look(why != Why::Tick || is_due);
        match why {
            Why::Tick if !is_due => Ok(()),
            Why::Stop if self.tally.is_empty() => Ok(()),
            _ => self.hand_on(),
        }
    }
}
