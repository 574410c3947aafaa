//! Exemplars: for each bucket one observation that can be looked up, with the trace it was made in.
//!
//! Source: OpenMetrics 1.0, "Exemplars". Readers and writers never wait: a slot that is being written is
//! passed by, and one that was written while it was read is read again or left out.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::number::push_f64;

/// What an observation can be looked up by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exemplar {
    /// The trace; 0 is none, and the observation is no exemplar then.
    pub trace_id: u128,
    /// The span within it; 0 is none.
    pub span_id: u64,
    /// When it was made, in milliseconds since 1970.
    pub unix_ms: u64,
}

/// A bucket keeps an exemplar so long before another takes its place: writing one costs more than counting.
const KEPT_MS: u64 = 1_000;

/// The exemplar of one bucket.
#[derive(Default)]
pub(super) struct Slot {
    /// Odd while it is written; 0 before the first.
    version: AtomicU64,
    words: [AtomicU64; 5],
}

const TIME: usize = 4;

impl Slot {
    pub(super) fn put(&self, value: f64, exemplar: &Exemplar) {
        let version = self.version.load(Ordering::Relaxed);
        let age = exemplar
            .unix_ms
            .abs_diff(self.words[TIME].load(Ordering::Relaxed));
        if version % 2 == 1 || exemplar.trace_id == 0 || (version > 0 && age < KEPT_MS) {
            return;
        }
        let taken = self.version.compare_exchange(
            version,
            version + 1,
            Ordering::Acquire,
            Ordering::Relaxed,
        );
        if taken.is_err() {
            return;
        }
        // Whoever sees one of the new words sees the odd version too.
        fence(Ordering::Release);
        let words = [
            (exemplar.trace_id >> 64) as u64,
            exemplar.trace_id as u64,
            exemplar.span_id,
            value.to_bits(),
            exemplar.unix_ms,
        ];
        for (held, word) in self.words.iter().zip(words) {
            held.store(word, Ordering::Relaxed);
        }
        self.version.store(version + 2, Ordering::Release);
    }

    pub(super) fn get(&self) -> Option<(f64, Exemplar)> {
        const TRIES: usize = 3;
        (0..TRIES).find_map(|_| self.read())
    }

    fn read(&self) -> Option<(f64, Exemplar)> {
        let version = self.version.load(Ordering::Acquire);
        if version == 0 || version % 2 == 1 {
            return None;
        }
        let [high, low, span_id, value, unix_ms] =
            [0, 1, 2, 3, TIME].map(|at: usize| self.words[at].load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        if self.version.load(Ordering::Relaxed) != version {
            return None;
        }
        let exemplar = Exemplar {
            trace_id: u128::from(high) << 64 | u128::from(low),
            span_id,
            unix_ms,
        };
        Some((f64::from_bits(value), exemplar))
    }
}

/// ` # {trace_id="..",span_id=".."} value seconds`. Names and values are 63 characters at most, of 128.
pub(super) fn push_exemplar(out: &mut Vec<u8>, value: f64, exemplar: &Exemplar) {
    out.extend_from_slice(b" # {trace_id=\"");
    push_hex(out, &exemplar.trace_id.to_be_bytes());
    if exemplar.span_id != 0 {
        out.extend_from_slice(b"\",span_id=\"");
        push_hex(out, &exemplar.span_id.to_be_bytes());
    }
    out.extend_from_slice(b"\"} ");
    push_f64(out, value);
    out.push(b' ');
    // A float of seconds keeps milliseconds for the next 200,000 years.
    push_f64(out, exemplar.unix_ms as f64 / 1_000.0);
}

/// Lower case, as W3C Trace Context writes ids.
fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn made(trace_id: u128, unix_ms: u64) -> Exemplar {
        Exemplar {
            trace_id,
            span_id: trace_id as u64,
            unix_ms,
        }
    }

    #[test]
    fn exemplars_are_right_to_the_byte() {
        let rows = [
            (
                "128 bits",
                made(0x6745_2301_0000_0000_0000_0000_0000_00ff, 1_700_000_000_123),
                " # {trace_id=\"674523010000000000000000000000ff\",span_id=\"00000000000000ff\"} 0.25 1700000000.123",
            ),
            (
                "a trace without a span",
                Exemplar {
                    trace_id: 1,
                    span_id: 0,
                    unix_ms: 2_000,
                },
                " # {trace_id=\"00000000000000000000000000000001\"} 0.25 2",
            ),
        ];
        for (rule, exemplar, bytes) in rows {
            let mut out = Vec::new();
            push_exemplar(&mut out, 0.25, &exemplar);
            assert_eq!(String::from_utf8(out).unwrap(), bytes, "{rule}");
        }
    }

    #[test]
    fn a_slot_keeps_one_for_a_second() {
        let slot = Slot::default();
        assert_eq!(slot.get(), None);
        let rows = [
            ("no trace is no exemplar", made(0, 5_000), None),
            ("the first", made(1, 5_000), Some(1)),
            ("too soon", made(2, 5_999), Some(1)),
            ("a second later", made(3, 6_000), Some(3)),
            ("the clock was set back", made(4, 1_000), Some(4)),
        ];
        for (rule, exemplar, kept) in rows {
            slot.put(0.5, &exemplar);
            let seen = slot.get().map(|(_, exemplar)| exemplar.trace_id);
            assert_eq!(seen, kept, "{rule}");
        }
    }

    #[test]
    fn no_exemplar_is_made_of_two() {
        let slot = Slot::default();
        thread::scope(|scope| {
            let writers: Vec<_> = (1..=2_u64)
                .map(|odd| {
                    let slot = &slot;
                    scope.spawn(move || {
                        for n in (odd..20_000).step_by(2) {
                            let twice = u128::from(n) << 64 | u128::from(n);
                            slot.put(
                                n as f64,
                                &Exemplar {
                                    trace_id: twice,
                                    span_id: n,
                                    unix_ms: n * KEPT_MS,
                                },
                            );
                        }
                    })
                })
                .collect();
            while writers.iter().any(|writer| !writer.is_finished()) {
                if let Some((value, exemplar)) = slot.get() {
                    let n = exemplar.span_id;
                    assert_eq!(value, n as f64);
                    assert_eq!(exemplar.trace_id, u128::from(n) << 64 | u128::from(n));
                    assert_eq!(exemplar.unix_ms, n * KEPT_MS);
                }
            }
        });
        assert!(slot.get().is_some());
    }
}
