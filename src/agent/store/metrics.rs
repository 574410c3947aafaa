//! Both kinds of metrics together, with events and service checks.

use std::collections::{BTreeMap, VecDeque};

use super::beside;
use super::contexts::{Contexts, LINE_BYTES_MAX, Limits, Taken};
use super::lines::Received;
use super::quietest::quietest;
use super::series::AllSeries;
use crate::agent::decode::{Event, Message, ServiceCheck};
use crate::agent::view::{
    self, CheckRow, EventRow, Explained, MetricBucket, MetricRow, Scraped, Which,
};

const EVENTS_MAX: usize = 100;
const CHECKS_MAX: usize = 500;
/// What one view shows: as many rows, and so many bytes of each kind of row.
const ROWS_SHOWN_MAX: usize = 5_000;
const ROWS_SHOWN_BYTES_MAX: usize = 8 << 20;
/// Rows over this take half of these bytes at most, so that a few long ones do not hide the others.
const LONG_ROW_BYTES: usize = 8 << 10;
const OTHERS_SHOWN_BYTES_MAX: usize = 1 << 20;

/// Contexts, series, events, checks.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) contexts: Contexts,
    pub(crate) series: AllSeries,
    events: VecDeque<Tagged<EventRow>>,
    /// By name and tags.
    checks: BTreeMap<Box<str>, Tagged<CheckRow>>,
    checks_seen: u64,
    /// Events and checks that were too long to keep, and checks that made room.
    let_go: u64,
    /// Under which Datadog's check sends what is scraped.
    namespace: Box<str>,
}

/// A row without its tags, which as one text, a line each, take a fraction of the memory.
#[derive(Debug)]
struct Tagged<R> {
    row: R,
    tags: Box<str>,
    touched: u64,
}

impl Metrics {
    pub(crate) fn new(limits: Limits) -> Metrics {
        Metrics {
            contexts: Contexts::new(limits),
            series: AllSeries::new(limits),
            events: VecDeque::new(),
            checks: BTreeMap::new(),
            checks_seen: 0,
            let_go: 0,
            namespace: Box::default(),
        }
    }

    pub(crate) fn of(limits: Limits, namespace: &str) -> Metrics {
        Metrics {
            namespace: namespace.into(),
            ..Metrics::new(limits)
        }
    }

    /// Takes one line.
    pub(crate) fn take(&mut self, message: &Message<'_>, received: Received<'_>) -> Taken {
        let time_unix_us = received.time_unix_us;
        let (length, tags) = match message {
            Message::Metric(metric) => return self.contexts.take(metric, received),
            Message::Event(event) => (event.title.len() + event.text.len(), &event.tags),
            Message::Check(check) => (check.name.len() + check.message.len(), &check.tags),
        };
        let tags = joined(tags);
        let length = length + tags.len();
        let too_long_bytes = (length > LINE_BYTES_MAX).then_some(length);
        match message {
            _ if too_long_bytes.is_some() => self.let_go += 1,
            Message::Event(event) => self.event(event, tags, time_unix_us),
            Message::Check(check) => self.check(check, tags, time_unix_us),
            Message::Metric(_) => {}
        }
        Taken {
            samples: 1,
            too_long_bytes,
        }
    }

    /// What was not kept because a bound was reached.
    pub(crate) fn evicted(&self) -> (u64, u64) {
        let dogstatsd = self.contexts.evicted_samples() + self.let_go;
        (dogstatsd, self.series.evicted())
    }

    pub(crate) fn count(&self) -> u64 {
        self.contexts.count() + self.series.count()
    }

    pub(crate) fn view(&self, now_unix_us: u64) -> view::Metrics {
        self.with_others(self.rows(now_unix_us, None))
    }

    /// The rows that are asked for, with how they came about; events and checks where all is.
    pub(crate) fn explain(&self, now_unix_us: u64, which: &Which) -> view::Metrics {
        let (rows, overflow) = self.rows(now_unix_us, Some(which));
        if *which == Which::default() {
            return self.with_others((rows, overflow));
        }
        view::Metrics {
            rows,
            overflow,
            ..view::Metrics::default()
        }
    }

    fn with_others(&self, (rows, rows_left_out): (Vec<MetricRow>, u64)) -> view::Metrics {
        let (events, events_left_out) = bounded(self.events.iter(), |event| {
            let mut row = event.row.clone();
            row.tags = split(&event.tags);
            let bytes = row.title.len() + row.text.len() + tags_bytes(&row.tags);
            (row, bytes)
        });
        let (checks, checks_left_out) = bounded(self.checks.values(), |check| {
            let mut row = check.row.clone();
            row.tags = split(&check.tags);
            let bytes = row.name.len() + row.message.len() + tags_bytes(&row.tags);
            (row, bytes)
        });
        let left_out = rows_left_out + events_left_out + checks_left_out;
        view::Metrics {
            rows,
            overflow: self.contexts.overflow() + self.series.overflow() + self.let_go + left_out,
            events,
            checks,
            failing: Vec::new(),
        }
    }

    /// Sorted by source, name, tags and type, as far as they fit; and how many did not. `which`: those
    /// alone, and with how they came about.
    fn rows(&self, now_unix_us: u64, which: Option<&Which>) -> (Vec<MetricRow>, u64) {
        let second = now_unix_us / 1_000_000;
        let mut contexts: Vec<_> = self.contexts.iter().collect();
        contexts.retain(|(key, _)| which.is_none_or(|which| key_fits(key, which)));
        contexts.sort_unstable_by_key(|(key, _)| *key);
        let mut series: Vec<_> = self.series.iter().collect();
        series.sort_unstable_by_key(|(key, _)| *key);
        let contexts = contexts
            .into_iter()
            .map(|(key, context)| context.row(key, second, which.is_some()));
        let same = beside::Contexts::of(&self.namespace, self.contexts.iter());
        let series = series
            .into_iter()
            .map(|(_, series)| series.row(&self.namespace, &same));
        let series = series.filter(|row| which.is_none_or(|which| row_fits(row, which)));
        let (mut bytes, mut long_bytes, mut left_out) = (0, 0, 0);
        let mut rows = Vec::new();
        for row in contexts.chain(series) {
            let more = row_bytes(&row);
            let more_long = if more > LONG_ROW_BYTES { more } else { 0 };
            let fits = rows.len() < ROWS_SHOWN_MAX
                && bytes + more <= ROWS_SHOWN_BYTES_MAX
                && long_bytes + more_long <= ROWS_SHOWN_BYTES_MAX / 2;
            if fits {
                bytes += more;
                long_bytes += more_long;
                rows.push(row);
            } else {
                left_out += 1;
            }
        }
        (rows, left_out)
    }

    fn event(&mut self, event: &Event<'_>, tags: Box<str>, time_unix_us: u64) {
        self.events.truncate(EVENTS_MAX - 1);
        self.events.push_front(Tagged {
            row: EventRow {
                time_unix_us,
                title: event.title.to_string(),
                text: event.text.to_string(),
                alert_type: event.alert_type.to_string(),
                tags: Vec::new(),
            },
            tags,
            touched: 0,
        });
    }

    fn check(&mut self, check: &ServiceCheck<'_>, tags: Box<str>, time_unix_us: u64) {
        let key = format!("{}\n{tags}", check.name);
        if self.checks.len() >= CHECKS_MAX && !self.checks.contains_key(&*key) {
            let last_to_go = quietest(self.checks.values().map(|check| check.touched));
            let before = self.checks.len();
            self.checks.retain(|_, check| check.touched > last_to_go);
            self.let_go += (before - self.checks.len()) as u64;
        }
        self.checks_seen += 1;
        let row = CheckRow {
            time_unix_us,
            name: check.name.to_string(),
            status: check.status.name(),
            message: check.message.to_string(),
            tags: Vec::new(),
        };
        let touched = self.checks_seen;
        let check = Tagged { row, tags, touched };
        self.checks.insert(key.into(), check);
    }
}

/// Sorted; no line of a datagram holds a line break, so it can be taken apart again.
fn joined(tags: &[&str]) -> Box<str> {
    let mut tags = tags.to_vec();
    tags.sort_unstable();
    tags.join("\n").into()
}

fn split(tags: &str) -> Vec<String> {
    let tags = tags.split('\n').filter(|tag| !tag.is_empty());
    tags.map(str::to_string).collect()
}

/// Rows as far as they fit, and how many did not.
fn bounded<T, R>(
    held: impl ExactSizeIterator<Item = T>,
    row: impl Fn(T) -> (R, usize),
) -> (Vec<R>, u64) {
    let (all, mut bytes) = (held.len(), 0);
    let fitting = held.map(row).take_while(|(_, row_bytes)| {
        bytes += row_bytes + size_of::<R>();
        bytes <= OTHERS_SHOWN_BYTES_MAX
    });
    let rows: Vec<R> = fitting.map(|(row, _)| row).collect();
    let left_out = (all - rows.len()) as u64;
    (rows, left_out)
}

/// A context's key is its name, its sorted tags and its type, a line each.
fn key_fits(key: &str, which: &Which) -> bool {
    let (known_by, kind) = key.rsplit_once('\n').unwrap_or((key, ""));
    let mut parts = known_by.split('\n');
    which.fits(parts.next().unwrap_or(""), kind, parts)
}

fn row_fits(row: &MetricRow, which: &Which) -> bool {
    which.fits(&row.name, &row.kind, row.tags.iter().map(String::as_str))
}

fn row_bytes(row: &MetricRow) -> usize {
    let texts = row.name.len() + tags_bytes(&row.tags) + tags_bytes(&row.members);
    let numbers = row.history.len() * size_of::<f64>() + row.aggregates.len() * 24;
    let explained = row.explained.as_ref().map_or(0, explained_bytes);
    let scraped = row.scraped.as_ref().map_or(0, scraped_bytes);
    size_of::<MetricRow>() + texts + numbers + explained + scraped
}

fn scraped_bytes(scraped: &Scraped) -> usize {
    let beside = scraped
        .beside
        .as_ref()
        .map_or(0, |beside| beside.name.len());
    scraped.family.len() + scraped.sent_as.len() + scraped.distribution.len() + beside
}

fn explained_bytes(explained: &Explained) -> usize {
    let lines = explained.lines.iter().map(|line| line.text.len() + 48);
    let bucket = |of: &MetricBucket| tags_bytes(&of.members) + of.aggregates.len() * 24;
    let finished = explained.finished.as_ref().map_or(0, bucket);
    lines.sum::<usize>() + bucket(&explained.current) + finished
}

/// A text of its own costs about as much again as a short tag.
fn tags_bytes(tags: &[String]) -> usize {
    tags.iter().map(|tag| tag.len() + 48).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::decode::{datagram_lines, exposition};

    const LIMITS: Limits = Limits {
        contexts_max: 10,
        bytes_max: 32 << 20,
        members_max: 10,
        values_max: 10,
    };

    fn take(metrics: &mut Metrics, lines: &str) -> Vec<Taken> {
        let read = datagram_lines(lines.as_bytes());
        let mut take = |(line, message)| {
            let time_unix_us = 7;
            metrics.take(&message, Received { line, time_unix_us })
        };
        read.map(|read| take(read.unwrap())).collect()
    }

    #[test]
    fn metrics_are_sorted_and_events_and_checks_kept() {
        let mut metrics = Metrics::new(LIMITS);
        let lines = "b:1|c\na:1|ms\n_e{1,1}:x|y|t:error|#b,a\n_sc|db|2|m:down\n_sc|db|0\n";
        let taken = take(&mut metrics, lines);
        metrics.series.take("u", &exposition("c 1\n").unwrap(), 7);
        let view = metrics.view(7);
        let names: Vec<&str> = view.rows.iter().map(|row| &*row.name).collect();
        assert_eq!((names, metrics.count()), (vec!["a", "b", "c"], 3));
        assert_eq!(taken.iter().map(|taken| taken.samples).sum::<u64>(), 5);
        assert_eq!(
            (view.rows[0].unit, &*view.events[0].alert_type),
            ("millisecond", "error")
        );
        assert_eq!(view.events[0].tags, ["a", "b"]);
        assert_eq!((view.checks.len(), view.checks[0].status), (1, "ok"));
        assert_eq!((view.overflow, &view.checks[0].tags), (0, &Vec::new()));
    }

    #[test]
    fn one_metric_can_be_asked_for_alone() {
        let mut metrics = Metrics::new(LIMITS);
        take(&mut metrics, "a:1|c|#y,x\na:1|c\na:1|g\nab:1|c\n_sc|db|0");
        metrics.series.take("u", &exposition("a 1\n").unwrap(), 7);
        let shown = |query: &[(&str, &str)]| {
            let which = Which::of(|key| {
                let pair = query.iter().find(|(name, _)| *name == key);
                pair.map(|(_, value)| value.to_string())
            });
            let view = metrics.explain(7, &which);
            assert_eq!(view.overflow, 0, "what is not asked for is not left out");
            assert_eq!(view.checks.len(), usize::from(query.is_empty()));
            let explained = view.rows.iter().filter(|row| row.explained.is_some());
            (view.rows.len(), explained.count())
        };
        assert_eq!(shown(&[]), (5, 4));
        assert_eq!(
            shown(&[("name", "a")]),
            (4, 3),
            "whole names, of both kinds"
        );
        assert_eq!(shown(&[("name", "a"), ("type", "count")]), (2, 2));
        assert_eq!(shown(&[("name", "a"), ("tags", "x,y")]), (1, 1));
        assert_eq!(
            shown(&[("name", "a"), ("type", "count"), ("tags", "")]),
            (1, 1)
        );
        assert_eq!(shown(&[("name", "none")]), (0, 0));
        let bare = metrics
            .view(7)
            .rows
            .into_iter()
            .all(|row| row.explained.is_none());
        assert!(bare, "the list goes without");
    }

    #[test]
    fn events_and_checks_have_a_bound_in_bytes() {
        #[track_caller]
        fn check(rule: &str, line: &str, kept: bool) {
            let mut metrics = Metrics::new(LIMITS);
            let taken = take(&mut metrics, line)[0];
            let view = metrics.view(7);
            assert_eq!(
                view.events.len() + view.checks.len(),
                usize::from(kept),
                "{rule}"
            );
            assert_eq!(taken.too_long_bytes.is_none(), kept, "{rule}");
            assert_eq!(
                (view.overflow, metrics.evicted().0),
                (u64::from(!kept), u64::from(!kept)),
                "{rule}"
            );
        }
        let long = |bytes| "x".repeat(bytes);
        let limit = LINE_BYTES_MAX;
        check(
            "a check at the limit",
            &format!("_sc|db|0|#{}", long(limit - 2)),
            true,
        );
        check("one over", &format!("_sc|db|0|#{}", long(limit - 1)), false);
        check("its message", &format!("_sc|db|0|m:{}", long(limit)), false);
        let event = |text: usize| format!("_e{{1,{text}}}:t|{}", long(text));
        check("an event at the limit", &event(limit - 1), true);
        check("one over", &event(limit), false);
    }

    #[test]
    fn new_checks_are_heard_when_there_are_too_many() {
        let mut metrics = Metrics::new(LIMITS);
        for n in 0..2_000 {
            take(&mut metrics, &format!("_sc|flood{n}|0\n_sc|busy|0"));
        }
        take(&mut metrics, "_sc|new|2");
        let names: Vec<String> = (metrics.view(7).checks.into_iter())
            .map(|row| row.name)
            .collect();
        assert!(names.len() <= CHECKS_MAX);
        for name in ["busy", "new", "flood1999"] {
            assert!(names.contains(&name.to_string()), "{name}");
        }
    }

    #[test]
    fn a_view_is_bounded_and_says_what_it_leaves_out() {
        let mut metrics = Metrics::new(Limits {
            contexts_max: 20_000,
            ..LIMITS
        });
        for n in 0..ROWS_SHOWN_MAX + 7 {
            take(&mut metrics, &format!("n{n}:1|g"));
        }
        let view = metrics.view(7);
        assert_eq!(
            (view.rows.len(), view.overflow),
            (ROWS_SHOWN_MAX, 7),
            "rows"
        );
        let mut metrics = Metrics::new(Limits {
            contexts_max: 20_000,
            ..LIMITS
        });
        let long: String = (0..1_500).map(|n| format!("{n:04},")).collect();
        for n in 0..200 {
            take(&mut metrics, &format!("a{n}:1|g|#{long}\nb{n}:1|g"));
        }
        let view = metrics.view(7);
        let short = view.rows.iter().filter(|row| row.tags.is_empty()).count();
        assert_eq!(short, 200, "long rows do not hide short ones");
        assert!((10..100).contains(&(view.rows.len() - short)));
        assert_eq!(view.rows.len() as u64 + view.overflow, 400);
        let mut metrics = Metrics::new(LIMITS);
        let tags = "t,".repeat(1_300);
        for n in 0..100 {
            take(
                &mut metrics,
                &format!("_e{{1,1}}:t|x|#{tags}\n_sc|{n}|0|#{tags}"),
            );
        }
        let view = metrics.view(7);
        let shown = view.events.len() + view.checks.len();
        assert!((2..200).contains(&shown), "{shown}");
        assert_eq!(shown as u64 + view.overflow, 200, "bytes");
    }
}
