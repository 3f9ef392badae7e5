//! What a node finds again after a crash.

use skiff_replica::{
    Index, LogTime, Position, Term,
    core::{Entry, HardState, LoadError, Membership, Recovered, Write},
};

#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Disk {
    pub(super) hard: HardState,
    /// From the first entry on.
    pub(super) log: Vec<Entry>,
}

impl Disk {
    pub(super) fn term_at(&self, index: Index) -> Option<Term> {
        let place = usize::try_from(index.0).ok()?.checked_sub(1)?;
        self.log.get(place).map(|entry| entry.term)
    }

    /// A write is done, whole. Says what is wrong with it, if anything.
    pub(super) fn write(&mut self, write: &Write) -> Result<(), &'static str> {
        let (old, new) = (self.hard, write.hard_state);
        if new.term < old.term {
            return Err("a term on disk never goes back");
        }
        if new.term == old.term && old.vote.is_some() && new.vote != old.vote {
            return Err("a vote on disk is never changed within its term");
        }
        self.hard = new;
        if let Some(from) = write.truncate_from {
            self.log.retain(|entry| entry.index < from);
        }
        for entry in &write.entries {
            if entry.index.0 != self.log.len() as u64 + 1 {
                return Err("what is written follows what is on disk");
            }
            self.log.push(entry.clone());
        }
        Ok(())
    }

    pub(super) fn read(&self, from: Index, to: Index) -> Result<Vec<Entry>, LoadError> {
        let wanted = self.log.iter().filter(|entry| (from..to).contains(&entry.index));
        let entries: Vec<Entry> = wanted.cloned().collect();
        if entries.is_empty() { Err(LoadError::Failed) } else { Ok(entries) }
    }

    /// What a node begins with whose state machine keeps nothing.
    pub(super) fn recovered(&self, membership: Membership) -> Recovered {
        let mut terms: Vec<(Index, Term)> = Vec::new();
        for entry in &self.log {
            if terms.last().is_none_or(|(_, term)| *term != entry.term) {
                terms.push((entry.index, entry.term));
            }
        }
        Recovered {
            hard_state: self.hard,
            base: Position::ZERO,
            last: self.log.last().map_or(Position::ZERO, Entry::position),
            terms,
            membership,
            memberships: Vec::new(),
            last_time: LogTime::ZERO,
            applied: Index::ZERO,
            ..Recovered::default()
        }
    }
}
