//! A line in the making: bytes laid into a fixed room. What has no room is left out, and known to be: a text of
//! megabytes takes no memory.

use std::io;

pub(super) struct Pen<'a> {
    to: &'a mut [u8],
    at: usize,
}

impl<'a> Pen<'a> {
    pub(super) fn new(to: &'a mut [u8]) -> Pen<'a> {
        Pen { to, at: 0 }
    }

    /// Bytes so far; more than there is room for where something was left out.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn fits(&self) -> bool {
        self.at <= self.to.len()
    }

    /// Bytes that have room still.
    pub(super) fn left(&self) -> usize {
        self.to.len().saturating_sub(self.at)
    }

    /// Goes back; what is written from here on takes the place of what was.
    pub(super) fn back_to(&mut self, at: usize) {
        self.at = at;
    }

    /// Leaves out what is longer than the room that is left.
    pub(super) fn leave_out(&mut self) {
        self.skip(self.left() + 1);
    }

    /// Nothing that is longer than the room passes here, so the sum is far from what a number holds; that it
    /// need not be checked is worth a seventh of a line's time.
    #[inline]
    fn skip(&mut self, bytes: usize) {
        self.at = self.at.wrapping_add(bytes);
    }

    /// A few bytes, whose number the compiler knows.
    #[inline]
    pub(super) fn put<const N: usize>(&mut self, bytes: &[u8; N]) {
        let at = self.at;
        self.skip(N);
        if let Some(place) = self.to.get_mut(at..at.wrapping_add(N)) {
            place.copy_from_slice(bytes);
        }
    }

    #[inline]
    pub(super) fn put_all(&mut self, bytes: &[u8]) {
        if let Some(place) = self.place(bytes.len()) {
            place.copy_from_slice(bytes);
        }
        self.skip(bytes.len());
    }

    /// N to 2 * N bytes as two blocks that overlap.
    #[inline]
    pub(super) fn put_two<const N: usize>(
        &mut self,
        first: &[u8; N],
        last: &[u8; N],
        bytes: usize,
    ) {
        if let Some(place) = self.place(bytes) {
            if let Some(begin) = place.first_chunk_mut::<N>() {
                *begin = *first;
            }
            if let Some(end) = place.last_chunk_mut::<N>() {
                *end = *last;
            }
        }
        self.skip(bytes);
    }

    /// Room for so many bytes, to be filled; `None` where there is none, and they count all the same.
    #[inline]
    pub(super) fn take(&mut self, bytes: usize) -> Option<&mut [u8]> {
        let at = self.at;
        self.skip(bytes);
        self.to.get_mut(at..at.wrapping_add(bytes))
    }

    #[inline]
    fn place(&mut self, bytes: usize) -> Option<&mut [u8]> {
        self.to.get_mut(self.at..self.at.wrapping_add(bytes))
    }
}

/// For serde_json, which escapes and writes floats.
impl io::Write for Pen<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
