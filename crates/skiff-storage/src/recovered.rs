//! What a log store found when it was opened.

use skiff_core::{Entry, HardState, Index, LogTime, Membership, Payload, Position, Term};

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
    /// What the operator should know: one sentence each, for example about a torn tail.
    pub remarks: Vec<String>,
}

impl Recovered {
    /// Forgets all entries: the log begins after `base`.
    pub fn begin_after(&mut self, base: Position) {
        self.base = base;
        self.last = base;
        self.terms.clear();
        self.memberships.clear();
        self.last_time = LogTime::ZERO;
    }

    /// Forgets the entries from `from` on. If any entry is left, [`last_time`](Self::last_time) is
    /// unknown afterwards: set it once the end of the log is reached.
    pub fn truncate_from(&mut self, from: Index) {
        if from > self.last.index {
            return;
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
