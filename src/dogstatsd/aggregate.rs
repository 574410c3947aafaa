//! Samples of one context become one line: counts are added up, gauges keep the last value, sets
//! their different members, all others their values, or beyond a bound a fair sample of them.

use std::collections::{BTreeMap, HashMap};

use super::encode::Values;
use super::pack::Packer;
use super::reservoir::Reservoir;
use super::sample::{Context, Value};

/// Bytes that wait for the flush; at this it comes early.
pub(super) const BYTES_MAX: usize = 8 << 20;

/// Bounds of the aggregation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) contexts_max: usize,
    pub(super) set_members_max: usize,
    pub(super) values_max: usize,
    pub(super) bytes_max: usize,
}

/// What a member costs besides its text: entry and allocation.
const MEMBER_OVERHEAD_BYTES: usize = 56;

/// What came in since the last flush, by context.
#[derive(Debug)]
pub(super) struct Aggregate {
    bounds: Bounds,
    /// Tags of a context that stands for those beyond the bound.
    overflow_tags: Box<str>,
    contexts: HashMap<Context, Held>,
    bytes: usize,
}

/// Points of one context.
#[derive(Debug)]
pub(super) struct Held {
    samples: u64,
    points: Points,
}

#[derive(Debug)]
pub(super) enum Points {
    Sum(i128),
    Last(f64),
    /// Each with the number of samples that named it.
    Members(BTreeMap<Box<str>, u64>),
    Values(Reservoir),
}

impl Aggregate {
    pub(super) fn new(bounds: Bounds, overflow_tags: String) -> Aggregate {
        Aggregate {
            bounds,
            overflow_tags: overflow_tags.into(),
            contexts: HashMap::new(),
            bytes: 0,
        }
    }

    /// Takes one sample in. A set that is full goes to the packer, so no sample is lost.
    pub(super) fn add(&mut self, context: Context, value: Value, packer: &mut Packer) {
        let context = self.place_of(context);
        let values_max = self.bounds.values_max;
        let Some(held) = self.contexts.get_mut(&context) else {
            return self.insert(context, Held::of(value, values_max), packer);
        };
        self.bytes += held.push(value, values_max);
        self.pack_if_full(context, packer);
    }

    /// Takes in what somebody else has gathered of one context.
    pub(super) fn add_held(&mut self, context: Context, more: Held, packer: &mut Packer) {
        let context = self.place_of(context);
        let Some(held) = self.contexts.get_mut(&context) else {
            return self.insert(context, more, packer);
        };
        self.bytes += held.merge(more, self.bounds.values_max);
        self.pack_if_full(context, packer);
    }

    /// The context itself, or the one that stands for those beyond the bound.
    fn place_of(&self, mut context: Context) -> Context {
        let crowded = self.contexts.len() >= self.bounds.contexts_max;
        if crowded && !self.contexts.contains_key(&context) {
            context.tags = self.overflow_tags.clone();
        }
        context
    }

    fn insert(&mut self, context: Context, held: Held, packer: &mut Packer) {
        if held.is_full(&self.bounds) {
            held.pack(&context, packer);
        } else {
            self.bytes += weight(&context, &held);
            self.contexts.insert(context, held);
        }
    }

    fn pack_if_full(&mut self, context: Context, packer: &mut Packer) {
        let bounds = &self.bounds;
        let full = |held: &Held| held.is_full(bounds);
        if self.contexts.get(&context).is_some_and(full)
            && let Some(held) = self.contexts.remove(&context)
        {
            self.bytes -= weight(&context, &held);
            held.pack(&context, packer);
        }
    }

    /// Whether even the contexts that stand for others are too many, or all together too large:
    /// time to flush.
    pub(super) fn is_full(&self) -> bool {
        self.contexts.len() >= self.bounds.contexts_max.saturating_mul(2)
            || self.bytes >= self.bounds.bytes_max
    }

    /// Everything held, by name, leaving nothing.
    pub(super) fn drain(&mut self) -> Vec<(Context, Held)> {
        self.bytes = 0;
        let mut all: Vec<_> = self.contexts.drain().collect();
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        all
    }
}

fn weight(context: &Context, held: &Held) -> usize {
    size_of::<(Context, Held)>() + context.weight() + held.points.weight()
}

impl Points {
    /// Bytes of members and values.
    fn weight(&self) -> usize {
        match self {
            Points::Sum(_) | Points::Last(_) => 0,
            Points::Members(members) => members
                .keys()
                .map(|member| member.len() + MEMBER_OVERHEAD_BYTES)
                .sum(),
            Points::Values(values) => values.kept() * size_of::<f64>(),
        }
    }
}

impl Held {
    /// So many samples together.
    pub(super) fn new(samples: u64, points: Points) -> Held {
        Held { samples, points }
    }

    pub(super) fn samples(&self) -> u64 {
        self.samples
    }

    fn of(value: Value, values_max: usize) -> Held {
        let points = match value {
            Value::Whole(value) => Points::Sum(value.into()),
            Value::Last(value) => Points::Last(value),
            Value::Number(value) => {
                let mut values = Reservoir::default();
                values.push(value, values_max);
                Points::Values(values)
            }
            Value::Member(member) => Points::Members(BTreeMap::from([(member, 1)])),
        };
        Held { samples: 1, points }
    }

    /// Tells the bytes that are now held besides.
    fn push(&mut self, value: Value, values_max: usize) -> usize {
        if let (Points::Values(values), &Value::Number(value)) = (&mut self.points, &value) {
            let kept = values.kept();
            values.push(value, values_max);
            self.samples += 1;
            return (values.kept() - kept) * size_of::<f64>();
        }
        self.merge(Held::of(value, values_max), values_max)
    }

    /// As [`Held::push`], with many at once.
    fn merge(&mut self, more: Held, values_max: usize) -> usize {
        self.samples += more.samples;
        match (&mut self.points, more.points) {
            (Points::Sum(sum), Points::Sum(more)) => *sum += more,
            (Points::Last(last), Points::Last(value)) => *last = value,
            (Points::Values(values), Points::Values(more)) => {
                let kept = values.kept();
                values.merge(more, values_max);
                return (values.kept() - kept) * size_of::<f64>();
            }
            (Points::Members(members), Points::Members(more)) => {
                let mut bytes = 0;
                for (member, samples) in more {
                    let (known, weighs) = (members.len(), member.len() + MEMBER_OVERHEAD_BYTES);
                    *members.entry(member).or_default() += samples;
                    bytes += (members.len() - known) * weighs;
                }
                return bytes;
            }
            // A context has one kind and a kind one sort of value, so this is never needed.
            (points, more) => *points = more,
        }
        0
    }

    fn is_full(&self, bounds: &Bounds) -> bool {
        match &self.points {
            Points::Members(members) => members.len() >= bounds.set_members_max,
            Points::Sum(_) | Points::Last(_) | Points::Values(_) => false,
        }
    }

    /// Writes the lines of this context.
    pub(super) fn pack(self, context: &Context, packer: &mut Packer) {
        match self.points {
            Points::Sum(sum) => packer.push_metric(context, Values::Whole(sum), self.samples),
            Points::Last(last) => {
                packer.push_metric(context, Values::Numbers(&[last]), self.samples);
            }
            Points::Members(members) => {
                for (member, samples) in &members {
                    packer.push_metric(context, Values::Member(member), *samples);
                }
            }
            Points::Values(values) => packer.push_sample(context, values),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dogstatsd::encode::Origin;
    use crate::dogstatsd::ledger::Tally;
    use crate::dogstatsd::sample::Sample;
    use crate::dogstatsd::tags::GlobalTags;

    const BOUNDS: Bounds = Bounds {
        contexts_max: 2,
        set_members_max: 3,
        values_max: 3,
        bytes_max: 1_000,
    };

    /// The lines that leave: those of full contexts first, then those of the flush.
    #[track_caller]
    fn check(rule: &str, samples: &[Sample<'_>], expected: &str) {
        let tally = Arc::new(Tally::default());
        let mut packer = Packer::new(1_432, 1 << 20, Origin::default(), tally.clone());
        let mut aggregate = Aggregate::new(BOUNDS, "overflow:true".into());
        for sample in samples {
            let prepared = sample.prepare(&GlobalTags::default()).unwrap();
            tally.hold(1);
            aggregate.add(prepared.context, prepared.value, &mut packer);
        }
        for (context, held) in aggregate.drain() {
            held.pack(&context, &mut packer);
        }
        packer.close();
        let (text, count) = packer.pop().map_or_else(Default::default, |datagram| {
            (String::from_utf8(datagram.bytes).unwrap(), datagram.samples)
        });
        assert_eq!(text, expected, "{rule}");
        assert_eq!(
            count,
            samples.len() as u64,
            "{rule}: every sample is in a line"
        );
        assert!(aggregate.drain().is_empty(), "{rule}: nothing is left");
    }

    #[test]
    fn samples_of_one_context_become_one_line() {
        let count = |value| Sample::count("n", value);
        check("nothing", &[], "");
        check(
            "counts are added up",
            &[count(1), count(-3), count(5)],
            "n:3|c\n",
        );
        check("a sum of 0 is a sum", &[count(1), count(-1)], "n:0|c\n");
        check(
            "past 64 bits",
            &[count(i64::MAX), count(1)],
            "n:9223372036854775808|c\n",
        );
        check(
            "the last gauge",
            &[Sample::gauge("g", 1.0), Sample::gauge("g", 2.5)],
            "g:2.5|g\n",
        );
        let set = |member| Sample::set("s", member);
        check(
            "different members",
            &[set("b"), set("a"), set("b")],
            "s:a|s\ns:b|s\n",
        );
        let value = |value| Sample::histogram("h", value);
        check(
            "values share a line",
            &[value(2.0), value(1.0)],
            "h:2:1|h\n",
        );
        check(
            "a rate has a line of its own",
            &[value(2.0), value(1.0).rate(0.5), value(3.0)],
            "h:2:3|h\nh:1|h|@0.5\n",
        );
        check(
            "the order of tags does not matter",
            &[
                count(1).tags(&[("a", "1"), ("b", "2")]),
                count(1).tags(&[("b", "2"), ("a", "1")]),
            ],
            "n:2|c|#a:1,b:2\n",
        );
        check(
            "types of one name stay apart",
            &[Sample::histogram("x", 1.0), Sample::distribution("x", 2.0)],
            "x:1|h\nx:2|d\n",
        );
    }

    #[test]
    fn at_a_bound_nothing_is_lost() {
        let value = |value| Sample::histogram("h", value);
        check(
            "beyond the limit some stand for others",
            &[value(1.0), value(1.0), value(1.0), value(1.0), value(1.0)],
            "h:1:1|h|@0.5\nh:1|h\n",
        );
        check(
            "with a rate of their own too",
            &[value(1.0).rate(0.5); 6],
            "h:1:1:1|h|@0.25\n",
        );
        let set = |member| Sample::set("s", member);
        check(
            "as it does with members",
            &[set("a"), set("b"), set("c"), set("d")],
            "s:a|s\ns:b|s\ns:c|s\ns:d|s\n",
        );
        let count = |tags| Sample::count("n", 1).tags(tags);
        check(
            "contexts beyond the bound share one a metric",
            &[
                count(&[("a", "1")]),
                count(&[("a", "2")]),
                count(&[("a", "3")]),
                count(&[("a", "4")]),
                count(&[("a", "1")]),
                Sample::count("m", 1),
            ],
            "m:1|c|#overflow:true\nn:2|c|#a:1\nn:1|c|#a:2\nn:2|c|#overflow:true\n",
        );
    }

    #[test]
    fn bytes_have_a_bound_and_are_those_of_what_is_held() {
        #[track_caller]
        fn check(rule: &str, samples: &[Sample<'_>], full: bool) {
            let bounds = Bounds {
                contexts_max: 100,
                ..BOUNDS
            };
            let mut packer = Packer::new(1_432, 1 << 20, Origin::default(), Arc::default());
            let mut aggregate = Aggregate::new(bounds, String::new());
            for sample in samples {
                let prepared = sample.prepare(&GlobalTags::default()).unwrap();
                aggregate.add(prepared.context, prepared.value, &mut packer);
            }
            let held = aggregate.contexts.iter();
            let held: usize = held.map(|(context, held)| weight(context, held)).sum();
            assert_eq!(
                (aggregate.bytes, aggregate.is_full()),
                (held, full),
                "{rule}"
            );
            aggregate.drain();
            assert_eq!((aggregate.bytes, aggregate.is_full()), (0, false), "{rule}");
        }
        let long = "x".repeat(500);
        let set = |name, member| Sample::set(name, member);
        check("nothing", &[], false);
        check(
            "one member, twice",
            &[set("s", &long), set("s", &long)],
            false,
        );
        check(
            "two members",
            &[set("s", &long), set("s", &long[1..])],
            true,
        );
        check("two contexts", &[set("s", &long), set("t", &long)], true);
        let full = [set("s", &long), set("s", &long[1..]), set("s", "a")];
        check("a full set has left", &full, false);
        let tags: &[(&str, &str)] = &[("k", &"v".repeat(1_000))];
        check("tags", &[Sample::count("n", 1).tags(tags)], true);
        let value = Sample::histogram("h", 1.0);
        check("values", &[value, value, Sample::gauge("g", 2.0)], false);
    }
}
