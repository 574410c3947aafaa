//! What the Agent makes of one context in 10 seconds.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::agent::decode::Kind;

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
            self.bytes += text.len();
            self.texts.push(text.to_string());
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
        if room && members.hashes.insert(hasher.finish()) {
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

    /// Leaves it without texts.
    pub(crate) fn take_shown(&mut self) -> Shown {
        match self {
            Bucket::Set(members) => std::mem::take(&mut members.shown),
            _ => Shown::default(),
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
        let at = |fraction| percentile(&sorted, fraction).unwrap_or(self.max);
        if kind == Kind::Distribution {
            let names = [
                ("p50", 0.5),
                ("p75", 0.75),
                ("p90", 0.9),
                ("p95", 0.95),
                ("p99", 0.99),
            ];
            return names.map(|(name, fraction)| (name, at(fraction))).to_vec();
        }
        vec![
            ("avg", self.weighted_sum / self.weight),
            ("count", self.weight),
            ("median", at(0.5)),
            ("p95", at(0.95)),
            ("max", self.max),
        ]
    }
}

/// Nearest rank over weights.
fn percentile(sorted: &[(f64, f64)], fraction: f64) -> Option<f64> {
    let total: f64 = sorted.iter().map(|(_, weight)| weight).sum();
    let mut below = 0.0;
    let found = sorted.iter().find(|(_, weight)| {
        below += weight;
        below >= fraction * total
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
                ("count", 100.0),
                ("median", 50.0),
                ("p95", 95.0),
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
                ("count", 10.0),
                ("median", -1.0),
                ("p95", -1.0),
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
        (0..100).for_each(|n| bucket.member(&n.to_string(), true));
        assert_eq!(
            (bucket.members().len(), bucket.held()),
            (MEMBERS_SHOWN_MAX, 103)
        );
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
