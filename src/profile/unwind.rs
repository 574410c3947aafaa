//! How to leave a function of a shared library: for each of its instructions, where the caller's registers are.
//!
//! The system's C library is compiled without frame pointers, and a thread that waits stands in it. Its `.eh_frame`
//! says how to find the caller all the same (System V ABI for x86-64, 3.7; DWARF 5, 6.4). What a signal handler can
//! use of that is written down beforehand: plain rows, looked up by address.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use addr2line::gimli::{
    self, BaseAddresses, CfaRule, CieOrFde, EhFrame, LittleEndian, RegisterRule, UnwindContext,
    UnwindSection, UnwindTableRow, X86_64,
};

use super::elf::{self, Elf, Read};
use super::maps::{Mapping, Maps};

/// Rows of all libraries together, eight bytes each; glibc's own are some 20,000.
const ROWS_MAX: usize = 262_144;
/// Longest table that is read from one file.
const TABLE_BYTES_MAX: u64 = 16 << 20;

static LIBRARIES: OnceLock<Unwind> = OnceLock::new();

/// The libraries that were mapped when this was first asked for. For the handler too, which never is the first.
pub(super) fn libraries() -> Option<&'static Unwind> {
    LIBRARIES.get()
}

/// Reads the tables of all libraries that are mapped now, once a process. Some tens of milliseconds.
pub(super) fn learn_libraries() {
    LIBRARIES.get_or_init(|| {
        Maps::of_process().map_or_else(|_| Unwind::default(), |maps| Unwind::of(&maps))
    });
}

/// How to leave the functions of some mappings.
#[derive(Debug, Default)]
pub(super) struct Unwind {
    /// By their addresses.
    codes: Vec<Code>,
    rows: Vec<Row>,
}

/// One mapping, and which rows are its own.
#[derive(Clone, Copy, Debug)]
struct Code {
    start: u64,
    end: u64,
    rows: (usize, usize),
}

/// What holds from this distance into a mapping to the next row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    from: u32,
    /// The distance of the caller's frame from a register, a multiple of 8, and which: 1 is `rsp`, 2 is `rbp`. 0
    /// where there is no caller, or nobody knows.
    frame: i16,
    /// Where the caller's `rbp` is, counted from that frame; 0 where it is still in its register.
    saved: i16,
}

/// How to leave a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// The address is in none of the mappings.
    Elsewhere,
    /// There is no caller, or nobody knows.
    Stop,
    /// By these two.
    Caller {
        /// The caller's frame is so far from `rbp`, or from `rsp`; the return address lies in the word before it.
        from_rbp: bool,
        frame: i64,
        /// Where the caller's `rbp` lies, counted from its frame; 0 where it is unchanged.
        saved: i64,
    },
}

impl Unwind {
    fn of(maps: &Maps) -> Unwind {
        let mut all = Unwind::default();
        for mapping in maps.list() {
            // The program's own code has frame pointers.
            if maps.is_program(mapping) {
                continue;
            }
            let from = all.rows.len();
            // Without its rows nobody knows how to leave it.
            if all.read_from(maps, mapping).is_err() || all.rows.len() > ROWS_MAX {
                all.rows.truncate(from);
            }
            // Where one function ends and the next begins, the next holds.
            all.rows[from..].sort_by_key(|row| (row.from, row.frame != 0));
            all.rows.shrink_to_fit();
            all.codes.push(Code {
                start: mapping.start,
                end: mapping.end,
                rows: (from, all.rows.len()),
            });
        }
        all
    }

    /// What to do at this address. Neither allocates nor waits.
    pub(super) fn leave(&self, address: u64) -> Leave {
        let after = self.codes.partition_point(|code| code.start <= address);
        let code = after.checked_sub(1).map(|at| self.codes[at]);
        let Some(code) = code.filter(|code| address < code.end) else {
            return Leave::Elsewhere;
        };
        let rows = &self.rows[code.rows.0..code.rows.1];
        let inside = (address - code.start) as u32;
        let after = rows.partition_point(|row| row.from <= inside);
        after
            .checked_sub(1)
            .map_or(Leave::Stop, |at| rows[at].leave())
    }

    fn read_from(&mut self, maps: &Maps, mapping: &Mapping) -> io::Result<()> {
        if mapping.name == "[vdso]" {
            // The kernel's own library is in no file; all of it is mapped.
            let memory = File::open("/proc/self/mem")?;
            let read = |into: &mut [u8], at: u64| memory.read_exact_at(into, mapping.start + at);
            return self.read(&read, mapping);
        }
        let path = maps.file_of(mapping).ok_or(io::ErrorKind::NotFound)?;
        let file = File::open(path)?;
        self.read(&|into, at| file.read_exact_at(into, at), mapping)
    }

    fn read(&mut self, read: &Read<'_>, mapping: &Mapping) -> io::Result<()> {
        let bias = Elf::read_with(read)?.bias(mapping.start, mapping.offset);
        let section = elf::section(read, ".eh_frame")?;
        let (Some(bias), Some(section)) = (bias, section) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if section.bytes > TABLE_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut bytes = vec![0; section.bytes as usize];
        read(&mut bytes, section.offset)?;
        let table = EhFrame::new(&bytes, LittleEndian);
        let bases = BaseAddresses::default().set_eh_frame(section.address);
        let start = mapping.start.wrapping_sub(bias);
        let part = (start, start + (mapping.end - mapping.start));
        self.read_table(&table, &bases, part)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// The rows of all functions between two of the file's own addresses.
    fn read_table(
        &mut self,
        table: &EhFrame<gimli::EndianSlice<'_, LittleEndian>>,
        bases: &BaseAddresses,
        (start, end): (u64, u64),
    ) -> Result<(), gimli::Error> {
        let mut context = UnwindContext::new();
        let mut entries = table.entries(bases);
        while let Some(entry) = entries.next()? {
            let CieOrFde::Fde(partial) = entry else {
                continue;
            };
            let function = partial.parse(EhFrame::cie_from_offset)?;
            let (first, behind) = (function.initial_address(), function.end_address());
            if first < start || behind > end || first >= behind || self.rows.len() > ROWS_MAX {
                continue;
            }
            let from = self.rows.len();
            let mut rows = function.rows(table, bases, &mut context)?;
            while let Some(row) = rows.next_row()? {
                let next = Row::of(row, start);
                let same = self.rows[from..]
                    .last()
                    .is_some_and(|last| last.does_as(next));
                if !same {
                    self.rows.push(next);
                }
            }
            // Where nothing begins, nobody knows.
            self.rows.push(Row {
                from: (behind - start) as u32,
                frame: 0,
                saved: 0,
            });
        }
        Ok(())
    }
}

const RSP: i16 = 1;
const RBP: i16 = 2;

impl Row {
    fn of(row: &UnwindTableRow<usize>, start: u64) -> Row {
        let from = row.start_address().saturating_sub(start) as u32;
        let (frame, saved) = Row::rules(row).unwrap_or((0, 0));
        Row { from, frame, saved }
    }

    /// What is said in any other way is left alone: signal frames, frames that were aligned.
    fn rules(row: &UnwindTableRow<usize>) -> Option<(i16, i16)> {
        let CfaRule::RegisterAndOffset { register, offset } = row.cfa() else {
            return None;
        };
        let register = match *register {
            X86_64::RSP => RSP,
            X86_64::RBP => RBP,
            _ => return None,
        };
        let is_whole = |offset: &i64| offset % 8 == 0;
        let distance = i16::try_from(*offset).ok().filter(|_| is_whole(offset))?;
        if row.register(X86_64::RA) != Some(RegisterRule::Offset(-8)) {
            return None;
        }
        let saved = match row.register(X86_64::RBP) {
            None | Some(RegisterRule::SameValue) => 0,
            Some(RegisterRule::Offset(at)) => i16::try_from(at)
                .ok()
                .filter(|at| *at < -8 && at % 8 == 0)?,
            Some(_) => return None,
        };
        Some((distance | register, saved))
    }

    fn does_as(&self, other: Row) -> bool {
        (self.frame, self.saved) == (other.frame, other.saved)
    }

    fn leave(self) -> Leave {
        match self.frame & 7 {
            RSP | RBP => Leave::Caller {
                from_rbp: self.frame & 7 == RBP,
                frame: i64::from(self.frame & !7),
                saved: i64::from(self.saved),
            },
            _ => Leave::Stop,
        }
    }
}

#[cfg(test)]
impl Unwind {
    /// One mapping, and its rows: distance into it, then what a [`Row`] has.
    pub(super) fn made(start: u64, end: u64, rows: &[(u32, i16, i16)]) -> Unwind {
        let rows: Vec<Row> = rows
            .iter()
            .map(|&(from, frame, saved)| Row { from, frame, saved })
            .collect();
        Unwind {
            codes: vec![Code {
                start,
                end,
                rows: (0, rows.len()),
            }],
            rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_finds_the_last_row_before_it() {
        let made = Unwind::made(
            100,
            200,
            &[(10, 8 | RSP, 0), (14, 16 | RBP, -16), (50, 0, 0)],
        );
        let caller = |from_rbp, frame, saved| Leave::Caller {
            from_rbp,
            frame,
            saved,
        };
        for (rule, address, expected) in [
            ("in front of the mapping", 99, Leave::Elsewhere),
            ("in front of all rows", 109, Leave::Stop),
            ("the first of a row", 110, caller(false, 8, 0)),
            ("the last of a row", 113, caller(false, 8, 0)),
            ("by rbp, which is saved", 114, caller(true, 16, -16)),
            ("between two functions", 150, Leave::Stop),
            ("the last of the mapping", 199, Leave::Stop),
            ("behind the mapping", 200, Leave::Elsewhere),
            ("the highest address", u64::MAX, Leave::Elsewhere),
        ] {
            assert_eq!(made.leave(address), expected, "{rule}");
        }
        assert_eq!(Unwind::default().leave(5), Leave::Elsewhere, "no mappings");
    }

    #[test]
    fn the_c_library_of_this_process_is_known_and_this_program_is_not() {
        learn_libraries();
        let known = libraries().unwrap();
        let own = learn_libraries as *const () as u64;
        assert_eq!(known.leave(own), Leave::Elsewhere);
        let maps = Maps::of_process().unwrap();
        let libc = maps.list().iter().find(|map| map.name.contains("libc.so"));
        let libc = libc.unwrap();
        let addresses = (libc.start..libc.end).step_by(64);
        let leaves: Vec<Leave> = addresses.map(|address| known.leave(address)).collect();
        let of = |is_it: fn(&Leave) -> bool| leaves.iter().filter(|leave| is_it(leave)).count();
        let found = of(|leave| matches!(leave, Leave::Caller { .. }));
        assert!(found * 10 > leaves.len() * 9, "{found} of {}", leaves.len());
        assert!(of(|leave| matches!(leave, Leave::Caller { saved: 0, .. })) > 0);
        assert!(of(|leave| matches!(leave, Leave::Caller { saved: ..-8, .. })) > 0);
        assert!(known.rows.len() < ROWS_MAX, "{}", known.rows.len());
    }
}
