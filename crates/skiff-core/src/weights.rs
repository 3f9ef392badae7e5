//! How much the entries of the log weigh that came since the node started: enough to know where the last
//! so many bytes of it begin, without a number for each entry.

use alloc::collections::VecDeque;

use crate::types::Index;

/// A mark is made each time so many bytes have come.
const STEP: u64 = 64 << 10;

#[derive(Clone, Debug, Default)]
pub(crate) struct Weights {
    /// All bytes that came.
    total: u64,
    /// Up to this index so many bytes had come; ascending in both.
    marks: VecDeque<(Index, u64)>,
    /// So many bytes had come where the log begins, at the most.
    floor: u64,
}

impl Weights {
    /// An entry was appended.
    pub(crate) fn add(&mut self, index: Index, size: usize) {
        self.total = self.total.saturating_add(size as u64);
        let marked = self.marks.back().map_or(self.floor, |mark| mark.1);
        if self.total - marked >= STEP {
            self.marks.push_back((index, self.total));
        }
    }

    /// The log was cut from `from` on.
    pub(crate) fn cut(&mut self, from: Index) {
        while self.marks.back().is_some_and(|(index, _)| *index >= from) {
            self.marks.pop_back();
        }
        self.total = self.marks.back().map_or(self.floor, |mark| mark.1);
    }

    /// The log begins after `index`.
    pub(crate) fn forget(&mut self, index: Index) {
        while let Some((_, bytes)) = self.marks.front().filter(|mark| mark.0 <= index) {
            self.floor = *bytes;
            self.marks.pop_front();
        }
    }

    /// The first index known after which no more than `bytes` have come; zero if all that came is less.
    pub(crate) fn start_of(&self, bytes: usize) -> Index {
        if self.total - self.floor <= bytes as u64 {
            return Index::ZERO;
        }
        let is_heavy = |mark: &(Index, u64)| self.total - mark.1 > bytes as u64;
        let first = self.marks.partition_point(is_heavy);
        self.marks.get(first).or_else(|| self.marks.back()).map_or(Index::ZERO, |mark| mark.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_so_many_bytes_begin_after_a_mark() {
        let mut weights = Weights::default();
        (1..=100).for_each(|index| weights.add(Index(index), 10 << 10));
        assert_eq!(weights.start_of(usize::MAX), Index::ZERO);
        let start = weights.start_of(200 << 10);
        assert!(start >= Index(80) && start < Index(88), "{start}");
        weights.forget(start);
        assert_eq!(weights.start_of(300 << 10), Index::ZERO);
        let later = weights.start_of(100 << 10);
        assert!(later >= Index(90) && later < Index(98), "{later}");
    }

    #[test]
    fn what_was_cut_does_not_weigh() {
        let mut weights = Weights::default();
        (1..=100).for_each(|index| weights.add(Index(index), 10 << 10));
        weights.cut(Index(15));
        (15..=20).for_each(|index| weights.add(Index(index), 10 << 10));
        assert_eq!(weights.start_of(300 << 10), Index::ZERO);
    }
}
