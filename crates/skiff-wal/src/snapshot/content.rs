//! The content of a snapshot's file, or a backup's, while it is written.

use std::io;

use crc32c::crc32c_append;

use crate::disk::DiskFile;

/// How many bytes are written before they are synced, so that the last sync has little to do and the log's
/// own syncs never wait behind much of it.
const SYNC_EVERY: u64 = 8 << 20;

/// What could not be done, and why.
pub(crate) type Failed = (&'static str, io::Error);

/// The file, and what was written to it behind the place of its head.
#[derive(Debug)]
pub(crate) struct Content<F> {
    file: F,
    /// Where the content begins.
    head: u64,
    size: u64,
    checksum: u32,
    unsynced: u64,
}

impl<F: DiskFile> Content<F> {
    pub(crate) const fn new(file: F, head: u64) -> Self {
        Self { file, head, size: 0, checksum: 0, unsynced: 0 }
    }

    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// How long it is, and its checksum.
    pub(crate) const fn found(&self) -> (u64, u32) {
        (self.size, self.checksum)
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Failed> {
        self.file.write_at(bytes, self.head + self.size).map_err(|error| ("write", error))?;
        self.checksum = crc32c_append(self.checksum, bytes);
        self.size += bytes.len() as u64;
        self.unsynced += bytes.len() as u64;
        if self.unsynced >= SYNC_EVERY {
            self.unsynced = 0;
            self.sync()?;
        }
        Ok(())
    }

    /// Puts the head before it, and makes all of it durable.
    pub(crate) fn complete(&self, head: &[u8]) -> Result<(), Failed> {
        self.file.write_at(head, 0).map_err(|error| ("write", error))?;
        self.sync()
    }

    fn sync(&self) -> Result<(), Failed> {
        self.file.sync().map_err(|error| ("sync", error))
    }
}
