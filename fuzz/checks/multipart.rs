//! Whatever an upload holds: a line with its content type, then its body.

use testapi::agent::decode::{multipart, profile_event};

/// Whether it was taken apart, and what it says of itself read.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let at = bytes.iter().position(|byte| *byte == b'\n');
    let (content_type, body) = match at {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &b""[..]),
    };
    let content_type = String::from_utf8_lossy(content_type);
    let read = multipart(&content_type, body);
    assert_eq!(read, multipart(&content_type, body), "twice the same");
    let parts = match read {
        Ok(parts) => parts,
        Err(error) => {
            assert!(error.to_string().len() < 2_000, "{error}");
            return false;
        }
    };
    assert!(parts.len() <= 16);
    let mut last = 0;
    let mut texts = 0;
    let mut is_read = true;
    for part in &parts {
        assert!(last <= part.range.start && part.range.start <= part.range.end);
        last = part.range.end;
        texts += part.name.len() + part.filename.len() + part.content_type.len();
        if part.name == "event" {
            is_read &= event(&body[part.range.clone()]);
        }
    }
    assert!(last <= body.len() && texts <= body.len());
    let longer = [body, b"\r\nafter the end"].concat();
    assert_eq!(multipart(&content_type, &longer).as_ref(), Ok(&parts));
    is_read
}

fn event(bytes: &[u8]) -> bool {
    let event = match profile_event(bytes) {
        Ok(event) => event,
        Err(error) => {
            assert!(error.to_string().len() < 1_000, "{error}");
            return false;
        }
    };
    assert!(event.attachments.len() <= 64);
    assert!(event.tags.len() <= 1_000 && event.endpoints.len() <= 1_000);
    assert!(event.endpoints.is_sorted_by(|a, b| a.1 >= b.1));
    true
}
