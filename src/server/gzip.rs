//! Bodies packed with gzip, for those who ask.
//!
//! Sources: RFC 9110, 12.5.3 "Accept-Encoding" and 12.4.2 "Quality Values"; RFC 1952.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Whether the values of a request's `Accept-Encoding` headers allow gzip.
///
/// ```
/// use testapi::server::gzip;
///
/// assert!(gzip::is_accepted(["gzip, deflate"]));
/// assert!(!gzip::is_accepted(["gzip;q=0, *"]));
/// assert!(!gzip::is_accepted([]));
/// ```
pub fn is_accepted<'a>(accept: impl IntoIterator<Item = &'a str>) -> bool {
    let (mut named, mut any) = (None, None);
    for coding in accept.into_iter().flat_map(|header| header.split(',')) {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let wanted = !is_zero(weight);
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => named = Some(named.unwrap_or(true) && wanted),
            "*" => any = Some(wanted),
            _ => {}
        }
    }
    named.or(any).unwrap_or(false)
}

/// `q=0` with any number of zeros behind its point.
fn is_zero(weight: &str) -> bool {
    let Some((name, value)) = weight.split_once('=') else {
        return false;
    };
    let value = value.trim();
    let zeros = value
        .strip_prefix('0')
        .map(|rest| rest.strip_prefix('.').unwrap_or(rest));
    name.trim().eq_ignore_ascii_case("q")
        && zeros.is_some_and(|rest| rest.bytes().all(|b| b == b'0'))
}

/// Packs a body: fast rather than small, since who waits for it is near as a rule.
pub fn pack(body: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    let packed = packer.write_all(body).and_then(|()| packer.finish());
    packed.expect("a Vec takes every byte")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn gzip_is_for_those_who_ask() {
        let rows: [(&str, &[&str], bool); 14] = [
            ("no header", &[], false),
            ("an empty one: as it is", &[""], false),
            ("gzip", &["gzip"], true),
            ("in any case", &["GZip"], true),
            ("the Agent's check", &["gzip, deflate"], true),
            ("its old name", &["x-gzip"], true),
            ("others", &["br, zstd, deflate"], false),
            ("any", &["*"], true),
            ("none but as it is", &["identity, *;q=0"], false),
            ("refused by name", &["*, gzip;q=0"], false),
            ("refused with decimals", &["gzip; q=0.000"], false),
            ("a little is enough", &["gzip;q=0.001"], true),
            ("in the second header", &["br", "gzip"], true),
            ("another parameter", &["gzip;level=0"], true),
        ];
        for (rule, accept, expected) in rows {
            assert_eq!(is_accepted(accept.iter().copied()), expected, "{rule}");
        }
    }

    #[test]
    fn what_is_packed_comes_back() {
        for body in [Vec::new(), b"a".to_vec(), b"metric 1\n".repeat(10_000)] {
            let packed = pack(&body);
            let mut back = Vec::new();
            flate2::read::GzDecoder::new(&packed[..])
                .read_to_end(&mut back)
                .unwrap();
            assert_eq!(back, body);
            assert!(
                packed.len() < body.len() / 50 + 40,
                "{} of {}",
                packed.len(),
                body.len()
            );
        }
    }
}
