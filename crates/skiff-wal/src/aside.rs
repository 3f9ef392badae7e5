//! Setting all that a folder holds aside, in the folder itself and never deleted: for a node that begins
//! anew.

use std::io;

use skiff_storage::{Opening, Standing, StoreError};

use crate::{
    disk::Disk,
    identity::{self, Kept},
};

/// What the names of files begin with that were set aside.
pub(crate) const ASIDE: &str = "aside-";
const LOCK: &str = "LOCK";

/// Whether the folder's node was removed and is to begin anew.
pub(crate) fn is_wanted(opening: &Opening, kept: Option<&Kept>) -> bool {
    opening.rejoin && kept.is_some_and(|kept| kept.identity.standing == Standing::Removed)
}

/// Renames all there is. IDENTITY goes last: until then, the folder is that of a node that was removed,
/// and after a crash this is done again.
pub(crate) fn set_aside<D: Disk>(disk: &D) -> Result<String, StoreError> {
    let done = || {
        let names = disk.list()?;
        let number = |name: &String| {
            let rest = name.strip_prefix(ASIDE)?;
            rest.split_once('-')?.0.parse::<u64>().ok()
        };
        // An interrupted setting aside is gone on with under its own number, where IDENTITY is missing.
        let last = names.iter().filter_map(number).max();
        let begun = last.filter(|number| !names.contains(&aside(*number, identity::NAME)));
        let number = begun.unwrap_or_else(|| last.unwrap_or(0) + 1);
        let mut held: Vec<&String> = names.iter().filter(|name| !name.starts_with(ASIDE)).collect();
        held.sort_unstable();
        for name in held.into_iter().filter(|name| **name != LOCK && **name != identity::NAME) {
            disk.rename(name, &aside(number, name))?;
        }
        disk.sync_dir()?;
        disk.rename(identity::NAME, &aside(number, identity::NAME))?;
        disk.sync_dir()?;
        Ok(format!("{ASIDE}{number}-"))
    };
    done().map_err(|error: io::Error| StoreError::io("set aside", disk.path(""), error))
}

fn aside(number: u64, name: &str) -> String {
    format!("{ASIDE}{number}-{name}")
}
