//! Whatever the body of a v0.4 request holds.

use testapi::agent::decode::{Span, traces_v04};

/// Whether it was read.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let read = traces_v04(bytes);
    assert_eq!(read, traces_v04(bytes), "twice the same");
    let Ok(chunks) = read else {
        return false;
    };
    let (mut spans, mut text, mut pairs) = (0, 0, 0);
    for span in chunks.iter().flatten() {
        spans += 1;
        text += bytes_of(span);
        pairs += span.meta.len() + span.metrics.len();
    }
    // Three bytes for one that is no text.
    assert!(text <= 3 * bytes.len(), "{text} bytes of {}", bytes.len());
    assert!(spans <= bytes.len() && 2 * pairs <= bytes.len());
    let cut = &bytes[..bytes.len() - 1];
    assert!(traces_v04(cut).is_err(), "without its last byte it is torn");
    let longer = [bytes, b"\xc0"].concat();
    assert!(traces_v04(&longer).is_err(), "and with another too long");
    true
}

fn bytes_of(span: &Span) -> usize {
    let words = [&span.service, &span.name, &span.resource, &span.kind].map(String::len);
    let meta = span.meta.iter().map(|(key, value)| key.len() + value.len());
    let metrics = span.metrics.iter().map(|(key, _)| key.len());
    words.iter().sum::<usize>() + meta.sum::<usize>() + metrics.sum::<usize>()
}
