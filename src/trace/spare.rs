//! Memory of finished spans and traces, kept on their thread for the next ones.

use std::cell::RefCell;

use super::finished::Finished;
use super::open::Open;

/// What a buffer keeps for the next span, whatever the last one took.
pub(super) const SPARE_BYTES_MAX: usize = 16 << 10;
/// Spans and traces whose memory a thread keeps.
const SPANS_MAX: usize = 32;
const TRACES_MAX: usize = 4;

/// The memory of one trace.
#[derive(Default)]
#[expect(
    clippy::vec_box,
    reason = "a span goes from list to list; boxed, it stays where it is"
)]
pub(super) struct Buffers {
    pub(super) open: Vec<Box<Open>>,
    pub(super) finished: Finished,
}

#[derive(Default)]
#[expect(clippy::vec_box, reason = "as above")]
struct Spare {
    spans: Vec<Box<Open>>,
    traces: Vec<Buffers>,
}

thread_local! {
    static SPARE: RefCell<Spare> = const {
        RefCell::new(Spare { spans: Vec::new(), traces: Vec::new() })
    };
}

/// Nothing is kept while the thread ends, or in the middle of this very file.
fn with_spare<R>(see: impl FnOnce(&mut Spare) -> R) -> Option<R> {
    let seen = SPARE.try_with(|spare| spare.try_borrow_mut().ok().map(|mut spare| see(&mut spare)));
    seen.ok().flatten()
}

pub(super) fn spare_span() -> Box<Open> {
    with_spare(|spare| spare.spans.pop())
        .flatten()
        .unwrap_or_default()
}

pub(super) fn keep_span(mut span: Box<Open>) {
    span.clear();
    with_spare(|spare| {
        if spare.spans.len() < SPANS_MAX {
            spare.spans.push(span);
        }
    });
}

pub(super) fn spare_buffers() -> Buffers {
    with_spare(|spare| spare.traces.pop())
        .flatten()
        .unwrap_or_default()
}

pub(super) fn keep_buffers(mut buffers: Buffers) {
    buffers.open.clear();
    buffers.open.shrink_to(SPANS_MAX);
    buffers.finished.clear();
    with_spare(|spare| {
        if spare.traces.len() < TRACES_MAX {
            spare.traces.push(buffers);
        }
    });
}
