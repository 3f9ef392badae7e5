//! Whether a process has a directory open, without asking for the lock: that could keep a node from
//! starting at that moment.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

/// The number of the process that has the directory open, as far as the system tells.
pub(super) fn of(dir: &Path) -> Option<u32> {
    let lock = dir.join("LOCK");
    let inode = fs::metadata(&lock).ok()?.ino();
    let pid: u32 = fs::read_to_string(&lock).ok()?.trim().parse().ok()?;
    // Each line: number, kind, manner, reading or writing, process, device:inode, from, to.
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().any(|line| is_held(line, pid, inode)).then_some(pid)
}

fn is_held(line: &str, pid: u32, inode: u64) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, "FLOCK", _, _, holder, file, ..] = words[..] else { return false };
    let file = file.rsplit(':').next().and_then(|inode| inode.parse().ok());
    holder.parse() == Ok(pid) && file == Some(inode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_known_by_its_process_and_file() {
        let line = "3: FLOCK  ADVISORY  WRITE 4259 00:2b:1234 0 EOF";
        assert!(is_held(line, 4259, 1234));
        assert!(!is_held(line, 4259, 12) && !is_held(line, 425, 1234));
        assert!(!is_held("3: -> FLOCK  ADVISORY  WRITE 4259 00:2b:1234 0 EOF", 4259, 1234));
        assert!(!is_held("3: POSIX  ADVISORY  WRITE 4259 00:2b:1234 0 EOF", 4259, 1234));
        assert!(!is_held("", 0, 0));
    }
}
