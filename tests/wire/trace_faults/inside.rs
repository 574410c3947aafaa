//! Rows 14, 15, 16 and 27: what the process itself may do.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;
use std::time::Duration;

use testapi::agent::decode::Span;
use testapi::clock::Clock;
use testapi::trace::{self, EntryOptions, Options, Tracer};

use super::{check_books, chunks, patient, request, resources, start, start_with};
use crate::support::{Actor, DEADLINE};
use crate::wire::rig::{Rig, START};

fn named(name: &'static str) -> EntryOptions<'static> {
    EntryOptions {
        name: name.into(),
        ..EntryOptions::default()
    }
}

/// Panics where the tracer asks it for its text, in the middle of its own work.
struct Bomb;

impl AsRef<str> for Bomb {
    fn as_ref(&self) -> &str {
        resume_unwind(Box::new("no message on stderr"))
    }
}

impl From<Bomb> for Cow<'static, str> {
    fn from(bomb: Bomb) -> Self {
        bomb.as_ref().to_string().into()
    }
}

/// Everywhere: in a span, in a tag's key, its value and its number, in a name. The thread goes on, its
/// spans are sent, and the next trace has nothing of the last.
#[test]
fn row_14_a_panic_anywhere_ends_its_spans_and_leaves_the_tracer_as_it_was() {
    let rig = Rig::of(&[]);
    let panics: [(&str, fn()); 5] = [
        ("span", || resume_unwind(Box::new("no message on stderr"))),
        ("name", || trace::span(Bomb).finish()),
        ("key", || trace::span("child").set_meta(Bomb, "")),
        ("value", || trace::span("child").set_meta("key", Bomb)),
        ("number", || trace::span("child").set_metric(Bomb, 1.0)),
    ];
    for (rule, panic) in panics {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _entry = rig.tracer.enter(named("entry"));
            let _child = trace::span("outer");
            panic();
        }));
        assert!(caught.is_err(), "{rule}");
        assert_eq!(trace::active_ids(), None, "{rule}");
        rig.tracer.enter(named("next")).finish();
        let sent = rig.chunks();
        let names = |chunk: &[Span]| {
            let names = chunk.iter().map(|span| span.name.clone());
            names.filter(|name| name != "child").collect::<Vec<_>>()
        };
        assert_eq!(names(&sent[0]), ["entry", "outer"], "{rule}");
        assert_eq!(names(&sent[1]), ["next"], "{rule}");
        assert_eq!(sent[1][0].parent_id, 0, "{rule}");
    }
    assert_eq!(rig.tracer.stats().panics, 0);
    assert!(rig.tracer.ledger().balances());
}

/// An entry span whose guard was forgotten ends when the next trace begins on its thread, ten minutes
/// after it last did anything; its open children with it. It is counted.
#[test]
fn row_15_a_span_that_nobody_ends_is_ended_after_ten_minutes() {
    let rig = Rig::of(&[]);
    std::mem::forget(rig.tracer.enter(named("forgotten")));
    std::mem::forget(trace::span("child"));
    for (seconds, ended) in [(600, 0), (1, 1)] {
        rig.hand.advance_ns(seconds * 1_000_000_000);
        rig.tracer.enter(named("next")).finish();
        assert_eq!(
            rig.tracer.counts().traces_abandoned,
            ended,
            "after {seconds} more"
        );
    }
    let sent = rig.chunks();
    let names: Vec<&str> = sent.iter().map(|chunk| chunk[0].name.as_str()).collect();
    assert_eq!(names, ["next", "forgotten", "next"]);
    assert_eq!(sent[1][1].name, "child");
    assert_eq!((sent[0][0].parent_id, sent[2][0].parent_id), (0, 0));
}

/// No more of them than sixteen a thread, or they would take all memory.
#[test]
fn row_15_of_spans_that_nobody_ends_sixteen_are_kept() {
    let rig = Rig::of(&[]);
    for _ in 0..100 {
        std::mem::forget(rig.tracer.enter(named("forgotten")));
    }
    assert_eq!(rig.tracer.counts().traces_abandoned, 84);
    assert_eq!(rig.chunks().len(), 84);
}

/// A guard that outlives its parent, or whose trace is over, ends nothing a second time, nor another's span.
#[test]
fn row_15_a_span_that_was_ended_is_not_ended_again() {
    let rig = Rig::of(&[]);
    let entry = rig.tracer.enter(named("entry"));
    let outer = trace::span("outer");
    let mut inner = trace::span("inner");
    outer.finish();
    inner.set_meta("too", "late");
    entry.finish();
    let next = rig.tracer.enter(named("next"));
    let open = trace::span("open");
    inner.finish();
    assert_eq!(trace::active_ids().unwrap().0, next.ids().0);
    open.finish();
    next.finish();
    let sent = rig.chunks();
    let names = |at: usize| sent[at].iter().map(|s| s.name.as_str()).collect::<Vec<_>>();
    assert_eq!(
        (names(0), names(1)),
        (vec!["entry", "inner", "outer"], vec!["next", "open"])
    );
    let ledger = rig.tracer.ledger();
    assert_eq!((ledger.offered, ledger.sent), (5, 5));
}

/// A guard cannot leave its thread; a handle can. What it opens goes in a chunk of its own, also when the
/// entry span is over first, or the other thread panics.
#[test]
fn row_15_a_span_on_another_thread_has_its_parent_there() {
    let rig = Rig::of(&[]);
    let entry = rig.tracer.enter(named("entry"));
    let (trace_id, entry_id) = entry.ids();
    let handle = trace::handle().unwrap();
    let outcome = thread::scope(|scope| {
        let other = scope.spawn(|| {
            entry_is_not_active_here();
            let _branch = handle.span("branch");
            trace::span("leaf").finish();
            resume_unwind(Box::new("no message on stderr"));
        });
        other.join()
    });
    assert!(outcome.is_err());
    entry.finish();
    handle.span("late").finish();
    let sent = rig.chunks();
    let heads: Vec<&str> = sent.iter().map(|chunk| chunk[0].name.as_str()).collect();
    assert_eq!(heads, ["branch", "entry", "late"]);
    for chunk in &sent {
        assert!(chunk.iter().all(|span| span.trace_id == trace_id as u64));
    }
    assert_eq!(
        (sent[0][0].parent_id, sent[2][0].parent_id),
        (entry_id, entry_id)
    );
    assert_eq!(sent[0][1].parent_id, sent[0][0].span_id);
}

fn entry_is_not_active_here() {
    assert_eq!(trace::active_ids(), None);
}

/// The wall clock is read once a trace; all else comes from the clock that never goes back. So do ticks.
#[test]
fn row_16_a_wall_clock_that_jumps_tears_no_trace_and_holds_no_tick() {
    const SECOND: u64 = 1_000_000_000;
    let agent = Actor::start();
    let (clock, hand) = Clock::manual(START);
    let options = Options {
        flush_interval: Duration::from_millis(50),
        ..patient(&agent.url())
    };
    let (tracer, _guard) = start_with(options, clock);
    // Once it answers, its thread runs and has read the clock.
    tracer.flush(DEADLINE).unwrap();
    let to = [START - 3_600 * SECOND, START + 86_400 * SECOND, 0, u64::MAX];
    for (number, wall) in to.into_iter().enumerate() {
        hand.set_unix_ns(START);
        let entry = tracer.enter(named("entry"));
        hand.advance_ns(SECOND / 10);
        hand.set_unix_ns(wall);
        let child = trace::span("child");
        hand.advance_ns(SECOND / 5);
        child.finish();
        hand.advance_ns(SECOND / 10);
        entry.finish();
        hand.advance_ns(SECOND);
        let spans = agent.wait_for("the tick's payload", |seen| {
            let payload = seen.payloads().nth(number)?;
            chunks(&payload.request).pop()
        });
        let times: Vec<_> = spans
            .iter()
            .map(|s| (s.start as u64 - START, s.duration))
            .collect();
        assert_eq!(
            times,
            [(0, 400_000_000), (100_000_000, 200_000_000)],
            "to {wall}"
        );
        // Once it answers, the tick is over.
        tracer.flush(DEADLINE).unwrap();
    }
    check_books("all", &tracer, (8, 0), &[]);
}

/// A trace that begins where no calendar goes is sent all the same.
#[test]
fn row_16_a_wall_clock_at_its_ends_saturates() {
    let rig = Rig::of(&[]);
    for (wall, start) in [(0, 0), (u64::MAX, i64::MAX)] {
        rig.hand.set_unix_ns(wall);
        let entry = rig.tracer.enter(named("entry"));
        rig.hand.advance_ns(5);
        entry.finish();
        let sent = rig.chunks();
        assert_eq!((sent[0][0].start, sent[0][0].duration), (start, 5));
    }
}

/// `trace::start` twice gives two tracers that know nothing of each other: there is no global one. A child
/// belongs to the innermost trace of its thread, and so to that trace's tracer.
#[test]
fn row_27_two_tracers_side_by_side_do_not_mix() {
    let agents = [Actor::start(), Actor::start()];
    let options = |at: usize| patient(&agents[at].url());
    let ((first, guard), (second, _guard)) = (start(options(0)), start(options(1)));
    let outer = first.enter(EntryOptions {
        resource: "outer",
        ..EntryOptions::default()
    });
    let inner = second.enter(EntryOptions {
        resource: "inner",
        ..EntryOptions::default()
    });
    assert_ne!(outer.ids().0, inner.ids().0);
    trace::span("of inner").finish();
    inner.finish();
    trace::span("of outer").finish();
    outer.finish();
    for tracer in [&first, &second] {
        tracer.flush(DEADLINE).unwrap();
        check_books("each its own", tracer, (2, 0), &[]);
    }
    let names = |at: usize| {
        let spans = chunks(&agents[at].payloads()[0].request)
            .into_iter()
            .flatten();
        spans.map(|span| span.name).collect::<Vec<_>>()
    };
    assert_eq!(
        (names(0)[1].as_str(), names(1)[1].as_str()),
        ("of outer", "of inner")
    );
    // One stops, the other goes on.
    assert!(guard.stop(DEADLINE).flushed);
    let both: [&Tracer; 2] = [&first, &second];
    both.into_iter().for_each(|tracer| request(tracer, "later"));
    second.flush(DEADLINE).unwrap();
    check_books("stopped", &first, (2, 0), &[("stopped", 1)]);
    assert_eq!(resources(&agents[1]), ["inner", "later"]);
}
