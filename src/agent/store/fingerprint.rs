//! Which errors are one issue: service, type, message without its particulars, top own frame.

use std::hash::{DefaultHasher, Hash, Hasher};

/// One error, from a span or a log line.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ErrorSeen<'a> {
    pub(crate) service: &'a str,
    pub(crate) error_type: &'a str,
    pub(crate) message: &'a str,
    pub(crate) stack: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) trace_id: u64,
    pub(crate) ignored_because: &'static str,
    /// From a log line; a span of the same error most likely came too.
    pub(crate) is_log: bool,
}

impl ErrorSeen<'_> {
    /// Errors that are ignored for different reasons are different rows, so that a child's copy of
    /// an error never doubles the count of the one that is shown in Error Tracking.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.service, self.error_type, self.ignored_because).hash(&mut hasher);
        normalised(self.message).hash(&mut hasher);
        without_lines(top_frame(self.stack)).hash(&mut hasher);
        hasher.finish()
    }
}

/// Drops quoted parts, numbers and long hex words.
fn normalised(message: &str) -> String {
    let mut out = String::with_capacity(message.len().min(1_024));
    let mut quote = None;
    for word in message
        .split_inclusive(|c: char| !c.is_alphanumeric())
        .take(512)
    {
        let (body, end) = match word.chars().last() {
            Some(last) if !last.is_alphanumeric() => {
                (&word[..word.len() - last.len_utf8()], Some(last))
            }
            _ => (word, None),
        };
        if quote.is_none() && !particular(body) {
            out.push_str(body);
        }
        match (quote, end) {
            (Some(open), Some(end)) if end == open => quote = None,
            (None, Some(end @ ('"' | '`'))) => quote = Some(end),
            // An apostrophe opens a quote only where a word does not run into it: `can't`.
            (None, Some('\'')) if body.is_empty() => quote = Some('\''),
            (None, Some(end)) if !end.is_ascii_punctuation() => out.push(end),
            _ => {}
        }
    }
    out
}

fn particular(word: &str) -> bool {
    let digits = word.bytes().any(|byte| byte.is_ascii_digit());
    let hex = word.len() >= 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits || hex
}

/// The frame that Error Tracking would blame: the innermost that is not a library's.
pub(crate) fn top_frame(stack: &str) -> &str {
    let python = stack.trim_start().starts_with("Traceback");
    let lines = || stack.lines().map(str::trim).filter(|line| is_frame(line));
    // Python puts the innermost frame last, everybody else first.
    let (own, any) = if python {
        (lines().rfind(|line| is_own(line)), lines().next_back())
    } else {
        (lines().find(|line| is_own(line)), lines().next())
    };
    own.or(any).unwrap_or("")
}

fn is_frame(line: &str) -> bool {
    let numbered = line.split_once(':').is_some_and(|(number, rest)| {
        !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) && rest.starts_with(' ')
    });
    let rust_place = line.starts_with("at ") && !line.contains('(') && line.contains(".rs:");
    let go = line.ends_with(')') && line.contains('(') && !line.contains(' ');
    (line.starts_with("File \"") || line.starts_with("at ") || numbered || go) && !rust_place
}

fn is_own(line: &str) -> bool {
    const FOREIGN: [&str; 20] = [
        "site-packages/",
        "dist-packages/",
        "/lib/python",
        "<frozen",
        "node_modules/",
        "node:internal",
        ": std::",
        ": core::",
        ": alloc::",
        ": <std::",
        ": <core::",
        ": <alloc::",
        ": __rust",
        ": rust_",
        ": _",
        "at java.",
        "at javax.",
        "at jdk.",
        "runtime.",
        ": tiny_http::",
    ];
    !FOREIGN.iter().any(|foreign| line.contains(foreign))
}

/// Line numbers and frame numbers move with every edit; the function stays.
fn without_lines(frame: &str) -> String {
    frame.chars().filter(|c| !c.is_ascii_digit()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_loses_its_particulars() {
        #[track_caller]
        fn check(message: &str, expected: &str) {
            assert_eq!(normalised(message), expected, "{message:?}");
        }
        check("", "");
        check("division by zero", "division by zero");
        check("user 42 not found", "user  not found");
        check("no key 'ana' in \"x y\" or `z`", "no key  in  or ");
        check("can't open", "cant open");
        check("request deadbeef01 0x1f failed", "request   failed");
        check("deadbeefcafe is hex, beef is food", " is hex beef is food");
        check("caf\u{e9} 7", "caf\u{e9} ");
    }

    #[test]
    fn the_top_own_frame_is_found() {
        #[track_caller]
        fn check(rule: &str, stack: &str, expected: &str) {
            assert_eq!(top_frame(stack), expected, "{rule}");
        }
        check("none", "", "");
        check("no frame", "ZeroDivisionError: x", "");
        check(
            "Python: the last that is not a library's",
            "Traceback (most recent call last):\n  File \"/app/a.py\", line 3, in f\n    x\n  File \"/usr/lib/site-packages/b.py\", line 9, in g\n    y\nE: z",
            "File \"/app/a.py\", line 3, in f",
        );
        check(
            "Rust: the first that is not the standard library's",
            "   0: std::backtrace::create\n   1: core::ops::call\n   2: testapi::api::fail\n             at ./src/api/fail.rs:9:5\n   3: testapi::main",
            "2: testapi::api::fail",
        );
        check(
            "Java",
            "E\n\tat java.util.X.y(X.java:1)\n\tat com.app.Main.run(Main.java:7)",
            "at com.app.Main.run(Main.java:7)",
        );
        check(
            "Node",
            "E\n at x (node:internal/a:1:1)\n at run (/app/i.js:3:1)",
            "at run (/app/i.js:3:1)",
        );
        check(
            "only libraries",
            "   0: std::panicking::begin",
            "0: std::panicking::begin",
        );
    }

    #[test]
    fn the_same_error_is_one_and_another_is_another() {
        let seen = ErrorSeen {
            service: "a",
            error_type: "E",
            message: "user 1",
            stack: "  0: app::f",
            ..ErrorSeen::default()
        };
        let same = ErrorSeen {
            message: "user 2",
            resource: "GET /",
            trace_id: 9,
            stack: "  7: app::f",
            ..seen
        };
        assert_eq!(seen.fingerprint(), same.fingerprint());
        for other in [
            ErrorSeen {
                service: "b",
                ..seen
            },
            ErrorSeen {
                error_type: "F",
                ..seen
            },
            ErrorSeen {
                message: "cart 1",
                ..seen
            },
            ErrorSeen {
                stack: "  0: app::g",
                ..seen
            },
            ErrorSeen {
                ignored_because: "no error.type",
                ..seen
            },
        ] {
            assert_ne!(seen.fingerprint(), other.fingerprint(), "{other:?}");
        }
    }
}
