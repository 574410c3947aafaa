//! DogStatsD: each type on a metric of its name, with optional `?tags=a:b,c:d&rate=0.5`.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::api::segment::{number, signed, whole_asked};
use crate::api::{Fault, Refusal, Services};
use crate::dogstatsd::{Event, Sample, ServiceCheck, Status};
use crate::server::{Params, Reply, Request};

/// Longest timing, in milliseconds: a day.
const TIMER_MS_MAX: f64 = 86_400_000.0;
/// Most samples that one request asks for.
const SAMPLES_MAX: u64 = 100;

/// What the query adds to a sample.
struct Extras {
    tags: Vec<(String, String)>,
    rate: Option<f64>,
}

impl Extras {
    fn of(request: &Request) -> Result<Extras, Refusal> {
        let tags = request.query_value("tags").unwrap_or_default();
        let rate = match request.query_value("rate") {
            None => None,
            Some(text) => match text.parse() {
                Ok(rate) if rate > 0.0 && rate <= 1.0 => Some(rate),
                _ => {
                    return Err(Refusal::segment(
                        "rate",
                        &text,
                        "a number over 0 and up to 1",
                    ));
                }
            },
        };
        let tags = tags
            .split(',')
            .filter(|tag| !tag.is_empty())
            .map(|tag| tag.split_once(':').unwrap_or((tag, "")))
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect();
        Ok(Extras { tags, rate })
    }

    fn pairs(&self) -> Vec<(&str, &str)> {
        self.tags
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect()
    }

    fn texts(&self) -> Vec<String> {
        let tags = self.tags.iter().map(|(key, value)| match value.as_str() {
            "" => key.clone(),
            value => format!("{key}:{value}"),
        });
        tags.collect()
    }
}

#[derive(Serialize)]
struct Said<'a> {
    emitted: &'a str,
    metric: &'a str,
    value: Value,
    tags: Vec<String>,
    rate: Option<f64>,
    taken: bool,
}

/// Sends the sample with what the query adds, and says so.
fn emit(
    services: &Services,
    request: &Request,
    sample: Sample<'_>,
    (kind, metric, value): (&str, &str, Value),
) -> Result<Reply, Fault> {
    let extras = Extras::of(request)?;
    let pairs = extras.pairs();
    let mut sample = sample.tags(&pairs);
    if let Some(rate) = extras.rate {
        sample = sample.rate(rate);
    }
    let taken = services.statsd_enabled & taken(services.statsd.offer(&sample))?;
    let said = Said {
        emitted: kind,
        metric,
        value,
        tags: extras.texts(),
        // A gauge or a set has no rate on the wire, whatever was asked for.
        rate: extras.rate.filter(|_| !matches!(kind, "gauge" | "set")),
        taken,
    };
    Ok(Reply::json(200, &said))
}

/// A sample that the client refuses as wrong is the caller's mistake; one that was dropped is counted
/// there and no reason to fail a request.
fn taken(outcome: Result<(), crate::dogstatsd::Error>) -> Result<bool, Fault> {
    match outcome {
        Ok(()) => Ok(true),
        Err(crate::dogstatsd::Error::Dropped(_)) => Ok(false),
        Err(error) => Err(Refusal::because(&error.to_string()).into()),
    }
}

pub(in crate::api) fn increment(s: &Services, r: &Request, p: &Params) -> Result<Reply, Fault> {
    let value = signed(p, "value")?;
    emit(
        s,
        r,
        Sample::count("testapi.count", value),
        ("count", "testapi.count", json!(value)),
    )
}

pub(in crate::api) fn decrement(s: &Services, r: &Request, p: &Params) -> Result<Reply, Fault> {
    let value = signed(p, "value")?.saturating_neg();
    emit(
        s,
        r,
        Sample::count("testapi.count", value),
        ("count", "testapi.count", json!(value)),
    )
}

pub(in crate::api) fn gauge(s: &Services, r: &Request, p: &Params) -> Result<Reply, Fault> {
    let value = number(p, "value")?;
    emit(
        s,
        r,
        Sample::gauge("testapi.gauge", value),
        ("gauge", "testapi.gauge", json!(value)),
    )
}

/// `?times=N` offers the member N times, `?different=N` each of `<member>-1` to `<member>-N` once.
pub(in crate::api) fn set(s: &Services, r: &Request, p: &Params) -> Result<Reply, Fault> {
    let member = p.value("member");
    let asked = |name| whole_asked(r, name, 1, SAMPLES_MAX);
    match (asked("times")?, asked("different")?) {
        (None, None) => {
            let sample = Sample::set("testapi.set", member);
            emit(s, r, sample, ("set", "testapi.set", json!(member)))
        }
        (Some(times), None) => emit_members(s, r, &[member.to_string()], times),
        (None, Some(different)) => {
            let members = (1..=different).map(|n| format!("{member}-{n}"));
            emit_members(s, r, &members.collect::<Vec<_>>(), 1)
        }
        (Some(_), Some(different)) => {
            let (got, takes) = (
                different.to_string(),
                "one of times and different, not both",
            );
            Err(Refusal::segment("different", &got, takes).into())
        }
    }
}

#[derive(Serialize)]
struct SaidMembers<'a> {
    emitted: &'static str,
    metric: &'static str,
    members: &'a [String],
    /// Of each member.
    times: u64,
    tags: Vec<String>,
    /// A set has none.
    rate: Option<f64>,
    /// Samples that the client took.
    taken: u64,
}

fn emit_members(
    services: &Services,
    request: &Request,
    members: &[String],
    times: u64,
) -> Result<Reply, Fault> {
    let extras = Extras::of(request)?;
    let pairs = extras.pairs();
    let mut count = 0;
    // The last is the longest: if one is refused it is that, and nothing was sent.
    for member in members.iter().rev() {
        let sample = Sample::set("testapi.set", member).tags(&pairs);
        let sample = sample.rate(extras.rate.unwrap_or(1.0));
        for _ in 0..times {
            count += u64::from(services.statsd_enabled & taken(services.statsd.offer(&sample))?);
        }
    }
    let said = SaidMembers {
        emitted: "set",
        metric: "testapi.set",
        members,
        times,
        tags: extras.texts(),
        rate: None,
        taken: count,
    };
    Ok(Reply::json(200, &said))
}

pub(in crate::api) fn histogram(s: &Services, r: &Request, p: &Params) -> Result<Reply, Fault> {
    let value = number(p, "value")?;
    let sample = Sample::histogram("testapi.histogram", value);
    emit(
        s,
        r,
        sample,
        ("histogram", "testapi.histogram", json!(value)),
    )
}

pub(in crate::api) fn distribution(s: &Services, r: &Request, p: &Params) -> Result<Reply, Fault> {
    let value = number(p, "value")?;
    let sample = Sample::distribution("testapi.distribution", value);
    emit(
        s,
        r,
        sample,
        ("distribution", "testapi.distribution", json!(value)),
    )
}

pub(in crate::api) fn timer(s: &Services, r: &Request, p: &Params) -> Result<Reply, Fault> {
    let ms = number(p, "ms")?;
    if !(0.0..=TIMER_MS_MAX).contains(&ms) {
        let takes = format!("milliseconds from 0 to {TIMER_MS_MAX}");
        return Err(Refusal::segment("ms", p.value("ms"), takes).into());
    }
    let sample = Sample::timing("testapi.timing", Duration::from_secs_f64(ms / 1_000.0));
    emit(s, r, sample, ("timing", "testapi.timing", json!(ms)))
}

pub(in crate::api) fn event(s: &Services, r: &Request, p: &Params) -> Result<Reply, Fault> {
    let title = p.value("title");
    let extras = Extras::of(r)?;
    let pairs = extras.pairs();
    let text = "asked for by /sdmetrics/event";
    let taken = s.statsd_enabled
        & taken(s.statsd.event(&Event {
            tags: &pairs,
            ..Event::new(title, text)
        }))?;
    Ok(Reply::json(
        200,
        &json!({ "emitted": "event", "title": title, "text": text, "taken": taken }),
    ))
}

pub(in crate::api) fn check(s: &Services, r: &Request, p: &Params) -> Result<Reply, Fault> {
    let word = p.value("status");
    let status = match word {
        "ok" => Status::Ok,
        "warning" => Status::Warning,
        "critical" => Status::Critical,
        "unknown" => Status::Unknown,
        _ => {
            return Err(
                Refusal::segment("status", word, "ok, warning, critical or unknown").into(),
            );
        }
    };
    let extras = Extras::of(r)?;
    let pairs = extras.pairs();
    let check = ServiceCheck {
        message: "asked for by /sdmetrics/check",
        tags: &pairs,
        ..ServiceCheck::new("testapi.check", status)
    };
    let taken = s.statsd_enabled & taken(s.statsd.check(&check))?;
    Ok(Reply::json(
        200,
        &json!({ "emitted": "service check", "name": "testapi.check", "status": word, "taken": taken }),
    ))
}
