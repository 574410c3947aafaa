//! Spans on several threads, spans that nobody ends, parts of long traces: what an Agent gets of them.

use std::mem;

use testapi::agent::decode::Span;
use testapi::trace::{self, EntryOptions, SpanEvent, SpanLink};

use super::rig::{Rig, caller_of};

const MINUTE_NS: u64 = 60_000_000_000;

fn entry(name: &'static str) -> EntryOptions<'static> {
    EntryOptions {
        name: name.into(),
        ..EntryOptions::default()
    }
}

fn names(chunk: &[Span]) -> Vec<&str> {
    chunk.iter().map(|span| span.name.as_str()).collect()
}

#[track_caller]
fn one<'a>(chunks: &'a [Vec<Span>], name: &str) -> &'a Span {
    let mut found = chunks.iter().flatten().filter(|span| span.name == name);
    let span = found
        .next()
        .unwrap_or_else(|| panic!("{name}: {chunks:#?}"));
    assert!(found.next().is_none(), "{name} twice: {chunks:#?}");
    span
}

#[test]
#[expect(clippy::too_many_lines, reason = "one trace, looked at from all sides")]
fn another_thread_has_a_chunk_of_its_own_under_one_decision() {
    let rig = Rig::of(&[("DD_SERVICE", "shop"), ("DD_TRACE_SAMPLE_RATE", "1")]);
    let headers = [
        ("x-datadog-trace-id", "7"),
        ("x-datadog-parent-id", "8"),
        ("x-datadog-origin", "rum"),
        ("baggage", "user.id=ana"),
    ];
    let caller = caller_of(&rig.tracer, &headers);
    let root = rig.tracer.enter(EntryOptions {
        caller,
        ..entry("order")
    });
    let child = trace::span("pack");
    let handle = trace::handle().unwrap();
    let told = trace::headers();
    let ids = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut mail = handle.span("mail").service("post");
            trace::span("stamp").finish();
            assert_eq!(
                trace::headers()[2..5],
                told[2..5],
                "one priority, one origin, the same tags"
            );
            assert_eq!(
                trace::baggage(),
                [("user.id".to_string(), "ana".to_string())]
            );
            mail.drop_trace();
            mail.ids()
        });
        thread.join().unwrap()
    });
    child.finish();
    root.finish();
    let chunks = rig.chunks();
    let shown: Vec<_> = chunks.iter().map(|chunk| names(chunk)).collect();
    assert_eq!(shown, [["mail", "stamp"], ["order", "pack"]]);
    let (mail, stamp, order) = (
        one(&chunks, "mail"),
        one(&chunks, "stamp"),
        one(&chunks, "order"),
    );
    assert_eq!((ids.0 as u64, ids.1), (7, mail.span_id));
    assert_eq!(
        (mail.trace_id, mail.parent_id),
        (7, one(&chunks, "pack").span_id)
    );
    assert_eq!(
        (stamp.parent_id, mail.service.as_str()),
        (mail.span_id, "post")
    );
    assert_eq!(mail.tag("_dd.base_service"), "shop");
    assert_eq!(
        (mail.metric("_dd.top_level"), stamp.metric("_dd.top_level")),
        (Some(1.0), Some(1.0))
    );
    for first in [mail, order] {
        assert_eq!(
            first.metric("_sampling_priority_v1"),
            Some(-1.0),
            "either thread may overrule"
        );
        assert_eq!(
            (first.tag("_dd.origin"), first.tag("_dd.p.dm")),
            ("rum", "")
        );
    }
    let (sampling, ledger) = (rig.tracer.sampling(), rig.tracer.ledger());
    assert_eq!(
        (sampling.kept, sampling.dropped_by_hand),
        (0, 1),
        "one trace"
    );
    assert!(ledger.balances() && ledger.sent == 4, "{ledger:?}");
    let counts = rig.tracer.counts();
    assert_eq!((counts.spans_started, counts.spans_finished), (4, 4));
}

#[test]
fn tags_reach_an_outer_trace_while_an_inner_one_runs() {
    let rig = Rig::of(&[]);
    let mut outer = rig.tracer.enter(entry("outer"));
    let mut child = trace::span("child");
    let inner = rig.tracer.enter(entry("inner"));
    outer.set_meta("a", "1");
    child.set_metric("b", 2.0);
    child.finish();
    inner.finish();
    outer.finish();
    let chunks = rig.chunks();
    assert_eq!(one(&chunks, "outer").tag("a"), "1");
    assert_eq!(one(&chunks, "child").metric("b"), Some(2.0));
    assert_ne!(
        one(&chunks, "inner").trace_id,
        one(&chunks, "outer").trace_id
    );
}

#[test]
fn a_child_of_another_service_is_an_entry_there() {
    let rig = Rig::of(&[
        ("DD_SERVICE", "shop"),
        ("DD_VERSION", "3"),
        ("DD_SERVICE_MAPPING", "db:orders"),
    ]);
    let root = rig.tracer.enter(entry("root"));
    trace::span("same").finish();
    let query = trace::span("query")
        .service("db")
        .kind("sql")
        .resource("SELECT ?");
    trace::span("inside").service("db").finish();
    query.finish();
    root.finish();
    let chunks = rig.chunks();
    for (name, service, top, base, version) in [
        ("root", "shop", Some(1.0), "", "3"),
        ("same", "shop", None, "", "3"),
        ("query", "orders", Some(1.0), "shop", ""),
        ("inside", "orders", None, "shop", ""),
    ] {
        let span = one(&chunks, name);
        let seen = (span.service.as_str(), span.metric("_dd.top_level"));
        assert_eq!(seen, (service, top), "{name}");
        assert_eq!(
            (span.tag("_dd.base_service"), span.tag("version")),
            (base, version),
            "{name}"
        );
    }
    let query = one(&chunks, "query");
    assert_eq!(
        (query.kind.as_str(), query.resource.as_str()),
        ("sql", "SELECT ?")
    );
}

#[test]
fn a_trace_that_nobody_ends_ends_after_ten_minutes_and_is_counted() {
    let rig = Rig::of(&[]);
    mem::forget(rig.tracer.enter(entry("forgotten")));
    mem::forget(trace::span("with a child"));
    rig.hand.advance_ns(10 * MINUTE_NS);
    rig.tracer.enter(entry("in time")).finish();
    assert_eq!(rig.tracer.counts().traces_abandoned, 0);
    rig.hand.advance_ns(1);
    rig.tracer.enter(entry("next")).finish();
    let counts = rig.tracer.counts();
    assert_eq!((counts.traces_abandoned, counts.spans_finished), (1, 4));
    let chunks = rig.chunks();
    let forgotten = one(&chunks, "forgotten");
    assert_eq!(forgotten.duration as u64, 10 * MINUTE_NS + 1);
    assert_eq!(trace::active_ids(), None, "nothing is left of it");
}

#[test]
fn sixteen_traces_inside_one_another_are_enough() {
    let rig = Rig::of(&[]);
    for _ in 0..20 {
        mem::forget(rig.tracer.enter(entry("deep")));
    }
    assert_eq!(rig.tracer.counts().traces_abandoned, 4);
    rig.hand.advance_ns(11 * MINUTE_NS);
    rig.tracer.enter(entry("last")).finish();
    let spans: usize = rig.chunks().iter().map(Vec::len).sum();
    assert_eq!((spans, trace::active_ids()), (21, None));
}

#[test]
fn a_long_trace_leaves_in_parts_and_each_says_whose_it_is() {
    let rig = Rig::of(&[("DD_ENV", "dev")]);
    let root = rig.tracer.enter(entry("import"));
    for _ in 0..700 {
        trace::span("row").finish();
    }
    root.finish();
    let chunks = rig.chunks();
    assert_eq!(
        chunks.iter().map(Vec::len).collect::<Vec<_>>(),
        [300, 300, 101]
    );
    for chunk in &chunks {
        let (first, rest) = chunk.split_first().unwrap();
        assert_eq!(first.metric("_sampling_priority_v1"), Some(1.0));
        assert!(!first.tag("_dd.p.tid").is_empty() && first.tag("language") == "rust");
        assert!(
            rest.iter()
                .all(|s| s.tag("_dd.p.tid").is_empty() && s.tag("env") == "dev")
        );
        assert!(chunk.iter().all(|s| s.trace_id == first.trace_id));
    }
    assert_eq!(rig.tracer.sampling().kept, 1, "one trace, one decision");
}

#[test]
fn links_and_events_have_a_bound_and_what_is_over_is_counted() {
    let rig = Rig::of(&[]);
    let mut root = rig.tracer.enter(entry("root"));
    for _ in 0..130 {
        root.add_link(SpanLink::default());
        root.add_event(SpanEvent::default());
    }
    root.finish();
    let chunks = rig.chunks();
    let root = one(&chunks, "root");
    assert_eq!(root.metric("_dd.span_links.dropped"), Some(2.0));
    assert_eq!(root.metric("_dd.span_events.dropped"), Some(2.0));
}

#[test]
fn a_person_overrules_a_caller_and_a_tag_is_as_good_as_a_call() {
    for (key, priority, mechanism) in [("manual.keep", 2.0, "-4"), ("manual.drop", -1.0, "")] {
        let rig = Rig::of(&[]);
        let headers = [
            ("x-datadog-trace-id", "7"),
            ("x-datadog-parent-id", "8"),
            ("x-datadog-sampling-priority", "1"),
            ("x-datadog-tags", "_dd.p.dm=-3,_dd.p.other=x"),
        ];
        let caller = caller_of(&rig.tracer, &headers);
        let mut root = rig.tracer.enter(EntryOptions {
            caller,
            ..entry("root")
        });
        root.set_meta(key, "false");
        root.set_meta(key, "true");
        root.finish();
        let chunks = rig.chunks();
        let root = one(&chunks, "root");
        assert_eq!(
            root.metric("_sampling_priority_v1"),
            Some(priority),
            "{key}"
        );
        assert_eq!(
            (root.tag("_dd.p.dm"), root.tag("_dd.p.other")),
            (mechanism, "x"),
            "{key}"
        );
        assert_eq!(root.tag(key), "", "it is no tag");
    }
}

#[test]
fn a_thread_that_ends_before_its_trace_loses_no_span_unseen() {
    let rig = Rig::of(&[]);
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            mem::forget(rig.tracer.enter(entry("forgotten")));
            trace::span("child").finish();
            mem::forget(trace::span("open"));
        });
        // The scope alone waits for the closure; what the thread leaves behind is counted after that.
        thread.join().unwrap();
    });
    let (ledger, counts) = (rig.tracer.ledger(), rig.tracer.counts());
    assert!(
        ledger.balances() && ledger.dropped.contains(&("thread_ended", 3)),
        "{ledger:?}"
    );
    assert_eq!(
        (
            counts.spans_started,
            counts.spans_finished,
            counts.traces_abandoned
        ),
        (3, 3, 1)
    );
}

#[test]
fn what_a_person_keeps_takes_nothing_from_the_rate_limit() {
    let rig = Rig::of(&[("DD_TRACE_SAMPLE_RATE", "1"), ("DD_TRACE_RATE_LIMIT", "1")]);
    let mut kept = rig.tracer.enter(entry("kept"));
    kept.keep_trace();
    let handle = trace::handle().unwrap();
    handle.span("branch").finish();
    kept.finish();
    rig.tracer.enter(entry("next")).finish();
    let chunks = rig.chunks();
    assert_eq!(one(&chunks, "next").metric("_dd.limit_psr"), Some(1.0));
    for name in ["kept", "branch"] {
        let span = one(&chunks, name);
        assert_eq!(
            (span.tag("_dd.p.dm"), span.tag("_dd.p.ksr")),
            ("-4", ""),
            "{name}"
        );
    }
}

#[test]
fn a_long_trace_that_may_not_leave_in_parts_is_cut_and_the_rest_arrives() {
    let rig = Rig::of(&[("DD_TRACE_PARTIAL_FLUSH_ENABLED", "false")]);
    let root = rig.tracer.enter(entry("root"));
    let text = "x".repeat(25_000);
    for _ in 0..250 {
        trace::span("row").set_meta("text", &text);
    }
    root.finish();
    let spans: usize = rig.chunks().iter().map(Vec::len).sum();
    let ledger = rig.tracer.ledger();
    assert!(spans > 50 && ledger.balances(), "{ledger:?}");
    let long = ledger
        .dropped
        .iter()
        .find(|(reason, _)| *reason == "trace_too_long");
    assert_eq!(
        (ledger.sent, long.unwrap().1),
        (spans as u64, 251 - spans as u64)
    );
}

#[test]
fn events_in_a_tag_are_json_however_many() {
    let rig = Rig::of(&[]);
    let mut root = rig.tracer.enter(entry("root"));
    for _ in 0..100 {
        let name = "e".repeat(300);
        root.add_event(SpanEvent {
            name,
            ..SpanEvent::default()
        });
    }
    root.finish();
    let chunks = rig.chunks();
    let root = one(&chunks, "root");
    let events: Vec<serde_json::Value> = serde_json::from_str(root.tag("events")).unwrap();
    let dropped = root.metric("_dd.span_events.dropped").unwrap() as usize;
    assert!(
        events.len() > 50 && events.len() + dropped == 100,
        "{}",
        events.len()
    );
}

#[test]
fn an_agent_is_asked_again_when_it_changes_and_not_before() {
    let rig = Rig::of(&[]);
    let looks = || {
        rig.agent
            .seen()
            .requests
            .iter()
            .filter(|request| request.is_look())
            .count()
    };
    for (state, expected) in [("a", 1), ("a", 1), ("b", 1), ("b", 2), ("b", 2)] {
        rig.agent.answer_next(&format!(
            "200 OK\r\nDatadog-Agent-State: {state}\r\n\r\n{{}}"
        ));
        rig.tracer.enter(entry("root")).finish();
        rig.chunks();
        assert_eq!(looks(), expected, "{state}");
    }
}
