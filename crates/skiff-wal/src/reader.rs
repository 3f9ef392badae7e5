//! Reads entries back, at the same time as the log is written.

use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use skiff_core::{Entry, Index};
use skiff_storage::{LogReader, Room, Span, StoreError};

use crate::{
    batch::{BatchHeader, HEADER},
    disk::{Disk, DiskFile},
    place::{LogId, Place},
    record::Record,
    segment,
    tail::{Extent, Extents, HOLE},
    window::Window,
};

/// What can be read: only what is durable.
pub(crate) struct Visible {
    pub(crate) span: Span,
    pub(crate) extents: Extents,
    /// The segments, with the bytes that batches can take in each.
    pub(crate) segments: BTreeMap<u64, u64>,
    /// Raised when entries are cut off or segments given up: a reader that was at it begins again.
    pub(crate) cuts: u64,
    /// So many bytes are left in the segment that is written.
    pub(crate) left: u64,
    /// How long the next segment is made.
    pub(crate) step: u64,
}

pub(crate) struct Shared(RwLock<Visible>);

impl Shared {
    pub(crate) const fn new(visible: Visible) -> Self {
        Self(RwLock::new(visible))
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Visible> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, Visible> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle to the log's entries. It outlives the log, and from then on sees what it last saw.
pub struct Reader<D: Disk> {
    disk: D,
    log: LogId,
    shared: Arc<Shared>,
}

impl<D: Disk> Clone for Reader<D> {
    fn clone(&self) -> Self {
        Self { disk: self.disk.clone(), log: self.log, shared: Arc::clone(&self.shared) }
    }
}

impl<D: Disk> fmt::Debug for Reader<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("span", &self.shared.read().span).finish_non_exhaustive()
    }
}

/// How many extents are looked at in one go; the rest of a longer read is for the next.
const EXTENTS: usize = 256;

impl<D: Disk> LogReader for Reader<D> {
    fn read(&self, from: Index, to: Index, bytes_max: usize) -> Result<Vec<Entry>, StoreError> {
        let to = to.max(from.next());
        loop {
            let cuts = self.shared.read().cuts;
            match self.try_read(from, to, bytes_max, cuts) {
                Ok(Some(entries)) => return Ok(entries),
                // What went wrong may be that a segment was written anew meanwhile.
                Err(error) if self.shared.read().cuts == cuts => return Err(error),
                Ok(None) | Err(_) => {}
            }
        }
    }

    /// What is free on the disk, the rest of the segment that is written, and the files that were made
    /// ahead or are kept to be used again.
    fn room(&self) -> Option<Room> {
        let space = self.disk.space().ok()??;
        let names = self.disk.list().unwrap_or_default();
        let (left, step, used, ahead) = {
            let visible = self.shared.read();
            let is_ahead = |number| !visible.segments.contains_key(&number);
            let ahead = names.iter().filter(|name| segment::number(name).is_some_and(is_ahead));
            let used: u64 = visible.segments.values().sum();
            (visible.left, visible.step, used, ahead.collect::<Vec<_>>())
        };
        // One that is gone by now is free.
        let sizes = ahead.into_iter().filter_map(|name| self.disk.open(name).ok()?.size().ok());
        let ahead = sizes.sum::<u64>();
        let (free, log) = (space.free + left + ahead, used + ahead);
        Some(Room { path: self.disk.path(""), free, total: space.total, step, log })
    }
}

impl<D: Disk> Reader<D> {
    pub(crate) const fn new(disk: D, log: LogId, shared: Arc<Shared>) -> Self {
        Self { disk, log, shared }
    }

    /// `None` if entries were cut off between two looks.
    fn try_read(
        &self,
        from: Index,
        to: Index,
        bytes_max: usize,
        cuts: u64,
    ) -> Result<Option<Vec<Entry>>, StoreError> {
        let mut wanted = Wanted { next: from, to, bytes_left: bytes_max, entries: Vec::new() };
        let mut window = Window::for_reading(self.disk.clone(), bytes_max);
        loop {
            window.clear();
            let (extents, end, sizes) = {
                let visible = self.shared.read();
                visible.span.check(from)?;
                if visible.cuts != cuts {
                    return Ok(None);
                }
                let end = to.min(visible.span.last.next());
                let (extents, end) = visible.extents.of(wanted.next, end, EXTENTS);
                let size = |extent: &Extent| visible.segments.get(&extent.segment).copied();
                let sizes: Vec<Option<u64>> = extents.iter().map(size).collect();
                (extents, end, sizes)
            };
            for (at, (extent, size)) in extents.iter().zip(sizes).enumerate() {
                let extent_end = extents.get(at + 1).map_or(end, |next| next.first);
                let Some(size) = size else {
                    return Err(self.gone(extent, wanted.next));
                };
                let read = self.read_extent(&mut window, size, extent, extent_end, &mut wanted)?;
                if read == Progress::Full {
                    return Ok(Some(wanted.entries));
                }
            }
            if wanted.next >= to || extents.len() < EXTENTS {
                return Ok(Some(wanted.entries));
            }
        }
    }

    /// Reads the entries of an extent up to `end`.
    fn read_extent(
        &self,
        window: &mut Window<D>,
        size: u64,
        extent: &Extent,
        end: Index,
        wanted: &mut Wanted,
    ) -> Result<Progress, StoreError> {
        let (mut place, mut skip, mut next) = (extent.place(), extent.skip, extent.first);
        while next < end {
            let failed = |error| {
                StoreError::io("read", self.disk.path(&segment::name(place.segment)), error)
            };
            let batch = batch_at(window, size, self.log, place).map_err(failed)?;
            let (header, payload) = batch.map_err(|reason| self.damaged(place, next, reason))?;
            let records = header.records(payload).map_err(|flaw| {
                let offset = place.offset + HEADER as u64 + u64::from(flaw.at);
                self.damaged(Place { offset, ..place }, next, flaw.reason)
            })?;
            for (_, record) in records.iter().filter(|(at, _)| *at >= skip) {
                let Record::Entry(raw) = record else { continue };
                if next == end {
                    break;
                }
                if raw.position.index != next {
                    return Err(self.damaged(place, next, "another entry stands here"));
                }
                next = next.next();
                if raw.position.index < wanted.next {
                    continue;
                }
                let entry = raw
                    .to_entry()
                    .map_err(|_| self.damaged(place, raw.position.index, "a malformed entry"))?;
                if wanted.take(entry) == Progress::Full {
                    return Ok(Progress::Full);
                }
            }
            (place, skip) = (header.end(), 0);
        }
        Ok(Progress::GoesOn)
    }

    fn gone(&self, extent: &Extent, index: Index) -> StoreError {
        if extent.segment != HOLE {
            return self.damaged(extent.place(), index, "its segment is gone");
        }
        let reason = "damage has taken this entry".to_owned();
        StoreError::Corrupt { path: self.disk.path(""), offset: 0, index: Some(index), reason }
    }

    fn damaged(&self, place: Place, index: Index, reason: &str) -> StoreError {
        StoreError::Corrupt {
            path: self.disk.path(&segment::name(place.segment)),
            offset: place.offset,
            index: Some(index),
            reason: reason.to_owned(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    GoesOn,
    Full,
}

/// What a read has gathered and still wants.
struct Wanted {
    next: Index,
    to: Index,
    bytes_left: usize,
    entries: Vec<Entry>,
}

impl Wanted {
    fn take(&mut self, entry: Entry) -> Progress {
        let size = entry.size();
        if size > self.bytes_left && !self.entries.is_empty() {
            return Progress::Full;
        }
        self.bytes_left = self.bytes_left.saturating_sub(size);
        self.next = entry.index.next();
        self.entries.push(entry);
        if self.next >= self.to { Progress::Full } else { Progress::GoesOn }
    }
}

fn batch_at<D: Disk>(
    window: &mut Window<D>,
    size: u64,
    log: LogId,
    place: Place,
) -> io::Result<Result<(BatchHeader, &[u8]), &'static str>> {
    let bytes = window.get(place, size, HEADER)?;
    let header = match BatchHeader::decode(bytes, log, place) {
        Ok(header) => header,
        Err(reason) => return Ok(Err(reason)),
    };
    let length = HEADER + header.length as usize;
    let bytes = window.get(place, size, length)?;
    if bytes.len() < length {
        return Ok(Err("a batch is cut short"));
    }
    Ok(Ok((header, &bytes[HEADER..])))
}
