//! Headers of a request, as the styles read them.

/// Every value of a name, in order; names are in lower case.
pub(super) trait Headers<'a> {
    /// All values of a name.
    fn all(&self, name: &'static str) -> impl Iterator<Item = &'a str>;

    /// The first value that is not blank, without the space around it.
    fn first(&self, name: &'static str) -> Option<&'a str> {
        self.all(name).map(trimmed).find(|value| !value.is_empty())
    }
}

impl<'a, F, V> Headers<'a> for F
where
    F: Fn(&'static str) -> V,
    V: Iterator<Item = &'a str>,
{
    fn all(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        self(name)
    }
}

/// Without the space and tabs that HTTP allows around a value, and W3C around a list's members.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Whether a header can hold this as it is.
pub(super) fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_is_the_first_that_says_something() {
        let lines = [
            ("a", " \t1 "),
            ("b", ""),
            ("b", " "),
            ("b", "2"),
            ("b", "3"),
            ("c", ""),
        ];
        let values = |name| {
            lines
                .iter()
                .filter(move |(n, _)| *n == name)
                .map(|(_, value)| *value)
        };
        let seen = ["a", "b", "c", "d"].map(|name| values.first(name));
        assert_eq!(seen, [Some("1"), Some("2"), None, None]);
    }

    #[test]
    fn printable_is_ascii_without_controls() {
        for (text, expected) in [
            ("", true),
            (" ~", true),
            ("a\r", false),
            ("a\n", false),
            ("\0", false),
            ("\x7f", false),
            ("\u{e9}", false),
        ] {
            assert_eq!(is_printable(text), expected, "{text:?}");
        }
    }
}
