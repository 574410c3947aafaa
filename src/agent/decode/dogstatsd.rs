//! The DogStatsD datagram protocol, v1.0 to 1.6, as the Agent reads it.

use std::borrow::Cow;

use super::go_number::float;
use super::line_error::{LineError, Reason};
use super::message::{CheckStatus, Event, Kind, Message, Metric, ServiceCheck, Values};

/// Reads a datagram line by line, as the Agent does with its usual settings (datadog-agent,
/// `comp/dogstatsd/server/impl`): blank lines, a CR before a newline and a last line without one are
/// tolerated, and a bad line never costs its neighbours. A line of many values of which the Agent drops some
/// gives the message and, after it, an error.
pub fn datagram(bytes: &[u8]) -> impl Iterator<Item = Result<Message<'_>, LineError>> {
    datagram_lines(bytes).map(|read| read.map(|(_, message)| message))
}

/// As [`datagram`], each message with the line it was read from.
pub(in crate::agent) fn datagram_lines(
    bytes: &[u8],
) -> impl Iterator<Item = Result<(&str, Message<'_>), LineError>> {
    bytes
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
        .flat_map(|line| {
            let mut dropped = None;
            let text = std::str::from_utf8(line).map_err(|_| Reason::NotUtf8);
            let read = text
                .and_then(|text| message(text, &mut dropped).map(|message| (text, message)))
                .map_err(|reason| LineError::new(line, reason));
            let dropped = dropped.filter(|_| read.is_ok());
            let dropped = dropped.map(|reason| Err(LineError::new(line, reason)));
            std::iter::once(read).chain(dropped)
        })
}

/// What the line is, and why a part of it is dropped.
fn message<'a>(line: &'a str, dropped: &mut Option<Reason>) -> Result<Message<'a>, Reason> {
    if line.starts_with("_e{") {
        event(line).map(Message::Event)
    } else if let Some(rest) = line.strip_prefix("_sc") {
        check(rest).map(Message::Check)
    } else {
        metric(line, dropped).map(Message::Metric)
    }
}

fn metric<'a>(line: &'a str, dropped: &mut Option<Reason>) -> Result<Metric<'a>, Reason> {
    let mut fields = line.split('|');
    let named = fields.next().unwrap_or("");
    let (name, value) = named.split_once(':').ok_or(Reason::NoColon)?;
    if name.is_empty() {
        return Err(Reason::NoName);
    }
    let kind = fields.next().ok_or(Reason::NoType)?;
    if value.is_empty() {
        return Err(Reason::NoValue);
    }
    let kind = self::kind(kind)?;
    let values = values(value, kind, dropped)?;
    let mut metric = Metric {
        name,
        kind,
        values,
        rate: 1.0,
        tags: Vec::new(),
        container: None,
        external: None,
        timestamp: None,
        cardinality: None,
    };
    let mut rate = "1";
    for field in fields {
        if let Some(text) = field.strip_prefix('@') {
            float(text).ok_or_else(|| Reason::Rate(text.to_string()))?;
            rate = text;
        } else {
            optional(&mut metric, field)?;
        }
    }
    let takes_time = matches!(kind, Kind::Count | Kind::Gauge);
    if metric.timestamp.is_some() && !takes_time {
        return Err(Reason::TimestampType);
    }
    metric.rate = self::rate(rate, &metric)?;
    Ok(metric)
}

/// The Agent reads any number and then multiplies by 1/rate (datadog-agent, `pkg/metrics/counter.go`,
/// `histogram.go`): nobody means what -1 or infinity make of it. Gauges, sets and what has a time of
/// its own take no rate.
fn rate(text: &str, metric: &Metric<'_>) -> Result<f64, Reason> {
    let rate = float(text).unwrap_or(1.0);
    let weight = 1.0 / rate;
    let ignored = matches!(metric.kind, Kind::Gauge | Kind::Set) || metric.timestamp.is_some();
    if weight.is_finite() && weight > 0.0 {
        Ok(rate)
    } else if ignored || rate == 0.0 && metric.kind != Kind::Count {
        Ok(1.0)
    } else {
        Err(Reason::RateRange(text.to_string()))
    }
}

fn kind(text: &str) -> Result<Kind, Reason> {
    match text {
        "c" => Ok(Kind::Count),
        "g" => Ok(Kind::Gauge),
        "ms" => Ok(Kind::Timing),
        "h" => Ok(Kind::Histogram),
        "d" => Ok(Kind::Distribution),
        "s" => Ok(Kind::Set),
        other => Err(Reason::UnknownType(other.to_string())),
    }
}

fn values<'a>(
    text: &'a str,
    kind: Kind,
    dropped: &mut Option<Reason>,
) -> Result<Values<'a>, Reason> {
    if kind == Kind::Set {
        return Ok(Values::Member(text));
    }
    let mut numbers = Vec::new();
    for item in text.split(':').filter(|item| !item.is_empty()) {
        let number = float(item).ok_or_else(|| Reason::Value(item.to_string()))?;
        if number.is_finite() {
            numbers.push(number);
        } else {
            dropped.get_or_insert_with(|| Reason::NotFinite(item.to_string()));
        }
    }
    if numbers.is_empty() {
        return Err(dropped.take().unwrap_or(Reason::NoValue));
    }
    Ok(Values::Numbers(numbers))
}

/// Fields in any order, of which the last of a kind counts; what is unknown is skipped in silence, so that
/// newer clients still work.
fn optional<'a>(metric: &mut Metric<'a>, field: &'a str) -> Result<(), Reason> {
    if let Some(list) = field.strip_prefix('#') {
        metric.tags = tags(list);
    } else if let Some(id) = field.strip_prefix("c:") {
        metric.container = Some(id);
    } else if let Some(env) = field.strip_prefix("e:") {
        metric.external = Some(env);
    } else if let Some(level) = field.strip_prefix("card:") {
        metric.cardinality = Some(level);
    } else if let Some(seconds) = field.strip_prefix('T') {
        let parsed = seconds.parse().ok().filter(|seconds| *seconds > 0);
        metric.timestamp = Some(parsed.ok_or_else(|| Reason::Timestamp(seconds.to_string()))?);
    }
    Ok(())
}

/// The Agent keeps empty tags, which say nothing to anybody after it.
fn tags(list: &str) -> Vec<&str> {
    list.split(',').filter(|tag| !tag.is_empty()).collect()
}

/// Lengths are bytes of UTF-8 after escaping, so pipes inside title and text are legal. The Agent believes
/// them: it looks neither at the byte that follows the title nor at the one after the text, so wrong
/// lengths give wrong words and no error, unless the line is too short for them.
fn event(line: &str) -> Result<Event<'_>, Reason> {
    let (head, rest) = line.split_once(':').ok_or(Reason::EventHead)?;
    // Between `_e{` and the last byte, which should be `}`.
    let lengths = head.as_bytes().get(3..head.len() - 1).unwrap_or(b"");
    let lengths = std::str::from_utf8(lengths).map_err(|_| Reason::EventHead)?;
    let (title, text) = lengths.split_once(',').ok_or(Reason::EventHead)?;
    let title_bytes: usize = title.parse().map_err(|_| Reason::EventHead)?;
    if title_bytes == 0 {
        return Err(Reason::EventTitle);
    }
    let text_bytes: usize = text.parse().map_err(|_| Reason::EventHead)?;
    let rest = rest.as_bytes();
    let parts = rest
        .split_at_checked(title_bytes)
        .and_then(|(title, rest)| {
            let (text, rest) = rest.get(1..)?.split_at_checked(text_bytes)?;
            Some((title, text, rest))
        });
    let (title, text, rest) = parts.ok_or(Reason::EventLength)?;
    let mut event = Event {
        title: unescaped(title),
        text: unescaped(text),
        alert_type: "info",
        priority: "normal",
        ..Event::default()
    };
    // A text that was cut inside a character leaves a part of it, which is no field.
    let fields = rest.split(|byte| *byte == b'|');
    for field in fields.filter_map(|field| std::str::from_utf8(field).ok()) {
        event_field(&mut event, field);
    }
    Ok(event)
}

/// A bad optional field of an event only logs in the Agent, so it does not cost the event.
fn event_field<'a>(event: &mut Event<'a>, field: &'a str) {
    if let Some(list) = field.strip_prefix('#') {
        event.tags = tags(list);
        return;
    }
    let Some((key, value)) = field.split_once(':') else {
        return;
    };
    match key {
        "d" => event.timestamp = time(value, event.timestamp),
        "h" => event.hostname = value,
        "k" => event.aggregation_key = value,
        "p" if matches!(value, "normal" | "low") => event.priority = value,
        "s" => event.source = value,
        "t" if matches!(value, "error" | "warning" | "info" | "success") => {
            event.alert_type = value;
        }
        _ => {}
    }
}

/// A time of 0 is none; one that is no number leaves what was there.
fn time(text: &str, before: Option<i64>) -> Option<i64> {
    let time = text.parse().map_or(before, Some);
    time.filter(|time| *time != 0)
}

/// `rest` begins with the byte after `_sc`, which should be a pipe; the Agent does not look.
fn check(rest: &str) -> Result<ServiceCheck<'_>, Reason> {
    let fields = rest.get(1..).filter(|_| rest.matches('|').count() >= 2);
    let mut fields = fields.ok_or(Reason::CheckFields)?.split('|');
    let name = fields
        .next()
        .filter(|name| !name.is_empty())
        .ok_or(Reason::CheckName)?;
    let status = match fields.next().ok_or(Reason::CheckFields)? {
        "0" => CheckStatus::Ok,
        "1" => CheckStatus::Warning,
        "2" => CheckStatus::Critical,
        "3" => CheckStatus::Unknown,
        other => return Err(Reason::CheckStatus(other.to_string())),
    };
    let mut check = ServiceCheck {
        name,
        status,
        timestamp: None,
        hostname: "",
        message: "",
        tags: Vec::new(),
    };
    for field in fields {
        if let Some(list) = field.strip_prefix('#') {
            check.tags = tags(list);
        } else if let Some(message) = field.strip_prefix("m:") {
            check.message = message;
        } else if let Some(host) = field.strip_prefix("h:") {
            check.hostname = host;
        } else if let Some(seconds) = field.strip_prefix("d:") {
            check.timestamp = time(seconds, check.timestamp);
        }
    }
    Ok(check)
}

/// Of a title or text that was cut inside a character, the backend shows a replacement.
fn unescaped(text: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(text);
    if text.contains("\\n") {
        text.replace("\\n", "\n").into()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number_metric(name: &'static str, kind: Kind, values: &[f64]) -> Metric<'static> {
        Metric {
            name,
            kind,
            values: Values::Numbers(values.to_vec()),
            rate: 1.0,
            tags: Vec::new(),
            container: None,
            external: None,
            timestamp: None,
            cardinality: None,
        }
    }

    #[track_caller]
    fn check_metric(rule: &str, line: &str, expected: Metric<'_>) {
        let read: Vec<_> = datagram(line.as_bytes()).collect();
        assert_eq!(read, [Ok(Message::Metric(expected))], "{rule}");
    }

    #[track_caller]
    fn check_error(rule: &str, line: &str, expected: &str) {
        let read: Vec<_> = datagram(line.as_bytes()).collect();
        let [Err(error)] = &read[..] else {
            panic!("{rule}: {read:?}")
        };
        assert_eq!(
            error.to_string(),
            format!("{expected} in `{line}`"),
            "{rule}"
        );
    }

    #[test]
    fn every_type_is_read() {
        let plain = number_metric;
        check_metric("count", "a:1|c", plain("a", Kind::Count, &[1.0]));
        check_metric("negative count", "a:-3|c", plain("a", Kind::Count, &[-3.0]));
        check_metric(
            "gauge with exponent",
            "a:1e+06|g",
            plain("a", Kind::Gauge, &[1e6]),
        );
        check_metric("timing", "a:0.25|ms", plain("a", Kind::Timing, &[0.25]));
        check_metric("histogram", "a:2|h", plain("a", Kind::Histogram, &[2.0]));
        check_metric(
            "packed",
            "a:1:2:32|d",
            plain("a", Kind::Distribution, &[1.0, 2.0, 32.0]),
        );
        check_metric(
            "empty items are skipped",
            "a::1::2:|d",
            plain("a", Kind::Distribution, &[1.0, 2.0]),
        );
        let member = Metric {
            values: Values::Member("a:b"),
            ..plain("v", Kind::Set, &[])
        };
        check_metric("a member may hold colons", "v:a:b|s", member);
        check_metric(
            "unknown fields are skipped",
            "a:1|c|x:y||z",
            plain("a", Kind::Count, &[1.0]),
        );
        check_metric(
            "CR before the newline",
            "a:1|c\r\n\n",
            plain("a", Kind::Count, &[1.0]),
        );
        check_metric(
            "a name in any script",
            "\u{e9}\u{1f980}:1|c",
            plain("\u{e9}\u{1f980}", Kind::Count, &[1.0]),
        );
    }

    #[test]
    fn every_field_is_read_in_any_order() {
        let full = Metric {
            rate: 0.5,
            tags: vec!["env:dev", "b", "url:http://x:1"],
            container: Some("ci-1"),
            external: Some("it-false,cn-web,pu-2"),
            timestamp: Some(1_656_581_400),
            cardinality: Some("low"),
            ..number_metric("a", Kind::Count, &[1.0])
        };
        let forward = "a:1|c|@0.5|#env:dev,b,url:http://x:1|c:ci-1|e:it-false,cn-web,pu-2|T1656581400|card:low";
        check_metric("in the order of datadog-go", forward, full.clone());
        let backward = "a:1|c|card:low|T1656581400|e:it-false,cn-web,pu-2|c:ci-1|#env:dev,b,,url:http://x:1|@0.5";
        check_metric("the other way round", backward, full);
        check_metric(
            "rate 0 counts as 1",
            "a:1|h|@0",
            number_metric("a", Kind::Histogram, &[1.0]),
        );
        check_metric(
            "no tags",
            "a:1|c|#",
            number_metric("a", Kind::Count, &[1.0]),
        );
    }

    #[test]
    fn a_bad_line_says_why() {
        check_error("no colon", "bad", "no `:` between name and value");
        check_error("no name", ":1|c", "empty name");
        check_error("no type", "a:1", "no `|` before a type");
        check_error("no value", "a:|c", "empty value");
        check_error("colons alone", "a::|c", "empty value");
        check_error("no member", "a:|s", "empty value");
        check_error("a meter", "a:1|m", "type `m` is none of c g ms h d s");
        check_error("capital", "a:1|C", "type `C` is none of c g ms h d s");
        check_error("a word", "a:one|g", "value `one` is not a number");
        check_error("one bad of many", "a:1:x|g", "value `x` is not a number");
        check_error(
            "not a number",
            "a:NaN|g",
            "value `NaN` is refused by the Agent",
        );
        check_error(
            "infinity",
            "a:+Inf|g",
            "value `+Inf` is refused by the Agent",
        );
        check_error("rate", "a:1|c|@x", "sample rate `x` is not a number");
        check_error(
            "negative rate",
            "a:1|c|@-1",
            "sample rate `-1`: the Agent multiplies by 1/rate, which is no number above 0",
        );
        check_error(
            "time 0",
            "a:1|c|T0",
            "timestamp `0` is not a whole number above 0",
        );
        check_error(
            "time of a timing",
            "a:1|ms|T1",
            "only counts and gauges take a timestamp",
        );
        check_error(
            "a tag with a pipe",
            "a:1|c|#x|@z",
            "sample rate `z` is not a number",
        );
        check_error(
            "event head",
            "_e{1}:a|b",
            "an event begins `_e{title bytes,text bytes}:`",
        );
        check_error(
            "event length",
            "_e{9,1}:a|b",
            "an event is shorter than its lengths say",
        );
        check_error("event title", "_e{0,1}:|b", "an event needs a title");
        check_error(
            "check without status",
            "_sc|a",
            "a service check is `_sc|name|status`",
        );
        check_error("check status", "_sc|a|4", "status `4` is none of 0 1 2 3");
    }

    #[test]
    fn a_bad_line_never_costs_its_neighbours() {
        let read: Vec<bool> = datagram(b"a:1|c\n\xff:1|c\n\nb:x|g\nc:1|g")
            .map(|m| m.is_ok())
            .collect();
        assert_eq!(read, [true, false, false, true]);
        assert_eq!(datagram(b"").count(), 0);
    }

    #[test]
    fn events_and_checks_are_read() {
        let line =
            "_e{5,9}:a\\n\u{e9}|l1\\nl|2\u{e9}|t:error|#env:dev|d:7|h:web|k:key|p:low|s:src|zz";
        let Some(Ok(Message::Event(event))) = datagram(line.as_bytes()).next() else {
            panic!()
        };
        assert_eq!(
            (&*event.title, &*event.text),
            ("a\n\u{e9}", "l1\nl|2\u{e9}")
        );
        assert_eq!(
            (event.alert_type, event.priority, event.timestamp),
            ("error", "low", Some(7))
        );
        assert_eq!(
            (event.hostname, event.aggregation_key, event.source),
            ("web", "key", "src")
        );
        assert_eq!(event.tags, ["env:dev"]);
        let line = "_sc|db.up|2|d:1656581400|h:web1|#env:dev|m:m\\: down\\nretry|c:ci-1";
        let expected = ServiceCheck {
            name: "db.up",
            status: CheckStatus::Critical,
            timestamp: Some(1_656_581_400),
            hostname: "web1",
            message: "m\\: down\\nretry",
            tags: vec!["env:dev"],
        };
        assert_eq!(
            datagram(line.as_bytes()).collect::<Vec<_>>(),
            [Ok(Message::Check(expected))]
        );
    }

    #[test]
    fn what_gunicorn_and_the_python_client_send_is_read() {
        let corpus = include_bytes!("../../../tests/corpus/dogstatsd.txt");
        let kinds: Vec<_> = datagram(corpus)
            .map(|message| match message {
                Ok(Message::Metric(metric)) => metric.kind,
                other => panic!("{other:?}"),
            })
            .collect();
        use Kind::{Count, Distribution, Gauge, Histogram, Set, Timing};
        let sent = [
            Timing,
            Count,
            Count,
            Count,
            Gauge,
            Count,
            Distribution,
            Gauge,
            Histogram,
            Count,
        ];
        assert_eq!(kinds[..10], sent);
        assert_eq!(kinds[10..], [Set, Set, Timing, Timing]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            datagram(&bytes).for_each(drop);
        }

        #[test]
        fn no_line_makes_it_panic(line in "[_a-z{},0-9:|@#Tcs.\\\\\u{e9}]{0,40}") {
            datagram(line.as_bytes()).for_each(drop);
        }
    }
}
