//! Buckets of each histogram: their order, their sums, their last one.

use std::collections::HashMap;

use super::finding::{Collected, quoted};
use super::names::key;
use super::rules;
use crate::agent::decode::{Format, Sample};

/// One histogram: a family with one set of labels.
#[derive(Debug)]
struct Buckets<'a> {
    family: &'a str,
    line: usize,
    bound: f64,
    count_so_far: f64,
    inf: Option<f64>,
    count: Option<f64>,
}

/// All of a page.
#[derive(Debug, Default)]
pub(super) struct Histograms<'a> {
    all: HashMap<String, Buckets<'a>>,
}

impl<'a> Histograms<'a> {
    /// A sample of `family`, which is a histogram.
    pub(super) fn sample(
        &mut self,
        out: &mut Collected,
        (line, family): (usize, &'a str),
        (sample, format): (&Sample<'a>, Format),
    ) {
        let others = sample.labels.iter().filter(|(name, _)| *name != "le");
        let buckets = self.all.entry(key(family, others)).or_insert(Buckets {
            family,
            line,
            bound: f64::NEG_INFINITY,
            count_so_far: f64::NEG_INFINITY,
            inf: None,
            count: None,
        });
        match sample.name.strip_prefix(family) {
            Some("_bucket") => {}
            Some("_count" | "_gcount") => {
                buckets.count = Some(sample.value);
                return;
            }
            _ => return,
        }
        let le = sample.labels.iter().find(|(name, _)| *name == "le");
        let bound = le.and_then(|(_, le)| le.parse::<f64>().ok().filter(|le| !le.is_nan()));
        let (Some((_, le)), Some(bound)) = (le, bound) else {
            let what = format!("a bucket of {}", quoted(family));
            out.add(line, &rules::LE_BAD, what);
            return;
        };
        if format == Format::OpenMetrics && !canonical(le) {
            out.add(line, &rules::LE_NOT_CANONICAL, format!("le={}", quoted(le)));
        }
        buckets.take(out, line, (bound, sample.value));
    }

    /// What is missing once all is read. `but`: a family that may go on where the page was cut.
    pub(super) fn end(&self, out: &mut Collected, but: Option<&str>) {
        let mut all: Vec<_> = self.all.values().collect();
        all.sort_unstable_by_key(|buckets| buckets.line);
        for buckets in all {
            if but == Some(buckets.family) {
                continue;
            }
            let name = quoted(buckets.family);
            match (buckets.inf, buckets.count) {
                (None, _) => out.add(buckets.line, &rules::NO_INF, name),
                (Some(inf), Some(count)) if inf != count => {
                    let what = format!("{name}: +Inf {inf}, _count {count}");
                    out.add(buckets.line, &rules::INF_NOT_COUNT, what);
                }
                _ => {}
            }
        }
    }
}

impl Buckets<'_> {
    fn take(&mut self, out: &mut Collected, line: usize, (bound, count): (f64, f64)) {
        if bound <= self.bound {
            let what = format!("le {bound} behind {}", self.bound);
            out.add(line, &rules::NOT_ASCENDING, what);
        } else if count < self.count_so_far {
            let what = format!("{count} behind {}", self.count_so_far);
            out.add(line, &rules::NOT_CUMULATIVE, what);
        }
        self.bound = bound;
        self.count_so_far = count;
        if bound == f64::INFINITY {
            self.inf = Some(count);
        }
    }
}

/// As Go's `%g` writes it and with a fraction, OpenMetrics 1.0.0, "Canonical Numbers": `0.1`, `1.0`, `1e-05`, `1e+06`,
/// `+Inf`.
fn canonical(le: &str) -> bool {
    let Ok(value) = le.parse::<f64>() else {
        return false;
    };
    if value == f64::INFINITY {
        return le == "+Inf";
    }
    le == go_text(value)
}

fn go_text(value: f64) -> String {
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = exponent.parse().unwrap_or(0);
    if value != 0.0 && !(-4..6).contains(&power) {
        let sign = if power < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", power.abs());
    }
    let plain = value.to_string();
    match plain.contains('.') {
        true => plain,
        false => format!("{plain}.0"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_has_one_canonical_form() {
        #[track_caller]
        fn check(le: &str, expected: bool) {
            assert_eq!(canonical(le), expected, "{le}");
        }
        for le in [
            "0.0", "0.005", "0.1", "1.0", "2.5", "10.0", "100000.0", "1e+06", "1e-05", "1.5e+10",
            "-1.0", "+Inf", "0.0001",
        ] {
            check(le, true);
        }
        for le in [
            "0",
            "1",
            "1.",
            "01.0",
            "1.00",
            "1000000.0",
            "1e6",
            "1e+6",
            "0.00001",
            "inf",
            "Inf",
            "",
            "x",
            "NaN",
        ] {
            check(le, false);
        }
    }
}
