//! Bodies packed with gzip, for those who ask.
//!
//! Sources: RFC 9110, 12.5.3 "Accept-Encoding" and 12.4.2 "Quality Values"; RFC 1952.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Whether the values of a request's `Accept-Encoding` headers allow gzip, and like nothing plain better.
///
/// ```
/// use testapi::server::gzip;
///
/// assert!(gzip::is_accepted(["gzip, deflate"]));
/// assert!(!gzip::is_accepted(["gzip;q=0, *"]));
/// assert!(!gzip::is_accepted([]));
/// ```
pub fn is_accepted<'a>(accept: impl IntoIterator<Item = &'a str>) -> bool {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for coding in accept.into_iter().flat_map(|header| header.split(',')) {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or("").to_ascii_lowercase();
        let place = match name.as_str() {
            "gzip" | "x-gzip" => &mut gzip,
            "identity" => &mut identity,
            "*" => &mut any,
            _ => continue,
        };
        // Of what is named twice the lower weight holds.
        if let Some(weight) = weight(parts) {
            *place = Some(place.map_or(weight, |held: f32| held.min(weight)));
        }
    }
    let gzip = gzip.or(any).unwrap_or(0.0);
    gzip > 0.0 && gzip >= identity.unwrap_or(0.0)
}

/// The value of `q`, 1 where it is not said; none where it is not a weight.
fn weight<'a>(parameters: impl Iterator<Item = &'a str>) -> Option<f32> {
    let pairs = parameters.filter_map(|parameter| parameter.split_once('='));
    let mut weights = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    let Some((_, value)) = weights.next() else {
        return Some(1.0);
    };
    let value = value.trim();
    let plain = value
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let weight: f32 = value.parse().ok()?;
    (plain && (0.0..=1.0).contains(&weight)).then_some(weight)
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
        let rows: [(&str, &[&str], bool); 22] = [
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
            ("refused behind another parameter", &["gzip;x=1;q=0"], false),
            ("and before one", &["gzip;q=0;x=1"], false),
            ("plain is preferred", &["identity;q=1, gzip;q=0.1"], false),
            ("both alike", &["identity, gzip"], true),
            ("a weight that is none", &["gzip;q=2"], false),
            ("nor is this", &["gzip;q=-1, gzip;q="], false),
            ("any, and none", &["*, *;q=0"], false),
            ("none, and any", &["*;q=0, *"], false),
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
