//! A disk that is only looked at: whatever is asked of it, nothing on it changes.

use std::{convert::Infallible, io, path::PathBuf};

use crate::disk::{Disk, DiskFile, LockError};

/// Shows what is on a disk, and refuses everything else.
#[derive(Clone, Debug)]
pub(crate) struct Glass<D> {
    disk: D,
    /// Whether a file that cannot be opened is shown as one that cannot be read, so that the others
    /// can be looked at all the same.
    is_lenient: bool,
}

impl<D: Disk> Glass<D> {
    /// What cannot be opened is an error, as it is for a log that is opened.
    pub(super) const fn before(disk: D) -> Self {
        Self { disk, is_lenient: false }
    }

    /// The same disk, of which one file that cannot be opened hides no other.
    pub(super) fn lenient(&self) -> Self {
        Self { is_lenient: true, ..self.clone() }
    }
}

/// A file behind glass.
#[derive(Debug)]
pub(crate) enum Shown<F> {
    Open(F),
    /// It cannot be opened, for this reason.
    Shut(io::ErrorKind, String),
}

impl<D: Disk> Disk for Glass<D> {
    type File = Shown<D::File>;
    type Lock = Infallible;

    fn lock(&self) -> Result<Infallible, LockError> {
        Err(LockError::Io(only_looked_at()))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn open(&self, name: &str) -> io::Result<Self::File> {
        match self.disk.open(name) {
            Ok(file) => Ok(Shown::Open(file)),
            Err(error) if self.is_lenient && error.kind() != io::ErrorKind::NotFound => {
                Ok(Shown::Shut(error.kind(), error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    fn create(&self, _name: &str) -> io::Result<Self::File> {
        Err(only_looked_at())
    }

    fn rename(&self, _from: &str, _to: &str) -> io::Result<()> {
        Err(only_looked_at())
    }

    fn remove(&self, _name: &str) -> io::Result<()> {
        Err(only_looked_at())
    }

    fn sync_dir(&self) -> io::Result<()> {
        Err(only_looked_at())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.disk.path(name)
    }
}

impl<F: DiskFile> DiskFile for Shown<F> {
    fn size(&self) -> io::Result<u64> {
        match self {
            Self::Open(file) => file.size(),
            Self::Shut(..) => Ok(0),
        }
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        match self {
            Self::Open(file) => file.read_at(into, at),
            Self::Shut(kind, reason) => Err(io::Error::new(*kind, reason.clone())),
        }
    }

    fn write_at(&self, _bytes: &[u8], _at: u64) -> io::Result<()> {
        Err(only_looked_at())
    }

    fn sync(&self) -> io::Result<()> {
        Err(only_looked_at())
    }
}

fn only_looked_at() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "it is only looked at")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::sim::SimDisk;

    #[test]
    fn what_is_looked_at_cannot_be_changed() {
        let disk = SimDisk::new();
        disk.create("a").unwrap().write_at(b"old", 0).unwrap();
        let before = disk.counts();
        let glass = Glass::before(disk.clone()).lenient();
        let file = glass.open("a").unwrap();
        assert!(file.write_at(b"new", 0).is_err() && file.sync().is_err());
        assert!(glass.create("a").is_err() && glass.remove("a").is_err());
        assert!(glass.rename("a", "b").is_err() && glass.sync_dir().is_err());
        assert!(glass.lock().is_err());
        assert_eq!(disk.counts(), before);
        let mut read = [0; 3];
        assert_eq!(file.read_at(&mut read, 0).unwrap(), 3);
        assert_eq!((&read, glass.list().unwrap()), (b"old", vec!["a".to_owned()]));
    }
}
