//! The batch that is being put together out of all writes that wait.

use std::mem;

use skiff_core::{HardState, Index};

use crate::{batch::Draft, record::Record, tail::Change};

/// The batch that is being put together.
pub(crate) struct Group {
    pub(crate) draft: Draft,
    pub(crate) changes: Vec<Change>,
    pub(crate) hard_state: HardState,
    /// The log begins anew with this batch, so it goes to the start of a segment.
    pub(crate) begins_anew: bool,
    /// So many writes are complete with this batch.
    pub(crate) complete: usize,
    /// So many writes are durable.
    pub(crate) durable: usize,
    /// Part of the next write is durable already.
    pub(crate) is_split: bool,
}

impl Group {
    pub(crate) fn new() -> Self {
        Self {
            draft: Draft::new(),
            changes: Vec::new(),
            hard_state: HardState::default(),
            begins_anew: false,
            complete: 0,
            durable: 0,
            is_split: false,
        }
    }

    pub(crate) fn start(&mut self, hard_state: HardState) {
        self.draft.clear();
        self.changes.clear();
        self.hard_state = hard_state;
        self.begins_anew = false;
        (self.complete, self.durable, self.is_split) = (0, 0, false);
    }

    pub(crate) fn push(&mut self, record: &Record<'_>) {
        let at = self.draft.push(record);
        self.changes.extend(Change::of(at, record));
    }

    /// Up to where the log is given up by this batch, if it is.
    pub(crate) fn compacted(&self) -> Option<Index> {
        self.changes.iter().rev().find_map(|change| match change {
            Change::CompactTo(base) => Some(base.index),
            _ => None,
        })
    }

    pub(crate) fn flushed(&mut self) {
        self.draft.clear();
        self.begins_anew = false;
        self.durable += mem::take(&mut self.complete);
        self.is_split = false;
    }
}
