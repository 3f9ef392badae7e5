//! What the log holds: the effect of records on it, and where each entry stands on disk.

use skiff_core::{
    Index, Position, Term,
    mutants::{Mutant, planted},
};
use skiff_storage::{Recovered, Span};

use crate::{
    place::{Place, SECTOR},
    record::Record,
};

/// What a record changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    BeginAfter(Position),
    CompactTo(Position),
    TruncateFrom(Index),
    /// An entry, whose record begins at this byte of the batch's payload.
    Append(Position, u32),
}

impl Change {
    pub(crate) const fn of(at: u32, record: &Record<'_>) -> Option<Self> {
        match record {
            Record::Entry(entry) => Some(Self::Append(entry.position, at)),
            Record::TruncateFrom(index) => Some(Self::TruncateFrom(*index)),
            Record::BeginAfter(position) => Some(Self::BeginAfter(*position)),
            Record::CompactTo(position) => Some(Self::CompactTo(*position)),
            Record::NextSegment(_) | Record::Opened { .. } | Record::Closed => None,
        }
    }
}

/// Where the log begins and ends, and which terms occur in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail {
    pub(crate) base: Position,
    pub(crate) last: Position,
    terms: Vec<(Index, Term)>,
}

impl Tail {
    pub(crate) fn of(recovered: &Recovered) -> Self {
        let Recovered { base, last, terms, .. } = recovered;
        Self { base: *base, last: *last, terms: terms.clone() }
    }

    pub(crate) const fn span(&self) -> Span {
        Span { base: self.base.index, last: self.last.index }
    }

    /// Makes a change; says whether it follows what is there.
    pub(crate) fn make(&mut self, change: Change) -> bool {
        match change {
            Change::BeginAfter(base) => {
                self.terms.clear();
                (self.base, self.last) = (base, base);
            }
            Change::CompactTo(base) if base.index > self.last.index => return false,
            Change::CompactTo(base) => {
                let known = self.terms.partition_point(|(first, _)| *first <= base.index);
                self.terms.drain(..known.saturating_sub(1));
                self.base = base;
            }
            Change::TruncateFrom(from) if from <= self.base.index => return false,
            Change::TruncateFrom(from) => self.truncate(from),
            Change::Append(position, _) => {
                if position.index != self.last.index.next() {
                    return false;
                }
                if self.terms.last().is_none_or(|(_, term)| *term != position.term) {
                    self.terms.push((position.index, position.term));
                }
                self.last = position;
            }
        }
        true
    }

    fn truncate(&mut self, from: Index) {
        if from > self.last.index {
            return;
        }
        while self.terms.pop_if(|(first, _)| *first >= from).is_some() {}
        self.last = match self.terms.last() {
            Some(&(_, term)) => Position { term, index: from.prev() },
            None => self.base,
        };
        if self.last.index == self.base.index {
            self.last = self.base;
        }
    }
}

/// Stands for the segment of entries that damage has taken. No segment has this number.
pub(crate) const HOLE: u64 = 0;
/// How far an extent may reach before a new one begins.
const EXTENT: u64 = 64 << 10;

/// A stretch of the log's files: its entries follow each other without anything cut between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The first entry in it.
    pub(crate) first: Index,
    pub(crate) segment: u64,
    /// Where the batch of the first entry begins, in sectors.
    sector: u32,
    /// The byte of that batch's payload at which the first entry begins.
    pub(crate) skip: u32,
}

impl Extent {
    pub(crate) const fn place(&self) -> Place {
        Place { segment: self.segment, offset: self.sector as u64 * SECTOR }
    }
}

/// Where the entries stand: far fewer extents than entries, so that a long log takes little memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extents {
    extents: Vec<Extent>,
    /// Whether the next entry must begin an extent, since something was cut before it.
    is_cut: bool,
}

impl Extents {
    /// Follows a change made by the batch at `place`.
    pub(crate) fn make(&mut self, place: Place, change: Change) {
        match change {
            Change::BeginAfter(_) => {
                self.extents.clear();
                self.is_cut = true;
            }
            Change::CompactTo(base) => {
                let needed = self.extents.partition_point(|one| one.first <= base.index.next());
                self.extents.drain(..needed.saturating_sub(1));
            }
            Change::TruncateFrom(from) => {
                while self.extents.pop_if(|extent| extent.first >= from).is_some() {}
                self.is_cut = !planted(Mutant::ReadsWhatWasCut);
            }
            Change::Append(position, skip) => {
                let goes_on = !self.is_cut
                    && self.extents.last().is_some_and(|last| {
                        last.segment == place.segment && place.offset - last.place().offset < EXTENT
                    });
                if !goes_on {
                    // Segments are far shorter than 2^32 sectors.
                    let sector = u32::try_from(place.offset / SECTOR).unwrap_or(u32::MAX);
                    let (first, segment) = (position.index, place.segment);
                    self.extents.push(Extent { first, segment, sector, skip });
                }
                self.is_cut = false;
            }
        }
    }

    /// Damage has taken the entries from `first` on.
    pub(crate) fn open_hole(&mut self, first: Index) {
        self.make(Place::default(), Change::TruncateFrom(first));
        self.extents.push(Extent { first, segment: HOLE, sector: 0, skip: 0 });
        self.is_cut = true;
    }

    /// The extents that hold the entries from `from` to `to`, at most `max` of them, and where the
    /// entries of the last of these end at the latest.
    pub(crate) fn of(&self, from: Index, to: Index, max: usize) -> (Vec<Extent>, Index) {
        let after = self.extents.partition_point(|extent| extent.first <= from);
        let all = &self.extents[after.saturating_sub(1)..];
        let count = all.partition_point(|extent| extent.first < to).min(max);
        let end = all.get(count).map_or(to, |extent| extent.first.min(to));
        (all[..count].to_vec(), end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(extents: &mut Extents, place: Place, index: u64) {
        extents.make(place, Change::Append(Position::new(1, index), 0));
    }

    #[test]
    fn a_million_small_batches_take_little_memory() {
        let mut extents = Extents::default();
        let per_segment = (16 << 20) / SECTOR - 2;
        for index in 0..1_000_000 {
            let segment = 1 + index / per_segment;
            let place = Place { segment, offset: (1 + index % per_segment) * SECTOR };
            append(&mut extents, place, index + 1);
        }
        assert!(extents.extents.len() < 8_000, "{}", extents.extents.len());
        let (found, end) = extents.of(Index(500_000), Index(500_001), 10);
        assert_eq!((found.len(), end), (1, Index(500_001)));
        assert!(found[0].first <= Index(500_000) && found[0].first > Index(500_000 - 128));
    }

    #[test]
    fn what_was_cut_is_not_found_under_its_old_place() {
        let mut extents = Extents::default();
        let place = |sector| Place { segment: 1, offset: sector * SECTOR };
        (1..10).for_each(|index| append(&mut extents, place(index), index));
        extents.make(place(10), Change::TruncateFrom(Index(4)));
        append(&mut extents, place(10), 4);
        let (found, end) = extents.of(Index(3), Index(9), 10);
        let places: Vec<_> = found.iter().map(|extent| (extent.first.0, extent.place())).collect();
        assert_eq!(places, [(1, place(1)), (4, place(10))]);
        assert_eq!(end, Index(9));
        extents.make(place(11), Change::BeginAfter(Position::new(3, 20)));
        append(&mut extents, place(11), 21);
        assert_eq!(extents.of(Index(21), Index(22), 10).0[0].place(), place(11));
    }
}
