//! What a log must hold.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use skiff_replica::{
    Index, LogTime, Position, Term,
    core::{Entry, HardState, Payload, Write},
    storage::{LogReader, StoreError},
};
use skiff_wal::{Opened, disk::sim::SimDisk};

use crate::random::mix;

#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) hard_state: HardState,
    base: Position,
    entries: Vec<Entry>,
}

impl Model {
    /// What an open log holds.
    pub(super) fn of(opened: &Opened<SimDisk>) -> Result<Self, StoreError> {
        let (base, last) = (opened.recovered.base, opened.recovered.last);
        let entries = if base == last {
            Vec::new()
        } else {
            opened.log.reader().read(base.index.next(), last.index.next(), usize::MAX)?
        };
        Ok(Self { hard_state: opened.recovered.hard_state, base, entries })
    }

    pub(super) fn last(&self) -> Position {
        self.entries.last().map_or(self.base, Entry::position)
    }

    /// A write that appends so many entries of this size, in the next term.
    pub(super) fn append(&self, count: u64, size: usize) -> Write {
        let (term, last) = (self.hard_state.term.next(), self.last().index.0);
        Self::write(term, last + 1..last + 1 + count, size)
    }

    /// One that cuts so many entries off and appends others.
    pub(super) fn overwrite(&self, cut: u64, count: u64, size: usize) -> Write {
        let (term, last) = (self.hard_state.term.next(), self.last().index.0);
        let from = (last + 1).saturating_sub(cut).max(self.base.index.0 + 1);
        let truncate_from = (cut > 0).then_some(Index(from));
        Write { truncate_from, ..Self::write(term, from..from + count, size) }
    }

    /// One with which the log begins anew, so far behind its end, as after a snapshot.
    pub(super) fn begin_after(&self, ahead: u64, count: u64, size: usize) -> Write {
        let (term, index) = (self.hard_state.term.next(), self.last().index.0 + ahead);
        let begin_after = Some(Position::new(term.0, index));
        Write { begin_after, ..Self::write(term, index + 1..index + 1 + count, size) }
    }

    fn write(term: Term, indexes: std::ops::Range<u64>, size: usize) -> Write {
        let hard_state = HardState { term, vote: None };
        let entries = indexes.map(|index| entry(term, Index(index), size)).collect();
        Write { hard_state, entries, ..Write::default() }
    }

    /// All that may be there if the power fails during `write`, from nothing of it to all of it.
    pub(super) fn during(&self, write: &Write) -> Vec<Self> {
        let mut now = self.clone();
        let mut all = vec![now.clone()];
        if let Some(base) = write.begin_after {
            (now.base, now.entries) = (base, Vec::new());
            all.push(now.with_term());
        }
        if let Some(from) = write.truncate_from {
            now.entries.retain(|entry| entry.index < from);
            all.push(now.with_term());
        }
        for entry in &write.entries {
            now.entries.push(entry.clone());
            all.push(now.with_term());
        }
        now.hard_state = write.hard_state;
        all.push(now);
        all
    }

    pub(super) fn after(&self, write: &Write) -> Self {
        self.during(write).pop().unwrap_or_default()
    }

    /// A term that stands in the log was reached.
    fn with_term(&self) -> Self {
        let term = self.last().term;
        let mut with = self.clone();
        if with.hard_state.term < term {
            with.hard_state = HardState { term, vote: None };
        }
        with
    }
}

/// No two sectors of any two entries are alike.
fn entry(term: Term, index: Index, size: usize) -> Entry {
    let mut bytes = BytesMut::with_capacity(size + 8);
    let mut number = term.0 << 32 | index.0;
    while bytes.len() < size {
        number = mix(number);
        bytes.put_u64_le(number);
    }
    let payload = Payload::Command(Bytes::from(bytes));
    Entry { term, index, time: LogTime(index.0), payload }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (term, vote) = (self.hard_state.term, self.hard_state.vote);
        write!(f, "term {term}, vote {vote:?}, after {}", self.base)?;
        self.entries.iter().try_for_each(|entry| write!(f, " {}", entry.position()))
    }
}
