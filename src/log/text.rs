//! Texts inside a line: escaped, measured and cut.

use serde::Serialize;

/// Stands where the middle of a stack was.
pub(super) const GAP: &str = "\n[cut]\n";

/// Writes as much of a text as has room; returns whether that is all of it.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str, room: usize) -> bool {
    let kept = if room == usize::MAX {
        text
    } else {
        head(text, room)
    };
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
    if !is_plain(text.as_bytes()) {
        return push_scalar(out, &text);
    }
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// Whether a text is the same inside a JSON string: no control character, quote or backslash.
fn is_plain(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks::<8>();
    let mut last = [b' '; 8];
    last[..rest.len()].copy_from_slice(rest);
    words.iter().chain([&last]).all(|word| is_plain_word(*word))
}

/// Eight bytes at once: a byte below the one that is subtracted from it borrows from its top bit.
fn is_plain_word(bytes: [u8; 8]) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_ne_bytes(bytes);
    let below = |word: u64, limit: u64| word.wrapping_sub(EACH * limit) & !word & (EACH << 7);
    let quote = word ^ (EACH * u64::from(b'"'));
    let backslash = word ^ (EACH * u64::from(b'\\'));
    below(word, 0x20) | below(quote, 1) | below(backslash, 1) == 0
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
