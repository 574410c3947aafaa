//! DogStatsD contexts: name, type and sorted tags, bounded in number and in bytes.

use std::collections::HashMap;

use super::context::{Context, Room, weight, write_key};
use super::lines::Received;
use super::quietest::quietest;
use crate::agent::decode::{Kind, Metric, Values};

/// The Agent's buffer for one datagram (`dogstatsd_buffer_size`): no more of a line reaches it.
pub(crate) const LINE_BYTES_MAX: usize = 8_192;
/// Names whose counts are summed since the start, and their bytes.
pub(super) const SUMS_MAX: usize = 5_000;
pub(super) const SUM_NAMES_BYTES_MAX: usize = 1 << 20;

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
    pub(crate) fn take(&mut self, metric: &Metric<'_>, received: Received<'_>) -> Taken {
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
            self.add(&key, metric, received);
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

    fn add(&mut self, key: &str, metric: &Metric<'_>, received: Received<'_>) {
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
            context.roll(received.time_unix_us / 1_000_000, &mut self.held);
            let mut room = Room {
                limits: self.limits,
                held: &mut self.held,
            };
            context.touched = self.touched;
            context.take(metric, received, &mut room);
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

/// What an Agent with its usual buffer (`dogstatsd_buffer_size`) would have made of it.
pub(crate) fn size_finding(datagram_bytes: usize, too_long_bytes: Option<usize>) -> Option<String> {
    let cut = datagram_bytes > LINE_BYTES_MAX;
    match too_long_bytes {
        Some(bytes) => Some(format!(
            "a line's texts take {bytes} bytes: over {LINE_BYTES_MAX} it is counted, not kept"
        )),
        None if cut => Some(format!(
            "{datagram_bytes} bytes: the Agent cuts a datagram at {LINE_BYTES_MAX} (dogstatsd_buffer_size)"
        )),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::decode::{Message, datagram, datagram_lines};
    use crate::agent::view::{MetricBucket, MetricRow};

    const T: u64 = 1_700_000_000_000_000;
    const LIMITS: Limits = Limits {
        contexts_max: 3,
        bytes_max: 1 << 20,
        members_max: 3,
        values_max: 3,
    };

    fn send(contexts: &mut Contexts, second: u64, lines: &str) {
        for read in datagram_lines(lines.as_bytes()) {
            let Ok((line, Message::Metric(metric))) = read else {
                panic!("{read:?}")
            };
            let time_unix_us = T + second * 1_000_000;
            contexts.take(&metric, Received { line, time_unix_us });
        }
    }

    fn row(contexts: &Contexts, name: &str, second: u64) -> MetricRow {
        let second = T / 1_000_000 + second;
        let mut rows = contexts
            .iter()
            .map(|(key, context)| context.row(key, second, true));
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

    /// Of the current and of the finished bucket: its start, its samples, its total, its figures.
    type Told = (u64, u64, Option<f64>, Vec<(&'static str, f64)>);

    fn told(bucket: &MetricBucket) -> Told {
        let start = (bucket.start_unix_us - T) / 1_000_000;
        let figures = bucket.aggregates.clone();
        (start, bucket.samples, bucket.total, figures)
    }

    #[track_caller]
    fn check_buckets(rule: &str, row: &MetricRow, current: Told, finished: Option<Told>) {
        let explained = row.explained.as_ref().unwrap();
        assert_eq!(told(&explained.current), current, "{rule}: current");
        let seen = explained.finished.as_ref().map(told);
        assert_eq!(seen, finished, "{rule}: finished");
    }

    #[test]
    fn a_set_forgets_its_members_after_ten_seconds() {
        let mut contexts = Contexts::new(LIMITS);
        let distinct = |members| vec![("distinct", members)];
        send(&mut contexts, 1, "who:ana|s\nwho:ana|s\nwho:ben|s");
        let first = (0, 3, Some(2.0), distinct(2.0));
        check_buckets("open", &row(&contexts, "who", 9), first.clone(), None);
        let empty = |start| (start, 0, Some(0.0), distinct(0.0));
        let over = row(&contexts, "who", 10);
        check_buckets("over, before a tick", &over, empty(10), Some(first.clone()));
        contexts.tick(T + 10_000_000);
        let ticked = row(&contexts, "who", 10);
        check_buckets("after a tick", &ticked, empty(10), Some(first.clone()));
        send(&mut contexts, 11, "who:ana|s");
        let second = (10, 1, Some(1.0), distinct(1.0));
        let again = row(&contexts, "who", 12);
        check_buckets("again", &again, second.clone(), Some(first));
        let members = |bucket: &MetricBucket| bucket.members.clone();
        let explained = again.explained.unwrap();
        assert_eq!(members(&explained.current), ["ana"]);
        assert_eq!(members(&explained.finished.unwrap()), ["ana", "ben"]);
        contexts.tick(T + 60_000_000);
        let quiet = row(&contexts, "who", 61);
        check_buckets("quiet: nothing is sent", &quiet, empty(60), Some(second));
        check_bytes("after all", &contexts);
    }

    #[test]
    fn a_timing_fans_out_and_a_count_becomes_a_rate() {
        let mut contexts = Contexts::new(Limits {
            values_max: 100,
            ..LIMITS
        });
        send(&mut contexts, 3, "op:10:20:30|ms|@0.5\nhits:3|c|@0.5");
        send(&mut contexts, 12, "op:7|ms\nlevel:1|g\nlevel:2|g");
        let five = |[avg, count, median, high, max]: [f64; 5]| {
            let names = ["avg", "count", "median", "95percentile", "max"];
            names
                .into_iter()
                .zip([avg, count, median, high, max])
                .collect::<Vec<_>>()
        };
        let first = (0, 3, Some(6.0), five([20.0, 0.6, 20.0, 30.0, 30.0]));
        let second = (10, 1, Some(1.0), five([7.0, 0.1, 7.0, 7.0, 7.0]));
        check_buckets("timing", &row(&contexts, "op", 13), second, Some(first));
        let rate = |rate| vec![("rate", rate)];
        let quiet = (10, 0, Some(0.0), rate(0.0));
        let hits = (0, 1, Some(6.0), rate(0.6));
        check_buckets("count", &row(&contexts, "hits", 13), quiet, Some(hits));
        contexts.tick(T + 21_000_000);
        let zero = |start| (start, 0, Some(0.0), rate(0.0));
        let hits = row(&contexts, "hits", 21);
        check_buckets("a quiet count is 0", &hits, zero(20), Some(zero(10)));
        let level = (10, 2, None, vec![("last", 2.0)]);
        let empty = (20, 0, None, vec![]);
        check_buckets("gauge", &row(&contexts, "level", 21), empty, Some(level));
    }

    #[test]
    fn the_last_lines_are_kept_as_they_came() {
        let mut contexts = Contexts::new(LIMITS);
        for n in 0..7 {
            send(
                &mut contexts,
                n,
                &format!("op:{n}:{n}|ms|#b,a|c:x\r\nother:{n}|g"),
            );
        }
        let explained = row(&contexts, "op", 7).explained.unwrap();
        let lines: Vec<_> = explained.lines.iter().map(|line| &*line.text).collect();
        let newest = [6, 5, 4, 3, 2].map(|n| format!("op:{n}:{n}|ms|#b,a|c:x"));
        assert_eq!(lines, newest);
        assert_eq!(explained.lines[0].time_unix_us, T + 6_000_000);
        send(
            &mut contexts,
            8,
            &format!("who:{}|s", "\u{e9}".repeat(1_000)),
        );
        let line = row(&contexts, "who", 8).explained.unwrap().lines.remove(0);
        assert_eq!((line.text.len(), line.bytes, line.cut), (512, 2_006, true));
        check_bytes("with lines", &contexts);
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
            let (line, time_unix_us) = (&*line, T);
            let taken = contexts.take(&metric, Received { line, time_unix_us });
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
