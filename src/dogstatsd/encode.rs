//! Values to bytes: pure, one function a kind of message.
//!
//! Fields follow one another as datadog-go writes them: rate, tags, `c:`, `e:`, `T`, `card:`
//! (Datadog docs, "Datagram format and shell usage", protocol 1.0 to 1.6). Every line ends with a
//! newline, the last of a datagram too, so an Agent can tell a torn line.

use std::io::Write;

use super::event::{Alert, Event, Priority, ServiceCheck};
use super::sample::{Context, Prepared, Value};
use super::{Error, clean};
use crate::identity::Identity;

/// One line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Message<'a> {
    /// The values must suit the context's kind.
    Metric(&'a Context, Values<'a>, Option<u64>),
    /// Something that happened.
    Event(&'a Event<'a>),
    /// A verdict.
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

    /// Bytes of a line that it takes, the newline included.
    pub(super) fn bytes(&self) -> usize {
        let mut out = Vec::new();
        self.write(&mut out, None);
        out.len()
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

/// Appends the line of one sample alone.
pub(super) fn encode_sample(out: &mut Vec<u8>, sample: &Prepared, origin: &Origin) {
    let number;
    let values = match &sample.value {
        Value::Whole(value) => Values::Whole((*value).into()),
        Value::Member(member) => Values::Member(member),
        Value::Last(value) | Value::Number(value) => {
            number = [*value];
            Values::Numbers(&number)
        }
    };
    let message = Message::Metric(&sample.context, values, sample.unix_s);
    encode(out, &message, "", origin).expect("only events and checks can fail");
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::dogstatsd::event::Status;
    use crate::dogstatsd::reading::{self, Read};
    use crate::dogstatsd::sample::{Kind, Sample};
    use crate::dogstatsd::tags::GlobalTags;

    fn written(sample: &Sample<'_>, identity: &Identity) -> Result<Vec<u8>, Error> {
        let prepared = sample.prepare(&GlobalTags::of(identity))?;
        let mut out = Vec::new();
        encode_sample(&mut out, &prepared, &Origin::of(identity, None));
        Ok(out)
    }

    /// One message, by the encoder and by the reader.
    #[track_caller]
    fn check(rule: &str, sample: Sample<'_>, line: &str) {
        check_as(&Identity::default(), rule, sample, line);
    }

    #[track_caller]
    fn check_as(identity: &Identity, rule: &str, sample: Sample<'_>, line: &str) {
        let bytes = written(&sample, identity).expect(rule);
        assert_eq!(
            String::from_utf8_lossy(&bytes),
            format!("{line}\n"),
            "{rule}"
        );
        assert_eq!(reading::datagram(&bytes).expect(rule).len(), 1, "{rule}");
    }

    #[track_caller]
    fn check_refused(rule: &str, sample: Sample<'_>, text: &str) {
        let error = written(&sample, &Identity::default()).expect_err(rule);
        assert_eq!(error.to_string(), text, "{rule}");
    }

    fn dev() -> Identity {
        Identity {
            env: "dev".into(),
            ..Identity::default()
        }
    }

    #[test]
    fn golden_lines() {
        let identity = Identity {
            service: "testapi".into(),
            version: "0.1".into(),
            ..dev()
        };
        let tagged = "testapi.hits:1|c|#env:dev,service:testapi,version:0.1";
        check_as(
            &identity,
            "count with global tags",
            Sample::count("testapi.hits", 1),
            tagged,
        );
        check(
            "negative count",
            Sample::count("testapi.hits", -3),
            "testapi.hits:-3|c",
        );
        let sampled = Sample::histogram("testapi.size", 12.5).rate(0.5);
        check("sampled histogram", sampled, "testapi.size:12.5|h|@0.5");
        check("shortest digits", Sample::gauge("g1", 0.1), "g1:0.1|g");
        check(
            "plain up to 1e21",
            Sample::gauge("g1", 1e21),
            "g1:1000000000000000000000|g",
        );
        check("minus zero is zero", Sample::gauge("g1", -0.0), "g1:0|g");
        check(
            "a member may hold a colon",
            Sample::set("visitors", "a:b"),
            "visitors:a:b|s",
        );
        check(
            "but no pipe, no newline",
            Sample::set("visitors", "x|y\nz"),
            "visitors:x_y_z|s",
        );
        check(
            "1.5 s",
            Sample::timing("op", Duration::from_millis(1_500)),
            "op:1500|ms",
        );
        check(
            "250 us",
            Sample::timing("op", Duration::from_micros(250)),
            "op:0.25|ms",
        );
        let stamped = Sample::count("hits", 15).at_unix_s(1_656_581_400);
        check_as(
            &dev(),
            "timestamp",
            stamped,
            "hits:15|c|#env:dev|T1656581400",
        );
        let hostile = [("k", "v|@x,y")];
        check(
            "hostile tag",
            Sample::count("hits", 1).tags(&hostile),
            "hits:1|c|#k:v__x_y",
        );
    }

    #[test]
    fn packed_values_share_a_line() {
        let context = Context::new(Kind::Distribution, "lat", "route:/a".into()).unwrap();
        let mut out = Vec::new();
        let message = Message::Metric(&context, Values::Numbers(&[1.0, 2.0, 32.0]), None);
        encode(&mut out, &message, "", &Origin::default()).unwrap();
        assert_eq!(out, b"lat:1:2:32|d|#route:/a\n");
    }

    #[test]
    fn origin_fields_follow_the_tags() {
        let id = format!("ci-{}", "0123456789abcdef".repeat(4));
        let identity = Identity {
            entity_id: Some(id.clone()),
            external_env: Some("it-false,cn-web,pu-5f1e|\n".into()),
            ..dev()
        };
        let origin = Origin::of(&identity, Some(Cardinality::Low));
        let context = Context::new(Kind::Count, "hits", "env:dev".into()).unwrap();
        for (unix_s, stamp) in [(None, ""), (Some(7), "|T7")] {
            let mut out = Vec::new();
            let message = Message::Metric(&context, Values::Whole(1), unix_s);
            encode(&mut out, &message, "", &origin).unwrap();
            let line =
                format!("hits:1|c|#env:dev|c:{id}|e:it-false,cn-web,pu-5f1e{stamp}|card:low\n");
            assert_eq!(String::from_utf8(out).unwrap(), line);
        }
    }

    #[test]
    fn numbers() {
        let gauge = |value| Sample::gauge("g", value);
        check("over 1e21", gauge(1e22), "g:1e22|g");
        check("largest", gauge(f64::MAX), "g:1.7976931348623157e308|g");
        check("smallest", gauge(-5e-324), "g:-5e-324|g");
        check("plain from 1e-6", gauge(1e-6), "g:0.000001|g");
        check("below", gauge(9.9e-7), "g:9.9e-7|g");
        check("17 digits", gauge(0.1 + 0.2), "g:0.30000000000000004|g");
        check(
            "least count",
            Sample::count("n", i64::MIN),
            "n:-9223372036854775808|c",
        );
        check(
            "no time at all",
            Sample::timing("t", Duration::ZERO),
            "t:0|ms",
        );
        check(
            "a nanosecond",
            Sample::timing("t", Duration::from_nanos(1)),
            "t:0.000001|ms",
        );
        let odd = Duration::from_nanos(1_234_567);
        check(
            "exact to the nanosecond",
            Sample::timing("t", odd),
            "t:1.234567|ms",
        );
    }

    #[test]
    fn rates_are_one_in_n() {
        let count = |rate| Sample::count("n", 1).rate(rate);
        check("a count's rate is on the wire", count(0.25), "n:1|c|@0.25");
        check("nearest 1/n", count(0.6), "n:1|c|@0.5");
        check("1 is not written", count(1.0), "n:1|c");
        check("nearly 1", count(0.9), "n:1|c");
        check(
            "gauges have none",
            Sample::gauge("g", 1.0).rate(0.5),
            "g:1|g",
        );
        check("sets have none", Sample::set("s", "a").rate(0.5), "s:a|s");
        check("timestamped have none", count(0.5).at_unix_s(7), "n:1|c|T7");
        check(
            "very small",
            count(1e-300),
            &format!("n:1|c|@{}", rate_of(u32::MAX)),
        );
        for one_in in 1..10_000 {
            let read: f64 = rate_of(one_in).to_string().parse().unwrap();
            assert_eq!((1.0 / read) as u32, one_in, "cut to a whole number it is n");
        }
    }

    #[test]
    fn what_the_agent_would_refuse_is_refused_here() {
        let gauge = |value| Sample::gauge("g", value);
        check_refused("NaN", gauge(f64::NAN), "value NaN: must be a finite number");
        check_refused(
            "infinity",
            gauge(f64::INFINITY),
            "value inf: must be a finite number",
        );
        check_refused(
            "and below",
            gauge(-f64::INFINITY),
            "value -inf: must be a finite number",
        );
        check_refused(
            "no member",
            Sample::set("s", ""),
            "set member: must not be empty",
        );
        check_refused(
            "no name",
            Sample::count("", 1),
            "name \"\": must hold an ASCII letter",
        );
        check_refused(
            "no letter",
            Sample::count("_1", 1),
            "name \"_1\": must hold an ASCII letter",
        );
        for rate in [0.0, -0.5, 1.1, f64::INFINITY, f64::NAN] {
            let text = format!("sample rate {rate}: must be over 0 and at most 1");
            check_refused("rate", Sample::count("n", 1).rate(rate), &text);
        }
        let text = "timestamp 0: must be over 0, and only a count or a gauge may have one";
        check_refused("time 0", gauge(1.0).at_unix_s(0), text);
        let text = "timestamp 7: must be over 0, and only a count or a gauge may have one";
        check_refused("set with a time", Sample::set("s", "a").at_unix_s(7), text);
    }

    #[track_caller]
    fn check_message(rule: &str, message: Message<'_>, line: &str) {
        let mut out = Vec::new();
        encode(&mut out, &message, "env:dev", &Origin::default()).expect(rule);
        assert_eq!(String::from_utf8_lossy(&out), format!("{line}\n"), "{rule}");
        assert_eq!(reading::datagram(&out).expect(rule).len(), 1, "{rule}");
    }

    #[test]
    fn events() {
        let golden = Event {
            alert: Some(Alert::Error),
            ..Event::new("a\nbé", "l1\nl|2")
        };
        let line = r"_e{6,7}:a\nbé|l1\nl|2|t:error|#env:dev";
        check_message("lengths in bytes, escaped", Message::Event(&golden), line);
        let full = Event {
            unix_s: Some(1_656_581_400),
            hostname: "web|1",
            aggregation_key: "k\n",
            priority: Some(Priority::Low),
            source_type: "my,app",
            alert: Some(Alert::Success),
            ..Event::new("t", "x")
        };
        let line = "_e{1,1}:t|x|d:1656581400|h:web_1|k:k_|p:low|s:my,app|t:success|#env:dev";
        check_message("all fields", Message::Event(&full), line);
        let empty = Event::new("t|#x", "");
        check_message("no text", Message::Event(&empty), "_e{4,0}:t|#x||#env:dev");
        let nameless = Message::Event(&Event::new("", "x"));
        let refused = encode(&mut Vec::new(), &nameless, "", &Origin::default());
        assert_eq!(refused, Err(Error::Title));
    }

    #[test]
    fn checks() {
        let golden = ServiceCheck {
            unix_s: Some(1_656_581_400),
            hostname: "web1",
            message: "m: down\nretry",
            ..ServiceCheck::new("db.up", Status::Critical)
        };
        let line = r"_sc|db.up|2|d:1656581400|h:web1|#env:dev|m:m\: down\nretry";
        check_message("the message comes last", Message::Check(&golden), line);
        let hostile = ServiceCheck {
            message: "a|b\r\nc",
            ..ServiceCheck::new("db|up\n", Status::Ok)
        };
        let line = r"_sc|db_up_|0|#env:dev|m:a_b\nc";
        check_message("separators", Message::Check(&hostile), line);
        let nameless = ServiceCheck::new("", Status::Unknown);
        let refused = encode(
            &mut Vec::new(),
            &Message::Check(&nameless),
            "",
            &Origin::default(),
        );
        assert_eq!(refused, Err(Error::Name(String::new())));
    }

    /// Texts made of what might break a line.
    fn hostile() -> impl Strategy<Value = String> {
        let bits = [
            "|",
            ":",
            ",",
            "#",
            "@",
            "\n",
            "\r",
            "\0",
            "_e{1,1}:",
            "_sc|",
            "|c\nevil:1|c",
            "|T1",
            "|@z",
            "m:",
            "host:",
            "dd.internal.card:",
            "é",
            "🦀",
            "\u{85}",
            "a",
            "1",
            " ",
            "\\n",
        ];
        let bit = prop::sample::select(bits.to_vec());
        prop::collection::vec(bit, 0..8).prop_map(|bits| bits.concat())
    }

    fn one(bytes: &[u8]) -> Read {
        let mut read = reading::datagram(bytes).expect("what is written can be read");
        assert_eq!(read.len(), 1, "one call, one message");
        read.remove(0)
    }

    proptest! {
        #[test]
        fn hostile_metrics_stay_one_message_with_all_their_tags(
            name in hostile(), member in hostile(), key in hostile(), value in hostile(),
        ) {
            let tags = [(key.as_str(), value.as_str()), ("last", "1")];
            let sample = Sample::set(&name, &member).tags(&tags);
            if let Ok(bytes) = written(&sample, &dev()) {
                let read = one(&bytes);
                let own = usize::from(!key.is_empty() || !value.is_empty());
                prop_assert_eq!(read.kind, "s");
                prop_assert_eq!(read.tags.len(), own + 2, "{:?}", read.tags);
                prop_assert!(read.fields.is_empty());
            }
        }

        #[test]
        fn hostile_events_and_checks_stay_one_message(
            title in hostile(), text in hostile(), field in hostile(), key in hostile(),
        ) {
            let tags = GlobalTags::of(&dev()).with(&[(&key, &field), ("last", "1")]);
            let event = Event {
                hostname: &field,
                aggregation_key: &field,
                source_type: &field,
                ..Event::new(&title, &text)
            };
            let check = ServiceCheck {
                hostname: &field,
                message: &text,
                ..ServiceCheck::new(&title, Status::Warning)
            };
            for message in [Message::Event(&event), Message::Check(&check)] {
                let mut out = Vec::new();
                let wanted = tags.split(',').count();
                if encode(&mut out, &message, &tags, &Origin::default()).is_ok() {
                    let read = one(&out);
                    prop_assert_eq!(read.tags.len(), wanted);
                    let fields = read.fields.len();
                    let holds = usize::from(!field.is_empty());
                    match message {
                        Message::Event(_) => prop_assert_eq!(fields, 3 * holds),
                        _ => prop_assert_eq!(fields, holds + usize::from(!text.is_empty())),
                    }
                }
            }
        }
    }
}
