//! The disk that all is measured on.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rustix::fs::{major, minor};

/// The whole disk that a folder is on.
pub(crate) struct Device {
    stat: PathBuf,
    pub(crate) name: String,
}

impl Device {
    pub(crate) fn of(dir: &Path) -> Result<Self> {
        let number = fs::metadata(dir)?.dev();
        let link = format!("/sys/dev/block/{}:{}", major(number), minor(number));
        let found = fs::canonicalize(&link).context("the file system is not on one disk")?;
        let is_part = found.join("partition").exists();
        let disk = found.parent().filter(|_| is_part).unwrap_or(&found);
        let name = disk.file_name().context("the disk has no name")?.to_string_lossy();
        Ok(Self { stat: disk.join("stat"), name: name.into_owned() })
    }

    /// Writes that the disk has completed, whoever asked for them. A flush of its cache counts as
    /// one, if it was asked for alone.
    pub(crate) fn writes(&self) -> Result<u64> {
        let stat = fs::read_to_string(&self.stat)?;
        let writes = stat.split_whitespace().nth(4).context("no count of writes")?;
        Ok(writes.parse()?)
    }
}
