//! The messages of a profile. They may come in any order, so they are read in three rounds: texts, functions and
//! mappings; locations, which name these; samples, which name locations.

use std::collections::HashMap;

use super::msgpack::lossy;
use super::pprof::{
    Function, LINES_MAX, Label, Line, Location, Mapping, PLACES_MAX, PprofError, Profile,
    TEXT_BYTES_MAX, TYPES_MAX, ValueType,
};
use super::protobuf::{Field, Fields, Value};
use super::room::Room;

const PROFILE: &str = "Profile";
const ELLIPSIS: &str = "\u{2026}";

/// Places by id.
#[derive(Debug, Default)]
pub(super) struct Ids {
    message: &'static str,
    places: HashMap<u64, u32>,
}

impl Ids {
    fn of(message: &'static str) -> Ids {
        Ids {
            message,
            places: HashMap::new(),
        }
    }

    fn add(&mut self, id: u64, room: &mut Room) -> Result<(), PprofError> {
        let place = self.places.len() as u32;
        match id {
            0 => Err(PprofError::Id(self.message, id)),
            _ => match room.insert(&mut self.places, (id, place))? {
                Some(_) => Err(PprofError::Id(self.message, id)),
                None => Ok(()),
            },
        }
    }

    fn place(&self, named_by: &'static str, id: u64) -> Result<u32, PprofError> {
        let place = self.places.get(&id).copied();
        place.ok_or(PprofError::Missing(named_by, self.message, id))
    }
}

/// All but the samples; gives the places of locations.
pub(super) fn read_tables(
    bytes: &[u8],
    profile: &mut Profile,
    room: &mut Room,
) -> Result<Ids, PprofError> {
    each(bytes, |number, value, field| match (number, value) {
        (6, value) => add_text(field.bytes(value)?, profile, room),
        _ => Ok(()),
    })?;
    if profile.texts.ends.first().is_some_and(|end| *end > 0) {
        return Err(PprofError::FirstText);
    }
    let texts = Count(profile.texts.ends.len());
    let (mut functions, mut mappings) = (Ids::of("Function"), Ids::of("Mapping"));
    each(bytes, |number, value, field| {
        match number {
            1 => {
                let sample_type = value_type(field.bytes(value)?, texts)?;
                if profile.sample_types.len() >= TYPES_MAX {
                    return Err(PprofError::Types);
                }
                room.push(&mut profile.sample_types, sample_type)?;
            }
            3 => {
                let (id, mapping) = mapping(field.bytes(value)?, texts)?;
                mappings.add(id, room)?;
                room.push(&mut profile.mappings, mapping)?;
            }
            5 => {
                let (id, function) = function(field.bytes(value)?, texts)?;
                functions.add(id, room)?;
                room.push(&mut profile.functions, function)?;
            }
            9 => profile.time_nanos = field.int(value)?,
            10 => profile.duration_nanos = field.int(value)?,
            11 => profile.period_type = value_type(field.bytes(value)?, texts)?,
            12 => profile.period = field.int(value)?,
            13 => field.each(value, |at| {
                room.push(&mut profile.comments, texts.place(PROFILE, at)?)
            })?,
            14 => profile.default_sample_type = texts.place(PROFILE, field.uint(value)?)?,
            _ => {}
        }
        Ok(())
    })?;
    let mut locations = Ids::of("Location");
    let known = (&functions, &mappings);
    each(bytes, |number, value, field| match number {
        4 => {
            let id = read_location(field.bytes(value)?, known, profile, room)?;
            locations.add(id, room)
        }
        _ => Ok(()),
    })?;
    Ok(locations)
}

pub(super) fn read_samples(
    bytes: &[u8],
    locations: &Ids,
    (profile, room): (&mut Profile, &mut Room),
) -> Result<(), PprofError> {
    each(bytes, |number, value, field| match number {
        2 => read_sample(field.bytes(value)?, locations, profile, room),
        _ => Ok(()),
    })
}

fn each<'a>(
    bytes: &'a [u8],
    mut see: impl FnMut(u32, Value<'a>, Field) -> Result<(), PprofError>,
) -> Result<(), PprofError> {
    each_of(PROFILE, bytes, &mut see)
}

fn each_of<'a>(
    message: &'static str,
    bytes: &'a [u8],
    mut see: impl FnMut(u32, Value<'a>, Field) -> Result<(), PprofError>,
) -> Result<(), PprofError> {
    let mut fields = Fields::new(message, bytes);
    while let Some((number, value)) = fields.next()? {
        see(number, value, Field { message, number })?;
    }
    Ok(())
}

/// Texts in the table; 0 is there also where the table is not.
#[derive(Clone, Copy, Debug)]
struct Count(usize);

impl Count {
    fn place(self, message: &'static str, at: u64) -> Result<u32, PprofError> {
        let known = at == 0 || usize::try_from(at).is_ok_and(|at| at < self.0);
        match known {
            true => Ok(at as u32),
            false => Err(PprofError::Text(message, at as i64)),
        }
    }
}

/// Of a long text only the beginning, so that none costs more than it can be worth: it is shown many times.
fn add_text(bytes: &[u8], profile: &mut Profile, room: &mut Room) -> Result<(), PprofError> {
    // Mending never makes a text shorter, so what is behind these cannot be kept.
    let head = &bytes[..bytes.len().min(TEXT_BYTES_MAX + 1)];
    let text = lossy(head);
    let texts = &mut profile.texts;
    if text.len() > TEXT_BYTES_MAX {
        let kept = text.floor_char_boundary(TEXT_BYTES_MAX - ELLIPSIS.len());
        room.push_str(&mut texts.all, &text[..kept])?;
        room.push_str(&mut texts.all, ELLIPSIS)?;
        profile.texts_cut += 1;
    } else {
        room.push_str(&mut texts.all, &text)?;
    }
    // The room is far below what 32 bits can say.
    room.push(&mut texts.ends, texts.all.len() as u32)
}

fn value_type(bytes: &[u8], texts: Count) -> Result<ValueType, PprofError> {
    let message = "ValueType";
    let mut read = ValueType::default();
    each_of(message, bytes, |number, value, field| {
        match number {
            1 => read.name = texts.place(message, field.uint(value)?)?,
            2 => read.unit = texts.place(message, field.uint(value)?)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(read)
}

fn mapping(bytes: &[u8], texts: Count) -> Result<(u64, Mapping), PprofError> {
    let message = "Mapping";
    let (mut id, mut read) = (0, Mapping::default());
    each_of(message, bytes, |number, value, field| {
        match number {
            1 => id = field.uint(value)?,
            5 => read.file = texts.place(message, field.uint(value)?)?,
            6 => read.build_id = texts.place(message, field.uint(value)?)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((id, read))
}

fn function(bytes: &[u8], texts: Count) -> Result<(u64, Function), PprofError> {
    let message = "Function";
    let (mut id, mut read) = (0, Function::default());
    each_of(message, bytes, |number, value, field| {
        match number {
            1 => id = field.uint(value)?,
            2 => read.name = texts.place(message, field.uint(value)?)?,
            3 => read.system_name = texts.place(message, field.uint(value)?)?,
            4 => read.file = texts.place(message, field.uint(value)?)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((id, read))
}

/// Gives its id.
fn read_location(
    bytes: &[u8],
    (functions, mappings): (&Ids, &Ids),
    profile: &mut Profile,
    room: &mut Room,
) -> Result<u64, PprofError> {
    let message = "Location";
    let (mut id, mut mapping_id) = (0, 0);
    let mut read = Location {
        lines_start: profile.lines.len() as u32,
        ..Location::default()
    };
    each_of(message, bytes, |number, value, field| {
        match number {
            1 => id = field.uint(value)?,
            2 => mapping_id = field.uint(value)?,
            3 => read.address = field.uint(value)?,
            4 => {
                let line = line(field.bytes(value)?, functions)?;
                match profile.lines.len() - (read.lines_start as usize) < LINES_MAX {
                    true => room.push(&mut profile.lines, line)?,
                    false => profile.lines_left_out += 1,
                }
            }
            5 => read.folded = field.uint(value)? != 0,
            _ => {}
        }
        Ok(())
    })?;
    if mapping_id != 0 {
        read.mapping = mappings.place(message, mapping_id).ok();
        profile.unmapped += u64::from(read.mapping.is_none());
    }
    read.lines_end = profile.lines.len() as u32;
    room.push(&mut profile.locations, read)?;
    Ok(id)
}

fn line(bytes: &[u8], functions: &Ids) -> Result<Line, PprofError> {
    let (mut id, mut line) = (0, 0);
    each_of("Line", bytes, |number, value, field| {
        match number {
            1 => id = field.uint(value)?,
            2 => line = field.int(value)?,
            _ => {}
        }
        Ok(())
    })?;
    let function = functions.place("Line", id)?;
    Ok(Line { function, line })
}

fn read_sample(
    bytes: &[u8],
    locations: &Ids,
    profile: &mut Profile,
    room: &mut Room,
) -> Result<(), PprofError> {
    let message = "Sample";
    let types = profile.sample_types.len();
    let texts = Count(profile.texts.ends.len());
    let samples = &mut profile.samples;
    let before = (
        samples.stacks.len(),
        samples.values.len(),
        samples.labels.len(),
    );
    let mut left_out = 0;
    each_of(message, bytes, |number, value, field| match number {
        1 => field.each(value, |id| {
            let place = locations.place(message, id)?;
            if samples.stacks.len() - before.0 >= PLACES_MAX {
                left_out += 1;
                return Ok(());
            }
            room.push(&mut samples.stacks, place)
        }),
        2 => field.each(value, |value| {
            // One too many is enough to see that they do not match.
            if samples.values.len() - before.1 > types {
                return Ok(());
            }
            room.push(&mut samples.values, value as i64)
        }),
        3 => {
            let label = label(field.bytes(value)?, texts)?;
            room.push(&mut samples.labels, label)
        }
        _ => Ok(()),
    })?;
    if samples.values.len() - before.1 != types {
        samples.stacks.truncate(before.0);
        samples.values.truncate(before.1);
        samples.labels.truncate(before.2);
        profile.mismatched += 1;
        return Ok(());
    }
    profile.places_left_out += left_out;
    let ends = (samples.stacks.len() as u32, samples.labels.len() as u32);
    room.push(&mut samples.ends, ends)
}

fn label(bytes: &[u8], texts: Count) -> Result<Label, PprofError> {
    let message = "Label";
    let mut read = Label::default();
    each_of(message, bytes, |number, value, field| {
        match number {
            1 => read.key = texts.place(message, field.uint(value)?)?,
            2 => read.text = texts.place(message, field.uint(value)?)?,
            3 => read.number = field.int(value)?,
            4 => drop(texts.place(message, field.uint(value)?)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(read)
}
