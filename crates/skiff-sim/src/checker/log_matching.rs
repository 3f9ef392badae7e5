//! Where two logs share index and term, they share the entry and its predecessor, over all nodes and
//! all time (dissertation 3.2). And the time of the log never goes back, which machines are promised.

use skiff_replica::{
    Index, LogTime, Term,
    core::{Entry, Position},
};

use super::ledger::entry_hash;
use crate::failure::{Verdict, must};

/// An entry that was seen.
#[derive(Clone, Copy, Debug)]
struct Seen {
    term: Term,
    hash: u64,
    /// The term of its predecessor.
    before: Term,
    time: LogTime,
}

#[derive(Debug, Default)]
pub(crate) struct LogMatching {
    /// By index: the entry of each term that was seen there.
    seen: Vec<Vec<Seen>>,
}

impl LogMatching {
    /// These entries follow `prev` in some log.
    pub(crate) fn look(&mut self, prev: Position, entries: &[Entry]) -> Verdict {
        let mut before = prev.term;
        let mut latest = self.at(prev.index, prev.term).map_or(LogTime::ZERO, |seen| seen.time);
        for entry in entries {
            let (at, hash, time) = (entry.position(), entry_hash(entry), entry.time);
            must(time >= latest, || format!("the time of {at} is {time:?}, after {latest:?}"))?;
            let place = usize::try_from(entry.index.0).unwrap_or(usize::MAX);
            if self.seen.len() <= place {
                self.seen.resize_with(place + 1, Vec::new);
            }
            match self.at(entry.index, entry.term) {
                None => self.seen[place].push(Seen { term: entry.term, hash, before, time }),
                Some(known) => {
                    must(known.hash == hash, || format!("two entries at {at}"))?;
                    must(known.before == before, || {
                        let other = known.before;
                        format!("the entry {at} follows one of term {other} and of {before}")
                    })?;
                }
            }
            (before, latest) = (entry.term, time);
        }
        Ok(())
    }

    /// The entry at this place.
    fn at(&self, index: Index, term: Term) -> Option<Seen> {
        let here = self.seen.get(usize::try_from(index.0).ok()?)?;
        here.iter().find(|seen| seen.term == term).copied()
    }

    /// The hash of the entry at this place.
    pub(crate) fn hash_of(&self, index: Index, term: Term) -> Option<u64> {
        self.at(index, term).map(|seen| seen.hash)
    }
}
