//! A disk in memory that forgets, tears and fails as it is told.
//!
//! It keeps two images: what a running process sees, and what would be there after a power cut. A
//! write changes the first; a sync carries it over to the second. [`SimDisk::crash`] asks, for each
//! operation that no sync has covered, whether it reached the medium, and in which sectors. Nothing
//! here is random or timed: a test chooses everything.

mod state;
mod unsynced;

use std::{
    fmt, io, mem,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use self::state::{Faults, Pending, State, count_down};
pub use self::{
    state::Counts,
    unsynced::{Fate, SECTOR, Unsynced},
};
use super::{Disk, DiskFile, LockError};

/// A folder in memory. Clones are the same folder.
#[derive(Clone, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// An empty folder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A folder of its own that is now as this one is, with the same operations unsynced. No faults
    /// are planned in it and nobody holds it.
    #[must_use]
    pub fn fork(&self) -> Self {
        let mut state = self.state().clone();
        state.faults = Faults::default();
        state.locked = false;
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Cuts the power: whatever was synced stays, and `fate` decides on the rest. Files that are
    /// open fail from now on, the lock is given back, planned faults are forgotten.
    pub fn crash(&self, mut fate: impl FnMut(&Unsynced) -> Fate) {
        let mut state = self.state();
        for pending in mem::take(&mut state.unsynced) {
            let fate = fate(&pending.describe());
            state.settle(&pending, &fate);
        }
        state.names = state.durable_names.clone();
        let named: Vec<u64> = state.names.values().copied().collect();
        state.durable_content.retain(|file, _| named.contains(file));
        state.content = state.durable_content.clone();
        state.life += 1;
        state.locked = false;
        state.faults = Faults::default();
    }

    /// Ends the process without a power cut: everything written is still seen afterwards.
    pub fn kill(&self) {
        let mut state = self.state();
        state.life += 1;
        state.locked = false;
        state.faults = Faults::default();
    }

    /// The operations that no sync has covered, in order.
    #[must_use]
    pub fn unsynced(&self) -> Vec<Unsynced> {
        self.state().unsynced.iter().map(Pending::describe).collect()
    }

    /// Lets the `nth` sync from now on fail, of a file or of the folder, 1 being the next. As on
    /// Linux, what it should have made durable is seen by the process but never reaches the medium,
    /// whatever later syncs say.
    pub fn fail_sync(&self, nth: u64) {
        self.state().faults.fail_sync = Some(nth);
    }

    /// Lets the `nth` write from now on fail, 1 being the next. Its first half is written.
    pub fn fail_write(&self, nth: u64) {
        self.state().faults.fail_write = Some(nth);
    }

    /// Lets the next `count` reads fail.
    pub fn fail_reads(&self, count: u64) {
        self.state().faults.fail_reads = count;
    }

    /// Lets everything fail after `count` more changes, as if the process were dead.
    pub fn halt_after(&self, count: u64) {
        self.state().faults.halt_after = Some(count);
    }

    /// Allows all files together no more than `bytes`; `None` takes the limit away.
    pub fn limit(&self, bytes: Option<u64>) {
        self.state().faults.room = bytes;
    }

    /// How often each thing was done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// The content of a file as a process sees it.
    #[must_use]
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.content.get(state.names.get(name)?).cloned()
    }

    /// Puts a file there, durably, past all operations: for tests that damage something.
    pub fn put(&self, name: &str, content: Vec<u8>) {
        let mut state = self.state();
        let file = match state.names.get(name) {
            Some(file) => *file,
            None => state.new_file(),
        };
        state.names.insert(name.to_owned(), file);
        state.durable_names.insert(name.to_owned(), file);
        state.durable_content.insert(file, content.clone());
        state.content.insert(file, content);
    }

    /// Takes a file away, durably, past all operations.
    pub fn take_away(&self, name: &str) {
        let mut state = self.state();
        state.names.remove(name);
        state.durable_names.remove(name);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, state: &State, name: &str, file: u64) -> SimFile {
        let disk = self.clone();
        SimFile { disk, file, name: name.to_owned(), life: state.life }
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let unsynced = state.unsynced.len();
        f.debug_struct("SimDisk").field("names", &state.names).field("unsynced", &unsynced).finish()
    }
}

impl Disk for SimDisk {
    type File = SimFile;
    type Lock = SimLock;

    fn lock(&self) -> Result<SimLock, LockError> {
        let mut state = self.state();
        if state.locked {
            return Err(LockError::Held("another node of this simulation".to_owned()));
        }
        state.locked = true;
        Ok(SimLock { disk: self.clone(), life: state.life })
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<SimFile> {
        let state = self.state();
        let file = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.handle(&state, name, file))
    }

    fn create(&self, name: &str) -> io::Result<SimFile> {
        let mut state = self.state();
        state.change()?;
        // A file of this name that is there already is replaced by a new one: to cut it down to
        // nothing would be a change that a crash could undo, which says the same.
        let file = state.new_file();
        state.names.insert(name.to_owned(), file);
        state.content.insert(file, Vec::new());
        state.unsynced.push(Pending::Create { name: name.to_owned(), file });
        Ok(self.handle(&state, name, file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        let file = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), file);
        state.unsynced.push(Pending::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        state.unsynced.push(Pending::Remove { name: name.to_owned() });
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.counts.dir_syncs += 1;
        state.sync(|pending| !matches!(pending, Pending::Write { .. }))
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("sim").join(name)
    }
}

/// A [`SimDisk`] that is taken.
#[derive(Debug)]
pub struct SimLock {
    disk: SimDisk,
    life: u64,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.life == self.life {
            state.locked = false;
        }
    }
}

/// A file of a [`SimDisk`].
#[derive(Debug)]
pub struct SimFile {
    disk: SimDisk,
    file: u64,
    name: String,
    life: u64,
}

impl SimFile {
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
        Ok(self.state()?.content.get(&self.file).map_or(0, |content| content.len() as u64))
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let mut state = self.state()?;
        if let Some(left) = state.faults.fail_reads.checked_sub(1) {
            state.faults.fail_reads = left;
            return Err(io::Error::other("the read failed"));
        }
        let content = state.content.get(&self.file).map_or(&[][..], Vec::as_slice);
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(content.len());
        let count = into.len().min(content.len() - at);
        into[..count].copy_from_slice(&content[at..at + count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut state = self.state()?;
        state.change()?;
        state.counts.writes += 1;
        if count_down(&mut state.faults.fail_write) {
            state.write(self.file, &self.name, &bytes[..bytes.len() / 2], at);
            return Err(io::Error::other("the write failed"));
        }
        let before = state.content.get(&self.file).map_or(0, |content| content.len() as u64);
        let growth = (at + bytes.len() as u64).saturating_sub(before);
        if growth > 0 && state.faults.room.is_some_and(|room| state.used() + growth > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.write(self.file, &self.name, bytes, at);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state()?;
        state.change()?;
        state.counts.syncs += 1;
        let this = self.file;
        state.sync(|pending| matches!(pending, Pending::Write { file, .. } if *file == this))
    }
}
