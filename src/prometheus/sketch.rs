//! Quantiles of many values in little memory.
//!
//! Values are counted in bins whose bounds grow by 2 %, so a quantile is right within 1 % of itself, whatever
//! the distribution (Masson, Rim, Lee, "DDSketch", 2019).

/// Half the width of a bin, as a share of its value.
const ACCURACY: f64 = 0.01;
/// What is nearer to zero counts as zero.
const SMALLEST: f64 = 1e-9;
/// What is larger counts as this: it bounds the bins at 2,419 for each sign.
const LARGEST: f64 = 1e12;

/// Counts by size.
#[derive(Clone, Debug, Default)]
pub(super) struct Sketch {
    below: Bins,
    zeros: u64,
    above: Bins,
}

/// Counts of the bins that have any, by bin.
type Bins = Vec<(i16, u64)>;

impl Sketch {
    pub(super) fn add(&mut self, value: f64) {
        match bin_of(value.abs()) {
            None => self.zeros += 1,
            Some(bin) if value > 0.0 => count(&mut self.above, bin, 1),
            Some(bin) => count(&mut self.below, bin, 1),
        }
    }

    pub(super) fn merge(&mut self, other: &Sketch) {
        other
            .below
            .iter()
            .for_each(|(bin, by)| count(&mut self.below, *bin, *by));
        other
            .above
            .iter()
            .for_each(|(bin, by)| count(&mut self.above, *bin, *by));
        self.zeros += other.zeros;
    }

    pub(super) fn clear(&mut self) {
        self.below.clear();
        self.above.clear();
        self.zeros = 0;
    }

    /// The value below which a share of `quantile` lies; NaN of nothing, as Prometheus shows it.
    pub(super) fn quantile(&self, quantile: f64) -> f64 {
        let of = |bins: &Bins| bins.iter().map(|(_, count)| count).sum::<u64>();
        let total = of(&self.below) + self.zeros + of(&self.above);
        if total == 0 {
            return f64::NAN;
        }
        let rank = ((quantile * total as f64).ceil() as u64).clamp(1, total);
        let below = self
            .below
            .iter()
            .rev()
            .map(|(bin, count)| (-value_of(*bin), *count));
        let above = self
            .above
            .iter()
            .map(|(bin, count)| (value_of(*bin), *count));
        let mut seen = 0;
        let mut all = below.chain([(0.0, self.zeros)]).chain(above);
        let found = all.find(|(_, count)| {
            seen += count;
            seen >= rank
        });
        found.map_or(f64::NAN, |(value, _)| value)
    }
}

fn count(bins: &mut Bins, bin: i16, by: u64) {
    match bins.binary_search_by_key(&bin, |(held, _)| *held) {
        Ok(at) => bins[at].1 += by,
        Err(at) => bins.insert(at, (bin, by)),
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
        assert_eq!(sketch(&[0.0, 1e-10, -1e-10]).quantile(0.5), 0.0);
        let huge = sketch(&[f64::MAX, f64::MIN]);
        assert!((huge.quantile(1.0) / LARGEST - 1.0).abs() < 0.011);
        assert!((huge.quantile(0.0) / -LARGEST - 1.0).abs() < 0.011);
        let mut cleared = sketch(&[1.0, -1.0, 0.0]);
        cleared.clear();
        assert!(cleared.quantile(0.5).is_nan());
    }

    #[test]
    fn memory_is_bounded() {
        let mut all = Sketch::default();
        let mut value = SMALLEST / 2.0;
        while value < LARGEST * 2.0 {
            all.add(value);
            all.add(-value);
            value *= 1.001;
        }
        assert!(
            all.above.len() <= 2_419 && all.below.len() == all.above.len(),
            "{}",
            all.above.len()
        );
    }

    proptest! {
        #[test]
        fn a_quantile_is_right_within_a_hundredth(
            mut values in prop::collection::vec(-1e6..1e6_f64, 1..200),
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
            prop_assert!((told - exact).abs() <= exact.abs() * 0.0101 + SMALLEST, "{told} for {exact}");
        }
    }
}
