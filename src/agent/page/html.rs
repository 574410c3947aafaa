//! Text into HTML: the one way in.

use std::fmt::{self, Display, Formatter, Write};

/// `write!` into a `String`, which cannot fail.
macro_rules! html {
    ($out:expr, $($piece:tt)*) => {{
        use std::fmt::Write as _;
        let _ = write!($out, $($piece)*);
    }};
}
pub(super) use html;

/// Any text as the content of an element or of a double-quoted attribute.
///
/// Controls and direction marks are written out: a browser drops the first and obeys the second,
/// and either would show a name that is not the one received.
pub(super) fn esc<T: Display>(text: T) -> Esc<T> {
    Esc(text)
}

/// See [`esc`].
pub(super) struct Esc<T>(T);

impl<T: Display> Display for Esc<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(Escaper(f), "{}", self.0)
    }
}

struct Escaper<'a, 'b>(&'a mut Formatter<'b>);

impl Write for Escaper<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain_from = 0;
        for (at, c) in text.char_indices() {
            let entity = match c {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&quot;",
                '\'' => "&#39;",
                _ if is_unseen(c) => "",
                _ => continue,
            };
            self.0.write_str(&text[plain_from..at])?;
            plain_from = at + c.len_utf8();
            match entity {
                "" => write!(self.0, "\\u{{{:x}}}", c as u32)?,
                _ => self.0.write_str(entity)?,
            }
        }
        self.0.write_str(&text[plain_from..])
    }
}

/// Controls but newline and tab, and the marks of Unicode's UAX #9 that turn the writing direction.
fn is_unseen(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && c != '\n' && c != '\t')
}

/// One path segment or query value: all but RFC 3986's unreserved characters percent-encoded.
pub(super) fn pct(text: &str) -> Pct<'_> {
    Pct(text)
}

/// See [`pct`].
pub(super) struct Pct<'a>(&'a str);

impl Display for Pct<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    f.write_char(byte as char)?;
                }
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, text: &str, html: &str) {
        assert_eq!(esc(text).to_string(), html, "{rule}");
    }

    #[test]
    fn text_stays_text() {
        check("nothing", "", "");
        check("plain text is untouched", "GET /a b", "GET /a b");
        check("a tag", "<img src=x>", "&lt;img src=x&gt;");
        check("both quotes", "\"'", "&quot;&#39;");
        check("an entity is not one", "&lt;", "&amp;lt;");
        check("NUL is written out", "a\0b", "a\\u{0}b");
        check("a newline stays", "a\n\tb", "a\n\tb");
        check("a C1 control", "\u{85}", "\\u{85}");
        check("right-to-left override", "\u{202e}exe", "\\u{202e}exe");
        check("isolates", "\u{2066}\u{2069}", "\\u{2066}\\u{2069}");
        check("Arabic letters stay", "مرحبا", "مرحبا");
        check("beyond the first plane", "🦀<", "🦀&lt;");
    }

    #[test]
    fn a_link_holds_one_segment() {
        let encode = |text: &str| pct(text).to_string();
        assert_eq!(encode("18446744073709551615"), "18446744073709551615");
        assert_eq!(encode("a/b?c=d&e#f"), "a%2Fb%3Fc%3Dd%26e%23f");
        assert_eq!(encode("\"' <é"), "%22%27%20%3C%C3%A9");
    }
}
