//! Where code lies in this process: the executable mappings of `/proc/self/maps`.
//!
//! Its format is that of the kernel (`Documentation/filesystems/proc.rst`): `start-end perms offset dev inode path`.

use std::fs;
use std::io;
use std::path::PathBuf;

/// Most executable mappings that are kept, the lowest first; a process has some dozens.
const MAPPINGS_MAX: usize = 4_096;

/// What the kernel adds to the path of a file that has been replaced or removed.
const DELETED: &str = " (deleted)";

/// A stretch of memory from which code runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) start: u64,
    /// The first address behind it.
    pub(super) end: u64,
    /// Where it begins in its file.
    pub(super) offset: u64,
    /// A path, `[vdso]` and its kin, or empty for memory without a name.
    pub(super) name: String,
}

/// All of them, in order of their addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Maps {
    list: Vec<Mapping>,
    /// What `/proc/self/exe` says; empty where it cannot be read.
    program: String,
}

impl Mapping {
    pub(super) fn holds(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// Whether a file is behind it.
    pub(super) fn is_file(&self) -> bool {
        self.name.starts_with('/')
    }

    /// The last part of its path, or its name; `[anonymous]` where it has none.
    pub(super) fn short_name(&self) -> &str {
        let name = self.name.strip_suffix(DELETED).unwrap_or(&self.name);
        match name.rsplit('/').next() {
            Some("") | None => "[anonymous]",
            Some(last) => last,
        }
    }
}

impl Maps {
    /// As they are now.
    ///
    /// # Errors
    /// Where `/proc` cannot be read.
    pub(super) fn of_process() -> io::Result<Maps> {
        let text = read()?;
        let program = fs::read_link("/proc/self/exe").unwrap_or_default();
        Ok(Maps {
            list: parse(&text),
            program: program.to_string_lossy().into_owned(),
        })
    }

    #[cfg(test)]
    pub(super) fn of_text(text: &str) -> Maps {
        Maps {
            list: parse(text),
            program: String::new(),
        }
    }

    /// The mapping that holds this address, and its place in the list.
    pub(super) fn find(&self, address: u64) -> Option<(usize, &Mapping)> {
        let after = self.list.partition_point(|map| map.start <= address);
        let index = after.checked_sub(1)?;
        let mapping = &self.list[index];
        mapping.holds(address).then_some((index, mapping))
    }

    pub(super) fn list(&self) -> &[Mapping] {
        &self.list
    }

    /// Whether this is this program's own code.
    pub(super) fn is_program(&self, mapping: &Mapping) -> bool {
        mapping.name == self.program
    }

    /// Where the code of this program begins and ends.
    pub(super) fn own_code(&self) -> Option<(u64, u64)> {
        let mut code = self.list.iter();
        let own = code.find(|mapping| self.is_program(mapping))?;
        Some((own.start, own.end))
    }

    /// Whether all that is mapped there still is.
    pub(super) fn are_kept_by(&self, later: &Maps) -> bool {
        let still = |mapping: &Mapping| {
            let found = later.find(mapping.start);
            found.is_some_and(|(_, same)| same == mapping)
        };
        self.list.iter().all(still)
    }

    /// Where to read the file behind a mapping. The program itself can be read even after its file was replaced;
    /// of any other file under that name nobody knows whether it is the same.
    pub(super) fn file_of(&self, mapping: &Mapping) -> Option<PathBuf> {
        if self.is_program(mapping) {
            return Some(PathBuf::from("/proc/self/exe"));
        }
        let readable = mapping.is_file() && !mapping.name.ends_with(DELETED);
        readable.then(|| PathBuf::from(&mapping.name))
    }
}

/// Lines that are not understood are passed over.
fn parse(text: &str) -> Vec<Mapping> {
    let code = lines(text).filter(|(_, is_code)| *is_code);
    let mut list: Vec<Mapping> = code.map(|(mapping, _)| mapping).collect();
    list.sort_by_key(|mapping| mapping.start);
    list.truncate(MAPPINGS_MAX);
    list
}

/// `/proc/self/maps`.
///
/// # Errors
/// Where it cannot be read.
pub(super) fn read() -> io::Result<String> {
    // A path may be any bytes.
    let bytes = fs::read("/proc/self/maps")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Every mapping, and whether code runs from it.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (Mapping, bool)> {
    text.lines().filter_map(line)
}

fn line(line: &str) -> Option<(Mapping, bool)> {
    // A path may hold blanks, so it is what is left after five fields.
    let (range, rest) = line.split_once(' ')?;
    let (permissions, rest) = rest.split_once(' ')?;
    let (offset, rest) = rest.split_once(' ')?;
    let (_device, rest) = rest.split_once(' ')?;
    let name = rest.split_once(' ').map_or("", |(_inode, name)| name);
    let (start, end) = range.split_once('-')?;
    let hex = |digits: &str| u64::from_str_radix(digits, 16).ok();
    let mapping = Mapping {
        start: hex(start)?,
        end: hex(end)?,
        offset: hex(offset)?,
        name: name.trim_start().to_string(),
    };
    let is_code = permissions.as_bytes().get(2) == Some(&b'x');
    (mapping.start < mapping.end).then_some((mapping, is_code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(start: u64, end: u64, offset: u64, name: &str) -> Mapping {
        Mapping {
            start,
            end,
            offset,
            name: name.to_string(),
        }
    }

    #[track_caller]
    fn check(rule: &str, text: &str, expected: &[Mapping]) {
        assert_eq!(parse(text), expected, "{rule}");
    }

    #[test]
    fn our_own_code_is_what_runs_of_our_file() {
        let text = "1000-2000 r--p 0 0:0 0 /opt/my app\n2000-3000 r-xp 0 0:0 0 /opt/my app\n4000-5000 r-xp 0 0:0 0 /l";
        let own_code = |program: &str| {
            let program = program.to_string();
            let maps = Maps {
                program,
                ..Maps::of_text(text)
            };
            maps.own_code()
        };
        assert_eq!(
            own_code("/opt/my app"),
            Some((0x2000, 0x3000)),
            "a path with a blank"
        );
        assert_eq!(own_code("/opt/other"), None);
        let own = Maps::of_process().unwrap().own_code().unwrap();
        assert!((own.0..own.1).contains(&(parse as *const () as u64)));
    }

    #[test]
    fn what_is_executable_is_read_with_its_name() {
        let libc = "/usr/lib/libc.so.6";
        check("nothing", "", &[]);
        check(
            "a library's code",
            "7f0a26000-7f0b7b000 r-xp 00026000 fe:00 1234       /usr/lib/libc.so.6\n",
            &[mapping(0x7f0a26000, 0x7f0b7b000, 0x26000, libc)],
        );
        check(
            "data is left out",
            "1000-2000 r--p 00000000 fe:00 1 /bin/a\n2000-3000 rw-p 00000000 fe:00 1 /bin/a\n",
            &[],
        );
        check(
            "the kernel's own",
            "ffff0-ffff8 r-xp 00000000 00:00 0                  [vdso]",
            &[mapping(0xffff0, 0xffff8, 0, "[vdso]")],
        );
        check(
            "no name",
            "1000-2000 rwxp 00000000 00:00 0 \n3000-4000 rwxp 00000000 00:00 0",
            &[
                mapping(0x1000, 0x2000, 0, ""),
                mapping(0x3000, 0x4000, 0, ""),
            ],
        );
        check(
            "a path with blanks",
            "1000-2000 r-xp 00001000 fe:00 7    /opt/my  app (deleted)",
            &[mapping(0x1000, 0x2000, 0x1000, "/opt/my  app (deleted)")],
        );
        check(
            "sorted",
            "3000-4000 r-xp 0 0:0 0 /b\n1000-2000 r-xp 0 0:0 0 /a",
            &[
                mapping(0x1000, 0x2000, 0, "/a"),
                mapping(0x3000, 0x4000, 0, "/b"),
            ],
        );
        for hostile in [
            "1000-2000",
            "1000-2000 r-xp",
            "1000 r-xp 0 0:0 0 /a",
            "2000-1000 r-xp 0 0:0 0 /a",
            "1000-1000 r-xp 0 0:0 0 /a",
            "x-2000 r-xp 0 0:0 0 /a",
            "1000-2000 r-xp z 0:0 0 /a",
            "10000000000000000-20000000000000000 r-xp 0 0:0 0 /a",
            "\u{fffd}",
        ] {
            check(hostile, hostile, &[]);
        }
        let many = |n: usize| -> String {
            let line = |i: usize| format!("{:x}-{:x} r-xp 0 0:0 0 /a\n", i * 16 + 1, i * 16 + 9);
            (0..n).map(line).collect()
        };
        assert_eq!(parse(&many(MAPPINGS_MAX)).len(), MAPPINGS_MAX);
        assert_eq!(parse(&many(MAPPINGS_MAX + 1)).len(), MAPPINGS_MAX);
    }

    #[test]
    fn an_address_is_found_by_its_mapping_alone() {
        let maps = Maps::of_text("1000-2000 r-xp 0 0:0 0 /a\n3000-4000 r-xp 0 0:0 0 [vdso]");
        for (address, expected) in [
            (0, None),
            (0xfff, None),
            (0x1000, Some(0)),
            (0x1fff, Some(0)),
            (0x2000, None),
            (0x3abc, Some(1)),
            (0x4000, None),
            (u64::MAX, None),
        ] {
            let found = maps.find(address).map(|(index, _)| index);
            assert_eq!(found, expected, "{address:#x}");
        }
    }

    #[test]
    fn names_are_short_and_replaced_files_are_not_read() {
        for (name, short, file) in [
            (
                "/usr/lib/libc.so.6",
                "libc.so.6",
                Some("/usr/lib/libc.so.6"),
            ),
            ("/usr/lib/a b (deleted)", "a b", None),
            ("/srv/shop (deleted)", "shop", Some("/proc/self/exe")),
            ("[vdso]", "[vdso]", None),
            ("", "[anonymous]", None),
        ] {
            let maps = Maps {
                list: Vec::new(),
                program: "/srv/shop (deleted)".to_string(),
            };
            let mapping = mapping(1, 2, 0, name);
            assert_eq!(mapping.short_name(), short);
            assert_eq!(maps.file_of(&mapping), file.map(PathBuf::from), "{name}");
        }
    }

    #[test]
    fn what_has_moved_is_noticed_and_what_came_to_it_is_not() {
        let text = "1000-2000 r-xp 0 0:0 0 /a";
        let maps = Maps::of_text(text);
        for (later, kept) in [
            (text.to_string(), true),
            (format!("{text}\n3000-4000 r-xp 0 0:0 0 /b"), true),
            ("1000-2000 r-xp 0 0:0 0 /b".to_string(), false),
            ("1000-2000 r-xp 1 0:0 0 /a".to_string(), false),
            (String::new(), false),
        ] {
            assert_eq!(maps.are_kept_by(&Maps::of_text(&later)), kept, "{later}");
        }
    }

    #[test]
    fn this_process_is_found_in_its_own_file() {
        let maps = Maps::of_process().unwrap();
        let (_, own) = maps.find(parse as *const () as u64).unwrap();
        assert_eq!(maps.file_of(own), Some(PathBuf::from("/proc/self/exe")));
    }
}
