//! File systems of the tests' own, small enough to be filled up.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::{
    fs::{FallocateFlags, fallocate, fstatvfs, syncfs},
    process::{getegid, geteuid},
};

use crate::{
    common::path,
    means::{privileged, works},
};

/// What both kinds of file system give out room by.
pub(crate) const PAGE: u64 = 4096;

/// A file system, taken away when dropped.
#[derive(Debug)]
pub(crate) struct Mounted {
    at: PathBuf,
    is_there: bool,
}

impl Mounted {
    /// A file system in memory, with so many bytes. `None` where that is not allowed.
    pub(crate) fn tmpfs(at: &Path, bytes: u64) -> Option<Self> {
        let (user, group) = (geteuid().as_raw(), getegid().as_raw());
        let options = format!("size={bytes},mode=0700,uid={user},gid={group}");
        Self::mount(at, &["-t", "tmpfs", "-o", &options, "tmpfs"])
    }

    /// The file system in this file.
    pub(crate) fn image(image: &Path, at: &Path) -> Option<Self> {
        Self::mount(at, &["-o", "loop", path(image)])
    }

    fn mount(at: &Path, arguments: &[&str]) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        works(privileged("mount").args(arguments).arg(at))
            .then(|| Self { at: at.to_owned(), is_there: true })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.at
    }

    /// How many bytes can still be written.
    pub(crate) fn room(&self) -> u64 {
        let found = fstatvfs(File::open(&self.at).unwrap()).unwrap();
        found.f_bfree * found.f_frsize
    }

    /// Writes a file that leaves room for so many bytes.
    pub(crate) fn fill_but(&self, bytes: u64) -> Ballast {
        let path = self.at.join("ballast");
        let mut file = File::create(&path).unwrap();
        let zeros = vec![0; 1 << 20];
        while let left @ 1.. = self.room().saturating_sub(bytes) {
            let count = usize::try_from(left).unwrap().min(zeros.len());
            file.write_all(&zeros[..count]).unwrap();
        }
        assert_eq!(self.room(), bytes);
        Ballast { path }
    }

    /// Writes all that waits to be written.
    pub(crate) fn sync(&self) {
        syncfs(File::open(&self.at).unwrap()).unwrap();
    }

    /// Takes it away now. If somebody still uses it that fails.
    pub(crate) fn unmount(mut self) {
        assert!(works(privileged("umount").arg(&self.at)), "{} is in use", self.at.display());
        self.is_there = false;
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.is_there {
            // Also if a test failed in the middle: when the last user is gone, at the latest.
            let _gone = privileged("umount").arg("--lazy").arg(&self.at).status();
        }
    }
}

/// A file that takes up room.
#[derive(Debug)]
pub(crate) struct Ballast {
    path: PathBuf,
}

impl Ballast {
    pub(crate) fn remove(self) {
        fs::remove_file(self.path).unwrap();
    }
}

/// Makes a file with an ext4 of so many bytes in it. It takes up no more room than what was written.
/// Without a journal, which would turn the whole file system read-only when it cannot be written.
pub(crate) fn make_ext4(image: &Path, bytes: u64) -> bool {
    File::create(image).unwrap().set_len(bytes).unwrap();
    let owner = format!("root_owner={}:{}", geteuid().as_raw(), getegid().as_raw());
    let mut make = Command::new("mkfs.ext4");
    make.args([
        "-q",
        "-F",
        "-b",
        "4096",
        "-O",
        "^has_journal",
        "-E",
        &format!("{owner},lazy_itable_init=0"),
    ]);
    works(make.arg(image))
}

/// Gives back the room that the zeros in a file take up. They are still read as zeros, but to write
/// there needs room again.
pub(crate) fn dig_holes(image: &Path) {
    let file = OpenOptions::new().read(true).write(true).open(image).unwrap();
    let zeros = vec![0; usize::try_from(PAGE).unwrap()];
    let mut page = zeros.clone();
    for at in (0..file.metadata().unwrap().len()).step_by(zeros.len()) {
        file.read_exact_at(&mut page, at).unwrap();
        if page == zeros {
            let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(&file, how, at, PAGE).unwrap();
        }
    }
}
