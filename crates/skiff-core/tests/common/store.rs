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
    /// The newest snapshot that is durable, with the members in it and what the machine had applied.
    pub snapshot: Option<(Position, Membership, Vec<Entry>)>,
}

impl Store {
    pub fn write(&mut self, write: Write) {
        if let Some(base) = write.begin_after {
            (self.base, self.entries) = (base, Vec::new());
        }
        if let Some(base) = write.compact_to {
            assert_eq!(self.get(base.index).map(Entry::position), Some(base), "compacted astray");
            self.entries.retain(|entry| entry.index > base.index);
            self.base = base;
        }
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
            ..Recovered::default()
        }
    }

    /// Keeps a snapshot, unless there is a newer one.
    pub fn keep(&mut self, position: Position, members: Membership, applied: Vec<Entry>) {
        if self.snapshot.as_ref().is_none_or(|(at, ..)| at.index < position.index) {
            self.snapshot = Some((position, members, applied));
        }
    }

    /// What a node starts from that has a snapshot, whose machine is brought to that or further.
    pub fn recovered_after_snapshot(&self, founded: Membership, applied: Index) -> Recovered {
        let mut recovered = self.recovered(founded, applied);
        let Some((position, members, _)) = &self.snapshot else { return recovered };
        let held = self.get(position.index).map(Entry::position) == Some(*position);
        recovered.begin_anew = !held && self.base != *position;
        if recovered.begin_anew {
            (recovered.base, recovered.last) = (*position, *position);
            (recovered.terms, recovered.memberships) = (Vec::new(), Vec::new());
        }
        recovered.memberships.retain(|(index, _)| *index > position.index);
        recovered.hard_state.term = recovered.hard_state.term.max(position.term);
        recovered.membership = members.clone();
        recovered.snapshot = *position;
        recovered
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
