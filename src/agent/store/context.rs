//! One DogStatsD context: its points, its bucket, what it costs.

use super::bucket::{BUCKET_SECONDS, Bucket, MEMBERS_SHOWN_MAX, Summary};
use super::contexts::Limits;
use super::history::History;
use super::lines::{Lines, Received};
use crate::agent::decode::{Kind, Metric, Values};
use crate::agent::view::{Explained, MetricRow};

/// Slot of the map, of which half may be spare, and what the allocator adds to the key.
const OVERHEAD_BYTES: usize = 2 * size_of::<(Box<str>, Context)>() + 16;

#[derive(Debug)]
pub(crate) struct Context {
    kind: Kind,
    points: u64,
    value: f64,
    /// Start of the bucket in Unix seconds.
    start: u64,
    bucket: Bucket,
    /// Samples in it; a point with a time of its own is none.
    samples: u64,
    /// The last one of which the Agent sends something.
    finished: Option<Summary>,
    lines: Lines,
    history: History,
    last_seen_unix_us: u64,
    /// Order of the newest point among those of all contexts.
    pub(crate) touched: u64,
}

/// What the buckets of all contexts may still hold.
pub(crate) struct Room<'h> {
    pub(crate) limits: Limits,
    pub(crate) held: &'h mut usize,
}

impl Room<'_> {
    fn is_left(&self, bucket_held: usize, bucket_max: usize) -> bool {
        bucket_held < bucket_max && *self.held < self.limits.held_max()
    }
}

/// What a context is known by, as one text: name, sorted tags, type, a line each. No line of a
/// datagram holds a line break, so it can be taken apart again.
pub(crate) fn write_key(key: &mut String, metric: &Metric<'_>) {
    let mut tags = metric.tags.clone();
    tags.sort_unstable();
    tags.dedup();
    key.clear();
    key.push_str(metric.name);
    for tag in tags.into_iter().chain([metric.kind.name()]) {
        key.push('\n');
        key.push_str(tag);
    }
}

impl Context {
    pub(crate) fn new(kind: Kind) -> Context {
        Context {
            kind,
            points: 0,
            value: 0.0,
            start: 0,
            bucket: Bucket::new(kind),
            samples: 0,
            finished: None,
            lines: Lines::default(),
            history: History::default(),
            last_seen_unix_us: 0,
            touched: 0,
        }
    }

    /// Bytes that it holds, its key included.
    pub(crate) fn weight(&self, key: &str) -> usize {
        OVERHEAD_BYTES
            + key.len()
            + self.bucket.bytes()
            + self.finished.as_ref().map_or(0, Summary::bytes)
            + self.lines.bytes()
            + self.history.bytes()
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The last value; of a count the sum since it is held.
    pub(crate) fn value(&self) -> f64 {
        self.value
    }

    /// Points since it is held.
    pub(crate) fn points(&self) -> u64 {
        self.points
    }

    /// Values and members of its bucket.
    pub(crate) fn held(&self) -> usize {
        self.bucket.held()
    }

    /// Closes the bucket if `second` lies behind it.
    pub(crate) fn roll(&mut self, second: u64, held: &mut usize) {
        let start = bucket_start(second);
        if start <= self.start {
            return;
        }
        if let Some(closed) = self.closed(start) {
            self.finished = Some(closed);
        }
        *held -= self.bucket.held();
        self.bucket = Bucket::new(self.kind);
        self.samples = 0;
        self.start = start;
    }

    /// What the bucket leaves behind if one that begins at `start` comes after it.
    fn closed(&self, start: u64) -> Option<Summary> {
        if start <= self.start {
            return None;
        }
        let follows = start == self.start + BUCKET_SECONDS;
        match self.kind {
            // The Agent goes on sending 0 for a count that is quiet; the others just end.
            Kind::Count if self.points > 0 && !(follows && self.samples > 0) => {
                let quiet = Bucket::new(self.kind);
                Some(quiet.summary(self.kind, start - BUCKET_SECONDS, 0))
            }
            _ if self.samples > 0 => Some(self.bucket.summary(self.kind, self.start, self.samples)),
            _ => None,
        }
    }

    pub(crate) fn take(
        &mut self,
        metric: &Metric<'_>,
        received: Received<'_>,
        room: &mut Room<'_>,
    ) {
        let time_unix_us = received.time_unix_us;
        self.last_seen_unix_us = time_unix_us;
        self.lines.push(received);
        match &metric.values {
            Values::Member(member) => {
                self.points += 1;
                self.samples += 1;
                let before = self.bucket.held();
                self.bucket
                    .member(member, room.is_left(before, room.limits.members_max));
                *room.held += self.bucket.held() - before;
                self.value = self.bucket.held() as f64;
                self.history.set(time_unix_us / 1_000_000, self.value);
            }
            Values::Numbers(numbers) => {
                for number in numbers {
                    self.number(*number, metric, room);
                }
            }
        }
    }

    fn number(&mut self, number: f64, metric: &Metric<'_>, room: &mut Room<'_>) {
        let (weight, second) = (weight(metric), self.last_seen_unix_us / 1_000_000);
        self.points += 1;
        // A point with a time of its own passes the Agent's aggregation by.
        if metric.timestamp.is_none() {
            self.samples += 1;
            let before = self.bucket.held();
            let is_left = room.is_left(before, room.limits.values_max);
            self.bucket.number(number, weight, is_left);
            *room.held += self.bucket.held() - before;
        }
        if self.kind == Kind::Count {
            self.value += number * weight;
            self.history.add(second, number * weight);
        } else {
            self.value = number;
            self.history.set(second, number);
        }
    }

    /// `explain`: with how it came about.
    pub(crate) fn row(&self, key: &str, second: u64, explain: bool) -> MetricRow {
        let closed = self.closed(bucket_start(second));
        let finished = closed.as_ref().or(self.finished.as_ref());
        let mut members = self.bucket.members().to_vec();
        members.extend(finished.iter().flat_map(|f| f.members.texts().to_vec()));
        members.sort();
        members.dedup();
        members.truncate(MEMBERS_SHOWN_MAX);
        let (known_by, _kind) = key.rsplit_once('\n').unwrap_or((key, ""));
        let mut parts = known_by.split('\n').map(str::to_string);
        let name = parts.next().unwrap_or_default();
        MetricRow {
            source: "dogstatsd",
            kind: self.kind.name().to_string(),
            tags: parts.collect(),
            points: self.points,
            value: self.value,
            aggregates: match finished {
                Some(finished) => finished.aggregates.clone(),
                None => self.bucket.aggregates(self.kind),
            },
            members,
            history: self.history.view(),
            last_seen_unix_us: self.last_seen_unix_us,
            unit: if self.kind == Kind::Timing {
                "millisecond"
            } else {
                unit(&name)
            },
            name,
            explained: explain.then(|| Explained {
                lines: self.lines.view(),
                current: self.current(second).view(),
                finished: finished.map(Summary::view),
            }),
            scraped: None,
        }
    }

    /// The bucket that `second` lies in; empty where nothing has come since the last one.
    fn current(&self, second: u64) -> Summary {
        let start = bucket_start(second).max(self.start);
        match start == self.start {
            true => self.bucket.summary(self.kind, start, self.samples),
            false => Bucket::new(self.kind).summary(self.kind, start, 0),
        }
    }
}

fn bucket_start(second: u64) -> u64 {
    second - second % BUCKET_SECONDS
}

/// Samples that one stands for. A gauge and a set take no rate; a count with a time of its own
/// neither (metric codec of the Agent's data plane).
pub(crate) fn weight(metric: &Metric<'_>) -> f64 {
    match metric.kind {
        Kind::Gauge | Kind::Set => 1.0,
        Kind::Count if metric.timestamp.is_some() => 1.0,
        _ => 1.0 / metric.rate,
    }
}

/// What a name's ending says of its unit.
pub(crate) fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    let name = ["_bucket", "_sum"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name);
    let last = name.rsplit(['_', '.']).next().unwrap_or("");
    match last {
        "seconds" => "second",
        "milliseconds" | "ms" => "millisecond",
        "bytes" => "byte",
        "ratio" => "fraction",
        "percent" => "percent",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_names_ending_tells_its_unit() {
        for (name, expected) in [
            ("process_cpu_seconds_total", "second"),
            ("request_latency_seconds_bucket", "second"),
            ("heap_bytes", "byte"),
            ("op.ms", "millisecond"),
            ("hits", ""),
            ("", ""),
        ] {
            assert_eq!(unit(name), expected, "{name}");
        }
    }
}
