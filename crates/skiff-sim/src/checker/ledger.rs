//! What each node's disk is known to hold: kept from the outside, by what was written to it and
//! synced.

use skiff_replica::{
    Index, Position, Term,
    core::{Entry, HardState, NodeId, Write},
    storage::Recovered,
};

use crate::{
    failure::{Verdict, must},
    hash,
};

/// The durable log of one folder.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) node: NodeId,
    pub(crate) hard: HardState,
    base: Position,
    /// The newest snapshot that is durable here.
    kept: Index,
    /// Term and hash of each entry after `base`.
    entries: Vec<(Term, u64)>,
    /// Where the log ended before the last write that became durable: of that one nobody can know
    /// whether it was synced, if nothing was written after it.
    pub(crate) before_last: Index,
    /// What was handed to the disk and is not known to be durable.
    pub(crate) in_flight: Option<Write>,
    /// An entry with which a damaged log was to end, since others have committed it there.
    superseded: Option<Entry>,
}

/// What became of a write that was under way when its process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// There was none.
    Nothing,
    Lost,
    Part,
    Whole,
}

/// Stands for the hash of an entry that was not seen when it was written.
const UNKNOWN: u64 = 0;

/// The hash of what an entry says, its place included.
pub(crate) fn entry_hash(entry: &Entry) -> u64 {
    let mut hash = hash::Running::default();
    hash.number(entry.term.0);
    hash.number(entry.index.0);
    hash.number(entry.time.0);
    hash.number(u64::from(entry.payload.kind()));
    hash.bytes(&entry.payload.body());
    hash.value()
}

impl Ledger {
    pub(crate) fn last(&self) -> Index {
        Index(self.base.index.0 + self.entries.len() as u64)
    }

    /// Up to here everything is durable, in the log or in a snapshot.
    pub(crate) fn reach(&self) -> Index {
        self.last().max(self.kept)
    }

    /// A snapshot has become durable.
    pub(crate) fn keeps(&mut self, snapshot: Position) {
        self.kept = self.kept.max(snapshot.index);
    }

    pub(crate) fn at(&self, index: Index) -> Option<(Term, u64)> {
        let place = index.0.checked_sub(self.base.index.0 + 1)?;
        self.entries.get(usize::try_from(place).ok()?).copied()
    }

    /// The term of the entry at `index`, or of the one that the log begins after.
    pub(crate) fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.index && index > Index::ZERO {
            return Some(self.base.term);
        }
        self.at(index).map(|(term, _)| term)
    }

    /// Whether an entry of this term stands at this index, durably.
    pub(crate) fn holds(&self, position: Position) -> bool {
        // What the log begins after is in a snapshot.
        self.base == position
            || position.index <= self.kept.max(self.base.index.prev())
            || self.at(position.index).is_some_and(|(term, _)| term == position.term)
    }

    /// A write has become durable.
    pub(crate) fn written(&mut self, write: &Write) {
        (self.in_flight, self.superseded) = (None, None);
        self.before_last = self.last();
        if let Some(from) = write.truncate_from {
            self.before_last = self.before_last.min(from.prev());
        }
        self.take(write, write.entries.len());
        self.hard = write.hard_state;
    }

    /// Takes over a write with so many of its entries.
    fn take(&mut self, write: &Write, entries: usize) {
        if let Some(base) = write.begin_after {
            self.base = base;
            self.entries.clear();
        }
        if let Some(base) = write.compact_to {
            self.compact(base);
        }
        if let Some(from) = write.truncate_from {
            self.cut(from.prev());
        }
        self.entries.extend(write.entries[..entries].iter().map(|e| (e.term, entry_hash(e))));
    }

    fn compact(&mut self, base: Position) {
        let given_up = base.index.0.saturating_sub(self.base.index.0);
        let given_up = usize::try_from(given_up).unwrap_or(usize::MAX).min(self.entries.len());
        self.entries.drain(..given_up);
        self.base = base;
    }

    fn cut(&mut self, last: Index) {
        let keep = last.0.saturating_sub(self.base.index.0);
        self.entries.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
    }

    /// A damaged log is to end with an entry that others have committed.
    pub(crate) fn ends_with(&mut self, entry: &Entry) {
        self.superseded = Some(entry.clone());
    }

    /// What a process finds in the folder: all that was durable, and all or a part of the write that
    /// was under way. In holes, and before them, it is found when they are mended.
    pub(crate) fn recovered(
        &mut self,
        found: &Recovered,
        is_committed: impl Fn(Position) -> bool,
    ) -> Result<Left, String> {
        if let Some(entry) = &self.superseded
            && self.equals(found).is_err()
        {
            self.supersede(&entry.clone(), found, is_committed);
        }
        let Some(write) = self.in_flight.take() else {
            self.equals(found)?;
            must(found.hard_state == self.hard, || {
                format!("{:?} was durable, {:?} was found", self.hard, found.hard_state)
            })?;
            return Ok(Left::Nothing);
        };
        // Of a write that was split, entries of a later term may be there and not yet its vote.
        let raised = HardState { term: found.last.term, vote: None };
        let of_a_part = found.last.term > self.hard.term && found.hard_state == raised;
        let either = found.hard_state == self.hard || found.hard_state == write.hard_state;
        must(either || of_a_part, || {
            let (old, new, found) = (self.hard, write.hard_state, found.hard_state);
            format!("{old:?} was durable, {new:?} was being written, {found:?} was found")
        })?;
        let untouched = self.clone().equals(found);
        let left = if untouched.is_ok() && found.hard_state == self.hard {
            Left::Lost
        } else {
            self.find_part(&write, found).ok_or_else(|| match untouched {
                Err(words) => words,
                Ok(()) => "a vote without the entries it came with".to_owned(),
            })?
        };
        self.hard = found.hard_state;
        Ok(left)
    }

    /// The log ends with this entry now, and before it stands what is committed, where it is not as it
    /// was: what stood there never was.
    fn supersede(
        &mut self,
        entry: &Entry,
        found: &Recovered,
        is_committed: impl Fn(Position) -> bool,
    ) {
        if entry.term > self.hard.term {
            self.hard = HardState { term: entry.term, vote: None };
        }
        self.cut(entry.index.prev());
        self.entries.push((entry.term, entry_hash(entry)));
        let base = self.base.index.0;
        for (index, ours) in (base + 1..).zip(&mut self.entries) {
            let index = Index(index);
            match found.term_at(index) {
                Some(term) if term != ours.0 && is_committed(Position { term, index }) => {
                    *ours = (term, UNKNOWN);
                }
                _ => {}
            }
        }
    }

    /// Takes for durable whatever was found: disks may lie, or have been put back.
    pub(crate) fn adopt(&mut self, found: &Recovered) {
        *self =
            Self { node: self.node, hard: found.hard_state, base: found.base, ..Self::default() };
        let mut runs = found.terms.iter().peekable();
        let mut term = found.base.term;
        for index in found.base.index.0 + 1..=found.last.index.0 {
            if let Some((_, next)) = runs.next_if(|(first, _)| first.0 == index) {
                term = *next;
            }
            self.entries.push((term, UNKNOWN));
        }
    }

    /// Takes over the part of a write that was found, if it is one.
    fn find_part(&mut self, write: &Write, found: &Recovered) -> Option<Left> {
        let whole = write.entries.len();
        for entries in (0..=whole).rev() {
            let mut with = self.clone();
            with.take(write, entries);
            if with.equals(found).is_ok() {
                *self = with;
                let is_whole = entries == whole && found.hard_state == write.hard_state;
                return Some(if is_whole { Left::Whole } else { Left::Part });
            }
        }
        None
    }

    /// Whether what was found is what is known to be there.
    fn equals(&self, found: &Recovered) -> Verdict {
        must(found.base == self.base, || {
            format!("the log began after {}, now after {}", self.base, found.base)
        })?;
        must(found.last.index == self.last(), || {
            format!("the log ended at {}, now at {}", self.last(), found.last)
        })?;
        // What stands before a hole may have been replaced in it.
        let known_from = found.holes.last().map_or(Index::ZERO, |hole| hole.last.index);
        let mut runs = found.terms.iter().peekable();
        let mut term = self.base.term;
        for (place, (ours, _)) in self.entries.iter().enumerate() {
            let index = Index(self.base.index.0 + 1 + place as u64);
            if let Some((_, next)) = runs.next_if(|(first, _)| *first == index) {
                term = *next;
            }
            let is_right = *ours == term || index < known_from;
            must(is_right, || format!("entry {index} was of term {ours}, now of {term}"))?;
        }
        Ok(())
    }

    /// Whether an entry that was read back is the one that was written.
    pub(crate) fn check_read(&self, entry: &Entry) -> Verdict {
        match self.at(entry.index) {
            Some((_, UNKNOWN)) | None => Ok(()),
            Some((_, written)) => must(written == entry_hash(entry), || {
                format!("entry {} is not what was written there", entry.position())
            }),
        }
    }
}
