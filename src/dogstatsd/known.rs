//! Series that single calls name again and again: a call that was seen before is found by its own words and
//! added where it belongs, without a line of cleaning, sorting or queueing, and without an allocation.
//!
//! A table is an accelerator in front of the queue and bounded like one: what has no room goes the long way.
//! What nobody has called during a whole window is forgotten.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::aggregate::{Held, Points};
use super::reservoir::Reservoir;
use super::sample::{Context, Kind};
use super::stripes::Stripes;

/// One call, as its caller said it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) kind: Kind,
    pub(super) one_in: u32,
    pub(super) name: &'a str,
    pub(super) tags: &'a [(&'a str, &'a str)],
    pub(super) point: Point,
}

/// What the call adds. Gauges and sets go the long way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Point {
    Whole(i64),
    Number(f64),
}

/// Bounds of each stripe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) series_max: usize,
    pub(super) bytes_max: usize,
    pub(super) values_max: usize,
}

/// Tables of known series, one a stripe.
#[derive(Debug)]
pub(super) struct Known {
    stripes: Stripes<Table>,
    hasher: RandomState,
    bounds: Bounds,
}

#[derive(Debug, Default)]
struct Table {
    series: HashTable<Series>,
    bytes: usize,
}

#[derive(Debug)]
struct Series {
    hash: u64,
    kind: Kind,
    one_in: u32,
    name: Box<str>,
    tags: Box<[(Box<str>, Box<str>)]>,
    context: Context,
    samples: u64,
    sum: i128,
    values: Reservoir,
}

impl Known {
    pub(super) fn new(bounds: Bounds) -> Known {
        Known {
            stripes: Stripes::default(),
            hasher: RandomState::default(),
            bounds,
        }
    }

    /// Adds the call's point where its series is known; says no where it is not, or where there is no room.
    pub(super) fn add(&self, call: &Call<'_>) -> bool {
        let hash = self.hash(call);
        let Some(mut table) = self.stripes.try_lock() else {
            return false;
        };
        let table = &mut *table;
        match table.series.find_mut(hash, |series| series.is_of(call)) {
            Some(series) if series.has_room(table.bytes, &self.bounds) => {
                table.bytes += series.add(call.point, self.bounds.values_max);
                true
            }
            _ => false,
        }
    }

    /// Whether the series is known to this thread, for a call that adds nothing.
    pub(super) fn knows(&self, call: &Call<'_>) -> bool {
        let hash = self.hash(call);
        let table = self.stripes.try_lock();
        table.is_some_and(|table| table.series.find(hash, |s| s.is_of(call)).is_some())
    }

    /// As [`Known::add`], and makes the series known under this context where there is room.
    pub(super) fn learn(&self, call: &Call<'_>, context: &Context) -> bool {
        let hash = self.hash(call);
        let Some(mut table) = self.stripes.try_lock() else {
            return false;
        };
        let table = &mut *table;
        let mut series = Series::new(hash, call, context);
        let bytes = series.bytes();
        let full = table.series.len() >= self.bounds.series_max
            || table.bytes + bytes + size_of::<f64>() * 4 > self.bounds.bytes_max
            || table.series.find(hash, |known| known.is_of(call)).is_some();
        if !full {
            table.bytes += bytes + series.add(call.point, self.bounds.values_max);
            table
                .series
                .insert_unique(hash, series, |series| series.hash);
        }
        !full
    }

    /// Gives out all points by context. The tables are locked one after another meanwhile.
    pub(super) fn collect(&self, mut each: impl FnMut(Context, Held)) {
        for mut table in self.stripes.each() {
            let table = &mut *table;
            table.series.retain(|series| {
                let before = series.bytes();
                if series.samples == 0 {
                    table.bytes -= before;
                    return false;
                }
                each(series.context.clone(), series.take());
                table.bytes -= before - series.bytes();
                true
            });
        }
    }

    /// Samples that wait for the next collection.
    pub(super) fn waiting(&self) -> u64 {
        self.stripes.each().map(|table| table.samples()).sum()
    }

    /// Where one word ends and the next begins is left to the comparison.
    fn hash(&self, call: &Call<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u64(u64::from(call.one_in) << 8 | call.kind as u64);
        hasher.write(call.name.as_bytes());
        for (key, value) in call.tags {
            hasher.write(key.as_bytes());
            hasher.write(value.as_bytes());
        }
        hasher.finish()
    }
}

impl Table {
    fn samples(&self) -> u64 {
        self.series.iter().map(|series| series.samples).sum()
    }
}

impl Series {
    fn new(hash: u64, call: &Call<'_>, context: &Context) -> Series {
        let tags = call.tags.iter();
        Series {
            hash,
            kind: call.kind,
            one_in: call.one_in,
            name: call.name.into(),
            tags: tags.map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            context: context.clone(),
            samples: 0,
            sum: 0,
            values: Reservoir::default(),
        }
    }

    fn is_of(&self, call: &Call<'_>) -> bool {
        self.kind == call.kind
            && self.one_in == call.one_in
            && *self.name == *call.name
            && self.tags.len() == call.tags.len()
            && std::iter::zip(&self.tags, call.tags)
                .all(|((key, value), called)| **key == *called.0 && **value == *called.1)
    }

    /// Whether another point fits: a buffer that is full doubles.
    fn has_room(&self, bytes: usize, bounds: &Bounds) -> bool {
        !self.values.is_at_capacity()
            || self.values.kept() >= bounds.values_max
            || bytes + self.values.bytes().max(32) <= bounds.bytes_max
    }

    /// Tells the bytes that it takes besides.
    fn add(&mut self, point: Point, values_max: usize) -> usize {
        self.samples += 1;
        match point {
            Point::Whole(value) => {
                self.sum += i128::from(value);
                0
            }
            Point::Number(value) => {
                let before = self.values.bytes();
                self.values.push(value, values_max);
                self.values.bytes() - before
            }
        }
    }

    /// What has been gathered; leaves nothing.
    fn take(&mut self) -> Held {
        let samples = std::mem::take(&mut self.samples);
        let sum = std::mem::take(&mut self.sum);
        let points = match self.kind {
            Kind::Count => Points::Sum(sum),
            _ => Points::Values(self.values.take()),
        };
        Held::new(samples, points)
    }

    /// Bytes of memory, what the allocator and the table add included.
    fn bytes(&self) -> usize {
        const PIECE_BYTES: usize = 16;
        let tags = self.tags.iter();
        let tags: usize = tags.map(|(k, v)| k.len() + v.len() + 2 * PIECE_BYTES).sum();
        let tags = tags + self.tags.len() * size_of::<(Box<str>, Box<str>)>();
        let texts = self.name.len() + self.context.weight() + 4 * PIECE_BYTES;
        // Half of a table's places may be free.
        2 * size_of::<Series>() + tags + texts + self.values.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        series_max: 3,
        bytes_max: 1 << 20,
        values_max: 4,
    };

    fn call<'a>(name: &'a str, tags: &'a [(&'a str, &'a str)], point: Point) -> Call<'a> {
        let kind = match point {
            Point::Whole(_) => Kind::Count,
            Point::Number(_) => Kind::Histogram,
        };
        Call {
            kind,
            one_in: 1,
            name,
            tags,
            point,
        }
    }

    /// Adds, learning what is new; says whether there was room.
    fn put(known: &Known, call: &Call<'_>) -> bool {
        let tags: Vec<String> = call.tags.iter().map(|(k, v)| format!("{k}:{v}")).collect();
        let context = Context::new(call.kind, call.name, tags.join(",")).unwrap();
        known.add(call) || known.learn(call, &context)
    }

    fn collected(known: &Known) -> Vec<String> {
        let mut all = Vec::new();
        known.collect(|context, held| {
            all.push(format!("{} {} {held:?}", context.name, context.tags))
        });
        all.sort();
        for table in known.stripes.each() {
            let bytes: usize = table.series.iter().map(Series::bytes).sum();
            assert_eq!((table.bytes, table.samples()), (bytes, 0));
        }
        all
    }

    #[test]
    fn points_of_a_known_series_are_added_up_until_they_are_collected() {
        let known = Known::new(BOUNDS);
        let one = call("n", &[("a", "1")], Point::Whole(2));
        assert!(!known.add(&one), "nothing is known yet");
        for _ in 0..3 {
            assert!(put(&known, &one));
        }
        assert!(put(&known, &call("n", &[("a", "2")], Point::Whole(1))));
        assert!(put(&known, &call("h", &[], Point::Number(0.5))));
        assert_eq!(known.waiting(), 5);
        let all = collected(&known);
        assert_eq!(all.len(), 3);
        assert!(
            all[1].starts_with("n a:1 Held { samples: 3, points: Sum(6)"),
            "{all:?}"
        );
        assert!(known.add(&one), "still known");
        assert_eq!(collected(&known).len(), 1);
        assert!(collected(&known).is_empty());
        assert!(
            !known.add(&one),
            "a window without a call, and it is forgotten"
        );
    }

    #[test]
    fn words_that_only_look_alike_are_different_calls() {
        let known = Known::new(Bounds {
            series_max: 100,
            ..BOUNDS
        });
        let calls: [(&str, &[(&str, &str)]); 6] = [
            ("n", &[]),
            ("n", &[("", "")]),
            ("n", &[("a", "b")]),
            ("n", &[("ab", "")]),
            ("na", &[("b", "")]),
            ("n", &[("a", "b"), ("a", "b")]),
        ];
        for (name, tags) in calls {
            assert!(
                !known.add(&call(name, tags, Point::Whole(1))),
                "{name} {tags:?}"
            );
            assert!(put(&known, &call(name, tags, Point::Whole(1))));
        }
        let rated = Call {
            one_in: 2,
            ..call("n", &[], Point::Whole(1))
        };
        assert!(!known.add(&rated));
        assert_eq!(collected(&known).len(), calls.len());
    }

    #[test]
    fn what_has_no_room_is_sent_the_long_way() {
        let known = Known::new(BOUNDS);
        for (name, fits) in [
            ("a", true),
            ("b", true),
            ("c", true),
            ("d", false),
            ("a", true),
        ] {
            assert_eq!(
                put(&known, &call(name, &[], Point::Whole(1))),
                fits,
                "{name}"
            );
        }
        let tight = Known::new(Bounds {
            bytes_max: 1_000,
            values_max: 1_000,
            ..BOUNDS
        });
        let value = call("h", &[], Point::Number(1.0));
        let taken = (0..1_000).filter(|_| put(&tight, &value)).count();
        assert!((4..100).contains(&taken), "{taken}");
        assert_eq!(tight.waiting(), taken as u64);
        assert!(!put(&tight, &call(&"x".repeat(900), &[], Point::Whole(1))));
    }
}
