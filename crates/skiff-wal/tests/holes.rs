//! Damage in the middle of a log: how much of it is gone, and how it is filled again.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::*;
use skiff_core::{Entry, Index, Position, Write};
use skiff_storage::{Hole, LogReader, StoreError};
use skiff_wal::{
    Opened, Place,
    disk::{
        Disk,
        sim::{Fate, SimDisk},
    },
    inspect::{Finding, Inspection},
};

/// Where each batch stands, and the entries in it.
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

/// A log with conflicts in it, in several segments, and what it holds.
fn history() -> (SimDisk, Model) {
    let disk = SimDisk::new();
    let mut opened = open(&disk, TINY);
    let writes = [
        append(1, 1, 5),
        append(1, 5, 9),
        vote(2, 3),
        append(3, 9, 11),
        cut(7, append(4, 7, 8)),
        append(4, 8, 14),
        cut(12, append(6, 12, 13)),
        append(6, 13, 15),
        append(7, 15, 16),
    ];
    let mut model = Model::default();
    for write in writes {
        model = model.after(&write);
        put(&mut opened.log, write);
    }
    close(opened);
    (disk, model)
}

fn damage(disk: &SimDisk, place: Place) {
    let name = segment(place.segment);
    let mut content = disk.content(&name).unwrap();
    let at = usize::try_from(place.offset).unwrap() + 40;
    content[at] ^= 1;
    disk.put(&name, content);
}

/// The names of the pieces in the folder.
fn mends(disk: &SimDisk) -> Vec<String> {
    disk.list().unwrap().into_iter().filter(|name| name.starts_with("mend-")).collect()
}

#[track_caller]
fn open_holed(disk: &SimDisk) -> Opened<SimDisk> {
    match try_open_holed(disk, TINY) {
        Ok(opened) => opened,
        Err(error) => panic!("cannot open: {error}"),
    }
}

/// Whatever a node reads outside its holes is what was written there, or what a hole in front of it
/// has replaced.
fn check_rest(opened: &Opened<SimDisk>, model: &Model) {
    let holes = &opened.recovered.holes;
    let last_hole = holes.last().map_or(Index::ZERO, |hole| hole.last.index);
    assert_eq!(opened.recovered.last, model.last());
    assert_eq!(opened.recovered.hard_state, model.hard_state);
    for entry in &model.entries {
        let read = opened.log.reader().read(entry.index, entry.index.next(), 0);
        if entry.index > last_hole {
            assert_eq!(read.unwrap(), std::slice::from_ref(entry));
        }
    }
    for hole in holes {
        let index = hole.last.index;
        assert_eq!(Some(hole.last), entry_of(model, index).map(Entry::position));
        for index in (hole.first.0..=index.0).map(Index) {
            let read = opened.log.reader().read(index, index.next(), 0);
            assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{index}: {read:?}");
        }
    }
}

fn entry_of(model: &Model, index: Index) -> Option<&Entry> {
    model.entries.iter().find(|entry| entry.index == index)
}

/// Fills all holes as another member would, so many entries at a time; the log is loaded again after
/// each piece if `anew`.
fn mend(opened: &mut Opened<SimDisk>, model: &Model, piece: u64) -> usize {
    let mut pieces = 0;
    while let Some(Hole { first, last, .. }) = opened.recovered.holes.last().cloned() {
        let from = first.0.max((last.index.0 + 1).saturating_sub(piece));
        let prev = match entry_of(model, Index(from - 1)) {
            Some(entry) => entry.position(),
            None => model.base,
        };
        let range = from..=last.index.0;
        let entries: Vec<Entry> =
            range.map(|index| entry_of(model, Index(index)).unwrap().clone()).collect();
        opened.log.mend(prev, &entries).unwrap();
        opened.recovered = opened.log.reload().unwrap();
        pieces += 1;
        assert!(pieces < 100, "it never ends: {:?}", opened.recovered.holes);
    }
    pieces
}

#[track_caller]
fn assert_mends(disk: &SimDisk, model: &Model, piece: u64) {
    let mut opened = open_holed(disk);
    check_rest(&opened, model);
    mend(&mut opened, model, piece);
    assert_eq!(Model::of(&opened), *model);
    // It stays so, also if the power is cut, and the log goes on.
    drop(opened);
    disk.kill();
    let mut opened = open(disk, TINY);
    assert_eq!(Model::of(&opened), *model);
    let next = model.last().index.0 + 1;
    let write = append(9, next, next + 3);
    let model = model.after(&write);
    put(&mut opened.log, write);
    close(opened);
    assert_eq!(Model::of(&open(disk, TINY)), model);
}

#[test]
fn each_batch_is_mended() {
    let (disk, model) = history();
    let all = batches(&disk);
    let mut holes = 0;
    // The last one is the mark that the log was closed.
    for place in &all[..all.len() - 1] {
        for piece in [1, 2, 100] {
            let disk = disk.fork();
            damage(&disk, *place);
            holes += open_holed(&disk.fork()).recovered.holes.len();
            assert_mends(&disk, &model, piece);
        }
    }
    assert!(holes >= 15, "{holes}");
}

#[test]
fn any_two_batches_are_mended() {
    let (disk, model) = history();
    let all = batches(&disk);
    let all = &all[..all.len() - 1];
    for (at, one) in all.iter().enumerate() {
        for other in &all[at + 1..] {
            for piece in [1, 100] {
                let disk = disk.fork();
                damage(&disk, *one);
                damage(&disk, *other);
                assert_mends(&disk, &model, piece);
            }
        }
    }
}

#[test]
fn all_but_the_last_batch_is_mended() {
    let (disk, model) = history();
    let all = batches(&disk);
    all[..all.len() - 2].iter().for_each(|place| damage(&disk, *place));
    assert_mends(&disk, &model, 3);
}

#[test]
fn a_segment_that_is_gone_is_mended() {
    let (disk, model) = history();
    let newest = batches(&disk).last().unwrap().segment;
    assert!(newest > 2);
    for number in 1..newest {
        for empty in [false, true] {
            let disk = disk.fork();
            if empty {
                disk.put(&segment(number), Vec::new());
            } else {
                disk.take_away(&segment(number));
            }
            assert_mends(&disk, &model, 2);
        }
    }
}

/// A damaged header of a segment takes nothing: each batch says for itself where it belongs.
#[test]
fn the_header_of_a_segment_is_not_needed() {
    let (disk, model) = history();
    let newest = batches(&disk).last().unwrap().segment;
    for number in 1..=newest {
        let disk = disk.fork();
        damage(&disk, Place { segment: number, offset: 0 });
        let opened = open_holed(&disk);
        assert_eq!(opened.recovered.holes, []);
        assert_eq!(Model::of(&opened), model);
    }
}

/// A piece that was written and then damaged is a hole again.
#[test]
fn a_mend_can_be_damaged_too() {
    let (disk, model) = history();
    damage(&disk, batches(&disk)[1]);
    let mut opened = open_holed(&disk);
    mend(&mut opened, &model, 100);
    drop(opened);
    let name = mends(&disk).remove(0);
    let mut content = disk.content(&name).unwrap();
    content[600] ^= 1;
    disk.put(&name, content);
    assert_mends(&disk, &model, 100);
    assert!(mends(&disk).contains(&name), "{name} is kept, as anything that is damaged");
}

/// The entries before damage may be wrong, if what was damaged had replaced them: then more is
/// missing than was damaged, and that shows when the pieces do not fit.
#[test]
fn entries_before_the_hole_were_replaced_in_it() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, 64 << 10);
    let writes = [append(1, 1, 9), cut(4, append(2, 4, 12)), append(2, 12, 14)];
    let model = writes.iter().fold(Model::default(), |model, write| model.after(write));
    writes.into_iter().for_each(|write: Write| put(&mut opened.log, write));
    close(opened);
    damage(&disk, batches(&disk)[2]);
    let mut opened = open_holed(&disk);
    let hole = opened.recovered.holes[0].clone();
    assert_eq!((hole.first, hole.last), (Index(9), Position::new(2, 11)));
    let entries: Vec<Entry> = model.entries[8..11].to_vec();
    opened.log.mend(Position::new(2, 8), &entries).unwrap();
    let hole = opened.log.reload().unwrap().holes[0].clone();
    assert_eq!((hole.first, hole.last), (Index(8), Position::new(2, 8)));
    drop(opened);
    assert_mends(&disk, &model, 2);
}

/// What came later had cut the log in the damaged stretch.
#[test]
fn a_hole_is_cut() {
    for from in 4..12 {
        let disk = SimDisk::new();
        let mut opened = open(&disk, 64 << 10);
        let writes = [
            append(1, 1, 4),
            append(1, 4, 9),
            append(1, 9, 11),
            cut(from.min(11), append(3, from.min(11), 13)),
        ];
        let model = writes.iter().fold(Model::default(), |model, write| model.after(write));
        writes.into_iter().for_each(|write| put(&mut opened.log, write));
        close(opened);
        damage(&disk, batches(&disk)[2]);
        assert_mends(&disk, &model, 2);
    }
}

/// A node had entries that nobody else has, and they are damaged: others have committed another one
/// there. It takes that, and then what comes before it.
#[test]
fn a_hole_in_entries_that_never_were_committed() {
    for cut_at in 5..=9 {
        let disk = SimDisk::new();
        let mut opened = open(&disk, 64 << 10);
        let writes = [append(1, 1, 9), append(3, 9, 11), append(3, 11, 13)];
        writes.into_iter().for_each(|write| put(&mut opened.log, write));
        close(opened);
        damage(&disk, batches(&disk)[2]);
        let mut opened = open_holed(&disk);
        let hole = opened.recovered.holes[0].clone();
        assert_eq!((hole.first, hole.last), (Index(9), Position::new(3, 10)));
        // So it is in the others' logs.
        let mut model = Model::default().after(&append(1, 1, cut_at));
        model = model.after(&append(4, cut_at, 11));
        opened.log.end_with(model.entries.last().unwrap()).unwrap();
        drop(opened);
        disk.kill();
        let mut opened = open_holed(&disk);
        let hole = opened.recovered.holes[0].clone();
        assert_eq!((hole.first, hole.last), (Index(9), Position::new(4, 10)));
        mend(&mut opened, &model, 1);
        assert_eq!(Model::of(&opened).entries, model.entries);
    }
}

/// The power goes at every operation of opening, mending and opening again, and what was not synced is
/// there, or gone, or torn.
#[test]
fn mending_is_cut_at_every_operation() {
    let (sound, model) = history();
    let all = batches(&sound);
    for place in [all[1], all[4], all[all.len() - 2]] {
        let damaged = sound.fork();
        damage(&damaged, place);
        for operations in 0.. {
            let mut is_done = false;
            for fate in [Fate::Keep, Fate::Drop, Fate::Tear(vec![true, false])] {
                let disk = damaged.fork();
                disk.halt_after(operations);
                if let Ok(mut opened) = try_open_holed(&disk, TINY) {
                    is_done = try_mend(&mut opened, &model);
                }
                disk.crash(|_| fate.clone());
                assert_mends(&disk, &model, 2);
            }
            if is_done {
                break;
            }
            assert!(operations < 200, "it never gets on");
        }
    }
}

/// Mends one entry at a time, as far as the disk does it. Whether all was done.
fn try_mend(opened: &mut Opened<SimDisk>, model: &Model) -> bool {
    while let Some(hole) = opened.recovered.holes.last().cloned() {
        let prev = entry_of(model, hole.last.index.prev()).map_or(model.base, Entry::position);
        let entry = entry_of(model, hole.last.index).unwrap().clone();
        if opened.log.mend(prev, &[entry]).is_err() {
            return false;
        }
        let Ok(recovered) = opened.log.reload() else { return false };
        opened.recovered = recovered;
    }
    true
}

#[test]
fn a_mend_of_entries_with_gaps_is_refused() {
    let (disk, model) = history();
    damage(&disk, batches(&disk)[1]);
    let mut opened = open_holed(&disk);
    let entry = model.entries[2].clone();
    for (prev, entries) in [
        (Position::new(1, 1), vec![entry.clone()]),
        (Position::new(1, 2), vec![entry.clone(), entry]),
        (Position::new(1, 2), Vec::new()),
    ] {
        let refused = opened.log.mend(prev, &entries).unwrap_err();
        assert!(matches!(refused, StoreError::Misuse(_)), "{refused}");
    }
    assert!(mends(&disk).is_empty());
}
