//! Makes any text safe for a line. DogStatsD has no escape for most of its separators, so what
//! would break a line becomes `_`, as it would later in Datadog's own backend.

/// Longest metric name that the backend keeps (Datadog docs, "Metric naming").
const NAME_BYTES_MAX: usize = 200;

/// A metric name: ASCII letters, digits, `_` and `.`, beginning with a letter.
///
/// Leading signs go, because the Agent takes `_e{` and `_sc` for other kinds of messages.
pub(super) fn name(raw: &str) -> Option<String> {
    let start = raw.find(|c: char| c.is_ascii_alphabetic())?;
    let kept = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let clean = raw[start..]
        .chars()
        .take(NAME_BYTES_MAX)
        .map(|c| if kept(c) { c } else { '_' });
    Some(clean.collect())
}

/// A tag as `key:value`, or one half alone where the other is empty.
///
/// A colon in the key would move the border between key and value.
pub(super) fn tag(key: &str, value: &str) -> String {
    let mut text = String::with_capacity(key.len() + value.len() + 1);
    let safe = |c: char| {
        if matches!(c, ',' | '@') {
            '_'
        } else {
            plain(c)
        }
    };
    text.extend(key.chars().map(|c| if c == ':' { '_' } else { safe(c) }));
    if !key.is_empty() && !value.is_empty() {
        text.push(':');
    }
    text.extend(value.chars().map(safe));
    text
}

/// [`tag`] for tags of a call: the Agent takes `host:` and `dd.internal.*:` away from the tags and
/// changes the origin of the metric by them (datadog-agent, `comp/dogstatsd/server/impl/enrich.go`).
pub(super) fn tag_of_call(key: &str, value: &str) -> String {
    let mut text = tag(key, value);
    if text.starts_with("host:") {
        text.insert(4, '_');
    } else if text.starts_with("dd.internal.") {
        text.replace_range(2..3, "_");
    }
    text
}

/// A set member, host name, key or any other field that ends at a pipe.
pub(super) fn field(raw: &str) -> String {
    raw.chars().map(plain).collect()
}

/// The title or text of an event: newlines escaped, pipes kept, because lengths tell the ends.
pub(super) fn event_text(raw: &str) -> String {
    escape(raw, |c| c)
}

/// The message of a check: newlines escaped, pipes replaced, `m:` written `m\:`.
pub(super) fn check_message(raw: &str) -> String {
    escape(raw, |c| if c == '|' { '_' } else { c }).replace("m:", "m\\:")
}

/// Every kind of line end becomes `\n` in two characters: the Agent drops a CR before the newline
/// that ends a line, which would make the announced length of an event wrong.
fn escape(raw: &str, map: impl Fn(char) -> char) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' | '\r' => text.push_str("\\n"),
            '\t' => text.push(c),
            c if c.is_control() => text.push('_'),
            c => text.push(map(c)),
        }
    }
    text
}

fn plain(c: char) -> char {
    if c == '|' || c.is_control() { '_' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, clean: impl Into<Option<String>>, expected: &str) {
        assert_eq!(clean.into().unwrap_or_default(), expected, "{rule}");
    }

    #[test]
    fn names() {
        check("kept", name("a.b_C9"), "a.b_C9");
        check("signs, spaces, unicode", name("a b-c|d:é\n"), "a_b_c_d___");
        check("must begin with a letter", name("_sc|x"), "sc_x");
        check("no letter, no name", name("_123é"), "");
        check("empty", name(""), "");
        check("the limit", name(&"n".repeat(200)), &"n".repeat(200));
        check("one over", name(&"n".repeat(201)), &"n".repeat(200));
    }

    #[test]
    fn tags() {
        check(
            "kept",
            tag("route", "/users/{id}:x é"),
            "route:/users/{id}:x é",
        );
        check("separators", tag("k", "v|@x,y"), "k:v__x_y");
        check(
            "line ends and NUL",
            tag("k\n", "a\r\n\0b\u{85}"),
            "k_:a___b_",
        );
        check("colon in the key", tag("a:b", "c"), "a_b:c");
        check("no value", tag("k", ""), "k");
        check("no key", tag("", "v"), "v");
        check("host override", tag_of_call("host", "h"), "host_:h");
        check(
            "no key, host override",
            tag_of_call("", "host:h"),
            "host_:h",
        );
        check("other keys", tag_of_call("hostess", "h"), "hostess:h");
        check(
            "internal",
            tag_of_call("dd.internal.card", "x"),
            "dd_internal.card:x",
        );
    }

    #[test]
    fn texts() {
        check("newlines", event_text("a\nb\r\nc\rd"), "a\\nb\\nc\\nd");
        check("pipes stay in events", event_text("a|b\tc\0"), "a|b\tc_");
        check("message", check_message("m: a|b\nm:"), "m\\: a_b\\nm\\:");
        check("field", field("x|y\nz:é,"), "x_y_z:é,");
        check("empty", event_text(""), "");
    }
}
