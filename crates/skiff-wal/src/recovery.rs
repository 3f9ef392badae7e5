//! What the log's files hold, and whether it is all that they must hold. Changes nothing.
//!
//! The one hard question is what a damaged batch means. If the power went while it was written, it
//! was never acknowledged and is dropped. If it was synced before, it was perhaps acknowledged, and
//! to drop it would lose data. A batch is only written once the one before it is synced. So damage
//! is a torn end only if no batch behind it is newer, and if IDENTITY does not say that it was
//! synced. What else of the same batch is good or bad proves nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use bytes::Bytes;
use skiff_core::{Entry, HardState, Index, LogTime, Payload};
use skiff_storage::{Recovered, StoreError};

use crate::{
    batch::{BatchHeader, HEADER},
    disk::{Disk, DiskFile},
    files::{Files, Found},
    identity::Kept,
    place::Place,
    record::{RawEntry, Record},
    segment::FIRST_BATCH,
    tail::{Change, Extents, Tail},
    walk::{self, Batch, Behind, End, Reason, Step, Walk},
};

/// All that is known of a log whose files hold what they must.
#[derive(Debug)]
pub(crate) struct Recovery<F> {
    pub(crate) recovered: Recovered,
    pub(crate) tail: Tail,
    pub(crate) extents: Extents,
    /// The last good batch.
    pub(crate) last: BatchHeader,
    /// Where the next one goes.
    pub(crate) end: Place,
    /// The highest number of any batch that was seen.
    pub(crate) highest: u64,
    /// The segments of the log, with the bytes that batches can take in each.
    pub(crate) segments: BTreeMap<u64, (Arc<F>, u64)>,
    /// Segments that are not of the log any more, or not yet.
    pub(crate) spare: Vec<String>,
    /// The time of the last entry is not known, since entries were cut behind it.
    pub(crate) needs_time: bool,
    /// Numbers of segments from here on were never used.
    pub(crate) next_segment: u64,
}

pub(crate) fn recover<D: Disk>(
    disk: &D,
    kept: &Kept,
    files: &Files<D::File>,
) -> Result<Recovery<D::File>, StoreError> {
    let search = Search { disk, kept, segments: &files.segments };
    let first = search.first_segment()?;
    let mut replay = Replay::default();
    let place = Place { segment: first, offset: FIRST_BATCH };
    let mut walk = Walk::from(&files.segments, kept.log, place);
    let end = loop {
        match walk.step().map_err(|error| search.unreadable(error))? {
            Step::Batch(batch) => replay.take(&batch).map_err(|flaw| search.nonsense(flaw))?,
            Step::End(end) => break end,
        }
    };
    let Some(last) = replay.last else {
        return Err(search.corrupt(&end, Index::ZERO, "no batch is left at the start of the log"));
    };
    let behind = search.judge(&end, &last, replay.tail.last.index)?;
    let remarks = search.remarks(&end, &behind);
    Ok(replay.finish(last, end.place, behind.highest, &search, remarks))
}

struct Search<'a, D: Disk> {
    disk: &'a D,
    kept: &'a Kept,
    segments: &'a BTreeMap<u64, Found<D::File>>,
}

impl<D: Disk> Search<'_, D> {
    /// The segment with which the log begins, as its newest whole batch says.
    fn first_segment(&self) -> Result<u64, StoreError> {
        for (number, found) in self.segments.iter().rev() {
            let newest = self.newest_batch(*number, found);
            let Some(header) = newest.map_err(|error| self.unreadable(error))? else { continue };
            let first = header.first_segment;
            return if self.segments.contains_key(&first) {
                Ok(first)
            } else {
                Err(self.lost(format!("{} is missing", self.name(first))))
            };
        }
        match self.segments.keys().next() {
            None => Err(self.lost("the log is missing beside IDENTITY".to_owned())),
            Some(number) => {
                let place = Place { segment: *number, offset: FIRST_BATCH };
                let end = End { place, reason: Reason::NoBatch("no batch is left"), header: None };
                Err(self.corrupt(&end, Index::ZERO, "nor in any other segment"))
            }
        }
    }

    /// The newest batch of a segment that is whole: a torn one may be of a log that was to begin
    /// anew and did not.
    fn newest_batch(&self, number: u64, found: &Found<D::File>) -> io::Result<Option<BatchHeader>> {
        let mut headers = Vec::new();
        let start = Place { segment: number, offset: FIRST_BATCH };
        walk::headers(found, self.kept.log, start, |place, header, _| {
            headers.extend(header.map(|header| (header.number, place)));
        })?;
        headers.sort_unstable();
        for (_, place) in headers.into_iter().rev() {
            if let Step::Batch(batch) = Walk::from(self.segments, self.kept.log, place).step()? {
                return Ok(Some(batch.header));
            }
        }
        Ok(None)
    }

    /// Decides whether the log just ends here, perhaps torn, or goes on behind damage.
    fn judge(&self, end: &End, last: &BatchHeader, index: Index) -> Result<Behind, StoreError> {
        match end.reason {
            Reason::NoSegment => {
                let (missing, from) = (self.name(end.place.segment), self.name(last.place.segment));
                return Err(self.lost(format!("{missing} is missing, in which {from} goes on")));
            }
            Reason::Header(_) => {
                return Err(self.corrupt(
                    end,
                    index,
                    "the segment before says that the log goes on",
                ));
            }
            Reason::Unlinked => return Err(self.corrupt(end, index, "it was synced before")),
            Reason::NoBatch(_) | Reason::Damaged { .. } => {}
        }
        let behind = walk::look_behind(self.segments, self.kept.log, end.place, last.number)
            .map_err(|error| self.unreadable(error))?;
        if let Some(later) = behind.later {
            let place = later.place;
            let proof = format!(
                "but batch {} at byte {} of {} was written after it was synced",
                later.number,
                place.offset,
                self.name(place.segment)
            );
            return Err(self.corrupt(end, index, &proof));
        }
        if last.number < self.kept.synced {
            let proof = format!("but IDENTITY says that batch {} was synced", self.kept.synced);
            return Err(self.corrupt(end, index, &proof));
        }
        Ok(behind)
    }

    fn remarks(&self, end: &End, behind: &Behind) -> Vec<String> {
        let name = self.name(end.place.segment);
        let found = self.segments.get(&end.place.segment);
        let header = found.and_then(|found| found.header.ok());
        let mut remarks = Vec::new();
        // Old bytes of a segment that is used again mean nothing.
        let has_pieces = behind.has_bytes && header.is_some_and(|header| !header.recycled);
        if let Some(torn) = end.header {
            remarks.push(format!(
                "the last write, batch {} at byte {} of {name}, was torn ({}) and is dropped: it \
                 was never acknowledged",
                torn.number,
                end.place.offset,
                end.reason.text(),
            ));
        } else if has_pieces {
            remarks.push(format!(
                "pieces of a last write at byte {} of {name} are dropped: it was never acknowledged",
                end.place.offset
            ));
        }
        if found.is_some_and(|found| header.is_some_and(|header| found.size < header.size)) {
            remarks.push(format!("{name} was cut short and is made as long as it was"));
        }
        remarks
    }

    fn name(&self, segment: u64) -> String {
        crate::segment::name(segment)
    }

    fn lost(&self, reason: String) -> StoreError {
        StoreError::Lost { path: self.disk.path(""), reason }
    }

    fn unreadable(&self, error: io::Error) -> StoreError {
        StoreError::io("read", self.disk.path(""), error)
    }

    /// `index` is that of the last good entry.
    fn corrupt(&self, end: &End, index: Index, proof: &str) -> StoreError {
        let offset = match end.reason {
            Reason::Damaged { offset, .. } => offset,
            Reason::Header(_) | Reason::NoSegment => 0,
            Reason::NoBatch(_) | Reason::Unlinked => end.place.offset,
        };
        StoreError::Corrupt {
            path: self.disk.path(&self.name(end.place.segment)),
            offset,
            index: Some(index.next()),
            reason: format!("{}, {proof}", end.reason.text()),
        }
    }

    fn nonsense(&self, flaw: Nonsense) -> StoreError {
        StoreError::Corrupt {
            path: self.disk.path(&self.name(flaw.place.segment)),
            offset: flaw.place.offset,
            index: Some(flaw.index),
            reason: flaw.reason.to_owned(),
        }
    }
}

/// A batch whose checksums are right and which still cannot be.
struct Nonsense {
    place: Place,
    index: Index,
    reason: &'static str,
}

#[derive(Default)]
struct Replay {
    recovered: Recovered,
    tail: Tail,
    extents: Extents,
    last: Option<BatchHeader>,
    visited: BTreeSet<u64>,
    needs_time: bool,
}

impl Replay {
    fn take(&mut self, batch: &Batch<'_>) -> Result<(), Nonsense> {
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
            let Some(change) = Change::of(*at, record) else { continue };
            let index = self.tail.last.index.next();
            if !self.tail.make(change) {
                return nonsense(*at, index, "a record does not follow the one before");
            }
            self.extents.make(header.place, change);
            if self.follow(record).is_err() {
                return nonsense(*at, index, "an entry's payload is not of its kind");
            }
        }
        self.recovered.hard_state = header.hard_state;
        self.visited.insert(header.place.segment);
        self.last = Some(header);
        Ok(())
    }

    fn follow(&mut self, record: &Record<'_>) -> Result<(), skiff_core::Malformed> {
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

    fn finish<D: Disk>(
        mut self,
        last: BatchHeader,
        end: Place,
        highest: u64,
        search: &Search<'_, D>,
        remarks: Vec<String>,
    ) -> Recovery<D::File> {
        self.visited.insert(end.segment);
        self.recovered.remarks = remarks;
        self.recovered.hard_state = not_before(self.recovered.hard_state, &self.recovered);
        let mut segments = BTreeMap::new();
        let mut spare = Vec::new();
        for (number, found) in search.segments {
            let header = found.header.ok();
            if self.visited.contains(number) && *number >= last.first_segment {
                let size = header.map_or(found.size, |header| header.size);
                segments.insert(*number, (Arc::clone(&found.file), size));
            } else if header.is_none_or(|header| header.log == search.kept.log) {
                spare.push(found.name.clone());
            } else {
                let remark = format!("{} is of another log and is ignored", found.name);
                self.recovered.remarks.push(remark);
            }
        }
        let next_segment = search.segments.keys().next_back().map_or(1, |number| number + 1);
        Recovery {
            needs_time: self.needs_time && self.tail.last != self.tail.base,
            recovered: self.recovered,
            tail: self.tail,
            extents: self.extents,
            last,
            end,
            highest: highest.max(last.number),
            segments,
            spare,
            next_segment,
        }
    }
}

/// The entry as far as it matters to [`Recovered`]: a command's bytes are not copied.
fn without_command(raw: &RawEntry<'_>) -> Result<Entry, skiff_core::Malformed> {
    let is_command = raw.kind == Payload::Command(Bytes::new()).kind();
    let raw = if is_command { RawEntry { payload: &[], ..*raw } } else { *raw };
    raw.to_entry()
}

/// A term below that of the last entry is that of a write that was torn between its batches: in the
/// entry's term this node has not voted, or the batch with the vote would be there.
fn not_before(hard_state: HardState, recovered: &Recovered) -> HardState {
    if hard_state.term < recovered.last.term {
        HardState { term: recovered.last.term, vote: None }
    } else {
        hard_state
    }
}

/// Sets the time of the last entry, once it could be read.
pub(crate) fn set_time(recovered: &mut Recovered, last: &[Entry]) {
    recovered.last_time = last.last().map_or(LogTime::ZERO, |entry| entry.time);
}

impl<F: DiskFile> Recovery<F> {
    /// The file into which the next batch goes, and how many bytes batches can take in it.
    pub(crate) fn current(&self) -> Option<&(Arc<F>, u64)> {
        self.segments.get(&self.end.segment)
    }
}
