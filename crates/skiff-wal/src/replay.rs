//! Follows the batches of a log from its beginning, so that it is known what they come to.

use std::collections::BTreeSet;

use bytes::Bytes;
use skiff_core::{
    Entry, HardState, Index, Malformed, Payload,
    mutants::{Mutant, planted},
};
use skiff_storage::Recovered;

use crate::{
    batch::{BatchHeader, HEADER},
    place::Place,
    record::{RawEntry, Record},
    tail::{Change, Extents, Tail},
    walk::Batch,
};

/// A batch whose checksums are right and which still cannot be.
pub(crate) struct Nonsense {
    pub(crate) place: Place,
    pub(crate) index: Index,
    pub(crate) reason: &'static str,
}

#[derive(Default)]
pub(crate) struct Replay {
    pub(crate) recovered: Recovered,
    pub(crate) tail: Tail,
    pub(crate) extents: Extents,
    /// The last batch.
    pub(crate) last: Option<BatchHeader>,
    /// The segments that hold batches.
    pub(crate) visited: BTreeSet<u64>,
    /// The time of the last entry is not known, since entries were cut behind it.
    pub(crate) needs_time: bool,
}

impl Replay {
    pub(crate) fn take(&mut self, batch: &Batch<'_>) -> Result<(), Nonsense> {
        let header = batch.header;
        let nonsense = |at: u32, index: Index, reason| {
            let offset = header.place.offset + HEADER as u64 + u64::from(at);
            Err(Nonsense { place: Place { offset, ..header.place }, index, reason })
        };
        let begins = matches!(batch.records.first(), Some((_, Record::BeginAfter(_))));
        if self.last.is_none() && header.previous != 0 && !begins {
            return nonsense(0, Index::ZERO, "the log begins in its middle");
        }
        for (at, record) in &batch.records {
            let forgets = |change: &Change| {
                matches!(change, Change::TruncateFrom(_)) && planted(Mutant::CutForgotten)
            };
            let Some(change) = Change::of(*at, record).filter(|c| !forgets(c)) else { continue };
            let index = self.tail.last.index.next();
            if !self.tail.make(change) {
                return nonsense(*at, index, "a record does not follow the one before");
            }
            self.extents.make(header.place, change);
            if self.follow(record).is_err() {
                return nonsense(*at, index, "an entry's payload is not of its kind");
            }
        }
        if !batch.records.is_empty() || !planted(Mutant::BareVoteForgotten) {
            self.recovered.hard_state = header.hard_state;
        }
        self.visited.insert(header.place.segment);
        self.last = Some(header);
        Ok(())
    }

    fn follow(&mut self, record: &Record<'_>) -> Result<(), Malformed> {
        match record {
            Record::Entry(raw) => {
                self.recovered.append(&without_command(raw)?);
                self.needs_time = false;
            }
            Record::TruncateFrom(from) => {
                self.needs_time |= *from <= self.recovered.last.index;
                self.recovered.truncate_from(*from);
            }
            Record::BeginAfter(base) => {
                self.needs_time = false;
                self.recovered.begin_after(*base);
            }
            Record::NextSegment(_) | Record::Opened { .. } | Record::Closed => {}
        }
        Ok(())
    }
}

/// The entry as far as it matters to [`Recovered`]: a command's bytes are not copied.
fn without_command(raw: &RawEntry<'_>) -> Result<Entry, Malformed> {
    let is_command = raw.kind == Payload::Command(Bytes::new()).kind();
    let raw = if is_command { RawEntry { payload: &[], ..*raw } } else { *raw };
    raw.to_entry()
}

/// A term below that of the last entry is that of a write that was torn between its batches: in the
/// entry's term this node has not voted, or the batch with the vote would be there.
pub(crate) fn not_before(hard_state: HardState, recovered: &Recovered) -> HardState {
    if hard_state.term < recovered.last.term {
        HardState { term: recovered.last.term, vote: None }
    } else {
        hard_state
    }
}
