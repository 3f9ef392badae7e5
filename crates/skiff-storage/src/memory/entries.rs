//! Entries in pieces of fixed size: growing never moves what is there, and each is found at once.

use skiff_core::Entry;

/// How many entries a piece holds.
const PIECE: usize = 1024;

#[derive(Default)]
pub(super) struct Entries {
    /// All but the last are full, and none is empty.
    pieces: Vec<Vec<Entry>>,
    /// So many at the beginning of the first piece are forgotten.
    forgotten: usize,
}

impl Entries {
    pub(super) fn len(&self) -> u64 {
        let last = self.pieces.last().map_or(0, Vec::len);
        (self.pieces.len().saturating_sub(1) * PIECE + last - self.forgotten) as u64
    }

    pub(super) fn extend(&mut self, entries: Vec<Entry>) {
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            match self.pieces.last_mut() {
                Some(piece) if piece.len() < PIECE => {
                    let room = PIECE - piece.len();
                    piece.extend(entries.by_ref().take(room));
                }
                _ => self.pieces.push(Vec::new()),
            }
        }
    }

    /// Forgets the first `count`; those after them are counted from zero then.
    pub(super) fn forget(&mut self, count: u64) {
        let (piece, rest) = self.place(count);
        if piece == self.pieces.len() || (piece + 1 == self.pieces.len() && rest == PIECE) {
            return *self = Self::default();
        }
        self.pieces.drain(..piece);
        self.forgotten = rest;
    }

    /// Keeps the first `count`.
    pub(super) fn truncate(&mut self, count: u64) {
        let (piece, rest) = self.place(count);
        self.pieces.truncate(piece + usize::from(rest > 0));
        if let Some(last) = self.pieces.get_mut(piece) {
            last.truncate(rest);
        }
    }

    /// All from the one at `at` on, counted from zero.
    pub(super) fn iter_from(&self, at: u64) -> impl Iterator<Item = &Entry> {
        let (piece, skip) = self.place(at);
        self.pieces.get(piece..).unwrap_or_default().iter().flatten().skip(skip)
    }

    fn place(&self, at: u64) -> (usize, usize) {
        let at = usize::try_from(at).unwrap_or(usize::MAX).saturating_add(self.forgotten);
        (at / PIECE, at % PIECE)
    }
}

#[cfg(test)]
mod tests {
    use skiff_core::{Index, LogTime, Payload, Term};

    use super::*;

    fn entries(from: u64, to: u64) -> Vec<Entry> {
        let entry = |index| Entry {
            term: Term(1),
            index: Index(index),
            time: LogTime::ZERO,
            payload: Payload::Noop,
        };
        (from..to).map(entry).collect()
    }

    #[test]
    fn what_is_forgotten_is_not_counted() {
        let piece = PIECE as u64;
        for forget in [0, 1, piece - 1, piece, piece + 1, 2 * piece, 2 * piece + 5] {
            let mut pieces = Entries::default();
            pieces.extend(entries(0, 2 * piece + 5));
            pieces.forget(forget / 2);
            pieces.forget(forget - forget / 2);
            assert_eq!(pieces.len(), 2 * piece + 5 - forget);
            pieces.truncate(pieces.len() / 2);
            let kept = forget + (2 * piece + 5 - forget) / 2;
            pieces.extend(entries(kept, 4 * piece));
            let read: Vec<Entry> = pieces.iter_from(0).cloned().collect();
            assert_eq!(read, entries(forget, 4 * piece), "forget {forget}");
        }
    }

    #[test]
    fn pieces_behave_like_one_vector() {
        let piece = PIECE as u64;
        for keep in [0, 1, piece - 1, piece, piece + 1, 2 * piece, 2 * piece + 7, 3 * piece] {
            let mut pieces = Entries::default();
            pieces.extend(entries(0, piece + 3));
            pieces.extend(entries(piece + 3, 2 * piece + 7));
            pieces.truncate(keep);
            let kept = keep.min(2 * piece + 7);
            assert_eq!(pieces.len(), kept);
            pieces.extend(entries(kept, kept + piece));
            assert_eq!(pieces.len(), kept + piece);
            for at in [0, kept.saturating_sub(1), kept, kept + piece - 1, kept + piece] {
                let read: Vec<Entry> = pieces.iter_from(at).cloned().collect();
                assert_eq!(read, entries(at, kept + piece), "keep {keep}, at {at}");
            }
        }
    }
}
