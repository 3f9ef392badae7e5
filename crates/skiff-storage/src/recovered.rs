//! What a log store found when it was opened.

use std::path::PathBuf;

use skiff_core::{Entry, HardState, Index, LogTime, Membership, Payload, Position, Term};

use crate::error::StoreError;

/// What a log store held when it was opened. No entries: they are read when needed.
///
/// Whoever writes a store can build one by replaying: [`begin_after`](Self::begin_after),
/// [`truncate_from`](Self::truncate_from) and [`append`](Self::append), in the order of the writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Term and vote.
    pub hard_state: HardState,
    /// The log begins after this position.
    pub base: Position,
    /// Where the log ends; `base` if it is empty.
    pub last: Position,
    /// Each term that occurs after `base`, with the index of its first entry there, ascending.
    pub terms: Vec<(Index, Term)>,
    /// The membership entries after `base`, ascending.
    pub memberships: Vec<(Index, Membership)>,
    /// The time of the last entry; zero if the log is empty.
    pub last_time: LogTime,
    /// Where damage has taken entries that were durable once, ascending. While there is one, the
    /// node must neither vote nor campaign nor acknowledge anything.
    pub holes: Vec<Hole>,
    /// What the operator should know: one sentence each, for example about a torn tail.
    pub remarks: Vec<String>,
}

/// A stretch of the log that damage has taken. What belongs there is known by log matching
/// (dissertation 3.5): whoever has an entry at the index and of the term of `last` has the same
/// entries before it.
///
/// What stands before a hole is to be trusted only as far as it matches too: what was damaged may
/// have replaced it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The first entry that is missing.
    pub first: Index,
    /// The last one, of which no more than this is known.
    pub last: Position,
    /// The damaged file.
    pub path: PathBuf,
    /// The byte of it at which something is wrong.
    pub offset: u64,
    /// What is wrong, and how it is known that it was well once.
    pub reason: String,
}

impl Hole {
    /// The hole as an error, for those who do not mend.
    #[must_use]
    pub fn to_error(&self) -> StoreError {
        StoreError::Corrupt {
            path: self.path.clone(),
            offset: self.offset,
            index: Some(self.first),
            reason: self.reason.clone(),
        }
    }
}

impl Recovered {
    /// Forgets all entries: the log begins after `base`.
    pub fn begin_after(&mut self, base: Position) {
        self.base = base;
        self.last = base;
        self.terms.clear();
        self.memberships.clear();
        self.holes.clear();
        self.last_time = LogTime::ZERO;
    }

    /// Forgets the entries up to `base`, which a snapshot covers, and the holes among them.
    pub fn compact_to(&mut self, base: Position) {
        if base.index >= self.last.index {
            return self.begin_after(base);
        }
        let index = base.index;
        self.holes.retain(|hole| hole.last.index > index);
        for hole in &mut self.holes {
            hole.first = hole.first.max(index.next());
        }
        let after = self.terms.partition_point(|(first, _)| *first <= index);
        let cut = self.terms.drain(..after).next_back();
        let is_known = self.terms.first().is_some_and(|(first, _)| *first == index.next());
        let in_hole = self.holes.first().is_some_and(|hole| hole.first == index.next());
        if let Some((_, term)) = cut.filter(|_| !is_known && !in_hole) {
            self.terms.insert(0, (index.next(), term));
        }
        self.memberships.retain(|(at, _)| *at > index);
        self.base = base;
    }

    /// The term of the entry at `index`, or of the position the log begins after. `None` where the
    /// log holds nothing: outside, and in a hole but at its end.
    #[must_use]
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        let is_lost = |hole: &Hole| hole.first <= index && index < hole.last.index;
        if index < self.base.index || index > self.last.index || self.holes.iter().any(is_lost) {
            return None;
        }
        let after = self.terms.partition_point(|(first, _)| *first <= index);
        after.checked_sub(1).and_then(|at| self.terms.get(at)).map(|(_, term)| *term)
    }

    /// Notes that damage has taken what follows, up to and with the last entry of the hole; what is
    /// there from its first entry on is forgotten.
    pub fn open_hole(&mut self, mut hole: Hole) {
        self.truncate_from(hole.first);
        hole.first = hole.first.min(self.last.index.next());
        self.terms.push((hole.last.index, hole.last.term));
        self.last = hole.last;
        self.holes.push(hole);
    }

    /// Forgets the entries from `from` on, and with them the holes that reach so far. If any entry is left, [`last_time`](Self::last_time) is
    /// unknown afterwards: set it once the end of the log is reached.
    pub fn truncate_from(&mut self, from: Index) {
        if from > self.last.index {
            return;
        }
        // A hole that is cut ends nowhere: what is left of it is forgotten too.
        let mut from = from;
        while let Some(hole) = self.holes.pop_if(|hole| from <= hole.last.index) {
            from = from.min(hole.first);
        }
        self.terms.retain(|(first, _)| *first < from);
        self.memberships.retain(|(index, _)| *index < from);
        match self.terms.last() {
            Some(&(_, term)) => self.last = Position { term, index: from.prev() },
            None => self.begin_after(self.base),
        }
    }

    /// Takes in the entry that follows.
    pub fn append(&mut self, entry: &Entry) {
        if self.terms.last().is_none_or(|(_, term)| *term != entry.term) {
            self.terms.push((entry.index, entry.term));
        }
        if let Payload::Membership(membership) = &entry.payload {
            self.memberships.push((entry.index, Membership::clone(membership)));
        }
        self.last = entry.position();
        self.last_time = entry.time;
    }
}
