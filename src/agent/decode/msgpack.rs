//! A bounded reader of msgpack (the public msgpack specification) that borrows from its input.

use std::borrow::Cow;
use std::fmt;

/// Containers within containers; a span needs six, a hostile payload would like a million.
const DEPTH_MAX: u32 = 32;

/// Why a payload could not be decoded, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input ends before the value does.
    Truncated(usize),
    /// A container announces more elements than there are bytes left.
    Length(usize, u64),
    /// Another type than the one that stands there: what was expected, and the first byte found.
    Type(usize, &'static str, u8),
    /// A span that begins at this byte lacks this key.
    Missing(usize, &'static str),
    /// Containers nested deeper than 32.
    Depth(usize),
    /// Bytes after the end of the payload.
    Trailing(usize),
    /// A v0.5 index outside its string table.
    Index(usize, u64),
    /// A payload that would grow beyond this many bytes once its shared strings are written out.
    Expands(usize),
    /// Not JSON, and why.
    Json(String),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Truncated(at) => write!(f, "ends at byte {at}, inside a value"),
            DecodeError::Length(at, n) => {
                write!(
                    f,
                    "{n} elements announced at byte {at}, more than bytes left"
                )
            }
            DecodeError::Type(at, expected, byte) => {
                write!(f, "byte {at} is {byte:#04x}, expected {expected}")
            }
            DecodeError::Missing(at, key) => write!(f, "the span at byte {at} has no {key}"),
            DecodeError::Depth(at) => write!(f, "nested deeper than {DEPTH_MAX} at byte {at}"),
            DecodeError::Trailing(at) => write!(f, "bytes after the end, from byte {at}"),
            DecodeError::Index(at, n) => write!(f, "no string {n} in the table, at byte {at}"),
            DecodeError::Expands(max) => write!(f, "strings expand to over {max} bytes"),
            DecodeError::Json(why) => write!(f, "not JSON: {why}"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Text, with U+FFFD for what is not UTF-8. Nearly all of it is, and seeing that is many times faster than
/// mending what is not.
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

pub(super) type Result<T> = std::result::Result<T, DecodeError>;

/// Reads one value after another.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// What was read since an earlier [`Reader::at`].
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        &self.bytes[start..self.at]
    }

    pub(super) fn end(&self) -> Result<()> {
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(DecodeError::Trailing(self.at))
        }
    }

    /// Says that a value which begins at `at` should be something else.
    pub(super) fn mistyped(&self, at: usize, expected: &'static str) -> DecodeError {
        let found = self.bytes.get(at).copied().unwrap_or_default();
        DecodeError::Type(at, expected, found)
    }

    /// Elements of an array; nil counts as empty, as the Agent reads it.
    pub(super) fn array(&mut self) -> Result<usize> {
        let at = self.at;
        let length = match self.byte()? {
            0xc0 => 0,
            marker @ 0x90..=0x9f => u64::from(marker & 0x0f),
            0xdc => self.uint(2)?,
            0xdd => self.uint(4)?,
            other => return Err(DecodeError::Type(at, "an array", other)),
        };
        self.believe(at, length, 1)
    }

    /// Pairs of a map; nil counts as empty.
    pub(super) fn map(&mut self) -> Result<usize> {
        let at = self.at;
        let length = match self.byte()? {
            0xc0 => 0,
            marker @ 0x80..=0x8f => u64::from(marker & 0x0f),
            0xde => self.uint(2)?,
            0xdf => self.uint(4)?,
            other => return Err(DecodeError::Type(at, "a map", other)),
        };
        self.believe(at, length, 2)
    }

    /// Text: str or bin, nil as empty. Bytes that are not UTF-8 become U+FFFD, as in the Agent.
    pub(super) fn text(&mut self) -> Result<Cow<'a, str>> {
        self.text_bytes().map(lossy)
    }

    /// Text as it came.
    pub(super) fn text_bytes(&mut self) -> Result<&'a [u8]> {
        let at = self.at;
        let length = match self.byte()? {
            0xc0 => 0,
            marker @ 0xa0..=0xbf => u64::from(marker & 0x1f),
            0xc4 | 0xd9 => self.uint(1)?,
            0xc5 | 0xda => self.uint(2)?,
            0xc6 | 0xdb => self.uint(4)?,
            other => return Err(DecodeError::Type(at, "text", other)),
        };
        self.take(length)
    }

    /// An id: any width, signed or not; the Agent takes the bits of a negative one.
    pub(super) fn u64(&mut self) -> Result<u64> {
        let at = self.at;
        match self.int()? {
            Some(value) => Ok(value as u64),
            None => Err(self.mistyped(at, "an integer")),
        }
    }

    /// A number of nanoseconds: any width, within `i64`.
    pub(super) fn i64(&mut self) -> Result<i64> {
        let at = self.at;
        let value = self.int()?.and_then(|value| i64::try_from(value).ok());
        value.ok_or_else(|| self.mistyped(at, "an integer within i64"))
    }

    /// A float of either width, or an integer.
    pub(super) fn f64(&mut self) -> Result<f64> {
        let at = self.at;
        match self.peek()? {
            0xca => {
                self.at += 1;
                Ok(f64::from(f32::from_bits(self.uint(4)? as u32)))
            }
            0xcb => {
                self.at += 1;
                Ok(f64::from_bits(self.uint(8)?))
            }
            marker => match self.int()? {
                Some(value) => Ok(value as f64),
                None => Err(DecodeError::Type(at, "a number", marker)),
            },
        }
    }

    /// Steps over one value of any type.
    pub(super) fn skip(&mut self, depth: u32) -> Result<()> {
        if depth > DEPTH_MAX {
            return Err(DecodeError::Depth(self.at));
        }
        match self.peek()? {
            0x80..=0x8f | 0xde | 0xdf => {
                for _ in 0..self.map()? {
                    self.skip(depth + 1)?;
                    self.skip(depth + 1)?;
                }
                Ok(())
            }
            0x90..=0x9f | 0xdc | 0xdd => (0..self.array()?).try_for_each(|_| self.skip(depth + 1)),
            0xa0..=0xbf | 0xc4..=0xc6 | 0xd9..=0xdb => self.text_bytes().map(drop),
            _ => self.skip_scalar(),
        }
    }

    fn skip_scalar(&mut self) -> Result<()> {
        let at = self.at;
        let length = match self.byte()? {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => 0,
            0xcc | 0xd0 => 1,
            0xcd | 0xd1 | 0xd4 => 2,
            0xca | 0xce | 0xd2 => 4,
            0xcb | 0xcf | 0xd3 => 8,
            0xd5 => 3,
            0xd6 => 5,
            0xd7 => 9,
            0xd8 => 17,
            0xc7 => self.uint(1)? + 1,
            0xc8 => self.uint(2)? + 1,
            0xc9 => self.uint(4)? + 1,
            other => return Err(DecodeError::Type(at, "a value", other)),
        };
        self.take(length).map(drop)
    }

    /// Any integer, nil as 0; `None` (and nothing read but the marker) for another type.
    fn int(&mut self) -> Result<Option<i128>> {
        let value = match self.byte()? {
            0xc0 => 0,
            marker @ 0x00..=0x7f => i128::from(marker),
            marker @ 0xe0..=0xff => i128::from(marker as i8),
            0xcc => i128::from(self.uint(1)?),
            0xcd => i128::from(self.uint(2)?),
            0xce => i128::from(self.uint(4)?),
            0xcf => i128::from(self.uint(8)?),
            0xd0 => i128::from(self.uint(1)? as i8),
            0xd1 => i128::from(self.uint(2)? as i16),
            0xd2 => i128::from(self.uint(4)? as i32),
            0xd3 => i128::from(self.uint(8)? as i64),
            _ => return Ok(None),
        };
        Ok(Some(value))
    }

    fn believe(&self, at: usize, length: u64, bytes_each: u64) -> Result<usize> {
        let left = (self.bytes.len() - self.at) as u64;
        if length.saturating_mul(bytes_each) > left {
            return Err(DecodeError::Length(at, length));
        }
        Ok(length as usize)
    }

    fn peek(&self) -> Result<u8> {
        self.bytes
            .get(self.at)
            .copied()
            .ok_or(DecodeError::Truncated(self.at))
    }

    fn byte(&mut self) -> Result<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    fn uint(&mut self, width: u64) -> Result<u64> {
        Ok(self
            .take(width)?
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        let left = &self.bytes[self.at..];
        if length > left.len() as u64 {
            return Err(DecodeError::Truncated(self.bytes.len()));
        }
        self.at += length as usize;
        Ok(&left[..length as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, bytes: &[u8], expected: std::result::Result<i64, DecodeError>) {
        assert_eq!(Reader::new(bytes).i64(), expected, "{rule}");
    }

    #[test]
    fn an_integer_of_any_width_is_read() {
        check("one byte", &[0x7f], Ok(127));
        check("negative in one byte", &[0xff], Ok(-1));
        check("uint8", &[0xcc, 0xff], Ok(255));
        check("uint16", &[0xcd, 1, 0], Ok(256));
        check("uint32", &[0xce, 0, 0, 1, 0], Ok(256));
        check("int8", &[0xd0, 0x80], Ok(-128));
        check("int16", &[0xd1, 0x80, 0], Ok(-32_768));
        check("int32", &[0xd2, 0xff, 0xff, 0xff, 0xff], Ok(-1));
        check(
            "int64",
            &[0xd3, 0x7f, 255, 255, 255, 255, 255, 255, 255],
            Ok(i64::MAX),
        );
        check("nil counts as nothing", &[0xc0], Ok(0));
        check(
            "uint64 past i64",
            &[0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0],
            Err(DecodeError::Type(0, "an integer within i64", 0xcf)),
        );
        check("cut off", &[0xcd, 1], Err(DecodeError::Truncated(2)));
        check("empty", &[], Err(DecodeError::Truncated(0)));
        check(
            "text",
            &[0xa1, b'1'],
            Err(DecodeError::Type(0, "an integer within i64", 0xa1)),
        );
    }

    #[test]
    fn a_length_is_checked_before_it_is_believed() {
        let claim = [0xdd, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(
            Reader::new(&claim).array(),
            Err(DecodeError::Length(0, u64::from(u32::MAX)))
        );
        let claim = [0x82, 1, 2, 3];
        assert_eq!(Reader::new(&claim).map(), Err(DecodeError::Length(0, 2)));
        let claim = [0xdb, 0xff, 0xff, 0xff, 0xff, b'a'];
        assert_eq!(Reader::new(&claim).text(), Err(DecodeError::Truncated(6)));
    }

    #[test]
    fn nesting_ends_at_its_limit() {
        let nested = |depth: usize| {
            let mut bytes = vec![0x91; depth];
            bytes.push(0xc0);
            bytes
        };
        assert_eq!(Reader::new(&nested(32)).skip(0), Ok(()));
        assert_eq!(
            Reader::new(&nested(33)).skip(0),
            Err(DecodeError::Depth(33))
        );
        assert_eq!(
            Reader::new(&nested(1_000_000)).skip(0),
            Err(DecodeError::Depth(33))
        );
    }

    #[test]
    fn every_type_is_stepped_over() {
        for value in [
            &[0xc2][..],
            &[0xca, 0, 0, 0, 0],
            &[0xcb, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0xc4, 1, 9],
            &[0xc7, 2, 5, 1, 2],
            &[0xd4, 1, 2],
            &[
                0xd8, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
            ],
            &[0x81, 0xa1, b'k', 0x92, 1, 0xc0],
        ] {
            let mut reader = Reader::new(value);
            assert_eq!(
                (reader.skip(0), reader.end()),
                (Ok(()), Ok(())),
                "{value:x?}"
            );
            for cut in 0..value.len() {
                assert!(
                    Reader::new(&value[..cut]).skip(0).is_err(),
                    "{value:x?} cut at {cut}"
                );
            }
        }
        assert_eq!(
            Reader::new(&[0xc1]).skip(0),
            Err(DecodeError::Type(0, "a value", 0xc1))
        );
    }
}
