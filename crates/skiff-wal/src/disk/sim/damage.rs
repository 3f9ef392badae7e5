//! What happens to the medium behind everybody's back.

use std::{ops::Range, sync::Arc};

use super::{SimDisk, content::Content, unsynced::SECTOR};

impl SimDisk {
    /// Flips a bit, 0 to 7, of a synced byte. A process sees it too, unless it has written there
    /// since. False if there is no such byte.
    pub fn flip_bit(&self, name: &str, at: u64, bit: u8) -> bool {
        self.damage(name, at..at.saturating_add(1), |byte| byte ^ 1 << (bit % 8))
    }

    /// Fills the synced bytes of the sector around byte `at` with zeros. A process sees them too,
    /// but for what it has written there since. False if there is no such sector.
    pub fn zero_sector(&self, name: &str, at: u64) -> bool {
        let start = at / SECTOR as u64 * SECTOR as u64;
        self.damage(name, start..start.saturating_add(SECTOR as u64), |_| 0)
    }

    /// Lets all reads fail that touch the sector around byte `at`, until that is written again: also
    /// after a crash. False if no file has this name.
    pub fn break_sector(&self, name: &str, at: u64) -> bool {
        let mut state = self.state();
        let Some(file) = state.names.get(name).copied() else { return false };
        let Some(content) = state.files.get_mut(&file) else { return false };
        content.broken.push(at / SECTOR as u64 * SECTOR as u64);
        true
    }

    fn damage(&self, name: &str, range: Range<u64>, change: impl Fn(u8) -> u8) -> bool {
        self.state().durable(name).is_some_and(|content| content.damage(range, change))
    }

    /// Puts a file there, durably, past all operations: for tests that damage something.
    pub fn put(&self, name: &str, content: Vec<u8>) {
        let mut state = self.state();
        let file = match state.names.get(name) {
            Some(file) => *file,
            None => state.new_file(),
        };
        let name: Arc<str> = name.into();
        state.names.insert(Arc::clone(&name), file);
        state.durable_names.insert(Arc::clone(&name), file);
        let content = Arc::new(content);
        let file = state.files.entry(file).or_default();
        (file.seen, file.synced) = (Arc::clone(&content), content);
        file.synced_name = Some(name);
    }

    /// Takes a file away, durably, past all operations.
    pub fn take_away(&self, name: &str) {
        let mut state = self.state();
        state.names.remove(name);
        state.durable_names.remove(name);
    }

    /// Removes the folder and all in it, durably. Files that are open can still be used, but nothing
    /// can be found, created or renamed until somebody takes the lock: that makes a new folder.
    pub fn remove_folder(&self) {
        let mut state = self.state();
        state.names.clear();
        state.durable_names.clear();
        state.renamed.clear();
        state.holder = None;
        state.is_gone = true;
        state.forget_unnamed();
    }

    /// The names of the files on the medium, and how long each is there: what can be damaged.
    #[must_use]
    pub fn synced_files(&self) -> Vec<(Arc<str>, u64)> {
        let state = self.state();
        let length = |content: &Content| content.synced.len() as u64;
        state.durable_files().map(|(name, file)| (Arc::clone(name), length(file))).collect()
    }

    /// The content of a file on the medium.
    #[must_use]
    pub fn synced_content(&self, name: &str) -> Option<Vec<u8>> {
        self.state().durable(name).map(|content| content.synced.to_vec())
    }

    /// The content of a file as a process sees it.
    #[must_use]
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        self.state().seen(name).map(|content| content.seen.to_vec())
    }
}
