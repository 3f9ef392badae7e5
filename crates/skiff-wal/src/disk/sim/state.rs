//! The two images of a simulated disk, and what leads from one to the other.

use std::{collections::BTreeMap, io};

use super::unsynced::{Fate, Unsynced, sectors_of};

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

#[derive(Clone, Default)]
pub(super) struct State {
    /// What a process sees: names, and content by number of file.
    pub(super) names: BTreeMap<String, u64>,
    pub(super) content: BTreeMap<u64, Vec<u8>>,
    pub(super) durable_names: BTreeMap<String, u64>,
    pub(super) durable_content: BTreeMap<u64, Vec<u8>>,
    pub(super) unsynced: Vec<Pending>,
    pub(super) next_file: u64,
    pub(super) locked: bool,
    /// Raised by a crash: files opened before are of a process that is gone.
    pub(super) life: u64,
    pub(super) faults: Faults,
    pub(super) counts: Counts,
}

#[derive(Clone, Debug)]
pub(super) enum Pending {
    Write { file: u64, name: String, at: u64, bytes: Vec<u8> },
    Create { name: String, file: u64 },
    Rename { from: String, to: String },
    Remove { name: String },
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) fail_sync: Option<u64>,
    pub(super) fail_write: Option<u64>,
    pub(super) fail_reads: u64,
    pub(super) halt_after: Option<u64>,
    pub(super) room: Option<u64>,
}

impl State {
    pub(super) fn new_file(&mut self) -> u64 {
        self.next_file += 1;
        self.next_file
    }

    /// Counts a change and fails if the process is to be dead by now.
    pub(super) fn change(&mut self) -> io::Result<()> {
        if let Some(left) = &mut self.faults.halt_after {
            *left = left.checked_sub(1).ok_or_else(|| io::Error::other("the process is dead"))?;
        }
        self.counts.changes += 1;
        Ok(())
    }

    pub(super) fn settle(&mut self, pending: &Pending, fate: &Fate) {
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
    pub(super) fn sync(&mut self, covers: impl Fn(&Pending) -> bool) -> io::Result<()> {
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

    pub(super) fn used(&self) -> u64 {
        self.names.values().filter_map(|file| self.content.get(file)).map(|c| c.len() as u64).sum()
    }

    pub(super) fn write(&mut self, file: u64, name: &str, bytes: &[u8], at: u64) {
        write(self.content.entry(file).or_default(), at, bytes);
        let bytes = bytes.to_vec();
        self.unsynced.push(Pending::Write { file, name: name.to_owned(), at, bytes });
    }
}

/// Whether this was the one that is to fail.
pub(super) fn count_down(planned: &mut Option<u64>) -> bool {
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

impl Pending {
    pub(super) fn describe(&self) -> Unsynced {
        match self.clone() {
            Self::Write { name, at, bytes, .. } => Unsynced::Write { name, at, len: bytes.len() },
            Self::Create { name, .. } => Unsynced::Create { name },
            Self::Rename { from, to } => Unsynced::Rename { from, to },
            Self::Remove { name } => Unsynced::Remove { name },
        }
    }
}
