//! The two images of a simulated disk, and what leads from one to the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    io, iter, mem,
    sync::Arc,
};

use super::{
    content::{Astray, Content, Written},
    faults::Faults,
    unsynced::{Fate, Unsynced, UnsyncedCount},
};

/// Names, and the numbers of the files they stand for.
pub(super) type Names = BTreeMap<Arc<str>, u64>;

/// How often each thing was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reads of files.
    pub reads: u64,
    /// Writes into files.
    pub writes: u64,
    /// The bytes of those writes.
    pub bytes: u64,
    /// Syncs of files.
    pub syncs: u64,
    /// Syncs of the folder.
    pub dir_syncs: u64,
    /// All that changes something: writes, syncs, creations, renames, removals.
    pub changes: u64,
}

#[derive(Clone, Default)]
pub(super) struct State {
    /// What a process sees.
    pub(super) names: Names,
    pub(super) durable_names: Names,
    /// By number.
    pub(super) files: BTreeMap<u64, Content>,
    /// Changes of names that no sync has covered, each with its number among all operations.
    pub(super) renamed: Vec<(u64, Renamed)>,
    /// How many writes wait in all files together.
    unsynced_writes: usize,
    operations: u64,
    next_file: u64,
    /// What differs perhaps between the images: a crash looks at nothing else.
    changed_files: Vec<u64>,
    changed_names: Vec<Arc<str>>,
    /// How many names were changed since it was looked for files without any.
    renames: usize,
    /// Who holds the lock.
    pub(super) holder: Option<u64>,
    pub(super) holders: u64,
    /// The folder was removed, and not made anew since.
    pub(super) is_gone: bool,
    /// Raised by a crash: files opened before are of a process that is gone.
    pub(super) life: u64,
    pub(super) faults: Faults,
    pub(super) counts: Counts,
}

/// A change of names.
#[derive(Clone, Debug)]
pub(super) enum Renamed {
    Create { name: Arc<str>, file: u64 },
    Rename { from: Arc<str>, to: Arc<str>, file: u64 },
    Remove { name: Arc<str>, file: u64 },
}

/// An operation that was not synced.
pub(super) enum Pending {
    Written(u64, Written),
    Renamed(Renamed),
}

impl State {
    pub(super) fn new_file(&mut self) -> u64 {
        self.next_file += 1;
        self.next_file
    }

    fn operation(&mut self) -> u64 {
        self.operations += 1;
        self.operations
    }

    /// Counts a change and fails if the process is to be dead by now.
    pub(super) fn change(&mut self) -> io::Result<()> {
        if let Some(left) = &mut self.faults.halt_after {
            *left = left.checked_sub(1).ok_or_else(|| io::Error::other("the process is dead"))?;
        }
        self.counts.changes += 1;
        Ok(())
    }

    /// Likewise for a change of the folder, which must be there.
    pub(super) fn change_folder(&mut self) -> io::Result<()> {
        self.change()?;
        if self.is_gone { Err(io::ErrorKind::NotFound.into()) } else { Ok(()) }
    }

    pub(super) fn write(&mut self, file: u64, name: &Arc<str>, bytes: &[u8], at: u64) {
        let astray = self
            .faults
            .astray()
            .map(|(name, at)| Astray { file: self.names.get(&*name).copied(), at });
        if let Some(astray) = astray.and_then(|astray| astray.file) {
            self.changed(astray);
        }
        let number = self.operation();
        let content = self.changed(file);
        content.see(bytes, at);
        let (name, bytes) = (Arc::clone(name), bytes.into());
        content.unsynced.push(Written { number, name, at, bytes, astray });
        self.unsynced_writes += 1;
    }

    /// A file of which the images are about to differ.
    fn changed(&mut self, file: u64) -> &mut Content {
        let content = self.files.entry(file).or_default();
        if !content.is_changed {
            content.is_changed = true;
            self.changed_files.push(file);
        }
        content
    }

    pub(super) fn rename(&mut self, renamed: Renamed) {
        self.renames += 1;
        self.changed_names.extend(renamed.names().cloned());
        renamed.make(&mut self.names);
        let number = self.operation();
        self.renamed.push((number, renamed));
    }

    fn land(&mut self, file: u64, written: &Written, fate: &Fate) {
        let straight = Astray { file: Some(file), at: written.at };
        let Astray { file, at } = written.astray.unwrap_or(straight);
        if let Some(content) = file.and_then(|file| self.files.get_mut(&file)) {
            content.land(&written.bytes, at, fate);
        }
    }

    /// Does a change of names to the medium. A file never has two names there, whatever became of the
    /// changes before this one.
    fn land_name(&mut self, renamed: &Renamed) {
        let (names, file) = (&mut self.durable_names, renamed.file());
        let content = self.files.entry(file).or_default();
        let has_name =
            content.synced_name.as_ref().is_some_and(|name| names.get(name) == Some(&file));
        match renamed {
            // It was renamed since.
            Renamed::Create { .. } if has_name => return,
            Renamed::Create { name, .. } => content.synced_name = Some(Arc::clone(name)),
            Renamed::Rename { to, .. } => {
                let before = content.synced_name.replace(Arc::clone(to));
                before.into_iter().for_each(|before| remove(names, &before, file));
            }
            Renamed::Remove { .. } => {}
        }
        renamed.make(names);
    }

    /// Makes the writes into a file durable; if that fails, they are lost for good.
    pub(super) fn sync_file(&mut self, file: u64) -> io::Result<()> {
        let outcome = self.faults.sync();
        let Some(content) = self.files.get_mut(&file) else { return outcome.map(drop) };
        self.unsynced_writes -= content.unsynced.len();
        let mut astray = Vec::new();
        // The list keeps its memory for the next writes.
        let mut unsynced = mem::take(&mut content.unsynced);
        for written in unsynced.drain(..) {
            match (&outcome, written.astray) {
                (Ok(true), None) => content.land(&written.bytes, written.at, &Fate::Keep),
                (Ok(true), Some(_)) => astray.push(written),
                (Ok(false) | Err(_), _) => {}
            }
        }
        content.unsynced = unsynced;
        astray.iter().for_each(|written| self.land(file, written, &Fate::Keep));
        outcome.map(drop)
    }

    /// Makes changes of names durable; if that fails, they are lost for good.
    pub(super) fn sync_names(&mut self) -> io::Result<()> {
        let outcome = self.faults.sync();
        let renamed = mem::take(&mut self.renamed);
        if matches!(outcome, Ok(true)) {
            renamed.iter().for_each(|(_, renamed)| self.land_name(renamed));
        }
        self.forget_unnamed();
        outcome.map(drop)
    }

    /// Lets go of files that nobody can ever see again. To look at all files each time would be slow
    /// where there are many.
    pub(super) fn forget_unnamed(&mut self) {
        if self.renames <= self.files.len() / 2 {
            return;
        }
        self.renames = 0;
        let mut named: BTreeSet<u64> = self.names.values().copied().collect();
        named.extend(self.durable_names.values());
        named.extend(self.renamed.iter().map(|(_, renamed)| renamed.file()));
        let unsynced = &mut self.unsynced_writes;
        self.files.retain(|file, content| {
            let stays = named.contains(file) || content.is_open();
            *unsynced -= if stays { 0 } else { content.unsynced.len() };
            stays
        });
    }

    /// All operations that no sync has covered, in order.
    pub(super) fn pending(&self) -> Vec<Pending> {
        let changed = self.changed_files.iter();
        let written = changed.flat_map(|file| {
            let each = self.files.get(file).into_iter().flat_map(|content| &content.unsynced);
            each.map(|written| (written.number, Pending::Written(*file, written.clone())))
        });
        let renamed = self.renamed.iter();
        let renamed = renamed.map(|(number, renamed)| (*number, Pending::Renamed(renamed.clone())));
        let mut all: Vec<(u64, Pending)> = written.chain(renamed).collect();
        all.sort_unstable_by_key(|(number, _)| *number);
        all.into_iter().map(|(_, pending)| pending).collect()
    }

    pub(super) const fn unsynced_count(&self) -> UnsyncedCount {
        UnsyncedCount { writes: self.unsynced_writes, names: self.renamed.len() }
    }

    /// Does to the medium what a crash leaves of an operation.
    pub(super) fn settle(&mut self, pending: &Pending, fate: &Fate) {
        match pending {
            Pending::Written(file, written) => self.land(*file, written, fate),
            Pending::Renamed(renamed) if fate.keeps(0) => self.land_name(renamed),
            Pending::Renamed(_) => {}
        }
    }

    /// From now on only the medium counts.
    pub(super) fn lose_memory(&mut self) {
        self.renamed.clear();
        for name in mem::take(&mut self.changed_names) {
            match self.durable_names.get(&name) {
                Some(file) => drop(self.names.insert(name, *file)),
                None => drop(self.names.remove(&name)),
            }
        }
        for file in mem::take(&mut self.changed_files) {
            let Some(content) = self.files.get_mut(&file) else { continue };
            content.lose_memory();
        }
        self.unsynced_writes = 0;
        self.end_process();
        self.forget_unnamed();
    }

    /// Puts all files in the place of those that are there.
    pub(super) fn replace(&mut self, names: &Names, files: BTreeMap<u64, Content>) {
        self.next_file = self.next_file.max(files.keys().next_back().copied().unwrap_or(0));
        (self.names, self.durable_names, self.files) = (names.clone(), names.clone(), files);
        for (name, file) in names {
            self.files.entry(*file).or_default().synced_name = Some(Arc::clone(name));
        }
        self.lose_memory();
    }

    pub(super) fn end_process(&mut self) {
        self.life += 1;
        self.holder = None;
        self.faults = Faults::default();
    }

    pub(super) fn seen(&self, name: &str) -> Option<&Content> {
        self.files.get(self.names.get(name)?)
    }

    pub(super) fn durable(&mut self, name: &str) -> Option<&mut Content> {
        self.files.get_mut(self.durable_names.get(name)?)
    }

    pub(super) fn used(&self) -> u64 {
        self.names.values().filter_map(|file| self.files.get(file)).map(Content::len).sum()
    }
}

impl Renamed {
    const fn file(&self) -> u64 {
        match self {
            Self::Create { file, .. } | Self::Rename { file, .. } | Self::Remove { file, .. } => {
                *file
            }
        }
    }

    fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        let (first, second) = match self {
            Self::Create { name, .. } | Self::Remove { name, .. } => (name, None),
            Self::Rename { from, to, .. } => (from, Some(to)),
        };
        iter::once(first).chain(second)
    }

    /// A rename or removal concerns the file that it was made for: if another has the name by then,
    /// that keeps it.
    fn make(&self, names: &mut Names) {
        match self {
            Self::Create { name, file } => {
                names.insert(Arc::clone(name), *file);
            }
            Self::Rename { from, to, file } => {
                remove(names, from, *file);
                names.insert(Arc::clone(to), *file);
            }
            Self::Remove { name, file } => remove(names, name, *file),
        }
    }
}

fn remove(names: &mut Names, name: &str, file: u64) {
    if names.get(name) == Some(&file) {
        names.remove(name);
    }
}

impl Pending {
    pub(super) fn describe(&self) -> Unsynced {
        match self {
            Self::Written(_, Written { name, at, bytes, .. }) => {
                Unsynced::Write { name: Arc::clone(name), at: *at, len: bytes.len() }
            }
            Self::Renamed(Renamed::Create { name, .. }) => {
                Unsynced::Create { name: Arc::clone(name) }
            }
            Self::Renamed(Renamed::Rename { from, to, .. }) => {
                Unsynced::Rename { from: Arc::clone(from), to: Arc::clone(to) }
            }
            Self::Renamed(Renamed::Remove { name, .. }) => {
                Unsynced::Remove { name: Arc::clone(name) }
            }
        }
    }
}
