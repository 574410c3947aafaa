//! A value for each of the last 60 seconds in which it was known.

use std::collections::VecDeque;

const SECONDS_MAX: usize = 60;

/// Seconds and values, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(VecDeque<(u64, f64)>);

impl History {
    /// Of 60 values a ring has room for 64.
    pub(crate) const BYTES_MAX: usize = SECONDS_MAX.next_power_of_two() * size_of::<(u64, f64)>();

    /// Sets the value of a second: the newest wins.
    pub(crate) fn set(&mut self, second: u64, value: f64) {
        *self.slot(second) = value;
    }

    /// Adds to the value of a second.
    pub(crate) fn add(&mut self, second: u64, value: f64) {
        *self.slot(second) += value;
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<(u64, f64)>()
    }

    pub(crate) fn view(&self) -> Vec<f64> {
        self.0.iter().map(|(_, value)| *value).collect()
    }

    fn slot(&mut self, second: u64) -> &mut f64 {
        if self.0.back().is_none_or(|(last, _)| *last < second) {
            if self.0.len() == SECONDS_MAX {
                self.0.pop_front();
            }
            self.0.push_back((second, 0.0));
        }
        let last = self
            .0
            .back_mut()
            .expect("a slot stands there or was just made");
        &mut last.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_last_sixty_known_seconds() {
        let mut history = History::default();
        for second in 0..70 {
            history.set(second, second as f64);
        }
        history.add(69, 1.0);
        history.set(50, 7.0);
        let seen = history.view();
        assert_eq!((seen.len(), seen[0], seen[59]), (60, 10.0, 7.0));
    }
}
