//! Reads segments piece by piece, with one open file and one buffer.
//!
//! Whoever goes through a whole log reads around what the disk does not give: zeros stand there, which
//! are never taken for anything, and that it was so is remembered.

use std::io;

use crate::{
    disk::{self, Disk, DiskFile},
    place::Place,
    segment,
};

pub(crate) struct Window<D: Disk> {
    disk: D,
    /// How much is read at once, if the file is so long.
    piece: usize,
    file: Option<(u64, D::File)>,
    /// What was read of it last, from `start` on.
    bytes: Vec<u8>,
    start: u64,
    /// Whether to read around what cannot be read.
    reads_around: bool,
    failure: Option<io::Error>,
}

impl<D: Disk> Window<D> {
    const PIECE_MIN: usize = 16 << 10;
    const PIECE_MAX: usize = 256 << 10;

    /// For going through whole segments.
    pub(crate) fn new(disk: D) -> Self {
        Self { reads_around: true, ..Self::for_reading(disk, Self::PIECE_MAX) }
    }

    /// For reading about so many bytes.
    pub(crate) fn for_reading(disk: D, bytes: usize) -> Self {
        let piece = bytes.clamp(Self::PIECE_MIN, Self::PIECE_MAX);
        Self {
            disk,
            piece,
            file: None,
            bytes: Vec::new(),
            start: 0,
            reads_around: false,
            failure: None,
        }
    }

    /// What was read around, if anything was.
    pub(crate) const fn failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Forgets what was read: the files may have changed.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The `len` bytes at `place`; fewer where the segment ends, which is at `size`. No more than
    /// that is ever read, whatever `len` says.
    pub(crate) fn get(&mut self, place: Place, size: u64, len: usize) -> io::Result<&[u8]> {
        let at = place.offset;
        let left = usize::try_from(size.saturating_sub(at)).unwrap_or(usize::MAX);
        let len = len.min(left);
        let is_open = self.file.as_ref().is_some_and(|(segment, _)| *segment == place.segment);
        let end = self.start + self.bytes.len() as u64;
        if !is_open || at < self.start || at + len as u64 > end {
            let ahead = len.max(self.piece).min(left);
            let loaded = self.load(place, ahead);
            if loaded.is_err() && len < ahead {
                // What cannot be read may lie behind what is wanted.
                self.load(place, len)?;
            } else {
                loaded?;
            }
        }
        let from = usize::try_from(at - self.start).unwrap_or(usize::MAX).min(self.bytes.len());
        Ok(&self.bytes[from..(from + len).min(self.bytes.len())])
    }

    fn load(&mut self, place: Place, len: usize) -> io::Result<()> {
        self.bytes.clear();
        self.start = place.offset;
        let file = match self.file.take() {
            Some((segment, file)) if segment == place.segment => file,
            _ => match self.disk.open(&segment::name(place.segment)) {
                // It was left over, and is removed by now.
                Err(error) if self.reads_around && error.kind() == io::ErrorKind::NotFound => {
                    return Ok(());
                }
                opened => opened?,
            },
        };
        self.bytes.resize(len, 0);
        let read = match disk::read_at(&file, &mut self.bytes, place.offset) {
            Err(error) if self.reads_around => {
                self.failure.get_or_insert(error);
                Ok(read_sectors(&file, &mut self.bytes, place.offset))
            }
            read => read,
        };
        self.file = Some((place.segment, file));
        self.bytes.truncate(*read.as_ref().unwrap_or(&0));
        read.map(drop)
    }
}

/// Reads sector by sector; zeros stand for those that cannot be read.
fn read_sectors(file: &impl DiskFile, into: &mut [u8], at: u64) -> usize {
    let mut length = 0;
    const STEP: usize = 512;
    for (sector, at) in into.chunks_mut(STEP).zip((at..).step_by(STEP)) {
        let wanted = sector.len();
        let read = disk::read_at(file, sector, at).unwrap_or_else(|_| {
            sector.fill(0);
            wanted
        });
        length += read;
        if read < wanted {
            break;
        }
    }
    length
}
