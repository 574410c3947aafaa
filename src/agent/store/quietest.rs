//! Which of many go when a bound is reached.

/// One in so many goes at once.
const BATCH: usize = 20;

/// Of the numbers of order, that of the last to go: a twentieth of all, one at least.
pub(crate) fn quietest(touched: impl Iterator<Item = u64>) -> u64 {
    let mut touched: Vec<u64> = touched.collect();
    let last = touched.len().div_ceil(BATCH).saturating_sub(1);
    if touched.is_empty() {
        return 0;
    }
    *touched.select_nth_unstable(last).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, touched: impl Iterator<Item = u64>, expected: u64) {
        assert_eq!(quietest(touched), expected, "{rule}");
    }

    #[test]
    fn a_twentieth_goes() {
        check("none", 0..0, 0);
        check("one", 7..8, 7);
        check("few", [9, 3, 5].into_iter(), 3);
        check("many, in any order", (1..=100).rev(), 5);
        check("rounded up", 1..=101, 6);
    }
}
