//! One measurement as the caller says it, and its context.

use std::time::Duration;

use super::known::{Call, Point};
use super::tags::GlobalTags;
use super::{Error, clean};

/// Type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Added up; the Agent makes a rate per second of it.
    Count,
    /// The last value counts.
    Gauge,
    /// How many different members there were.
    Set,
    /// Average, median, maximum, count and 95th percentile, made by the Agent.
    Histogram,
    /// Percentiles over all hosts, made by the backend.
    Distribution,
    /// A histogram of milliseconds.
    Timing,
}

impl Kind {
    /// In the order of their numbers.
    pub(super) const ALL: [Kind; 6] = [
        Kind::Count,
        Kind::Gauge,
        Kind::Set,
        Kind::Histogram,
        Kind::Distribution,
        Kind::Timing,
    ];

    /// The word that datadog-go has for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Count => "count",
            Kind::Gauge => "gauge",
            Kind::Set => "set",
            Kind::Histogram => "histogram",
            Kind::Distribution => "distribution",
            Kind::Timing => "timing",
        }
    }

    /// The letters on the wire (Datadog docs, "Datagram format").
    pub(super) fn letters(self) -> &'static str {
        match self {
            Kind::Count => "c",
            Kind::Gauge => "g",
            Kind::Set => "s",
            Kind::Histogram => "h",
            Kind::Distribution => "d",
            Kind::Timing => "ms",
        }
    }

    /// Whether the Agent applies a sample rate; for gauges and sets it means nothing.
    fn takes_rate(self) -> bool {
        !matches!(self, Kind::Gauge | Kind::Set)
    }
}

/// One measurement: made by one of six functions, then given tags, a rate, a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    kind: Kind,
    name: &'a str,
    value: Raw<'a>,
    tags: &'a [(&'a str, &'a str)],
    rate: f64,
    unix_s: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Raw<'a> {
    Whole(i64),
    Number(f64),
    Member(&'a str),
}

impl<'a> Sample<'a> {
    /// Adds `value` to a count.
    pub fn count(name: &'a str, value: i64) -> Sample<'a> {
        Sample::new(Kind::Count, name, Raw::Whole(value))
    }

    /// Sets a gauge.
    pub fn gauge(name: &'a str, value: f64) -> Sample<'a> {
        Sample::new(Kind::Gauge, name, Raw::Number(value))
    }

    /// Puts a member into a set.
    pub fn set(name: &'a str, member: &'a str) -> Sample<'a> {
        Sample::new(Kind::Set, name, Raw::Member(member))
    }

    /// One value of a histogram.
    pub fn histogram(name: &'a str, value: f64) -> Sample<'a> {
        Sample::new(Kind::Histogram, name, Raw::Number(value))
    }

    /// One value of a distribution.
    pub fn distribution(name: &'a str, value: f64) -> Sample<'a> {
        Sample::new(Kind::Distribution, name, Raw::Number(value))
    }

    /// How long something took; always written in milliseconds.
    pub fn timing(name: &'a str, took: Duration) -> Sample<'a> {
        Sample::new(Kind::Timing, name, Raw::Number(milliseconds(took)))
    }

    fn new(kind: Kind, name: &'a str, value: Raw<'a>) -> Sample<'a> {
        Sample {
            kind,
            name,
            value,
            tags: &[],
            rate: 1.0,
            unix_s: None,
        }
    }

    /// Tags of this sample; they win over the global tags of the same key.
    #[must_use]
    pub fn tags(self, tags: &'a [(&'a str, &'a str)]) -> Sample<'a> {
        Sample { tags, ..self }
    }

    /// Sends only some of the samples, with a rate by which the Agent scales them up again.
    ///
    /// The rate becomes the nearest 1/n, because older Agents cut 1/rate to a whole number. The
    /// client draws the lot. Gauges, sets and timestamped samples are always sent.
    #[must_use]
    pub fn rate(self, rate: f64) -> Sample<'a> {
        Sample { rate, ..self }
    }

    /// When it was measured, in seconds since 1970: the Agent then takes a count or gauge as it
    /// is, past its aggregation.
    #[must_use]
    pub fn at_unix_s(self, unix_s: u64) -> Sample<'a> {
        Sample {
            unix_s: Some(unix_s),
            ..self
        }
    }

    /// The call as it was said, if it is one that a table of known series can add to.
    pub(super) fn call(&self) -> Option<Call<'a>> {
        let point = match self.value {
            Raw::Whole(value) => Point::Whole(value),
            Raw::Number(value) if self.kind != Kind::Gauge && value.is_finite() => {
                Point::Number(value)
            }
            Raw::Number(_) | Raw::Member(_) => return None,
        };
        let one_in = self.one_in();
        // A count with a rate travels alone.
        let alone = self.kind == Kind::Count && one_in != 1;
        let fits = self.unix_s.is_none() && self.has_rate() && !alone;
        fits.then_some(Call {
            kind: self.kind,
            one_in,
            name: self.name,
            tags: self.tags,
            point,
        })
    }

    fn has_rate(&self) -> bool {
        self.rate > 0.0 && self.rate <= 1.0
    }

    /// One in how many is sent.
    pub(super) fn one_in(&self) -> u32 {
        let sampled = self.kind.takes_rate() && self.unix_s.is_none() && self.has_rate();
        if sampled && self.rate < 1.0 {
            (1.0 / self.rate).round() as u32
        } else {
            1
        }
    }

    /// Checks and cleans everything, once and for all.
    pub(super) fn prepare(&self, globals: &GlobalTags) -> Result<Prepared, Error> {
        let value = self.checked()?;
        let stamped = matches!(self.kind, Kind::Count | Kind::Gauge);
        if let Some(unix_s) = self.unix_s
            && (unix_s == 0 || !stamped)
        {
            return Err(Error::Timestamp(unix_s));
        }
        if !self.has_rate() {
            return Err(Error::Rate(self.rate));
        }
        let mut context = Context::new(self.kind, self.name, globals.with(self.tags))?;
        context.one_in = self.one_in();
        Ok(Prepared {
            context,
            value,
            unix_s: self.unix_s,
        })
    }

    fn checked(&self) -> Result<Value, Error> {
        match self.value {
            Raw::Whole(value) => Ok(Value::Whole(value)),
            Raw::Number(value) if !value.is_finite() => Err(Error::Value(value)),
            Raw::Number(value) if self.kind == Kind::Gauge => Ok(Value::Last(value)),
            Raw::Number(value) => Ok(Value::Number(value)),
            Raw::Member("") => Err(Error::Member),
            Raw::Member(member) => Ok(Value::Member(clean::field(member).into())),
        }
    }
}

/// Exact to the nanosecond: one division, rounded once.
pub(super) fn milliseconds(took: Duration) -> f64 {
    u64::try_from(took.as_nanos()).map_or_else(|_| took.as_nanos() as f64, |ns| ns as f64) / 1e6
}

/// A sample in order, cleaned, with all its tags.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Prepared {
    pub(super) context: Context,
    pub(super) value: Value,
    pub(super) unix_s: Option<u64>,
}

/// What a series is known by: type, name, sorted tags; and the rate, which a line has but once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Context {
    pub(super) name: Box<str>,
    pub(super) kind: Kind,
    pub(super) tags: Box<str>,
    pub(super) one_in: u32,
}

/// `|@` and the longest 1/n.
const RATE_BYTES_MAX: usize = 2 + 26;

impl Context {
    /// `tags` are those that [`GlobalTags::with`] made.
    pub(super) fn new(kind: Kind, name: &str, tags: String) -> Result<Context, Error> {
        let clean = clean::name(name).ok_or_else(|| Error::Name(name.to_string()))?;
        Ok(Context {
            name: clean.into(),
            kind,
            tags: tags.into(),
            one_in: 1,
        })
    }

    /// Bytes on the heap.
    pub(super) fn weight(&self) -> usize {
        self.name.len() + self.tags.len()
    }

    /// Bytes of the shortest line, `name:value|type|#tags`, without the fields of the origin.
    pub(super) fn line_bytes_min(&self, value_bytes: usize) -> usize {
        let tags = match self.tags.len() {
            0 => 0,
            bytes => "|#".len() + bytes,
        };
        // A line of several values may stand for more, whether or not its samples have a rate.
        let rate = match self.kind {
            Kind::Histogram | Kind::Distribution | Kind::Timing => RATE_BYTES_MAX,
            Kind::Count if self.one_in > 1 => RATE_BYTES_MAX,
            Kind::Count | Kind::Gauge | Kind::Set => 0,
        };
        self.name.len() + ":|".len() + value_bytes + self.kind.letters().len() + rate + tags
    }
}

impl Prepared {
    /// Bytes of the shortest line that it can be in: a sum or another value may be longer.
    pub(super) fn line_bytes_min(&self) -> usize {
        self.context.line_bytes_min(match &self.value {
            Value::Member(member) => member.len(),
            Value::Whole(_) | Value::Last(_) | Value::Number(_) => 1,
        })
    }
}

/// A value that may go on the wire.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Of a count.
    Whole(i64),
    /// Of a gauge.
    Last(f64),
    /// Of a histogram, distribution or timing.
    Number(f64),
    /// Of a set.
    Member(Box<str>),
}
