//! One file: what a process sees of it, and what is on the medium.

use std::{ops::Range, sync::Arc};

use super::unsynced::{Fate, SECTOR, sectors_of};

/// A file. Both images are shared until one of them changes, so that a fork, an image or a crash
/// costs nothing for a file that is only read.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) seen: Arc<Vec<u8>>,
    pub(super) synced: Arc<Vec<u8>>,
    /// What it was called last on the medium.
    pub(super) synced_name: Option<Arc<str>>,
    /// Writes that no sync has covered, in order.
    pub(super) unsynced: Vec<Written>,
    /// Sectors that cannot be read, by their first byte.
    pub(super) broken: Vec<u64>,
    /// Written since the last crash.
    pub(super) is_changed: bool,
    /// Cloned by each handle.
    pub(super) handles: Arc<()>,
}

#[derive(Clone, Debug)]
pub(super) struct Written {
    /// Its number among all operations.
    pub(super) number: u64,
    /// How the file was called when opened.
    pub(super) name: Arc<str>,
    pub(super) at: u64,
    pub(super) bytes: Box<[u8]>,
    /// Where it really goes, if elsewhere.
    pub(super) astray: Option<Astray>,
}

/// A place where a write does not belong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Astray {
    /// `None`: nowhere at all.
    pub(super) file: Option<u64>,
    pub(super) at: u64,
}

/// The same file of another disk: nobody has it open there.
impl Clone for Content {
    fn clone(&self) -> Self {
        Self {
            seen: Arc::clone(&self.seen),
            synced: Arc::clone(&self.synced),
            synced_name: self.synced_name.clone(),
            unsynced: self.unsynced.clone(),
            broken: self.broken.clone(),
            is_changed: self.is_changed,
            handles: Arc::default(),
        }
    }
}

impl Content {
    /// A file that holds this, durably.
    pub(super) fn synced(bytes: Arc<Vec<u8>>) -> Self {
        Self { seen: Arc::clone(&bytes), synced: bytes, ..Self::default() }
    }

    pub(super) fn len(&self) -> u64 {
        self.seen.len() as u64
    }

    pub(super) fn is_open(&self) -> bool {
        Arc::strong_count(&self.handles) > 1
    }

    /// Puts down what a write leaves on the medium.
    pub(super) fn land(&mut self, bytes: &[u8], at: u64, fate: &Fate) {
        let synced = Arc::make_mut(&mut self.synced);
        match fate {
            Fate::Keep => write(synced, at, bytes),
            Fate::Drop => {}
            Fate::Tear(_) => {
                for (sector, range) in sectors_of(at, bytes.len()).enumerate() {
                    if fate.keeps(sector) {
                        write(synced, at + range.start as u64, &bytes[range]);
                    }
                }
            }
        }
    }

    pub(super) fn lose_memory(&mut self) {
        self.unsynced.clear();
        self.seen = Arc::clone(&self.synced);
        self.is_changed = false;
    }

    pub(super) fn see(&mut self, bytes: &[u8], at: u64) {
        write(Arc::make_mut(&mut self.seen), at, bytes);
        // A disk puts another sector in the place of a broken one when it is written.
        if !self.broken.is_empty() {
            let written = at..at + bytes.len() as u64;
            self.broken.retain(|sector| !overlap(&written, *sector));
        }
    }

    pub(super) fn is_broken(&self, at: u64, len: usize) -> bool {
        let read = at..at + len as u64;
        self.broken.iter().any(|sector| overlap(&read, *sector))
    }

    /// Changes bytes of the medium. What a process sees changes along, but for what it has written
    /// there and not synced. False if no byte of the range is on the medium.
    pub(super) fn damage(&mut self, range: Range<u64>, change: impl Fn(u8) -> u8) -> bool {
        let end = range.end.min(self.synced.len() as u64);
        if range.start >= end {
            return false;
        }
        let places = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        for at in range.start..end {
            let byte = change(self.synced[places(at)]);
            Arc::make_mut(&mut self.synced)[places(at)] = byte;
            let covers = |one: &Written| (one.at..one.at + one.bytes.len() as u64).contains(&at);
            let is_covered = self.unsynced.iter().any(covers);
            if !is_covered && at < self.len() {
                Arc::make_mut(&mut self.seen)[places(at)] = byte;
            }
        }
        true
    }
}

fn overlap(range: &Range<u64>, sector: u64) -> bool {
    range.start < sector + SECTOR as u64 && sector < range.end
}

fn write(content: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    if content.len() == at {
        return content.extend_from_slice(bytes);
    }
    if content.len() < at + bytes.len() {
        content.resize(at + bytes.len(), 0);
    }
    content[at..at + bytes.len()].copy_from_slice(bytes);
}
