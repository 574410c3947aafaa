//! Payloads of another tracer (ddtrace for Python, Flask under gunicorn), as they were on the wire.
//! The store's tests send them through every door; here stands what the decoders make of the bytes.

use testapi::agent::decode::{DecodeError, Span, traces_v04, traces_v05};

pub(crate) const V04: &[u8] = include_bytes!("../corpus/traces_v04.bin");
pub(crate) const V05: &[u8] = include_bytes!("../corpus/traces_v05.bin");

type Decode = fn(&[u8]) -> Result<Vec<Vec<Span>>, DecodeError>;

#[track_caller]
fn check(rule: &str, (decode, body): (Decode, &[u8]), service: &str) {
    let chunks = decode(body).expect(rule);
    let shape: Vec<(usize, &str)> = chunks
        .iter()
        .map(|chunk| (chunk.len(), &*chunk[0].resource))
        .collect();
    assert_eq!(shape, [(11, "GET /metrics"), (12, "GET /")], "{rule}");
    for chunk in &chunks {
        let root = &chunk[0];
        assert_eq!((&*root.service, &*root.kind), (service, "web"), "{rule}");
        assert_eq!((root.parent_id, root.error), (0, 0), "{rule}");
        assert_eq!(root.tag("span.kind"), "server", "{rule}");
        assert_eq!(root.tag("http.status_code"), "200", "{rule}");
        assert_eq!(root.tag("_dd.p.dm"), "-0", "{rule}");
        for child in &chunk[1..] {
            let parent = chunk.iter().find(|span| span.span_id == child.parent_id);
            let parent = parent.expect(rule);
            assert_eq!(child.trace_id, parent.trace_id, "{rule}");
            assert!(child.start >= parent.start, "{rule}");
            assert!(child.duration <= root.duration, "{rule}");
        }
    }
}

#[test]
fn both_versions_tell_the_same_story() {
    check("v0.4", (traces_v04, V04), "testapi");
    check("v0.5", (traces_v05, V05), "flask");
}

#[test]
fn a_capture_that_is_cut_or_goes_on_is_an_error() {
    for (decode, body) in [(traces_v04 as Decode, V04), (traces_v05, V05)] {
        for length in 0..body.len() {
            assert!(decode(&body[..length]).is_err(), "cut at {length}");
        }
        assert!(decode(&[body, b"\xc0"].concat()).is_err());
    }
}
