//! A log store in memory: what is durable of one node.

use skiff_core::{
    Entry, HardState, Index, LoadError, LogTime, Membership, Payload, Position, Recovered, Term,
    Write,
};

/// What a node's log store holds.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// The log begins after this; a snapshot stands in for what is before.
    pub base: Position,
    pub hard: HardState,
    pub entries: Vec<Entry>,
}

impl Store {
    pub fn write(&mut self, write: Write) {
        if let Some(from) = write.truncate_from {
            self.entries.retain(|entry| entry.index < from);
        }
        for entry in write.entries {
            assert_eq!(entry.index, self.last().index.next(), "a gap in the store");
            self.entries.push(entry);
        }
        self.hard = write.hard_state;
    }

    pub fn last(&self) -> Position {
        self.entries.last().map_or(self.base, Entry::position)
    }

    pub fn get(&self, index: Index) -> Option<&Entry> {
        let at = index.0.checked_sub(self.base.index.0 + 1)?;
        self.entries.get(usize::try_from(at).unwrap())
    }

    /// What a node starts from that finds this and whose machine has applied `applied`.
    pub fn recovered(&self, membership: Membership, applied: Index) -> Recovered {
        let mut terms: Vec<(Index, Term)> = Vec::new();
        let mut memberships = Vec::new();
        for entry in &self.entries {
            if terms.last().is_none_or(|(_, term)| *term != entry.term) {
                terms.push((entry.index, entry.term));
            }
            if let Payload::Membership(membership) = &entry.payload {
                memberships.push((entry.index, membership.as_ref().clone()));
            }
        }
        Recovered {
            hard_state: self.hard,
            base: self.base,
            last: self.last(),
            last_time: self.entries.last().map_or(LogTime::ZERO, |entry| entry.time),
            terms,
            membership,
            memberships,
            applied,
        }
    }

    pub fn read(&self, from: Index, to: Index, bytes_max: usize) -> Result<Vec<Entry>, LoadError> {
        if from <= self.base.index {
            return Err(LoadError::Compacted);
        }
        let mut bytes = 0;
        let mut found = Vec::new();
        for entry in self.entries.iter().filter(|e| e.index >= from && e.index < to) {
            bytes += entry.size();
            if bytes > bytes_max && !found.is_empty() {
                break;
            }
            found.push(entry.clone());
        }
        if found.is_empty() { Err(LoadError::Failed) } else { Ok(found) }
    }
}
