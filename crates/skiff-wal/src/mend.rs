//! Entries that damage took from the log and other members gave back, each piece in a file of its
//! own beside the segments.
//!
//! A piece is a fact about the cluster, not about this log's files: the entries that come before an
//! entry of one index and term are the same in every log (log matching, dissertation 3.5). So it is
//! found by the position it ends with, and one that is not needed any more does no harm.

use std::{collections::BTreeMap, io};

use skiff_core::{Entry, Index, Malformed, Position, Term};
use skiff_storage::StoreError;

use crate::{
    batch::{BatchHeader, Draft},
    disk::{Disk, DiskFile, is_full},
    files::Files,
    identity::UNFINISHED,
    place::{LogId, Place, whole_sectors},
    record::{RawEntry, Record},
    replay::without_command,
    segment::{self, FIRST_BATCH, SegmentHeader},
    walk::{Step, Walk},
};

/// A piece that was found.
#[derive(Debug)]
pub(crate) struct Mend {
    /// Where its batch stands.
    pub(crate) place: Place,
    /// The entry before its first.
    pub(crate) prev: Position,
    /// Its entries, without the bytes of commands, each with the byte of the payload at which it
    /// begins.
    pub(crate) entries: Vec<(u32, Entry)>,
}

/// All pieces, by the position each ends with.
#[derive(Debug, Default)]
pub(crate) struct Mends {
    pieces: BTreeMap<(Index, Term), Mend>,
}

impl Mends {
    pub(crate) fn load<D: Disk>(disk: &D, log: LogId, files: &Files) -> io::Result<Self> {
        let mut mends = Self::default();
        for number in files.mends.keys() {
            let place = Place { segment: *number, offset: FIRST_BATCH };
            let mut walk = Walk::from(disk, &files.mends, log, place);
            // The header of the file is not needed: the batch says for itself where it belongs.
            walk.resume(place);
            // A read that is wrong once would cost what is perhaps the last copy.
            let mut read = read_piece(&mut walk)?;
            if read.is_none() {
                walk.read_anew();
                read = read_piece(&mut walk)?;
            }
            let last = read.as_ref().and_then(|mend| mend.entries.last());
            // What is damaged is asked for once more.
            if let (Some(Position { index, term }), Some(mend)) =
                (last.map(|(_, entry)| entry.position()), read)
            {
                mends.pieces.insert((index, term), mend);
            }
        }
        Ok(mends)
    }

    /// The piece that ends with the entry at this position.
    pub(crate) fn ending_with(&self, last: Position) -> Option<&Mend> {
        self.pieces.get(&(last.index, last.term))
    }
}

/// The piece that a walk comes to, if it is one and is well.
fn read_piece<D: Disk>(walk: &mut Walk<'_, D>) -> io::Result<Option<Mend>> {
    let Step::Batch(batch) = walk.step()? else { return Ok(None) };
    let entries = batch.records.iter().map(|(at, record)| match record {
        Record::Entry(raw) => without_command(raw).map(|entry| (*at, entry)),
        _ => Err(Malformed { what: "piece" }),
    });
    let entries: Result<Vec<_>, _> = entries.collect();
    let (place, prev) = (batch.header.place, batch.header.base);
    Ok(entries.ok().map(|entries| Mend { place, prev, entries }))
}

/// Keeps a piece, durably: `entries` follow `prev` and each other.
pub(crate) fn write<D: Disk>(
    disk: &D,
    log: LogId,
    number: u64,
    prev: Position,
    entries: &[Entry],
) -> Result<(), StoreError> {
    let (name, place) = (segment::name(number), Place { segment: number, offset: FIRST_BATCH });
    let mut draft = Draft::new();
    for entry in entries {
        draft.push(&Record::Entry(RawEntry {
            position: entry.position(),
            time: entry.time,
            kind: entry.payload.kind(),
            payload: &entry.payload.body(),
        }));
    }
    let header = BatchHeader { log, place, base: prev, synced: prev, ..BatchHeader::default() };
    let (bytes, _) = draft.seal(header);
    let size = whole_sectors(FIRST_BATCH + bytes.len() as u64);
    let head = SegmentHeader { log, number, size, recycled: false };
    let unfinished = format!("{name}{}", UNFINISHED);
    let write = || {
        let file = disk.create(&unfinished)?;
        file.write_at(&head.encode(), 0)?;
        file.write_at(bytes, FIRST_BATCH)?;
        file.sync()?;
        disk.rename(&unfinished, &name)?;
        disk.sync_dir()
    };
    write().map_err(|error| {
        if is_full(&error) {
            // Best effort: what stays is removed at the next opening.
            let _ = disk.remove(&unfinished);
            return StoreError::Full { path: disk.path("") };
        }
        StoreError::io("write", disk.path(&name), error)
    })
}
