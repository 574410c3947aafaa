//! Where stacks lie, by `/proc/self/maps`.

use super::maps::{self, Mapping, lines};

/// Below the end of the main thread's stack: the kernel keeps at least so much for it to grow.
const MAIN_STACK_BYTES: usize = 8 << 20;

/// All mappings of this process; none where they cannot be read.
pub(super) fn mappings() -> Vec<Mapping> {
    let text = maps::read().unwrap_or_default();
    lines(&text).map(|(mapping, _)| mapping).collect()
}

/// The stack of a thread that was seen to stand at `seen` and whose block is at `block`. The C libraries put
/// that block at the far end of the stack that they map for a thread; the main thread's is elsewhere, and its
/// stack is named. Nothing where neither holds.
pub(super) fn stack_around(maps: &[Mapping], seen: usize, block: usize) -> Option<(usize, usize)> {
    let mapping = maps.iter().find(|mapping| mapping.holds(seen as u64))?;
    let (start, end) = (mapping.start as usize, mapping.end as usize);
    if mapping.name == "[stack]" {
        return Some((start.min(end.saturating_sub(MAIN_STACK_BYTES)), end));
    }
    let holds_block = seen < block && block < end;
    holds_block.then_some((start, block))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
55d0c0000000-55d0c0010000 r--p 00000000 fe:01 1234                       /opt/my app
55d0c0010000-55d0c0080000 r-xp 00010000 fe:01 1234                       /opt/my app
7f0000000000-7f0000001000 ---p 00000000 00:00 0 
7f0000001000-7f0000201000 rw-p 00000000 00:00 0 
7f1000000000-7f1000100000 r-xp 00000000 fe:01 99                         /usr/lib/libc.so.6
7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0                          [stack]
nonsense
zz-7f rw-p 0 0 0
";

    #[track_caller]
    fn check(rule: &str, seen: usize, block: usize, expected: Option<(usize, usize)>) {
        let maps: Vec<Mapping> = lines(MAPS).map(|(mapping, _)| mapping).collect();
        assert_eq!(stack_around(&maps, seen, block), expected, "{rule}");
    }

    #[test]
    fn a_stack_is_known_where_its_block_is() {
        let (low, high) = (0x7f00_0000_1000, 0x7f00_0020_1000);
        let block = high - 0x900;
        check("a thread's", low + 0x1_0000, block, Some((low, block)));
        check("its lowest word", low, block, Some((low, block)));
        check("the guard is no stack", low - 8, block, None);
        check("behind its block", block + 8, block, None);
        check("a block elsewhere", low, 0x7f10_0000_0000, None);
        check("a block at the end of the mapping", low, high, None);
        check("nowhere", 0x1000, block, None);
        let end = 0x7ffd_0002_1000;
        check(
            "the main thread's",
            end - 64,
            block,
            Some((end - (8 << 20), end)),
        );
        assert_eq!(stack_around(&[], 1, 2), None, "no maps");
    }

    #[test]
    fn this_process_is_read() {
        let here = 0_u8;
        let place = (&raw const here).addr() as u64;
        assert!(mappings().iter().any(|mapping| mapping.holds(place)));
    }
}
