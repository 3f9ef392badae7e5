//! The folder that all is measured in.

use std::{
    fs::{self, File},
    path::Path,
};

use anyhow::{Result, bail};
use rustix::fs::{statfs, syncfs};

/// Refuses a folder that is kept in memory.
pub(crate) fn check(dir: &Path) -> Result<()> {
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58f6;
    let kind = statfs(dir)?.f_type as u64;
    if [TMPFS, RAMFS].contains(&kind) {
        bail!("{} is kept in memory: name a folder on a disk", dir.display());
    }
    Ok(())
}

/// Runs `what` in a fresh folder. Before and after, the file system has nothing left to write: what
/// one contestant leaves behind does not fall on the next.
pub(crate) fn fresh<T>(above: &Path, what: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let dir = above.join("contestant");
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir(&dir)?;
    settle(above)?;
    let result = what(&dir);
    fs::remove_dir_all(&dir)?;
    settle(above)?;
    result
}

/// Waits until the file system has written all it has.
pub(crate) fn settle(dir: &Path) -> Result<()> {
    syncfs(File::open(dir)?)?;
    Ok(())
}
