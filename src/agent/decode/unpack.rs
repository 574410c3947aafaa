//! What came packed, by its first bytes: gzip (RFC 1952), zstd (RFC 8878), or as it is.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;

use super::pprof::PprofError;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// Of a frame that holds nothing to unpack: 16 magic numbers, little-endian.
const SKIPPED: &[u8] = &[0x2a, 0x4d, 0x18];

/// Gives at most `bytes_max` bytes.
pub(super) fn unpacked(bytes: &[u8], bytes_max: usize) -> Result<Cow<'_, [u8]>, PprofError> {
    let mut out = Vec::new();
    match bytes {
        _ if bytes.starts_with(GZIP) => {
            append(MultiGzDecoder::new(bytes), bytes_max, &mut out)
                .map_err(|why| PprofError::Packed("gzip", why))?;
        }
        _ if bytes.starts_with(ZSTD) || is_skipped(bytes) => {
            let mut rest = bytes;
            while !rest.is_empty() && out.len() <= bytes_max {
                rest = zstd_frame(rest, bytes_max, &mut out)
                    .map_err(|why| PprofError::Packed("zstd", why))?;
            }
        }
        _ if bytes.len() > bytes_max => return Err(PprofError::Large(bytes_max)),
        _ => return Ok(bytes.into()),
    }
    if out.len() > bytes_max {
        return Err(PprofError::Large(bytes_max));
    }
    Ok(out.into())
}

/// As it came, or what its zstd holds; for readers that know gzip alone.
pub(in crate::agent) fn without_zstd(
    bytes: Vec<u8>,
    bytes_max: usize,
) -> Result<Vec<u8>, PprofError> {
    match bytes.starts_with(ZSTD) || is_skipped(&bytes) {
        true => unpacked(&bytes, bytes_max).map(Cow::into_owned),
        false => Ok(bytes),
    }
}

fn is_skipped(bytes: &[u8]) -> bool {
    matches!(bytes, [0x50..=0x5f, rest @ ..] if rest.starts_with(SKIPPED))
}

/// Takes the first frame; gives what follows it.
fn zstd_frame<'b>(
    bytes: &'b [u8],
    bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<&'b [u8], String> {
    if is_skipped(bytes) {
        let length = bytes.get(4..8).ok_or("ends in a frame's head")?;
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let rest = bytes[8..].split_at_checked(length);
        return rest
            .map(|(_, rest)| rest)
            .ok_or_else(|| "ends in a frame".to_string());
    }
    // The window is only an upper bound to what the decoder keeps; it grows with what is really unpacked.
    let decoder = StreamingDecoder::new_with_max_window_size(bytes, bytes_max as u64);
    let mut decoder = decoder.map_err(|error| error.to_string())?;
    append(&mut decoder, bytes_max, out)?;
    Ok(decoder.into_inner())
}

/// One byte over the bound is enough to see that there is more.
fn append(from: impl Read, bytes_max: usize, out: &mut Vec<u8>) -> Result<(), String> {
    let room = (bytes_max + 1 - out.len()) as u64;
    let read = from.take(room).read_to_end(out);
    read.map(drop).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    use std::io::Write;

    const MAX: usize = 200_000;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        compress_to_vec(bytes, CompressionLevel::Fastest)
    }

    #[track_caller]
    fn check(rule: &str, packed: &[u8], expected: Result<usize, &str>) {
        let read = unpacked(packed, MAX).map(|bytes| bytes.len());
        match (read, expected) {
            (Ok(length), Ok(expected)) => assert_eq!(length, expected, "{rule}"),
            (Err(error), Err(expected)) => {
                assert!(error.to_string().starts_with(expected), "{rule}: {error}");
            }
            (read, _) => panic!("{rule}: {read:?}"),
        }
    }

    #[test]
    fn only_zstd_is_taken_off() {
        let plain = b"some bytes".to_vec();
        for (rule, packed, expected) in [
            ("nothing", Vec::new(), Vec::new()),
            ("as it is", plain.clone(), plain.clone()),
            ("gzip stays", gzip(&plain), gzip(&plain)),
            ("zstd goes", zstd(&plain), plain.clone()),
        ] {
            let seen = without_zstd(packed, 1 << 20).map_err(|error| error.to_string());
            assert_eq!(seen, Ok(expected), "{rule}");
        }
        assert!(
            without_zstd(zstd(&vec![7; 3 << 20]), 1 << 20).is_err(),
            "over the bound"
        );
    }

    #[test]
    fn nothing_unpacks_to_more_than_the_bound() {
        let over = "over 200000 bytes once it is unpacked";
        for (kind, pack) in [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("zstd", zstd)] {
            check(kind, &pack(&[0; MAX]), Ok(MAX));
            check(kind, &pack(&[0; MAX + 1]), Err(over));
            check(kind, &pack(&[0; 100 * MAX]), Err(over));
            check(kind, &pack(&[0; MAX / 10]).repeat(10), Ok(MAX));
            check(kind, &pack(&[0; MAX / 10]).repeat(11), Err(over));
            check(kind, &pack(b""), Ok(0));
        }
        check("raw", &[1; MAX], Ok(MAX));
        check("raw, over", &[1; MAX + 1], Err(over));
        check("nothing", b"", Ok(0));
    }

    #[test]
    fn what_is_packed_badly_is_refused() {
        check("two bytes of gzip", &GZIP[..2], Err("gzip: "));
        check(
            "gzip and something",
            &[&*gzip(b"a"), b"b"].concat(),
            Err("gzip: "),
        );
        let mut wrong = gzip(b"abc");
        let end = wrong.len();
        wrong[end - 8] ^= 1;
        check("a wrong checksum", &wrong, Err("gzip: "));
        check("four bytes of zstd", ZSTD, Err("zstd: "));
        check(
            "zstd and something",
            &[&*zstd(b"a"), b"b"].concat(),
            Err("zstd: "),
        );
        // Of 64 MiB, and of as much as can be said.
        check(
            "a wide window",
            b"\x28\xb5\x2f\xfd\x00\x80\x01\x00\x00",
            Err("zstd: "),
        );
        check(
            "the widest",
            b"\x28\xb5\x2f\xfd\x00\xff\x01\x00\x00",
            Err("zstd: "),
        );
        let large = b"\x28\xb5\x2f\xfd\xe0\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00";
        check("a large size", large, Err("zstd: "));
        let dictionary = b"\x28\xb5\x2f\xfd\x01\x00\x07\x01\x00\x00";
        check("a dictionary", dictionary, Err("zstd: "));
        check(
            "a skipped frame torn",
            b"\x50\x2a\x4d\x18\x04\x00\x00\x00abc",
            Err("zstd: "),
        );
        check("its head torn", b"\x50\x2a\x4d\x18\x04", Err("zstd: "));
        check(
            "skipped alone",
            b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc",
            Ok(0),
        );
    }
}
