//! DogStatsD contexts: name, type and sorted tags, with their 10 second buckets.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::bucket::{BUCKET_SECONDS, Bucket, MEMBERS_SHOWN_MAX};
use super::history::History;
use crate::agent::decode::{Kind, Metric, Values};
use crate::agent::view::MetricRow;

/// Contexts that were not kept are told apart up to this many.
const OVERFLOW_KNOWN_MAX: usize = 100_000;
/// Names whose counts are summed since the start.
const SUMS_MAX: usize = 5_000;
/// Values and members of all buckets together: a bound in bytes, 16 each.
const HELD_MAX: usize = 1_000_000;

/// Bounds of the contexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) contexts_max: usize,
    pub(crate) members_max: usize,
    pub(crate) values_max: usize,
}

#[derive(Debug)]
struct Context {
    name: String,
    kind: Kind,
    tags: Vec<String>,
    points: u64,
    value: f64,
    /// Start of the bucket in Unix seconds.
    start: u64,
    bucket: Bucket,
    finished: Vec<(&'static str, f64)>,
    finished_members: Vec<String>,
    history: History,
    last_seen_unix_us: u64,
}

/// What the buckets of all contexts may still hold.
struct Room<'h> {
    limits: Limits,
    held: &'h mut usize,
}

impl Room<'_> {
    fn is_left(&self, bucket_held: usize, bucket_max: usize) -> bool {
        bucket_held < bucket_max && *self.held < HELD_MAX
    }
}

/// All contexts.
#[derive(Debug)]
pub(crate) struct Contexts {
    limits: Limits,
    contexts: HashMap<String, Context>,
    refused: HashSet<u64>,
    evicted_samples: u64,
    sums: HashMap<String, f64>,
    held: usize,
    /// Reused for every look-up, so that a known context costs no allocation.
    key: String,
}

impl Contexts {
    pub(crate) fn new(limits: Limits) -> Contexts {
        Contexts {
            limits,
            contexts: HashMap::new(),
            refused: HashSet::new(),
            evicted_samples: 0,
            sums: HashMap::new(),
            held: 0,
            key: String::new(),
        }
    }

    /// Takes one line; tells how many samples it held.
    pub(crate) fn take(&mut self, metric: &Metric<'_>, time_unix_us: u64) -> u64 {
        let samples = match &metric.values {
            Values::Numbers(numbers) => numbers.len() as u64,
            Values::Member(_) => 1,
        };
        self.sum(metric);
        let mut tags = metric.tags.clone();
        tags.sort_unstable();
        tags.dedup();
        let mut key = std::mem::take(&mut self.key);
        write_key(&mut key, metric, &tags);
        if !self.contexts.contains_key(&key) {
            if self.contexts.len() >= self.limits.contexts_max {
                self.refuse(&key, samples);
                self.key = key;
                return samples;
            }
            self.contexts
                .insert(key.clone(), Context::new(metric, &tags));
        }
        if let Some(context) = self.contexts.get_mut(&key) {
            context.roll(time_unix_us / 1_000_000, &mut self.held);
            let mut room = Room {
                limits: self.limits,
                held: &mut self.held,
            };
            context.take(metric, time_unix_us, &mut room);
        }
        self.key = key;
        samples
    }

    /// Finishes buckets that are over, so that idle contexts hold no values.
    pub(crate) fn tick(&mut self, now_unix_us: u64) {
        for context in self.contexts.values_mut() {
            context.roll(now_unix_us / 1_000_000, &mut self.held);
        }
    }

    /// Sum of all counts of a name since the start, sample rates undone.
    pub(crate) fn sums(&self) -> impl Iterator<Item = (&str, f64)> {
        self.sums.iter().map(|(name, sum)| (&**name, *sum))
    }

    pub(crate) fn count(&self) -> u64 {
        self.contexts.len() as u64
    }

    pub(crate) fn overflow(&self) -> u64 {
        self.refused.len() as u64
    }

    pub(crate) fn evicted_samples(&self) -> u64 {
        self.evicted_samples
    }

    pub(crate) fn rows(&self, now_unix_us: u64) -> Vec<MetricRow> {
        self.contexts
            .values()
            .map(|context| context.row(now_unix_us / 1_000_000))
            .collect()
    }

    fn sum(&mut self, metric: &Metric<'_>) {
        let (Kind::Count, Values::Numbers(numbers)) = (metric.kind, &metric.values) else {
            return;
        };
        let sum = numbers.iter().sum::<f64>() * weight(metric);
        if let Some(known) = self.sums.get_mut(metric.name) {
            *known += sum;
        } else if self.sums.len() < SUMS_MAX {
            self.sums.insert(metric.name.to_string(), sum);
        }
    }

    fn refuse(&mut self, key: &str, samples: u64) {
        self.evicted_samples += samples;
        if self.refused.len() < OVERFLOW_KNOWN_MAX {
            let mut hasher = DefaultHasher::new();
            key.hash(&mut hasher);
            self.refused.insert(hasher.finish());
        }
    }
}

impl Context {
    fn new(metric: &Metric<'_>, tags: &[&str]) -> Context {
        Context {
            name: metric.name.to_string(),
            kind: metric.kind,
            tags: tags.iter().map(|tag| tag.to_string()).collect(),
            points: 0,
            value: 0.0,
            start: 0,
            bucket: Bucket::new(metric.kind),
            finished: Vec::new(),
            finished_members: Vec::new(),
            history: History::default(),
            last_seen_unix_us: 0,
        }
    }

    /// Closes the bucket if `second` lies behind it.
    fn roll(&mut self, second: u64, held: &mut usize) {
        let start = second - second % BUCKET_SECONDS;
        if start <= self.start {
            return;
        }
        if self.start > 0 && self.has_samples() {
            self.finished = self.bucket.aggregates(self.kind);
            self.finished_members = self.bucket.members().to_vec();
        } else if self.kind == Kind::Count && self.points > 0 {
            // The Agent goes on sending 0 for a count that is quiet; the others just end.
            self.finished = vec![("rate", 0.0)];
        }
        *held -= self.bucket.held();
        self.bucket = Bucket::new(self.kind);
        self.start = start;
    }

    fn has_samples(&self) -> bool {
        self.last_seen_unix_us / 1_000_000 >= self.start
    }

    fn take(&mut self, metric: &Metric<'_>, time_unix_us: u64, room: &mut Room<'_>) {
        self.last_seen_unix_us = time_unix_us;
        match &metric.values {
            Values::Member(member) => {
                self.points += 1;
                let before = self.bucket.held();
                self.bucket
                    .member(member, room.is_left(before, room.limits.members_max));
                *room.held += self.bucket.held() - before;
                self.value = self.bucket.held() as f64;
                self.history.set(time_unix_us / 1_000_000, self.value);
            }
            Values::Numbers(numbers) => {
                for number in numbers {
                    self.number(*number, metric, room);
                }
            }
        }
    }

    fn number(&mut self, number: f64, metric: &Metric<'_>, room: &mut Room<'_>) {
        let (weight, second) = (weight(metric), self.last_seen_unix_us / 1_000_000);
        self.points += 1;
        // A point with a time of its own passes the Agent's aggregation by.
        if metric.timestamp.is_none() {
            let before = self.bucket.held();
            let is_left = room.is_left(before, room.limits.values_max);
            self.bucket.number(number, weight, is_left);
            *room.held += self.bucket.held() - before;
        }
        if self.kind == Kind::Count {
            self.value += number * weight;
            self.history.add(second, number * weight);
        } else {
            self.value = number;
            self.history.set(second, number);
        }
    }

    fn row(&self, second: u64) -> MetricRow {
        let over = self.start + BUCKET_SECONDS <= second;
        let show_current = over && self.has_samples() || self.finished.is_empty();
        let mut members = self.bucket.members().to_vec();
        members.extend(self.finished_members.iter().cloned());
        members.sort();
        members.dedup();
        members.truncate(MEMBERS_SHOWN_MAX);
        MetricRow {
            name: self.name.clone(),
            source: "dogstatsd",
            kind: self.kind.name().to_string(),
            tags: self.tags.clone(),
            points: self.points,
            value: self.value,
            aggregates: match show_current {
                true => self.bucket.aggregates(self.kind),
                false => self.finished.clone(),
            },
            members,
            history: self.history.view(),
            last_seen_unix_us: self.last_seen_unix_us,
            unit: if self.kind == Kind::Timing {
                "millisecond"
            } else {
                unit(&self.name)
            },
        }
    }
}

/// Samples that one stands for. A gauge and a set take no rate; a count with a time of its own
/// neither (metric codec of the Agent's data plane).
fn weight(metric: &Metric<'_>) -> f64 {
    match metric.kind {
        Kind::Gauge | Kind::Set => 1.0,
        Kind::Count if metric.timestamp.is_some() => 1.0,
        _ => 1.0 / metric.rate,
    }
}

/// What a name's ending says of its unit.
pub(crate) fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    let name = ["_bucket", "_sum"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name);
    let last = name.rsplit(['_', '.']).next().unwrap_or("");
    match last {
        "seconds" => "second",
        "milliseconds" | "ms" => "millisecond",
        "bytes" => "byte",
        "ratio" => "fraction",
        "percent" => "percent",
        _ => "",
    }
}

fn write_key(key: &mut String, metric: &Metric<'_>, tags: &[&str]) {
    key.clear();
    key.push_str(metric.name);
    key.push('|');
    key.push_str(metric.kind.name());
    for tag in tags {
        key.push('|');
        key.push_str(tag);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::decode::{Message, datagram};

    const T: u64 = 1_700_000_000_000_000;
    const LIMITS: Limits = Limits {
        contexts_max: 3,
        members_max: 3,
        values_max: 3,
    };

    fn send(contexts: &mut Contexts, second: u64, lines: &str) {
        for message in datagram(lines.as_bytes()) {
            let Ok(Message::Metric(metric)) = message else {
                panic!("{message:?}")
            };
            contexts.take(&metric, T + second * 1_000_000);
        }
    }

    fn row(contexts: &Contexts, name: &str, second: u64) -> MetricRow {
        let rows = contexts.rows(T + second * 1_000_000);
        rows.into_iter().find(|row| row.name == name).unwrap()
    }

    #[test]
    fn the_last_finished_bucket_is_shown_or_the_current_while_there_is_none() {
        let mut contexts = Contexts::new(LIMITS);
        send(&mut contexts, 1, "hits:2|c|@0.5|#b,a\nhits:1|c|#a,b,a");
        let first = row(&contexts, "hits", 2);
        assert_eq!(
            (first.points, first.value, &*first.aggregates),
            (2, 5.0, &[("rate", 0.5)][..])
        );
        assert_eq!(
            (&first.tags[..], &first.history[..]),
            (&["a".to_string(), "b".into()][..], &[5.0][..])
        );
        send(&mut contexts, 11, "hits:100|c|#a,b");
        assert_eq!(row(&contexts, "hits", 12).aggregates, [("rate", 0.5)]);
        assert_eq!(row(&contexts, "hits", 21).aggregates, [("rate", 10.0)]);
        contexts.tick(T + 21_000_000);
        assert_eq!(row(&contexts, "hits", 21).aggregates, [("rate", 10.0)]);
        contexts.tick(T + 31_000_000);
        assert_eq!(row(&contexts, "hits", 31).aggregates, [("rate", 0.0)]);
        assert_eq!(contexts.sums().collect::<Vec<_>>(), [("hits", 105.0)]);
    }

    #[test]
    fn a_set_shows_members_of_two_buckets_and_has_its_bound() {
        let mut contexts = Contexts::new(LIMITS);
        send(&mut contexts, 1, "who:a|s\nwho:b|s\nwho:a|s");
        send(&mut contexts, 12, "who:c|s\nwho:d|s\nwho:e|s\nwho:f|s");
        let seen = row(&contexts, "who", 12);
        assert_eq!(
            (seen.points, seen.value, &*seen.aggregates),
            (7, 3.0, &[("distinct", 2.0)][..])
        );
        assert_eq!(seen.members, ["a", "b", "c", "d", "e"]);
        contexts.tick(T + 30_000_000);
        assert_eq!(
            (contexts.held, &*row(&contexts, "who", 30).aggregates),
            (0, &[("distinct", 3.0)][..])
        );
    }

    #[test]
    fn a_time_of_its_own_passes_the_buckets_by() {
        let mut contexts = Contexts::new(LIMITS);
        send(
            &mut contexts,
            1,
            "hits:15|c|@0.5|T1656581400\nlevel:3|g|T1656581400|@0.1",
        );
        let hits = row(&contexts, "hits", 2);
        assert_eq!(
            (hits.value, &*hits.aggregates),
            (15.0, &[("rate", 0.0)][..])
        );
        let level = row(&contexts, "level", 2);
        assert_eq!((level.value, &*level.aggregates), (3.0, &[][..]));
    }

    #[test]
    fn contexts_have_a_bound_and_those_refused_are_told_apart() {
        let mut contexts = Contexts::new(LIMITS);
        send(
            &mut contexts,
            1,
            "a:1|c\na:1|g\na:1|c|#x\na:1:2|c|#y\na:1|c|#y\nb:1|c\na:5|c",
        );
        assert_eq!(
            (
                contexts.count(),
                contexts.overflow(),
                contexts.evicted_samples()
            ),
            (3, 2, 4)
        );
        let mut sums: Vec<(&str, f64)> = contexts.sums().collect();
        sums.sort_by(|a, b| a.0.cmp(b.0));
        assert_eq!(sums, [("a", 11.0), ("b", 1.0)]);
    }

    #[test]
    fn a_names_ending_tells_its_unit() {
        for (name, expected) in [
            ("process_cpu_seconds_total", "second"),
            ("request_latency_seconds_bucket", "second"),
            ("heap_bytes", "byte"),
            ("op.ms", "millisecond"),
            ("hits", ""),
            ("", ""),
        ] {
            assert_eq!(unit(name), expected, "{name}");
        }
    }
}
