//! How many syncs a write costs, and what waits for it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::sync::mpsc;

use common::*;
use skiff_core::{Index, Write};
use skiff_storage::{Done, Persistence, StoreError, Written};
use skiff_wal::{DiskPersistence, disk::sim::SimDisk};

#[test]
fn a_group_costs_one_write_and_one_sync() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, 64 << 10);
    for group in [1, 2, 50] {
        let first = opened.log.reader();
        let before = disk.counts();
        let writes: Vec<Write> =
            (1..=group).map(|index| cut(index, append(1, index, index + 1))).collect();
        assert!(opened.log.append(&writes).error.is_none());
        let after = disk.counts();
        assert_eq!((after.writes - before.writes, after.syncs - before.syncs), (1, 1));
        assert_eq!(after.changes - before.changes, 2, "nothing else is touched");
        drop(first);
    }
}

#[test]
fn a_long_log_takes_little_memory_and_few_extra_syncs() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, 64 << 10);
    let before = disk.counts();
    for index in 1..=1_000 {
        put(&mut opened.log, append(1, index, index + 1));
    }
    let syncs = disk.counts().syncs - before.syncs;
    assert!((1_000..1_060).contains(&syncs), "{syncs} syncs for 1000 writes in 8 segments");
}

/// Writes that come while a write is being made durable are made durable together. The first one's
/// answer is held back until the others are in the queue, so that they must wait.
#[test]
fn what_waits_is_written_at_once() {
    let disk = SimDisk::new();
    let mut store =
        DiskPersistence::on(disk.clone()).segment_size(64 << 10).open(&opening()).unwrap();
    let (go_on, held) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let first = Done::new(move |result| {
        assert!(result.is_ok());
        held.recv().unwrap();
    });
    assert_eq!(store.log.write(append(1, 1, 2), first).unwrap(), Written::Later);
    for index in 2..100 {
        let tell = tell.clone();
        let done = Done::new(move |result| tell.send((index, result.is_ok())).unwrap());
        store.log.write(append(1, index, index + 1), done).unwrap();
    }
    // The first write may or may not have been taken by the writer together with some others; it
    // has not been answered, so no other sync has been begun since then.
    go_on.send(()).unwrap();
    let answers: Vec<(u64, bool)> = told.iter().take(98).collect();
    assert_eq!(answers, (2..100).map(|index| (index, true)).collect::<Vec<_>>());
    let syncs = disk.counts().syncs;
    assert!(syncs < 20, "{syncs} syncs for 99 writes");
}

#[test]
fn a_failed_write_fails_all_that_wait_and_nothing_is_taken_afterwards() {
    let disk = SimDisk::new();
    let mut store =
        DiskPersistence::on(disk.clone()).segment_size(64 << 10).open(&opening()).unwrap();
    let (tell, told) = mpsc::channel();
    disk.fail_sync(1);
    let mut accepted = 0;
    for index in 1..50 {
        let tell = tell.clone();
        let done = Done::new(move |result| tell.send(result).unwrap());
        match store.log.write(append(1, index, index + 1), done) {
            Ok(_) => accepted += 1,
            Err(error) => {
                assert!(matches!(error, StoreError::Poisoned { .. }), "{error}");
                break;
            }
        }
    }
    drop(tell);
    let answers: Vec<Result<(), StoreError>> = told.iter().collect();
    assert_eq!(answers.len(), accepted);
    assert!(answers.iter().all(Result::is_err));
    let error = store.log.write(append(1, 1, 2), Done::new(|_| ())).unwrap_err();
    assert!(matches!(error, StoreError::Poisoned { .. }), "{error}");
}

#[test]
fn a_full_disk_is_told_and_the_store_goes_on() {
    let disk = SimDisk::new();
    let persistence = DiskPersistence::on(disk.clone()).segment_size(TINY);
    let mut store = persistence.open(&opening()).unwrap();
    let put = |store: &mut skiff_storage::Store, write| {
        let (tell, told) = mpsc::channel();
        store.log.write(write, Done::new(move |result| tell.send(result).unwrap())).unwrap();
        told.recv().unwrap()
    };
    disk.limit(Some(4 * TINY));
    let mut next = 1;
    let error = loop {
        match put(&mut store, append(1, next, next + 1)) {
            Ok(()) => next += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    disk.limit(None);
    // The order of a segment that failed may have been given before there was room again.
    let tries = (0..3).map(|_| put(&mut store, append(1, next, next + 1)));
    assert!(tries.take_while(Result::is_err).count() < 2);
    let read = store.log.reader().read(Index(1), Index(next + 1), usize::MAX).unwrap();
    assert_eq!(read.last().unwrap().index, Index(next));
}
