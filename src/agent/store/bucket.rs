//! What the Agent makes of one context in 10 seconds.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::agent::decode::Kind;
use crate::agent::view::MetricBucket;

/// Length of the Agent's buckets, aligned to the wall clock.
pub(crate) const BUCKET_SECONDS: u64 = 10;
/// Members of a set shown as text.
pub(crate) const MEMBERS_SHOWN_MAX: usize = 20;
const MEMBER_BYTES_MAX: usize = 200;

/// Samples of one context within one bucket.
#[derive(Clone, Debug)]
pub(crate) enum Bucket {
    Count(f64),
    Gauge(Option<f64>),
    Set(Members),
    Values(Values),
}

/// Distinct members, by hash; the first few also as text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members {
    hashes: HashSet<u64>,
    shown: Shown,
    /// One came for which there was no room.
    capped: bool,
}

/// A bucket without what it was computed from.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    /// In Unix seconds.
    start: u64,
    samples: u64,
    total: Option<f64>,
    pub(crate) aggregates: Vec<(&'static str, f64)>,
    pub(crate) members: Shown,
    capped: bool,
}

impl Summary {
    pub(crate) fn view(&self) -> MetricBucket {
        MetricBucket {
            start_unix_us: self.start * 1_000_000,
            samples: self.samples,
            total: self.total,
            aggregates: self.aggregates.clone(),
            members: self.members.texts.clone(),
            capped: self.capped,
        }
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.aggregates.capacity() * size_of::<(&str, f64)>() + self.members.bytes()
    }
}

/// The first few members as text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    texts: Vec<String>,
    bytes: usize,
}

impl Shown {
    fn push(&mut self, member: &str) {
        if self.texts.len() < MEMBERS_SHOWN_MAX {
            let text = &member[..member.floor_char_boundary(MEMBER_BYTES_MAX)];
            let cut = if text.len() < member.len() { "…" } else { "" };
            let text = [text, cut].concat();
            self.bytes += text.len();
            self.texts.push(text);
        }
    }

    pub(crate) fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.texts.capacity() * size_of::<String>() + self.bytes
    }
}

/// Values with their weights: all of them while there is room, then a fair sample.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values {
    kept: Vec<(f64, f64)>,
    seen: u64,
    weight: f64,
    weighted_sum: f64,
    max: f64,
    random: u64,
}

impl Bucket {
    pub(crate) fn new(kind: Kind) -> Bucket {
        match kind {
            Kind::Count => Bucket::Count(0.0),
            Kind::Gauge => Bucket::Gauge(None),
            Kind::Set => Bucket::Set(Members::default()),
            Kind::Timing | Kind::Histogram | Kind::Distribution => {
                Bucket::Values(Values::default())
            }
        }
    }

    /// Takes a number that stands for `weight` samples. `room` says whether one more may be kept.
    pub(crate) fn number(&mut self, value: f64, weight: f64, room: bool) {
        match self {
            Bucket::Count(sum) => *sum += value * weight,
            Bucket::Gauge(last) => *last = Some(value),
            Bucket::Values(values) => values.add(value, weight, room),
            Bucket::Set(_) => {}
        }
    }

    pub(crate) fn member(&mut self, member: &str, room: bool) {
        let Bucket::Set(members) = self else { return };
        let mut hasher = DefaultHasher::new();
        member.hash(&mut hasher);
        let hash = hasher.finish();
        if !room {
            members.capped |= !members.hashes.contains(&hash);
        } else if members.hashes.insert(hash) {
            members.shown.push(member);
        }
    }

    /// Values or members held, for the store's bound.
    pub(crate) fn held(&self) -> usize {
        match self {
            Bucket::Set(members) => members.hashes.len(),
            Bucket::Values(values) => values.kept.len(),
            Bucket::Count(_) | Bucket::Gauge(_) => 0,
        }
    }

    pub(crate) fn members(&self) -> &[String] {
        match self {
            Bucket::Set(members) => members.shown.texts(),
            _ => &[],
        }
    }

    /// What is shown of it when it is over; it began at `start` and took so many samples.
    pub(crate) fn summary(&self, kind: Kind, start: u64, samples: u64) -> Summary {
        let (total, shown, capped) = match self {
            Bucket::Count(sum) => (Some(*sum), Shown::default(), false),
            Bucket::Gauge(_) => (None, Shown::default(), false),
            Bucket::Set(members) => {
                let distinct = members.hashes.len() as f64;
                (Some(distinct), members.shown.clone(), members.capped)
            }
            Bucket::Values(values) => {
                let capped = values.seen > values.kept.len() as u64;
                (Some(values.weight), Shown::default(), capped)
            }
        };
        Summary {
            start,
            samples,
            total,
            aggregates: self.aggregates(kind),
            members: shown,
            capped,
        }
    }

    /// Bytes on the heap. A slot of the set has a byte besides, and one in eight is spare.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Bucket::Set(members) => members.hashes.capacity() * 11 + members.shown.bytes(),
            Bucket::Values(values) => values.kept.capacity() * size_of::<(f64, f64)>(),
            Bucket::Count(_) | Bucket::Gauge(_) => 0,
        }
    }

    /// In the order shown; empty where there was no sample.
    pub(crate) fn aggregates(&self, kind: Kind) -> Vec<(&'static str, f64)> {
        match self {
            Bucket::Count(sum) => vec![("rate", sum / BUCKET_SECONDS as f64)],
            Bucket::Gauge(last) => last.map(|value| ("last", value)).into_iter().collect(),
            Bucket::Set(members) => vec![("distinct", members.hashes.len() as f64)],
            Bucket::Values(values) => values.aggregates(kind),
        }
    }
}

impl Values {
    fn add(&mut self, value: f64, weight: f64, room: bool) {
        self.max = if self.seen == 0 {
            value
        } else {
            self.max.max(value)
        };
        self.seen += 1;
        self.weight += weight;
        self.weighted_sum += value * weight;
        if room {
            self.kept.push((value, weight));
            return;
        }
        // Knuth's algorithm R with a linear congruential generator: any value has the same chance.
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let slot = (self.random >> 33) % self.seen;
        if let Some(kept) = self.kept.get_mut(slot as usize) {
            *kept = (value, weight);
        }
    }

    fn aggregates(&self, kind: Kind) -> Vec<(&'static str, f64)> {
        if self.seen == 0 {
            return Vec::new();
        }
        let mut sorted = self.kept.clone();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let at = |percent| percentile(&sorted, percent).unwrap_or(self.max);
        if kind == Kind::Distribution {
            let names = [
                ("p50", 50.0),
                ("p75", 75.0),
                ("p90", 90.0),
                ("p95", 95.0),
                ("p99", 99.0),
            ];
            return names.map(|(name, percent)| (name, at(percent))).to_vec();
        }
        vec![
            ("avg", self.weighted_sum / self.weight),
            ("count", self.weight / BUCKET_SECONDS as f64),
            ("median", at(50.0)),
            ("95percentile", at(95.0)),
            ("max", self.max),
        ]
    }
}

/// Nearest rank over weights, as in the Agent's `pkg/metrics/histogram.go`; of whole numbers it is exact.
fn percentile(sorted: &[(f64, f64)], percent: f64) -> Option<f64> {
    let total: f64 = sorted.iter().map(|(_, weight)| weight).sum();
    let mut below = 0.0;
    let found = sorted.iter().find(|(_, weight)| {
        below += weight;
        100.0 * below >= percent * total
    });
    found.or(sorted.last()).map(|(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, kind: Kind, samples: &[(f64, f64)], expected: &[(&'static str, f64)]) {
        let mut bucket = Bucket::new(kind);
        samples
            .iter()
            .for_each(|(value, weight)| bucket.number(*value, *weight, true));
        assert_eq!(bucket.aggregates(kind), expected, "{rule}");
    }

    #[test]
    fn every_type_becomes_what_the_agent_makes_of_it() {
        check(
            "count is a rate",
            Kind::Count,
            &[(3.0, 1.0), (1.0, 2.0)],
            &[("rate", 0.5)],
        );
        check("no count", Kind::Count, &[], &[("rate", 0.0)]);
        check(
            "gauge keeps the last",
            Kind::Gauge,
            &[(3.0, 1.0), (1.0, 1.0)],
            &[("last", 1.0)],
        );
        check("no gauge", Kind::Gauge, &[], &[]);
        check("no histogram", Kind::Histogram, &[], &[]);
        let hundred: Vec<(f64, f64)> = (1..=100).map(|n| (f64::from(n), 1.0)).collect();
        check(
            "timing",
            Kind::Timing,
            &hundred,
            &[
                ("avg", 50.5),
                ("count", 10.0),
                ("median", 50.0),
                ("95percentile", 95.0),
                ("max", 100.0),
            ],
        );
        check(
            "distribution",
            Kind::Distribution,
            &hundred,
            &[
                ("p50", 50.0),
                ("p75", 75.0),
                ("p90", 90.0),
                ("p95", 95.0),
                ("p99", 99.0),
            ],
        );
        check(
            "a sampled value weighs more",
            Kind::Histogram,
            &[(-1.0, 9.0), (-2.0, 1.0)],
            &[
                ("avg", -1.1),
                ("count", 1.0),
                ("median", -1.0),
                ("95percentile", -1.0),
                ("max", -1.0),
            ],
        );
    }

    #[test]
    fn a_set_counts_distinct_members() {
        let mut bucket = Bucket::new(Kind::Set);
        for member in ["a", "b", "a", "\u{e9}"] {
            bucket.member(member, true);
        }
        bucket.member("no room", false);
        assert_eq!(bucket.aggregates(Kind::Set), [("distinct", 3.0)]);
        assert_eq!(
            (bucket.members(), bucket.held()),
            (&["a", "b", "\u{e9}"].map(String::from)[..], 3)
        );
        let mut long = Bucket::new(Kind::Set);
        long.member(&"x".repeat(MEMBER_BYTES_MAX), true);
        long.member(&"x".repeat(MEMBER_BYTES_MAX + 1), true);
        let whole = "x".repeat(MEMBER_BYTES_MAX);
        let cut = format!("{whole}…");
        assert_eq!(long.members(), [whole, cut], "two members, one cut");
        (0..100).for_each(|n| bucket.member(&n.to_string(), true));
        assert_eq!(
            (bucket.members().len(), bucket.held()),
            (MEMBERS_SHOWN_MAX, 103)
        );
    }

    #[track_caller]
    fn check_summary(
        rule: &str,
        bucket: &Bucket,
        kind: Kind,
        expected: (Option<f64>, usize, bool),
    ) {
        let view = bucket.summary(kind, 1_700_000_010, 7).view();
        let seen = (view.total, view.members.len(), view.capped);
        assert_eq!(seen, expected, "{rule}");
        assert_eq!(view.aggregates, bucket.aggregates(kind), "{rule}");
        let known = (view.start_unix_us, view.samples);
        assert_eq!(known, (1_700_000_010_000_000, 7), "{rule}");
    }

    #[test]
    fn a_summary_tells_what_the_figures_are_made_of() {
        let mut count = Bucket::new(Kind::Count);
        count.number(3.0, 2.0, true);
        check_summary("a sum", &count, Kind::Count, (Some(6.0), 0, false));
        let gauge = Bucket::new(Kind::Gauge);
        check_summary("no sum", &gauge, Kind::Gauge, (None, 0, false));
        let mut timing = Bucket::new(Kind::Timing);
        timing.number(5.0, 4.0, true);
        check_summary("weights", &timing, Kind::Timing, (Some(4.0), 0, false));
        timing.number(5.0, 1.0, false);
        check_summary("a sample", &timing, Kind::Timing, (Some(5.0), 0, true));
        let mut set = Bucket::new(Kind::Set);
        set.member("ana", true);
        set.member("ana", false);
        check_summary("a known member", &set, Kind::Set, (Some(1.0), 1, false));
        set.member("ben", false);
        check_summary("no room", &set, Kind::Set, (Some(1.0), 1, true));
    }

    #[test]
    fn a_full_reservoir_stays_fair() {
        let mut bucket = Bucket::new(Kind::Distribution);
        for n in 0..100_000 {
            let room = bucket.held() < 1_000;
            bucket.number(f64::from(n), 1.0, room);
        }
        let median = bucket.aggregates(Kind::Distribution)[0].1;
        assert_eq!(bucket.held(), 1_000);
        assert!((40_000.0..60_000.0).contains(&median), "{median}");
    }
}
