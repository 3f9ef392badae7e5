//! Backups: the copy of a snapshot in a file of its own, wherever its owner wants it; and a new folder made
//! from one.
//!
//! The file is that of a [snapshot](crate::Snapshots) with the cluster's name in its head.

mod restore;

use std::{
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use skiff_storage::{SnapshotInfo, SnapshotSource, StoreError, measure};

pub use self::restore::{Restore, RestoreError, restore};
use crate::{
    disk::{self, Disk, DiskFile, files::FileDisk, is_full},
    snapshot::{
        content::Content,
        head::{self, BadHead, Head},
    },
};

/// What is appended to the name of a backup that is not complete.
pub const UNFINISHED: &str = ".unfinished";
/// How much is read at once to be verified.
const PIECE: usize = 256 << 10;

/// A backup that is being written. Nothing is under its name before it is [finished](Self::finish);
/// dropped before, it leaves nothing behind.
#[derive(Debug)]
pub struct BackupWriter<D: Disk = FileDisk> {
    disk: D,
    name: String,
    cluster: String,
    info: SnapshotInfo,
    content: Content<D::File>,
    is_placed: bool,
}

impl BackupWriter {
    /// Begins to write a backup at `path`: that of the cluster of this name, as `info` tells.
    ///
    /// # Errors
    ///
    /// As the system has it.
    pub fn create(path: &Path, cluster: &str, info: &SnapshotInfo) -> Result<Self, StoreError> {
        let (disk, name) = place_of(path)?;
        Self::on(disk, &name, cluster, info)
    }
}

impl<D: Disk> BackupWriter<D> {
    /// Likewise, in a file of this name on a disk of whatever kind.
    ///
    /// # Errors
    ///
    /// As the disk has it.
    pub fn on(disk: D, name: &str, cluster: &str, info: &SnapshotInfo) -> Result<Self, StoreError> {
        let unfinished = format!("{name}{UNFINISHED}");
        let created = disk.create(&unfinished);
        let file = created.map_err(|error| failed(&disk, "create", &unfinished, error))?;
        let head = head::encode(&info.meta, Some(cluster), 0, 0).len() as u64;
        Ok(Self {
            name: name.to_owned(),
            cluster: cluster.to_owned(),
            info: info.clone(),
            disk,
            content: Content::new(file, head),
            is_placed: false,
        })
    }

    /// How many bytes of the content were written.
    pub const fn size(&self) -> u64 {
        self.content.size()
    }

    /// Appends to the content.
    ///
    /// # Errors
    ///
    /// As the disk has it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let done = self.content.append(bytes);
        done.map_err(|(action, error)| self.failed(action, error))
    }

    /// Makes it durable, reads it back as a whole, and gives it its name. A file of that name is replaced.
    ///
    /// # Errors
    ///
    /// If what was written is not what was meant, or is read back as something else; or as the disk has it.
    /// Then nothing is under its name that was not there before.
    pub fn finish(mut self) -> Result<(), StoreError> {
        let (found, expected) = (self.content.found(), (self.info.size, self.info.checksum));
        if found != expected {
            return Err(StoreError::not_as_expected(self.info.meta.position, found, expected));
        }
        let (size, checksum) = found;
        let head = head::encode(&self.info.meta, Some(&self.cluster), size, checksum);
        self.content.complete(&head).map_err(|(action, error)| self.failed(action, error))?;
        let unfinished = self.unfinished();
        Backup::of(self.disk.clone(), &unfinished)?.verify()?;
        let disk = &self.disk;
        let moved = disk.rename(&unfinished, &self.name).and_then(|()| disk.sync_dir());
        moved.map_err(|error| failed(disk, "replace", &self.name, error))?;
        self.is_placed = true;
        Ok(())
    }

    fn unfinished(&self) -> String {
        format!("{}{UNFINISHED}", self.name)
    }

    fn failed(&self, action: &'static str, error: io::Error) -> StoreError {
        failed(&self.disk, action, &self.unfinished(), error)
    }
}

impl<D: Disk> Drop for BackupWriter<D> {
    fn drop(&mut self) {
        if !self.is_placed {
            let _ = self.disk.remove(&self.unfinished());
        }
    }
}

/// A file that is a backup, or any snapshot's.
#[derive(Debug)]
pub struct Backup<D: Disk = FileDisk> {
    path: PathBuf,
    file: D::File,
    head: Head,
    end: u64,
}

impl Backup {
    /// Opens the file at `path` and verifies its head. Nothing is ever changed.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is damaged, or of a newer format.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (disk, name) = place_of(path)?;
        Self::of(disk, &name)
    }
}

impl<D: Disk> Backup<D> {
    /// Likewise, the file of this name on a disk of whatever kind.
    ///
    /// # Errors
    ///
    /// As [`open`](Backup::open).
    pub fn of(disk: D, name: &str) -> Result<Self, StoreError> {
        let path = disk.path(name);
        let unreadable = |error| StoreError::io("read", &path, error);
        let file = disk.open(name).map_err(unreadable)?;
        let end = file.size().map_err(unreadable)?;
        let head = Head::read(&file, end, &path).map_err(|bad| match bad {
            BadHead::Damaged(offset, reason) => {
                let (path, reason) = (path.clone(), reason.to_owned());
                StoreError::Corrupt { path, offset, index: None, reason }
            }
            BadHead::Failed(error) => error,
        })?;
        Ok(Self { path, file, head, end })
    }

    /// The name of the cluster; a snapshot that is no backup does not tell it.
    pub fn cluster(&self) -> Option<&str> {
        self.head.cluster.as_deref()
    }
}

impl<D: Disk> SnapshotSource for Backup<D> {
    fn info(&self) -> &SnapshotInfo {
        &self.head.info
    }

    fn read_at(&self, offset: u64, bytes_max: usize) -> Result<Bytes, StoreError> {
        let content = self.end.saturating_sub(self.head.length).min(self.head.info.size);
        let left = usize::try_from(content.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; left.min(bytes_max)];
        let read = disk::read_at(&self.file, &mut bytes, self.head.length.saturating_add(offset));
        bytes.truncate(read.map_err(|error| StoreError::io("read", &self.path, error))?);
        Ok(bytes.into())
    }

    fn verify(&self) -> Result<(), StoreError> {
        let Head { info, length, .. } = &self.head;
        let there = self.end.saturating_sub(*length);
        let corrupt = |offset: u64, reason: String| {
            let (path, index) = (self.path.clone(), Some(info.meta.position.index));
            Err(StoreError::Corrupt { path, offset, index, reason })
        };
        if there != info.size {
            let reason = format!("it holds {there} bytes of a content of {}", info.size);
            return corrupt(self.end.min(length + info.size), reason);
        }
        let found = measure(|offset| self.read_at(offset, PIECE))?;
        if found != (info.size, info.checksum) {
            return corrupt(*length, "the checksum of its content is wrong".to_owned());
        }
        Ok(())
    }
}

/// The folder that a file is in, and its name there.
fn place_of(path: &Path) -> Result<(FileDisk, String), StoreError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name =
        name.ok_or_else(|| StoreError::Misuse(format!("{} is no name of a file", path.display())))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    Ok((FileDisk::new(folder.unwrap_or_else(|| Path::new("."))), name.to_owned()))
}

fn failed<D: Disk>(disk: &D, action: &'static str, name: &str, error: io::Error) -> StoreError {
    if is_full(&error) {
        return StoreError::Full { path: disk.path(name) };
    }
    StoreError::io(action, disk.path(name), error)
}
