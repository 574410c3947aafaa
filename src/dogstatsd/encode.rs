//! Values to bytes: pure, one function a kind of message.
//!
//! Fields follow one another as datadog-go writes them: rate, tags, `c:`, `e:`, `T`, `card:`
//! (Datadog docs, "Datagram format and shell usage", protocol 1.0 to 1.6). Every line ends with a
//! newline, the last of a datagram too, so an Agent can tell a torn line.

use std::io::Write;

use super::sample::{Alert, Context, Event, Priority, ServiceCheck};
use super::{Error, clean};
use crate::identity::Identity;

/// One line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Message<'a> {
    /// A metric without its values' type letters; the values must suit the context's kind.
    Metric(&'a Context, Values<'a>, Option<u64>),
    Event(&'a Event<'a>),
    Check(&'a ServiceCheck<'a>),
}

/// What stands between name and type.
#[derive(Clone, Copy, Debug)]
pub(super) enum Values<'a> {
    Whole(i128),
    Numbers(&'a [f64]),
    Member(&'a str),
}

/// How many tags the Agent adds by itself (protocol 1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// No origin tags.
    None,
    /// Those with few values.
    Low,
    /// One value a pod or task.
    Orchestrator,
    /// One value a container.
    High,
}

impl Cardinality {
    fn text(self) -> &'static str {
        match self {
            Cardinality::None => "none",
            Cardinality::Low => "low",
            Cardinality::Orchestrator => "orchestrator",
            Cardinality::High => "high",
        }
    }
}

/// Fields that tell the Agent where a line comes from.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    entity: String,
    external: String,
    cardinality: Option<Cardinality>,
}

impl Origin {
    pub(super) fn of(identity: &Identity, cardinality: Option<Cardinality>) -> Origin {
        let printable = |text: &Option<String>| {
            let text = text.as_deref().unwrap_or_default();
            text.chars()
                .filter(|c| *c != '|' && !c.is_control())
                .collect()
        };
        Origin {
            entity: printable(&identity.entity_id),
            external: printable(&identity.external_env),
            cardinality,
        }
    }

    fn write(&self, out: &mut Vec<u8>, unix_s: Option<u64>) {
        field(out, "c:", &self.entity);
        field(out, "e:", &self.external);
        if let Some(unix_s) = unix_s {
            put(out, format_args!("|T{unix_s}"));
        }
        if let Some(cardinality) = self.cardinality {
            put(out, format_args!("|card:{}", cardinality.text()));
        }
        out.push(b'\n');
    }
}

/// Appends one line. `tags` are the merged ones of an event or check; a metric has its context's.
///
/// # Errors
/// An event without a title or a check without a name, which the Agent would not parse.
pub(super) fn encode(
    out: &mut Vec<u8>,
    message: &Message<'_>,
    tags: &str,
    origin: &Origin,
) -> Result<(), Error> {
    match message {
        Message::Metric(context, values, unix_s) => {
            metric_head(out, context);
            match *values {
                Values::Whole(value) => put(out, format_args!(":{value}")),
                Values::Numbers(values) => values.iter().for_each(|value| number(out, *value)),
                Values::Member(member) => put(out, format_args!(":{member}")),
            }
            metric_tail(out, context, origin, *unix_s);
            Ok(())
        }
        Message::Event(event) if event.title.is_empty() => Err(Error::Title),
        Message::Event(event) => {
            write_event(out, event, tags, origin);
            Ok(())
        }
        Message::Check(check) if check.name.is_empty() => Err(Error::Name(String::new())),
        Message::Check(check) => {
            write_check(out, check, tags, origin);
            Ok(())
        }
    }
}

/// What stands before the first value.
pub(super) fn metric_head(out: &mut Vec<u8>, context: &Context) {
    out.extend_from_slice(context.name.as_bytes());
}

/// What stands after the last value.
pub(super) fn metric_tail(
    out: &mut Vec<u8>,
    context: &Context,
    origin: &Origin,
    unix_s: Option<u64>,
) {
    put(out, format_args!("|{}", context.kind.letters()));
    if context.one_in > 1 {
        put(out, format_args!("|@{}", rate_of(context.one_in)));
    }
    field(out, "#", &context.tags);
    origin.write(out, unix_s);
}

/// `:` and the shortest digits that give the number back, plain from 1e-6 to 1e21.
pub(super) fn number(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    if size == 0.0 {
        out.extend_from_slice(b":0");
    } else if (1e-6..=1e21).contains(&size) {
        put(out, format_args!(":{value}"));
    } else {
        put(out, format_args!(":{value:e}"));
    }
}

/// 1/n, low enough that 1/rate is never below n: older Agents cut it to a whole number.
fn rate_of(one_in: u32) -> f64 {
    let n = f64::from(one_in);
    let rate = 1.0 / n;
    if 1.0 / rate < n {
        rate.next_down()
    } else {
        rate
    }
}

fn write_event(out: &mut Vec<u8>, event: &Event<'_>, tags: &str, origin: &Origin) {
    let title = clean::event_text(event.title);
    let text = clean::event_text(event.text);
    // Lengths are in bytes, after the escaping.
    put(
        out,
        format_args!("_e{{{},{}}}:{title}|{text}", title.len(), text.len()),
    );
    if let Some(unix_s) = event.unix_s {
        put(out, format_args!("|d:{unix_s}"));
    }
    field(out, "h:", &clean::field(event.hostname));
    field(out, "k:", &clean::field(event.aggregation_key));
    match event.priority {
        None => {}
        Some(Priority::Normal) => field(out, "p:", "normal"),
        Some(Priority::Low) => field(out, "p:", "low"),
    }
    field(out, "s:", &clean::field(event.source_type));
    match event.alert {
        None => {}
        Some(Alert::Error) => field(out, "t:", "error"),
        Some(Alert::Warning) => field(out, "t:", "warning"),
        Some(Alert::Info) => field(out, "t:", "info"),
        Some(Alert::Success) => field(out, "t:", "success"),
    }
    field(out, "#", tags);
    origin.write(out, None);
}

fn write_check(out: &mut Vec<u8>, check: &ServiceCheck<'_>, tags: &str, origin: &Origin) {
    let name = clean::field(check.name);
    put(out, format_args!("_sc|{name}|{}", check.status as u8));
    if let Some(unix_s) = check.unix_s {
        put(out, format_args!("|d:{unix_s}"));
    }
    field(out, "h:", &clean::field(check.hostname));
    field(out, "#", tags);
    field(out, "m:", &clean::check_message(check.message));
    origin.write(out, None);
}

fn field(out: &mut Vec<u8>, key: &str, text: &str) {
    if !text.is_empty() {
        out.push(b'|');
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(text.as_bytes());
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes every write");
}
