//! Both kinds of metrics together, with events and service checks.

use std::collections::{BTreeMap, VecDeque};

use super::contexts::{Contexts, Limits};
use super::series::AllSeries;
use crate::agent::decode::{Event, Message, ServiceCheck};
use crate::agent::view::{self, CheckRow, EventRow};

const EVENTS_MAX: usize = 100;
const CHECKS_MAX: usize = 500;

/// Contexts, series, events, checks.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) contexts: Contexts,
    pub(crate) series: AllSeries,
    events: VecDeque<EventRow>,
    checks: BTreeMap<String, CheckRow>,
}

impl Metrics {
    pub(crate) fn new(limits: Limits) -> Metrics {
        Metrics {
            contexts: Contexts::new(limits),
            series: AllSeries::new(limits.contexts_max),
            events: VecDeque::new(),
            checks: BTreeMap::new(),
        }
    }

    /// Takes one line; tells how many samples it held.
    pub(crate) fn take(&mut self, message: &Message<'_>, time_unix_us: u64) -> u64 {
        match message {
            Message::Metric(metric) => return self.contexts.take(metric, time_unix_us),
            Message::Event(event) => self.event(event, time_unix_us),
            Message::Check(check) => self.check(check, time_unix_us),
        }
        1
    }

    /// What was not kept because a bound was reached.
    pub(crate) fn evicted(&self) -> (u64, u64) {
        (self.contexts.evicted_samples(), self.series.evicted())
    }

    pub(crate) fn count(&self) -> u64 {
        self.contexts.count() + self.series.count()
    }

    pub(crate) fn view(&self, now_unix_us: u64) -> view::Metrics {
        let mut rows = self.contexts.rows(now_unix_us);
        rows.extend(self.series.rows());
        rows.sort_by(|a, b| {
            (a.source, &a.name, &a.tags, &a.kind).cmp(&(b.source, &b.name, &b.tags, &b.kind))
        });
        view::Metrics {
            rows,
            overflow: self.contexts.overflow() + self.series.overflow(),
            events: self.events.iter().cloned().collect(),
            checks: self.checks.values().cloned().collect(),
        }
    }

    fn event(&mut self, event: &Event<'_>, time_unix_us: u64) {
        self.events.truncate(EVENTS_MAX - 1);
        self.events.push_front(EventRow {
            time_unix_us,
            title: event.title.to_string(),
            text: event.text.to_string(),
            alert_type: event.alert_type.to_string(),
            tags: owned(&event.tags),
        });
    }

    fn check(&mut self, check: &ServiceCheck<'_>, time_unix_us: u64) {
        let tags = owned(&check.tags);
        let key = format!("{} {tags:?}", check.name);
        if self.checks.len() >= CHECKS_MAX && !self.checks.contains_key(&key) {
            return;
        }
        let row = CheckRow {
            time_unix_us,
            name: check.name.to_string(),
            status: check.status.name(),
            message: check.message.to_string(),
            tags,
        };
        self.checks.insert(key, row);
    }
}

fn owned(tags: &[&str]) -> Vec<String> {
    let mut tags: Vec<String> = tags.iter().map(|tag| tag.to_string()).collect();
    tags.sort();
    tags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::decode::{datagram, exposition};

    #[test]
    fn metrics_are_sorted_and_events_and_checks_kept() {
        let limits = Limits {
            contexts_max: 10,
            members_max: 10,
            values_max: 10,
        };
        let mut metrics = Metrics::new(limits);
        let lines = b"b:1|c\na:1|ms\n_e{1,1}:x|y|t:error\n_sc|db|2|m:down\n_sc|db|0\n";
        let points: u64 = datagram(lines).map(|m| metrics.take(&m.unwrap(), 7)).sum();
        metrics.series.take("u", &exposition("c 1\n").unwrap(), 7);
        let view = metrics.view(7);
        let names: Vec<&str> = view.rows.iter().map(|row| &*row.name).collect();
        assert_eq!(
            (points, names, metrics.count()),
            (5, vec!["a", "b", "c"], 3)
        );
        assert_eq!(
            (view.rows[0].unit, &*view.events[0].alert_type),
            ("millisecond", "error")
        );
        assert_eq!((view.checks.len(), view.checks[0].status), (1, "ok"));
    }
}
