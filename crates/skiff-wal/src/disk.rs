//! What the log needs of a disk: one folder of files.
//!
//! Everything Skiff keeps goes through this, so that it can be run on a disk that forgets, tears and
//! fails ([`SimDisk`](sim::SimDisk)) as well as on real files ([`FileDisk`](files::FileDisk)).

pub mod files;
pub mod sim;

use std::{io, path::PathBuf};

use thiserror::Error;

/// One folder; clones are the same one. Creations, renames and removals are only durable after [`sync_dir`](Self::sync_dir).
pub trait Disk: Clone + Send + Sync + 'static {
    /// An open file.
    type File: DiskFile;
    /// The right to use the folder, given back when dropped.
    type Lock: Send + Sync;

    /// Takes the folder for this process and this opening; creates it if it is not there.
    ///
    /// # Errors
    ///
    /// If somebody else has it, or as the system has it.
    fn lock(&self) -> Result<Self::Lock, LockError>;

    /// The names of all there is in the folder, in no order.
    ///
    /// # Errors
    ///
    /// As the system has it.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file that exists.
    ///
    /// # Errors
    ///
    /// As the system has it.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file that is empty: a new one, or one that loses what it held.
    ///
    /// # Errors
    ///
    /// As the system has it.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Renames a file, atomically; one of the new name is replaced.
    ///
    /// # Errors
    ///
    /// As the system has it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// As the system has it.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes creations, renames and removals durable.
    ///
    /// # Errors
    ///
    /// As the system has it. What was not durable before may never become so.
    fn sync_dir(&self) -> io::Result<()>;

    /// How much room there is; `None` if that is not known, or if there is no limit.
    ///
    /// # Errors
    ///
    /// As the system has it.
    fn space(&self) -> io::Result<Option<Space>> {
        Ok(None)
    }

    /// How a file is called in messages; the folder itself for an empty name.
    fn path(&self, name: &str) -> PathBuf;
}

/// The room on a disk, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// What this process may still use.
    pub free: u64,
    /// All there is.
    pub total: u64,
}

/// An open file, for reading and writing at any place from any thread.
pub trait DiskFile: Send + Sync + 'static {
    /// Its length in bytes.
    ///
    /// # Errors
    ///
    /// As the system has it.
    fn size(&self) -> io::Result<u64>;

    /// Reads from `at` on; less than asked for only where the file ends.
    ///
    /// # Errors
    ///
    /// As the system has it.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `at`.
    ///
    /// # Errors
    ///
    /// As the system has it. Any part may have been written.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// Makes the content and the length durable.
    ///
    /// # Errors
    ///
    /// As the system has it. What was not durable before may never become so, whatever a later call
    /// says.
    fn sync(&self) -> io::Result<()>;
}

/// Why a folder could not be taken.
#[derive(Debug, Error)]
pub enum LockError {
    /// Somebody has it: "process 123".
    #[error("in use by {0}")]
    Held(String),
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads; what fails is tried once more, since some failures pass.
pub(crate) fn read_at(file: &impl DiskFile, into: &mut [u8], at: u64) -> io::Result<usize> {
    file.read_at(into, at).or_else(|_| file.read_at(into, at))
}

/// Whether this error says that there is no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
