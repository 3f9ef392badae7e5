//! What kind of file system a folder is on: on one that lives in memory nothing is durable.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::failure::Failure;

/// The kinds one meets, by the number the kernel gives them.
const KINDS: [(u64, &str); 14] = [
    (0xef53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683e, "btrfs"),
    (0x2fc1_2fc1, "zfs"),
    (0xf2f5_2010, "f2fs"),
    (0xca45_1a4e, "bcachefs"),
    (0x794c_7630, "overlayfs"),
    (0x0102_1994, TMPFS),
    (0x8584_58f6, RAMFS),
    (0x6969, "nfs"),
    (0xff53_4d42, "cifs"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "fuse"),
    (0x4d44, "vfat"),
];
const TMPFS: &str = "tmpfs";
const RAMFS: &str = "ramfs";

/// The kind of file system that this folder, or the nearest one above that exists, is on.
pub(crate) fn kind(folder: &Path) -> Result<String, Failure> {
    let folder = std::path::absolute(folder)?;
    let found = folder.ancestors().find(|folder| folder.exists()).unwrap_or(&folder);
    let stat = rustix::fs::statfs(found)
        .with_context(|| format!("cannot ask for the file system of {}", found.display()))?;
    // The kernel's own type for it differs between machines, the number does not.
    #[expect(
        clippy::allow_attributes,
        reason = "whether the cast is lossless depends on the machine"
    )]
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_sign_loss,
        clippy::cast_lossless,
        reason = "as above"
    )]
    let number = (stat.f_type as u64) & 0xffff_ffff;
    let known = KINDS.iter().find(|(known, _)| *known == number);
    Ok(known.map_or_else(|| format!("file system {number:#x}"), |(_, name)| (*name).to_owned()))
}

/// A folder to put data in that must survive a crash, and its kind: the one asked for, or else the
/// first of the system's temporary folder and the current one that is on a disk.
pub(crate) fn durable_folder(asked: Option<&Path>) -> Result<(PathBuf, String), Failure> {
    let candidates = match asked {
        Some(asked) => vec![asked.to_owned()],
        None => vec![std::env::temp_dir(), std::env::current_dir()?],
    };
    let mut refused = Vec::new();
    for folder in candidates {
        let kind = kind(&folder)?;
        if kind != TMPFS && kind != RAMFS {
            return Ok((folder, kind));
        }
        refused.push(format!("{} is on {kind}", folder.display()));
    }
    Err(Failure::failed(format!(
        "{}, which lives in memory: nothing there is durable, and nothing measured there means \
         anything. Give a folder on a disk with --dir",
        refused.join(", and ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_memory_is_known_and_refused() {
        let memory = Path::new("/dev/shm");
        if !memory.exists() || kind(memory).unwrap() != TMPFS {
            return;
        }
        let refused = durable_folder(Some(memory)).unwrap_err();
        assert!(refused.to_string().contains("/dev/shm is on tmpfs"), "{refused}");
        // Also one below it that is not there yet.
        assert!(durable_folder(Some(&memory.join("not/there"))).is_err());
    }

    #[test]
    fn proc_is_no_disk_known_by_name() {
        assert!(kind(Path::new("/proc")).unwrap().starts_with("file system 0x"));
    }
}
