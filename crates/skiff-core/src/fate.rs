//! What became of an entry whose fate was unknown when its caller was told.

use crate::{
    mutants::{Mutant, planted},
    raft::Raft,
    types::{Index, Position},
};

/// What became of an entry, as far as a node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is committed: it was applied, or will be shortly.
    Applied,
    /// It is not in the log, and never will be again.
    Never,
    /// Neither is known here yet.
    Undecided,
    /// It was decided so long ago that nobody remembers.
    Forgotten,
}

impl Raft {
    /// What became of the entry at this position. A committed entry of a later term at its index, or
    /// before that, proves that it is in no leader's log any more (dissertation 3.5, 3.6.3): this is so
    /// at the latest when the first entry of the next leader is committed.
    #[must_use]
    pub fn fate(&self, position: Position) -> Fate {
        let Position { term, index } = position;
        let committed = self.local.log.committed();
        if index == Index::ZERO {
            return Fate::Never; // Nothing ever stood there.
        }
        if index > committed {
            let newest = match planted(Mutant::NeverByTerm) {
                true => Some(self.local.hard.term),
                false => self.local.log.term_at(committed),
            };
            return match newest {
                Some(newest) if newest > term => Fate::Never,
                _ => Fate::Undecided,
            };
        }
        match self.local.log.term_once_at(index) {
            Some(found) if found == term || planted(Mutant::AppliedByIndex) => Fate::Applied,
            Some(_) => Fate::Never,
            None => Fate::Forgotten,
        }
    }
}
