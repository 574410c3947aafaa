//! What an ELF file says of itself in its first pages: where its code wants to lie, and its build id.
//!
//! After the System V ABI (gabi 4.1, "ELF Header", "Program Header", "Note Section"), 64 bits and little-endian,
//! which is what runs here.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Program headers that are looked at; a program has about a dozen.
const SEGMENTS_MAX: u16 = 128;
/// Bytes of notes that are read from one segment.
const NOTES_BYTES_MAX: u64 = 64 << 10;

const HEADER_BYTES: usize = 64;
const SEGMENT_BYTES: usize = 56;
const SECTION_BYTES: usize = 64;
/// A library has some dozens.
const SECTIONS_MAX: u16 = 1_024;
const NAMES_BYTES_MAX: u64 = 64 << 10;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const PF_X: u32 = 1;
const NT_GNU_BUILD_ID: u32 = 3;
const PAGE: u64 = 4_096;

/// Reads bytes from a place in a file, or in what is mapped as one.
pub(super) type Read<'a> = dyn Fn(&mut [u8], u64) -> io::Result<()> + 'a;

/// Read from its file once for each profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Elf {
    code: Vec<Code>,
    /// Hex digits; empty where the linker left none.
    pub(super) build_id: String,
}

/// A segment from which code runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Code {
    offset: u64,
    bytes: u64,
    address: u64,
}

impl Elf {
    /// # Errors
    /// Where it cannot be read or is no such file.
    pub(super) fn read(file: &File) -> io::Result<Elf> {
        Elf::read_with(&|into, at| file.read_exact_at(into, at))
    }

    /// # Errors
    /// See [`Elf::read`].
    pub(super) fn read_with(read: &Read<'_>) -> io::Result<Elf> {
        let mut header = [0; HEADER_BYTES];
        read(&mut header, 0)?;
        if !header.starts_with(b"\x7fELF\x02\x01") || u16_at(&header, 54) != SEGMENT_BYTES as u16 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "no ELF file of 64 bits",
            ));
        }
        let count = u16_at(&header, 56).min(SEGMENTS_MAX);
        let mut segments = vec![0; usize::from(count) * SEGMENT_BYTES];
        read(&mut segments, u64_at(&header, 32))?;
        let mut elf = Elf::default();
        for segment in segments.chunks_exact(SEGMENT_BYTES) {
            let (offset, bytes) = (u64_at(segment, 8), u64_at(segment, 32));
            match (u32_at(segment, 0), u32_at(segment, 4)) {
                (PT_LOAD, flags) if flags & PF_X != 0 => elf.code.push(Code {
                    offset,
                    bytes,
                    address: u64_at(segment, 16),
                }),
                (PT_NOTE, _) if elf.build_id.is_empty() => {
                    let mut notes = vec![0; bytes.min(NOTES_BYTES_MAX) as usize];
                    read(&mut notes, offset)?;
                    elf.build_id = build_id(&notes);
                }
                _ => {}
            }
        }
        Ok(elf)
    }

    /// What to take off an address of a mapping that begins at `start` and there in the file at `offset`: what is
    /// left is the address by which the file's own tables go. The segment is found by its place in the file,
    /// for somebody may have mapped the same file once more as data.
    pub(super) fn bias(&self, start: u64, offset: u64) -> Option<u64> {
        let code = self.code.iter().find(|code| {
            let first = code.offset - code.offset % PAGE;
            (first..code.offset.saturating_add(code.bytes)).contains(&offset)
        })?;
        let own = code.address.wrapping_sub(code.offset).wrapping_add(offset);
        Some(start.wrapping_sub(own))
    }
}

/// Where a section lies: in its file, and by the file's own addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) address: u64,
}

/// A section of this name, if there is one; after the ABI's "Sections": a table of heads, one of which holds the
/// names of all.
///
/// # Errors
/// Where it cannot be read.
pub(super) fn section(read: &Read<'_>, name: &str) -> io::Result<Option<Section>> {
    let mut header = [0; HEADER_BYTES];
    read(&mut header, 0)?;
    let (count, names) = (u16_at(&header, 60), u16_at(&header, 62));
    if u16_at(&header, 58) != SECTION_BYTES as u16 || count > SECTIONS_MAX {
        return Ok(None);
    }
    let mut heads = vec![0; usize::from(count) * SECTION_BYTES];
    read(&mut heads, u64_at(&header, 40))?;
    let of = |head: &[u8]| Section {
        offset: u64_at(head, 24),
        bytes: u64_at(head, 32),
        address: u64_at(head, 16),
    };
    let Some(names) = heads.chunks_exact(SECTION_BYTES).nth(names.into()) else {
        return Ok(None);
    };
    let names = of(names);
    let mut text = vec![0; names.bytes.min(NAMES_BYTES_MAX) as usize];
    read(&mut text, names.offset)?;
    let is_it = |head: &&[u8]| {
        let rest = text.get(u32_at(head, 0) as usize..).unwrap_or(&[]);
        rest.split(|byte| *byte == 0).next() == Some(name.as_bytes())
    };
    Ok(heads.chunks_exact(SECTION_BYTES).find(is_it).map(of))
}

/// Each note has the lengths of its name and its content, its kind, then both, padded to four bytes.
fn build_id(mut notes: &[u8]) -> String {
    while let Some((head, rest)) = notes.split_at_checked(12) {
        let (name, content) = (u32_at(head, 0) as usize, u32_at(head, 4) as usize);
        let padded = name.next_multiple_of(4);
        let Some(found) = rest.get(padded..padded + content) else {
            break;
        };
        if u32_at(head, 8) == NT_GNU_BUILD_ID && rest.starts_with(b"GNU\0") {
            return found.iter().map(|byte| format!("{byte:02x}")).collect();
        }
        let Some(next) = rest.get(padded + content.next_multiple_of(4)..) else {
            break;
        };
        notes = next;
    }
    String::new()
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &[u8], kind: u32, content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for number in [name.len() as u32, content.len() as u32, kind] {
            out.extend(number.to_le_bytes());
        }
        for part in [name, content] {
            out.extend(part);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out
    }

    #[test]
    fn a_section_is_found_by_its_name() {
        let mut file = vec![0; HEADER_BYTES];
        file[40..48].copy_from_slice(&100_u64.to_le_bytes());
        for (at, number) in [(58, SECTION_BYTES as u16), (60, 3), (62, 2)] {
            file[at..at + 2].copy_from_slice(&number.to_le_bytes());
        }
        file.resize(100, 0);
        for (name, address, offset, bytes) in
            [(0_u32, 0_u64, 0_u64, 0_u64), (1, 7, 8, 9), (7, 0, 292, 17)]
        {
            let mut head = [0; SECTION_BYTES];
            head[..4].copy_from_slice(&name.to_le_bytes());
            head[16..24].copy_from_slice(&address.to_le_bytes());
            head[24..32].copy_from_slice(&offset.to_le_bytes());
            head[32..40].copy_from_slice(&bytes.to_le_bytes());
            file.extend(head);
        }
        file.extend(b"\0.text\0.shstrtab\0");
        let find = |file: &[u8], name: &str| {
            let read = |into: &mut [u8], at: u64| {
                let from = file
                    .get(at as usize..)
                    .and_then(|rest| rest.get(..into.len()));
                let from = from.ok_or(io::ErrorKind::UnexpectedEof)?;
                into.copy_from_slice(from);
                Ok(())
            };
            section(&read, name)
        };
        let text = Section {
            offset: 8,
            bytes: 9,
            address: 7,
        };
        assert_eq!(find(&file, ".text").unwrap(), Some(text));
        assert_eq!(find(&file, ".tex").unwrap(), None, "a part of a name");
        assert_eq!(find(&file, ".data").unwrap(), None);
        for end in 0..file.len() {
            assert!(find(&file[..end], ".text").is_err(), "cut at {end}");
        }
        file[58] = 63;
        assert_eq!(
            find(&file, ".text").unwrap(),
            None,
            "heads of another length"
        );
    }

    /// A file of these segments: kind, flags, offset, address, bytes.
    fn file(segments: &[(u32, u32, u64, u64, u64)], notes: &[u8]) -> Vec<u8> {
        let mut out = b"\x7fELF\x02\x01".to_vec();
        out.resize(HEADER_BYTES, 0);
        out[32] = HEADER_BYTES as u8;
        out[54] = SEGMENT_BYTES as u8;
        out[56] = segments.len() as u8;
        for (kind, flags, offset, address, bytes) in segments {
            out.extend(kind.to_le_bytes());
            out.extend(flags.to_le_bytes());
            for number in [offset, address, address, bytes, bytes, &PAGE] {
                out.extend(number.to_le_bytes());
            }
        }
        out.extend(notes);
        out
    }

    fn read(bytes: &[u8]) -> io::Result<Elf> {
        Elf::read_with(&|into, at| {
            let at = usize::try_from(at).map_err(io::Error::other)?;
            let end = at
                .checked_add(into.len())
                .ok_or(io::ErrorKind::UnexpectedEof)?;
            let found = bytes.get(at..end).ok_or(io::ErrorKind::UnexpectedEof)?;
            into.copy_from_slice(found);
            Ok(())
        })
    }

    #[test]
    fn a_file_gives_its_bias_and_its_build_id() {
        let notes = [note(b"GNU\0", 5, &[1; 9]), note(b"GNU\0", 3, &[0xab, 0x01])].concat();
        let at = (HEADER_BYTES + 3 * SEGMENT_BYTES) as u64;
        let segments = [
            (PT_LOAD, 4, 0, 0, 0x3000),
            (PT_LOAD, 5, 0x3410, 0x4410, 0x2000),
            (PT_NOTE, 4, at, at, notes.len() as u64),
        ];
        let bytes = file(&segments, &notes);
        let elf = read(&bytes).unwrap();
        assert_eq!(elf.build_id, "ab01");
        for (rule, start, offset, expected) in [
            ("its first page", 0x10_4000, 0x3000, Some(0x10_0000)),
            ("a later page of it", 0x10_5000, 0x4000, Some(0x10_0000)),
            ("not moved", 0x4000, 0x3000, Some(0)),
            ("data", 0x10_0000, 0, None),
            ("behind it", 0x10_8000, 0x6000, None),
        ] {
            assert_eq!(elf.bias(start, offset), expected, "{rule}");
        }
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn what_is_no_such_file_is_refused_and_lengths_are_not_believed() {
        assert!(read(&[0; 200]).is_err());
        let mut other = file(&[], &[]);
        assert_eq!(read(&other).unwrap(), Elf::default());
        other[4] = 1;
        assert!(read(&other).is_err(), "32 bits");
        let long = [(PT_NOTE, 4, 0, 0, u64::MAX)];
        assert!(read(&file(&long, &[])).is_err());
        let mut many = file(&[], &[]);
        many[56..58].copy_from_slice(&u16::MAX.to_le_bytes());
        assert!(read(&many).is_err());
    }

    #[track_caller]
    fn check(rule: &str, notes: &[u8], expected: &str) {
        assert_eq!(build_id(notes), expected, "{rule}");
    }

    #[test]
    fn notes_are_read_to_the_first_build_id() {
        let own = note(b"GNU\0", 3, &[1, 2, 3, 4, 5]);
        check("nothing", &[], "");
        check("one", &own, "0102030405");
        check("another's", &note(b"Go\0\0", 3, &[7]), "");
        check("of another kind", &note(b"GNU\0", 1, &[7]), "");
        check("an empty one", &note(b"GNU\0", 3, &[]), "");
        check(
            "behind another",
            &[note(b"Xen\0", 6, &[9; 3]), own.clone()].concat(),
            "0102030405",
        );
        check("a length that lies", &[0xff; 12], "");
        for cut in 0..own.len() - 3 {
            check("a prefix", &own[..cut], "");
        }
    }

    #[test]
    fn this_program_is_such_a_file() {
        let elf = Elf::read(&File::open("/proc/self/exe").unwrap()).unwrap();
        assert!(!elf.code.is_empty());
    }
}
