//! Queues stay within their limits: one write at a time at the disk, no more at the machine than it may
//! be handed, no more in the log of a leader that waits to be committed than it may take.

use skiff_replica::{
    Apply, Job,
    core::{Entry, Payload, Raft},
};

use crate::failure::{Verdict, must};

/// The machine is handed up to so many bytes at once, beyond what fills its window.
const BATCH_BYTES: usize = 1 << 20;
/// Jobs that wait for the disk: a write, and what forming writes.
const DISK_JOBS_MAX: usize = 3;

/// These jobs wait for a node's disk.
pub(crate) fn at_disk(jobs: usize) -> Verdict {
    must(jobs <= DISK_JOBS_MAX, || format!("{jobs} jobs wait for the disk"))
}

/// A leader writes these entries. It took each of its own when what waited to be committed, with it, was
/// within the limit; or nothing else was waiting.
pub(crate) fn uncommitted(raft: &Raft, entries: &[Entry], most: usize) -> Verdict {
    // Changes of the members are few, and the leader's own.
    let is_taken = |entry: &&Entry| !matches!(entry.payload, Payload::Membership(_));
    let is_own = |entry: &&Entry| {
        entry.term == raft.term() && entry.index > raft.committed() && is_taken(entry)
    };
    let sizes: Vec<usize> = entries.iter().filter(is_own).map(Entry::size).collect();
    let all: usize = sizes.iter().sum();
    must(!raft.is_leader() || sizes.len() < 2 || all <= most, || {
        format!("{all} bytes wait to be committed, the limit is {most}")
    })
}

/// These jobs wait for a node's machine.
pub(crate) fn at_machine<'j>(jobs: impl Iterator<Item = &'j Job>, apply_bytes: usize) -> Verdict {
    let bytes = |apply: &Apply| apply.entries.iter().map(Entry::size).sum::<usize>();
    let all: usize =
        jobs.map(|job| if let Job::Apply(apply) = job { bytes(apply) } else { 0 }).sum();
    let most = apply_bytes.saturating_add(BATCH_BYTES);
    must(all <= most, || format!("{all} bytes wait for the machine, the window is {most}"))
}
