//! A trace's id as people write it.

/// Reads a trace id as people have it at hand: decimal, as here, or all 32 hex digits, as log lines and
/// headers show it. Gives the low 64 bits.
pub(super) fn parse_trace_id(text: &str) -> Option<u64> {
    match text.len() {
        32 => u128::from_str_radix(text, 16).ok().map(|id| id as u64),
        _ => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_id_is_read_in_both_forms() {
        assert_eq!(parse_trace_id("255"), Some(255));
        assert_eq!(
            parse_trace_id("6b02c8760000000000000000000000ff"),
            Some(255)
        );
        for text in [
            "",
            "x",
            "-1",
            "18446744073709551616",
            "6b02c876000000000000000000000xyz",
        ] {
            assert_eq!(parse_trace_id(text), None, "{text}");
        }
    }
}
