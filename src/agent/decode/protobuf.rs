//! A reader of protobuf's wire format (protobuf.dev, "Encoding") that borrows from its input.

use super::pprof::PprofError;

/// One field's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// Wire type 0.
    Int(u64),
    /// Wire type 2: text, a message, or packed numbers.
    Bytes(&'a [u8]),
    /// Wire types 1 and 5, which pprof has no use for.
    Fixed,
}

/// The fields of one message.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    /// Its name, for errors.
    message: &'static str,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'static str, bytes: &'a [u8]) -> Fields<'a> {
        Fields {
            message,
            rest: bytes,
        }
    }

    /// Number and value of the next field, none at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, PprofError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| *number > 0);
        let number = number.ok_or(PprofError::Key(self.message, key))?;
        let value = match key & 7 {
            0 => Value::Int(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            // Groups, which protobuf gave up long ago.
            _ => return Err(PprofError::Key(self.message, key)),
        };
        Ok(Some((number, value)))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], PprofError> {
        let split = usize::try_from(length)
            .ok()
            .and_then(|length| self.rest.split_at_checked(length));
        let (taken, rest) = split.ok_or(PprofError::Torn(self.message))?;
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, PprofError> {
        let (value, rest) = varint(self.rest, self.message)?;
        self.rest = rest;
        Ok(value)
    }
}

/// Seven bits a byte, lowest first, at most ten bytes.
fn varint<'a>(bytes: &'a [u8], message: &'static str) -> Result<(u64, &'a [u8]), PprofError> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if at == 9 && bits > 1 {
            return Err(PprofError::Varint(message));
        }
        value |= bits << (7 * at);
        if byte & 0x80 == 0 {
            return Ok((value, &bytes[at + 1..]));
        }
    }
    match bytes.len() {
        10.. => Err(PprofError::Varint(message)),
        _ => Err(PprofError::Torn(message)),
    }
}

/// Of one message; names a field that has another type than its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) message: &'static str,
    pub(super) number: u32,
}

impl Field {
    fn wrong<T>(self) -> Result<T, PprofError> {
        Err(PprofError::Type(self.message, self.number))
    }

    pub(super) fn uint(self, value: Value<'_>) -> Result<u64, PprofError> {
        match value {
            Value::Int(value) => Ok(value),
            _ => self.wrong(),
        }
    }

    /// Negative numbers are ten bytes long: two's complement.
    pub(super) fn int(self, value: Value<'_>) -> Result<i64, PprofError> {
        Ok(self.uint(value)? as i64)
    }

    pub(super) fn bytes<'a>(self, value: Value<'a>) -> Result<&'a [u8], PprofError> {
        match value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => self.wrong(),
        }
    }

    /// Packed or one at a time: a reader has to take both.
    pub(super) fn each(
        self,
        value: Value<'_>,
        mut see: impl FnMut(u64) -> Result<(), PprofError>,
    ) -> Result<(), PprofError> {
        match value {
            Value::Int(value) => see(value),
            Value::Bytes(mut rest) => {
                while !rest.is_empty() {
                    let (value, after) = varint(rest, self.message)?;
                    see(value)?;
                    rest = after;
                }
                Ok(())
            }
            Value::Fixed => self.wrong(),
        }
    }
}
