//! Whatever the body of a v0.5 request holds.

use testapi::agent::decode::traces_v05;

/// A string of the table may be named by every span; this is where the decoder stops.
const EXPANDED_BYTES_MAX: usize = 64 << 20;

/// Whether it was read.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let read = traces_v05(bytes);
    assert_eq!(read, traces_v05(bytes), "twice the same");
    let Ok(chunks) = read else {
        return false;
    };
    let (mut spans, mut text, mut pairs) = (0, 0, 0);
    for span in chunks.iter().flatten() {
        spans += 1;
        text += span.service.len() + span.name.len() + span.resource.len() + span.kind.len();
        text += span
            .meta
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum::<usize>();
        text += span.metrics.iter().map(|(key, _)| key.len()).sum::<usize>();
        pairs += span.meta.len() + span.metrics.len();
    }
    assert!(text <= EXPANDED_BYTES_MAX, "{text} bytes");
    assert!(13 * spans + 2 * pairs <= bytes.len(), "a byte an element");
    let cut = &bytes[..bytes.len() - 1];
    assert!(traces_v05(cut).is_err(), "without its last byte it is torn");
    let longer = [bytes, b"\xc0"].concat();
    assert!(traces_v05(&longer).is_err(), "and with another too long");
    true
}
