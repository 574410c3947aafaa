//! Quantiles of many values in little memory.
//!
//! Values are counted in bins whose bounds grow by 2 %, so a quantile is right within 1 % of itself, whatever
//! the distribution (Masson, Rim, Lee, "DDSketch", 2019).

/// Half the width of a bin, as a share of its value.
const ACCURACY: f64 = 0.01;
/// What is nearer to zero counts as zero.
const SMALLEST: f64 = 1e-9;
/// What is larger counts as this.
const LARGEST: f64 = 1e12;
/// Bins that are kept: a factor of 27,000 between the smallest value and the largest. Where there are more, the
/// lowest are put together, since high quantiles are what is asked for.
const BINS_MAX: usize = 512;

/// Counts by size.
#[derive(Clone, Debug, Default)]
pub(super) struct Sketch {
    zeros: u64,
    bins: Bins,
}

/// Counts of the bins that have any, by bin.
type Bins = Vec<(i16, u64)>;

impl Sketch {
    /// Takes a value of zero or more.
    pub(super) fn add(&mut self, value: f64) {
        match bin_of(value) {
            None => self.zeros += 1,
            Some(bin) => count(&mut self.bins, bin, 1),
        }
    }

    pub(super) fn merge(&mut self, other: &Sketch) {
        for (bin, by) in &other.bins {
            count(&mut self.bins, *bin, *by);
        }
        self.zeros += other.zeros;
    }

    pub(super) fn clear(&mut self) {
        self.bins.clear();
        self.zeros = 0;
    }

    /// The value below which a share of `quantile` lies; NaN of nothing, as Prometheus shows it.
    pub(super) fn quantile(&self, quantile: f64) -> f64 {
        let total = self.zeros + self.bins.iter().map(|(_, count)| count).sum::<u64>();
        if total == 0 {
            return f64::NAN;
        }
        let rank = ((quantile * total as f64).ceil() as u64).clamp(1, total);
        let mut seen = self.zeros;
        if seen >= rank {
            return 0.0;
        }
        let found = self.bins.iter().find(|(_, count)| {
            seen += count;
            seen >= rank
        });
        found.map_or(f64::NAN, |(bin, _)| value_of(*bin))
    }
}

fn count(bins: &mut Bins, bin: i16, by: u64) {
    match bins.binary_search_by_key(&bin, |(held, _)| *held) {
        Ok(at) => bins[at].1 += by,
        Err(0) if bins.len() >= BINS_MAX => bins[0].1 += by,
        Err(at) => {
            bins.insert(at, (bin, by));
            if bins.len() > BINS_MAX {
                let (_, lowest) = bins.remove(0);
                bins[0].1 += lowest;
            }
        }
    }
}

/// How much larger each bin's bound is than the one before.
fn growth() -> f64 {
    (1.0 + ACCURACY) / (1.0 - ACCURACY)
}

fn bin_of(size: f64) -> Option<i16> {
    let bin = || (size.min(LARGEST).ln() / growth().ln()).ceil() as i16;
    (size >= SMALLEST).then(bin)
}

/// As far from one bound as from the other, each as a share of itself.
fn value_of(bin: i16) -> f64 {
    growth().powi(bin.into()) * 2.0 / (1.0 + growth())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sketch(values: &[f64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().for_each(|value| sketch.add(*value));
        sketch
    }

    #[test]
    fn edges() {
        assert!(sketch(&[]).quantile(0.5).is_nan());
        assert_eq!(sketch(&[0.0, 1e-10, 5.0]).quantile(0.5), 0.0);
        let huge = sketch(&[f64::MAX, 1.0]);
        assert!((huge.quantile(1.0) / LARGEST - 1.0).abs() < 0.011);
        let mut cleared = sketch(&[1.0, 0.0]);
        cleared.clear();
        assert!(cleared.quantile(0.5).is_nan());
    }

    #[test]
    fn memory_is_bounded_and_the_highest_values_keep_their_bins() {
        let rising: Vec<f64> = (0..40_000)
            .map(|n| SMALLEST / 2.0 * 1.0013_f64.powi(n))
            .collect();
        let falling: Vec<f64> = rising.iter().rev().copied().collect();
        for values in [rising, falling] {
            let all = sketch(&values);
            assert_eq!(all.bins.len(), BINS_MAX);
            let counted: u64 = all.bins.iter().map(|(_, count)| count).sum::<u64>() + all.zeros;
            assert_eq!(counted, 40_000);
            assert!((all.quantile(1.0) / LARGEST - 1.0).abs() < 0.011);
        }
    }

    proptest! {
        #[test]
        fn a_quantile_is_right_within_a_hundredth(
            mut values in prop::collection::vec(prop_oneof![Just(0.0), 50.0..1e6_f64], 1..200),
            quantile in 0.0..=1.0_f64,
            split in 0_usize..200,
        ) {
            let (left, right) = values.split_at(split.min(values.len()));
            let mut merged = sketch(left);
            merged.merge(&sketch(right));
            values.sort_by(f64::total_cmp);
            let rank = ((quantile * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let exact = values[rank - 1];
            let told = merged.quantile(quantile);
            prop_assert!((told - exact).abs() <= exact * 0.0101, "{told} for {exact}");
        }
    }
}
