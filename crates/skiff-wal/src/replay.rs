//! Follows the batches of a log from its beginning, so that it is known what they come to.
//!
//! Where batches are damaged, the header of the next good one says with which entry the log ended
//! before it. If that entry is there all the same, nothing was lost; else there is a hole, as far
//! down as no mended piece fills it.

use std::{collections::BTreeSet, path::PathBuf};

use bytes::Bytes;
use skiff_core::{
    Entry, HardState, Index, Malformed, Payload, Position,
    mutants::{Mutant, planted},
};
use skiff_storage::{Hole, Recovered};

use crate::{
    batch::{BatchHeader, HEADER},
    begins::Begins,
    mend::{Mend, Mends},
    place::Place,
    record::{RawEntry, Record},
    tail::{Change, Extents},
    walk::Batch,
};

/// A batch whose checksums are right and which still cannot be.
pub(crate) struct Nonsense {
    pub(crate) place: Place,
    pub(crate) index: Index,
    pub(crate) reason: &'static str,
}

/// Something is wrong with what was synced.
#[derive(Clone, Debug)]
pub(crate) struct Damage {
    pub(crate) path: PathBuf,
    pub(crate) offset: u64,
    pub(crate) reason: String,
}

pub(crate) struct Replay<'a> {
    mends: &'a Mends,
    pub(crate) recovered: Recovered,
    pub(crate) extents: Extents,
    pub(crate) begins: Begins,
    /// With this entry the log ended when the first segment was begun that there is: what was before must
    /// turn out to be given up.
    started_at: Option<Index>,
    /// The log is known to have been given up so far.
    given_up: Index,
    /// The last batch.
    pub(crate) last: Option<BatchHeader>,
    /// The segments that hold batches.
    pub(crate) visited: BTreeSet<u64>,
    /// The time of the last entry is not known, since entries were cut behind it.
    pub(crate) needs_time: bool,
    /// All damage that was met.
    pub(crate) damages: Vec<Damage>,
    /// Damage stands before the next batch.
    is_after_damage: bool,
    /// The log was cut in or before a hole: what it ends with is known when something follows.
    cut_at: Option<Damage>,
    /// The mended pieces that are needed.
    pub(crate) used: BTreeSet<u64>,
}

impl<'a> Replay<'a> {
    pub(crate) fn new(mends: &'a Mends) -> Self {
        Self {
            mends,
            recovered: Recovered::default(),
            extents: Extents::default(),
            begins: Begins::default(),
            started_at: None,
            given_up: Index::ZERO,
            last: None,
            visited: BTreeSet::new(),
            needs_time: false,
            damages: Vec::new(),
            is_after_damage: false,
            cut_at: None,
            used: BTreeSet::new(),
        }
    }

    /// Damage was met behind the last batch. If what stands there does not fit to that, it may be the
    /// last batch itself that is not what was written there.
    pub(crate) fn skip(&mut self, damage: Damage, is_unlinked: bool) {
        self.damages.push(damage);
        self.is_after_damage = true;
        self.begins.lose();
        if let Some(last) = self.last.filter(|_| is_unlinked) {
            self.cut_from(last.synced.index.max(self.recovered.base.index).next());
        }
    }

    /// Whether entries that the log must have stood before its first segment.
    pub(crate) fn begins_in_the_middle(&self) -> bool {
        self.started_at.is_some_and(|index| self.given_up < index)
    }

    /// Damage that leaves it unknown what the log ends with, if there is such.
    pub(crate) fn open_end(&mut self) -> Option<Damage> {
        self.cut_at.take()
    }

    pub(crate) fn take(&mut self, batch: &Batch<'_>) -> Result<(), Nonsense> {
        let header = batch.header;
        let nonsense = |at: u32, index: Index, reason| {
            let offset = header.place.offset + HEADER as u64 + u64::from(at);
            Err(Nonsense { place: Place { offset, ..header.place }, index, reason })
        };
        if self.go_on(&header).is_none() {
            return nonsense(0, header.synced.index, "the log ended before it began");
        }
        let begins = matches!(batch.records.first(), Some((_, Record::BeginAfter(_))));
        if self.last.is_none() && self.damages.is_empty() && header.previous != 0 && !begins {
            if header.first_segment >= header.place.segment {
                return nonsense(0, Index::ZERO, "the log begins in its middle");
            }
            self.start_at(&header);
        }
        self.given_up = self.given_up.max(header.base.index);
        self.begins.batch(&header);
        for (at, record) in &batch.records {
            let forgets = |change: &Change| {
                matches!(change, Change::TruncateFrom(_)) && planted(Mutant::CutForgotten)
            };
            let Some(change) = Change::of(*at, record).filter(|c| !forgets(c)) else { continue };
            let index = self.recovered.last.index.next();
            if let Change::Append(position, _) = change
                && let Some(cut) = self.cut_at.take()
            {
                if self.end_with(position, cut).is_some() {
                    continue;
                }
                return nonsense(*at, index, "a record does not follow the one before");
            }
            if !self.follows(change) {
                return nonsense(*at, index, "a record does not follow the one before");
            }
            if self.make(header.place, change, record).is_err() {
                return nonsense(*at, index, "an entry's payload is not of its kind");
            }
        }
        if !batch.records.is_empty() || !planted(Mutant::BareVoteForgotten) {
            self.recovered.hard_state = header.hard_state;
        }
        self.visited.insert(header.place.segment);
        self.last = Some(header);
        Ok(())
    }

    /// The last batch is torn, but its header is well: what was before it was synced, and is perhaps
    /// damaged. `None` if that cannot be.
    pub(crate) fn end_before(&mut self, torn: &BatchHeader) -> Option<()> {
        if planted(Mutant::TornHeaderIgnored) {
            return Some(());
        }
        let is_after_damage = self.is_after_damage;
        self.go_on(torn)?;
        if is_after_damage {
            // It knew of all votes before. If it brought a new one, nobody was told.
            self.recovered.hard_state = torn.hard_state;
        }
        Some(())
    }

    /// The segments before this batch are gone, since the log was given up so far.
    fn start_at(&mut self, header: &BatchHeader) {
        self.started_at = Some(header.synced.index);
        self.recovered.begin_after(header.synced);
        self.extents.make(header.place, Change::BeginAfter(header.synced));
    }

    /// Goes on with a batch, perhaps behind damage. `None` if that cannot be.
    fn go_on(&mut self, header: &BatchHeader) -> Option<()> {
        let is_after_damage = std::mem::take(&mut self.is_after_damage);
        let damage = self.damages.last().cloned().filter(|_| is_after_damage);
        match damage {
            Some(damage) => {
                if header.base != self.recovered.base {
                    self.begin_behind_damage(header);
                }
                self.cut_at = None;
                self.end_with(header.synced, damage)
            }
            None => match self.cut_at.take() {
                Some(cut) => self.end_with(header.synced, cut),
                None => Some(()),
            },
        }
    }

    /// In what is damaged the log began anew, or was given up as far as this.
    fn begin_behind_damage(&mut self, header: &BatchHeader) {
        let base = header.base;
        let change = if base.index > self.recovered.base.index && self.holds(base) {
            self.recovered.compact_to(base);
            Change::CompactTo(base)
        } else {
            self.recovered.begin_after(base);
            Change::BeginAfter(base)
        };
        self.extents.make(header.place, change);
    }

    /// The log ends with this entry now. What it takes for that to be so may be damaged. `None` if
    /// it would end before it begins.
    fn end_with(&mut self, last: Position, damage: Damage) -> Option<()> {
        if self.holds(last) {
            self.cut_from(last.index.next());
            return Some(());
        }
        let (mut end, mut pieces) = (last, Vec::new());
        let base = self.recovered.base;
        let fits = |prev: Position| prev.index > base.index || prev == base;
        let next = |end| self.mends.ending_with(end).filter(|piece| fits(piece.prev));
        while let Some(piece) = next(end).filter(|_| !self.holds(end)) {
            pieces.push(piece);
            end = piece.prev;
        }
        let is_matched =
            self.holds(end) || (planted(Mutant::PieceNotMatched) && !pieces.is_empty());
        if is_matched {
            self.cut_from(end.index.next());
        } else {
            let first = self.recovered.last.index.next().min(end.index);
            if first <= self.recovered.base.index {
                return None;
            }
            let Damage { path, offset, reason } = damage;
            self.recovered.open_hole(Hole { first, last: end, path, offset, reason });
            let first = self.recovered.holes.last().map_or(first, |hole| hole.first);
            self.extents.open_hole(first);
            self.needs_time = true;
        }
        pieces.iter().rev().for_each(|piece| self.append(piece));
        Some(())
    }

    /// Whether the log has this entry, and so all that comes before it, or holes for that.
    fn holds(&self, position: Position) -> bool {
        self.recovered.term_at(position.index) == Some(position.term)
    }

    fn cut_from(&mut self, from: Index) {
        self.needs_time |= from <= self.recovered.last.index;
        self.recovered.truncate_from(from);
        self.extents.make(Place::default(), Change::TruncateFrom(from));
        self.begins.make(Change::TruncateFrom(from));
    }

    fn append(&mut self, piece: &Mend) {
        self.used.insert(piece.place.segment);
        for (at, entry) in &piece.entries {
            self.recovered.append(entry);
            self.extents.make(piece.place, Change::Append(entry.position(), *at));
            self.needs_time = false;
        }
    }

    /// Whether a change follows what is there.
    fn follows(&self, change: Change) -> bool {
        match change {
            Change::BeginAfter(_) => true,
            Change::CompactTo(base) => {
                let known = self.recovered.term_at(base.index);
                base.index <= self.recovered.last.index
                    && known.is_none_or(|term| term == base.term)
            }
            Change::TruncateFrom(from) => from.0 > self.recovered.base.index.0,
            Change::Append(position, _) => position.index.0 == self.recovered.last.index.next().0,
        }
    }

    fn make(&mut self, place: Place, change: Change, record: &Record<'_>) -> Result<(), Malformed> {
        self.begins.make(change);
        match record {
            Record::Entry(raw) => {
                self.recovered.append(&without_command(raw)?);
                self.needs_time = false;
                self.extents.make(place, change);
            }
            Record::TruncateFrom(from) => {
                let cuts = |hole: &&Hole| *from <= hole.last.index;
                let cut = self.recovered.holes.iter().find(cuts).map(Damage::of);
                let cut = cut.filter(|_| !planted(Mutant::HoleCutForgotten));
                self.cut_at = cut.or_else(|| self.cut_at.take());
                self.needs_time |= *from <= self.recovered.last.index;
                self.recovered.truncate_from(*from);
                let from = self.recovered.last.index.next().min(*from);
                self.extents.make(place, Change::TruncateFrom(from));
            }
            Record::CompactTo(base) => {
                self.given_up = self.given_up.max(base.index);
                if base.index > self.recovered.base.index {
                    self.recovered.compact_to(*base);
                    self.extents.make(place, change);
                }
            }
            Record::BeginAfter(base) => {
                self.started_at = None;
                self.needs_time = false;
                self.cut_at = None;
                self.recovered.begin_after(*base);
                self.extents.make(place, change);
            }
            Record::NextSegment(_) | Record::Opened { .. } | Record::Closed => {}
        }
        Ok(())
    }
}

impl Damage {
    fn of(hole: &Hole) -> Self {
        let Hole { path, offset, reason, .. } = hole;
        Self { path: path.clone(), offset: *offset, reason: reason.clone() }
    }
}

/// The entry as far as it matters to [`Recovered`]: a command's bytes are not copied.
pub(crate) fn without_command(raw: &RawEntry<'_>) -> Result<Entry, Malformed> {
    let empty = [Payload::Command(Bytes::new()), Payload::Session(Bytes::new())];
    let is_opaque = empty.iter().any(|payload| payload.kind() == raw.kind);
    let raw = if is_opaque { RawEntry { payload: &[], ..*raw } } else { *raw };
    raw.to_entry()
}

/// A term below that of the last entry is that of a write that was torn between its batches: in the
/// entry's term this node has not voted, or the batch with the vote would be there.
pub(crate) fn not_before(hard_state: HardState, recovered: &Recovered) -> HardState {
    if hard_state.term < recovered.last.term {
        HardState { term: recovered.last.term, vote: None }
    } else {
        hard_state
    }
}
