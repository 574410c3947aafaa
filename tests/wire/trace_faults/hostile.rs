//! Rows 22, 23 and 24: what callers send, what code says, and the ids of it all.

use std::thread;

use testapi::trace::{self, EntryOptions, SpanEvent};

use super::{check_books, chunks, patient, start};
use crate::support::{Actor, DEADLINE};
use crate::wire::rig::{Rig, caller_of};

const PARENT: &str = "00-640cfd8d00000000abcdefab12345678-abcdefab12345678-01";

/// What a server that was called so tells the next one: the headers, and the trace id of its own span.
#[track_caller]
fn passed_on(rule: &str, headers: &[(&str, &str)]) -> (Vec<(&'static str, String)>, u128) {
    let rig = Rig::of(&[]);
    let entry = rig.tracer.enter(EntryOptions {
        caller: caller_of(&rig.tracer, headers),
        ..EntryOptions::default()
    });
    let sent = trace::headers();
    let (trace_id, span_id) = entry.ids();
    entry.finish();
    for (name, value) in &sent {
        let plain = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        assert!(plain, "{rule}: {name}: {value:?} can end a header");
    }
    let bytes: usize = sent
        .iter()
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum();
    assert!(bytes < 16 << 10, "{rule}: {bytes} bytes of headers");
    let span = rig.chunks().remove(0).remove(0);
    assert_eq!(
        (span.trace_id, span.span_id),
        (trace_id as u64, span_id),
        "{rule}"
    );
    assert!(span.trace_id != 0 && span.span_id != 0, "{rule}");
    (sent, trace_id)
}

fn value<'a>(sent: &'a [(&str, String)], name: &str) -> &'a str {
    sent.iter()
        .find(|(n, _)| *n == name)
        .map_or("", |(_, value)| value)
}

#[test]
fn row_22_headers_without_end_are_bounded_and_the_trace_goes_on() {
    let long = format!("other={}", "x".repeat(1 << 20));
    let (sent, trace_id) = passed_on("1 MB", &[("traceparent", PARENT), ("tracestate", &long)]);
    assert_eq!(trace_id, 0x640c_fd8d_0000_0000_abcd_efab_1234_5678);
    assert!(!value(&sent, "tracestate").contains("other="));
    let many: Vec<String> = (0..1_000).map(|n| format!("key{n}=value")).collect();
    let (sent, _) = passed_on(
        "1,000",
        &[("traceparent", PARENT), ("baggage", &many.join(","))],
    );
    assert_eq!(value(&sent, "baggage").split(',').count(), 64);
    let list = many.join(",");
    passed_on(
        "1,000 members",
        &[("traceparent", PARENT), ("tracestate", &list)],
    );
    passed_on(
        "tags",
        &[("x-datadog-trace-id", "1"), ("x-datadog-tags", &list)],
    );
    let origin = "o".repeat(1 << 20);
    let headers = [("x-datadog-trace-id", "1"), ("x-datadog-origin", &*origin)];
    passed_on("origin", &headers);
}

/// Nothing that ends a header goes into one, however it was wrapped.
#[test]
fn row_22_a_line_end_in_a_callers_text_starts_no_header() {
    let evil = "a=1%0d%0aX-Evil:%201,b=%00%7f%c3%a9,c=\u{e9}\r\nX-Evil: 1";
    let (sent, _) = passed_on("baggage", &[("traceparent", PARENT), ("baggage", evil)]);
    assert!(!value(&sent, "baggage").is_empty());
    for (name, text) in [
        (
            "tracestate",
            "a=b\r\nX-Evil: 1,dd=o:x\r\nX-Evil: 1;t.dm:-4\r\nX: 1",
        ),
        ("x-datadog-origin", "synthetics\r\nX-Evil: 1"),
        (
            "x-datadog-tags",
            "_dd.p.dm=-4\r\nX-Evil: 1,_dd.p.evil=\u{0}\n",
        ),
    ] {
        let w3c = [("traceparent", PARENT), (name, text)];
        passed_on(name, &w3c);
        let ids = ("x-datadog-trace-id", "7");
        passed_on(name, &[ids, ("x-datadog-parent-id", "7"), (name, text)]);
    }
}

#[test]
fn row_22_a_parent_that_is_none_begins_a_new_trace() {
    let rest = &PARENT[2..];
    let other = "00-640cfd8d00000000abcdefab12345679-abcdefab12345678-01";
    for (rule, parents) in [
        ("no hex", vec![PARENT.replace('f', "g")]),
        ("version ff", vec![format!("ff{rest}")]),
        (
            "zeros",
            vec![format!("00-{}-{}-01", "0".repeat(32), "0".repeat(16))],
        ),
        ("cut", vec![PARENT[..54].to_string()]),
        ("longer", vec![format!("{PARENT}-1")]),
        ("upper case", vec![PARENT.to_uppercase()]),
        ("1 MB", vec![format!("{PARENT}{}", "0".repeat(1 << 20))]),
        ("two", vec![PARENT.to_string(), other.to_string()]),
        ("empty", vec![String::new()]),
        ("not ASCII", vec![PARENT.replace('f', "\u{fb00}")]),
    ] {
        let headers: Vec<_> = parents
            .iter()
            .map(|p| ("traceparent", p.as_str()))
            .collect();
        let (_, trace_id) = passed_on(rule, &headers);
        assert_ne!(
            trace_id & u128::from(u64::MAX),
            0xabcd_efab_1234_5678,
            "{rule}"
        );
        assert_ne!(
            trace_id & u128::from(u64::MAX),
            0xabcd_efab_1234_5679,
            "{rule}"
        );
    }
    for bad in [
        "0",
        "-1",
        "x",
        "18446744073709551616",
        "1 1",
        "",
        "0x7b",
        "\u{661}",
    ] {
        let headers = [("x-datadog-trace-id", bad), ("x-datadog-parent-id", "7")];
        let (_, trace_id) = passed_on(bad, &headers);
        assert!(
            trace_id >> 96 != 0,
            "{bad:?}: one of our own says when it began"
        );
    }
}

/// Every text arrives as one: cut between characters, with what no terminal shows. Numbers that are none
/// are left out.
#[test]
fn row_23_texts_are_texts_wherever_they_are_cut_and_numbers_are_numbers() {
    let rig = Rig::of(&[]);
    let crabs = |bytes: usize| "\u{1f980}".repeat(bytes / 4 + 1);
    for before in 0..4 {
        let padded = |bytes| "x".repeat(before) + &crabs(bytes);
        let mut entry = rig.tracer.enter(EntryOptions {
            name: padded(100).into(),
            ..EntryOptions::default()
        });
        entry.set_resource(&padded(5_000));
        entry.set_service(&padded(100));
        entry.set_meta(padded(200), padded(25_000));
        entry.set_meta("nul", "a\0b");
        entry.set_meta("\0", "\u{202e}\u{feff}\x1b[31m");
        entry.set_meta("", "");
        for (key, number) in [
            ("nan", f64::NAN),
            ("infinite", f64::INFINITY),
            ("minus", f64::NEG_INFINITY),
            ("zero", -0.0),
            ("least", f64::MIN_POSITIVE),
            ("most", f64::MAX),
        ] {
            entry.set_metric(key, number);
        }
        entry.add_event(SpanEvent {
            name: padded(25_000),
            ..SpanEvent::default()
        });
        entry.finish();
        let span = rig.chunks().remove(0).remove(0);
        let cut = |bytes: usize| {
            let text = padded(bytes);
            text[..text.floor_char_boundary(bytes)].to_string()
        };
        assert_eq!(
            (span.name.as_str(), span.service.as_str()),
            (&*cut(100), &*cut(100))
        );
        assert_eq!(
            (span.resource.as_str(), span.tag(&cut(200))),
            (&*cut(5_000), &*cut(25_000))
        );
        assert_eq!(
            (span.tag("nul"), span.tag("\0")),
            ("a\0b", "\u{202e}\u{feff}\x1b[31m")
        );
        assert!(span.metrics.iter().all(|(_, number)| number.is_finite()));
        let left = ["nan", "infinite", "minus"].map(|key| span.metric(key));
        assert_eq!(left, [None; 3]);
        let right = ["zero", "least", "most"].map(|key| span.metric(key));
        assert_eq!(right, [Some(0.0), Some(f64::MIN_POSITIVE), Some(f64::MAX)]);
    }
}

/// On every thread: none is 0, none comes twice, all fit a signed reader.
#[test]
fn row_24_no_id_is_zero_and_none_comes_twice_on_any_thread() {
    const THREADS: usize = 8;
    const TRACES: usize = 500;
    let agent = Actor::start();
    let (tracer, _guard) = start(patient(&agent.url()));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..TRACES {
                    let entry = tracer.enter(EntryOptions::default());
                    trace::span("child").finish();
                    entry.finish();
                }
            });
        }
    });
    tracer.flush(DEADLINE).unwrap();
    let count = THREADS * TRACES;
    check_books("all", &tracer, (2 * count as u64, 0), &[]);
    let payloads = agent.payloads();
    let sent: Vec<_> = payloads
        .iter()
        .flat_map(|scene| chunks(&scene.request))
        .collect();
    let mut ids: Vec<u64> = sent.iter().flatten().map(|span| span.span_id).collect();
    ids.extend(sent.iter().map(|chunk| chunk[0].trace_id));
    assert!(ids.iter().all(|id| (1..1 << 63).contains(id)));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3 * count);
}
