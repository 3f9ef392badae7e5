//! Single schedules, each of which has lost something once, or might.

use std::ops::Range;

use skiff_core::Position;
use skiff_storage::{SnapshotMeta, SnapshotStore, StoreError};
use skiff_wal::disk::sim::{Fate, Image, SimDisk};

use crate::common::*;

/// The folder's sync fails: the snapshot's name is seen from then on, but it is not on the medium and
/// never will be. A process that begins then must not build on it.
#[test]
fn a_snapshot_whose_name_was_not_synced_is_not_shown() {
    let disk = SimDisk::new();
    let opened = open(&disk, TINY);
    let meta =
        |index| SnapshotMeta { position: Position::new(1, index), ..SnapshotMeta::default() };
    opened.snapshots.save(&meta(1), b"first").unwrap();
    disk.fail_sync(2);
    let error = opened.snapshots.save(&meta(2), b"second").unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    drop(opened);
    disk.kill();
    let newest = |disk: &SimDisk| {
        let opened = open(disk, TINY);
        opened.snapshots.newest().unwrap().map(|(meta, _)| meta.position.index.0)
    };
    let shown = newest(&disk);
    disk.crash(|_| Fate::Drop);
    assert_eq!(newest(&disk), shown);
    assert_eq!(shown, Some(1));
}

/// A log of two batches, of which nothing but themselves says that they were synced; and an image
/// from before the second one, with the place where that stands.
fn two_batches() -> (SimDisk, Image, Range<u64>, Model) {
    let disk = SimDisk::new();
    let mut opened = open(&disk, 64 << 10);
    put(&mut opened.log, append(1, 1, 4));
    let before = disk.image();
    let from = end_of(&disk);
    put(&mut opened.log, append(1, 4, 9));
    let model = Model::default().after(&append(1, 1, 9));
    drop(opened);
    disk.kill();
    let to = end_of(&disk);
    (disk, before, from..to, model)
}

/// Where in the first segment nothing stands any more.
fn end_of(disk: &SimDisk) -> u64 {
    let content = disk.content(&segment(1)).unwrap();
    let last = content.iter().rposition(|byte| *byte != 0).unwrap();
    (last as u64 + 1).next_multiple_of(512)
}

/// A read that once gives what stood there before, whichever of all reads of an opening it is, is no
/// reason to drop what was acknowledged, let alone to write the old bytes over it.
#[test]
fn a_stale_read_while_opening_destroys_nothing() {
    let (disk, before, range, model) = two_batches();
    let mut stale = 0;
    for nth in 0.. {
        let disk = disk.fork();
        assert!(disk.stale_reads(&segment(1), range.clone(), &before, nth..nth + 1));
        let reads = disk.counts().reads;
        drop(try_open(&disk, 64 << 10));
        if disk.counts().reads - reads <= nth {
            break;
        }
        stale += 1;
        disk.crash(|_| Fate::Drop);
        assert_eq!(Model::of(&open(&disk, 64 << 10)), model, "read {nth}");
    }
    assert!(stale > 3, "{stale} reads");
}

/// As when a copy of a folder was not copied to its end: the file is shorter than it ever was.
#[test]
fn a_segment_that_is_shorter_than_it_was_made_has_lost_something() {
    let (disk, _, _, model) = two_batches();
    let whole = disk.content(&segment(1)).unwrap();
    for length in (0..whole.len()).step_by(512) {
        let disk = disk.fork();
        let mut content = whole.clone();
        content.truncate(length);
        disk.put(&segment(1), content);
        match try_open(&disk, 64 << 10) {
            Err(StoreError::Lost { .. } | StoreError::Corrupt { .. }) => {}
            Err(error) => panic!("{length}: {error}"),
            Ok(opened) => panic!("{length}: {:?} of {model:?}", Model::of(&opened)),
        }
    }
}

/// The process before could not sync a segment that it was making, and could not remove it either:
/// nobody knows how much of the file is on the medium. The next one does not use it.
#[test]
fn a_segment_of_which_the_making_failed_is_not_used() {
    for (nth, halt) in (1..8).flat_map(|nth| (nth..4 * nth).map(move |halt| (nth, halt))) {
        let disk = SimDisk::new();
        let mut opened = open(&disk, TINY);
        let mut model = Model::default().after(&append(1, 1, 2));
        put(&mut opened.log, append(1, 1, 2));
        disk.fail_sync(nth);
        disk.halt_after(halt);
        let write = append(1, 2, 6);
        let is_durable = try_put(&mut opened.log, write.clone()).is_ok();
        drop(opened);
        disk.kill();
        let mut opened = open(&disk, TINY);
        let found = Model::of(&opened);
        assert!(model.during(&write).contains(&found), "{nth}, {halt}: {found:?}");
        assert!(!is_durable || found == model.after(&write));
        model = found;
        let next = model.last().index.0 + 1;
        for index in next..next + 10 {
            put(&mut opened.log, append(2, index, index + 1));
            model = model.after(&append(2, index, index + 1));
            let image = disk.fork();
            image.crash(|_| Fate::Drop);
            assert_eq!(Model::of(&open(&image, TINY)), model, "{nth}, {halt}");
        }
    }
}

/// Some failures of reads pass.
#[test]
fn any_one_read_of_an_opening_may_fail() {
    let (disk, _, _, model) = two_batches();
    let mut opened = open(&disk, 64 << 10);
    // So that the time of the last entry must be looked for.
    put(&mut opened.log, cut(6, append(1, 6, 6)));
    let meta = SnapshotMeta { position: Position::new(1, 1), ..SnapshotMeta::default() };
    opened.snapshots.save(&meta, b"content").unwrap();
    drop(opened);
    let model = model.after(&cut(6, append(1, 6, 6)));
    for nth in 1.. {
        let disk = disk.fork();
        disk.fail_read(nth);
        let reads = disk.counts().reads;
        let opened = match try_open(&disk, 64 << 10) {
            Ok(opened) => opened,
            Err(error) => panic!("read {nth}: {error}"),
        };
        assert_eq!(Model::of(&opened), model, "read {nth}");
        assert!(opened.snapshots.newest().unwrap().is_some(), "read {nth}");
        if disk.counts().reads - reads < nth {
            break;
        }
        assert!(nth < 100);
    }
}
