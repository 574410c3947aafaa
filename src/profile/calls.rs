//! Whether an address is one to which a call returns.
//!
//! Frame pointers are read from wherever the register points, and a function that uses the register for something
//! else leaves garbage there. What stands on a stack as a return address is believed if a call instruction ends in
//! front of it.
//!
//! After Intel's manual, volume 2: `CALL` is `E8` with 32 bits, or `FF /2` with a ModRM byte as in table 2-2. A
//! REX prefix changes no length, so it is not looked at; `FF /3`, the far call, is not made by any compiler.

/// Longest call that is looked for.
pub(super) const CALL_BYTES_MAX: usize = 7;

/// Whether these bytes end in a call.
pub(super) fn ends_in_call(bytes: &[u8]) -> bool {
    let near = bytes.iter().rev().nth(4) == Some(&0xe8);
    near || (2..=CALL_BYTES_MAX.min(bytes.len()))
        .any(|length| is_indirect(&bytes[bytes.len() - length..]))
}

/// Whether this is one `FF /2`, whole and nothing more.
fn is_indirect(bytes: &[u8]) -> bool {
    let [0xff, mode, rest @ ..] = bytes else {
        return false;
    };
    if mode >> 3 & 7 != 2 {
        return false;
    }
    let has_base_byte = mode & 7 == 4;
    let displacement = match (mode >> 6, mode & 7) {
        (3, _) => return rest.is_empty(),
        (0, 5) => 4,
        // The base of the byte behind it, where that says there is none.
        (0, 4) if rest.first().is_some_and(|base| base & 7 == 5) => 4,
        (0, _) => 0,
        (1, _) => 1,
        _ => 4,
    };
    rest.len() == usize::from(has_base_byte) + displacement
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, bytes: &[u8], expected: bool) {
        assert_eq!(ends_in_call(bytes), expected, "{rule}: {bytes:02x?}");
    }

    #[test]
    fn every_form_of_a_near_call_is_known() {
        check("call rel32", &[0xe8, 1, 2, 3, 4], true);
        check("behind others", &[0x90, 0x90, 0xe8, 0, 0, 0, 0], true);
        check("call *%rax", &[0xff, 0xd0], true);
        check("call *%r11", &[0x41, 0xff, 0xd3], true);
        check("call *(%rax)", &[0xff, 0x10], true);
        check("call *8(%rax)", &[0xff, 0x50, 8], true);
        check("call *0x100(%rax)", &[0xff, 0x90, 0, 1, 0, 0], true);
        check("call *0x1234(%rip)", &[0xff, 0x15, 0x34, 0x12, 0, 0], true);
        check("call *(%rsp)", &[0xff, 0x14, 0x24], true);
        check("call *8(%rsp)", &[0xff, 0x54, 0x24, 8], true);
        check("call *0x80(%rsp)", &[0xff, 0x94, 0x24, 0x80, 0, 0, 0], true);
        check("call *0(,%rax,8)", &[0xff, 0x14, 0xc5, 0, 0, 0, 0], true);
        check("call *(%r12)", &[0x41, 0xff, 0x14, 0x24], true);
        check("call *0(%r13)", &[0x41, 0xff, 0x55, 0], true);
    }

    #[test]
    fn what_is_none_is_not_taken_for_one() {
        check("nothing", &[], false);
        check("one byte", &[0xff], false);
        check("no rel32", &[0xe8, 1, 2, 3], false);
        check("longer than a rel32", &[0xe8, 1, 2, 3, 4, 5], false);
        check("jmp *%rax", &[0xff, 0xe0], false);
        check("push (%rax)", &[0xff, 0x30], false);
        check("a far call", &[0xff, 0x18], false);
        check("inc", &[0xff, 0xc0], false);
        check("mov", &[0x48, 0x89, 0xe5], false);
        check("no displacement", &[0xff, 0x50], false);
        check("half a displacement", &[0xff, 0x15, 0, 0], false);
        check("nothing behind the base byte", &[0xff, 0x14], false);
        check("a displacement too much", &[0xff, 0xd0, 8], false);
        check("zeros", &[0; CALL_BYTES_MAX], false);
    }

    /// Against a table made by other means: for each ModRM and base byte the length that the manual gives.
    #[test]
    fn lengths_are_those_of_the_manual() {
        for mode in 0..=u8::MAX {
            for base in [0x24, 0x25, 0xc5] {
                let register = mode >= 0xc0;
                let sib = !register && mode % 8 == 4;
                let mut length = 2 + usize::from(sib);
                length += match mode / 0x40 {
                    0 if mode % 8 == 5 || sib && base % 8 == 5 => 4,
                    1 => 1,
                    2 => 4,
                    _ => 0,
                };
                let mut bytes = vec![0xff, mode, base, 0, 0, 0, 0, 0];
                bytes.truncate(length);
                assert_eq!(is_indirect(&bytes), mode / 8 % 8 == 2, "{bytes:02x?}");
                bytes.push(0);
                assert!(!is_indirect(&bytes), "{bytes:02x?}");
            }
        }
    }
}
