//! The body of an upload: the event, then the profile.
//!
//! RFC 7578 and RFC 2046, 5.1.1: a line of two dashes and the boundary in front of each part, two dashes more behind
//! the last. Which parts, and their heads, are libdatadog's (`profile_exporter.rs`).

use std::hash::{BuildHasher, RandomState};

use super::event::PROFILE_NAME;

/// A text that none of the parts holds, 32 digits long.
pub(super) fn boundary(parts: &[&[u8]]) -> String {
    // Seeded by the system.
    let random = RandomState::new();
    (0_u64..)
        .map(|n| format!("{:016x}{:016x}", random.hash_one(n), random.hash_one(!n)))
        .find(|text| parts.iter().all(|part| !holds(part, text.as_bytes())))
        .expect("a part holds no more texts than it has bytes")
}

fn holds(part: &[u8], text: &[u8]) -> bool {
    part.windows(text.len()).any(|window| window == text)
}

/// The whole body.
pub(super) fn encode(boundary: &str, event: &[u8], profile: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(event.len() + profile.len() + 512);
    let part = |out: &mut Vec<u8>, head: &str, content: &[u8]| {
        for piece in ["--", boundary, "\r\n", head, "\r\n\r\n"] {
            out.extend_from_slice(piece.as_bytes());
        }
        out.extend_from_slice(content);
        out.extend_from_slice(b"\r\n");
    };
    part(
        &mut out,
        "Content-Disposition: form-data; name=\"event\"; filename=\"event.json\"\r\n\
        Content-Type: application/json",
        event,
    );
    let head = format!(
        "Content-Disposition: form-data; name=\"{PROFILE_NAME}\"; filename=\"{PROFILE_NAME}\""
    );
    part(&mut out, &head, profile);
    for piece in ["--", boundary, "--\r\n"] {
        out.extend_from_slice(piece.as_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_these_bytes() {
        let body = encode("B", b"{}", b"\x1f\x8b\r\n--");
        let expected: &[u8] = b"--B\r\n\
            Content-Disposition: form-data; name=\"event\"; filename=\"event.json\"\r\n\
            Content-Type: application/json\r\n\r\n{}\r\n\
            --B\r\n\
            Content-Disposition: form-data; name=\"profile.pprof\"; filename=\"profile.pprof\"\r\n\r\n\
            \x1f\x8b\r\n--\r\n\
            --B--\r\n";
        assert_eq!(body, expected);
    }

    #[test]
    fn no_part_holds_the_boundary() {
        let first = boundary(&[]);
        assert_eq!(first.len(), 32);
        assert!(first.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_ne!(first, boundary(&[]));
        for (rule, part, expected) in [
            ("nothing", "", false),
            ("itself", "abc", true),
            ("inside", "xabcx", true),
            ("cut short", "ab", false),
            ("apart", "abxc", false),
        ] {
            assert_eq!(holds(part.as_bytes(), b"abc"), expected, "{rule}");
        }
    }
}
