//! Prometheus series as the last scrapes told them.

use std::collections::{HashMap, HashSet};

use super::beside::{self, Contexts};
use super::context::unit;
use super::contexts::{Limits, SUM_NAMES_BYTES_MAX, SUMS_MAX};
use super::history::History;
use crate::agent::check::{Sent, sent};
use crate::agent::decode::{Exposition, Format, Sample, family_of};
use crate::agent::view::{self, MetricRow};

/// Slot of the map, of which half may be spare, and what the allocator adds.
const OVERHEAD_BYTES: usize = 2 * size_of::<(Box<str>, Series)>() + 64;
/// Stands between the parts of a key. A label's value that holds one loses it.
const SEPARATOR: char = '\0';

/// What it is known by, page, name and labels, is the key it stands under.
#[derive(Debug, Default)]
struct Series {
    kind: String,
    /// Bytes of the name that are its family's.
    family_bytes: usize,
    points: u64,
    value: f64,
    rate: Option<f64>,
    history: History,
    last_seen_unix_us: u64,
}

/// All series of all scraped pages.
#[derive(Debug)]
pub(crate) struct AllSeries {
    series: HashMap<Box<str>, Series>,
    limits: Limits,
    bytes: usize,
    /// By page and name, as of its last scrape.
    sums: HashMap<String, HashMap<String, f64>>,
    ended: Ended,
    overflow: HashMap<String, u64>,
    evicted: u64,
}

impl AllSeries {
    pub(crate) fn new(limits: Limits) -> AllSeries {
        AllSeries {
            series: HashMap::new(),
            limits,
            bytes: 0,
            sums: HashMap::new(),
            ended: Ended::default(),
            overflow: HashMap::new(),
            evicted: 0,
        }
    }

    /// Takes one scrape; a series that is not in it any more is gone, and makes room first.
    pub(crate) fn take(&mut self, url: &str, scrape: &Exposition<'_>, time_unix_us: u64) {
        self.forget(url, scrape);
        let types: HashMap<&str, &str> = scrape.types.iter().copied().collect();
        let mut sums: HashMap<String, f64> = HashMap::new();
        let mut overflow = 0;
        let mut key_of_this = String::new();
        for sample in &scrape.samples {
            write_key(&mut key_of_this, url, sample);
            if !self.has_room(&key_of_this) {
                overflow += 1;
                continue;
            }
            if sample.value.is_finite() {
                *sums.entry(sample.name.to_string()).or_default() += sample.value;
            }
            let key: &str = &key_of_this;
            if !self.series.contains_key(key) {
                self.bytes += weight(key);
                self.series.insert(key.into(), Series::default());
            }
            if let Some(series) = self.series.get_mut(key) {
                let (family, kind) = family(&types, sample.name, scrape.format);
                series.family_bytes = family.len();
                if sample.value < series.value && rises(kind, &sample.name[family.len()..]) {
                    self.ended.add(sample.name, series.value);
                }
                series.see(sample, kind, time_unix_us);
            }
        }
        overflow += scrape.over;
        self.evicted += overflow;
        self.overflow.insert(url.to_string(), overflow);
        self.sums.insert(url.to_string(), sums);
    }

    fn forget(&mut self, url: &str, scrape: &Exposition<'_>) {
        let mut key = String::new();
        let hashes = self.series.hasher().clone();
        let mut hash = |sample: &Sample<'_>| {
            write_key(&mut key, url, sample);
            std::hash::BuildHasher::hash_one(&hashes, &*key)
        };
        let seen: HashSet<u64> = scrape.samples.iter().map(&mut hash).collect();
        self.series.retain(|key, series| {
            let stays = parts(key).next() != Some(url)
                || seen.contains(&std::hash::BuildHasher::hash_one(&hashes, &**key));
            if !stays {
                self.bytes -= weight(key);
                let name = parts(key).nth(1).unwrap_or_default();
                if rises(&series.kind, series.ending(name)) {
                    self.ended.add(name, series.value);
                }
            }
            stays
        });
    }

    fn has_room(&self, key: &str) -> bool {
        self.series.contains_key(key)
            || (self.series.len() < self.limits.contexts_max
                && self.bytes + weight(key) <= self.limits.bytes_max)
    }

    /// Sums over all label sets of each name, to be added up where a name comes again: as of the last scrapes,
    /// and what counters had come to that then fell or went away.
    pub(crate) fn sums(&self) -> impl Iterator<Item = (&str, f64)> {
        let last = self.sums.values().flatten();
        last.chain(&self.ended.sums)
            .map(|(name, sum)| (&**name, *sum))
    }

    pub(crate) fn count(&self) -> u64 {
        self.series.len() as u64
    }

    pub(crate) fn overflow(&self) -> u64 {
        self.overflow.values().sum()
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Each with name and labels, by which to sort, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, One<'_>)> {
        self.series.iter().map(|(key, series)| {
            let known_by = key.split_once(SEPARATOR).map_or("", |(_url, rest)| rest);
            (known_by, One { known_by, series })
        })
    }
}

/// What counters had come to when their program was started again, by name. A value lower than the one before
/// begins anew from zero, as for `rate()` (prometheus:promql/functions.go, `extrapolatedRate`).
#[derive(Debug, Default)]
struct Ended {
    sums: HashMap<String, f64>,
    names_bytes: usize,
}

impl Ended {
    fn add(&mut self, name: &str, value: f64) {
        if !value.is_finite() {
            return;
        }
        let bytes = self.names_bytes + name.len();
        if let Some(known) = self.sums.get_mut(name) {
            *known += value;
        } else if self.sums.len() < SUMS_MAX && bytes <= SUM_NAMES_BYTES_MAX {
            self.names_bytes = bytes;
            self.sums.insert(name.to_string(), value);
        }
    }
}

/// Whether a sample of this ending counts up as long as its program runs.
fn rises(kind: &str, ending: &str) -> bool {
    match kind {
        "counter" => ending != "_created",
        "histogram" | "summary" => !["", "_created"].contains(&ending),
        _ => false,
    }
}

/// One series with what it is known by.
pub(crate) struct One<'a> {
    known_by: &'a str,
    series: &'a Series,
}

impl One<'_> {
    /// `same`: what DogStatsD brought.
    pub(crate) fn row(&self, namespace: &str, same: &Contexts<'_>) -> MetricRow {
        let series = self.series;
        let mut parts = parts(self.known_by).map(str::to_string);
        let name = parts.next().unwrap_or_default();
        let labels: Vec<String> = parts.collect();
        let ending = series.ending(&name);
        let family = &name[..name.len() - ending.len()];
        let aggregate = match rises(&series.kind, ending) {
            true => series.rate.map(|rate| ("rate", rate)),
            false => Some(("last", series.value)),
        };
        let scraped = view::Scraped {
            beside: same.beside(&beside::Series {
                family: if ending == "_total" { &name } else { family },
                kind: if ending == "_created" {
                    ""
                } else {
                    &series.kind
                },
                labels: &labels,
                value: series.value,
            }),
            ..sent(
                namespace,
                &Sent {
                    family,
                    ending,
                    kind: &series.kind,
                    labels: &labels,
                },
            )
        };
        MetricRow {
            source: "prometheus",
            kind: series.kind.clone(),
            tags: labels,
            points: series.points,
            value: series.value,
            aggregates: aggregate.into_iter().collect(),
            members: Vec::new(),
            history: series.history.view(),
            last_seen_unix_us: series.last_seen_unix_us,
            unit: unit(&name),
            scraped: Some(scraped),
            name,
            explained: None,
        }
    }
}

impl Series {
    /// What of its name is not its family's.
    fn ending<'n>(&self, name: &'n str) -> &'n str {
        &name[self.family_bytes.min(name.len())..]
    }

    fn see(&mut self, sample: &Sample<'_>, kind: &str, time_unix_us: u64) {
        if self.points > 0 && time_unix_us > self.last_seen_unix_us {
            let seconds = (time_unix_us - self.last_seen_unix_us) as f64 / 1e6;
            let before = if sample.value < self.value {
                0.0
            } else {
                self.value
            };
            self.rate = Some((sample.value - before) / seconds);
        }
        if self.kind != kind {
            self.kind = kind.to_string();
        }
        self.points += 1;
        self.value = sample.value;
        self.history.set(time_unix_us / 1_000_000, sample.value);
        self.last_seen_unix_us = time_unix_us;
    }
}

/// Counted with all of the history, which every series has after a minute of scrapes.
fn weight(key: &str) -> usize {
    OVERHEAD_BYTES + key.len() + History::BYTES_MAX
}

/// Family and type; what no TYPE names is its own.
fn family<'n, 't>(
    types: &HashMap<&str, &'t str>,
    name: &'n str,
    format: Format,
) -> (&'n str, &'t str) {
    let untyped = match format {
        Format::Text => "untyped",
        Format::OpenMetrics => "unknown",
    };
    family_of(name, types, format).unwrap_or((name, untyped))
}

fn write_key(key: &mut String, url: &str, sample: &Sample<'_>) {
    let mut labels: Vec<String> = sample
        .labels
        .iter()
        .map(|(name, value)| format!("{name}:{}", value.replace(SEPARATOR, "\u{fffd}")))
        .collect();
    labels.sort();
    key.clear();
    key.push_str(url);
    for part in [sample.name]
        .into_iter()
        .chain(labels.iter().map(|label| &**label))
    {
        key.push(SEPARATOR);
        key.push_str(part);
    }
}

fn parts(key: &str) -> impl Iterator<Item = &str> {
    key.split(SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::decode::exposition;

    const LIMITS: Limits = Limits {
        contexts_max: 4,
        bytes_max: 1 << 20,
        members_max: 0,
        values_max: 0,
    };

    fn all_of(contexts_max: usize) -> AllSeries {
        AllSeries::new(Limits {
            contexts_max,
            ..LIMITS
        })
    }

    #[test]
    fn a_scrape_replaces_the_one_before() {
        let mut all = all_of(4);
        let first = "# TYPE n_total counter\nn_total{a=\"b\"} 5\nn_total{a=\"c\"} 2\n# TYPE h histogram\nh_sum 1.5\n";
        all.take("u", &exposition(first).unwrap(), 1_000_000);
        let second =
            "# TYPE n_total counter\nn_total{a=\"b\"} 25\n# TYPE h histogram\nh_sum 1.5\ng NaN\n";
        all.take("u", &exposition(second).unwrap(), 11_000_000);
        let mut rows: Vec<MetricRow> = all
            .iter()
            .map(|(_, one)| one.row("", &Contexts::of("", std::iter::empty())))
            .collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        assert!(rows[0].value.is_nan() && rows[0].kind == "untyped");
        assert_eq!(
            (&*rows[1].name, &*rows[1].kind, rows[1].points),
            ("h_sum", "histogram", 2)
        );
        let counter = &rows[2];
        assert_eq!(
            (&*counter.kind, counter.value, &counter.history[..]),
            ("counter", 25.0, &[5.0, 25.0][..])
        );
        assert_eq!(
            (&counter.aggregates[..], &counter.tags[..]),
            (&[("rate", 2.0)][..], &["a:b".to_string()][..])
        );
        assert_eq!(rows.len(), 3);
        let mut sums: Vec<_> = all.sums().collect();
        sums.sort_by(|a, b| a.0.cmp(b.0));
        let parts = [("h_sum", 1.5), ("n_total", 25.0), ("n_total", 2.0)];
        assert_eq!(sums, parts, "what went away had been counted");
    }

    #[test]
    fn what_counts_adds_up_over_a_restart() {
        #[track_caller]
        fn check(rule: &str, (kind, name): (&str, &str), values: &[&str], expected: f64) {
            let mut all = all_of(4);
            for (at, value) in values.iter().enumerate() {
                let page = match *value {
                    "" => String::new(),
                    value => format!("# TYPE n {kind}\n{name} {value}\n"),
                };
                all.take("u", &exposition(&page).unwrap(), at as u64);
            }
            assert_eq!(
                all.sums().map(|(_, sum)| sum).sum::<f64>(),
                expected,
                "{rule}"
            );
        }
        let counter = ("counter", "n");
        check("it grows", counter, &["5", "5", "8"], 8.0);
        check("it falls", counter, &["5", "2", "4"], 9.0);
        check("twice", counter, &["5", "2", "4", "1"], 10.0);
        check("to zero", counter, &["5", "0", "0", "5"], 10.0);
        check("it is away first", counter, &["5", "", "", "3"], 8.0);
        check("no number in between", counter, &["5", "NaN", "6"], 6.0);
        check(
            "a bucket",
            ("histogram", "n_bucket{le=\"1\"}"),
            &["5", "2"],
            7.0,
        );
        check("a sum", ("summary", "n_sum"), &["1.5", "0.5"], 2.0);
        check("a gauge may fall", ("gauge", "n"), &["5", "2"], 2.0);
        check(
            "a quantile too",
            ("summary", "n{quantile=\"1\"}"),
            &["5", "2"],
            2.0,
        );
        check("and go away", ("gauge", "n"), &["5", ""], 0.0);
    }

    #[test]
    fn a_rate_over_a_restart_begins_at_zero() {
        let mut all = all_of(4);
        for (time_unix_us, value) in [(1, 50), (10_000_001, 20)] {
            let page = format!("# TYPE n_total counter\nn_total {value}\n");
            all.take("u", &exposition(&page).unwrap(), time_unix_us);
        }
        let (_, one) = all.iter().next().unwrap();
        let row = one.row("", &Contexts::of("", std::iter::empty()));
        assert_eq!(row.aggregates, [("rate", 2.0)]);
    }

    #[test]
    fn series_have_a_bound() {
        let mut all = all_of(2);
        let five = exposition("a 1\nb 1\nc 1\nd 1\ne 1\n").unwrap();
        all.take("u", &five, 1);
        all.take("u", &five, 2);
        assert_eq!((all.count(), all.overflow(), all.evicted()), (2, 3, 6));
        all.take("u", &Exposition::default(), 3);
        assert_eq!((all.count(), all.overflow()), (0, 0));
    }

    #[test]
    fn new_series_are_heard_once_the_old_are_gone() {
        let mut all = all_of(2);
        all.take("u", &exposition("a 1\nb 1\n").unwrap(), 1);
        all.take("u", &exposition("c 1\nd 1\n").unwrap(), 2);
        let mut names: Vec<String> = all.iter().map(|(name, _)| name.to_string()).collect();
        names.sort();
        assert_eq!((names, all.overflow()), (vec!["c".into(), "d".into()], 0));
    }

    #[test]
    fn series_have_a_bound_in_bytes() {
        let mut all = all_of(1_000);
        let long = "x".repeat(10_000);
        let page: String = (0..200)
            .map(|n| format!("a{{b=\"{n}{long}\"}} 1\n"))
            .collect();
        for scrape in 0..3 {
            all.take("u", &exposition(&page).unwrap(), scrape * 1_000_000);
        }
        let weights = all.series.keys().map(|key| weight(key));
        assert_eq!(all.bytes, weights.sum::<usize>());
        assert!(
            all.bytes <= LIMITS.bytes_max && all.count() > 80,
            "{}",
            all.count()
        );
        assert_eq!(all.count() + all.overflow(), 200);
        all.take("u", &Exposition::default(), 200_000_000);
        assert_eq!((all.bytes, all.count()), (0, 0));
    }

    #[test]
    fn separators_in_a_label_leave_one_series() {
        let mut all = all_of(9);
        let page = "a{b=\"x\0c:y|,\\n z\"} 1\n";
        all.take("u", &exposition(page).unwrap(), 1);
        let rows: Vec<MetricRow> = all
            .iter()
            .map(|(_, one)| one.row("", &Contexts::of("", std::iter::empty())))
            .collect();
        assert_eq!((rows.len(), &*rows[0].tags[0]), (1, "b:x\u{fffd}c:y|,\n z"));
    }
}
