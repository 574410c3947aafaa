//! The last lines of a context, as they came.

use crate::agent::view::RawLine;

const LINES_MAX: usize = 5;
const LINE_BYTES_MAX: usize = 512;

/// A line with the time of its arrival.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received<'a> {
    pub(crate) line: &'a str,
    pub(crate) time_unix_us: u64,
}

/// The newest few. A slot that is taken again keeps its room, so that a busy context allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    slots: Vec<Slot>,
    /// The slot that is taken next.
    next: usize,
}

#[derive(Debug, Default)]
struct Slot {
    time_unix_us: u64,
    text: String,
    bytes: usize,
}

impl Lines {
    pub(crate) fn push(&mut self, received: Received<'_>) {
        if self.slots.len() < LINES_MAX {
            self.slots.reserve_exact(LINES_MAX - self.slots.len());
            self.slots.push(Slot::default());
        }
        let line = received.line;
        let shown = &line[..line.floor_char_boundary(LINE_BYTES_MAX)];
        if let Some(slot) = self.slots.get_mut(self.next) {
            slot.time_unix_us = received.time_unix_us;
            slot.bytes = line.len();
            slot.text.clear();
            slot.text.reserve_exact(shown.len());
            slot.text.push_str(shown);
        }
        self.next = (self.next + 1) % LINES_MAX;
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        let texts = self.slots.iter().map(|slot| slot.text.capacity());
        self.slots.capacity() * size_of::<Slot>() + texts.sum::<usize>()
    }

    /// Newest first.
    pub(crate) fn view(&self) -> Vec<RawLine> {
        // Before all slots are taken, those behind `next` are not there yet.
        let (newer, older) = self.slots.split_at(self.next.min(self.slots.len()));
        let slots = newer.iter().rev().chain(older.iter().rev());
        slots
            .map(|slot| RawLine {
                time_unix_us: slot.time_unix_us,
                text: slot.text.clone(),
                bytes: slot.bytes as u64,
                cut: slot.text.len() < slot.bytes,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(lines: &[&str]) -> Lines {
        let mut kept = Lines::default();
        for (at, line) in lines.iter().enumerate() {
            let time_unix_us = at as u64;
            kept.push(Received { line, time_unix_us });
        }
        kept
    }

    #[track_caller]
    fn check(rule: &str, lines: &[&str], expected: &[(&str, u64)]) {
        let seen = pushed(lines).view();
        let seen: Vec<_> = seen.iter().map(|l| (&*l.text, l.time_unix_us)).collect();
        assert_eq!(seen, expected, "{rule}");
    }

    #[test]
    fn the_newest_five_stay() {
        check("none", &[], &[]);
        check("two", &["a", "b"], &[("b", 1), ("a", 0)]);
        let five = [("e", 4), ("d", 3), ("c", 2), ("b", 1), ("a", 0)];
        check("five", &["a", "b", "c", "d", "e"], &five);
        let newest = [("g", 6), ("f", 5), ("e", 4), ("d", 3), ("c", 2)];
        check("seven", &["a", "b", "c", "d", "e", "f", "g"], &newest);
    }

    #[track_caller]
    fn check_cut(rule: &str, line: &str, expected: (usize, bool)) {
        let seen = pushed(&[line]).view().remove(0);
        assert_eq!((seen.text.len(), seen.cut), expected, "{rule}");
        assert_eq!(seen.bytes, line.len() as u64, "{rule}");
        assert!(line.starts_with(&seen.text), "{rule}");
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        check_cut("at the limit", &"x".repeat(512), (512, false));
        check_cut("one over", &"x".repeat(513), (512, true));
        let inside = format!("x{}", "\u{e9}".repeat(400));
        check_cut("within a character", &inside, (511, true));
    }

    #[test]
    fn room_is_counted_and_bounded() {
        let long = "x".repeat(8_000);
        let lines = pushed(&vec![&*long; 100]);
        let slots = LINES_MAX * size_of::<Slot>();
        assert_eq!(lines.bytes(), slots + LINES_MAX * LINE_BYTES_MAX);
        assert_eq!(Lines::default().bytes(), 0);
    }
}
