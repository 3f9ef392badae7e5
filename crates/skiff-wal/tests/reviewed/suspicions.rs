//! Single schedules, each of which has lost something once, or might.

use skiff_core::Position;
use skiff_storage::{SnapshotMeta, SnapshotStore, StoreError};
use skiff_wal::disk::sim::{Fate, SimDisk};

use crate::common::*;

/// The folder's sync fails: the snapshot's name is seen from then on, but it is not on the medium and
/// never will be. A process that begins then must not build on it.
#[test]
fn a_snapshot_whose_name_was_not_synced_is_not_shown() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, TINY);
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
