//! A segment: one of the files that the log is kept in, filled with zeros before it is used.

use std::io;

use bytes::{Buf, BufMut};
use crc32c::crc32c;
use skiff_core::mutants::{Mutant, planted};
use skiff_storage::StoreError;

use crate::{
    disk::{Disk, DiskFile, is_full},
    place::{LogId, SECTOR, whole_sectors},
};

const MAGIC: &[u8; 8] = b"SKIFFSEG";
/// The version of all that stands in the folder: batches, segments, identity, snapshots.
pub const FORMAT: u32 = 1;
const HEADER: usize = 64;
const CHECKED_FROM: usize = 12;
const RECYCLED: u64 = 1;
const PREFIX: &str = "log-";
/// Numbers with this bit are those of mended pieces, which have a segment's form but are not of the
/// log's own files.
pub(crate) const MEND: u64 = 1 << 63;
const MEND_PREFIX: &str = "mend-";
/// The first batch stands behind the header.
pub(crate) const FIRST_BATCH: u64 = SECTOR;
/// What a segment keeps free for the batch that names the next one.
pub(crate) const RESERVE: u64 = SECTOR;
/// Header, one batch, and the one that names the next segment, with a little room.
pub(crate) const SIZE_MIN: u64 = 4 * SECTOR;

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The log it belongs to.
    pub log: LogId,
    /// Its number, which no other segment of the log ever had.
    pub number: u64,
    /// How long the file was made.
    pub size: u64,
    /// Whether the file was another segment before, so that old bytes stand where nothing was
    /// written yet.
    pub recycled: bool,
}

/// Why a segment's header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadHeader {
    Damaged(&'static str),
    Newer(u32),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER);
        out.put_slice(MAGIC);
        out.put_u32_le(0);
        out.put_u32_le(FORMAT);
        out.put_u128_le(self.log.0);
        out.put_u64_le(self.number);
        out.put_u64_le(self.size);
        out.put_u64_le(if self.recycled { RECYCLED } else { 0 });
        out.resize(HEADER, 0);
        let checksum = crc32c(&out[CHECKED_FROM..]);
        out[8..CHECKED_FROM].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadHeader> {
        let bytes = bytes.get(..HEADER).ok_or(BadHeader::Damaged("the file is cut short"))?;
        let (magic, mut rest) = bytes.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(BadHeader::Damaged("this does not begin like a segment"));
        }
        let (checksum, format) = (rest.get_u32_le(), rest.get_u32_le());
        if format > FORMAT {
            return Err(BadHeader::Newer(format));
        }
        if checksum != crc32c(&bytes[CHECKED_FROM..]) {
            return Err(BadHeader::Damaged("the checksum of the segment's header is wrong"));
        }
        let log = LogId(rest.get_u128_le());
        let (number, size) = (rest.get_u64_le(), rest.get_u64_le());
        Ok(Self { log, number, size, recycled: rest.get_u64_le() & RECYCLED != 0 })
    }
}

/// What a segment's file is called.
pub(crate) fn name(number: u64) -> String {
    if number & MEND == 0 {
        format!("{PREFIX}{number:020}")
    } else {
        format!("{MEND_PREFIX}{:020}", number & !MEND)
    }
}

/// The number in a segment's name, if this is one.
pub(crate) fn number(file_name: &str) -> Option<u64> {
    parse(file_name, PREFIX, 0)
}

/// The number in the name of a mended piece, if this is one.
pub(crate) fn mend_number(file_name: &str) -> Option<u64> {
    parse(file_name, MEND_PREFIX, MEND)
}

fn parse(file_name: &str, prefix: &str, kind: u64) -> Option<u64> {
    let number: u64 = file_name.strip_prefix(prefix)?.parse().ok()?;
    // No log gets so far; and there must be room for more.
    let number = (number < MEND - 1).then_some(number | kind)?;
    (name(number) == file_name).then_some(number)
}

/// A segment that can be written.
#[derive(Debug)]
pub(crate) struct Segment<F> {
    pub(crate) number: u64,
    pub(crate) size: u64,
    pub(crate) file: F,
}

/// A segment to be made.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) log: LogId,
    pub(crate) number: u64,
    pub(crate) size: u64,
    /// A file that can be used again for it.
    pub(crate) reuse: Option<String>,
}

/// Makes a segment, durably. On failure nothing of it is left, as far as the disk allows.
pub(crate) fn make<D: Disk>(disk: &D, order: &Order) -> Result<Segment<D::File>, StoreError> {
    let name = name(order.number);
    let made = match &order.reuse {
        Some(old) => recycle(disk, order, old, &name),
        None => create(disk, order, &name),
    };
    made.map_err(|error| {
        // Best effort: it is not announced, so the next opening removes it as well.
        let _ = disk.remove(&name);
        if is_full(&error) {
            StoreError::Full { path: disk.path("") }
        } else {
            StoreError::io("make the segment", disk.path(&name), error)
        }
    })
}

fn recycle<D: Disk>(
    disk: &D,
    order: &Order,
    old: &str,
    name: &str,
) -> io::Result<Segment<D::File>> {
    match disk.rename(old, name) {
        // Somebody has tidied up.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return create(disk, order, name),
        renamed => renamed?,
    }
    let file = disk.open(name)?;
    let size = file.size()? / SECTOR * SECTOR;
    if size < order.size {
        return create(disk, order, name);
    }
    finish(disk, order, file, size, true)
}

fn create<D: Disk>(disk: &D, order: &Order, name: &str) -> io::Result<Segment<D::File>> {
    let file = disk.create(name)?;
    let size = whole_sectors(order.size);
    fill(&file, 0, size)?;
    finish(disk, order, file, size, false)
}

fn finish<D: Disk>(
    disk: &D,
    order: &Order,
    file: D::File,
    size: u64,
    recycled: bool,
) -> io::Result<Segment<D::File>> {
    let header = SegmentHeader { log: order.log, number: order.number, size, recycled };
    file.write_at(&header.encode(), 0)?;
    file.sync()?;
    if !planted(Mutant::SegmentNameNotSynced) {
        disk.sync_dir()?;
    }
    Ok(Segment { number: order.number, size, file })
}

/// Writes zeros from `from` to `to`. Syncs between, so that a log that is being written meanwhile
/// never waits behind much of it.
pub(crate) fn fill(file: &impl DiskFile, from: u64, to: u64) -> io::Result<()> {
    const PIECE: usize = 256 << 10;
    let zeros = vec![0; PIECE.min(usize::try_from(to.saturating_sub(from)).unwrap_or(PIECE))];
    let mut at = from;
    while at < to {
        let count = usize::try_from(to - at).unwrap_or(PIECE).min(zeros.len());
        file.write_at(&zeros[..count], at)?;
        at += count as u64;
        if at < to {
            file.sync()?;
        }
    }
    file.sync()
}
