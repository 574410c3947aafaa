//! Where stacks and our own code lie, by `/proc/self/maps`.

use std::fs;
use std::path::Path;

use super::maps::{Mapping, lines};

/// Below the end of the main thread's stack: the kernel keeps at least so much for it to grow.
const MAIN_STACK_BYTES: usize = 8 << 20;

/// `/proc/self/maps`, or nothing.
pub(super) fn read() -> String {
    // A path may be any bytes.
    let bytes = fs::read("/proc/self/maps").unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// All of it, or nothing.
pub(super) fn mappings() -> Vec<Mapping> {
    lines(&read()).map(|(mapping, _)| mapping).collect()
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

/// Where the code of this program lies.
pub(super) fn code_of(maps: &str, program: &Path) -> Option<(usize, usize)> {
    let program = program.to_str()?;
    let mut code = lines(maps).filter(|(_, is_code)| *is_code);
    let (own, _) = code.find(|(mapping, _)| mapping.name == program)?;
    Some((own.start as usize, own.end as usize))
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
    fn our_own_code_is_what_runs_of_our_file() {
        let code = code_of(MAPS, Path::new("/opt/my app"));
        assert_eq!(
            code,
            Some((0x55d0_c001_0000, 0x55d0_c008_0000)),
            "a path with a blank"
        );
        assert_eq!(code_of(MAPS, Path::new("/opt/other")), None);
    }

    #[test]
    fn this_process_is_read() {
        let here = 0_u8;
        let maps = read();
        let place = (&raw const here).addr() as u64;
        assert!(lines(&maps).any(|(mapping, _)| mapping.holds(place)));
        let program = std::env::current_exe().unwrap();
        let code = code_of(&maps, &program).unwrap();
        assert!((code.0..code.1).contains(&(read as *const () as usize)));
    }
}
