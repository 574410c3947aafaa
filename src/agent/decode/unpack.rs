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
