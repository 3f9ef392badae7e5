//! A disk in memory that forgets, tears and fails as it is told.
//!
//! It keeps two images: what a running process sees, and what would be there after a power cut. A
//! write changes the first; a sync carries it over to the second. [`SimDisk::crash`] asks, for each
//! operation that no sync has covered, whether it reached the medium, and in which sectors. Nothing
//! here is random or timed: a test chooses everything.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Disk, DiskFile, LockError};

/// The unit in which a write can be torn.
pub const SECTOR: usize = 512;

/// A folder in memory. Clones are the same folder.
#[derive(Clone, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// An operation that no sync has covered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// Bytes were written into a file.
    Write {
        /// The file, as it was called when opened.
        name: String,
        /// Where.
        at: u64,
        /// How many bytes.
        len: usize,
    },
    /// A name was given to a new, empty file.
    Create {
        /// The name.
        name: String,
    },
    /// A file was renamed.
    Rename {
        /// Its old name.
        from: String,
        /// Its new name.
        to: String,
    },
    /// A name was removed.
    Remove {
        /// The name.
        name: String,
    },
}

impl Unsynced {
    /// In how many pieces this can be torn.
    #[must_use]
    pub fn sectors(&self) -> usize {
        match self {
            Self::Write { at, len, .. } => sectors_of(*at, *len).count(),
            Self::Create { .. } | Self::Rename { .. } | Self::Remove { .. } => 1,
        }
    }
}

/// What becomes of an unsynced operation in a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It reached the medium.
    Keep,
    /// It did not.
    Drop,
    /// Of a write, these of its sectors did, counted from its first; anything else is kept if the
    /// first is there.
    Tear(Vec<bool>),
}

impl Fate {
    fn keeps(&self, sector: usize) -> bool {
        match self {
            Self::Keep => true,
            Self::Drop => false,
            Self::Tear(kept) => kept.get(sector).copied().unwrap_or(false),
        }
    }
}

#[derive(Clone, Default)]
struct State {
    /// What a process sees: names, and content by number of file.
    names: BTreeMap<String, u64>,
    content: BTreeMap<u64, Vec<u8>>,
    durable_names: BTreeMap<String, u64>,
    durable_content: BTreeMap<u64, Vec<u8>>,
    unsynced: Vec<Pending>,
    next_file: u64,
    locked: bool,
    /// Raised by a crash: files opened before are of a process that is gone.
    life: u64,
    faults: Faults,
    counts: Counts,
}

#[derive(Clone, Debug)]
enum Pending {
    Write { file: u64, name: String, at: u64, bytes: Vec<u8> },
    Create { name: String, file: u64 },
    Rename { from: String, to: String },
    Remove { name: String },
}

#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    fail_sync: Option<u64>,
    fail_write: Option<u64>,
    fail_reads: u64,
    halt_after: Option<u64>,
    room: Option<u64>,
}

/// How often each thing was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Writes into files.
    pub writes: u64,
    /// Syncs of files.
    pub syncs: u64,
    /// Syncs of the folder.
    pub dir_syncs: u64,
    /// All that changes something: writes, syncs, creations, renames, removals.
    pub changes: u64,
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
        for pending in std::mem::take(&mut state.unsynced) {
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

impl State {
    fn new_file(&mut self) -> u64 {
        self.next_file += 1;
        self.next_file
    }

    /// Counts a change and fails if the process is to be dead by now.
    fn change(&mut self) -> io::Result<()> {
        if let Some(left) = &mut self.faults.halt_after {
            *left = left.checked_sub(1).ok_or_else(|| io::Error::other("the process is dead"))?;
        }
        self.counts.changes += 1;
        Ok(())
    }

    fn settle(&mut self, pending: &Pending, fate: &Fate) {
        let names = &mut self.durable_names;
        match pending {
            Pending::Write { file, at, bytes, .. } => {
                let content = self.durable_content.entry(*file).or_default();
                for (sector, range) in sectors_of(*at, bytes.len()).enumerate() {
                    if fate.keeps(sector) {
                        write(content, *at + range.start as u64, &bytes[range]);
                    }
                }
            }
            _ if !fate.keeps(0) => {}
            Pending::Create { name, file } => {
                names.insert(name.clone(), *file);
                self.durable_content.entry(*file).or_default();
            }
            Pending::Rename { from, to } => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Pending::Remove { name } => {
                names.remove(name);
            }
        }
    }

    /// Settles what a sync covers; if it fails, what it covers is lost for good.
    fn sync(&mut self, covers: impl Fn(&Pending) -> bool) -> io::Result<()> {
        let fails = count_down(&mut self.faults.fail_sync);
        let (covered, rest) = self.unsynced.drain(..).partition(covers);
        self.unsynced = rest;
        let covered: Vec<Pending> = covered;
        if fails {
            return Err(io::Error::other("the sync failed"));
        }
        covered.iter().for_each(|pending| self.settle(pending, &Fate::Keep));
        Ok(())
    }

    fn used(&self) -> u64 {
        self.names.values().filter_map(|file| self.content.get(file)).map(|c| c.len() as u64).sum()
    }

    fn write(&mut self, file: u64, name: &str, bytes: &[u8], at: u64) {
        write(self.content.entry(file).or_default(), at, bytes);
        let bytes = bytes.to_vec();
        self.unsynced.push(Pending::Write { file, name: name.to_owned(), at, bytes });
    }
}

/// Whether this was the one that is to fail.
fn count_down(planned: &mut Option<u64>) -> bool {
    let Some(left) = planned else { return false };
    *left = left.saturating_sub(1);
    let now = *left == 0;
    if now {
        *planned = None;
    }
    now
}

fn write(content: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    if content.len() < at + bytes.len() {
        content.resize(at + bytes.len(), 0);
    }
    content[at..at + bytes.len()].copy_from_slice(bytes);
}

/// The pieces of `len` bytes at `at` that lie in one sector each, as ranges of those bytes.
fn sectors_of(at: u64, len: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let skew = usize::try_from(at % SECTOR as u64).unwrap_or(0);
    let count = if len == 0 { 0 } else { (skew + len).div_ceil(SECTOR) };
    (0..count).map(move |sector| {
        let start = (sector * SECTOR).saturating_sub(skew);
        start..((sector + 1) * SECTOR - skew).min(len)
    })
}

impl Pending {
    fn describe(&self) -> Unsynced {
        match self.clone() {
            Self::Write { name, at, bytes, .. } => Unsynced::Write { name, at, len: bytes.len() },
            Self::Create { name, .. } => Unsynced::Create { name },
            Self::Rename { from, to } => Unsynced::Rename { from, to },
            Self::Remove { name } => Unsynced::Remove { name },
        }
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
