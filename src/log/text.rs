//! Texts inside a line: escaped, measured and cut.

use serde::Serialize;

use super::pen::Pen;

/// Stands where the middle of a stack was.
pub(super) const GAP: &str = "\n[cut]\n";

/// Writes as much of a text as has room; returns whether that is all of it.
pub(super) fn push_text(out: &mut Pen<'_>, text: &str, room: usize) -> bool {
    let kept = if room == usize::MAX {
        text
    } else {
        head(text, room)
    };
    push_string(out, kept);
    kept.len() == text.len()
}

/// The innermost frames stand at the head and the outermost at the tail: both are kept.
pub(super) fn push_stack(out: &mut Pen<'_>, stack: &str, room: usize) {
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
pub(super) fn push_string(out: &mut Pen<'_>, text: &str) {
    let start = out.at();
    out.put(b"\"");
    if push_plain(out, text.as_bytes()) {
        out.put(b"\"");
    } else {
        out.back_to(start);
        push_scalar(out, &text);
    }
}

/// A comma, a name, and a colon.
pub(super) fn push_name(out: &mut Pen<'_>, name: &str) {
    let start = out.at();
    out.put(b",\"");
    if push_plain(out, name.as_bytes()) {
        out.put(b"\":");
    } else {
        out.back_to(start);
        out.put(b",");
        push_scalar(out, &name);
        out.put(b":");
    }
}

/// Appends a text that is the same inside a JSON string: no control character, quote or backslash; of any other
/// it returns false. Most texts are short, and are looked at and copied as two blocks that overlap: to touch a
/// byte twice costs less than a loop whose end no processor foresees.
#[inline]
fn push_plain(out: &mut Pen<'_>, text: &[u8]) -> bool {
    match text.len() {
        0..4 => text.iter().all(|byte| {
            out.put(&[*byte]);
            !is_special(*byte)
        }),
        4..8 => push_overlapping::<4>(out, text, |[a, b, c, d], [e, f, g, h]| {
            marks([a, b, c, d, e, f, g, h])
        }),
        8..16 => push_overlapping::<8>(out, text, |first, last| marks(first) | marks(last)),
        16..=32 => push_overlapping::<16>(out, text, |first, last| wide(first) | wide(last)),
        // Longer than the line may be, whatever is in it.
        length if length > out.left() => {
            out.leave_out();
            true
        }
        _ => {
            let (blocks, rest) = text.as_chunks::<16>();
            let seen = blocks.iter().fold(0, |seen, block| seen | wide(*block));
            let plain = seen == 0 && !rest.iter().any(|byte| is_special(*byte));
            if plain {
                out.put_all(text);
            }
            plain
        }
    }
}

/// For N to 2 * N bytes: the second block overlaps the first so far that both make the text.
#[inline]
fn push_overlapping<const N: usize>(
    out: &mut Pen<'_>,
    text: &[u8],
    marks: impl Fn([u8; N], [u8; N]) -> u64,
) -> bool {
    let (Some(first), Some(last)) = (text.first_chunk::<N>(), text.last_chunk::<N>()) else {
        return false;
    };
    let plain = marks(*first, *last) == 0;
    if plain {
        out.put_two(first, last, text.len());
    }
    plain
}

#[inline]
fn wide(block: [u8; 16]) -> u64 {
    match *block.as_chunks::<8>().0 {
        [first, last] => marks(first) | marks(last),
        _ => u64::MAX,
    }
}

/// Zero where none of eight bytes is special. With its second bit turned a quote is the first code above the
/// control characters, and they stay below it; a byte that is below what is taken from it borrows from its top
/// bit, and so does one that is nothing, as a backslash is once it is taken from itself.
#[inline]
fn marks(bytes: [u8; 8]) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_ne_bytes(bytes);
    let low = word ^ (EACH * 2);
    let backslash = word ^ (EACH * u64::from(b'\\'));
    let below = low.wrapping_sub(EACH * 0x21) & !low;
    (below | (backslash.wrapping_sub(EACH) & !backslash)) & (EACH << 7)
}

fn is_special(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
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

/// Decimal: the digits are counted first, and then stand where they belong.
pub(super) fn push_u64(out: &mut Pen<'_>, mut number: u64) {
    let digits = number
        .checked_ilog10()
        .map_or(1, |power| power as usize + 1);
    let Some(place) = out.take(digits) else {
        return;
    };
    let mut pairs = place.rchunks_exact_mut(2);
    for pair in &mut pairs {
        pair.copy_from_slice(&two_digits((number % 100) as u32));
        number /= 100;
    }
    if let [first] = pairs.into_remainder() {
        *first = b'0' + number as u8;
    }
}

/// The same, with a sign where there is one.
pub(super) fn push_i64(out: &mut Pen<'_>, number: i64) {
    if number < 0 {
        out.put(b"-");
    }
    push_u64(out, number.unsigned_abs());
}

/// A float of few decimals, as most shares and durations are, is a whole number of thousandths. Where it has 15
/// digits at most, no shorter text leads back to it, and serde_json would write the same.
pub(super) fn push_f64(out: &mut Pen<'_>, number: f64) {
    const THOUSANDTHS_MAX: f64 = 1e15;
    let thousandths = (number * 1_000.0).abs();
    let whole = thousandths as u64;
    let few = thousandths < THOUSANDTHS_MAX && whole as f64 == thousandths;
    if !few || whole == 0 || thousandths / 1_000.0 != number.abs() {
        return push_scalar(out, &number);
    }
    if number < 0.0 {
        out.put(b"-");
    }
    push_u64(out, whole / 1_000);
    let rest = (whole % 1_000) as u32;
    let ([tenths, _], [_, last]) = (two_digits(rest / 10), two_digits(rest));
    match (rest % 100, rest % 10) {
        (0, _) => out.put(&[b'.', tenths]),
        (_, 0) => out.put(&[b'.', tenths, two_digits(rest / 10)[1]]),
        _ => out.put(&[b'.', tenths, two_digits(rest / 10)[1], last]),
    }
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
pub(super) fn push_hex(out: &mut Pen<'_>, number: u128) {
    let mut text = [0; 32];
    let pairs = text.as_chunks_mut::<2>().0;
    for (two, byte) in pairs.iter_mut().zip(number.to_be_bytes()) {
        *two = HEX[usize::from(byte)];
    }
    out.put(&text);
}

pub(super) fn push_scalar(out: &mut Pen<'_>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("a pen takes every byte and a scalar is always JSON");
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

    /// What is written with room enough.
    fn written(write: impl FnOnce(&mut Pen<'_>)) -> Vec<u8> {
        let mut room = vec![0; 1 << 20];
        let mut pen = Pen::new(&mut room);
        write(&mut pen);
        let length = pen.at();
        room.truncate(length);
        room
    }

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
                let out = written(|out| push_string(out, &text));
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
            let out = written(|out| push_u64(out, number));
            assert_eq!(out, number.to_string().into_bytes());
        }
        for number in [i64::MIN, -100, -10, -1, 0, 1, i64::MAX] {
            let out = written(|out| push_i64(out, number));
            assert_eq!(out, number.to_string().into_bytes());
        }
        for number in [0, 0xff, 1 << 64, u128::MAX / 7, u128::MAX] {
            let out = written(|out| push_hex(out, number));
            assert_eq!(out, format!("{number:032x}").into_bytes());
        }
    }

    #[track_caller]
    fn check_f64(number: f64) {
        let out = written(|out| push_f64(out, number));
        assert_eq!(out, serde_json::to_vec(&number).unwrap(), "{number:e}");
    }

    #[test]
    fn floats_are_written_as_serde_json_writes_them() {
        for number in [
            0.0, 1.0, 0.1, 0.25, 0.001, 0.01, 1.5, 12.34, 1e3, 1e11, 1e12, 1e15, 1e16,
        ] {
            for near in [number, f64::next_up(number), f64::next_down(number)] {
                check_f64(near);
                check_f64(-near);
            }
        }
        for number in [f64::NAN, f64::INFINITY, f64::MIN_POSITIVE, f64::MAX] {
            check_f64(number);
        }
        (0..100_000).for_each(|thousandths| check_f64(f64::from(thousandths) / 1_000.0));
    }

    proptest! {
        #[test]
        fn any_float_is_too(number in any::<f64>(), whole in any::<i64>(), few in 0_u32..50) {
            check_f64(number);
            check_f64((whole >> few) as f64 / 1_000.0);
        }

        #[test]
        fn what_is_escaped_is_measured_right(text in any::<String>(), room in 0_usize..40) {
            let out = written(|out| push_string(out, &text));
            prop_assert_eq!(serde_json::to_vec(&text).unwrap(), out.as_slice());
            prop_assert_eq!(escaped_len(&text), out.len() - 2);
            prop_assert!(escaped_len(head(&text, room)) <= room);
            prop_assert!(escaped_len(tail(&text, room)) <= room);
            prop_assert!(text.starts_with(head(&text, room)) && text.ends_with(tail(&text, room)));
        }
    }
}
