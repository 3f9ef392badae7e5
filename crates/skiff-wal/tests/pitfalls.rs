//! Mistakes that other implementations made with snapshots beside a log, each a test under its name.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use skiff_core::{Index, Membership, NodeId, Position, Term, Write};
use skiff_storage::{SnapshotMeta, SnapshotSink, SnapshotStore, StoreError};
use skiff_wal::{
    Opened,
    disk::{
        Disk,
        sim::{Fate, SimDisk, Unsynced},
    },
};

fn meta(term: u64, index: u64) -> SnapshotMeta {
    SnapshotMeta {
        position: Position::new(term, index),
        membership: Membership::of([NodeId(1), NodeId(2)]),
        terms: vec![(Index(1), Term(term))],
        codec: "own".to_owned(),
        ..SnapshotMeta::default()
    }
}

fn state(index: u64) -> Vec<u8> {
    (0..2_000_u64).flat_map(|number| (number * index).to_le_bytes()).collect()
}

type Step = fn(&mut Opened<SimDisk>) -> Result<(), StoreError>;

/// Runs the steps on a fresh log with the power cut after each operation, and with what was not synced kept,
/// dropped, or kept in part. What is found is judged, with how many steps were acknowledged.
fn cut_everywhere(steps: &[Step], judge: impl Fn(usize, &Opened<SimDisk>, &str)) {
    let run = |disk: &SimDisk| {
        let Ok(mut opened) = try_open(disk, TINY) else { return 0 };
        steps.iter().take_while(|step| step(&mut opened).is_ok()).count()
    };
    let whole = SimDisk::new();
    assert_eq!(run(&whole), steps.len(), "without a fault all is done");
    for halt in 0..=whole.counts().changes {
        let disk = SimDisk::new();
        disk.halt_after(halt);
        let done = run(&disk);
        let count = disk.unsynced().len();
        for choice in choices(count) {
            let after = disk.fork();
            let mut nth = 0;
            after.crash(|one: &Unsynced| {
                nth += 1;
                let keeps = choice(nth - 1);
                if one.sectors() == 0 && !keeps {
                    Fate::Drop
                } else {
                    Fate::Tear(vec![keeps; one.sectors().max(1)])
                }
            });
            let told = format!("after {halt} operations, {done} steps done");
            match try_open(&after, TINY) {
                Ok(opened) => judge(done, &opened, &told),
                Err(error) => panic!("{told}: {error}"),
            }
        }
    }
}

type Choice = Box<dyn Fn(usize) -> bool>;

fn choices(count: usize) -> Vec<Choice> {
    let mut all: Vec<Choice> = vec![Box::new(|_| true), Box::new(|_| false)];
    for one in 0..count.min(12) {
        all.push(Box::new(move |at| at == one));
        all.push(Box::new(move |at| at != one));
        all.push(Box::new(move |at| at < one));
    }
    all
}

fn write(opened: &mut Opened<SimDisk>, write: Write) -> Result<(), StoreError> {
    try_put(&mut opened.log, write)
}

/// The newest snapshot that is whole.
fn newest(opened: &Opened<SimDisk>) -> Option<Position> {
    let (meta, content) = opened.snapshots.newest().unwrap()?;
    assert_eq!(content, state(meta.position.index.0), "another state");
    Some(meta.position)
}

const INSTALLED: Position = Position::new(2, 100);

/// What an install does: the snapshot first, then the log begins after it.
const INSTALL: [Step; 4] = [
    |opened| write(opened, append(1, 1, 61)),
    |opened| opened.snapshots.save(&meta(2, 100), &state(100)),
    |opened| write(opened, begin_after(2, 100, append(2, 101, 101))),
    |opened| write(opened, append(2, 101, 111)),
];

/// The last entry of the log lay before the snapshot, and the node did not start; or what came after the gap
/// was joined to what came before it.
#[test]
fn snapshot_ahead_of_log() {
    cut_everywhere(&INSTALL, |done, opened, told| {
        let found = Model::of(opened);
        if found.base == Position::ZERO {
            assert!(done < 3, "{told}: the log does not begin after the snapshot");
            assert!(found.last().index <= Index(60), "{told}: {found:?}");
            assert!(done < 1 || found.last().index == Index(60), "{told}: entries are gone");
        } else {
            assert_eq!(found.base, INSTALLED, "{told}");
            assert_eq!(newest(opened), Some(INSTALLED), "{told}: nothing to begin with");
            assert!(found.entries.iter().all(|entry| entry.index > Index(100)), "{told}");
        }
        if done >= 2 {
            assert_eq!(newest(opened), Some(INSTALLED), "{told}: it was acknowledged");
        }
    });
}

/// A segment left over from before an install was taken for what comes after it. Here they hold more than the
/// log holds afterwards, and are removed in any order.
#[test]
fn open_segment_older_than_snapshot() {
    let whole = SimDisk::new();
    let mut opened = open(&whole, TINY);
    INSTALL.iter().for_each(|step| step(&mut opened).unwrap());
    let expected = Model::of(&open_again(&whole));
    assert_eq!((expected.base, expected.entries.len()), (INSTALLED, 10));
    let left: Vec<String> =
        whole.list().unwrap().into_iter().filter(|name| name.starts_with("log-")).collect();
    // Those from before the install, put back, each alone and all together.
    let before = SimDisk::new();
    let mut opened = open(&before, TINY);
    INSTALL[..2].iter().for_each(|step| step(&mut opened).unwrap());
    let old: Vec<String> =
        before.list().unwrap().into_iter().filter(|name| name.starts_with("log-")).collect();
    assert!(old.len() > 1, "the log has several segments: {old:?}");
    let is_gone = |name: &&String| !left.contains(name);
    let gone: Vec<&String> = old.iter().filter(is_gone).collect();
    for mask in 0..1_u32 << gone.len().min(8) {
        let disk = whole.fork();
        disk.kill();
        for (nth, name) in gone.iter().enumerate() {
            if mask >> nth & 1 == 1 {
                disk.put(name, before.content(name).unwrap());
            }
        }
        let found = Model::of(&open(&disk, TINY));
        assert_eq!(found.base, expected.base, "with {mask:b} of {gone:?}");
        assert_eq!(found.entries, expected.entries, "with {mask:b} of {gone:?}");
    }
    cut_everywhere(&INSTALL, |_, opened, told| {
        let found = Model::of(opened);
        let follows = |pair: &[skiff_core::Entry]| pair[0].index.next() == pair[1].index;
        assert!(found.entries.windows(2).all(follows), "{told}: {found:?}");
        let first = found.entries.first().map(|entry| entry.index);
        assert!(first.is_none_or(|first| first == found.base.index.next()), "{told}: {found:?}");
    });
}

fn open_again(disk: &SimDisk) -> Opened<SimDisk> {
    disk.kill();
    open(disk, TINY)
}

/// A snapshot that was reported vanished with the power, since its folder was not synced, and the log before it
/// had been given up.
#[test]
fn snapshot_durable_before_log_cut() {
    let steps: [Step; 4] = [
        |opened| write(opened, append(1, 1, 61)),
        |opened| opened.snapshots.save(&meta(1, 50), &state(50)),
        |opened| {
            let compact_to = Some(Position::new(1, 50));
            write(opened, Write { compact_to, ..append(1, 61, 62) })
        },
        |opened| write(opened, append(1, 62, 90)),
    ];
    cut_everywhere(&steps, |done, opened, told| {
        let found = Model::of(opened);
        let snapshot = newest(opened);
        assert!(done < 2 || snapshot.is_some(), "{told}: it was reported, and is gone");
        if found.base.index > Index::ZERO {
            assert!(snapshot.is_some_and(|at| at.index >= found.base.index), "{told}: {found:?}");
        }
        let acknowledged = [0, 60, 60, 61, 89][done];
        assert!(found.last().index >= Index(acknowledged), "{told}: {found:?}");
    });
}

/// A damaged snapshot led a node to delete data; a half-written one blocked the start, and leftovers all later
/// ones.
#[test]
fn bad_snapshot_never_deletes() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, TINY);
    write(&mut opened, append(1, 1, 61)).unwrap();
    for index in [30, 50] {
        opened.snapshots.save(&meta(1, index), &state(index)).unwrap();
    }
    // One that is cut off in the middle.
    let sink = opened.snapshots.create(&meta(1, 55)).unwrap();
    let mut sink: Box<dyn SnapshotSink> = sink;
    sink.write(&state(55)).unwrap();
    std::mem::forget(sink);
    let expected = Model::of(&open_again(&disk));
    let name = format!("snapshot-{:020}-{:020}", 50, 1);
    let sound = disk.content(&name).unwrap();
    for byte in (0..140).chain((140..sound.len()).step_by(1_001)) {
        let damaged = disk.fork();
        let mut bytes = sound.clone();
        bytes[byte] ^= 0x40;
        damaged.put(&name, bytes.clone());
        let opened = open(&damaged, TINY);
        let looked = opened.snapshots.open(Position::new(1, 50)).and_then(|one| one.verify());
        assert!(looked.is_err(), "byte {byte} is not noticed");
        let older = opened.snapshots.open(Position::new(1, 30)).unwrap();
        older.verify().unwrap();
        assert_eq!(Model::of(&opened).entries, expected.entries, "byte {byte}: entries are gone");
        assert_eq!(damaged.content(&name), Some(bytes), "byte {byte}: what is damaged stays");
        // Nothing stands in the way of the next one.
        opened.snapshots.save(&meta(1, 55), &state(55)).unwrap();
        assert_eq!(newest(&opened), Some(Position::new(1, 55)));
        let names = damaged.list().unwrap();
        assert!(!names.iter().any(|name| name.ends_with(".tmp")), "{names:?}");
    }
}
