//! Addresses to functions, files and lines.
//!
//! Invariant: what cannot be told stays untold. A stack is cut at the first address that no call returns to, an
//! address without a symbol is named by its file and place, and an answer that the time did not reach is asked for
//! again with the next profile.

use std::collections::HashMap;
use std::io;

use super::cache::{ADDRESSES_MAX, Cache};
use super::files::Files;
use super::maps::Maps;
use super::named::{Module, Named, Place, Work};
use super::notes::{Frame, Notes, Span};
use super::period::{Period, Stack};
use crate::clock::Clock;

/// Frames that are noted before those of forgotten addresses are thrown out.
const FRAMES_MAX: usize = 8 * ADDRESSES_MAX;

/// What is known of this process's addresses.
#[derive(Debug)]
pub(super) struct Symbols {
    clock: Clock,
    maps: Maps,
    known: Cache<Span>,
    returns: Cache<bool>,
    notes: Notes,
}

impl Symbols {
    pub(super) fn new(clock: Clock) -> Symbols {
        Symbols {
            clock,
            maps: Maps::default(),
            known: Cache::new(),
            returns: Cache::new(),
            notes: Notes::default(),
        }
    }

    /// Names a period's stacks. No look-up begins after `deadline_ns` of the monotonic clock, which may be brought
    /// forward meanwhile; those that most time
    /// was spent at come first.
    ///
    /// # Errors
    /// Where the process's own mappings cannot be read.
    pub(super) fn name(
        &mut self,
        period: &Period,
        deadline_ns: &dyn Fn() -> u64,
    ) -> io::Result<Named> {
        let started_ns = self.clock.mono_ns();
        let maps = Maps::of_process()?;
        if !self.maps.are_kept_by(&maps) {
            self.known.clear();
            self.returns.clear();
        }
        self.tidy();
        self.known.begin_round();
        self.returns.begin_round();
        let mut files = Files::new(&maps);
        let mut named = Named::default();
        let mut places = HashMap::new();
        let mut stacks_cut = 0;
        for stack in &period.stacks {
            let kept = self.kept(stack, &mut files);
            stacks_cut += u64::from(kept.len() < stack.len());
            let place = |address: u64| {
                let next = places.len() as u32;
                *places.entry(address).or_insert(next)
            };
            named.stacks.push(kept.into_iter().map(place).collect());
        }
        let mut addresses: Vec<(u64, u32)> = places.into_iter().collect();
        addresses.sort_unstable_by_key(|(_, place)| *place);
        let addresses: Vec<u64> = addresses.into_iter().map(|(address, _)| address).collect();
        let order = by_weight(period, &named.stacks, addresses.len());
        let (frames, work) = self.all_frames((&addresses, &order), deadline_ns, &mut files);
        locate(
            &mut named,
            &maps,
            &mut files,
            addresses.into_iter().zip(frames),
        );
        named.work = Work { stacks_cut, ..work };
        named.work.files_opened = files.loaded;
        named.work.files_failed = files.failed;
        named.work.elapsed_ns = self.clock.mono_ns().saturating_sub(started_ns);
        drop(files);
        self.maps = maps;
        Ok(named)
    }

    /// Addresses that are held from one profile to the next.
    pub(super) fn held(&self) -> usize {
        self.known.len()
    }

    /// Where the frames of named places stand.
    pub(super) fn notes(&self) -> &Notes {
        &self.notes
    }

    fn tidy(&mut self) {
        if self.notes.len() <= FRAMES_MAX {
            return;
        }
        let old = std::mem::take(&mut self.notes);
        let notes = &mut self.notes;
        self.known.replace(|span| notes.add(old.frames(span)));
        if notes.len() > FRAMES_MAX {
            self.known.clear();
            self.notes = Notes::default();
        }
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

    /// The frames of each address, looked up in this order where they are not known.
    fn all_frames<'a>(
        &mut self,
        (addresses, order): (&[u64], &[u32]),
        deadline_ns: &dyn Fn() -> u64,
        files: &mut Files<'a>,
    ) -> (Vec<Span>, Work) {
        let mut all = vec![Span::default(); addresses.len()];
        let mut draft = Notes::default();
        let (mut found, mut put_off) = (Vec::new(), Vec::new());
        for place in order.iter().map(|place| *place as usize) {
            let address = addresses[place];
            if let Some(known) = self.known.get(address) {
                all[place] = known;
            } else if self.clock.mono_ns() < deadline_ns() {
                found.push((place, look_up(address, files, &mut draft)));
            } else {
                let name = place_name(address, files);
                put_off.push((place, draft.add([Frame::named(&name)])));
            }
        }
        let work = Work {
            addresses: addresses.len() as u64,
            looked_up: found.len() as u64,
            put_off: put_off.len() as u64,
            ..Work::default()
        };
        files.close_tables();
        for (place, span) in found {
            all[place] = self.notes.add(draft.frames(span));
            self.known.put(addresses[place], all[place]);
        }
        for (place, span) in put_off {
            all[place] = self.notes.add(draft.frames(span));
        }
        (all, work)
    }
}

fn look_up<'a>(address: u64, files: &mut Files<'a>, draft: &mut Notes) -> Span {
    if let Some((_, mapping)) = files.maps().find(address) {
        let own = files.own_address(mapping, address);
        if let Some(loader) = files.loader(mapping) {
            let found = draft.look_up(loader, own);
            if !found.is_empty() {
                return found;
            }
        }
    }
    draft.add([Frame::named(&place_name(address, files))])
}

/// `libc.so.6+0x29d90`.
fn place_name<'a>(address: u64, files: &mut Files<'a>) -> String {
    match files.maps().find(address) {
        Some((_, mapping)) => {
            let own = files.own_address(mapping, address);
            format!("{}+{own:#x}", mapping.short_name())
        }
        None => format!("{address:#x}"),
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

/// Gives each place its module; only modules that hold one are listed. The program itself comes first, for so
/// profile.proto has it of `mapping`.
fn locate<'a>(
    named: &mut Named,
    maps: &'a Maps,
    files: &mut Files<'a>,
    places: impl Iterator<Item = (u64, Span)>,
) {
    let places: Vec<(u64, Span)> = places.collect();
    let is_own = |address: u64| {
        let found = maps.find(address);
        found.is_some_and(|(_, mapping)| maps.is_program(mapping))
    };
    let own = places.iter().find(|(address, _)| is_own(*address));
    let first = own.and_then(|(address, _)| maps.find(*address));
    let mut modules: HashMap<usize, u32> = HashMap::new();
    if let Some((index, mapping)) = first {
        let (mapping, build_id) = (mapping.clone(), files.build_id(mapping));
        named.modules.push(Module { mapping, build_id });
        modules.insert(index, 0);
    }
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

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::super::period::Sample;
    use super::*;

    const FIRST_LINE: u32 = line!();

    #[inline(always)]
    fn inlined(seed: u64) -> u64 {
        black_box(seed) + 1
    }

    #[inline(never)]
    fn holder(seed: u64) -> u64 {
        let sum = inlined(seed);
        black_box(sum) + called(sum)
    }

    #[inline(never)]
    fn called(seed: u64) -> u64 {
        black_box(seed) + 2
    }

    const LAST_LINE: u32 = line!();

    /// Its code is no longer, and calls within.
    const HOLDER_BYTES: u64 = 64;

    fn holder_address() -> u64 {
        black_box(holder(1));
        holder as *const () as u64
    }

    fn a_return_into_holder() -> u64 {
        let maps = Maps::of_process().unwrap();
        let mut files = Files::new(&maps);
        let start = holder_address();
        (start + 1..start + HOLDER_BYTES)
            .find(|address| files.is_behind_call(*address))
            .unwrap()
    }

    fn period(stacks: Vec<Stack>) -> Period {
        Period {
            stacks,
            ..Period::default()
        }
    }

    fn named(stacks: Vec<Stack>) -> (Named, Symbols) {
        let mut symbols = Symbols::new(Clock::system());
        let named = symbols.name(&period(stacks), &|| u64::MAX).unwrap();
        (named, symbols)
    }

    fn frames<'a>(place: &Place, symbols: &'a Symbols) -> Vec<Frame<'a>> {
        symbols.notes().frames(place.frames).collect()
    }

    #[test]
    fn a_function_has_its_name_its_file_and_its_line() {
        let (named, symbols) = named(vec![vec![holder_address()]]);
        let [place] = &named.places[..] else {
            panic!("{named:?}")
        };
        let frame = frames(place, &symbols).pop().unwrap();
        assert!(
            frame.function.ends_with("symbols::tests::holder"),
            "{frame:?}"
        );
        assert!(frame.symbol.len() > frame.function.len(), "{frame:?}");
        assert_eq!(frame.file, "src/profile/symbols.rs");
        assert!((FIRST_LINE..LAST_LINE).contains(&frame.line), "{frame:?}");
        let module = &named.modules[place.module.unwrap() as usize];
        assert!(module.mapping.is_file(), "{module:?}");
    }

    #[test]
    fn an_inlined_function_stands_inside_of_its_caller() {
        let start = holder_address();
        let stacks = (start..start + HOLDER_BYTES).map(|address| vec![address]);
        let (named, symbols) = named(stacks.collect());
        let ends = |frame: &Frame<'_>, name: &str| frame.function.ends_with(name);
        let found = named.places.iter().find(|place| {
            let [inner, outer] = &frames(place, &symbols)[..] else {
                return false;
            };
            ends(inner, "tests::inlined") && ends(outer, "tests::holder")
        });
        let frames = frames(found.unwrap(), &symbols);
        assert!(frames[0].line < frames[1].line, "{frames:?}");
        assert!(
            frames
                .iter()
                .all(|frame| frame.file == "src/profile/symbols.rs")
        );
    }

    #[test]
    fn a_library_s_function_is_named_by_its_symbol() {
        let (named, symbols) = named(vec![vec![libc::getpid as *const () as u64]]);
        let frame = frames(&named.places[0], &symbols)[0];
        assert!(frame.function.contains("getpid"), "{frame:?}");
    }

    #[track_caller]
    fn check_cut(rule: &str, stack: Stack, expected: &[u64]) {
        let (named, _) = named(vec![stack.clone()]);
        let address = |place: &u32| named.places[*place as usize].address;
        let kept: Vec<u64> = named.stacks[0].iter().map(address).collect();
        assert_eq!(kept, expected, "{rule}");
        assert_eq!(
            named.work.stacks_cut,
            u64::from(kept.len() < stack.len()),
            "{rule}"
        );
    }

    #[test]
    fn a_stack_ends_in_front_of_its_first_address_that_is_none() {
        let back = a_return_into_holder();
        let maps = Maps::of_process().unwrap();
        let vdso = maps.list().iter().find(|mapping| mapping.name == "[vdso]");
        let vdso = vdso.unwrap().start + 0x100;
        check_cut("empty", vec![], &[]);
        check_cut("one", vec![back], &[back]);
        check_cut(
            "callers",
            vec![vdso, back, back],
            &[vdso, back - 1, back - 1],
        );
        check_cut("nowhere", vec![back, back, 1, back], &[back, back - 1]);
        check_cut("null", vec![back, 0, back], &[back]);
        check_cut("the largest", vec![back, u64::MAX], &[back]);
        check_cut("behind no call", vec![back, back - 1, back], &[back]);
        check_cut("where no file is", vec![back, vdso, back], &[back]);
        check_cut("found nowhere itself", vec![8, back], &[8, back - 1]);
    }

    #[test]
    fn what_the_time_does_not_reach_is_named_by_its_place_and_asked_for_again() {
        let (heavy, light) = (holder_address(), called as *const () as u64);
        let mut symbols = Symbols::new(Clock::system());
        let period = period(vec![vec![light], vec![heavy], vec![4]]);
        let late = symbols.name(&period, &|| 0).unwrap();
        assert_eq!(
            (late.work.put_off, late.work.looked_up, symbols.held()),
            (3, 0, 0)
        );
        let name = |symbols: &Symbols, named: &Named, place: usize| {
            let frames = frames(&named.places[place], symbols);
            frames[0].function.to_string()
        };
        let file = std::env::current_exe().unwrap();
        let file = file.file_name().unwrap().to_string_lossy();
        assert!(
            name(&symbols, &late, 0).starts_with(&format!("{file}+0x")),
            "{late:?}"
        );
        assert_eq!(name(&symbols, &late, 2), "0x4");

        let early = symbols.name(&period, &|| u64::MAX).unwrap();
        assert_eq!(
            (early.work.put_off, early.work.looked_up, symbols.held()),
            (0, 3, 3)
        );
        assert!(name(&symbols, &early, 0).ends_with("called"), "{early:?}");
        // What is known needs no time and opens no file.
        let again = symbols.name(&period, &|| 0).unwrap();
        assert_eq!((&again.places, again.work.looked_up), (&early.places, 0));
        assert_eq!((early.work.files_opened, again.work.files_opened), (1, 0));
    }

    #[test]
    fn what_most_time_was_spent_at_comes_first() {
        let spent = |stack, cpu_ns, wall_ns| Sample {
            stack,
            cpu_ns,
            wall_ns,
            ..Sample::default()
        };
        let period = Period {
            samples: vec![
                spent(0, 5, 0),
                spent(1, 3, 4),
                spent(1, 1, 0),
                spent(9, 1, 1),
            ],
            ..Period::default()
        };
        let stacks = [vec![0, 1], vec![2], vec![]];
        assert_eq!(by_weight(&period, &stacks, 4), [2, 0, 1, 3]);
        assert_eq!(by_weight(&period, &[], 0), [0; 0]);
    }
}
