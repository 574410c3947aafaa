//! Bytes of a query, read by tables: words in any case, and units that repeat.

/// A query.
#[derive(Clone, Copy)]
pub(super) struct Text<'a>(pub(super) &'a [u8]);

impl Text<'_> {
    /// The end of this word, in any case, if it stands here. It is given in lower case.
    pub(super) fn word(self, at: usize, word: &str) -> Option<usize> {
        let end = at + word.len();
        let here = self.0.get(at..end)?;
        here.eq_ignore_ascii_case(word.as_bytes()).then_some(end)
    }

    /// The end of the first of these words that stands here.
    pub(super) fn either(self, at: usize, words: &[&str]) -> Option<usize> {
        words.iter().find_map(|word| self.word(at, word))
    }

    /// The end of so many letters and digits.
    pub(super) fn exactly(self, at: usize, letters_and_digits: usize) -> Option<usize> {
        let end = at + letters_and_digits;
        let here = self.0.get(at..end)?;
        here.iter()
            .all(|byte| is(*byte, ALPHANUMERIC))
            .then_some(end)
    }

    /// The end of all units that follow one another from here, if they are no fewer than `min`.
    pub(super) fn many(self, mut at: usize, min: usize, units: &Units) -> Option<usize> {
        let mut count = 0;
        while let Some(byte) = self.0.get(at) {
            if is(*byte, units.class) {
                at += 1;
            } else if let Some(end) = self.either(at, units.escapes) {
                at = end;
            } else {
                break;
            }
            count += 1;
        }
        (count >= min).then_some(at)
    }

    /// How many bytes come before the next that `stops`, or before the end.
    pub(super) fn bytes_to(self, at: usize, stops: impl Fn(u8) -> bool) -> usize {
        let rest = &self.0[at..];
        rest.iter()
            .position(|byte| stops(*byte))
            .unwrap_or(rest.len())
    }
}

/// Whether a text ends with this, in any case.
pub(super) fn ends_with(text: &[u8], end: &str) -> bool {
    let at = text.len().checked_sub(end.len());
    at.is_some_and(|at| text[at..].eq_ignore_ascii_case(end.as_bytes()))
}

/// Bytes that may repeat, and escapes that stand for one more.
pub(super) struct Units {
    class: u8,
    escapes: &'static [&'static str],
}

impl Units {
    const fn of(class: u8, escapes: &'static [&'static str]) -> Units {
        Units { class, escapes }
    }
}

pub(super) const SPACES: Units = Units::of(SPACE, &["%20"]);
/// Between the parts of a key as OpenSSH writes it.
pub(super) const GAPS: Units = Units::of(SPACE, &["%20", "%09"]);
/// Of the label of a key in PEM.
pub(super) const LABELS: Units = Units::of(LABEL, &["%20"]);
pub(super) const NAMES: Units = Units::of(NAME, &[]);
pub(super) const ALPHANUMERICS: Units = Units::of(ALPHANUMERIC, &[]);
pub(super) const JWT_PARTS: Units = Units::of(JWT_PART, &["%3d"]);
pub(super) const JWT_SIGNATURES: Units = Units::of(JWT_SIGNATURE, &["%3d", "%2f", "%2b"]);
pub(super) const SSH_BODIES: Units = Units::of(SSH_BODY, &["%2f", "%5c", "%2b"]);
pub(super) const PADDINGS: Units = Units::of(0, &["=", "%3d"]);

/// `[a-z0-9_-]`.
pub(super) const WORD: u8 = 1;
pub(super) const SPACE: u8 = 1 << 1;
/// `[a-z]` and spaces.
const LABEL: u8 = 1 << 2;
/// `[a-z0-9._-]`.
const NAME: u8 = 1 << 3;
/// `[a-z0-9]`.
const ALPHANUMERIC: u8 = 1 << 4;
/// `[a-z0-9_=-]`.
const JWT_PART: u8 = 1 << 5;
/// `[a-z0-9_.+/=-]`.
const JWT_SIGNATURE: u8 = 1 << 6;
/// `[a-z0-9/.+]`.
const SSH_BODY: u8 = 1 << 7;

/// Whether a byte is of this class.
pub(super) fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    const DIGIT: u8 = WORD | NAME | ALPHANUMERIC | JWT_PART | JWT_SIGNATURE | SSH_BODY;
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < classes.len() {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => DIGIT | LABEL,
            b'0'..=b'9' => DIGIT,
            b'_' | b'-' => WORD | NAME | JWT_PART | JWT_SIGNATURE,
            b'.' => NAME | JWT_SIGNATURE | SSH_BODY,
            b'/' | b'+' => JWT_SIGNATURE | SSH_BODY,
            b'=' => JWT_PART | JWT_SIGNATURE,
            b' ' | b'\t'..=b'\r' => SPACE | LABEL,
            _ => 0,
        };
        byte += 1;
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of each class, from the least.
    #[test]
    fn a_class_has_these_bytes_and_no_others() {
        let digits = "0123456789";
        let capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let letters = "abcdefghijklmnopqrstuvwxyz";
        for (class, expected) in [
            (WORD, format!("-{digits}{capitals}_{letters}")),
            (SPACE, "\t\n\x0b\x0c\r ".to_string()),
            (LABEL, format!("\t\n\x0b\x0c\r {capitals}{letters}")),
            (NAME, format!("-.{digits}{capitals}_{letters}")),
            (ALPHANUMERIC, format!("{digits}{capitals}{letters}")),
            (JWT_PART, format!("-{digits}={capitals}_{letters}")),
            (JWT_SIGNATURE, format!("+-./{digits}={capitals}_{letters}")),
            (SSH_BODY, format!("+./{digits}{capitals}{letters}")),
        ] {
            let found: Vec<u8> = (0..=u8::MAX).filter(|byte| is(*byte, class)).collect();
            assert_eq!(String::from_utf8_lossy(&found), expected, "{class}");
        }
    }

    #[test]
    fn units_are_counted_escapes_as_one() {
        let check = |text: &str, min: usize, end: Option<usize>| {
            let found = Text(text.as_bytes()).many(1, min, &SSH_BODIES);
            assert_eq!(found, end, "{text:?} {min}");
        };
        check("<", 0, Some(1));
        check("<", 1, None);
        check("<>", 0, Some(1));
        check("<a%2F%5c.%2b>", 5, Some(12));
        check("<a%2F%5c.%2b>", 6, None);
        check("<a%20", 1, Some(2));
        check("<a%2", 1, Some(2));
        check("<a%", 1, Some(2));
    }

    #[test]
    fn words_stand_whole_and_in_any_case() {
        let text = Text(b"x%3DToken");
        assert_eq!(text.either(1, &["=", "%3d"]), Some(4));
        assert_eq!(text.word(4, "token"), Some(9));
        assert_eq!(text.word(4, "tokens"), None);
        assert_eq!(text.word(9, ""), Some(9));
        assert_eq!(text.word(10, ""), None);
        assert_eq!(
            (text.exactly(4, 5), text.exactly(4, 6), text.exactly(1, 1)),
            (Some(9), None, None)
        );
        assert_eq!(
            (
                text.bytes_to(1, |byte| byte == b'T'),
                text.bytes_to(9, |_| true)
            ),
            (3, 0)
        );
        assert!(ends_with(b"my_KEY", "key") && ends_with(b"", "") && !ends_with(b"ey", "key"));
    }
}
