//! Values of one histogram, distribution or timing between two flushes: all of them up to a bound, beyond
//! it a fair sample, sent with the rate that makes the Agent count every one that was seen.
//!
//! The sample is drawn by Kim-Hung Li's algorithm L (ACM TOMS 20:4, 1994): after the bound a value costs a
//! comparison, and a random number only where it takes a place.

/// Values, and how many were seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Reservoir {
    values: Vec<f64>,
    seen: u64,
    /// The number of the next value that takes another's place; 0 while none is planned.
    next: u64,
    /// The largest of as many random keys as there are places, were each value given one.
    key: f64,
}

/// How a number of values goes out: `heavy` of them stand for `each`, the `light` ones for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    pub(super) each: u32,
    pub(super) heavy: usize,
    pub(super) light: usize,
}

impl Reservoir {
    /// Takes a value in; `values_max` must not change from one value to the next.
    pub(super) fn push(&mut self, value: f64, values_max: usize) {
        self.seen += 1;
        if self.values.len() < values_max {
            self.values.push(value);
            if self.values.len() == values_max {
                self.key = 1.0;
                self.skip();
            }
        } else if self.next == 0 {
            // After a merge nothing is planned: a place for each value as likely as for any before it.
            let place = fastrand::u64(..self.seen);
            if let Some(kept) = usize::try_from(place)
                .ok()
                .and_then(|at| self.values.get_mut(at))
            {
                *kept = value;
            }
        } else if self.seen == self.next {
            let place = fastrand::usize(..self.values.len());
            self.values[place] = value;
            self.skip();
        }
    }

    fn skip(&mut self) {
        let places = self.values.len() as f64;
        self.key *= (random().ln() / places).exp();
        let over = (random().ln() / (-self.key).ln_1p()).floor();
        self.next = self.seen.saturating_add(1).saturating_add(over as u64);
    }

    /// How many values came in.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// How many are kept.
    pub(super) fn kept(&self) -> usize {
        self.values.len()
    }

    /// Whether the next value needs memory.
    pub(super) fn is_at_capacity(&self) -> bool {
        self.values.len() == self.values.capacity()
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<f64>()
    }

    /// Empties it, memory and all.
    pub(super) fn take(&mut self) -> Reservoir {
        std::mem::take(self)
    }

    /// Adds another's values: as fair a sample of both as if all had come in here. Both are within the
    /// bound.
    pub(super) fn merge(&mut self, mut other: Reservoir, values_max: usize) {
        let seen = self.seen + other.seen;
        if self.values.len() + other.values.len() <= values_max {
            self.values.append(&mut other.values);
            (self.seen, self.next) = (seen, 0);
            return;
        }
        // Both in random order, places are filled one by one from either side, by what is left of it.
        let mut sides = [self.take(), other];
        for side in &mut sides {
            fastrand::shuffle(&mut side.values);
        }
        let mut left = [sides[0].seen, sides[1].seen];
        let mut values = Vec::with_capacity(values_max);
        while values.len() < values_max {
            let from = usize::from(fastrand::u64(..left[0] + left[1]) >= left[0]);
            left[from] -= 1;
            values.extend(sides[from].values.pop());
        }
        *self = Reservoir {
            values,
            seen,
            ..Reservoir::default()
        };
    }

    /// The values in random order where they are a sample, and how they go out.
    pub(super) fn into_shares(mut self) -> (Vec<f64>, Shares) {
        let shares = Shares::of(self.seen, self.values.len());
        if shares.each > 1 {
            fastrand::shuffle(&mut self.values);
            self.values.truncate(shares.heavy + shares.light);
        }
        (self.values, shares)
    }
}

/// Over 0, up to 1.
fn random() -> f64 {
    1.0 - fastrand::f64()
}

impl Shares {
    /// A small whole weight with which `kept` values stand for exactly `seen`.
    pub(super) fn of(seen: u64, kept: usize) -> Shares {
        let kept = kept as u64;
        let fits = |each: &u64| seen / each + seen % each <= kept;
        // Of all weights that give as many heavy ones, the largest leaves the fewest light ones.
        let weights = (1..=kept).rev().map(|heavy| (seen / heavy).max(1));
        let each = weights.into_iter().find(fits).unwrap_or(seen.max(1));
        Shares {
            each: u32::try_from(each).unwrap_or(u32::MAX),
            heavy: (seen / each) as usize,
            light: (seen % each) as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares_stand_for_exactly_what_was_seen() {
        for (seen, kept, each, heavy, light) in [
            (0, 0, 1, 0, 0),
            (3, 3, 1, 3, 0),
            (1_024, 1_024, 1, 1_024, 0),
            (1_025, 1_024, 2, 512, 1),
            (100_000, 1_024, 99, 1_010, 10),
            (7, 1, 7, 1, 0),
        ] {
            let wanted = Shares { each, heavy, light };
            assert_eq!(Shares::of(seen, kept), wanted, "{seen} in {kept}");
        }
    }

    fn filled(range: std::ops::Range<u32>, values_max: usize) -> Reservoir {
        let mut reservoir = Reservoir::default();
        range.for_each(|n| reservoir.push(f64::from(n), values_max));
        reservoir
    }

    #[test]
    fn up_to_the_bound_all_values_are_kept_in_order() {
        let (values, shares) = filled(0..5, 5).into_shares();
        assert_eq!((values, shares.each), (vec![0.0, 1.0, 2.0, 3.0, 4.0], 1));
    }

    /// Counts how often each of a hundred values is kept over many draws of ten.
    #[track_caller]
    fn check_fair(rule: &str, draw: impl Fn() -> Reservoir) {
        let mut kept = [0_u32; 100];
        for _ in 0..20_000 {
            let reservoir = draw();
            assert_eq!((reservoir.seen(), reservoir.kept()), (100, 10), "{rule}");
            for value in reservoir.values {
                kept[value as usize] += 1;
            }
        }
        // 2,000 each, with a standard deviation of 42: six of them are never off by chance.
        for (value, count) in kept.iter().enumerate() {
            assert!(
                (1_740..2_260).contains(count),
                "{rule}: {value} {count} times"
            );
        }
    }

    #[test]
    fn each_value_is_as_likely_kept_as_any_other() {
        fastrand::seed(7);
        check_fair("one after another", || filled(0..100, 10));
        check_fair("two halves", || {
            let mut all = filled(0..50, 10);
            all.merge(filled(50..100, 10), 10);
            all
        });
        check_fair("a merge and more", || {
            let mut all = filled(0..5, 10);
            all.merge(filled(5..30, 10), 10);
            (30..100).for_each(|n| all.push(f64::from(n), 10));
            all
        });
        check_fair("a few and many", || {
            let mut all = filled(0..7, 10);
            all.merge(filled(7..100, 10), 10);
            all
        });
    }

    proptest! {
        #[test]
        fn whatever_comes_every_value_is_counted(
            parts in prop::collection::vec(0_u32..300, 1..6), values_max in 1_usize..50,
        ) {
            let mut all = Reservoir::default();
            for part in &parts {
                all.merge(filled(0..*part, values_max), values_max);
            }
            let seen: u64 = parts.iter().map(|part| u64::from(*part)).sum();
            prop_assert_eq!(all.seen(), seen);
            prop_assert!(all.kept() <= values_max);
            let (values, shares) = all.into_shares();
            prop_assert_eq!(values.len(), shares.heavy + shares.light);
            let counted = u64::from(shares.each) * shares.heavy as u64 + shares.light as u64;
            prop_assert_eq!(counted, seen);
        }
    }
}
