//! With which segments the log could begin: those in front of which nothing is wanted any more.

use std::collections::BTreeMap;

use skiff_core::Index;

use crate::{batch::BatchHeader, segment::FIRST_BATCH, tail::Change};

/// For each segment that could be the first, the last entry of the log when it was begun: once the log
/// begins after that one, the segments before are of no use. Where entries are cut later that came before
/// a segment, it can never be the first: what is cut in it would stand nowhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Begins {
    began: BTreeMap<u64, Index>,
}

impl Begins {
    /// A batch comes, perhaps the first of a segment.
    pub(crate) fn batch(&mut self, header: &BatchHeader) {
        if header.place.offset == FIRST_BATCH {
            self.began.insert(header.place.segment, header.synced.index);
        }
    }

    /// A batch has made a change.
    pub(crate) fn make(&mut self, change: Change) {
        match change {
            Change::BeginAfter(_) => self.began.clear(),
            Change::TruncateFrom(from) => self.began.retain(|_, last| *last < from),
            Change::CompactTo(_) | Change::Append(..) => {}
        }
    }

    /// Damage has taken batches, and whatever they changed.
    pub(crate) fn lose(&mut self) {
        self.began.clear();
    }

    /// The newest segment with which a log can begin that begins after `base`.
    pub(crate) fn first(&self, base: Index) -> Option<u64> {
        self.began.iter().rev().find(|(_, last)| **last <= base).map(|(segment, _)| *segment)
    }
}
