//! Texts inside a line: escaped, measured and cut.

use serde::Serialize;

/// Stands where the middle of a stack was.
pub(super) const GAP: &str = "\n[cut]\n";

/// Writes as much of a text as has room; returns whether that is all of it.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str, room: usize) -> bool {
    push_value(out, b"", text, room)
}

/// The same behind a key that is escaped already.
pub(super) fn push_value<const N: usize>(
    out: &mut Vec<u8>,
    key: &[u8; N],
    text: &str,
    room: usize,
) -> bool {
    let kept = if room == usize::MAX {
        text
    } else {
        head(text, room)
    };
    out.extend_from_slice(key);
    push_string(out, kept);
    kept.len() == text.len()
}

/// The innermost frames stand at the head and the outermost at the tail: both are kept.
pub(super) fn push_stack(out: &mut Vec<u8>, stack: &str, room: usize) {
    if room == usize::MAX || escaped_len(stack) <= room {
        return push_string(out, stack);
    }
    let half = room.saturating_sub(escaped_len(GAP)) / 2;
    let ends = [head(stack, half), GAP, tail(stack, half)];
    let kept = if half == 0 {
        String::new()
    } else {
        ends.concat()
    };
    push_string(out, &kept);
}

/// Most texts hold nothing to escape, and looking for it takes an instruction or two a byte.
pub(super) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    if push_plain(out, text.as_bytes()) {
        out.push(b'"');
    } else {
        out.pop();
        push_scalar(out, &text);
    }
}

/// A comma, a name, and a colon.
pub(super) fn push_name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    if push_plain(out, name.as_bytes()) {
        out.extend_from_slice(b"\":");
    } else {
        out.pop();
        push_scalar(out, &name);
        out.push(b':');
    }
}

/// Appends a text that is the same inside a JSON string: no control character, quote or backslash; any other
/// it leaves alone, and returns false. Most texts are short, and are looked at and copied as two blocks that
/// overlap: to touch a byte twice costs less than a loop whose end no processor foresees.
#[inline]
fn push_plain(out: &mut Vec<u8>, text: &[u8]) -> bool {
    match text.len() {
        0..4 => {
            let mut block = [b' '; 4];
            for (to, byte) in block.iter_mut().zip(text) {
                *to = *byte;
            }
            let plain = !has_special(&block);
            if plain {
                let start = out.len();
                out.extend_from_slice(&block);
                out.truncate(start + text.len());
            }
            plain
        }
        4..8 => push_overlapping::<4>(out, text),
        8..16 => push_overlapping::<8>(out, text),
        16..=32 => push_overlapping::<16>(out, text),
        _ => {
            let (blocks, rest) = text.as_chunks::<16>();
            let special = blocks
                .iter()
                .fold(false, |seen, block| seen | has_special(block));
            let plain = !special && !rest.iter().any(is_special);
            if plain {
                out.extend_from_slice(text);
            }
            plain
        }
    }
}

/// For N to 2 * N bytes: the second block overlaps the first so far that both make the text.
#[inline]
fn push_overlapping<const N: usize>(out: &mut Vec<u8>, text: &[u8]) -> bool {
    let (Some(first), Some(last)) = (text.first_chunk::<N>(), text.last_chunk::<N>()) else {
        return false;
    };
    let plain = !(has_special(first) | has_special(last));
    if plain {
        let start = out.len();
        out.extend_from_slice(first);
        out.truncate(start + text.len() - N);
        out.extend_from_slice(last);
    }
    plain
}

/// Without a branch, so that the compiler looks at all of them at once.
#[inline]
fn has_special<const N: usize>(block: &[u8; N]) -> bool {
    let each = block.iter();
    each.fold(false, |seen, byte| seen | is_special(byte))
}

#[inline]
fn is_special(byte: &u8) -> bool {
    (*byte < b' ') | (*byte == b'"') | (*byte == b'\\')
}

/// The numbers 0 to 99, two digits each.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// The last two digits of a number.
pub(super) fn two_digits(number: u32) -> [u8; 2] {
    PAIRS[(number % 100) as usize]
}

/// Decimal, four digits a step.
pub(super) fn push_u64(out: &mut Vec<u8>, mut number: u64) {
    let mut text = [b'0'; 20];
    let mut start = text.len();
    let mut step = |four: u64| {
        let four = four as u32;
        let ([a, b], [c, d]) = (two_digits(four / 100), two_digits(four));
        start -= 4;
        text[start..start + 4].copy_from_slice(&[a, b, c, d]);
    };
    while number >= 10_000 {
        step(number % 10_000);
        number /= 10_000;
    }
    step(number);
    let zeros = usize::from(number < 10) + usize::from(number < 100) + usize::from(number < 1_000);
    out.extend_from_slice(&text[start + zeros..]);
}

/// The same, with a sign where there is one.
pub(super) fn push_i64(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    push_u64(out, number.unsigned_abs());
}

/// The bytes 0 to 255, two hex digits each.
const HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
};

/// 32 hex digits.
pub(super) fn push_hex(out: &mut Vec<u8>, number: u128) {
    let mut text = [0; 32];
    let pairs = text.as_chunks_mut::<2>().0;
    for (two, byte) in pairs.iter_mut().zip(number.to_be_bytes()) {
        *two = HEX[usize::from(byte)];
    }
    out.extend_from_slice(&text);
}

pub(super) fn push_scalar(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("a Vec takes every byte and a scalar is always JSON");
}

pub(super) fn escaped_len(text: &str) -> usize {
    text.chars().map(escaped_char_len).sum()
}

fn escaped_char_len(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\x08' | '\x0c' => 2,
        '\0'..='\x1f' => 6,
        other => other.len_utf8(),
    }
}

/// The longest beginning that fits.
fn head(text: &str, room: usize) -> &str {
    let mut used = 0;
    let over = text.char_indices().find(|(_, character)| {
        used += escaped_char_len(*character);
        used > room
    });
    &text[..over.map_or(text.len(), |(at, _)| at)]
}

/// The longest end that fits.
fn tail(text: &str, room: usize) -> &str {
    let mut used = 0;
    let over = text.char_indices().rev().find(|(_, character)| {
        used += escaped_char_len(*character);
        used > room
    });
    &text[over.map_or(0, |(at, character)| at + character.len_utf8())..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_byte_at_every_place_is_seen() {
        for code in 0..=0x17f_u32 {
            let character = char::from_u32(code).unwrap();
            for before in 0..17 {
                let text = format!(
                    "{}{character}{}",
                    "x".repeat(before),
                    "y".repeat(16 - before)
                );
                let mut out = Vec::new();
                push_string(&mut out, &text);
                assert_eq!(
                    out,
                    serde_json::to_vec(&text).unwrap(),
                    "{code:#x} at {before}"
                );
            }
        }
    }

    #[test]
    fn numbers_are_written_as_everybody_writes_them() {
        let powers = (0..20).map(|n| 10_u64.pow(n));
        let edges = powers.flat_map(|n| [n - 1, n, n + 1]).chain([u64::MAX]);
        for number in edges.chain(0..1_000) {
            let mut out = Vec::new();
            push_u64(&mut out, number);
            assert_eq!(out, number.to_string().into_bytes());
        }
        for number in [i64::MIN, -100, -10, -1, 0, 1, i64::MAX] {
            let mut out = Vec::new();
            push_i64(&mut out, number);
            assert_eq!(out, number.to_string().into_bytes());
        }
        for number in [0, 0xff, 1 << 64, u128::MAX / 7, u128::MAX] {
            let mut out = Vec::new();
            push_hex(&mut out, number);
            assert_eq!(out, format!("{number:032x}").into_bytes());
        }
    }

    proptest! {
        #[test]
        fn what_is_escaped_is_measured_right(text in any::<String>(), room in 0_usize..40) {
            let mut out = Vec::new();
            push_string(&mut out, &text);
            prop_assert_eq!(serde_json::to_vec(&text).unwrap(), out.as_slice());
            prop_assert_eq!(escaped_len(&text), out.len() - 2);
            prop_assert!(escaped_len(head(&text, room)) <= room);
            prop_assert!(escaped_len(tail(&text, room)) <= room);
            prop_assert!(text.starts_with(head(&text, room)) && text.ends_with(tail(&text, room)));
        }
    }
}
