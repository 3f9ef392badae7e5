//! Entries in a batch that is damaged elsewhere. Each has a checksum of its own, so it is known what it
//! says, though not whether it was still in the log when the batch was written.

use std::collections::BTreeMap;

use bytes::Buf;
use crc32c::crc32c_append;
use skiff_core::{Entry, Index, LogTime, Position, Term};

use crate::{
    batch::HEADER,
    disk::Disk,
    files::Files,
    place::{LogId, Place},
    record::{self, HEAD, RawEntry},
    walk::{End, Reason},
    window::Window,
};

/// The type of an entry's record.
const ENTRY: u8 = 1;
/// What stands before the payload of an entry, and how much of that its checksum covers.
const FIXED: usize = 32;
const CHECKED: usize = 28;
/// No more is looked through where nothing says how long the batch is.
const REACH: usize = 64 << 20;

/// Where entries stand of which a damaged batch may be all that is left.
#[derive(Clone, Debug, Default)]
pub(super) struct Loose {
    found: BTreeMap<Index, (Position, Place, usize)>,
}

impl Loose {
    /// Looks for entries where no good batch stands.
    pub(super) fn gather<D: Disk>(&mut self, disk: &D, log: LogId, files: &Files, end: &End) {
        let Some(found) = files.segments.get(&end.place.segment) else { return };
        let length = match (end.reason, end.header) {
            (Reason::Damaged { .. }, Some(header)) => header.length as usize,
            (Reason::NoBatch(_), _) => REACH,
            _ => return,
        };
        let place = Place { offset: end.place.offset + HEADER as u64, ..end.place };
        let mut window = Window::new(disk.clone());
        let head = window.get(place, found.end(), HEAD).ok();
        if head.is_none_or(|head| next(head).is_none() && head.iter().all(|byte| *byte == 0)) {
            return; // Nothing was ever written here.
        }
        let Ok(payload) = window.get(place, found.end(), length) else { return };
        let seed = record::entry_seed(log, place.segment);
        let (mut rest, mut offset) = (payload, place.offset);
        while let Some((body, after)) = next(rest) {
            let size = rest.len() - after.len();
            if rest[4] == ENTRY
                && let Some(raw) = entry(body, seed)
            {
                let at = Place { offset, ..place };
                self.found.insert(raw.position.index, (raw.position, at, size));
            }
            offset += size as u64;
            rest = after;
        }
    }

    /// The next entry from `from` on, up to and with `to`, of no later term than that of `to`.
    pub(super) fn next<D: Disk>(
        &self,
        disk: &D,
        log: LogId,
        from: Index,
        to: Position,
    ) -> Option<Entry> {
        if from > to.index {
            return None;
        }
        let fits = |position: Position| {
            if position.index == to.index {
                position.term == to.term
            } else {
                position.term <= to.term
            }
        };
        let within = self.found.range(from..=to.index);
        within.filter(|(_, (position, ..))| fits(*position)).find_map(|(_, (_, place, size))| {
            let mut window = Window::for_reading(disk.clone(), *size);
            let bytes = window.get(*place, place.offset + *size as u64, *size).ok()?;
            let (body, _) = next(bytes)?;
            entry(body, record::entry_seed(log, place.segment))?.to_entry().ok()
        })
    }

    /// The last one found.
    pub(super) fn last(&self) -> Option<Position> {
        self.found.values().next_back().map(|(position, ..)| *position)
    }
}

/// The body of the next record, and what comes after it.
fn next(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, after) = bytes.split_at_checked(HEAD)?;
    let length = (&head[..4]).get_u32_le() as usize;
    // Behind the last record there are zeros.
    if head.iter().all(|byte| *byte == 0) { None } else { after.split_at_checked(length) }
}

/// The entry that a record's body holds, if its checksum is right.
fn entry(body: &[u8], seed: u32) -> Option<RawEntry<'_>> {
    let (mut fixed, payload) = body.split_at_checked(FIXED)?;
    let checksum = crc32c_append(crc32c_append(seed, &fixed[..CHECKED]), payload);
    let (index, term) = (Index(fixed.get_u64_le()), Term(fixed.get_u64_le()));
    let (time, kind) = (LogTime(fixed.get_u64_le()), fixed.get_u32_le());
    let position = Position { term, index };
    (fixed.get_u32_le() == checksum).then_some(RawEntry { position, time, kind, payload })
}
