//! Snapshots.

use bytes::Bytes;
use skiff_core::{Index, LogTime, Position, Term};

use super::steps::{members, must, must_fail, open};
use crate::{
    error::StoreError,
    identity::InstanceId,
    snapshot::{SnapshotMeta, SnapshotSink},
    store::{Persistence, Store},
};

pub(super) fn genesis() -> SnapshotMeta {
    meta(1, 1)
}

fn meta(term: u64, index: u64) -> SnapshotMeta {
    SnapshotMeta {
        instance: InstanceId(0xfeed << 64),
        position: Position::new(term, index),
        time: LogTime(77),
        membership: members(&[1, 2, 3]),
        terms: vec![(Index(1), Term(1)), (Index(5), Term(term))],
        machine_version: 7,
        codec: "messagepack".to_owned(),
    }
}

#[track_caller]
fn save(store: &Store, meta: &SnapshotMeta, content: &[u8]) {
    must("saving a snapshot", store.snapshots.save(meta, content));
}

#[track_caller]
fn assert_newest(store: &Store, meta: &SnapshotMeta, content: &[u8]) {
    let newest = must("asking for the newest snapshot", store.snapshots.newest());
    assert_eq!(newest, Some((meta.clone(), Bytes::copy_from_slice(content))));
}

/// All that is known of a snapshot and its content come back, also if it is empty or large.
pub fn a_snapshot_comes_back_as_it_was_saved(place: &dyn Persistence) {
    let (store, _) = open(place);
    let large: Vec<u8> = (0..300_000_u32).map(|at| at.to_le_bytes()[0] ^ 0x55).collect();
    for (index, content) in [(1, &b""[..]), (2, b"some"), (3, &large)] {
        save(&store, &meta(1, index), content);
        assert_newest(&store, &meta(1, index), content);
    }
}

/// The newest snapshot is the one of the highest index, in whatever order they were saved.
pub fn the_newest_snapshot_wins(place: &dyn Persistence) {
    let (store, _) = open(place);
    save(&store, &meta(2, 20), b"twenty");
    save(&store, &meta(1, 10), b"ten");
    assert_newest(&store, &meta(2, 20), b"twenty");
    save(&store, &meta(2, 30), b"thirty");
    assert_newest(&store, &meta(2, 30), b"thirty");
}

/// A snapshot of the same position takes the place of the one before.
pub fn a_snapshot_of_the_same_position_is_replaced(place: &dyn Persistence) {
    let (store, _) = open(place);
    save(&store, &genesis(), b"a long first version");
    let second = SnapshotMeta { instance: InstanceId(2), ..genesis() };
    save(&store, &second, b"second");
    assert_newest(&store, &second, b"second");
}

/// A snapshot that is written piece by piece is there when it is finished, not before, and not at all if it
/// is not what was meant.
pub fn a_snapshot_is_there_once_it_is_finished(place: &dyn Persistence) {
    let (store, _) = open(place);
    save(&store, &meta(1, 10), b"ten");
    let begin = || must("beginning a snapshot", store.snapshots.create(&meta(2, 20)));
    let fill = |sink: &mut dyn SnapshotSink| {
        for part in [&b"twen"[..], b"", b"ty"] {
            must("writing a snapshot", sink.write(part));
            assert_newest(&store, &meta(1, 10), b"ten");
        }
    };
    let mut sink = begin();
    fill(&mut *sink);
    drop(sink);
    let mut sink = begin();
    fill(&mut *sink);
    must_fail("finishing a snapshot that is another", sink.finish(Some((6, 1))));
    assert_newest(&store, &meta(1, 10), b"ten");
    let mut sink = begin();
    fill(&mut *sink);
    let info = must("finishing a snapshot", sink.finish(None));
    assert_newest(&store, &meta(2, 20), b"twenty");
    let mut sink = must("beginning a snapshot", store.snapshots.create(&meta(3, 30)));
    must("writing a snapshot", sink.write(b"twenty"));
    must("finishing a snapshot", sink.finish(Some((info.size, info.checksum))));
    assert_newest(&store, &meta(3, 30), b"twenty");
}

/// Of one position only one snapshot can be written at a time.
pub fn a_snapshot_is_written_once_at_a_time(place: &dyn Persistence) {
    let (store, _) = open(place);
    let first = must("beginning a snapshot", store.snapshots.create(&meta(1, 10)));
    let second = store.snapshots.create(&meta(1, 10));
    assert!(matches!(second.err(), Some(StoreError::Busy(_))), "two were begun");
    must("beginning another", store.snapshots.create(&meta(1, 11)));
    drop(first);
    must("beginning it again", store.snapshots.create(&meta(1, 10)));
}

/// A snapshot is read from wherever it is wanted, also while newer ones take its place.
pub fn a_snapshot_is_read_piece_by_piece(place: &dyn Persistence) {
    let (store, _) = open(place);
    let content: Vec<u8> = (0..100_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    save(&store, &meta(1, 10), &content);
    let source = must("opening a snapshot", store.snapshots.open(Position::new(1, 10)));
    assert_eq!(source.info().meta, meta(1, 10));
    assert_eq!(source.info().size, content.len() as u64);
    must("verifying a snapshot", source.verify());
    for (from, count) in [(0, 10), (1, 0), (99_999, 5), (100_000, 5), (200_000, 5), (50, 70_000)] {
        let read = must("reading a snapshot", source.read_at(from as u64, count));
        let end = content.len().min(from + count);
        let wanted = content.get(from.min(end)..end).unwrap_or_default();
        assert!(wanted.starts_with(&read) && read.is_empty() == wanted.is_empty(), "{from}");
    }
    let missing = store.snapshots.open(Position::new(2, 10));
    assert!(missing.is_err(), "a snapshot of another term is there");
}

/// The newest two snapshots are kept, and that of index 1.
pub fn old_snapshots_are_given_up(place: &dyn Persistence) {
    let (store, _) = open(place);
    for index in [1, 10, 20, 30, 40] {
        save(&store, &meta(1, index), b"content");
    }
    let kept = must("listing snapshots", store.snapshots.positions());
    assert_eq!(kept, [1, 30, 40].map(|index| Position::new(1, index)));
}

/// Snapshots are durable.
pub fn snapshots_survive_reopening(place: &dyn Persistence) {
    let (store, _) = open(place);
    save(&store, &meta(1, 10), b"ten");
    save(&store, &meta(2, 20), b"twenty");
    drop(store);
    assert_newest(&open(place).0, &meta(2, 20), b"twenty");
}
