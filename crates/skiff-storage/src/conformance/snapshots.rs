//! Snapshots.

use bytes::Bytes;
use skiff_core::Position;

use super::steps::{members, must, open};
use crate::{
    identity::InstanceId,
    store::{Persistence, SnapshotMeta, Store},
};

pub(super) fn genesis() -> SnapshotMeta {
    meta(1, 1)
}

fn meta(term: u64, index: u64) -> SnapshotMeta {
    SnapshotMeta {
        instance: InstanceId(0xfeed << 64),
        position: Position::new(term, index),
        membership: members(&[1, 2, 3]),
        machine_version: 7,
        codec: "messagepack".to_owned(),
    }
}

#[track_caller]
fn save(store: &mut Store, meta: &SnapshotMeta, content: &[u8]) {
    must("saving a snapshot", store.snapshots.save(meta, content));
}

#[track_caller]
fn assert_newest(store: &Store, meta: &SnapshotMeta, content: &[u8]) {
    let newest = must("asking for the newest snapshot", store.snapshots.newest());
    assert_eq!(newest, Some((meta.clone(), Bytes::copy_from_slice(content))));
}

/// All that is known of a snapshot and its content come back, also if it is empty or large.
pub fn a_snapshot_comes_back_as_it_was_saved(place: &dyn Persistence) {
    let (mut store, _) = open(place);
    let large: Vec<u8> = (0..300_000_u32).map(|at| at.to_le_bytes()[0] ^ 0x55).collect();
    for (index, content) in [(1, &b""[..]), (2, b"some"), (3, &large)] {
        save(&mut store, &meta(1, index), content);
        assert_newest(&store, &meta(1, index), content);
    }
}

/// The newest snapshot is the one of the highest index, in whatever order they were saved.
pub fn the_newest_snapshot_wins(place: &dyn Persistence) {
    let (mut store, _) = open(place);
    save(&mut store, &meta(2, 20), b"twenty");
    save(&mut store, &meta(1, 10), b"ten");
    assert_newest(&store, &meta(2, 20), b"twenty");
    save(&mut store, &meta(2, 30), b"thirty");
    assert_newest(&store, &meta(2, 30), b"thirty");
}

/// A snapshot of the same position takes the place of the one before.
pub fn a_snapshot_of_the_same_position_is_replaced(place: &dyn Persistence) {
    let (mut store, _) = open(place);
    save(&mut store, &genesis(), b"a long first version");
    let second = SnapshotMeta { instance: InstanceId(2), ..genesis() };
    save(&mut store, &second, b"second");
    assert_newest(&store, &second, b"second");
}

/// Snapshots are durable.
pub fn snapshots_survive_reopening(place: &dyn Persistence) {
    let (mut store, _) = open(place);
    save(&mut store, &meta(1, 10), b"ten");
    save(&mut store, &meta(2, 20), b"twenty");
    drop(store);
    assert_newest(&open(place).0, &meta(2, 20), b"twenty");
}
