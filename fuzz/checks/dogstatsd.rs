//! Whatever a datagram holds.

use testapi::agent::decode::{Event, LineError, Message, Metric, ServiceCheck, Values, datagram};

/// Whether all of it was read.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let all: Vec<_> = datagram(bytes).collect();
    let lines: Vec<&[u8]> = bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !matches!(line, [] | [b'\r']))
        .collect();
    let read = all.iter().filter(|read| read.is_ok()).count();
    assert!(read <= lines.len(), "a line is one message at most");
    assert!(all.len() >= lines.len(), "a line is a message or an error");
    let alone: Vec<_> = lines.iter().flat_map(|line| datagram(line)).collect();
    assert_eq!(all, alone, "no line reads its neighbour");
    for message in &all {
        match message {
            Ok(Message::Metric(metric)) => check_metric(metric, bytes.len()),
            Ok(Message::Event(event)) => check_event(event, bytes.len()),
            Ok(Message::Check(check)) => check_check(check),
            Err(error) => check_error(error),
        }
    }
    read == all.len()
}

fn check_metric(metric: &Metric<'_>, bytes: usize) {
    assert!(!metric.name.is_empty() && !metric.name.contains(['|', ':', '\n']));
    assert!(metric.rate.is_finite() && metric.rate > 0.0);
    assert!(metric.timestamp.is_none_or(|seconds| seconds > 0));
    match &metric.values {
        Values::Member(member) => assert!(!member.is_empty() && !member.contains('|')),
        Values::Numbers(numbers) => {
            assert!(!numbers.is_empty() && numbers.iter().all(|number| number.is_finite()));
            assert!(numbers.capacity() <= 4 + 2 * bytes, "two bytes a value");
        }
    }
    check_tags(&metric.tags);
}

fn check_event(event: &Event<'_>, bytes: usize) {
    assert!(!event.title.is_empty());
    // A byte that is no text becomes a replacement of three.
    assert!(event.title.len() + event.text.len() <= 3 * bytes);
    assert!(["normal", "low"].contains(&event.priority));
    assert!(["error", "warning", "info", "success"].contains(&event.alert_type));
    assert_ne!(event.timestamp, Some(0));
    check_tags(&event.tags);
}

fn check_check(check: &ServiceCheck<'_>) {
    assert!(!check.name.is_empty() && !check.name.contains('|'));
    assert!(!check.message.contains('|'));
    assert_ne!(check.timestamp, Some(0));
    check_tags(&check.tags);
}

fn check_tags(tags: &[&str]) {
    let fits = |tag: &&str| !tag.is_empty() && !tag.contains([',', '|', '\n']);
    assert!(tags.iter().all(fits), "{tags:?}");
}

fn check_error(error: &LineError) {
    let text = error.to_string();
    assert!(text.len() < 1_000, "an error quotes a line, not all of it");
    assert!(!text.contains(char::is_control), "{text:?}");
}
