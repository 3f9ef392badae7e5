//! What the log's files hold, and whether it is all that they must hold. Changes nothing.
//!
//! The one hard question is what a damaged batch means. If the power went while it was written, it
//! was never acknowledged and is dropped. If it was synced before, it was perhaps acknowledged, and
//! to drop it would lose data. A batch is only written once the one before it is synced. So damage
//! is a torn end only if no batch behind it is newer, and if IDENTITY does not say that it was
//! synced. What else of the same batch is good or bad proves nothing.
//!
//! Behind damage that is no torn end, the log is read on from the next good batch. What cannot be made
//! up for is a hole.

use std::{collections::BTreeMap, io};

use skiff_core::{
    Entry, Index, LogTime,
    mutants::{Mutant, planted},
};
use skiff_storage::{Recovered, Standing, StoreError};

use crate::{
    batch::BatchHeader,
    begins::Begins,
    disk::Disk,
    files::{Files, Found},
    identity::Kept,
    mend::Mends,
    place::{LogId, Place},
    replay::{self, Damage, Nonsense, Replay},
    segment::{self, FIRST_BATCH},
    snapshot,
    tail::{Extents, Tail},
    walk::{self, End, Reason, Step, Walk},
    window::Window,
};

/// All that is known of a log whose files hold what they must.
#[derive(Debug)]
pub(crate) struct Recovery {
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
    pub(crate) segments: BTreeMap<u64, u64>,
    /// With which of them it could begin.
    pub(crate) begins: Begins,
    /// Segments that are not of the log any more, or not yet. Whether all of such a file is on the
    /// medium nobody knows, so it is not used again.
    pub(crate) left_over: Vec<String>,
    /// The time of the last entry is not known, since entries were cut behind it.
    pub(crate) needs_time: bool,
    /// Up to here pieces of a batch that was dropped stand behind the end.
    pub(crate) pieces: Option<u64>,
    /// Numbers of segments from here on were never used.
    pub(crate) next_segment: u64,
    /// Nor were those of mended pieces.
    pub(crate) next_mend: u64,
}

impl Recovery {
    /// Fails if anything is lost.
    pub(crate) fn check_whole(&self) -> Result<(), StoreError> {
        match self.recovered.holes.first() {
            Some(hole) => Err(hole.to_error()),
            None => Ok(()),
        }
    }
}

pub(crate) fn recover<D: Disk>(
    disk: &D,
    kept: &Kept,
    files: &Files,
) -> Result<Recovery, StoreError> {
    let search = Search { disk, log: kept.log, segments: &files.segments, mends: &files.mends };
    let first = search.first_segment()?;
    let mends = Mends::load(disk, kept.log, files).map_err(|error| search.unreadable(error))?;
    let mut replay = Replay::new(&mends);
    let place = Place { segment: first, offset: FIRST_BATCH };
    let mut walk = Walk::from(disk, &files.segments, kept.log, place);
    // What is no batch is read twice: a read that is wrong once would drop what was acknowledged.
    let mut is_read_twice = false;
    let (end, last, behind) = loop {
        let end = match walk.step().map_err(|error| search.unreadable(error))? {
            Step::Batch(batch) => {
                replay.take(&batch).map_err(|flaw| search.nonsense(flaw))?;
                is_read_twice = false;
                continue;
            }
            Step::End(_) if !is_read_twice => {
                is_read_twice = true;
                walk.read_anew();
                continue;
            }
            Step::End(end) => end,
        };
        let last = replay.last.unwrap_or_default();
        let behind = walk::look_behind(disk, &files.segments, kept.log, &end, last.number);
        let mut behind = behind.map_err(|error| search.unreadable(error))?;
        if let Some(later) = behind.later
            && !planted(Mutant::LaterBatchIgnored)
        {
            replay.skip(search.damage(&end, &later), end.reason == Reason::Unlinked);
            walk.resume(later.place);
            // What is read on from there is read anew, and what cannot be is noted again.
            drop(walk.failure());
            is_read_twice = false;
            continue;
        }
        // What cannot be read may be anything, also the batch that was synced last.
        let mut unread = Vec::new();
        if let Some(failure) = walk.failure().or_else(|| behind.failure.take()) {
            if !search.is_bare(&end) {
                return Err(search.unreadable(failure));
            }
            unread.push(format!("something behind the end of the log cannot be read: {failure}"));
        }
        if replay.last.is_none() {
            let proof = "no batch is left at the start of the log";
            return Err(search.corrupt(&end, Index::ZERO, proof));
        }
        // A torn batch that is newer than what is known to be synced tells all that was before it.
        let is_told = end.header.is_some_and(|torn| torn.number > kept.synced);
        let synced = if is_told { last.number } else { kept.synced };
        search.judge(&end, &last, synced, replay.recovered.last.index)?;
        replay.recovered.remarks.extend(unread);
        break (end, last, behind);
    };
    if let Some(torn) = end.header.filter(|torn| torn.number > last.number)
        && replay.end_before(&torn).is_none()
    {
        return Err(search.corrupt(&end, torn.synced.index, "the log ended before it began"));
    }
    if let Some(Damage { path, offset, reason }) = replay.open_end() {
        let index = Some(replay.recovered.last.index.next());
        return Err(StoreError::Corrupt { path, offset, index, reason });
    }
    if replay.begins_in_the_middle() {
        return Err(search.corrupt(&end, Index::ZERO, "the log begins in its middle"));
    }
    let pieces = behind.bytes_to.filter(|_| !search.is_recycled(end.place.segment));
    let remarks = search.remarks(&end, pieces);
    let mut recovery = search.gather(replay, last, end.place, behind.highest, remarks);
    recovery.pieces = pieces;
    Ok(recovery)
}

/// The segment with which the log begins.
pub(crate) fn first_segment<D: Disk>(
    disk: &D,
    log: LogId,
    files: &Files,
) -> Result<u64, StoreError> {
    Search { disk, log, segments: &files.segments, mends: &files.mends }.first_segment()
}

/// A member's log begins after a snapshot, so that must be there.
pub(crate) fn check_snapshot<D: Disk>(
    disk: &D,
    kept: &Kept,
    recovery: &Recovery,
    files: &Files,
) -> Result<(), StoreError> {
    let base = recovery.tail.base.index;
    let is_member = kept.identity.standing == Standing::Member;
    if is_member && base > Index::ZERO && !snapshot::covers(files, base) {
        let reason = format!("the log begins after {base}, and no snapshot reaches that far");
        return Err(StoreError::Lost { path: disk.path(""), reason });
    }
    Ok(())
}

struct Search<'a, D: Disk> {
    disk: &'a D,
    log: LogId,
    segments: &'a BTreeMap<u64, Found>,
    mends: &'a BTreeMap<u64, Found>,
}

impl<D: Disk> Search<'_, D> {
    /// The segment with which the log begins, as its newest whole batch says.
    fn first_segment(&self) -> Result<u64, StoreError> {
        for (number, found) in self.segments.iter().rev() {
            let newest = self.newest_batch(*number, found);
            let Some(header) = newest.map_err(|error| self.unreadable(error))? else { continue };
            return Ok(header.first_segment);
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
    fn newest_batch(&self, number: u64, found: &Found) -> io::Result<Option<BatchHeader>> {
        let mut headers = Vec::new();
        let start = Place { segment: number, offset: FIRST_BATCH };
        walk::headers(self.disk, found, self.log, start, |place, header, _| {
            headers.extend(header.map(|header| (header.number, place)));
        })?;
        headers.sort_unstable();
        for (_, place) in headers.into_iter().rev() {
            let mut walk = Walk::from(self.disk, self.segments, self.log, place);
            walk.resume(place);
            if let Step::Batch(batch) = walk.step()? {
                return Ok(Some(batch.header));
            }
        }
        Ok(None)
    }

    /// Nothing newer stands behind the end. Fails unless the log just ends here, perhaps torn.
    fn judge(
        &self,
        end: &End,
        last: &BatchHeader,
        synced: u64,
        index: Index,
    ) -> Result<(), StoreError> {
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
        if planted(Mutant::TornIsDamaged) && end.header.is_some() {
            return Err(self.corrupt(end, index, "it was begun"));
        }
        self.check_length(end.place.segment)?;
        if last.number < synced && !planted(Mutant::WatermarkIgnored) {
            let proof = format!("but IDENTITY says that batch {synced} was synced");
            return Err(self.corrupt(end, index, &proof));
        }
        Ok(())
    }

    /// What is wrong at an end behind which the log goes on.
    fn damage(&self, end: &End, later: &BatchHeader) -> Damage {
        Damage {
            path: self.disk.path(&self.name(end.place.segment)),
            offset: end.offset(),
            reason: format!(
                "{}, but batch {} at byte {} of {} was written after it was synced",
                end.reason.text(),
                later.number,
                later.place.offset,
                self.name(later.place.segment)
            ),
        }
    }

    /// Whether no batch was ever written at the end, as far as that can be read. As batches follow each
    /// other without a gap, what stands behind it, be it unreadable, is no part of the log.
    fn is_bare(&self, end: &End) -> bool {
        let Some(found) = self.segments.get(&end.place.segment) else { return false };
        let mut window = Window::for_reading(self.disk.clone(), 0);
        let sector = window.get(end.place, found.size, 512);
        let is_old = self.is_recycled(end.place.segment);
        let is_bare = |bytes: &[u8]| is_old || bytes.iter().all(|byte| *byte == 0);
        end.header.is_none() && sector.is_ok_and(is_bare)
    }

    /// A segment gets its length before it is used, and that is synced: no power cut makes it shorter.
    fn check_length(&self, segment: u64) -> Result<(), StoreError> {
        let found = self.segments.get(&segment);
        let made = found.and_then(|found| found.header.ok()).map_or(0, |header| header.size);
        let size = found.map_or(0, |found| found.size);
        if size >= made {
            return Ok(());
        }
        let name = self.name(segment);
        Err(self.lost(format!("{name} has {size} of the {made} bytes that it was made with")))
    }

    /// Whether old bytes stand where nothing was written yet.
    fn is_recycled(&self, segment: u64) -> bool {
        let header = self.segments.get(&segment).and_then(|found| found.header.ok());
        header.is_some_and(|header| header.recycled)
    }

    fn remarks(&self, end: &End, pieces: Option<u64>) -> Vec<String> {
        let name = self.name(end.place.segment);
        let mut remarks = Vec::new();
        if let Some(torn) = end.header {
            remarks.push(format!(
                "the last write, batch {} at byte {} of {name}, was torn ({}) and is dropped: it \
                 was never acknowledged",
                torn.number,
                end.place.offset,
                end.reason.text(),
            ));
        } else if pieces.is_some() {
            remarks.push(format!(
                "pieces of a last write at byte {} of {name} are dropped: it was never acknowledged",
                end.place.offset
            ));
        }
        remarks
    }

    fn gather(
        &self,
        replay: Replay<'_>,
        last: BatchHeader,
        end: Place,
        highest: u64,
        remarks: Vec<String>,
    ) -> Recovery {
        let mut recovered = replay.recovered;
        recovered.remarks.extend(replay.damages.iter().map(|damage| {
            format!(
                "{} is damaged at byte {}: {}",
                damage.path.display(),
                damage.offset,
                damage.reason
            )
        }));
        recovered.remarks.extend(remarks);
        recovered.hard_state = replay::not_before(recovered.hard_state, &recovered);
        let (mut segments, mut left_over) = (BTreeMap::new(), Vec::new());
        let is_damaged = !replay.damages.is_empty();
        for (number, found) in self.segments {
            let header = found.header.ok();
            let is_used = replay.visited.contains(number) || *number == end.segment;
            if is_used && *number >= last.first_segment {
                let size = header.map_or(found.size, |header| header.size);
                segments.insert(*number, size);
            } else if is_damaged && (last.first_segment..end.segment).contains(number) {
                // It may be a part of the log of which nothing is left.
            } else if header.is_none_or(|header| header.log == self.log) {
                left_over.push(found.name.clone());
            } else {
                recovered.remarks.push(format!("{} is of another log and is ignored", found.name));
            }
        }
        for (number, found) in self.mends {
            if replay.used.contains(number) {
                segments.insert(*number, found.size);
            } else if !is_damaged {
                // While anything is damaged, one that looks useless may just have been read wrongly.
                left_over.push(found.name.clone());
            }
        }
        let newest = self.segments.keys().next_back();
        let newest_mend = self.mends.keys().next_back();
        let is_known = recovered.last == recovered.base || !recovered.holes.is_empty();
        Recovery {
            needs_time: replay.needs_time && !is_known,
            tail: Tail::of(&recovered),
            recovered,
            extents: replay.extents,
            begins: replay.begins,
            last,
            end,
            highest: highest.max(last.number),
            segments,
            left_over,
            pieces: None,
            next_segment: newest.map_or(1, |number| number.saturating_add(1)),
            next_mend: newest_mend.map_or(segment::MEND, |number| number.saturating_add(1)),
        }
    }

    fn name(&self, segment: u64) -> String {
        segment::name(segment)
    }

    fn lost(&self, reason: String) -> StoreError {
        StoreError::Lost { path: self.disk.path(""), reason }
    }

    fn unreadable(&self, error: io::Error) -> StoreError {
        StoreError::io("read", self.disk.path(""), error)
    }

    /// `index` is that of the last good entry.
    fn corrupt(&self, end: &End, index: Index, proof: &str) -> StoreError {
        StoreError::Corrupt {
            path: self.disk.path(&self.name(end.place.segment)),
            offset: end.offset(),
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

/// Sets the time of the last entry, once it could be read.
pub(crate) fn set_time(recovered: &mut Recovered, last: &[Entry]) {
    recovered.last_time = last.last().map_or(LogTime::ZERO, |entry| entry.time);
}
