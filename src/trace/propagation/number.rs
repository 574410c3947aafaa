//! Numbers as headers write them: nothing but digits.

/// A decimal number of 64 bits.
pub(super) fn decimal(text: &str) -> Option<u64> {
    // `parse` alone takes a sign too.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// A hexadecimal number of exactly so many digits, in lower case as W3C and `_dd.p.tid` have it.
pub(super) fn lower_hex(text: &str, digits: usize) -> Option<u128> {
    let lower = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if text.len() == digits && lower {
        u128::from_str_radix(text, 16).ok()
    } else {
        None
    }
}

/// A hexadecimal number of at most so many digits, in either case.
pub(super) fn any_hex(text: &str, digits_max: usize) -> Option<u128> {
    let hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if text.len() <= digits_max && hex {
        u128::from_str_radix(text, 16).ok()
    } else {
        None
    }
}

/// A trace id whose lower half is 0 is none: of the id that is all the Agent sees, and it drops such
/// traces (datadog-agent, `pkg/trace/agent/normalizer.go`).
pub(super) fn is_trace_id(id: &u128) -> bool {
    *id as u64 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_digits_and_nothing_else() {
        for (text, expected) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("+7", None),
            ("-7", None),
            (" 7", None),
            ("7a", None),
            ("", None),
        ] {
            assert_eq!(decimal(text), expected, "{text:?}");
        }
        for (text, lower, any) in [
            ("00ff", Some(255), Some(255)),
            ("00FF", None, Some(255)),
            ("0ff", None, Some(255)),
            ("0", None, Some(0)),
            ("000ff", None, None),
            ("+0ff", None, None),
            ("0x1f", None, None),
            ("00f\u{e9}", None, None),
            ("", None, None),
        ] {
            assert_eq!(lower_hex(text, 4), lower, "{text:?}");
            assert_eq!(any_hex(text, 4), any, "{text:?}");
        }
    }
}
