//! Real processes on the real kernel, whose disk fails: calls that fail or are late, by `strace`;
//! full disks, by a small `tmpfs`; errors of write-back, by a file system on a loop device; and
//! `kill -9`.
//!
//! What a machine lacks a test does not need: it says `skipped:` and why, and passes.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

/// What a test needs of the machine, and what it says if that is not there.
#[path = "kernel/means.rs"]
mod means;

#[path = "kernel/history.rs"]
mod history;
#[path = "kernel/load.rs"]
mod load;
#[path = "kernel/mounted.rs"]
mod mounted;
#[path = "kernel/nodes.rs"]
mod nodes;
#[path = "kernel/traced.rs"]
mod traced;

#[path = "kernel/failed_sync.rs"]
mod failed_sync;
#[path = "kernel/failed_write.rs"]
mod failed_write;
#[path = "kernel/full_disk.rs"]
mod full_disk;
#[path = "kernel/killed_at_a_sync.rs"]
mod killed_at_a_sync;
#[path = "kernel/kills.rs"]
mod kills;
#[path = "kernel/locked.rs"]
mod locked;
#[path = "kernel/slow_disk.rs"]
mod slow_disk;
#[path = "kernel/write_back.rs"]
mod write_back;
