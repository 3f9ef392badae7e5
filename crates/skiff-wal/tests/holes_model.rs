//! Any history, any damage in the middle of it: all of it comes back, however it is given back. With
//! `PROPTEST_CASES=10000` for the long form.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::env;

use common::*;
use proptest::{
    collection::vec,
    prelude::{ProptestConfig, any, proptest},
    sample::Index as Pick,
};
use skiff_core::{Entry, Index, Position, Write};
use skiff_storage::LogReader;
use skiff_wal::{
    Opened, Place,
    disk::sim::SimDisk,
    inspect::{Finding, Inspection},
};

fn config() -> ProptestConfig {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    match env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        None => ProptestConfig { cases: 250, ..config },
    }
}

/// One write: what it does, by how much, and how large its entries are.
type Step = (u8, u8, u16);

/// The write of a step, which follows what the model holds.
fn write(model: &Model, (kind, by, size): Step) -> Write {
    let last = model.last();
    let entries = |term: u64, from: u64, count: u64| -> Vec<Entry> {
        (from..from + count).map(|index| entry(term, index, usize::from(size % 700))).collect()
    };
    let (term, next, by) = (last.term.0.max(1), last.index.0 + 1, u64::from(by));
    let term_now = model.hard_state.term.0.max(term);
    match kind % 8 {
        0 => vote(term_now + 1, u128::from(by) + 1),
        // A leader of a later term has other entries from somewhere on.
        1 | 2 if !model.entries.is_empty() => {
            let from = next - 1 - by % (model.entries.len() as u64);
            let write = Write {
                entries: entries(term_now + 1, from, 1 + by % 3),
                ..append(term_now + 1, 1, 1)
            };
            cut(from, write)
        }
        3 if by % 5 == 0 => begin_after(term_now, next + by, append(term_now, 1, 1)),
        _ => Write { entries: entries(term, next, 1 + by % 6), ..append(term_now, 1, 1) },
    }
}

/// Where each batch stands, and the byte behind it.
fn batches(disk: &SimDisk) -> Vec<(Place, u64)> {
    let mut found = Vec::new();
    let inspection = Inspection::of(disk.clone()).unwrap();
    let walked = inspection.walk(|finding| {
        if let Finding::Batch { header, .. } = finding {
            found.push((header.place, header.place.offset + header.span()));
        }
    });
    walked.unwrap();
    found
}

/// Damages a batch somewhere.
fn damage(disk: &SimDisk, (place, end): (Place, u64), (kind, at): (u8, u16)) {
    let name = segment(place.segment);
    let Some(mut content) = disk.content(&name) else { return };
    let (from, to) = (usize::try_from(place.offset).unwrap(), usize::try_from(end).unwrap());
    let at = from + usize::from(at) % (to - from);
    match kind % 3 {
        // What stands behind the records is not looked at.
        0 => content[from + (at - from) % 160] ^= 1 << (kind % 8),
        1 => content[from..from + 512].fill(0),
        _ => content[from..to].fill(0xff),
    }
    disk.put(&name, content);
}

fn term_at(model: &Model, index: Index) -> Position {
    let found = model.entries.iter().find(|entry| entry.index == index);
    found.map_or(model.base, Entry::position)
}

/// Gives back what is missing, in pieces of up to so many entries.
fn mend(opened: &mut Opened<SimDisk>, model: &Model, piece: u64) {
    for _ in 0..1_000 {
        let Some(hole) = opened.recovered.holes.last().cloned() else { return };
        let lowest = model.base.index.0 + 1;
        let from = (hole.last.index.0 + 1).saturating_sub(piece).max(lowest);
        let from = from.min(hole.last.index.0);
        let range = from..=hole.last.index.0;
        let given: Vec<Entry> =
            model.entries.iter().filter(|e| range.contains(&e.index.0)).cloned().collect();
        assert_eq!(given.last().map(Entry::position), Some(hole.last), "nobody ever had {hole:?}");
        opened.log.mend(term_at(model, Index(from - 1)), &given).unwrap();
        opened.recovered = opened.log.reload().unwrap();
    }
    panic!("it never ends: {:?}", opened.recovered.holes);
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_history_comes_back(
        steps in vec(any::<Step>(), 1..25),
        hits in vec((any::<Pick>(), any::<(u8, u16)>()), 1..5),
        small in any::<bool>(),
        reopens in any::<bool>(),
        piece in 1_u64..9,
    ) {
        let size = if small { TINY } else { 64 << 10 };
        let disk = SimDisk::new();
        let mut opened = open(&disk, size);
        let mut model = Model::default();
        for (at, step) in steps.iter().enumerate() {
            let write = write(&model, *step);
            model = model.after(&write);
            put(&mut opened.log, write);
            if reopens && at == steps.len() / 2 {
                close(opened);
                opened = open(&disk, size);
            }
        }
        close(opened);
        // The last one says that the log was closed, so that all before it is known to be synced.
        let all = batches(&disk);
        let (_, before) = all.split_last().unwrap();
        let mut damaged: Vec<Place> = Vec::new();
        for (pick, how) in hits {
            let batch = *pick.get(before);
            if !damaged.contains(&batch.0) {
                damage(&disk, batch, how);
                damaged.push(batch.0);
            }
        }
        // Without room for that mark, what is known is in the identity, and the last batch may be lost.
        let ends_with_mark = matches!(last_records(&disk), Some(records) if records == "Closed");
        let mut opened = match try_open_holed(&disk, size) {
            Ok(opened) => opened,
            Err(error) => {
                assert!(!ends_with_mark, "{error}");
                return Ok(());
            }
        };
        assert_eq!(opened.recovered.last, model.last());
        assert_eq!(opened.recovered.hard_state, model.hard_state);
        let certain = opened.recovered.holes.last().map_or(Index::ZERO, |hole| hole.last.index);
        for entry in model.entries.iter().filter(|entry| entry.index > certain) {
            let read = opened.log.reader().read(entry.index, entry.index.next(), 0).unwrap();
            assert_eq!(read, std::slice::from_ref(entry));
        }
        mend(&mut opened, &model, piece);
        assert_eq!(Model::of(&opened), model);
        drop(opened);
        disk.kill();
        assert_eq!(Model::of(&open(&disk, size)), model);
    }
}

/// What the last batch holds, in a word.
fn last_records(disk: &SimDisk) -> Option<String> {
    let mut last = None;
    let inspection = Inspection::of(disk.clone()).unwrap();
    let walked = inspection.walk(|finding| {
        if let Finding::Batch { records, .. } = finding {
            last = records.last().map(|(_, record)| format!("{record:?}"));
        }
    });
    walked.unwrap();
    last
}
