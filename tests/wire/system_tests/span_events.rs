//! What happened in a span: the cases of DataDog/system-tests, `tests/parametric/test_span_events.py`.
//!
//! Left out: `test_span_with_event_v07`, since v0.7 is not sent. Nor is v0.5, whose case is about payloads
//! that have no place for events: that is here an Agent that does not list `span_events` in its `/info`. Theirs
//! turns all values into texts there; dd-trace-go, `ddtrace/tracer/span.go`, leaves them what they are, as
//! does this tracer.

use serde_json::{Value, json};
use testapi::trace::{EntryOptions, EventValue, SpanEvent};

use crate::wire::rig::Rig;

/// An Agent that takes events; it is asked before the first payload.
#[track_caller]
fn rig_with_events() -> Rig {
    let rig = Rig::of(&[]);
    rig.agent
        .say_of_itself("200 OK\r\n\r\n{\"endpoints\":[\"/v0.4/traces\"],\"span_events\":true}");
    rig.chunks();
    rig
}

/// The one span, as its payload has it.
#[track_caller]
fn sent(rig: &Rig, events: &[SpanEvent]) -> Value {
    let mut entry = rig.tracer.enter(EntryOptions {
        name: "print".into(),
        ..EntryOptions::default()
    });
    events
        .iter()
        .for_each(|event| entry.add_event(event.clone()));
    entry.finish();
    rig.chunks();
    let seen = rig.agent.seen();
    let payload = seen.payloads().last().unwrap();
    let mut chunks: Vec<Vec<Value>> = rmp_serde::from_slice(&payload.body).unwrap();
    assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), [1]);
    chunks.remove(0).remove(0)
}

fn list<T: Into<EventValue>>(values: impl IntoIterator<Item = T>) -> EventValue {
    EventValue::List(values.into_iter().map(Into::into).collect())
}

fn event(name: &str, unix_ns: u64, attributes: Vec<(&str, EventValue)>) -> SpanEvent {
    let attributes = attributes
        .into_iter()
        .map(|(key, value)| (key.to_string(), value));
    SpanEvent {
        name: name.to_string(),
        unix_ns,
        attributes: attributes.collect(),
    }
}

fn two_events() -> [SpanEvent; 2] {
    let every_type = vec![
        ("paper", "a4".into()),
        ("duplex", true.into()),
        ("pages", 12_i64.into()),
        ("ink", 0.75.into()),
        ("trays", list(["top", "side"])),
        ("empty", list([false, true])),
        ("sheets", list([250_i64, -1])),
        ("levels", list([0.5, 1.25])),
    ];
    let nothings = vec![
        ("duplex", false.into()),
        ("pages", 0_i64.into()),
        ("ink", 0.0.into()),
    ];
    [
        event("queued", 987_000_001, every_type),
        event("printed", 987_000_002, nothings),
    ]
}

#[test]
fn test_span_with_event_v04() {
    let span = sent(&rig_with_events(), &two_events());
    let text = |text: &str| json!({"type": 0, "string_value": text});
    let is = |is: bool| json!({"type": 1, "bool_value": is});
    let whole = |number: i64| json!({"type": 2, "int_value": number});
    let number = |number: f64| json!({"type": 3, "double_value": number});
    let list = |values: [Value; 2]| json!({"type": 4, "array_value": {"values": values}});
    let first = json!({
        "time_unix_nano": 987_000_001,
        "name": "queued",
        "attributes": {
            "paper": text("a4"),
            "duplex": is(true),
            "pages": whole(12),
            "ink": number(0.75),
            "trays": list([text("top"), text("side")]),
            "empty": list([is(false), is(true)]),
            "sheets": list([whole(250), whole(-1)]),
            "levels": list([number(0.5), number(1.25)]),
        },
    });
    let second = json!({
        "time_unix_nano": 987_000_002,
        "name": "printed",
        "attributes": {"duplex": is(false), "pages": whole(0), "ink": number(0.0)},
    });
    assert_eq!(span["span_events"], json!([first, second]));
    assert_eq!(span["meta"].get("events"), None, "told once");
}

#[test]
fn test_span_with_event_v05() {
    let span = sent(&Rig::of(&[]), &two_events());
    let events: Value = serde_json::from_str(span["meta"]["events"].as_str().unwrap()).unwrap();
    let first = json!({
        "time_unix_nano": 987_000_001,
        "name": "queued",
        "attributes": {
            "paper": "a4",
            "duplex": true,
            "pages": 12,
            "ink": 0.75,
            "trays": ["top", "side"],
            "empty": [false, true],
            "sheets": [250, -1],
            "levels": [0.5, 1.25],
        },
    });
    let second = json!({
        "time_unix_nano": 987_000_002,
        "name": "printed",
        "attributes": {"duplex": false, "pages": 0, "ink": 0.0},
    });
    assert_eq!(events, json!([first, second]));
    assert_eq!(span.get("span_events"), None, "told once");
}

#[test]
fn test_span_with_invalid_event_attributes() {
    // Whole numbers beyond 64 bits cannot be said.
    let attributes = vec![
        ("pages", 12_i64.into()),
        ("mixed", EventValue::List(vec![1_i64.into(), "a".into()])),
        ("nested", EventValue::List(vec![list([1_i64])])),
        ("endless", f64::INFINITY.into()),
        ("paper", "a4".into()),
    ];
    let events = [event("queued", 987_000_001, attributes)];
    let span = sent(&rig_with_events(), &events);
    let good = json!({
        "pages": {"type": 2, "int_value": 12},
        "paper": {"type": 0, "string_value": "a4"},
    });
    assert_eq!(span["span_events"][0]["attributes"], good);
    let span = sent(&Rig::of(&[]), &events);
    let events: Value = serde_json::from_str(span["meta"]["events"].as_str().unwrap()).unwrap();
    assert_eq!(
        events[0]["attributes"],
        json!({"pages": 12, "paper": "a4"}),
        "in the tag too"
    );
}
