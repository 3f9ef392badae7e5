//! What is on the medium at one time.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{
    SimDisk,
    content::Content,
    state::{Names, State},
};

/// All that was on the medium of a [`SimDisk`] when it was taken. It costs little to keep.
#[derive(Clone)]
pub struct Image {
    names: Names,
    pub(super) files: BTreeMap<u64, Arc<Vec<u8>>>,
}

impl SimDisk {
    /// What would be there if the power went now and took all that was not synced.
    #[must_use]
    pub fn image(&self) -> Image {
        let state = self.state();
        let files = state.durable_names.values().filter_map(|file| {
            let content = state.files.get(file)?;
            Some((*file, Arc::clone(&content.synced)))
        });
        Image { names: state.durable_names.clone(), files: files.collect() }
    }

    /// Puts the folder back to what it was, on this or another disk, as when a virtual machine is
    /// rolled back: whatever happened since is gone, also what was not synced. Files that are open
    /// fail from now on, the lock is given back, planned faults are forgotten.
    pub fn restore_image(&self, image: &Image) {
        let mut state = self.state();
        let files = image.files.iter();
        let files = files.map(|(file, bytes)| (*file, Content::synced(Arc::clone(bytes))));
        state.is_gone = false;
        state.replace(&image.names, files.collect());
    }
}

impl State {
    /// The files on the medium, in the order of their names.
    pub(super) fn durable_files(&self) -> impl Iterator<Item = (&Arc<str>, &Content)> {
        self.durable_names.iter().filter_map(|(name, file)| Some((name, self.files.get(file)?)))
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("names", &self.names).finish_non_exhaustive()
    }
}
