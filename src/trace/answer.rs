//! What each answer of an Agent asks for.
//!
//! By the Agent's own replies (datadog-agent, `pkg/trace/api/api.go` and `responses.go`). That a payload is
//! cut in two for a 413, and that nothing is sent again which will never be taken, is ours.

use std::time::Duration;

use crate::http::Response;

/// Longest that an Agent may ask us to wait.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// What becomes of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Taken.
    Delivered,
    /// Its bytes are not understood, and will not be the next time.
    Rejected,
    /// Nobody there takes traces of this version.
    Unsupported,
    /// Longer than the Agent takes.
    TooLarge,
    /// The Agent waited for it in vain: shorter ones may come through.
    TooSlow,
    /// Not now; not before so long, where the Agent says so.
    Later(Option<Duration>),
}

pub(super) fn verdict(response: &Response) -> Verdict {
    match response.status {
        200..=299 => Verdict::Delivered,
        404 | 405 | 415 => Verdict::Unsupported,
        408 => Verdict::TooSlow,
        413 => Verdict::TooLarge,
        429 | 500..=599 => Verdict::Later(retry_after(response)),
        // A redirection is not followed: the Agent sends none, and spans are not for strangers.
        _ => Verdict::Rejected,
    }
}

/// Seconds; the other form of RFC 9110, a date, counts as none.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds: u64 = response.header("Retry-After")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// The start of an answer's body, for a person: printable, on one line.
pub(super) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(200)]);
    let text = text
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c });
    text.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_consequence() {
        for (status, expected) in [
            (200, Verdict::Delivered),
            (202, Verdict::Delivered),
            (204, Verdict::Delivered),
            (301, Verdict::Rejected),
            (400, Verdict::Rejected),
            (401, Verdict::Rejected),
            (404, Verdict::Unsupported),
            (405, Verdict::Unsupported),
            (408, Verdict::TooSlow),
            (413, Verdict::TooLarge),
            (415, Verdict::Unsupported),
            (429, Verdict::Later(None)),
            (500, Verdict::Later(None)),
            (503, Verdict::Later(None)),
            (600, Verdict::Rejected),
        ] {
            let response = Response {
                status,
                ..Response::default()
            };
            assert_eq!(verdict(&response), expected, "{status}");
        }
    }

    #[test]
    fn a_wait_that_is_asked_for_is_kept_within_reason() {
        for (value, expected) in [
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("31", Some(30)),
            ("18446744073709551615", Some(30)),
            ("18446744073709551616", None),
            ("-1", None),
            ("Wed, 21 Oct 2026 07:28:00 GMT", None),
            ("", None),
        ] {
            let headers = vec![("retry-after".to_string(), value.to_string())];
            let response = Response {
                status: 429,
                headers,
                ..Response::default()
            };
            let expected = Verdict::Later(expected.map(Duration::from_secs));
            assert_eq!(verdict(&response), expected, "{value:?}");
        }
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(
            excerpt(b" bad\r\n\x1b[31mpayload\xff\n"),
            "bad   [31mpayload\u{fffd}"
        );
        assert_eq!(excerpt(&[b'x'; 1_000]).len(), 200);
    }
}
