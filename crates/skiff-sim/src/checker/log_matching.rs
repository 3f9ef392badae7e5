//! Where two logs share index and term, they share the entry and its predecessor, over all nodes and
//! all time (dissertation 3.2).

use skiff_replica::{
    Index, Term,
    core::{Entry, Position},
};

use super::ledger::entry_hash;
use crate::failure::{Verdict, must};

#[derive(Debug, Default)]
pub(crate) struct LogMatching {
    /// By index: each term that was seen there, with the entry's hash and its predecessor's term.
    seen: Vec<Vec<(Term, u64, Term)>>,
}

impl LogMatching {
    /// These entries follow `prev` in some log.
    pub(crate) fn look(&mut self, prev: Position, entries: &[Entry]) -> Verdict {
        let mut before = prev.term;
        for entry in entries {
            let hash = entry_hash(entry);
            let place = usize::try_from(entry.index.0).unwrap_or(usize::MAX);
            if self.seen.len() <= place {
                self.seen.resize_with(place + 1, Vec::new);
            }
            let here = &mut self.seen[place];
            match here.iter().find(|(term, ..)| *term == entry.term) {
                None => here.push((entry.term, hash, before)),
                Some((_, known, known_before)) => {
                    let at = entry.position();
                    must(*known == hash, || format!("two entries at {at}"))?;
                    must(*known_before == before, || {
                        format!("the entry {at} follows one of term {known_before} and of {before}")
                    })?;
                }
            }
            before = entry.term;
        }
        Ok(())
    }

    /// The hash of the entry at this place.
    pub(crate) fn hash_of(&self, index: Index, term: Term) -> Option<u64> {
        let here = self.seen.get(usize::try_from(index.0).ok()?)?;
        here.iter().find(|(one, ..)| *one == term).map(|(_, hash, _)| *hash)
    }
}
