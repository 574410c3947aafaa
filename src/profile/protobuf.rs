//! Protocol Buffers, as far as a profile needs them.
//!
//! After protobuf.dev, "Encoding": a field is its number and its wire type in one varint, then its content. A number
//! that is zero is left out, as version 3 has it.

const VARINT: u64 = 0;
const LENGTH: u64 = 2;

pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Negative numbers go as two's complement, which is what a cast gives.
pub(super) fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    if value != 0 {
        varint(out, field << 3 | VARINT);
        varint(out, value);
    }
}

pub(super) fn bytes(out: &mut Vec<u8>, field: u64, content: &[u8]) {
    varint(out, field << 3 | LENGTH);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

pub(super) fn message(out: &mut Vec<u8>, field: u64, write: impl FnOnce(&mut Vec<u8>)) {
    let mut content = Vec::new();
    write(&mut content);
    bytes(out, field, &content);
}

/// Zeros stay; a list of none is left out.
pub(super) fn packed(out: &mut Vec<u8>, field: u64, values: &[u64]) {
    if !values.is_empty() {
        message(out, field, |out| {
            values.iter().for_each(|value| varint(out, *value));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, write: impl FnOnce(&mut Vec<u8>), expected: &[u8]) {
        let mut out = Vec::new();
        write(&mut out);
        assert_eq!(out, expected, "{rule}");
    }

    #[test]
    fn fields_are_encoded_byte_by_byte() {
        check("zero", |out| varint(out, 0), &[0]);
        check("seven bits", |out| varint(out, 127), &[127]);
        check("eight bits", |out| varint(out, 128), &[0x80, 1]);
        check("the documentation's", |out| varint(out, 150), &[0x96, 1]);
        let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        check("the largest", |out| varint(out, u64::MAX), &most);
        check("a number", |out| number(out, 1, 150), &[8, 0x96, 1]);
        check("a number that is zero", |out| number(out, 1, 0), &[]);
        check("a high field", |out| number(out, 16, 1), &[0x80, 1, 1]);
        check("a text", |out| bytes(out, 2, b"ab"), &[0x12, 2, b'a', b'b']);
        check("an empty one", |out| bytes(out, 6, b""), &[0x32, 0]);
        check(
            "packed",
            |out| packed(out, 4, &[3, 0, 270]),
            &[0x22, 4, 3, 0, 0x8e, 2],
        );
        check("none packed", |out| packed(out, 4, &[]), &[]);
        check(
            "within",
            |out| message(out, 3, |out| number(out, 1, 1)),
            &[0x1a, 2, 8, 1],
        );
        check("nothing within", |out| message(out, 3, |_| {}), &[0x1a, 0]);
    }
}
