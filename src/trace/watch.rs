//! Who is told which span each thread is in: a profiler, which ties its samples to spans.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

/// Is told of one tracer's spans, on the threads that they run on.
///
/// Both calls may open spans and ask for ids; a span that is opened in one of them is told too. Either may
/// come while a thread ends and its thread-locals are gone.
pub trait SpanWatch: Send + Sync {
    /// The innermost open span of this thread is another now; zeros where none is open. `local_root_id` is
    /// the span with which its trace entered this process, on this thread or on the one that a
    /// [`Handle`](super::Handle) came from.
    fn active(&self, span_id: u64, local_root_id: u64);

    /// A span with which a trace entered this process is ending, with this type and this resource. A trace
    /// that is lost with its thread is not told.
    fn root_ended(&self, local_root_id: u64, kind: &str, resource: &str);
}

/// The one who is told, if anybody.
#[derive(Default)]
pub(super) struct Watched(OnceLock<Arc<dyn SpanWatch>>);

/// A watcher on its thread: counted without atomics, for each span takes it twice.
pub(super) type Ours = Rc<Arc<dyn SpanWatch>>;

thread_local! {
    /// The watcher that was told last.
    static OURS: RefCell<Option<Ours>> = const { RefCell::new(None) };
}

impl Watched {
    pub(super) fn set(&self, watch: Arc<dyn SpanWatch>) -> bool {
        self.0.set(watch).is_ok()
    }

    #[inline]
    pub(super) fn is_set(&self) -> bool {
        self.0.get().is_some()
    }

    pub(super) fn get(&self) -> Option<Ours> {
        self.0.get().map(ours)
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.is_set()).finish()
    }
}

fn ours(watch: &Arc<dyn SpanWatch>) -> Ours {
    let kept = OURS.try_with(|ours| {
        let mut ours = ours.try_borrow_mut().ok()?;
        match &*ours {
            Some(kept) if Arc::ptr_eq(kept, watch) => {}
            _ => *ours = Some(Rc::new(watch.clone())),
        }
        ours.clone()
    });
    kept.ok()
        .flatten()
        .unwrap_or_else(|| Rc::new(watch.clone()))
}

/// What a watcher is to be told, once this thread's traces may be borrowed again.
#[must_use]
pub(super) struct Change {
    pub(super) watch: Ours,
    pub(super) span_id: u64,
    pub(super) root_id: u64,
}

impl Change {
    pub(super) fn tell(self) {
        self.watch.active(self.span_id, self.root_id);
    }
}

#[cfg(test)]
mod tests {
    use std::mem::forget;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;
    use std::thread;

    use super::*;
    use crate::clock::{Clock, Hand};
    use crate::identity::Identity;
    use crate::trace::{self, Entry, EntryOptions, Options, Tracer};

    enum Call {
        Active(u64, u64),
        Ended(u64, String),
    }

    #[derive(Default)]
    struct Recorder(Mutex<Vec<Call>>);

    impl SpanWatch for Recorder {
        fn active(&self, span_id: u64, local_root_id: u64) {
            self.0
                .lock()
                .unwrap()
                .push(Call::Active(span_id, local_root_id));
        }
        fn root_ended(&self, local_root_id: u64, kind: &str, resource: &str) {
            let what = format!("{kind} {resource}");
            self.0
                .lock()
                .unwrap()
                .push(Call::Ended(local_root_id, what));
        }
    }

    impl Recorder {
        /// Ids as numbers, in the order in which they were told first.
        fn told(&self) -> Vec<String> {
            let mut known = vec![0];
            let mut number = |id: u64| {
                let at = known.iter().position(|k| *k == id);
                at.unwrap_or_else(|| {
                    known.push(id);
                    known.len() - 1
                })
            };
            let calls = self.0.lock().unwrap();
            let texts = calls.iter().map(|call| match call {
                Call::Active(span, root) => format!("{} of {}", number(*span), number(*root)),
                Call::Ended(root, what) => format!("{} ended: {what}", number(*root)),
            });
            texts.collect()
        }
    }

    /// A tracer without an Agent, whose clock stands until its hand moves it.
    fn tracer(enabled: bool) -> (Tracer, Hand) {
        let agent = "http://127.0.0.1:1".parse().unwrap();
        let options = Options {
            agent,
            enabled,
            ..Options::default()
        };
        let (clock, hand) = Clock::manual(1_700_000_000_000_000_000);
        let (tracer, guard) = trace::start(options, &Identity::of_process("shop"), clock).unwrap();
        drop(guard);
        (tracer, hand)
    }

    fn enter(tracer: &Tracer) -> Entry {
        tracer.enter(EntryOptions {
            name: "http.request".into(),
            resource: "GET /a",
            kind: "web",
            ..EntryOptions::default()
        })
    }

    /// On a thread of its own, so that nothing of another row is open.
    #[track_caller]
    fn check(rule: &str, run: fn(&Tracer, &Hand), expected: &[&str]) {
        let recorder = Arc::new(Recorder::default());
        let (tracer, hand) = tracer(true);
        assert!(tracer.watch_spans(recorder.clone()), "{rule}");
        thread::scope(|scope| scope.spawn(|| run(&tracer, &hand)).join().unwrap());
        assert_eq!(recorder.told(), expected, "{rule}");
    }

    #[test]
    fn each_change_of_the_innermost_span_is_told_once() {
        check("nothing", |_, _| drop(trace::span("alone")), &[]);
        check(
            "one span",
            |t, _| enter(t).finish(),
            &["1 of 1", "0 of 0", "1 ended: web GET /a"],
        );
        check(
            "children, one after the other and one in the other",
            |t, _| {
                let _entry = enter(t);
                trace::span("a").finish();
                let _outer = trace::span("b");
                trace::span("c").finish();
            },
            &[
                "1 of 1",
                "2 of 1",
                "1 of 1",
                "3 of 1",
                "4 of 1",
                "3 of 1",
                "1 of 1",
                "0 of 0",
                "1 ended: web GET /a",
            ],
        );
        check(
            "the last resource and type",
            |t, _| {
                let mut entry = enter(t).kind("rpc");
                entry.set_resource("GET /b");
            },
            &["1 of 1", "0 of 0", "1 ended: rpc GET /b"],
        );
        check(
            "no resource and no type: the name, and nothing",
            |t, _| {
                let name = "job".into();
                let options = EntryOptions {
                    name,
                    ..EntryOptions::default()
                };
                t.enter(options).finish();
            },
            &["1 of 1", "0 of 0", "1 ended:  job"],
        );
        check(
            "a panic unwinds",
            |t, _| {
                let broken = catch_unwind(AssertUnwindSafe(|| {
                    let _entry = enter(t);
                    let _child = trace::span("a");
                    std::panic::resume_unwind(Box::new(()));
                }));
                assert!(broken.is_err());
            },
            &[
                "1 of 1",
                "2 of 1",
                "1 of 1",
                "0 of 0",
                "1 ended: web GET /a",
            ],
        );
    }

    #[test]
    fn guards_that_end_in_another_order_or_never_are_told_as_the_spans_end() {
        check(
            "a child ends with its own child, whose guard then does nothing",
            |t, _| {
                let entry = enter(t);
                let (outer, inner) = (trace::span("a"), trace::span("b"));
                outer.finish();
                inner.finish();
                entry.finish();
            },
            &[
                "1 of 1",
                "2 of 1",
                "3 of 1",
                "1 of 1",
                "0 of 0",
                "1 ended: web GET /a",
            ],
        );
        check(
            "a trace ends with its child",
            |t, _| {
                let entry = enter(t);
                let child = trace::span("a");
                entry.finish();
                child.finish();
            },
            &["1 of 1", "2 of 1", "0 of 0", "1 ended: web GET /a"],
        );
        check(
            "a forgotten child stays innermost",
            |t, _| {
                let _entry = enter(t);
                forget(trace::span("a"));
                trace::span("b").finish();
            },
            &[
                "1 of 1",
                "2 of 1",
                "3 of 1",
                "2 of 1",
                "0 of 0",
                "1 ended: web GET /a",
            ],
        );
    }

    #[test]
    fn traces_that_nobody_ends_are_told_as_they_are_left_behind() {
        check(
            "a forgotten trace is gone back to, and lost with its thread",
            |t, _| {
                forget(enter(t));
                forget(trace::span("a"));
                enter(t).finish();
            },
            &[
                "1 of 1",
                "2 of 1",
                "3 of 3",
                "2 of 1",
                "3 ended: web GET /a",
                "0 of 0",
            ],
        );
        check(
            "two of them are lost, the inner first",
            |t, _| {
                forget(enter(t));
                forget(enter(t));
            },
            &["1 of 1", "2 of 2", "1 of 1", "0 of 0"],
        );
        check(
            "one that is idle too long ends before the next begins",
            |t, hand| {
                forget(enter(t));
                hand.advance_ns(600_000_000_001);
                enter(t).finish();
            },
            &[
                "1 of 1",
                "0 of 0",
                "1 ended: web GET /a",
                "2 of 2",
                "0 of 0",
                "2 ended: web GET /a",
            ],
        );
    }

    #[test]
    fn the_outermost_of_too_many_ends_without_a_change() {
        let run = |t: &Tracer, _: &Hand| (0..17).for_each(|_| forget(enter(t)));
        let begun = |n: usize| format!("{n} of {n}");
        let mut expected: Vec<String> = (1..=16).map(begun).collect();
        expected.extend(["1 ended: web GET /a".to_string(), begun(17)]);
        expected.extend((2..=16).rev().map(begun));
        expected.push("0 of 0".to_string());
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check("seventeen", run, &expected);
    }

    #[test]
    fn a_span_that_is_one_too_many_is_no_change() {
        let recorder = Arc::new(Recorder::default());
        let (tracer, _) = tracer(true);
        assert!(tracer.watch_spans(recorder.clone()));
        let entry = enter(&tracer);
        let children: Vec<_> = (0..10_000).map(|_| trace::span("a")).collect();
        assert_eq!(recorder.0.lock().unwrap().len(), 10_000, "and its entry");
        drop(children);
        entry.finish();
    }

    #[test]
    fn traces_within_traces_each_have_their_root() {
        check(
            "back to the outer trace's innermost span",
            |t, _| {
                let _outer = enter(t);
                let _child = trace::span("a");
                enter(t).finish();
            },
            &[
                "1 of 1",
                "2 of 1",
                "3 of 3",
                "2 of 1",
                "3 ended: web GET /a",
                "1 of 1",
                "0 of 0",
                "1 ended: web GET /a",
            ],
        );
        check(
            "the outer one ends first: the inner one is innermost still",
            |t, _| {
                let outer = enter(t);
                let inner = enter(t);
                outer.finish();
                inner.finish();
            },
            &[
                "1 of 1",
                "2 of 2",
                "1 ended: web GET /a",
                "0 of 0",
                "2 ended: web GET /a",
            ],
        );
        check(
            "so it is where a child of the outer one ends",
            |t, _| {
                let _outer = enter(t);
                let child = trace::span("a");
                let inner = enter(t);
                child.finish();
                inner.finish();
            },
            &[
                "1 of 1",
                "2 of 1",
                "3 of 3",
                "1 of 1",
                "3 ended: web GET /a",
                "0 of 0",
                "1 ended: web GET /a",
            ],
        );
        check(
            "another tracer's trace is not this watcher's",
            |t, _| {
                let (other, _) = tracer(true);
                let outer = enter(t);
                let foreign = enter(&other);
                trace::span("of the other").finish();
                outer.finish();
                foreign.finish();
            },
            &["1 of 1", "0 of 0", "1 ended: web GET /a"],
        );
    }

    #[test]
    fn a_part_on_another_thread_has_the_root_of_the_thread_it_came_from() {
        check(
            "its own ids, no root of its own",
            |t, _| {
                let _entry = enter(t);
                let child = trace::span("a");
                let handle = trace::handle().unwrap();
                child.finish();
                let part = move || {
                    let _branch = handle.span("b");
                    trace::span("c").finish();
                };
                thread::scope(|scope| scope.spawn(part).join().unwrap());
            },
            &[
                "1 of 1",
                "2 of 1",
                "1 of 1",
                "3 of 1",
                "4 of 1",
                "3 of 1",
                "0 of 0",
                "0 of 0",
                "1 ended: web GET /a",
            ],
        );
        check(
            "also a part of a part, and after the root's end",
            |t, _| {
                let entry = enter(t);
                let handle = trace::handle().unwrap();
                entry.finish();
                let _branch = handle.span("b");
                let further = trace::handle().unwrap();
                let part = move || further.span("c").finish();
                thread::scope(|scope| scope.spawn(part).join().unwrap());
            },
            &[
                "1 of 1",
                "0 of 0",
                "1 ended: web GET /a",
                "2 of 1",
                "3 of 1",
                "0 of 0",
                "0 of 0",
            ],
        );
    }

    #[test]
    fn one_is_told_from_when_it_is_there_and_nobody_where_tracing_is_off() {
        let (first, second) = (Arc::new(Recorder::default()), Arc::new(Recorder::default()));
        let (tracing, _) = tracer(true);
        let entry = enter(&tracing);
        assert!(tracing.watch_spans(first.clone()));
        assert!(!tracing.clone().watch_spans(second.clone()), "set once");
        trace::span("a").finish();
        entry.finish();
        assert_eq!(
            first.told(),
            ["1 of 2", "2 of 2", "0 of 0", "2 ended: web GET /a"]
        );
        assert!(second.told().is_empty());
        let (off, _) = tracer(false);
        assert!(off.watch_spans(second.clone()));
        let entry = enter(&off);
        trace::span("a").finish();
        entry.finish();
        assert!(second.told().is_empty());
    }

    /// Opens a span in each call, and asks for the ids.
    #[derive(Default)]
    struct Meddler {
        seen: Mutex<Vec<(u64, Option<u64>)>>,
    }

    thread_local! {
        static MEDDLES: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }

    impl SpanWatch for Meddler {
        fn active(&self, span_id: u64, _: u64) {
            if MEDDLES.replace(true) {
                return;
            }
            let ids = trace::active_ids().map(|(_, span_id)| span_id);
            self.seen.lock().unwrap().push((span_id, ids));
            trace::span("meddles").finish();
            MEDDLES.set(false);
        }
        fn root_ended(&self, _: u64, _: &str, _: &str) {
            assert!(trace::headers().is_empty());
            trace::span("meddles").finish();
        }
    }

    #[test]
    fn the_watcher_may_call_the_tracer() {
        let meddler = Arc::new(Meddler::default());
        let (tracer, _) = tracer(true);
        assert!(tracer.watch_spans(meddler.clone()));
        let entry = enter(&tracer);
        trace::span("a").finish();
        entry.finish();
        let seen = meddler.seen.lock().unwrap();
        assert_eq!(seen.len(), 4);
        assert!(
            seen.iter().all(|(told, ids)| *told == ids.unwrap_or(0)),
            "{seen:?}"
        );
        assert_eq!(
            tracer.counts().spans_finished,
            5,
            "one of each call within the trace"
        );
    }
}
