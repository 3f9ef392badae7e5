//! Real files.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
};

use rustix::fs::{FlockOperation, flock, statvfs};

use super::{Disk, DiskFile, LockError, Space};

const LOCK: &str = "LOCK";

/// A folder in the file system. Folder and files are made for their owner's eyes only.
#[derive(Clone, Debug)]
pub struct FileDisk {
    dir: PathBuf,
}

impl FileDisk {
    /// The folder at `dir`, which is created when it is locked.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    fn options() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        options
    }
}

impl Disk for FileDisk {
    type File = OpenFile;
    type Lock = FileLock;

    fn lock(&self) -> Result<FileLock, LockError> {
        create_dir(&self.dir)?;
        let mut file = Self::options().create(true).truncate(false).open(self.dir.join(LOCK))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(LockError::Held(holder(&mut file))),
            Err(error) => return Err(LockError::Io(error.into())),
        }
        file.set_len(0)?;
        file.write_all_at(format!("{}\n", process::id()).as_bytes(), 0)?;
        Ok(FileLock { _file: file })
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn open(&self, name: &str) -> io::Result<OpenFile> {
        let path = self.dir.join(name);
        match Self::options().open(&path) {
            Ok(file) => Ok(OpenFile(file)),
            // To look at it is always possible; a write fails later.
            Err(error) if may_be_read_only(&error) => Ok(OpenFile(File::open(path)?)),
            Err(error) => Err(error),
        }
    }

    fn create(&self, name: &str) -> io::Result<OpenFile> {
        Self::options().create(true).truncate(true).open(self.dir.join(name)).map(OpenFile)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.dir.join(from), self.dir.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.dir.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }

    fn space(&self) -> io::Result<Option<Space>> {
        let found = statvfs(&self.dir)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        // Some file systems have no size.
        let is_known = found.f_blocks > 0;
        Ok(is_known.then(|| Space { free: bytes(found.f_bavail), total: bytes(found.f_blocks) }))
    }

    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.dir.clone() } else { self.dir.join(name) }
    }
}

fn may_be_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Creates a folder and those above it, durably.
fn create_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = dir.parent().filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above {
        create_dir(above)?;
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
        result => result?,
    }
    File::open(above.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// Who wrote its process number into the lock file.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(20).read_to_string(&mut text);
    match read.ok().and_then(|_| text.trim().parse::<u32>().ok()) {
        Some(pid) if pid == process::id() => "this process already".to_owned(),
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}

/// An OS lock: it ends with the process, whatever happens to it.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

/// A file of a [`FileDisk`].
#[derive(Debug)]
pub struct OpenFile(File);

impl DiskFile for OpenFile {
    fn size(&self) -> io::Result<u64> {
        self.0.metadata().map(|metadata| metadata.len())
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < into.len() {
            match self.0.read_at(&mut into[read..], at + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        // `fdatasync`, which takes along the length if it changed; `F_FULLFSYNC` on macOS.
        self.0.sync_data()
    }
}
