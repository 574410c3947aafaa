//! The walk from frame to frame: by frame pointers, and out of libraries by their own tables.
#![expect(
    unsafe_code,
    reason = "reads the stack of the thread that was interrupted"
)]

use crate::profile::slot::DEPTH_MAX;
use crate::profile::unwind::{Leave, Unwind};

/// Addresses of one stack, innermost first.
pub(super) struct Walk {
    addresses: [u64; DEPTH_MAX],
    depth: usize,
}

/// Where a thread was interrupted.
#[derive(Clone, Copy)]
pub(super) struct Registers {
    pub(super) pc: usize,
    /// `rbp`: the current frame's, unless the function uses it otherwise.
    pub(super) frame: usize,
    /// `rsp`.
    pub(super) stack: usize,
}

/// What may be read, and how.
#[derive(Clone, Copy)]
pub(super) struct Bounds<'a> {
    /// The stack of the interrupted thread.
    pub(super) low: usize,
    pub(super) high: usize,
    /// Our own code, which is known to be compiled with frame pointers.
    pub(super) code: (usize, usize),
    /// How to leave the functions of libraries, which may have none.
    pub(super) libraries: Option<&'a Unwind>,
}

const WORD: usize = size_of::<usize>();

impl Walk {
    pub(super) fn addresses(&self) -> &[u64] {
        &self.addresses[..self.depth]
    }

    fn add(&mut self, address: usize) {
        if let Some(next) = self.addresses.get_mut(self.depth) {
            *next = address as u64;
            self.depth += 1;
        }
    }
}

/// From where the thread stands to its first frame, as far as frames can be followed: each must lie inside
/// the stack and further out than the one before, so the walk ends whatever is found there.
///
/// # Safety
/// `bounds.low..bounds.high` is the stack of the calling thread, `registers` are those with which a signal
/// interrupted it, and `bounds.code` is readable.
pub(super) unsafe fn walk(registers: Registers, bounds: Bounds<'_>) -> Walk {
    let mut found = Walk {
        addresses: [0; DEPTH_MAX],
        depth: 0,
    };
    found.add(registers.pc);
    if registers.stack >= bounds.low && registers.stack < bounds.high {
        // SAFETY: as this function's.
        unsafe { follow(&mut found, registers, bounds, true) };
    }
    found
}

/// As [`walk`], for a function that asks itself: from its caller on.
///
/// # Safety
/// As [`walk`]'s; `frame` is the frame of a function that has not returned.
pub(super) unsafe fn walk_callers(frame: usize, bounds: Bounds<'_>) -> Walk {
    let mut found = Walk {
        addresses: [0; DEPTH_MAX],
        depth: 0,
    };
    if frame < bounds.low || frame.saturating_add(2 * WORD) > bounds.high {
        return found;
    }
    // SAFETY: both words of a frame that is inside the stack, and in use.
    let (next, back) = unsafe { (word(frame), word(frame + WORD)) };
    found.add(back);
    let caller = Registers {
        pc: back,
        frame: next,
        stack: frame + 2 * WORD,
    };
    // SAFETY: as this function's.
    unsafe { follow(&mut found, caller, bounds, false) };
    found
}

/// Adds the callers of a frame whose address was added last.
///
/// # Safety
/// As [`walk`]'s, with a stack pointer that lies inside the stack or above it.
unsafe fn follow(
    found: &mut Walk,
    mut at: Registers,
    bounds: Bounds<'_>,
    mut is_interrupted: bool,
) {
    while found.depth < DEPTH_MAX {
        // SAFETY: as this function's; the stack pointer only grows.
        let Some(caller) = (unsafe { caller(at, bounds, is_interrupted) }) else {
            break;
        };
        if caller.pc == 0 || caller.stack <= at.stack {
            break;
        }
        found.add(caller.pc);
        at = caller;
        is_interrupted = false;
    }
}

/// The registers with which a frame's caller goes on.
///
/// # Safety
/// As [`walk`]'s, with a stack pointer that lies inside the stack or above it.
unsafe fn caller(at: Registers, bounds: Bounds<'_>, is_interrupted: bool) -> Option<Registers> {
    let inside = |place: usize| {
        place.is_multiple_of(WORD)
            && place >= at.stack
            && place < bounds.high.saturating_sub(WORD - 1)
    };
    // SAFETY: aligned, and inside the stack above the stack pointer, which is mapped while its thread lives.
    let word = |place: usize| inside(place).then(|| unsafe { word(place) });
    // A return address may be the first behind its function.
    let looked_up = at.pc.wrapping_sub(usize::from(!is_interrupted));
    let leave = bounds.libraries.map_or(Leave::Elsewhere, |libraries| {
        libraries.leave(looked_up as u64)
    });
    match leave {
        Leave::Stop => None,
        Leave::Caller {
            from_rbp,
            frame,
            saved,
        } => {
            let from = if from_rbp { at.frame } else { at.stack };
            let stack = from.wrapping_add_signed(frame as isize);
            Some(Registers {
                pc: word(stack.wrapping_sub(WORD))?,
                frame: match saved {
                    0 => at.frame,
                    saved => word(stack.wrapping_add_signed(saved as isize))?,
                },
                stack,
            })
        }
        // Of other code nobody knows what it does with `rbp`.
        Leave::Elsewhere if looked_up < bounds.code.0 || looked_up >= bounds.code.1 => None,
        Leave::Elsewhere => {
            // SAFETY: the code is readable, as this function's caller has said.
            let unframed = is_interrupted
                .then(|| unsafe { unframed(at.pc, bounds.code) })
                .flatten();
            if let Some(offset) = unframed {
                let place = at.stack + offset;
                return Some(Registers {
                    pc: word(place)?,
                    frame: at.frame,
                    stack: place + WORD,
                });
            }
            Some(Registers {
                pc: word(at.frame.wrapping_add(WORD))?,
                frame: word(at.frame)?,
                stack: at.frame.wrapping_add(2 * WORD),
            })
        }
    }
}

/// At a function's first two instructions, and at its last, `rbp` is still or again its caller's, and the
/// return address lies at the top of the stack or one word above it. Without this a sample there would
/// miss the caller. In our own code alone: others may push `rbp` anywhere.
///
/// # Safety
/// `code` is readable.
unsafe fn unframed(pc: usize, code: (usize, usize)) -> Option<usize> {
    const PUSH_RBP: u8 = 0x55;
    const MOV_RBP_RSP: [u8; 3] = [0x48, 0x89, 0xe5];
    const RET: u8 = 0xc3;
    if pc < code.0 || pc >= code.1.saturating_sub(MOV_RBP_RSP.len()) {
        return None;
    }
    let at = std::ptr::with_exposed_provenance::<[u8; 3]>(pc);
    // SAFETY: three bytes inside of what is readable; bytes need no alignment.
    let bytes = unsafe { at.read_volatile() };
    match bytes {
        [PUSH_RBP | RET, ..] => Some(0),
        MOV_RBP_RSP => Some(WORD),
        _ => None,
    }
}

/// # Safety
/// `at` is aligned and mapped.
unsafe fn word(at: usize) -> usize {
    // SAFETY: as this function's. Volatile, for the memory belongs to frames that the compiler knows otherwise.
    unsafe { std::ptr::with_exposed_provenance::<usize>(at).read_volatile() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stack made by hand: `words[0]` lies lowest. Addresses of code are told from where the code begins.
    struct Made {
        words: Vec<usize>,
        code: Vec<u8>,
    }

    impl Made {
        fn new(words: usize) -> Made {
            Made {
                words: vec![0; words],
                code: vec![0x90; 4_096],
            }
        }

        fn at(&self, place: usize) -> usize {
            self.words.as_ptr().expose_provenance() + place * WORD
        }

        fn code_at(&self, offset: usize) -> usize {
            self.code.as_ptr().expose_provenance() + offset
        }

        /// A frame whose caller's is at `next` and goes on at `back`.
        fn frame(mut self, place: usize, next: usize, back: usize) -> Made {
            self.words[place] = self.at(next);
            self.words[place + 1] = self.code_at(back);
            self
        }

        fn bounds(&self) -> Bounds<'static> {
            Bounds {
                low: self.at(0),
                high: self.at(self.words.len()),
                code: (self.code_at(0), self.code_at(self.code.len())),
                libraries: None,
            }
        }

        fn walk(&self, (pc, frame): (usize, usize), bounds: Bounds<'_>) -> Vec<usize> {
            let registers = Registers {
                pc: self.code_at(pc),
                frame,
                stack: self.at(1),
            };
            // SAFETY: the bounds are those of the words or narrower, the code is mapped; no signal is needed for that.
            let found = unsafe { walk(registers, bounds) };
            let offset = |address: &u64| (*address as usize).wrapping_sub(self.code_at(0));
            found.addresses().iter().map(offset).collect()
        }
    }

    #[track_caller]
    fn check(rule: &str, made: &Made, frame: usize, expected: &[usize]) {
        assert_eq!(made.walk((7, frame), made.bounds()), expected, "{rule}");
    }

    #[test]
    fn frames_are_followed_outwards_and_no_further() {
        let none = Made::new(16);
        check("no frame at all", &none, 0, &[7]);
        check(
            "a frame that is no address of a word",
            &none,
            none.at(4) + 1,
            &[7],
        );
        check("an empty frame ends it", &none, none.at(4), &[7]);
        check("below the stack pointer", &none, none.at(0), &[7]);
        check("behind the end", &none, none.at(16), &[7]);
        check("the highest address", &none, usize::MAX - 7, &[7]);
        let edge = Made::new(16).frame(14, 0, 70);
        check(
            "the last two words are a frame",
            &edge,
            edge.at(14),
            &[7, 70],
        );
        check("one word is none", &edge, edge.at(15), &[7]);
        let two = Made::new(16).frame(2, 6, 70).frame(6, 0, 71);
        check("inner to outer", &two, two.at(2), &[7, 70, 71]);
        let back = Made::new(16).frame(6, 2, 70).frame(2, 6, 71);
        check("never back inwards", &back, back.at(6), &[7, 70]);
        let same = Made::new(16).frame(6, 6, 70);
        check("never in a circle", &same, same.at(6), &[7, 70]);
        let out = Made::new(16).frame(2, 16, 70);
        check("not out of the stack", &out, out.at(2), &[7, 70]);
        let other = Made::new(16).frame(2, 6, 5_000).frame(6, 0, 71);
        check("code of others ends it", &other, other.at(2), &[7, 5_000]);
        assert_eq!(
            other.walk((5_000, other.at(2)), other.bounds()),
            [5_000],
            "it stands in such"
        );
    }

    #[test]
    fn a_stack_pointer_elsewhere_is_not_followed() {
        let made = Made::new(16).frame(2, 6, 70);
        for (rule, low, high) in [
            ("above the stack", made.at(0), made.at(1)),
            ("below the stack", made.at(2), made.at(16)),
            ("a stack that is not known", 0, 0),
        ] {
            let bounds = Bounds {
                low,
                high,
                ..made.bounds()
            };
            assert_eq!(made.walk((7, made.at(2)), bounds), [7], "{rule}");
        }
    }

    #[test]
    fn no_stack_is_deeper_than_the_bound() {
        let mut made = Made::new(2 * DEPTH_MAX + 40);
        for place in (2..2 * DEPTH_MAX + 30).step_by(2) {
            made = made.frame(place, place + 2, place);
        }
        let found = made.walk((7, made.at(2)), made.bounds());
        assert_eq!(found.len(), DEPTH_MAX);
        assert_eq!(found[DEPTH_MAX - 1], 2 * (DEPTH_MAX - 1));
    }

    #[test]
    fn the_caller_is_found_before_a_frame_is_made_and_after_it_is_gone() {
        let with = |bytes: &[u8]| {
            let mut made = Made::new(16).frame(6, 0, 71);
            (made.words[1], made.words[2]) = (made.code_at(40), made.code_at(41));
            made.code[..bytes.len()].copy_from_slice(bytes);
            made.walk((0, made.at(6)), made.bounds())[1..].to_vec()
        };
        assert_eq!(with(&[0x55]), [40, 71], "push rbp");
        assert_eq!(with(&[0x48, 0x89, 0xe5]), [41, 71], "mov rbp, rsp");
        assert_eq!(with(&[0xc3]), [40, 71], "ret");
        assert_eq!(with(&[0x48, 0x89, 0xe6]), [71], "another mov");
    }

    #[test]
    fn a_librarys_function_is_left_by_its_table() {
        // Word 1 is where the stack pointer is; the library's function has its frame up to word 4.
        let mut made = Made::new(16).frame(8, 0, 71);
        (made.words[3], made.words[4]) = (made.at(8), made.code_at(70));
        let with = |pc: usize, rows: &[(u32, i16, i16)]| {
            let (start, end) = (made.code_at(5_000) as u64, made.code_at(6_000) as u64);
            let libraries = Unwind::made(start, end, rows);
            let bounds = Bounds {
                libraries: Some(&libraries),
                ..made.bounds()
            };
            made.walk((pc, made.at(8)), bounds)
        };
        let (by_rsp, by_rbp) = (32 | 1, 16 | 2);
        let in_library = [
            ("rbp is the caller's", (by_rsp, 0), &[5_000, 70, 71][..]),
            ("rbp was saved", (by_rsp, -16), &[5_000, 70, 71]),
            ("what was saved is no frame", (by_rsp, -24), &[5_000, 70]),
            ("nobody knows the caller", (0, 0), &[5_000]),
            ("a frame out of the stack", (1_024 | 1, 0), &[5_000]),
            ("a frame below the stack pointer", (-64 | 1, 0), &[5_000]),
            ("a frame that does not grow", (1, 0), &[5_000]),
            ("by rbp", (by_rbp, 0), &[5_000, 71]),
        ];
        for (rule, (frame, saved), expected) in in_library {
            assert_eq!(with(5_000, &[(0, frame, saved)]), expected, "{rule}");
        }
        assert_eq!(
            with(7, &[(0, by_rsp, 0)]),
            [7, 71],
            "our own by frame pointers"
        );
    }

    #[test]
    fn who_asks_itself_is_told_of_its_callers() {
        let made = Made::new(16).frame(2, 6, 70).frame(6, 0, 71);
        let callers = |frame: usize| {
            // SAFETY: as in `Made::walk`.
            let found = unsafe { walk_callers(frame, made.bounds()) };
            let offset = |address: &u64| *address as usize - made.code_at(0);
            found.addresses().iter().map(offset).collect::<Vec<_>>()
        };
        assert_eq!(callers(made.at(2)), [70, 71]);
        assert_eq!(callers(made.at(6)), [71]);
        for frame in [
            0,
            made.at(0) - WORD,
            made.at(15),
            made.at(16),
            usize::MAX - 7,
        ] {
            assert_eq!(callers(frame), [0; 0], "a frame that is not in the stack");
        }
    }
}
