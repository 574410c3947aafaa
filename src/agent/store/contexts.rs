//! DogStatsD contexts: name, type and sorted tags, bounded in number and in bytes.

use std::collections::HashMap;

use super::context::{Context, Room, weight, write_key};
use super::quietest::quietest;
use crate::agent::decode::{Kind, Metric, Values};

/// The Agent's buffer for one datagram (`dogstatsd_buffer_size`): no more of a line reaches it.
pub(crate) const LINE_BYTES_MAX: usize = 8_192;
/// Names whose counts are summed since the start, and their bytes.
const SUMS_MAX: usize = 5_000;
const SUM_NAMES_BYTES_MAX: usize = 1 << 20;

/// Bounds of the contexts, and of the series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) contexts_max: usize,
    pub(crate) bytes_max: usize,
    pub(crate) members_max: usize,
    pub(crate) values_max: usize,
}

impl Limits {
    /// Values and members of all buckets together: 16 bytes each, a quarter of all bytes.
    pub(crate) fn held_max(&self) -> usize {
        self.bytes_max / 64
    }
}

/// What became of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Samples that it held.
    pub(crate) samples: u64,
    /// Bytes of what it is known by, where they were too many to keep it.
    pub(crate) too_long_bytes: Option<usize>,
}

/// All contexts. At a bound those that were quiet longest go.
#[derive(Debug)]
pub(crate) struct Contexts {
    limits: Limits,
    contexts: HashMap<Box<str>, Context>,
    bytes: usize,
    touched: u64,
    overflow: u64,
    evicted_samples: u64,
    sums: HashMap<String, f64>,
    sum_names_bytes: usize,
    held: usize,
    /// Reused for every look-up, so that a known context costs no allocation.
    key: String,
}

impl Contexts {
    pub(crate) fn new(limits: Limits) -> Contexts {
        Contexts {
            limits,
            contexts: HashMap::new(),
            bytes: 0,
            touched: 0,
            overflow: 0,
            evicted_samples: 0,
            sums: HashMap::new(),
            sum_names_bytes: 0,
            held: 0,
            key: String::new(),
        }
    }

    /// Takes one line.
    pub(crate) fn take(&mut self, metric: &Metric<'_>, time_unix_us: u64) -> Taken {
        let samples = match &metric.values {
            Values::Numbers(numbers) => numbers.len() as u64,
            Values::Member(_) => 1,
        };
        self.sum(metric);
        let mut key = std::mem::take(&mut self.key);
        write_key(&mut key, metric);
        let length = key.len();
        let too_long_bytes = (length > LINE_BYTES_MAX).then_some(length);
        if too_long_bytes.is_none() {
            self.add(&key, metric, time_unix_us);
            self.key = key;
        } else {
            // The long key goes, so that it is not what every later look-up holds.
            self.evicted_samples += samples;
            self.overflow += 1;
        }
        Taken {
            samples,
            too_long_bytes,
        }
    }

    fn add(&mut self, key: &str, metric: &Metric<'_>, time_unix_us: u64) {
        if !self.contexts.contains_key(key) {
            let context = Context::new(metric.kind);
            let weight = context.weight(key);
            self.make_room(1, weight);
            self.bytes += weight;
            self.contexts.insert(key.into(), context);
        }
        self.touched += 1;
        if let Some(context) = self.contexts.get_mut(key) {
            let before = context.weight(key);
            context.roll(time_unix_us / 1_000_000, &mut self.held);
            let mut room = Room {
                limits: self.limits,
                held: &mut self.held,
            };
            context.touched = self.touched;
            context.take(metric, time_unix_us, &mut room);
            self.bytes = self.bytes - before + context.weight(key);
        }
        self.make_room(0, 0);
    }

    /// Lets contexts go until there is room for so many more, a batch at a time, so that a flood
    /// of new ones costs each but a few steps.
    fn make_room(&mut self, more: usize, more_bytes: usize) {
        while !self.contexts.is_empty()
            && (self.contexts.len() + more > self.limits.contexts_max
                || self.bytes + more_bytes > self.limits.bytes_max)
        {
            let last_to_go = quietest(self.contexts.values().map(|context| context.touched));
            self.contexts.retain(|key, context| {
                let stays = context.touched > last_to_go;
                if !stays {
                    self.bytes -= context.weight(key);
                    self.held -= context.held();
                    self.overflow += 1;
                    self.evicted_samples += context.points();
                }
                stays
            });
        }
    }

    /// Finishes buckets that are over, so that idle contexts hold no values.
    pub(crate) fn tick(&mut self, now_unix_us: u64) {
        self.bytes = 0;
        for (key, context) in &mut self.contexts {
            context.roll(now_unix_us / 1_000_000, &mut self.held);
            self.bytes += context.weight(key);
        }
    }

    /// Sum of all counts of a name since the start, sample rates undone.
    pub(crate) fn sums(&self) -> impl Iterator<Item = (&str, f64)> {
        self.sums.iter().map(|(name, sum)| (&**name, *sum))
    }

    pub(crate) fn count(&self) -> u64 {
        self.contexts.len() as u64
    }

    /// Contexts that were let go, and lines that were too long to keep.
    pub(crate) fn overflow(&self) -> u64 {
        self.overflow
    }

    /// Their samples.
    pub(crate) fn evicted_samples(&self) -> u64 {
        self.evicted_samples
    }

    /// Each with its key, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Context)> {
        self.contexts.iter().map(|(key, context)| (&**key, context))
    }

    fn sum(&mut self, metric: &Metric<'_>) {
        let (Kind::Count, Values::Numbers(numbers)) = (metric.kind, &metric.values) else {
            return;
        };
        let sum = numbers.iter().sum::<f64>() * weight(metric);
        let bytes = self.sum_names_bytes + metric.name.len();
        if let Some(known) = self.sums.get_mut(metric.name) {
            *known += sum;
        } else if self.sums.len() < SUMS_MAX && bytes <= SUM_NAMES_BYTES_MAX {
            self.sum_names_bytes = bytes;
            self.sums.insert(metric.name.to_string(), sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::decode::{Message, datagram};
    use crate::agent::view::MetricRow;

    const T: u64 = 1_700_000_000_000_000;
    const LIMITS: Limits = Limits {
        contexts_max: 3,
        bytes_max: 1 << 20,
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
        let second = T / 1_000_000 + second;
        let mut rows = contexts
            .iter()
            .map(|(key, context)| context.row(key, second));
        rows.find(|row| row.name == name).unwrap()
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

    /// The bytes are those of the contexts that are held, whatever came and went.
    #[track_caller]
    fn check_bytes(rule: &str, contexts: &Contexts) {
        let weights = contexts.iter().map(|(key, context)| context.weight(key));
        assert_eq!(contexts.bytes, weights.sum::<usize>(), "{rule}");
        assert!(contexts.bytes <= contexts.limits.bytes_max, "{rule}");
        assert!(
            contexts.contexts.len() <= contexts.limits.contexts_max,
            "{rule}"
        );
        let held = contexts.iter().map(|(_, context)| context.held());
        assert_eq!(contexts.held, held.sum::<usize>(), "{rule}");
    }

    #[test]
    fn the_quietest_goes_and_the_sums_stay() {
        let mut contexts = Contexts::new(LIMITS);
        send(&mut contexts, 1, "a:1|c\na:1:2|g\na:1|c|#x\na:1|c\nb:1|c");
        assert_eq!(
            (
                contexts.count(),
                contexts.overflow(),
                contexts.evicted_samples()
            ),
            (3, 1, 2),
            "the gauge was quiet longest"
        );
        let mut kinds: Vec<String> =
            (contexts.iter().map(|(key, _)| key.replace('\n', " "))).collect();
        kinds.sort();
        assert_eq!(kinds, ["a count", "a x count", "b count"]);
        let mut sums: Vec<(&str, f64)> = contexts.sums().collect();
        sums.sort_by(|a, b| a.0.cmp(b.0));
        assert_eq!(sums, [("a", 3.0), ("b", 1.0)]);
        check_bytes("after an eviction", &contexts);
    }

    #[test]
    fn a_flood_of_contexts_makes_nobody_deaf() {
        let mut contexts = Contexts::new(Limits {
            contexts_max: 1_000,
            ..LIMITS
        });
        for n in 0..10_000 {
            send(&mut contexts, 1, &format!("flood:1|c|#n:{n}\nbusy:1|c"));
        }
        send(&mut contexts, 2, "new:1|c");
        assert_eq!(row(&contexts, "new", 3).points, 1);
        assert_eq!(row(&contexts, "busy", 3).points, 10_000, "a busy one stays");
        check_bytes("after a flood", &contexts);
    }

    #[test]
    fn contexts_have_a_bound_in_bytes() {
        let limits = Limits {
            contexts_max: 10_000,
            members_max: 10_000,
            values_max: 10_000,
            ..LIMITS
        };
        let mut contexts = Contexts::new(limits);
        for n in 0..500 {
            let tags = format!("n:{n},{}", "t,".repeat(n) + &"x".repeat(3_000));
            send(&mut contexts, 1, &format!("a:1|c|#{tags}"));
        }
        check_bytes("long tags", &contexts);
        for n in (1..3_000).step_by(20) {
            let (values, member) = ("1:".repeat(n), "m".repeat(n));
            let lines = format!("h{n}:{values}|h\ns{n}:{member}|s\ns0:{member}|s");
            send(&mut contexts, n as u64 / 100, &lines);
        }
        check_bytes("values and members", &contexts);
        contexts.tick(T + 100_000_000);
        check_bytes("after a tick", &contexts);
        assert!(contexts.count() > 50);
    }

    #[test]
    fn what_no_agent_could_read_whole_is_not_kept() {
        #[track_caller]
        fn check(rule: &str, name_bytes: usize, expected: Option<usize>) {
            let mut contexts = Contexts::new(LIMITS);
            let line = format!("{}:1:2|g", "n".repeat(name_bytes));
            let Some(Ok(Message::Metric(metric))) = datagram(line.as_bytes()).next() else {
                panic!("{rule}")
            };
            let taken = contexts.take(&metric, T);
            assert_eq!(
                (taken.samples, taken.too_long_bytes),
                (2, expected),
                "{rule}"
            );
            let lost = expected.map_or(0, |_| 2);
            assert_eq!(
                (contexts.count(), contexts.evicted_samples()),
                (u64::from(lost == 0), lost),
                "{rule}"
            );
        }
        let limit = LINE_BYTES_MAX - "\ngauge".len();
        check("at the limit", limit, None);
        check("one over", limit + 1, Some(LINE_BYTES_MAX + 1));
    }
}
