//! An open file of a simulated disk.

use std::{
    io,
    sync::{Arc, MutexGuard},
};

use super::{SimDisk, content::Content, state::State};
use crate::disk::DiskFile;

/// A file of a [`SimDisk`].
#[derive(Debug)]
pub struct SimFile {
    disk: SimDisk,
    file: u64,
    name: Arc<str>,
    life: u64,
    /// As long as it is held, the file stays, whatever becomes of its name.
    _handle: Arc<()>,
}

impl SimFile {
    pub(super) fn open(disk: &SimDisk, state: &mut State, name: Arc<str>, file: u64) -> Self {
        let handle = Arc::clone(&state.files.entry(file).or_default().handles);
        Self { disk: disk.clone(), file, name, life: state.life, _handle: handle }
    }

    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.life == self.life {
            Ok(state)
        } else {
            Err(io::Error::other("opened before the crash"))
        }
    }
}

impl DiskFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.state()?.files.get(&self.file).map_or(0, Content::len))
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let mut state = self.state()?;
        state.counts.reads += 1;
        if state.faults.fails_read() {
            return Err(io::Error::other("the read failed"));
        }
        let Some(content) = state.files.get(&self.file) else { return Ok(0) };
        let start = usize::try_from(at).unwrap_or(usize::MAX).min(content.seen.len());
        let count = into.len().min(content.seen.len() - start);
        if content.is_broken(at, count) {
            return Err(io::Error::other("the sector cannot be read"));
        }
        into[..count].copy_from_slice(&content.seen[start..start + count]);
        state.faults.make_stale(self.file, at, &mut into[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut state = self.state()?;
        state.change()?;
        state.counts.writes += 1;
        if state.faults.fails_write() {
            self.write(&mut state, &bytes[..bytes.len() / 2], at);
            return Err(io::Error::other("the write failed"));
        }
        if let Some(room) = state.faults.room {
            let before = state.files.get(&self.file).map_or(0, Content::len);
            let growth = (at + bytes.len() as u64).saturating_sub(before);
            let missing = (state.used() + growth).saturating_sub(room).min(growth);
            if missing > 0 {
                let missing = usize::try_from(missing).unwrap_or(usize::MAX).min(bytes.len());
                self.write(&mut state, &bytes[..bytes.len() - missing], at);
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        self.write(&mut state, bytes, at);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state()?;
        state.change()?;
        state.counts.syncs += 1;
        state.sync_file(self.file)
    }
}

impl SimFile {
    fn write(&self, state: &mut State, bytes: &[u8], at: u64) {
        if !bytes.is_empty() {
            state.counts.bytes += bytes.len() as u64;
            state.write(self.file, &self.name, bytes, at);
        }
    }
}
