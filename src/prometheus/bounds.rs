//! Bounds of buckets.

use super::Error;

/// Each bound is a line of each series on every page.
pub(super) const BOUNDS_MAX: usize = 100;

/// `count` bounds, the first `start`, each `factor` times the one before: as fine below as above.
///
/// # Errors
/// [`Error::Bounds`] unless `start` is over 0, `factor` over 1, no bound over 1e290 and there are at most 100.
pub fn exponential_bounds(start: f64, factor: f64, count: usize) -> Result<Vec<f64>, Error> {
    let good = start > 0.0 && factor > 1.0 && count <= BOUNDS_MAX;
    let bounds = (0..count).map(|n| start * factor.powi(i32::try_from(n).unwrap_or(i32::MAX)));
    let name = || format!("exponential_bounds({start}, {factor}, {count})");
    good.then(|| bounds.collect())
        .filter(|bounds: &Vec<f64>| are_good(bounds))
        .ok_or_else(|| Error::Bounds(name()))
}

/// `count` bounds, the first `start`, each `width` over the one before.
///
/// # Errors
/// [`Error::Bounds`] unless `start` is at least 0, `width` over 0 and there are at most 100 bounds.
pub fn linear_bounds(start: f64, width: f64, count: usize) -> Result<Vec<f64>, Error> {
    let good = width > 0.0 && count <= BOUNDS_MAX;
    let bounds = (0..count).map(|n| start + width * n as f64);
    let name = || format!("linear_bounds({start}, {width}, {count})");
    good.then(|| bounds.collect())
        .filter(|bounds: &Vec<f64>| are_good(bounds))
        .ok_or_else(|| Error::Bounds(name()))
}

/// Below zero a histogram has no sum that OpenMetrics allows; above, a sum of many would not be finite.
pub(super) fn is_observable(value: f64) -> bool {
    const LARGEST: f64 = 1e290;
    (0.0..=LARGEST).contains(&value)
}

/// Of values that are observed, ascending, and not too many.
pub(super) fn are_good(bounds: &[f64]) -> bool {
    bounds.iter().all(|bound| is_observable(*bound))
        && bounds.is_sorted_by(|a, b| a < b)
        && bounds.len() <= BOUNDS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_made_or_refused() {
        let bounds = |bounds: Result<Vec<f64>, Error>| bounds.map_err(|error| error.to_string());
        assert_eq!(
            bounds(exponential_bounds(0.5, 2.0, 4)),
            Ok(vec![0.5, 1.0, 2.0, 4.0])
        );
        assert_eq!(bounds(linear_bounds(0.0, 0.5, 3)), Ok(vec![0.0, 0.5, 1.0]));
        assert_eq!(bounds(exponential_bounds(1.0, 2.0, 0)), Ok(vec![]));
        assert_eq!(
            bounds(linear_bounds(0.0, 1.0, BOUNDS_MAX)).map(|all| all.len()),
            Ok(100)
        );
        for refused in [
            exponential_bounds(0.0, 2.0, 3),
            exponential_bounds(1.0, 1.0, 3),
            exponential_bounds(f64::NAN, 2.0, 3),
            exponential_bounds(1.0, 1e99, 9),
            exponential_bounds(1.0, 2.0, BOUNDS_MAX + 1),
            linear_bounds(0.0, 0.0, 3),
            linear_bounds(-1.0, 0.5, 3),
            linear_bounds(1e289, 1.0, 3),
            linear_bounds(1e300, 1.0, 3),
            linear_bounds(f64::INFINITY, 1.0, 1),
            linear_bounds(0.0, 1.0, BOUNDS_MAX + 1),
        ] {
            assert!(matches!(refused, Err(Error::Bounds(_))), "{refused:?}");
        }
        let error = exponential_bounds(0.0, 2.0, 3).unwrap_err();
        assert_eq!(
            error.to_string(),
            "bounds of exponential_bounds(0, 2, 3): must be from 0 to 1e290, ascending and at most 100"
        );
    }
}
