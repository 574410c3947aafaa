//! Addresses to functions, files and lines.
//!
//! Invariant: what cannot be told stays untold. A stack is cut at the first address that no call returns to, an
//! address without a symbol is named by its file and place, and an answer that the time did not reach is asked for
//! again with the next profile.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

use addr2line::{Loader, demangle_auto};

use super::cache::Cache;
use super::files::Files;
use super::maps::Maps;
use super::named::{Frame, Module, Named, Place, Work};
use super::period::{Period, Stack};
use super::source_path::readable;
use crate::clock::Clock;

/// Functions that are inlined into one another at one place.
const FRAMES_MAX: usize = 64;
/// Of a name. Those of deeply nested generic types have no end.
const WORD_BYTES_MAX: usize = 1_024;

/// What is known of this process's addresses.
#[derive(Debug)]
pub(super) struct Symbols {
    clock: Clock,
    maps: Maps,
    frames: Cache<Arc<[Frame]>>,
    returns: Cache<bool>,
    words: Words,
}

/// Each text once, however many frames have it.
#[derive(Debug, Default)]
struct Words(HashSet<Arc<str>>);

impl Symbols {
    pub(super) fn new(clock: Clock) -> Symbols {
        Symbols {
            clock,
            maps: Maps::default(),
            frames: Cache::new(),
            returns: Cache::new(),
            words: Words::default(),
        }
    }

    /// Names a period's stacks. No look-up begins after `deadline_ns` of the monotonic clock; those that most time
    /// was spent at come first.
    ///
    /// # Errors
    /// Where the process's own mappings cannot be read.
    pub(super) fn name(&mut self, period: &Period, deadline_ns: u64) -> io::Result<Named> {
        let started_ns = self.clock.mono_ns();
        let maps = Maps::of_process()?;
        if !self.maps.are_kept_by(&maps) {
            self.frames.clear();
            self.returns.clear();
        }
        self.frames.begin_round();
        self.returns.begin_round();
        let mut files = Files::new(&maps);
        let mut named = Named::default();
        let mut places = HashMap::new();
        for stack in &period.stacks {
            let kept = self.kept(stack, &mut files);
            named.work.stacks_cut += u64::from(kept.len() < stack.len());
            let place = |address: u64| {
                let next = places.len() as u32;
                *places.entry(address).or_insert(next)
            };
            named.stacks.push(kept.into_iter().map(place).collect());
        }
        let mut addresses: Vec<(u64, u32)> = places.into_iter().collect();
        addresses.sort_unstable_by_key(|(_, place)| *place);
        let order = by_weight(period, &named.stacks, addresses.len());
        let addresses: Vec<u64> = addresses.into_iter().map(|(address, _)| address).collect();
        let frames = self.all_frames((&addresses, &order), deadline_ns, &mut files, &mut named.work);
        locate(&mut named, &maps, &mut files, addresses.into_iter().zip(frames));
        named.work.files_opened = files.loaded;
        named.work.files_failed = files.failed;
        named.work.elapsed_ns = self.clock.mono_ns().saturating_sub(started_ns);
        drop(files);
        self.maps = maps;
        Ok(named)
    }

    /// Addresses that are held from one profile to the next.
    pub(super) fn held(&self) -> usize {
        self.frames.len()
    }

    /// The stack to its first address that is none, as the addresses of the instructions themselves.
    fn kept<'a>(&mut self, stack: &Stack, files: &mut Files<'a>) -> Vec<u64> {
        let mut kept = Vec::with_capacity(stack.len());
        for (depth, address) in stack.iter().copied().enumerate() {
            // The first is where the kernel found the thread, and true.
            if depth == 0 {
                kept.push(address);
                continue;
            }
            let is_return = self.returns.get(address).unwrap_or_else(|| {
                let is_return = files.is_behind_call(address);
                self.returns.put(address, is_return);
                is_return
            });
            if !is_return {
                break;
            }
            kept.push(address - 1);
        }
        kept
    }

    fn all_frames<'a>(
        &mut self,
        (addresses, order): (&[u64], &[u32]),
        deadline_ns: u64,
        files: &mut Files<'a>,
        work: &mut Work,
    ) -> Vec<Arc<[Frame]>> {
        work.addresses = addresses.len() as u64;
        let mut all = vec![Arc::from([]); addresses.len()];
        for place in order.iter().map(|place| *place as usize) {
            let address = addresses[place];
            all[place] = if let Some(known) = self.frames.get(address) {
                known
            } else if self.clock.mono_ns() >= deadline_ns {
                work.put_off += 1;
                [self.nameless(address, files)].into()
            } else {
                work.looked_up += 1;
                let frames: Arc<[Frame]> = self.look_up(address, files).into();
                self.frames.put(address, frames.clone());
                frames
            };
        }
        self.words.forget_unused();
        all
    }

    fn look_up<'a>(&mut self, address: u64, files: &mut Files<'a>) -> Vec<Frame> {
        let mut frames = Vec::new();
        if let Some((_, mapping)) = files.maps().find(address) {
            let own = files.own_address(mapping, address);
            if let Some(loader) = files.loader(mapping) {
                frames = self.words.frames(loader, own);
            }
        }
        if frames.is_empty() {
            frames.push(self.nameless(address, files));
        }
        frames
    }

    /// `libc.so.6+0x29d90`.
    fn nameless<'a>(&mut self, address: u64, files: &mut Files<'a>) -> Frame {
        let name = match files.maps().find(address) {
            Some((_, mapping)) => {
                let own = files.own_address(mapping, address);
                format!("{}+{own:#x}", mapping.short_name())
            }
            None => format!("{address:#x}"),
        };
        self.words.frame(&name, &name)
    }
}

/// Places in the order of the time that was spent with them on the stack.
fn by_weight(period: &Period, stacks: &[Vec<u32>], places: usize) -> Vec<u32> {
    let mut weights = vec![0_u64; places];
    for sample in &period.samples {
        let weight = sample.cpu_ns.saturating_add(sample.wall_ns);
        for place in stacks.get(sample.stack as usize).into_iter().flatten() {
            let sum = &mut weights[*place as usize];
            *sum = sum.saturating_add(weight);
        }
    }
    let mut order: Vec<u32> = (0..places as u32).collect();
    order.sort_by_key(|place| std::cmp::Reverse(weights[*place as usize]));
    order
}

/// Gives each place its module; only modules that hold one are listed.
fn locate<'a>(
    named: &mut Named,
    maps: &'a Maps,
    files: &mut Files<'a>,
    places: impl Iterator<Item = (u64, Arc<[Frame]>)>,
) {
    let mut modules: HashMap<usize, u32> = HashMap::new();
    for (address, frames) in places {
        let module = maps.find(address).map(|(index, mapping)| {
            *modules.entry(index).or_insert_with(|| {
                let (mapping, build_id) = (mapping.clone(), files.build_id(mapping));
                named.modules.push(Module { mapping, build_id });
                named.modules.len() as u32 - 1
            })
        });
        named.places.push(Place {
            address,
            module,
            frames,
        });
    }
}

impl Words {
    /// By the debug information, and the symbol table where that ends: crates that are compiled without it, and
    /// libraries, have that alone.
    fn frames(&mut self, loader: &Loader, own: u64) -> Vec<Frame> {
        let mut frames = Vec::new();
        let (mut file, mut line) = (self.word(""), 0);
        if let Ok(mut found) = loader.find_frames(own) {
            while let Ok(Some(frame)) = found.next()
                && frames.len() < FRAMES_MAX
            {
                (file, line) = match &frame.location {
                    Some(at) => (self.source(at.file), at.line.unwrap_or(0)),
                    None => (self.word(""), 0),
                };
                let Some(function) = frame.function else {
                    break;
                };
                let (Ok(name), Ok(symbol)) = (function.demangle(), function.raw_name()) else {
                    break;
                };
                frames.push(Frame {
                    file: file.clone(),
                    line,
                    ..self.frame(&name, &symbol)
                });
            }
        }
        if frames.is_empty()
            && let Some(symbol) = loader.find_symbol(own)
        {
            let name = demangle_auto(Cow::from(symbol), None);
            frames.push(Frame {
                file,
                line,
                ..self.frame(&name, symbol)
            });
        }
        frames
    }

    fn source(&mut self, path: Option<&str>) -> Arc<str> {
        self.word(readable(path.unwrap_or_default()))
    }

    fn frame(&mut self, function: &str, symbol: &str) -> Frame {
        Frame {
            function: self.word(function),
            symbol: self.word(symbol),
            file: self.word(""),
            line: 0,
        }
    }

    fn word(&mut self, text: &str) -> Arc<str> {
        let text = &text[..text.floor_char_boundary(WORD_BYTES_MAX)];
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let word: Arc<str> = text.into();
        self.0.insert(word.clone());
        word
    }

    fn forget_unused(&mut self) {
        self.0.retain(|word| Arc::strong_count(word) > 1);
    }
}
