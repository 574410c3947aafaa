//! What a DogStatsD line may be: a metric, an event or a service check.

use std::borrow::Cow;

/// One line of a datagram.
#[derive(Clone, Debug, PartialEq)]
pub enum Message<'a> {
    /// `name:value|type...`
    Metric(Metric<'a>),
    /// `_e{...}:...`
    Event(Event<'a>),
    /// `_sc|...`
    Check(ServiceCheck<'a>),
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `c`
    Count,
    /// `g`
    Gauge,
    /// `ms`
    Timing,
    /// `h`
    Histogram,
    /// `d`
    Distribution,
    /// `s`
    Set,
}

impl Kind {
    /// Its name in full.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Count => "count",
            Kind::Gauge => "gauge",
            Kind::Timing => "timing",
            Kind::Histogram => "histogram",
            Kind::Distribution => "distribution",
            Kind::Set => "set",
        }
    }
}

/// Values of one line.
#[derive(Clone, Debug, PartialEq)]
pub enum Values<'a> {
    /// One or (since v1.1) many numbers.
    Numbers(Vec<f64>),
    /// One member of a set, whole: it may hold colons.
    Member(&'a str),
}

/// One metric line.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric<'a> {
    /// Before the first colon.
    pub name: &'a str,
    /// Its type.
    pub kind: Kind,
    /// Its values.
    pub values: Values<'a>,
    /// `@`; 1 where it is absent, and where it is 0 or means nothing.
    pub rate: f64,
    /// `#`, split at commas, in the order received.
    pub tags: Vec<&'a str>,
    /// `c:`, v1.2.
    pub container: Option<&'a str>,
    /// `e:`, v1.5.
    pub external: Option<&'a str>,
    /// `T`, Unix seconds, v1.3; counts and gauges only.
    pub timestamp: Option<i64>,
    /// `card:`, v1.6.
    pub cardinality: Option<&'a str>,
}

/// An event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event<'a> {
    /// Its title, line breaks restored.
    pub title: Cow<'a, str>,
    /// Its text, line breaks restored.
    pub text: Cow<'a, str>,
    /// `d:`, Unix seconds.
    pub timestamp: Option<i64>,
    /// `h:`
    pub hostname: &'a str,
    /// `k:`
    pub aggregation_key: &'a str,
    /// `p:`, `normal` or `low`.
    pub priority: &'a str,
    /// `t:`, `info` if absent.
    pub alert_type: &'a str,
    /// `s:`
    pub source: &'a str,
    /// `#`
    pub tags: Vec<&'a str>,
}

/// Status of a service check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckStatus {
    /// 0
    Ok,
    /// 1
    Warning,
    /// 2
    Critical,
    /// 3
    Unknown,
}

impl CheckStatus {
    /// Its name in full.
    pub fn name(self) -> &'static str {
        match self {
            CheckStatus::Ok => "ok",
            CheckStatus::Warning => "warning",
            CheckStatus::Critical => "critical",
            CheckStatus::Unknown => "unknown",
        }
    }
}

/// A service check.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceCheck<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its status.
    pub status: CheckStatus,
    /// `d:`, Unix seconds.
    pub timestamp: Option<i64>,
    /// `h:`
    pub hostname: &'a str,
    /// `m:`, as it came: the Agent undoes neither `\n` nor `m\:`.
    pub message: &'a str,
    /// `#`
    pub tags: Vec<&'a str>,
}
