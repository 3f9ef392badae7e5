//! Holes in bad company: a torn end behind them, sectors that cannot be read, pieces that are wrong.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::*;
use skiff_core::{HardState, Index, NodeId, Position, Term, Write};
use skiff_storage::StoreError;
use skiff_wal::{
    Opened, Place,
    disk::sim::{Fate, SimDisk},
    inspect::{Finding, Inspection},
};

const SIZE: u64 = 64 << 10;

fn batches(disk: &SimDisk) -> Vec<Place> {
    let mut found = Vec::new();
    let inspection = Inspection::of(disk.clone()).unwrap();
    let walked = inspection.walk(|finding| {
        if let Finding::Batch { header, .. } = finding {
            found.push(header.place);
        }
    });
    walked.unwrap();
    found
}

/// The batch before the one that the power cut tears is damaged. The torn one's header has landed: it
/// proves that the one before it was synced, and so acknowledged.
fn damaged_before_torn(acknowledged: Write) -> SimDisk {
    let disk = SimDisk::new();
    let mut opened = open(&disk, SIZE);
    put(&mut opened.log, append(1, 1, 4));
    put(&mut opened.log, acknowledged);
    let victim = *batches(&disk).last().unwrap();
    disk.halt_after(1);
    let torn = Write { entries: vec![entry(2, 7, 3_000)], ..vote(2, 3) };
    let torn =
        Write { entries: torn.entries.clone(), hard_state: torn.hard_state, ..append(2, 7, 7) };
    drop(try_put(&mut opened.log, torn));
    drop(opened);
    // Only the first sector lands.
    disk.crash(|unsynced| Fate::Tear((0..unsynced.sectors()).map(|one| one < 1).collect()));
    flip(&disk, &segment(victim.segment), usize::try_from(victim.offset).unwrap() + 40);
    disk
}

fn acked_entries() -> Write {
    Write { hard_state: HardState { term: Term(2), vote: Some(NodeId(3)) }, ..append(2, 4, 7) }
}

#[test]
fn damage_before_a_torn_end_is_not_dropped_with_it() {
    let disk = damaged_before_torn(acked_entries());
    match try_open(&disk, SIZE) {
        Err(error) => eprintln!("refused, as it must be: {error}"),
        Ok(opened) => panic!(
            "opened with {:?} {:?} holes {:?}",
            opened.recovered.hard_state, opened.recovered.last, opened.recovered.holes
        ),
    }
}

#[test]
fn damage_before_a_torn_end_is_a_hole() {
    let disk = damaged_before_torn(acked_entries());
    match try_open_holed(&disk, SIZE) {
        Err(error) => eprintln!("refused: {error}"),
        Ok(Opened { recovered, .. }) => {
            assert_eq!(recovered.hard_state, acked_entries().hard_state, "{recovered:#?}");
            assert_eq!(recovered.holes.len(), 1, "{recovered:#?}");
        }
    }
}

/// A second vote in term 2 becomes possible.
#[test]
fn a_vote_before_a_torn_end_is_not_forgotten() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, SIZE);
    put(&mut opened.log, append(1, 1, 7));
    put(&mut opened.log, vote(2, 3));
    let victim = *batches(&disk).last().unwrap();
    disk.halt_after(1);
    let hard_state = HardState { term: Term(2), vote: Some(NodeId(3)) };
    let torn = Write { hard_state, entries: vec![entry(2, 7, 3_000)], ..Write::default() };
    drop(try_put(&mut opened.log, torn));
    drop(opened);
    disk.crash(|unsynced| Fate::Tear((0..unsynced.sectors()).map(|one| one < 1).collect()));
    flip(&disk, &segment(victim.segment), usize::try_from(victim.offset).unwrap() + 40);
    for open in [try_open, try_open_holed] {
        match open(&disk.fork(), SIZE) {
            Err(error) => eprintln!("refused: {error}"),
            Ok(Opened { recovered, .. }) => assert_eq!(recovered.hard_state, hard_state),
        }
    }
}

/// A log 1..8 of term 1, then 9..10 of term 3 (damaged), then 11..12.
fn holed() -> (SimDisk, Opened<SimDisk>) {
    let disk = SimDisk::new();
    let mut opened = open(&disk, SIZE);
    for write in [append(1, 1, 5), append(2, 5, 9), append(3, 9, 11), append(3, 11, 13)] {
        put(&mut opened.log, write);
    }
    close(opened);
    let victim = batches(&disk)[2];
    flip(&disk, &segment(victim.segment), usize::try_from(victim.offset).unwrap() + 40);
    let opened = try_open_holed(&disk, SIZE).unwrap();
    (disk, opened)
}

/// The committed entry is larger than a batch: `end_with` is written as two, and the second one's
/// header says with which entry the log ended before: with one inside the hole, of a term made up.
#[test]
fn a_large_entry_ends_a_log_at_once() {
    let (_disk, mut opened) = holed();
    let hole = opened.recovered.holes[0].clone();
    // The batch [5..9) of term 2 is gone, so what stands at 5..8 is not known.
    assert_eq!((hole.first, hole.last), (Index(5), Position::new(2, 8)));
    // Others: 1..4 of term 1, 5 of term 4, 6 (large, committed) of term 4, ...
    let large = entry(4, 7, 40_000);
    opened.log.end_with(&large).unwrap();
    let recovered = opened.log.reload().unwrap();
    let hole = recovered.holes.last().unwrap();
    assert_eq!(hole.last, Position::new(4, 7), "{:#?}", recovered.holes);
}

/// The power goes between the two.
#[test]
fn a_large_entry_is_torn() {
    for ops in 0..8 {
        let (disk, mut opened) = holed();
        disk.halt_after(ops);
        let done = opened.log.end_with(&entry(4, 7, 40_000)).is_ok();
        drop(opened);
        disk.crash(|_| Fate::Drop);
        if let Err(error) = try_open_holed(&disk, SIZE) {
            panic!("after {ops} operations (done: {done}): {error}");
        }
    }
}

/// A sector in the middle cannot be read: a hole as any other.
#[test]
fn a_broken_sector_in_the_middle_is_a_hole() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, SIZE);
    for write in [append(1, 1, 5), append(2, 5, 9), append(3, 9, 11), append(3, 11, 13)] {
        put(&mut opened.log, write);
    }
    close(opened);
    let victim = batches(&disk)[2];
    assert!(disk.break_sector(&segment(victim.segment), victim.offset));
    match try_open_holed(&disk, SIZE) {
        Ok(opened) => assert_eq!(opened.recovered.holes.len(), 1),
        Err(error) => panic!("{error}"),
    }
}

/// A sector that no batch has reached cannot be read.
#[test]
fn a_broken_sector_behind_the_end_is_nothing() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, SIZE);
    put(&mut opened.log, append(1, 1, 5));
    close(opened);
    assert!(disk.break_sector(&segment(1), 40_960));
    if let Err(error) = try_open_holed(&disk, SIZE) {
        assert!(matches!(error, StoreError::Io { .. }));
        panic!("{error}");
    }
}

/// Five nodes. 1..4 of term 1 everywhere; 5 and 6 of term 1 also in X, not committed. Then a leader of
/// term 2 commits 5 and 6 with two others, and in term 4 a large 7. The node had 5 to 8 of term 2 of
/// its own, damaged. It ends its log with 7 of term 4, asks X for what it then takes for the end of the
/// hole, and holds what no log ever was.
#[test]
fn nothing_is_asked_for_that_never_was() {
    let (_disk, mut opened) = holed();
    opened.log.end_with(&entry(4, 7, 40_000)).unwrap();
    let recovered = opened.log.reload().unwrap();
    let hole = recovered.holes.last().unwrap().clone();
    // X answers what it is asked for, if it has just that.
    let x = [entry(1, 5, 30), entry(1, 6, 30)];
    assert_ne!(hole.last, x[1].position(), "it asks for an entry that never stood before 4/7");
}

/// A piece that begins before the log does.
#[test]
fn a_piece_from_before_the_log_is_refused() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, SIZE);
    for write in [begin_after(1, 1, append(1, 2, 5)), append(2, 5, 9), append(3, 9, 11)] {
        put(&mut opened.log, write);
    }
    close(opened);
    let victim = batches(&disk)[2];
    flip(&disk, &segment(victim.segment), usize::try_from(victim.offset).unwrap() + 40);
    let mut opened = try_open_holed(&disk, SIZE).unwrap();
    let last = opened.recovered.holes[0].last;
    let entries: Vec<_> = (1..=last.index.0).map(|index| entry(2, index, 30)).collect();
    assert_eq!(entries.last().unwrap().position(), last);
    let mended = opened.log.mend(Position::new(0, 0), &entries);
    drop(opened);
    if let Err(error) = try_open_holed(&disk, SIZE) {
        panic!("mended: {mended:?}; never again: {error}");
    }
}

/// A hole in front of a torn batch is there at the next opening too.
#[test]
fn a_hole_before_a_torn_end_stays() {
    let disk = damaged_before_torn(acked_entries());
    for _ in 0..3 {
        let Opened { recovered, log, .. } = match try_open_holed(&disk, SIZE) {
            Ok(opened) => opened,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(recovered.hard_state, acked_entries().hard_state, "{recovered:#?}");
        let hole = recovered.holes.first().expect("a hole");
        assert_eq!((hole.first, hole.last), (Index(4), Position::new(2, 6)));
        drop(log);
        disk.kill();
    }
}
