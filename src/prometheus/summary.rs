//! Summaries: quantiles of the last minutes, count and sum since the start.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::bounds::is_observable;
use super::family::{Metric, Page, Shape};
use super::number::{push_f64, push_u64};
use super::sketch::Sketch;
use super::stripes::{stripe, stripe_count};
use super::text::{Line, Prefixes};

/// Keeps count, sum and quantiles of observations. Cloning shares them.
///
/// A quantile covers the last eight to ten minutes and is right within 1 % of itself, for values from 1e-9 to 1e12
/// and where they span no more than a factor of 25,000. Quantiles of two processes cannot be put together; a [`Histogram`](super::Histogram) can.
#[derive(Clone)]
pub struct Summary(Arc<Inner>);

struct Inner {
    shape: Arc<Shape>,
    stripes: Box<[Stripe]>,
}

/// As wide as two cache lines, because processors fetch them in pairs.
#[derive(Default)]
#[repr(align(128))]
struct Stripe(Mutex<Window>);

/// The window is made of so many parts, of which the oldest is let go at once.
const PARTS: usize = 5;
/// How long a part is filled.
const PART: Duration = Duration::from_secs(120);

#[derive(Default)]
struct Window {
    count: u64,
    sum: f64,
    parts: [Sketch; PARTS],
    /// Which part is being filled, counted from the start of the clock.
    newest: u64,
}

impl Summary {
    /// Takes one observation in; waits for no more than another thread of the same stripe, or a reader's copy.
    ///
    /// What is below zero, over 1e290 or not finite is ignored and counted in [`Stats`](super::Stats).
    pub fn observe(&self, value: f64) {
        let inner = &*self.0;
        if !is_observable(value) {
            inner.shape.ignored.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let now = self.part();
        let mut window = inner.stripes[stripe()].lock();
        window.turn(now);
        window.count += 1;
        window.sum += value;
        window.parts[(now % PARTS as u64) as usize].add(value);
    }

    /// How many observations there were.
    pub fn count(&self) -> u64 {
        self.read().0
    }

    /// All observations added up.
    pub fn sum(&self) -> f64 {
        self.read().1
    }

    /// The value below which a share of `quantile` of the last eight to ten minutes lies; NaN where there was nothing.
    pub fn quantile(&self, quantile: f64) -> f64 {
        self.read().2.quantile(quantile)
    }

    fn read(&self) -> (u64, f64, Sketch) {
        let now = self.part();
        let (mut count, mut sum, mut sketch) = (0, 0.0, Sketch::default());
        for stripe in &self.0.stripes {
            let mut window = stripe.lock();
            window.turn(now);
            count += window.count;
            sum += window.sum;
            window.parts.iter().for_each(|part| sketch.merge(part));
        }
        (count, sum, sketch)
    }

    fn part(&self) -> u64 {
        self.0.shape.clock.mono_ns() / PART.as_nanos() as u64
    }
}

impl Stripe {
    fn lock(&self) -> MutexGuard<'_, Window> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    /// Lets go of the parts that are too old by now.
    fn turn(&mut self, now: u64) {
        let passed = now.saturating_sub(self.newest).min(PARTS as u64);
        for step in 0..passed {
            self.parts[((now - step) % PARTS as u64) as usize].clear();
        }
        self.newest = self.newest.max(now);
    }
}

impl fmt::Debug for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, sum, _) = self.read();
        f.debug_struct("Summary")
            .field("count", &count)
            .field("sum", &sum)
            .finish()
    }
}

impl Metric for Summary {
    fn new(shape: &Arc<Shape>) -> Summary {
        Summary(Arc::new(Inner {
            shape: shape.clone(),
            stripes: (0..stripe_count()).map(|_| Stripe::default()).collect(),
        }))
    }

    fn lines(shape: &Shape) -> Vec<Line> {
        let quantile = |quantile: &f64| Line {
            suffix: "",
            own: Some(("quantile", *quantile)),
        };
        let rest = [Line::plain("_sum"), Line::plain("_count")];
        shape.bounds.iter().map(quantile).chain(rest).collect()
    }

    fn expose(&self, prefixes: &Prefixes, page: &mut Page<'_>) {
        let (count, sum, sketch) = self.read();
        let quantiles = &self.0.shape.bounds;
        for (at, prefix) in prefixes.iter().enumerate() {
            page.out.extend_from_slice(prefix);
            match at.checked_sub(quantiles.len()) {
                None => push_f64(page.out, sketch.quantile(quantiles[at])),
                Some(0) => push_f64(page.out, sum),
                Some(_) => push_u64(page.out, count),
            }
            page.out.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Registry, SummarySpec};
    use super::*;
    use crate::clock::{Clock, Hand};

    fn summary() -> (Registry, Summary, Hand) {
        let (clock, hand) = Clock::manual(0);
        let registry = Registry::with(Options {
            clock,
            ..Options::default()
        });
        let spec = SummarySpec {
            labels: &[],
            quantiles: &[0.5, 1.0],
        };
        let family = registry.summary("s", "S.", spec).unwrap();
        (registry.clone(), family.with(&[]).clone(), hand)
    }

    #[test]
    fn a_summary_is_right_to_the_byte() {
        let (registry, summary, _hand) = summary();
        let page = || {
            let mut page = Vec::new();
            registry.render(super::super::Format::Text, &mut page);
            String::from_utf8(page).unwrap()
        };
        let head = "# HELP s S.\n# TYPE s summary\n";
        let empty = "s{quantile=\"0.5\"} NaN\ns{quantile=\"1.0\"} NaN\ns_sum 0\ns_count 0\n";
        assert_eq!(page(), format!("{head}{empty}"));
        for value in [0.0, 0.0, 0.0, f64::NAN, f64::INFINITY, -2.5] {
            summary.observe(value);
        }
        let filled = "s{quantile=\"0.5\"} 0\ns{quantile=\"1.0\"} 0\ns_sum 0\ns_count 3\n";
        assert_eq!(page(), format!("{head}{filled}"));
        assert_eq!(registry.stats().observations_ignored, 3);
    }

    #[test]
    fn quantiles_forget_and_counts_do_not() {
        let (_registry, summary, hand) = summary();
        let minutes = |minutes: u64| hand.advance_ns(minutes * 60_000_000_000);
        summary.observe(100.0);
        minutes(8);
        summary.observe(1.0);
        assert!((summary.quantile(1.0) - 100.0).abs() < 1.1);
        minutes(2);
        assert!((summary.quantile(1.0) - 1.0).abs() < 0.011);
        minutes(60);
        assert!(summary.quantile(1.0).is_nan());
        assert_eq!((summary.count(), summary.sum()), (2, 101.0));
        // At the end of a part the first of them is nearly over.
        hand.advance_ns(119_000_000_000);
        summary.observe(7.0);
        minutes(8);
        assert!(!summary.quantile(1.0).is_nan(), "eight minutes");
        hand.advance_ns(1_000_000_000);
        assert!(summary.quantile(1.0).is_nan(), "not ten");
    }

    #[test]
    fn threads_lose_no_observation() {
        let (_registry, summary, _hand) = summary();
        std::thread::scope(|scope| {
            for _ in 0..9 {
                scope.spawn(|| (0..500).for_each(|_| summary.observe(0.5)));
            }
        });
        assert_eq!((summary.count(), summary.sum()), (4_500, 2_250.0));
    }
}
