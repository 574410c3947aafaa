//! Propagated tags: `_dd.p.*`.

use super::headers::is_printable;

pub(super) const PREFIX: &str = "_dd.p.";
/// The upper half of a trace id; held there, not as a tag.
pub(super) const TRACE_ID_HIGH: &str = "_dd.p.tid";
/// Who decided that a trace is kept.
pub(super) const DECISION: &str = "_dd.p.dm";

/// Sets a tag; one that is there already gets the new value.
pub(super) fn set(tags: &mut Vec<(String, String)>, key: String, value: String) {
    match tags.iter_mut().find(|(there, _)| *there == key) {
        Some(tag) => tag.1 = value,
        None => tags.push((key, value)),
    }
}

/// Whether a tag can stand in `x-datadog-tags`: printable, `,` nowhere, neither space nor `=` in the key
/// (dd-trace-go, `ddtrace/tracer/util.go`).
pub(super) fn is_sound(key: &str, value: &str) -> bool {
    let free =
        |text: &str, of: &[char]| !text.is_empty() && is_printable(text) && !text.contains(of);
    free(key, &[' ', ',', '=']) && free(value, &[','])
}

/// Whether this names a mechanism: `-` and a number of 8 bits (dd-trace-py, `ddtrace/internal/sampling.py`).
pub(super) fn is_decision(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or_default();
    let plain = digits == "0" || !digits.starts_with(['0', '+']);
    plain && digits.parse::<u8>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_a_mechanism() {
        for sound in ["-0", "-4", "-11", "-255"] {
            assert!(is_decision(sound), "{sound}");
        }
        for bad in [
            "", "-", "4", "-256", "-04", "-+4", "--4", "-a", "- 4", "0", "-1 ",
        ] {
            assert!(!is_decision(bad), "{bad}");
        }
    }

    #[test]
    fn a_tag_stays_one_pair() {
        for (key, value, expected) in [
            ("_dd.p.a", "b", true),
            ("_dd.p.a", "b=c d", true),
            ("_dd.p.a", "b,c", false),
            ("_dd.p.a", "", false),
            ("_dd.p.a", "b\r\nc", false),
            ("_dd.p.a", "\u{e9}", false),
            ("", "b", false),
            ("_dd.p.a b", "c", false),
            ("_dd.p.a=b", "c", false),
            ("_dd.p.a,b", "c", false),
            ("_dd.p.\u{e9}", "c", false),
        ] {
            assert_eq!(is_sound(key, value), expected, "{key:?} {value:?}");
        }
    }
}
