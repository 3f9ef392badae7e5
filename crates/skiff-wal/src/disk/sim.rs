//! A disk in memory that forgets, tears and fails as it is told.
//!
//! It keeps two images: what a running process sees, and what would be there after a power cut. A
//! write changes the first; a sync carries it over to the second. [`SimDisk::crash`] asks, for each
//! operation that no sync has covered, whether it reached the medium, and in which sectors. Nothing
//! here is random or timed: whoever uses it chooses everything.

mod content;
mod damage;
mod faults;
mod file;
mod image;
mod state;
mod unsynced;

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use self::state::{Pending, Renamed, State};
pub use self::{
    file::SimFile,
    image::Image,
    state::Counts,
    unsynced::{Fate, PAGE, SECTOR, Unsynced, UnsyncedCount},
};
use super::{Disk, LockError, Space};

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

    /// A folder of its own that is now as this one is, with the same operations unsynced and the
    /// same sectors broken. No faults are planned in it and nobody holds it.
    #[must_use]
    pub fn fork(&self) -> Self {
        let mut state = self.state().clone();
        state.end_process();
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Cuts the power: whatever was synced stays, and `fate` decides on the rest, which lands in the
    /// order in which it was done. Files that are open fail from now on, the lock is given back,
    /// planned faults are forgotten.
    pub fn crash(&self, mut fate: impl FnMut(&Unsynced) -> Fate) {
        let mut state = self.state();
        for pending in state.pending() {
            let fate = fate(&pending.describe());
            state.settle(&pending, &fate);
        }
        state.lose_memory();
    }

    /// Likewise, but what was not synced lands in another order: `order` is shown all of it and
    /// gives the places of what comes first, second and so on. What it does not name is dropped.
    pub fn crash_in_order(
        &self,
        order: impl FnOnce(&[Unsynced]) -> Vec<usize>,
        mut fate: impl FnMut(&Unsynced) -> Fate,
    ) {
        let mut state = self.state();
        let pending = state.pending();
        let described: Vec<Unsynced> = pending.iter().map(Pending::describe).collect();
        for place in order(&described) {
            if let (Some(pending), Some(described)) = (pending.get(place), described.get(place)) {
                state.settle(pending, &fate(described));
            }
        }
        state.lose_memory();
    }

    /// Ends the process without a power cut: everything written is still seen afterwards.
    pub fn kill(&self) {
        self.state().end_process();
    }

    /// The operations that no sync has covered, in order.
    #[must_use]
    pub fn unsynced(&self) -> Vec<Unsynced> {
        self.state().pending().iter().map(Pending::describe).collect()
    }

    /// How many operations no sync has covered. This costs the same however many there are.
    #[must_use]
    pub fn unsynced_count(&self) -> UnsyncedCount {
        self.state().unsynced_count()
    }

    /// How often each thing was done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let unsynced = state.unsynced_count();
        f.debug_struct("SimDisk").field("names", &state.names).field("unsynced", &unsynced).finish()
    }
}

impl Disk for SimDisk {
    type File = SimFile;
    type Lock = SimLock;

    fn lock(&self) -> Result<SimLock, LockError> {
        let mut state = self.state();
        if state.holder.is_some() {
            return Err(LockError::Held("another node of this simulation".to_owned()));
        }
        state.is_gone = false;
        state.holders += 1;
        state.holder = Some(state.holders);
        Ok(SimLock { disk: self.clone(), holder: state.holders })
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().map(|name| name.as_ref().to_owned()).collect())
    }

    fn open(&self, name: &str) -> io::Result<SimFile> {
        let mut state = self.state();
        let (name, file) = state.names.get_key_value(name).ok_or(io::ErrorKind::NotFound)?;
        let (name, file) = (Arc::clone(name), *file);
        Ok(SimFile::open(self, &mut state, name, file))
    }

    fn create(&self, name: &str) -> io::Result<SimFile> {
        let mut state = self.state();
        state.change_folder()?;
        // A file of this name that is there already is replaced by a new one: to cut it down to
        // nothing would be a change that a crash could undo, which says the same.
        let file = state.new_file();
        let name: Arc<str> = name.into();
        let opened = SimFile::open(self, &mut state, Arc::clone(&name), file);
        state.rename(Renamed::Create { name, file });
        Ok(opened)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.change_folder()?;
        let file = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        state.rename(Renamed::Rename { from: from.into(), to: to.into(), file });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.change_folder()?;
        let file = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        state.rename(Renamed::Remove { name: name.into(), file });
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state();
        state.change_folder()?;
        state.counts.dir_syncs += 1;
        state.sync_names()
    }

    fn space(&self) -> io::Result<Option<Space>> {
        let state = self.state();
        let used = state.used();
        let space = |limit: u64| Space { free: limit.saturating_sub(used), total: limit.max(used) };
        Ok(state.faults.room.map(space))
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("sim").join(name)
    }
}

/// A [`SimDisk`] that is taken.
#[derive(Debug)]
pub struct SimLock {
    disk: SimDisk,
    holder: u64,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.holder == Some(self.holder) {
            state.holder = None;
        }
    }
}
