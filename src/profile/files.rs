//! The files behind the mappings, open while one profile is named and no longer: what reading their tables takes
//! goes back then.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use addr2line::Loader;

use super::calls::{CALL_BYTES_MAX, ends_in_call};
use super::elf::Elf;
use super::maps::{Mapping, Maps};

/// By the names of the mappings.
pub(super) struct Files<'a> {
    maps: &'a Maps,
    by_name: HashMap<&'a str, Option<Opened>>,
    pub(super) loaded: u64,
    pub(super) failed: u64,
}

struct Opened {
    file: File,
    elf: Elf,
    loader: Tables,
}

enum Tables {
    NotRead,
    Read(Box<Loader>),
    Unreadable,
}

impl<'a> Files<'a> {
    pub(super) fn new(maps: &'a Maps) -> Files<'a> {
        Files {
            maps,
            by_name: HashMap::new(),
            loaded: 0,
            failed: 0,
        }
    }

    pub(super) fn maps(&self) -> &'a Maps {
        self.maps
    }

    /// Whether a call returns to this address, by the file's bytes in front of it. Where there is no file nobody
    /// knows: the kernel's `[vdso]` calls nothing that is sampled, and code without a name is made at run time, which
    /// nothing here does. So no return address is believed there.
    pub(super) fn is_behind_call(&mut self, address: u64) -> bool {
        // Looked for one byte in front: the call of a function that never returns may be the last in its mapping.
        let maps = self.maps;
        let Some((_, mapping)) = address.checked_sub(1).and_then(|last| maps.find(last)) else {
            return false;
        };
        let inside = address - mapping.start;
        let length = inside.min(CALL_BYTES_MAX as u64);
        let Some(at) = mapping.offset.checked_add(inside - length) else {
            return false;
        };
        let mut bytes = [0; CALL_BYTES_MAX];
        let bytes = &mut bytes[..length as usize];
        let Some(opened) = self.opened(mapping) else {
            return false;
        };
        opened.file.read_exact_at(bytes, at).is_ok() && ends_in_call(bytes)
    }

    /// Hex digits, or empty.
    pub(super) fn build_id(&mut self, mapping: &'a Mapping) -> String {
        let opened = self.opened(mapping);
        opened.map_or_else(String::new, |opened| opened.elf.build_id.clone())
    }

    /// The address by which the file's own tables go; without a file, the place in the mapping.
    pub(super) fn own_address(&mut self, mapping: &'a Mapping, address: u64) -> u64 {
        let (start, offset) = (mapping.start, mapping.offset);
        let in_file = address.wrapping_sub(start).wrapping_add(offset);
        self.opened(mapping)
            .and_then(|opened| opened.elf.bias(start, offset))
            .map_or(in_file, |bias| address.wrapping_sub(bias))
    }

    /// The file's tables, read with the first address that is asked for.
    pub(super) fn loader(&mut self, mapping: &'a Mapping) -> Option<&Loader> {
        let path = self.maps.file_of(mapping)?;
        let opened = self.opened(mapping)?;
        if matches!(opened.loader, Tables::NotRead) {
            let read = Loader::new(path);
            let is_read = read.is_ok();
            opened.loader = read.map_or(Tables::Unreadable, |loader| Tables::Read(loader.into()));
            self.loaded += u64::from(is_read);
            self.failed += u64::from(!is_read);
        }
        match &self.opened(mapping)?.loader {
            Tables::Read(loader) => Some(loader),
            _ => None,
        }
    }

    /// Gives back what reading the tables took.
    pub(super) fn close_tables(&mut self) {
        for opened in self.by_name.values_mut().flatten() {
            opened.loader = Tables::NotRead;
        }
    }

    fn opened(&mut self, mapping: &'a Mapping) -> Option<&mut Opened> {
        let (maps, failed) = (self.maps, &mut self.failed);
        let open = || {
            let path = maps.file_of(mapping)?;
            let opened = File::open(path).and_then(|file| {
                let elf = Elf::read(&file)?;
                let loader = Tables::NotRead;
                Ok(Opened { file, elf, loader })
            });
            *failed += u64::from(opened.is_err());
            opened.ok()
        };
        let entry = self.by_name.entry(&mapping.name);
        entry.or_insert_with(open).as_mut()
    }
}
