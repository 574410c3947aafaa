//! Whatever an attachment holds.

use testapi::agent::decode::{Profile, ProfileEvent, pprof};
use testapi::agent::lint::{ProfileUpload, lint_profile};

/// Whether it was read.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let read = pprof(bytes);
    assert_eq!(read, pprof(bytes), "twice the same");
    let profile = match read {
        Ok(profile) => profile,
        Err(error) => {
            assert!(error.to_string().len() < 300, "{error}");
            return false;
        }
    };
    let longer = [bytes, b"\x0f"].concat();
    assert!(pprof(&longer).is_err(), "with another byte it is torn");
    places(&profile);
    let zstd = matches!(bytes, [_, 0xb5 | 0x2a, 0x2f | 0x4d, 0xfd | 0x18, ..]);
    let is_packed = bytes.starts_with(b"\x1f\x8b") || zstd;
    let held = profile.bytes();
    assert!(held <= 80 << 20, "{held} bytes");
    if !is_packed {
        assert!(
            held <= size_of::<Profile>() + 24 * bytes.len(),
            "{held} bytes"
        );
    }
    let event = ProfileEvent::default();
    let found = lint_profile(&ProfileUpload {
        event: &event,
        attached: &[],
        profiles: &[("a.pprof", &profile)],
    });
    assert!(found.len() < 20 && found.iter().all(|what| what.len() < 1_000));
    true
}

/// What names something names what is there.
fn places(profile: &Profile) {
    let types = profile.sample_types.len();
    for sample in profile.samples() {
        assert_eq!(sample.values.len(), types);
        let there = |place: &u32| (*place as usize) < profile.locations.len();
        assert!(sample.stack.iter().all(there));
    }
    let mut lines = 0;
    for location in &profile.locations {
        let of_location = profile.lines_of(location);
        lines += of_location.len();
        let mut functions = of_location.iter().map(|line| line.function as usize);
        assert!(functions.all(|function| function < profile.functions.len()));
        let mapping = location.mapping.map_or(0, |mapping| mapping as usize);
        assert!(location.mapping.is_none() || mapping < profile.mappings.len());
    }
    assert_eq!(lines, profile.lines.len());
    assert_eq!(profile.text(0), "");
}
