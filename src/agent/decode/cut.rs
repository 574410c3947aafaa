//! Texts of a line cut to what is shown of them.

/// What of a line is taken over; a text that is cut says how much is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::agent) struct Cuts {
    /// Bytes of the message, of the error's own message, and of the stack.
    pub(in crate::agent) text_bytes: usize,
    /// Bytes of a field's value and of the error's kind.
    pub(in crate::agent) value_bytes: usize,
    /// Bytes of a field's key, of the service and of the logger.
    pub(in crate::agent) key_bytes: usize,
    /// Fields, the first ones of the line.
    pub(in crate::agent) fields_max: usize,
}

impl Cuts {
    /// Takes all.
    pub(in crate::agent) const NONE: Cuts = Cuts {
        text_bytes: usize::MAX,
        value_bytes: usize::MAX,
        key_bytes: usize::MAX,
        fields_max: usize::MAX,
    };
}

/// At most so many bytes of a text, and how much more there is.
pub(in crate::agent) fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_string();
    }
    let at = text.floor_char_boundary(bytes_max);
    let (figure, unit) = match text.len() - at {
        bytes @ 0..1_000 => (bytes, "bytes"),
        bytes => (bytes.div_ceil(1_000), "KB"),
    };
    format!("{}\u{2026} {figure} {unit} more", &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_says_what_is_missing() {
        #[track_caller]
        fn check(rule: &str, text: &str, bytes_max: usize, expected: &str) {
            assert_eq!(cut(text, bytes_max), expected, "{rule}");
        }
        check("nothing", "", 0, "");
        check("at the limit", "abc", 3, "abc");
        check("one over", "abcd", 3, "abc\u{2026} 1 bytes more");
        check("between letters", "a\u{e9}", 2, "a\u{2026} 2 bytes more");
        let long = "a".repeat(1_002);
        check("below a KB", &long[..1_001], 2, "aa\u{2026} 999 bytes more");
        check("a KB", &long, 2, "aa\u{2026} 1 KB more");
        let long = "a".repeat(600_000);
        let at = format!("{}\u{2026} 584 KB more", &long[..16_000]);
        check("a stack", &long, 16_000, &at);
    }
}
